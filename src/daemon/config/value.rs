//! The values of the configuration: what kinds there are, how they are read and written.
//!
//! Called by the table of keys and by `read`. Knows no key and no file.

use std::fmt;
use std::net::SocketAddr;

use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use crate::topic::TopicFilter;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number in this range, both ends included.
    Number(u64, u64),
    /// A size in bytes in this range: a whole number, or text such as `"16MiB"`.
    Bytes(u64, u64),
    /// The same, or `"auto"`.
    BytesOrAuto(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of socket addresses, one at least.
    Addresses,
    /// A list of Topic Filters, which may be empty.
    Filters,
    /// A text that is not empty.
    Text,
    /// A text of so many bytes at most; `""` stands for none.
    OptionalText(usize),
}

/// A value that fits its [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Number`].
    Number(u64),
    /// Of [`Kind::Bytes`] and [`Kind::BytesOrAuto`].
    Bytes(u64),
    /// Of [`Kind::BytesOrAuto`].
    Auto,
    /// Of [`Kind::Word`].
    Word(&'static str),
    /// Of [`Kind::Addresses`].
    Addresses(Vec<SocketAddr>),
    /// Of [`Kind::Filters`].
    Filters(Vec<String>),
    /// Of [`Kind::Text`] and [`Kind::OptionalText`].
    Text(String),
}

/// Why a value does not fit; what stands in the file is named by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    /// What is wrong.
    pub(super) what: String,
    /// The way out.
    pub(super) hint: String,
}

const UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

const DECIMAL_UNITS: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

impl Kind {
    /// Reads a value of this kind.
    pub(super) fn read(self, given: &DeValue<'_>) -> Result<Value, Unfit> {
        match (self, given) {
            (Self::Number(least, most), DeValue::Integer(number)) => {
                self.within(whole(number), least, most).map(Value::Number)
            }
            (Self::Bytes(least, most) | Self::BytesOrAuto(least, most), DeValue::Integer(n)) => {
                self.within(whole(n), least, most).map(Value::Bytes)
            }
            (Self::BytesOrAuto(..), DeValue::String(text)) if text == "auto" => Ok(Value::Auto),
            (Self::Bytes(least, most) | Self::BytesOrAuto(least, most), DeValue::String(text)) => {
                let bytes =
                    size(text).ok_or_else(|| self.unfit(format!("{text:?} is not a size")))?;
                self.within(Some(bytes), least, most).map(Value::Bytes)
            }
            (Self::Word(words), DeValue::String(text)) => {
                let known = words.iter().find(|word| **word == text.as_ref());
                known.map(|word| Value::Word(word)).ok_or_else(|| {
                    let near = super::suggest::nearest(text, words.iter().copied());
                    let what = match near {
                        Some(word) => format!("{text:?} is not known, did you mean {word:?}?"),
                        None => format!("{text:?} is not known"),
                    };
                    self.unfit(what)
                })
            }
            (Self::Addresses, DeValue::Array(list)) => self.addresses(list.iter()),
            (Self::Filters, DeValue::Array(list)) => self.filters(list.iter()),
            (Self::Text | Self::OptionalText(_), DeValue::String(text))
                if text.contains(char::is_control) =>
            {
                Err(self.unfit("the text contains control characters".to_owned()))
            }
            (Self::Text, DeValue::String(text)) if !text.is_empty() => {
                Ok(Value::Text(text.clone().into_owned()))
            }
            (Self::OptionalText(most), DeValue::String(text)) if text.len() <= most => {
                Ok(Value::Text(text.clone().into_owned()))
            }
            (Self::OptionalText(_), DeValue::String(_)) => {
                Err(self.unfit("the text is too long".to_owned()))
            }
            (Self::Text, DeValue::String(_)) => Err(self.unfit("the text is empty".to_owned())),
            (_, other) => Err(self.unfit(format!("found {}", article(other.type_str())))),
        }
    }

    fn addresses<'a>(
        self,
        list: impl Iterator<Item = &'a Spanned<DeValue<'a>>>,
    ) -> Result<Value, Unfit> {
        let mut addresses = Vec::new();
        for item in list {
            let DeValue::String(text) = item.get_ref() else {
                let found = article(item.get_ref().type_str());
                return Err(self.unfit(format!("found {found} in the list")));
            };
            let address: SocketAddr = text
                .parse()
                .map_err(|_| self.unfit(format!("{text:?} is not an address with a port")))?;
            if addresses.contains(&address) {
                return Err(self.unfit(format!("{text:?} is listed twice")));
            }
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(self.unfit("the list is empty: nobody could connect".to_owned()));
        }
        Ok(Value::Addresses(addresses))
    }

    fn filters<'a>(
        self,
        list: impl Iterator<Item = &'a Spanned<DeValue<'a>>>,
    ) -> Result<Value, Unfit> {
        let mut filters: Vec<String> = Vec::new();
        for item in list {
            let DeValue::String(text) = item.get_ref() else {
                let found = article(item.get_ref().type_str());
                return Err(self.unfit(format!("found {found} in the list")));
            };
            match TopicFilter::parse(text) {
                Err(error) => return Err(self.unfit(format!("{text:?}: {error}"))),
                Ok(filter) if filter.share().is_some() => {
                    return Err(self.unfit(format!("{text:?} is about subscribers, not topics")));
                }
                Ok(_) if filters.iter().any(|known| known == text) => {
                    return Err(self.unfit(format!("{text:?} is listed twice")));
                }
                Ok(_) => filters.push(text.clone().into_owned()),
            }
        }
        Ok(Value::Filters(filters))
    }

    fn within(self, number: Option<u64>, least: u64, most: u64) -> Result<u64, Unfit> {
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            Some(number) if number < least => Err(self.unfit(format!("{number} is too small"))),
            Some(_) | None => Err(self.unfit("the number is out of range".to_owned())),
        }
    }

    fn unfit(self, what: String) -> Unfit {
        Unfit { what, hint: format!("expected {self}") }
    }
}

/// What the kind takes, in words: `a whole number from 1 to 64`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Bytes(least, most) => write!(
                f,
                "a size from {} to {}, as bytes or as text such as \"16MiB\"",
                Size(*least),
                Size(*most)
            ),
            Self::BytesOrAuto(least, most) => write!(
                f,
                "\"auto\", or a size from {} to {}, as bytes or as text such as \"16MiB\"",
                Size(*least),
                Size(*most)
            ),
            Self::Word(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                write!(f, "one of {}", words.join(", "))
            }
            Self::Addresses => {
                write!(f, "a list of addresses such as [\"0.0.0.0:1883\", \"[::]:1883\"]")
            }
            Self::Filters => write!(f, "a list of topic filters such as [\"log/#\", \"+/debug\"]"),
            Self::Text => write!(f, "a text in quotes"),
            Self::OptionalText(most) => {
                write!(f, "a text in quotes of {most} bytes at most, \"\" for none")
            }
        }
    }
}

impl Value {
    /// The filters; none for a value of another kind.
    pub(super) fn filters(&self) -> Vec<String> {
        let Self::Filters(filters) = self else { return Vec::new() };
        filters.clone()
    }

    /// The text of a key that may have none.
    pub(super) fn optional_text(&self) -> Option<Box<str>> {
        let Self::Text(text) = self else { return None };
        (!text.is_empty()).then(|| text.as_str().into())
    }

    /// The number, or the most that the type holds; 0 for a value without number.
    pub(super) fn number<T: TryFrom<u64> + Bounded>(&self) -> T {
        let (Self::Number(number) | Self::Bytes(number)) = self else {
            return T::LEAST;
        };
        T::try_from(*number).unwrap_or(T::MOST)
    }
}

/// The ends of an unsigned type.
pub(super) trait Bounded {
    /// 0.
    const LEAST: Self;
    /// All ones.
    const MOST: Self;
}

macro_rules! bounded {
    ($($type:ty)*) => { $(impl Bounded for $type {
        const LEAST: Self = Self::MIN;
        const MOST: Self = Self::MAX;
    })* };
}
bounded!(u16 u32 u64 usize);

/// As it is written in a file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => write!(f, "\"{}\"", Size(*bytes)),
            Self::Auto => write!(f, "\"auto\""),
            Self::Word(word) => write!(f, "\"{word}\""),
            Self::Text(text) => write!(f, "{}", toml::Value::String(text.clone())),
            Self::Addresses(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(|a| format!("\"{a}\"")).collect();
                write!(f, "[{}]", addresses.join(", "))
            }
            Self::Filters(filters) => {
                let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
                let filters: Vec<_> = filters.iter().map(quoted).collect();
                write!(f, "[{}]", filters.join(", "))
            }
        }
    }
}

/// A number of bytes in the largest unit that divides it: `16MiB`.
pub(super) struct Size(pub(super) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

fn whole(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = UNITS
        .iter()
        .chain(&DECIMAL_UNITS)
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let digits = digits.trim_end();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Result<Value, Unfit> {
        kind.read(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn sizes_are_numbers_or_text_with_a_unit() {
        let kind = Kind::Bytes(1, u64::MAX);
        for (text, bytes) in [
            ("16777216", 16 << 20),
            ("0x10", 16),
            ("\"16MiB\"", 16 << 20),
            ("\"16 MiB\"", 16 << 20),
            ("\"2kB\"", 2000),
            ("\"7B\"", 7),
        ] {
            assert_eq!(read(kind, text), Ok(Value::Bytes(bytes)), "{text}");
        }
        for text in ["\"16\"", "\"-1MiB\"", "\"MiB\"", "\"1.5MiB\"", "\"99999999999TiB\"", "true"] {
            assert!(read(kind, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let kind = Kind::Bytes(0, u64::MAX);
        for bytes in [0, 1, 1023, 1024, 1025, 16 << 20, 3 << 30, u64::MAX] {
            let written = Value::Bytes(bytes).to_string();
            assert_eq!(read(kind, &written), Ok(Value::Bytes(bytes)), "{written}");
        }
        let text = Value::Text("a \"b\" \\ c".to_owned());
        assert_eq!(read(Kind::Text, &text.to_string()), Ok(text));
        let filters = Value::Filters(vec!["a/#".to_owned(), "+/\"b\"".to_owned()]);
        assert_eq!(read(Kind::Filters, &filters.to_string()), Ok(filters));
        let none = Value::Text(String::new());
        assert_eq!(read(Kind::OptionalText(3), &none.to_string()), Ok(none));
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        for (kind, text, what, hint) in [
            (Kind::Number(1, 9), "0", "0 is too small", "a whole number from 1 to 9"),
            (Kind::Number(1, 9), "-3", "the number is out of range", "from 1 to 9"),
            (Kind::Number(1, 9), "1.5", "found a float", "a whole number"),
            (
                Kind::Word(&["human", "json"]),
                "\"jsn\"",
                "did you mean \"json\"?",
                "\"human\", \"json\"",
            ),
            (
                Kind::Addresses,
                "[\"1883\"]",
                "\"1883\" is not an address with a port",
                "0.0.0.0:1883",
            ),
            (Kind::Addresses, "[]", "nobody could connect", "a list"),
            (Kind::Addresses, "[\"[::]:1\", \"[::]:1\"]", "listed twice", "a list"),
            (Kind::Addresses, "[1]", "found an integer in the list", "a list"),
            (Kind::Filters, "[\"a/#/b\"]", "# stands alone as the last level", "[\"log/#\""),
            (Kind::Filters, "[\"a\", \"a\"]", "listed twice", "a list of topic filters"),
            (Kind::Filters, "[\"$share/g/a\"]", "not topics", "a list of topic filters"),
            (Kind::Filters, "\"a\"", "found a string", "a list of topic filters"),
            (Kind::Text, "\"\"", "the text is empty", "a text in quotes"),
            (Kind::OptionalText(3), "\"abcd\"", "too long", "of 3 bytes at most"),
            (Kind::Bytes(1, 1024), "\"1MiB\"", "out of range", "from 1B to 1KiB"),
        ] {
            let unfit = read(kind, text).unwrap_err();
            assert!(unfit.what.contains(what), "{text}: {}", unfit.what);
            assert!(unfit.hint.contains(hint), "{text}: {}", unfit.hint);
        }
    }
}

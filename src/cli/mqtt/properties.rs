//! Properties as typed: `NAME=VALUE`, by the standard's names in lower case with hyphens.

use crate::cli::boot::{Exit, Failure};
use crate::codec::{PropertiesBuf, Property, STRING_BYTES_MAX};
use crate::topic::TopicName;

/// What the properties are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// CONNECT.
    Connection,
    /// The Will of CONNECT.
    Will,
    /// PUBLISH.
    Message,
}

/// Reads a value.
type Read = for<'a> fn(&'a str) -> Result<Property<'a>, String>;

const MESSAGE: &[Of] = &[Of::Message, Of::Will];
const CONNECTION: &[Of] = &[Of::Connection];

/// Every property a client may send there.
const NAMES: &[(&str, &[Of], Read)] = &[
    ("content-type", MESSAGE, |text| Ok(Property::ContentType(text))),
    ("correlation-data", MESSAGE, |text| Ok(Property::CorrelationData(text.as_bytes()))),
    ("message-expiry-interval", MESSAGE, |text| {
        number(text, 0, u32::MAX).map(Property::MessageExpiryInterval)
    }),
    ("payload-format-indicator", MESSAGE, |text| {
        number(text, 0, 1).map(Property::PayloadFormatIndicator)
    }),
    ("response-topic", MESSAGE, |text| match TopicName::parse(text) {
        Ok(_) => Ok(Property::ResponseTopic(text)),
        Err(error) => Err(error.to_string()),
    }),
    ("topic-alias", &[Of::Message], |text| number(text, 1, u16::MAX).map(Property::TopicAlias)),
    ("will-delay-interval", &[Of::Will], |text| {
        number(text, 0, u32::MAX).map(Property::WillDelayInterval)
    }),
    ("maximum-packet-size", CONNECTION, |text| {
        number(text, 1, u32::MAX).map(Property::MaximumPacketSize)
    }),
    ("receive-maximum", CONNECTION, |text| number(text, 1, u16::MAX).map(Property::ReceiveMaximum)),
    ("request-problem-information", CONNECTION, |text| {
        number(text, 0, 1).map(Property::RequestProblemInformation)
    }),
    ("request-response-information", CONNECTION, |text| {
        number(text, 0, 1).map(Property::RequestResponseInformation)
    }),
    ("topic-alias-maximum", CONNECTION, |text| {
        number(text, 0, u16::MAX).map(Property::TopicAliasMaximum)
    }),
];

/// Those that are options of their own.
const OPTIONS: &[(&str, &str)] = &[
    ("session-expiry-interval", "--session-expiry SECS"),
    ("subscription-identifier", "sub --subscription-id NUMBER"),
];

/// Adds what was typed; a name that is none of the standard's makes a User Property.
pub(super) fn add(given: &[String], of: Of, list: &mut PropertiesBuf) -> Result<(), Failure> {
    let mut seen = Vec::new();
    for given in given {
        let (name, text) = split(given)?;
        let typed = name.to_ascii_lowercase().replace('_', "-");
        if let Some((_, option)) = OPTIONS.iter().find(|(known, _)| *known == typed) {
            return Err(wrong(given, "has an option of its own").hint(format!("it is {option}")));
        }
        let Some((known, places, read)) = NAMES.iter().find(|(known, ..)| *known == typed) else {
            list.push(Property::UserProperty((name, text)));
            continue;
        };
        if !places.contains(&of) {
            return Err(misplaced(given, known, places, of));
        }
        if seen.contains(known) {
            return Err(wrong(given, "given twice"));
        }
        seen.push(known);
        list.push(read(text).map_err(|what| wrong(given, &what))?);
    }
    Ok(())
}

/// Adds User Properties, whatever their names.
pub(super) fn add_user(given: &[String], list: &mut PropertiesBuf) -> Result<(), Failure> {
    for given in given {
        list.push(Property::UserProperty(split(given)?));
    }
    Ok(())
}

fn split(given: &str) -> Result<(&str, &str), Failure> {
    let (name, text) = given.split_once('=').ok_or_else(|| {
        wrong(given, "not NAME=VALUE").hint("for example content-type=text/plain")
    })?;
    if name.is_empty() {
        return Err(wrong(given, "no name before ="));
    }
    if name.len().max(text.len()) > STRING_BYTES_MAX {
        return Err(wrong(name, "longer than 65535 bytes"));
    }
    if given.contains('\0') {
        return Err(wrong(given, "has a NUL character"));
    }
    Ok((name, text))
}

fn number<T>(text: &str, least: T, most: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("not a number from {least} to {most}"))
}

fn misplaced(given: &str, name: &str, places: &[Of], of: Of) -> Failure {
    let what = match of {
        Of::Connection => "a connection",
        Of::Will => "a Will",
        Of::Message => "a message",
    };
    let option = match places.first() {
        Some(Of::Connection) => "--connect-property",
        Some(Of::Will) => "--will-property",
        Some(Of::Message) | None => "pub --property",
    };
    let user = if of == Of::Message { "; --user-property takes any name" } else { "" };
    wrong(given, &format!("{name} is not a property of {what}"))
        .hint(format!("it is for {option}{user}"))
}

fn wrong(given: &str, what: &str) -> Failure {
    Failure::new(Exit::Usage, "bad_property", format!("{given:?}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[&str], of: Of) -> Result<PropertiesBuf, Failure> {
        let given: Vec<String> = given.iter().map(|&given| given.to_owned()).collect();
        let mut list = PropertiesBuf::default();
        add(&given, of, &mut list).map(|()| list)
    }

    #[test]
    fn names_of_the_standard_and_others() {
        let given = ["content_type=text/plain", "topic-alias=3", "k=v=w", "k=", "Größe=5"];
        let list = read(&given, Of::Message).unwrap();
        let expected = [
            Property::ContentType("text/plain"),
            Property::TopicAlias(3),
            Property::UserProperty(("k", "v=w")),
            Property::UserProperty(("k", "")),
            Property::UserProperty(("Größe", "5")),
        ];
        assert!(list.as_properties().iter().eq(expected));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told = |given: &str, of| read(&[given], of).unwrap_err().problem.message;
        for (given, of, words) in [
            ("x", Of::Message, "not NAME=VALUE"),
            ("=x", Of::Message, "no name"),
            ("topic-alias=0", Of::Message, "not a number from 1 to 65535"),
            ("topic-alias=70000", Of::Message, "not a number from 1 to 65535"),
            ("payload-format-indicator=2", Of::Will, "not a number from 0 to 1"),
            ("response-topic=a/#", Of::Message, "wildcard"),
            ("receive-maximum=5", Of::Message, "not a property of a message"),
            ("topic-alias=5", Of::Will, "not a property of a Will"),
            ("content-type=x", Of::Connection, "not a property of a connection"),
        ] {
            let said = told(given, of);
            assert!(said.contains(words), "{said}");
        }
        let twice = read(&["content-type=a", "content-type=b"], Of::Message).unwrap_err();
        assert!(twice.problem.message.contains("twice"));
        assert_eq!(twice.exit, Exit::Usage);
    }

    #[test]
    fn a_user_property_may_have_any_name() {
        let mut list = PropertiesBuf::default();
        add_user(&["content-type=mine".to_owned()], &mut list).unwrap();
        let first = list.as_properties().iter().next();
        assert_eq!(first, Some(Property::UserProperty(("content-type", "mine"))));
    }
}

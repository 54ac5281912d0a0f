//! How a message that arrived is shown to people.

use std::io::IsTerminal;

use super::args::SubArgs;
use super::object::object;
use crate::cli::render::moment;
use crate::cli::table::printable;
use crate::codec::{Properties, Property, Publish};

/// How messages are to be printed.
pub(super) struct Look {
    format: Option<String>,
    verbose: bool,
    newline: bool,
    /// Nothing may reach a terminal that could change it.
    careful: bool,
}

impl Look {
    pub(super) fn new(args: &SubArgs) -> Self {
        Self {
            format: args.format.clone(),
            verbose: args.verbose,
            newline: !args.no_newline,
            careful: std::io::stdout().is_terminal(),
        }
    }

    /// A message as bytes for stdout, its last newline included.
    pub(super) fn show(&self, publish: &Publish<'_>, received_unix_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.format {
            Some(format) => self.formatted(format, publish, received_unix_ms, &mut out),
            None => {
                if self.verbose {
                    self.text(publish.topic.as_bytes(), &mut out);
                    out.push(b' ');
                }
                self.text(publish.payload, &mut out);
            }
        }
        if self.newline {
            out.push(b'\n');
        }
        if self.verbose && !publish.properties.is_empty() {
            for line in lines(publish.properties) {
                self.text(format!("  {line}\n").as_bytes(), &mut out);
            }
        }
        out
    }

    fn text(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.careful {
            out.extend_from_slice(bytes);
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        for part in text.split_inclusive(['\n', '\t']) {
            let (part, end) = match part.strip_suffix(['\n', '\t']) {
                Some(part_) => (part_, &part[part_.len()..]),
                None => (part, ""),
            };
            out.extend_from_slice(printable(part).as_bytes());
            out.extend_from_slice(end.as_bytes());
        }
    }

    fn formatted(
        &self,
        format: &str,
        publish: &Publish<'_>,
        received_unix_ms: u64,
        out: &mut Vec<u8>,
    ) {
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            let next = if matches!(letter, '%' | '\\') { letters.next() } else { None };
            match (letter, next) {
                ('%', Some('p')) => self.text(publish.payload, out),
                ('%', Some('D')) => {
                    self.text(publish.properties.correlation_data().unwrap_or_default(), out);
                }
                ('%', Some(of)) => match field(of, publish, received_unix_ms) {
                    Some(text) => self.text(text.as_bytes(), out),
                    None => out.extend(['%', of].iter().collect::<String>().bytes()),
                },
                ('\\', Some('n')) => out.push(b'\n'),
                ('\\', Some('t')) => out.push(b'\t'),
                (letter, next) => {
                    out.extend([Some(letter), next].iter().flatten().collect::<String>().bytes());
                }
            }
        }
        if self.newline && out.last() == Some(&b'\n') && format.ends_with("\\n") {
            out.pop(); // one is enough
        }
    }
}

/// What a letter of a format stands for; empty when the message has no such property, `None` when
/// there is no such letter.
fn field(letter: char, publish: &Publish<'_>, received_unix_ms: u64) -> Option<String> {
    let properties = publish.properties;
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    Some(match letter {
        '%' => "%".to_owned(),
        't' => publish.topic.to_owned(),
        'x' => hex(publish.payload),
        'l' => publish.payload.len().to_string(),
        'q' => publish.qos.as_bits().to_string(),
        'r' => u8::from(publish.retain).to_string(),
        'd' => u8::from(publish.dup).to_string(),
        'j' => object(publish, received_unix_ms).to_string(),
        'U' => format!("{}.{:03}", received_unix_ms / 1000, received_unix_ms % 1000),
        'I' => moment(received_unix_ms),
        'C' => properties.content_type().unwrap_or_default().to_owned(),
        'E' => number(properties.message_expiry_interval()),
        'F' => number(properties.payload_format_indicator().map(u32::from)),
        'R' => properties.response_topic().unwrap_or_default().to_owned(),
        'S' => {
            let all = properties.subscription_identifiers();
            all.map(|identifier| identifier.to_string()).collect::<Vec<_>>().join(" ")
        }
        'P' => {
            let all = properties.user_properties();
            all.map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(" ")
        }
        _ => return None,
    })
}

/// The properties of a message, one a line, in the order in which they came.
fn lines(properties: Properties<'_>) -> impl Iterator<Item = String> {
    properties.iter().filter_map(|property| {
        if let Property::UserProperty((name, value)) = property {
            return Some(format!("user {name}: {value}"));
        }
        if let Property::CorrelationData(data) = property {
            let text = std::str::from_utf8(data).map_or_else(|_| hex(data), str::to_owned);
            return Some(format!("correlation-data: {text}"));
        }
        let (name, value) = if let Property::ContentType(value) = property {
            ("content-type", value.to_owned())
        } else if let Property::ResponseTopic(value) = property {
            ("response-topic", value.to_owned())
        } else if let Property::MessageExpiryInterval(secs) = property {
            ("message-expiry-interval", secs.to_string())
        } else if let Property::SubscriptionIdentifier(identifier) = property {
            ("subscription-identifier", identifier.to_string())
        } else if let Property::PayloadFormatIndicator(value) = property {
            ("payload-format-indicator", value.to_string())
        } else if let Property::TopicAlias(value) = property {
            ("topic-alias", value.to_string())
        } else {
            return None; // none that a PUBLISH has
        };
        Some(format!("{name}: {value}"))
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{PropertiesBuf, QoS};

    fn look(format: Option<&str>, verbose: bool, careful: bool) -> Look {
        Look { format: format.map(str::to_owned), verbose, newline: true, careful }
    }

    fn shown(look: &Look, publish: &Publish<'_>) -> String {
        String::from_utf8(look.show(publish, 1_800_000_000_007)).unwrap()
    }

    fn publish<'a>(payload: &'a [u8], properties: Properties<'a>) -> Publish<'a> {
        Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: true,
            topic: "a/ü",
            packet_id: 1,
            properties,
            payload,
        }
    }

    fn of_all_kinds() -> PropertiesBuf {
        let mut list = PropertiesBuf::default();
        for property in [
            Property::SubscriptionIdentifier(7),
            Property::ContentType("text/plain"),
            Property::UserProperty(("k", "v")),
            Property::CorrelationData(&[1, 0xff]),
            Property::SubscriptionIdentifier(3),
            Property::ResponseTopic("b"),
            Property::UserProperty(("a", "2")),
            Property::MessageExpiryInterval(60),
            Property::PayloadFormatIndicator(1),
        ] {
            list.push(property);
        }
        list
    }

    #[test]
    fn payloads_pass_as_they_are_into_pipes_and_tamed_to_terminals() {
        let message = publish(b"\x1b[2J\xff\ttwo\nlines", Properties::EMPTY);
        let into_pipe = look(None, false, false).show(&message, 0);
        assert_eq!(into_pipe, b"\x1b[2J\xff\ttwo\nlines\n");
        let on_terminal = shown(&look(None, false, true), &message);
        assert_eq!(on_terminal, "\\u{1b}[2J\u{fffd}\ttwo\nlines\n");
        let bare = Look { newline: false, ..look(None, false, false) };
        assert_eq!(bare.show(&publish(b"x", Properties::EMPTY), 0), b"x");
    }

    #[test]
    fn formats() {
        let message = publish(b"\x01\x02", Properties::EMPTY);
        let of = |format| shown(&look(Some(format), false, false), &message);
        assert_eq!(of(r"%t %x %l q%q r%r d%d 100%% %z\t|"), "a/ü 0102 2 q1 r1 d0 100% %z\t|\n");
        assert_eq!(of(r"%U %I\n"), "1800000000.007 2027-01-15 08:00:00Z\n");
        assert_eq!(of("[%C%D%E%F%P%R%S]%"), "[]%\n");
        let list = of_all_kinds();
        let message = publish(b"", list.as_properties());
        let of = |format| shown(&look(Some(format), false, false), &message);
        assert_eq!(of("%C %E %F %R %S %P"), "text/plain 60 1 b 7 3 k:v a:2\n");
        assert!(of("%j").starts_with(r#"{"dup":false,"#) || of("%j").starts_with(r#"{"topic":"#));
    }

    #[test]
    fn properties_of_all_kinds_are_shown_in_order() {
        let list = of_all_kinds();
        let text = shown(&look(None, true, false), &publish(b"x", list.as_properties()));
        let expected = "a/ü x
  subscription-identifier: 7
  content-type: text/plain
  user k: v
  correlation-data: 01ff
  subscription-identifier: 3
  response-topic: b
  user a: 2
  message-expiry-interval: 60
  payload-format-indicator: 1
";
        assert_eq!(text, expected);
    }
}

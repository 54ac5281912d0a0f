//! How a message that arrived is shown.

use std::io::IsTerminal;

use serde_json::{Map, Value, json};

use crate::cli::args::SubArgs;
use crate::cli::table::printable;
use crate::codec::{Properties, Property, Publish};

/// How messages are to be printed.
pub(super) struct Look {
    format: Option<String>,
    verbose: bool,
    /// Nothing may reach a terminal that could change it.
    careful: bool,
}

impl Look {
    pub(super) fn new(args: &SubArgs) -> Self {
        let careful = std::io::stdout().is_terminal();
        Self { format: args.format.clone(), verbose: args.verbose, careful }
    }

    /// A message as bytes for stdout, its last newline included.
    pub(super) fn show(&self, publish: &Publish<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.format {
            Some(format) => self.formatted(format, publish, &mut out),
            None => {
                if self.verbose {
                    self.text(publish.topic.as_bytes(), &mut out);
                    out.push(b' ');
                }
                self.text(publish.payload, &mut out);
                out.push(b'\n');
                if self.verbose {
                    for (name, value) in properties(publish.properties) {
                        let line = format!("  {name}: {value}\n");
                        self.text(line.as_bytes(), &mut out);
                    }
                }
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

    fn formatted(&self, format: &str, publish: &Publish<'_>, out: &mut Vec<u8>) {
        let mut letters = format.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '%' | '\\' => match (letter, letters.next()) {
                    ('%', Some('t')) => self.text(publish.topic.as_bytes(), out),
                    ('%', Some('p')) => self.text(publish.payload, out),
                    ('%', Some('x')) => out.extend_from_slice(hex(publish.payload).as_bytes()),
                    ('%', Some('l')) => {
                        out.extend_from_slice(publish.payload.len().to_string().as_bytes());
                    }
                    ('%', Some('q')) => out.push(b'0' + publish.qos as u8),
                    ('%', Some('r')) => out.push(b'0' + u8::from(publish.retain)),
                    ('%', Some('%')) => out.push(b'%'),
                    ('\\', Some('n')) => out.push(b'\n'),
                    ('\\', Some('t')) => out.push(b'\t'),
                    (_, other) => {
                        out.extend(String::from(letter).bytes());
                        out.extend(other.map(String::from).unwrap_or_default().bytes());
                    }
                },
                _ => out.extend(String::from(letter).bytes()),
            }
        }
        if !format.ends_with("\\n") {
            out.push(b'\n');
        }
    }
}

/// A message for programs.
pub(super) fn object(publish: &Publish<'_>) -> Value {
    let mut object = json!({
        "topic": publish.topic,
        "qos": publish.qos as u8,
        "retain": publish.retain,
    });
    match std::str::from_utf8(publish.payload) {
        Ok(text) => object["payload"] = text.into(),
        Err(_) => object["payload_hex"] = hex(publish.payload).into(),
    }
    let mut shown = Map::new();
    let mut user = Vec::new();
    for property in publish.properties.iter() {
        if let Property::UserProperty((name, value)) = property {
            user.push(json!([name, value]));
        }
    }
    for (name, value) in properties(publish.properties) {
        if !name.starts_with("user ") {
            shown.insert(name.replace('-', "_"), value.into());
        }
    }
    if !user.is_empty() {
        shown.insert("user_properties".to_owned(), user.into());
    }
    if !shown.is_empty() {
        object["properties"] = shown.into();
    }
    object
}

/// The properties of a message by their names, values as text.
fn properties(properties: Properties<'_>) -> Vec<(String, String)> {
    let text = |data: &[u8]| std::str::from_utf8(data).map_or_else(|_| hex(data), str::to_owned);
    let mut shown: Vec<(String, String)> = Vec::new();
    let mut show = |name: &str, value: Option<String>| {
        shown.extend(value.map(|value| (name.to_owned(), value)));
    };
    let secs = properties.message_expiry_interval();
    show("message-expiry-interval", secs.map(|secs| secs.to_string()));
    show("content-type", properties.content_type().map(str::to_owned));
    show("response-topic", properties.response_topic().map(str::to_owned));
    show("correlation-data", properties.correlation_data().map(text));
    let identifier = properties.subscription_identifier();
    show("subscription-identifier", identifier.map(|identifier| identifier.to_string()));
    for property in properties.iter() {
        if let Property::UserProperty((name, value)) = property {
            show(&format!("user {name}"), Some(value.to_owned()));
        }
        if let Property::PayloadFormatIndicator(value) = property {
            show("payload-format-indicator", Some(value.to_string()));
        }
    }
    shown
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{PropertiesBuf, QoS};

    fn look(format: Option<&str>, verbose: bool, careful: bool) -> Look {
        Look { format: format.map(str::to_owned), verbose, careful }
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

    #[test]
    fn payloads_pass_as_they_are_into_pipes_and_tamed_to_terminals() {
        let message = publish(b"\x1b[2J\xff\ttwo\nlines", Properties::EMPTY);
        assert_eq!(look(None, false, false).show(&message), b"\x1b[2J\xff\ttwo\nlines\n");
        let shown = String::from_utf8(look(None, false, true).show(&message)).unwrap();
        assert_eq!(shown, "\\u{1b}[2J\u{fffd}\ttwo\nlines\n");
    }

    #[test]
    fn formats() {
        let message = publish(b"\x01\x02", Properties::EMPTY);
        let shown = look(Some(r"%t %x %l q%q r%r 100%% %z\t|"), false, false).show(&message);
        assert_eq!(String::from_utf8(shown).unwrap(), "a/ü 0102 2 q1 r1 100% %z\t|\n");
    }

    #[test]
    fn properties_are_shown() {
        let mut list = PropertiesBuf::default();
        list.push(Property::ContentType("text/plain"));
        list.push(Property::UserProperty(("k", "v")));
        let message = publish(b"x", list.as_properties());
        let shown = String::from_utf8(look(None, true, false).show(&message)).unwrap();
        assert_eq!(shown, "a/ü x\n  content-type: text/plain\n  user k: v\n");
        let object = object(&message);
        assert_eq!(object["properties"]["content_type"], "text/plain");
        assert_eq!(object["properties"]["user_properties"], json!([["k", "v"]]));
    }
}

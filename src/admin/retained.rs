//! Retained messages, by topic.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{AnswerBy, Argument, Arguments, Call, Completion, Kind, Noun, Pages, Permission};
use super::clients::pages;
use super::{Admin, Problem};
use crate::broker::RetainedView;
use crate::topic::TopicFilter;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "topics",
    doc: "Topics with a retained message",
    calls: &[
        Call {
            name: "topics.list",
            doc: "List topics with a retained message, in order",
            examples: &["topics list", "topics list 'house/+/temperature'"],
            arguments: &[
                Argument::optional("filter", Kind::Text, "Topic Filter [default: #]"),
                Argument::option(
                    "limit",
                    Kind::Number(1, u64::MAX),
                    "At most this many [default: all]",
                ),
            ],
            permission: Permission::Read,
            answer: AnswerBy::Pages(list),
        },
        Call {
            name: "topics.show",
            doc: "Show the retained message of a topic",
            examples: &["topics show house/door"],
            arguments: &[TOPIC],
            permission: Permission::Read,
            answer: AnswerBy::Value(show),
        },
        Call {
            name: "topics.delete",
            doc: "Delete the retained message of a topic",
            examples: &["topics delete house/door"],
            arguments: &[TOPIC],
            permission: Permission::Operate,
            answer: AnswerBy::Value(delete),
        },
    ],
};

const TOPIC: Argument =
    Argument::required("topic", Kind::Text, "Topic Name").completed(Completion::Topic);

/// One retained message in a list: all but its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// Topic Name.
    pub topic: String,
    /// QoS it was published with.
    pub qos: u8,
    /// Bytes of the payload.
    pub payload_bytes: usize,
    /// When it was stored, milliseconds since 1970.
    pub stored_unix_ms: u64,
    /// When it expires, milliseconds since 1970.
    pub expires_unix_ms: Option<u64>,
    /// The payload, when it was asked for and is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The payload in hexadecimal, when it was asked for and is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_hex: Option<String>,
}

impl Retained {
    fn without_payload(view: &RetainedView) -> Self {
        Self {
            topic: (*view.topic).to_owned(),
            qos: view.qos as u8,
            payload_bytes: view.payload.len(),
            stored_unix_ms: view.stored_unix_ms,
            expires_unix_ms: view.expires_unix_ms,
            payload: None,
            payload_hex: None,
        }
    }

    fn with_payload(view: RetainedView) -> Self {
        let mut whole = Self::without_payload(&view);
        match String::from_utf8(view.payload) {
            Ok(text) => whole.payload = Some(text),
            Err(error) => {
                let hex = error.as_bytes().iter().map(|byte| format!("{byte:02x}"));
                whole.payload_hex = Some(hex.collect());
            }
        }
        whole
    }
}

fn list(admin: &Admin, arguments: &Arguments) -> Result<Pages, Problem> {
    let filter = arguments.text("filter").unwrap_or("#");
    if let Err(error) = TopicFilter::parse(filter) {
        return Err(Problem::new(
            "bad_argument",
            format!("{filter:?} is no topic filter: {error}"),
        ));
    }
    let limit = arguments.number("limit").unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let now = admin.now();
    let rows = admin.server.commons().retained(filter, limit, now);
    let rows = rows.map(|view| json!(Retained::without_payload(&view)));
    Ok(pages(rows))
}

fn show(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let topic = arguments.text("topic").unwrap_or_default();
    let is_name = crate::topic::TopicName::parse(topic).is_ok();
    let found = is_name.then(|| admin.server.commons().retained(topic, 1, admin.now()));
    match found.and_then(|mut rows| rows.next()) {
        Some(view) => Ok(json!(Retained::with_payload(view))),
        None => Err(absent(topic)),
    }
}

fn delete(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let topic = arguments.text("topic").unwrap_or_default();
    if admin.server.ask(0, |shard, now| shard.forget_retained(topic, now)) {
        Ok(json!({ "topic": topic, "deleted": true }))
    } else {
        Err(absent(topic))
    }
}

fn absent(topic: &str) -> Problem {
    let message = format!("there is no retained message on {topic:?}");
    Problem::new("not_found", message).hint("mqttd topics list FILTER")
}

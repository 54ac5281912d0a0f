//! Publishing in the server's own name.

use serde_json::{Value, json};

use super::call::{AnswerBy, Argument, Arguments, Call, Kind, Noun, Permission};
use super::{Admin, Problem};
use crate::codec::QoS;
use crate::topic::TopicName;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "publish",
    doc: "Messages in the broker's own name",
    calls: &[Call {
        name: "publish",
        doc: "Publish a message in the broker's own name, without an MQTT connection",
        examples: &["publish house/door open", "publish house/plan '{}' --qos 1 --retain"],
        arguments: &[
            Argument::required("topic", Kind::Text, "Topic Name"),
            Argument::required("message", Kind::Text, "Payload"),
            Argument::option("qos", Kind::Number(0, 2), "Quality of Service [default: 0]"),
            Argument::option("retain", Kind::Flag, "Retain the message"),
        ],
        permission: Permission::Operate,
        answer: AnswerBy::Value(publish),
    }],
};

fn publish(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let topic = arguments.text("topic").unwrap_or_default();
    if let Err(error) = TopicName::parse(topic) {
        let message = format!("{topic:?} is no topic name: {error}");
        return Err(Problem::new("bad_argument", message));
    }
    let qos = match arguments.number("qos") {
        Some(2) => QoS::ExactlyOnce,
        Some(1) => QoS::AtLeastOnce,
        _ => QoS::AtMostOnce,
    };
    let payload = arguments.text("message").unwrap_or_default().as_bytes();
    let retain = arguments.flag("retain");
    let matched = admin.server.ask(0, |shard, now| shard.publish(topic, payload, qos, retain, now));
    Ok(json!({ "topic": topic, "matched": matched }))
}

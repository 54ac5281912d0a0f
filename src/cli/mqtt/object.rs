//! A message as a JSON object, for programs.

use serde_json::{Map, Value, json};

use crate::admin::base64;
use crate::codec::{Properties, Property, Publish};

/// A message that arrived at `received_unix_ms`.
pub(super) fn object(publish: &Publish<'_>, received_unix_ms: u64) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), publish.topic.into());
    object.insert("qos".to_owned(), publish.qos.as_bits().into());
    object.insert("retain".to_owned(), publish.retain.into());
    object.insert("dup".to_owned(), publish.dup.into());
    insert_bytes(&mut object, "payload", publish.payload);
    object.insert("received_unix_ms".to_owned(), received_unix_ms.into());
    let properties = of_properties(publish.properties);
    if !properties.is_empty() {
        object.insert("properties".to_owned(), properties.into());
    }
    object.into()
}

/// Properties by their names; those that may stand more than once are lists, in order.
fn of_properties(properties: Properties<'_>) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut show = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value);
        }
    };
    show("payload_format_indicator", properties.payload_format_indicator().map(Value::from));
    show("message_expiry_interval", properties.message_expiry_interval().map(Value::from));
    show("content_type", properties.content_type().map(Value::from));
    show("response_topic", properties.response_topic().map(Value::from));
    show("topic_alias", properties.topic_alias().map(Value::from));
    let (mut identifiers, mut users) = (Vec::new(), Vec::new());
    for property in properties.iter() {
        if let Property::SubscriptionIdentifier(identifier) = property {
            identifiers.push(identifier);
        } else if let Property::UserProperty((name, value)) = property {
            users.push(json!([name, value]));
        }
    }
    show("subscription_identifiers", (!identifiers.is_empty()).then(|| identifiers.into()));
    show("user_properties", (!users.is_empty()).then(|| users.into()));
    if let Some(data) = properties.correlation_data() {
        insert_bytes(&mut shown, "correlation_data", data);
    }
    shown
}

/// Text as it is; what is not UTF-8 in base64, under another name.
fn insert_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => object.insert(format!("{name}_base64"), base64::encode(bytes).into()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{PropertiesBuf, QoS};

    #[test]
    fn all_that_a_message_has() {
        let mut list = PropertiesBuf::default();
        for property in [
            Property::UserProperty(("k", "2")),
            Property::SubscriptionIdentifier(7),
            Property::UserProperty(("k", "1")),
            Property::MessageExpiryInterval(9),
            Property::SubscriptionIdentifier(3),
            Property::CorrelationData(&[0xff]),
            Property::PayloadFormatIndicator(0),
        ] {
            list.push(property);
        }
        let publish = Publish {
            dup: true,
            qos: QoS::ExactlyOnce,
            retain: false,
            topic: "a",
            packet_id: 1,
            properties: list.as_properties(),
            payload: "ü".as_bytes(),
        };
        let expected = json!({
            "topic": "a", "qos": 2, "retain": false, "dup": true, "payload": "ü",
            "received_unix_ms": 5, "properties": {
                "payload_format_indicator": 0, "message_expiry_interval": 9,
                "correlation_data_base64": "/w==", "subscription_identifiers": [7, 3],
                "user_properties": [["k", "2"], ["k", "1"]],
            },
        });
        assert_eq!(object(&publish, 5), expected);
        let plain =
            object(&Publish { properties: Properties::EMPTY, payload: &[0xff], ..publish }, 5);
        assert_eq!(plain["payload_base64"], "/w==");
        assert!(plain.get("payload").is_none() && plain.get("properties").is_none());
    }
}

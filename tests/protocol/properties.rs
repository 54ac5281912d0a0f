//! Properties of MQTT 5.0 and what a server does with them (sections 2.2.2 and 3.3.2.3).

use mqttd::codec::{
    Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version,
};

use crate::kit::packets::{Hello, publish};
use crate::kit::{both, in_memory};

/// `[MQTT-3.3.2-4]` `[MQTT-3.3.2-15]` `[MQTT-3.3.2-16]` `[MQTT-3.3.2-17]` `[MQTT-3.3.2-18]`
/// `[MQTT-3.3.2-20]`
#[test]
fn what_is_the_receivers_is_passed_on_unaltered() {
    both(|broker| {
        let mut list = PropertiesBuf::default();
        for property in [
            Property::UserProperty(("k", "2")),
            Property::ContentType("text/plain"),
            Property::PayloadFormatIndicator(1),
            Property::ResponseTopic("answers/1"),
            Property::CorrelationData(b"\x00\xff\x00"),
            Property::UserProperty(("k", "1")),
            Property::UserProperty(("", "")),
        ] {
            list.push(property);
        }
        let message = Publish { properties: list.as_properties(), ..publish("a", b"x") };
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        let older = broker.connect(Version::V311, "older");
        broker.subscribe(older, &[("a", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send(publisher, &Packet::Publish(message));
        broker.expect_publish(client, &message);
        broker.expect_publish(older, &publish("a", b"x"));
    });
}

/// `[MQTT-3.3.2-12]` `[MQTT-3.3.2-7]`
#[test]
fn a_topic_alias_stands_for_its_topic() {
    both(|broker| {
        let watcher = broker.connect(Version::V311, "watcher");
        broker.subscribe(watcher, &[("#", QoS::AtMostOnce)]);
        let client = broker.connect(Version::V5, "a");
        for (topic, alias, expected) in [
            ("a", 1, "a"),
            ("b", 10, "b"),
            ("", 1, "a"),
            ("", 10, "b"),
            ("c", 1, "c"),
            ("", 1, "c"),
        ] {
            let mut list = PropertiesBuf::default();
            list.push(Property::TopicAlias(alias));
            let properties = list.as_properties();
            broker.send(client, &Packet::Publish(Publish { properties, ..publish(topic, b"x") }));
            broker.expect_publish(watcher, &publish(expected, b"x"));
        }
        // Not over connections.
        let again = broker.connect(Version::V5, "a");
        broker.expect_disconnected(client, ReasonCode::SessionTakenOver);
        let properties = Properties::from_checked(b"\x23\x00\x01");
        broker.send(again, &Packet::Publish(Publish { properties, ..publish("", b"x") }));
        broker.expect_disconnected(again, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-3.3.2-12]`: each of them.
#[test]
fn every_topic_alias_up_to_the_maximum_is_taken() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        let topics: Vec<String> = (1..=10).map(|alias| format!("t/{alias}")).collect();
        let mut send = |topic: &str, alias: u16, expected: &str| {
            let mut list = PropertiesBuf::default();
            list.push(Property::TopicAlias(alias));
            let properties = list.as_properties();
            broker.send(client, &Packet::Publish(Publish { properties, ..publish(topic, b"x") }));
            broker.expect_publish(client, &publish(expected, b"x"));
        };
        (1..=10).zip(&topics).for_each(|(alias, topic)| send(topic, alias, topic));
        (1..=10).zip(&topics).for_each(|(alias, topic)| send("", alias, topic));
    });
}

/// `[MQTT-3.3.2-8]` `[MQTT-3.3.2-9]`
#[test]
fn a_topic_alias_out_of_bounds_ends_the_connection() {
    both(|broker| {
        for alias in [0, 11, 65_535] {
            let client = broker.connect(Version::V5, "a");
            let mut list = PropertiesBuf::default();
            list.push(Property::TopicAlias(alias));
            let properties = list.as_properties();
            broker.send(client, &Packet::Publish(Publish { properties, ..publish("a", b"x") }));
            broker.expect_disconnected(client, ReasonCode::TopicAliasInvalid);
        }
    });
}

/// `[MQTT-3.3.2-6]`: a message that does not wait loses no second.
#[test]
fn a_message_expiry_is_passed_on() {
    in_memory(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        let properties = Properties::from_checked(b"\x02\x00\x00\x00\x0a");
        let message = Publish { properties, ..publish("a", b"x") };
        broker.send(client, &Packet::Publish(message));
        broker.expect_publish(client, &message);
    });
}

/// Section 2.2.2.2: what the table does not allow.
#[test]
fn properties_that_do_not_belong_end_the_connection() {
    both(|broker| {
        for (list, reason) in [
            // Session Expiry Interval is CONNECT's.
            (&b"\x11\x00\x00\x00\x01"[..], ReasonCode::MalformedPacket),
            // There is no 0x04.
            (b"\x04\x00", ReasonCode::MalformedPacket),
            // Payload Format Indicator twice, and 2.
            (b"\x01\x00\x01\x00", ReasonCode::ProtocolError),
            (b"\x01\x02", ReasonCode::ProtocolError),
            // Content Type that is not UTF-8.
            (b"\x03\x00\x01\xff", ReasonCode::MalformedPacket),
            // `[MQTT-3.3.2-14]`
            (b"\x08\x00\x01#", ReasonCode::ProtocolError),
        ] {
            let client = broker.connect(Version::V5, "a");
            let properties = Properties::from_checked(list);
            broker.send(client, &Packet::Publish(Publish { properties, ..publish("a", b"x") }));
            broker.expect_disconnected(client, reason);
        }
    });
}

/// Receive Maximum and Maximum Packet Size of CONNECT are never 0.
#[test]
fn a_connect_with_impossible_properties_is_refused() {
    both(|broker| {
        for list in [&b"\x21\x00\x00"[..], b"\x27\x00\x00\x00\x00", b"\x17\x02", b"\x19\x02"] {
            let client = broker.open(Version::V5);
            let properties = Properties::from_checked(list);
            broker.send(client, &Hello { properties, ..Hello::new(Version::V5, "a") }.packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.reason, ReasonCode::ProtocolError);
                assert!(!connack.session_present);
            });
            broker.expect_closed(client);
        }
    });
}

/// `[MQTT-3.1.2-29]`: a client that does not want reason strings gets none.
#[test]
fn a_reason_string_is_for_who_wants_it() {
    both(|broker| {
        for (list, wanted) in [(&b"\x17\x00"[..], false), (b"\x17\x01", true), (b"", true)] {
            let properties = Properties::from_checked(list);
            let hello = Hello { properties, ..Hello::new(Version::V5, "a") };
            let (client, _) = broker.connect_as(&hello);
            broker.send_bytes(client, b"\x00\x00");
            broker.hear(client, |packet| {
                let Packet::Disconnect(disconnect) = packet else { panic!("{packet:?}") };
                assert_eq!(disconnect.properties.reason_string().is_some(), wanted);
            });
        }
    });
}

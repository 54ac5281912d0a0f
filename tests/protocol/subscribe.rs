//! SUBSCRIBE, SUBACK and matching (sections 3.8, 3.9 and 4.7).

use mqttd::codec::{
    Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, SubscriptionOptions,
    SubscriptionRequest, Version,
};

use crate::kit::packets::{
    publish, publish_1, publish_2, pubrec, subscribe_packet, subscribe_with,
};
use crate::kit::{Broker, Client, both};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn subscribe_no_local(broker: &mut Broker, client: Client, filter: &str) {
    let options =
        SubscriptionOptions { no_local: true, ..SubscriptionOptions::new(QoS::AtMostOnce) };
    let request = SubscriptionRequest { filter, options };
    let bytes = subscribe_with(Version::V5, 1, Properties::EMPTY, &[request]);
    broker.send_bytes(client, &bytes);
}

/// `[MQTT-3.8.4-1]` `[MQTT-3.8.4-2]` `[MQTT-3.8.4-5]` `[MQTT-3.8.4-6]` `[MQTT-3.8.4-7]`
/// `[MQTT-3.9.3-1]` `[MQTT-2.2.1-6]`
/// `[MQTT3-3.8.4-1]` `[MQTT3-3.8.4-2]` `[MQTT3-3.8.4-5]` `[MQTT3-3.9.3-1]` `[MQTT3-2.3.1-7]`
#[test]
fn each_filter_has_its_answer_in_order() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            let filters =
                [("a", QoS::ExactlyOnce), ("b/+", QoS::AtMostOnce), ("c/#", QoS::AtLeastOnce)];
            let bytes = subscribe_packet(version, 0xabcd, Properties::EMPTY, &filters);
            broker.send_bytes(client, &bytes);
            broker.expect_suback(client, 0xabcd, &[2, 0, 1]);
        }
    });
}

/// `[MQTT-4.7.1-1]` `[MQTT-4.7.1-2]` `[MQTT-4.7.2-1]` `[MQTT-3.3.2-3]`
/// `[MQTT3-4.7.2-1]` `[MQTT3-3.3.2-3]`
#[test]
fn filters_match_as_the_standard_has_it() {
    both(|broker| {
        for version in VERSIONS {
            let publisher = broker.connect(version, "publisher");
            for (filter, matching, others) in [
                (
                    "sport/tennis/player1/#",
                    &["sport/tennis/player1", "sport/tennis/player1/ranking"][..],
                    &["sport/tennis", "sport/tennis/player10"][..],
                ),
                ("sport/tennis/+", &["sport/tennis/player1"], &["sport/tennis/player1/ranking"]),
                ("sport/+", &["sport/"], &["sport"]),
                ("+/+", &["/finance"], &["finance"]),
                ("/+", &["/finance"], &["finance"]),
                ("#", &["a", "/", "a/b/c"], &["$x", "$SYS/a"]),
                ("+/a", &["b/a", "/a"], &["$x/a"]),
                ("$x/#", &["$x", "$x/a"], &["x/a"]),
                ("$x/+/b", &["$x/a/b"], &["$x/b"]),
                ("a//b", &["a//b"], &["a/b"]),
                ("A", &["A"], &["a"]),
            ] {
                let subscriber = broker.connect(version, "subscriber");
                broker.subscribe(subscriber, &[(filter, QoS::AtMostOnce)]);
                for topic in others {
                    broker.send(publisher, &Packet::Publish(publish(topic, b"no")));
                }
                for topic in matching {
                    broker.send(publisher, &Packet::Publish(publish(topic, b"yes")));
                }
                for topic in matching {
                    broker.expect_publish(subscriber, &publish(topic, b"yes"));
                }
                broker.expect_silence(subscriber);
            }
        }
    });
}

/// `[MQTT-3.3.4-2]`: with the highest QoS, once.
/// `[MQTT3-3.3.5-1]`
#[test]
fn overlapping_subscriptions_give_one_message() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a/#", QoS::AtMostOnce), ("a/b", QoS::ExactlyOnce)]);
            broker.subscribe(client, &[("+/b", QoS::AtLeastOnce)]);
            let other = broker.connect(version, "b");
            broker.send(other, &Packet::Publish(publish_2(1, "a/b", b"x")));
            broker.expect_publish(client, &publish_2(0, "a/b", b"x"));
            broker.expect_silence(client);
        }
    });
}

/// `[MQTT-3.3.4-3]` `[MQTT-3.3.4-4]`
#[test]
fn a_message_carries_the_identifiers_of_all_subscriptions_it_matches() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe_as(client, 1, "a/#", QoS::AtMostOnce);
        broker.subscribe_as(client, 268_435_455, "a/+", QoS::AtMostOnce);
        broker.subscribe(client, &[("a/b", QoS::AtMostOnce)]);
        broker.send(client, &Packet::Publish(publish("a/b", b"x")));
        broker.hear(client, |packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            let mut identifiers: Vec<u32> = publish.properties.subscription_identifiers().collect();
            identifiers.sort_unstable();
            assert_eq!(identifiers, [1, 268_435_455]);
        });
        broker.expect_silence(client);
        // A new subscription without one takes the place of the old `[MQTT-3.8.4-3]`.
        broker.subscribe(client, &[("a/#", QoS::AtMostOnce), ("a/+", QoS::AtMostOnce)]);
        broker.send(client, &Packet::Publish(publish("a/b", b"x")));
        broker.expect_publish(client, &publish("a/b", b"x"));
    });
}

/// `[MQTT-3.3.4-6]`
#[test]
fn a_client_does_not_send_subscription_identifiers() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        let properties = Properties::from_checked(b"\x0b\x01");
        broker.send(client, &Packet::Publish(Publish { properties, ..publish("a", b"") }));
        broker.expect_disconnected(client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-3.8.4-3]`
#[test]
fn a_subscription_is_replaced_by_the_next_to_the_same_filter() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
            broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
            let other = broker.connect(version, "b");
            broker.send(other, &Packet::Publish(publish_1(1, "a", b"x")));
            broker.expect_publish(client, &publish_1(0, "a", b"x"));
            broker.expect_silence(client);
        }
    });
}

/// `[MQTT-3.8.3-3]`
#[test]
fn no_local_keeps_a_clients_own_messages_from_it() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        subscribe_no_local(broker, client, "a");
        broker.expect_suback(client, 1, &[0]);
        let other = broker.connect(Version::V5, "b");
        broker.send(client, &Packet::Publish(publish("a", b"mine")));
        broker.expect_silence(client);
        broker.send(other, &Packet::Publish(publish("a", b"theirs")));
        broker.expect_publish(client, &publish("a", b"theirs"));
    });
}

/// `[MQTT-3.8.3-3]` `[MQTT-3.3.4-2]` `[MQTT-3.3.4-3]`: to a client's own message only its
/// subscriptions without No Local count, with their QoS and their identifiers.
#[test]
fn no_local_divides_overlapping_subscriptions() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        for (identifier, filter, qos, no_local) in [
            (1, "a/#", QoS::AtMostOnce, false),
            (2, "a/+", QoS::AtLeastOnce, false),
            (3, "a/b", QoS::ExactlyOnce, true),
        ] {
            let options = SubscriptionOptions { no_local, ..SubscriptionOptions::new(qos) };
            let mut properties = PropertiesBuf::default();
            properties.push(Property::SubscriptionIdentifier(identifier));
            let request = SubscriptionRequest { filter, options };
            let bytes = subscribe_with(Version::V5, 1, properties.as_properties(), &[request]);
            broker.send_bytes(client, &bytes);
            broker.expect_suback(client, 1, &[qos.as_bits()]);
        }
        let other = broker.connect(Version::V5, "b");
        for (from, qos, expected) in
            [(client, QoS::AtLeastOnce, &[1, 2][..]), (other, QoS::ExactlyOnce, &[1, 2, 3])]
        {
            broker.send(from, &Packet::Publish(publish_2(1, "a/b", b"x")));
            let mut heard = Vec::new();
            broker.hear(client, |packet| {
                let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
                assert_eq!(publish.qos, qos);
                heard.extend(publish.properties.subscription_identifiers());
            });
            heard.sort_unstable();
            assert_eq!(heard, expected);
            broker.expect(from, &pubrec(1));
            broker.expect_silence(client);
        }
    });
}

/// `[MQTT-3.8.3-4]`
#[test]
fn no_local_and_shared_do_not_go_together() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        subscribe_no_local(broker, client, "$share/g/a");
        broker.expect_disconnected(client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-3.8.3-2]` `[MQTT-3.8.3-5]` `[MQTT-3.8.1-1]`
#[test]
fn a_malformed_subscribe_ends_the_connection() {
    both(|broker| {
        for (bytes, reason) in [
            (&b"\x82\x03\x00\x01\x00"[..], ReasonCode::ProtocolError),
            (b"\x82\x07\x00\x01\x00\x00\x01a\x80", ReasonCode::MalformedPacket),
            (b"\x82\x07\x00\x01\x00\x00\x01a\x03", ReasonCode::ProtocolError),
            (b"\x82\x07\x00\x01\x00\x00\x01a\x30", ReasonCode::ProtocolError),
            (b"\x80\x07\x00\x01\x00\x00\x01a\x00", ReasonCode::MalformedPacket),
            (b"\x82\x07\x00\x00\x00\x00\x01a\x00", ReasonCode::ProtocolError),
        ] {
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, bytes);
            broker.expect_disconnected(client, reason);
        }
    });
}

/// `[MQTT-4.7.1-1]` `[MQTT-4.7.1-2]` `[MQTT-4.7.3-1]` `[MQTT-4.8.2-1]` `[MQTT-4.8.2-2]`
/// `[MQTT-3.8.4-7]` `[MQTT-3.9.3-2]`: 5.0 has a Reason Code for it.
#[test]
fn an_invalid_filter_is_refused() {
    both(|broker| {
        for filter in ["a/#/b", "a#", "a+", "", "$share//a", "$share/g", "$share/g/", "$share/+/a"]
        {
            let filters = [("ok", QoS::AtMostOnce), (filter, QoS::AtMostOnce)];
            let client = broker.connect(Version::V5, "a");
            let bytes = subscribe_packet(Version::V5, 3, Properties::EMPTY, &filters);
            broker.send_bytes(client, &bytes);
            let invalid = ReasonCode::TopicFilterInvalid.as_byte();
            broker.expect_suback(client, 3, &[0, invalid]);

            let client = broker.connect(Version::V311, "b");
            let bytes = subscribe_packet(Version::V311, 3, Properties::EMPTY, &filters);
            broker.send_bytes(client, &bytes);
            broker.expect_closed(client);
        }
    });
}

/// A message published before the subscription does not come, one after it does.
#[test]
fn a_subscription_begins_with_its_suback() {
    both(|broker| {
        let publisher = broker.connect(Version::V311, "publisher");
        broker.send(publisher, &Packet::Publish(publish("a", b"before")));
        broker.expect_silence(publisher);
        let client = broker.connect(Version::V311, "a");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        broker.send(publisher, &Packet::Publish(publish("a", b"after")));
        broker.expect_publish(client, &publish("a", b"after"));
    });
}

/// The properties of SUBSCRIBE may hold anything a person wants to say.
#[test]
fn user_properties_of_a_subscribe_are_ignored() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        let mut properties = PropertiesBuf::default();
        properties.push(Property::UserProperty(("a", "b")));
        let bytes =
            subscribe_packet(Version::V5, 1, properties.as_properties(), &[("a", QoS::AtMostOnce)]);
        broker.send_bytes(client, &bytes);
        broker.expect_suback(client, 1, &[0]);
    });
}

/// Bridges of mosquitto say what they are in the Protocol Level: they get the RETAIN flag as it
/// was published, and never their own messages.
#[test]
fn a_bridge_is_treated_as_one() {
    both(|broker| {
        let bridge = broker.open(Version::V311);
        broker.send_bytes(bridge, b"\x10\x12\x00\x04MQTT\x84\x02\x00\x00\x00\x06bridge");
        broker.hear(bridge, |packet| assert!(matches!(packet, Packet::Connack(_)), "{packet:?}"));
        broker.subscribe(bridge, &[("a", QoS::AtMostOnce)]);
        broker.send(bridge, &Packet::Publish(publish("a", b"mine")));
        broker.expect_silence(bridge);
        let other = broker.connect(Version::V311, "other");
        let message = Publish { retain: true, ..publish("a", b"theirs") };
        broker.send(other, &Packet::Publish(message));
        broker.expect_publish(bridge, &message);
    });
}

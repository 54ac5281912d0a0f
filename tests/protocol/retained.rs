//! Retained messages (section 3.3.1.3) and Retain Handling.

use mqttd::codec::{
    Packet, Properties, Publish, QoS, RetainHandling, SubscriptionOptions, SubscriptionRequest,
    Version,
};

use crate::kit::packets::{
    puback_unmatched, publish, publish_1, publish_2, retained, subscribe_with,
};
use crate::kit::{Broker, Client, both, in_memory};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Publishes, and waits until the broker has it.
fn retain(broker: &mut Broker, topic: &str, payload: &[u8]) {
    let client = broker.connect(Version::V311, "retainer");
    broker.send(client, &Packet::Publish(retained(publish_1(1, topic, payload))));
    broker.hear(client, |packet| assert!(matches!(packet, Packet::Puback(_)), "{packet:?}"));
    broker.disconnect(client);
}

fn subscribe_handling(
    broker: &mut Broker,
    client: Client,
    handling: RetainHandling,
    retain_as_published: bool,
) {
    let options = SubscriptionOptions {
        retain_handling: handling,
        retain_as_published,
        ..SubscriptionOptions::new(QoS::AtMostOnce)
    };
    let request = SubscriptionRequest { filter: "a", options };
    let bytes = subscribe_with(Version::V5, 1, Properties::EMPTY, &[request]);
    broker.send_bytes(client, &bytes);
    broker.expect_suback(client, 1, &[0]);
}

/// `[MQTT-3.3.1-5]` `[MQTT-3.3.1-9]`
/// `[MQTT3-3.3.1-6]` `[MQTT3-3.3.1-8]`
#[test]
fn a_new_subscriber_gets_the_last_one() {
    both(|broker| {
        for version in VERSIONS {
            retain(broker, "a/b", b"first");
            retain(broker, "a/b", b"last");
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a/+", QoS::AtMostOnce)]);
            broker.expect_publish(client, &retained(publish("a/b", b"last")));
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-3.3.1-12]` `[MQTT-3.3.1-6]`: who is subscribed gets it as any other message, without the flag.
/// `[MQTT3-3.3.1-9]`
#[test]
fn an_established_subscriber_gets_it_without_the_flag() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
            broker.send(client, &Packet::Publish(retained(publish("a", b"x"))));
            broker.expect_publish(client, &publish("a", b"x"));
            broker.send(client, &Packet::Publish(retained(publish("a", b""))));
            broker.expect_publish(client, &publish("a", b""));
        }
    });
}

/// `[MQTT-3.3.1-6]` `[MQTT-3.3.1-7]`
#[test]
fn an_empty_payload_removes_it() {
    both(|broker| {
        retain(broker, "a", b"x");
        retain(broker, "a", b"");
        // Once more: there is nothing to remove.
        retain(broker, "a", b"");
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.3.1-8]`: a message without the flag neither replaces nor removes, and is not kept.
#[test]
fn a_message_without_the_flag_leaves_it() {
    both(|broker| {
        for version in VERSIONS {
            retain(broker, "a", b"stays");
            let client = broker.connect(version, "a");
            broker.send(client, &Packet::Publish(publish_1(1, "a", b"")));
            broker.expect(client, &puback_unmatched(version, 1));
            for topic in ["a", "b"] {
                broker.send(client, &Packet::Publish(publish(topic, b"passes")));
            }
            broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
            broker.expect_publish(client, &retained(publish("a", b"stays")));
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-3.8.4-8]`
#[test]
fn it_comes_with_the_lower_of_both_qos() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.send(client, &Packet::Publish(retained(publish_2(1, "a", b"x"))));
        broker.hear(client, |packet| assert!(matches!(packet, Packet::Pubrec(_)), "{packet:?}"));
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            broker.subscribe(client, &[("a", qos)]);
            broker.expect_publish(client, &Publish { qos, ..retained(publish("a", b"x")) });
        }
    });
}

/// `[MQTT-4.7.2-1]` `[MQTT-4.7.1-1]`
#[test]
fn filters_find_what_they_match() {
    both(|broker| {
        for topic in ["a", "a/b", "a/b/c", "b/b", "$x/a", "/"] {
            retain(broker, topic, topic.as_bytes());
        }
        for (filter, topics) in [
            ("#", &["/", "a", "a/b", "a/b/c", "b/b"][..]),
            ("a/#", &["a", "a/b", "a/b/c"]),
            ("+/b", &["a/b", "b/b"]),
            ("+", &["a"]),
            ("+/+", &["/", "a/b", "b/b"]),
            ("$x/#", &["$x/a"]),
            ("a/b", &["a/b"]),
            ("c", &[]),
        ] {
            let client = broker.connect(Version::V5, "a");
            broker.subscribe(client, &[(filter, QoS::AtMostOnce)]);
            for topic in topics {
                broker.expect_publish(client, &retained(publish(topic, topic.as_bytes())));
            }
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-3.8.4-4]` and `[MQTT-3.3.1-10]` `[MQTT-3.3.1-11]`
#[test]
fn retain_handling_says_when_it_is_sent() {
    both(|broker| {
        retain(broker, "a", b"x");
        let message = retained(publish("a", b"x"));
        let client = broker.connect(Version::V5, "a");
        subscribe_handling(broker, client, RetainHandling::DoNotSend, false);
        broker.expect_silence(client);
        subscribe_handling(broker, client, RetainHandling::SendIfNew, false);
        broker.expect_silence(client);
        subscribe_handling(broker, client, RetainHandling::Send, false);
        broker.expect_publish(client, &message);
        let client = broker.connect(Version::V5, "b");
        subscribe_handling(broker, client, RetainHandling::SendIfNew, false);
        broker.expect_publish(client, &message);
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.3.1-13]`
#[test]
fn retain_as_published_keeps_the_flag() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        subscribe_handling(broker, client, RetainHandling::Send, true);
        broker.send(client, &Packet::Publish(retained(publish("a", b"x"))));
        broker.expect_publish(client, &retained(publish("a", b"x")));
        broker.send(client, &Packet::Publish(publish("a", b"x")));
        broker.expect_publish(client, &publish("a", b"x"));
    });
}

/// A retained message stays when its publisher's session ends.
#[test]
fn it_outlives_its_publisher() {
    both(|broker| {
        let client = broker.connect(Version::V311, "publisher");
        broker.send(client, &Packet::Publish(retained(publish_1(1, "a", b"x"))));
        broker.hear(client, |packet| assert!(matches!(packet, Packet::Puback(_)), "{packet:?}"));
        broker.cut(client);
        let client = broker.connect(Version::V311, "publisher");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        broker.expect_publish(client, &retained(publish("a", b"x")));
    });
}

/// `[MQTT-3.3.2-5]` `[MQTT-3.3.2-6]`
#[test]
fn an_expired_one_is_gone_and_the_others_count_down() {
    in_memory(|broker| {
        let client = broker.connect(Version::V5, "a");
        let ten_secs = Properties::from_checked(b"\x02\x00\x00\x00\x0a");
        let message = Publish { properties: ten_secs, ..retained(publish("a", b"x")) };
        broker.send(client, &Packet::Publish(message));
        broker.pass_secs(4);
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        let six_secs = Properties::from_checked(b"\x02\x00\x00\x00\x06");
        broker.expect_publish(client, &Publish { properties: six_secs, ..message });
        broker.pass_secs(6);
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        broker.expect_silence(client);
    });
}

/// Its properties stay with it, and the subscription that asked for it is named.
#[test]
fn it_comes_with_its_properties() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        let properties = Properties::from_checked(b"\x03\x00\x01c\x26\x00\x01k\x00\x01v");
        let message = Publish { properties, ..retained(publish("a", b"x")) };
        broker.send(client, &Packet::Publish(message));
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        broker.expect_publish(client, &message);
        broker.subscribe_as(client, 9, "a", QoS::AtMostOnce);
        broker.hear(client, |packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            assert!(publish.properties.subscription_identifiers().eq([9]));
            assert!(publish.properties.user_properties().eq([("k", "v")]));
            assert_eq!(publish.properties.content_type(), Some("c"));
        });
    });
}

/// What is retained is nobody's own: also its publisher gets it with a new No Local subscription.
#[test]
fn it_is_nobodys_own() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.send(client, &Packet::Publish(retained(publish("a", b"x"))));
        let options =
            SubscriptionOptions { no_local: true, ..SubscriptionOptions::new(QoS::AtMostOnce) };
        let request = SubscriptionRequest { filter: "a", options };
        let bytes = subscribe_with(Version::V5, 1, Properties::EMPTY, &[request]);
        broker.send_bytes(client, &bytes);
        broker.expect_suback(client, 1, &[0]);
        broker.expect_publish(client, &retained(publish("a", b"x")));
        broker.send(client, &Packet::Publish(retained(publish("a", b"y"))));
        broker.expect_silence(client);
    });
}

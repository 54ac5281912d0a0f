//! PUBLISH and the three QoS (sections 3.3 to 3.7 and 4.3).

use mqttd::codec::{Packet, Publish, QoS, ReasonCode, Version};

use crate::kit::packets::{
    puback, puback_unmatched, pubcomp, pubcomp_unknown, publish, publish_1, publish_2, pubrec,
    pubrec_unmatched, pubrel,
};
use crate::kit::{Broker, Client, both};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
const ALL_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Acknowledges what was received with a QoS, to the end.
fn acknowledge(broker: &mut Broker, client: Client, qos: QoS, packet_id: u16) {
    match qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => broker.send(client, &puback(packet_id)),
        QoS::ExactlyOnce => {
            broker.send(client, &pubrec(packet_id));
            broker.expect(client, &pubrel(packet_id));
            broker.send(client, &pubcomp(packet_id));
        }
    }
}

/// Publishes and goes through all acknowledgements.
fn publish_through(broker: &mut Broker, client: Client, publish: &Publish<'_>) {
    broker.send(client, &Packet::Publish(*publish));
    match publish.qos {
        QoS::AtMostOnce => {}
        QoS::AtLeastOnce => broker.expect(client, &puback(publish.packet_id)),
        QoS::ExactlyOnce => {
            broker.expect(client, &pubrec(publish.packet_id));
            broker.send(client, &pubrel(publish.packet_id));
            broker.expect(client, &pubcomp(publish.packet_id));
        }
    }
}

/// `[MQTT-3.8.4-8]`: the lower of both QoS, in all versions and both ways.
/// `[MQTT3-3.8.4-6]`
#[test]
fn a_message_comes_with_the_lower_of_both_qos() {
    both(|broker| {
        for (from, to) in [(0, 2), (1, 1), (2, 0), (2, 1)] {
            let publisher = broker.connect(VERSIONS[from], "publisher");
            let subscriber = broker.connect(VERSIONS[to], "subscriber");
            for granted in ALL_QOS {
                broker.subscribe(subscriber, &[("a/b", granted)]);
                for (published, sent) in [
                    (QoS::AtMostOnce, publish("a/b", b"0")),
                    (QoS::AtLeastOnce, publish_1(5, "a/b", b"1")),
                    (QoS::ExactlyOnce, publish_2(5, "a/b", b"2")),
                ] {
                    publish_through(broker, publisher, &sent);
                    let qos = published.min(granted);
                    let packet_id = broker.expect_publish(subscriber, &Publish { qos, ..sent });
                    acknowledge(broker, subscriber, qos, packet_id);
                }
            }
            broker.expect_silence(subscriber);
        }
    });
}

/// `[MQTT-3.3.4-1]` `[MQTT-4.3.2-4]` `[MQTT-4.3.3-8]` `[MQTT-4.3.3-11]` `[MQTT-2.2.1-5]`
/// `[MQTT3-3.3.4-1]` `[MQTT3-2.3.1-6]` `[MQTT3-4.3.2-2]`
#[test]
fn a_message_nobody_wants_is_acknowledged_all_the_same() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.send(client, &Packet::Publish(publish("a", b"x")));
            broker.send(client, &Packet::Publish(publish_1(1, "a", b"x")));
            broker.expect(client, &puback_unmatched(version, 1));
            broker.send(client, &Packet::Publish(publish_2(65_535, "a", b"x")));
            broker.expect(client, &pubrec_unmatched(version, 65_535));
            broker.send(client, &pubrel(65_535));
            broker.expect(client, &pubcomp(65_535));
            broker.expect_silence(client);
        }
    });
}

/// `[MQTT-4.3.3-10]` `[MQTT-4.3.3-12]`
/// `[MQTT3-4.3.3-2]`
#[test]
fn a_qos_2_message_is_passed_on_once_until_it_is_released() {
    both(|broker| {
        for version in VERSIONS {
            let subscriber = broker.connect(version, "subscriber");
            broker.subscribe(subscriber, &[("a", QoS::AtMostOnce)]);
            let publisher = broker.connect(version, "publisher");
            broker.send(publisher, &Packet::Publish(publish_2(9, "a", b"once")));
            broker.expect(publisher, &pubrec(9));
            let again = Publish { dup: true, ..publish_2(9, "a", b"once") };
            broker.send(publisher, &Packet::Publish(again));
            broker.expect(publisher, &pubrec(9));
            broker.send(publisher, &pubrel(9));
            broker.expect(publisher, &pubcomp(9));
            broker.expect_publish(subscriber, &publish("a", b"once"));
            broker.expect_silence(subscriber);
            // Released: the identifier is another message's now.
            broker.send(publisher, &Packet::Publish(publish_2(9, "a", b"other")));
            broker.expect(publisher, &pubrec(9));
            broker.expect_publish(subscriber, &publish("a", b"other"));
            broker.send(publisher, &pubrel(9));
            broker.expect(publisher, &pubcomp(9));
        }
    });
}

/// `[MQTT-4.3.2-5]`
#[test]
fn a_qos_1_message_sent_twice_comes_twice() {
    both(|broker| {
        for version in VERSIONS {
            let subscriber = broker.connect(version, "subscriber");
            broker.subscribe(subscriber, &[("a", QoS::AtMostOnce)]);
            let publisher = broker.connect(version, "publisher");
            for dup in [false, true] {
                let message = Publish { dup, ..publish_1(3, "a", b"x") };
                broker.send(publisher, &Packet::Publish(message));
                broker.expect(publisher, &puback(3));
                // `[MQTT-3.3.1-3]`: DUP is not passed on.
                broker.expect_publish(subscriber, &publish("a", b"x"));
            }
        }
    });
}

/// PUBREL for an identifier that is not in use is answered: its PUBCOMP was lost.
#[test]
fn a_pubrel_out_of_the_blue_is_answered() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.send(client, &pubrel(44));
            broker.expect(client, &pubcomp_unknown(version, 44));
        }
    });
}

/// An acknowledgement of nothing is forgiven, one of the wrong kind is not.
#[test]
fn acknowledgements_fit_what_they_acknowledge() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.send(client, &puback(1));
        broker.send(client, &pubcomp(1));
        broker.expect_silence(client);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        broker.send(client, &Packet::Publish(publish_2(1, "a", b"")));
        broker.hear(client, |packet| assert!(matches!(packet, Packet::Publish(_)), "{packet:?}"));
        broker.expect(client, &pubrec(1));
        broker.send(client, &puback(1));
        broker.expect_disconnected(client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-4.4.0-2]`: a refused message is done with.
#[test]
fn a_refused_message_is_done_with() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "b");
        broker.send(publisher, &Packet::Publish(publish_1(1, "a", b"1")));
        let packet_id = broker.expect_publish(client, &publish_1(0, "a", b"1"));
        broker.send_bytes(client, &[0x40, 3, 0, packet_id.to_be_bytes()[1], 0x87]);
        broker.send(publisher, &Packet::Publish(publish_2(2, "a", b"2")));
        let packet_id = broker.expect_publish(client, &publish_2(0, "a", b"2"));
        broker.send_bytes(client, &[0x50, 3, 0, packet_id.to_be_bytes()[1], 0x97]);
        broker.expect_silence(client);
        broker.cut(client);
        let client = broker.resume(Version::V5, "a", true);
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.6.0-6]` `[MQTT-4.6.0-2]`
#[test]
fn messages_and_answers_keep_their_order() {
    both(|broker| {
        let subscriber = broker.connect(Version::V311, "subscriber");
        broker.subscribe(subscriber, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        let texts: Vec<String> = (1..=50).map(|number| number.to_string()).collect();
        let mut bytes = Vec::new();
        for (text, packet_id) in texts.iter().zip(1..) {
            publish_1(packet_id, "a", text.as_bytes()).encode(Version::V311, &mut bytes);
        }
        broker.send_bytes(publisher, &bytes);
        for (text, packet_id) in texts.iter().zip(1..) {
            broker.expect(publisher, &puback(packet_id));
            broker.expect_publish(subscriber, &publish_1(0, "a", text.as_bytes()));
        }
    });
}

/// `[MQTT-3.3.2-2]` `[MQTT-4.7.0-1]` `[MQTT-4.7.3-1]`
/// `[MQTT3-3.3.2-2]` `[MQTT3-4.7.1-1]` `[MQTT3-4.7.3-1]`
#[test]
fn a_topic_name_has_no_wildcards() {
    both(|broker| {
        for version in VERSIONS {
            for topic in ["a/+", "#", "a#"] {
                let client = broker.connect(version, "a");
                broker.send(client, &Packet::Publish(publish(topic, b"x")));
                broker.expect_disconnected(client, ReasonCode::TopicNameInvalid);
            }
            let client = broker.connect(version, "a");
            broker.send(client, &Packet::Publish(publish("", b"x")));
            broker.expect_disconnected(client, ReasonCode::ProtocolError);
        }
    });
}

/// `[MQTT-1.5.4-2]` `[MQTT-1.5.4-3]` `[MQTT-4.7.3-4]`
/// `[MQTT3-4.7.3-4]` `[MQTT3-1.5.3-3]`
#[test]
fn topics_are_taken_as_they_are() {
    both(|broker| {
        let client = broker.connect(Version::V311, "a");
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        for topic in ["ü/火", "\u{feff}a", " ", "/", "//", "a/", "e\u{301}", "\u{e9}"] {
            broker.send(client, &Packet::Publish(publish(topic, b"x")));
            broker.expect_publish(client, &publish(topic, b"x"));
        }
        broker.send_bytes(client, b"\x30\x05\x00\x03a\x00b");
        broker.expect_closed(client);
    });
}

#[test]
fn a_payload_may_be_empty_or_large() {
    both(|broker| {
        let client = broker.connect(Version::V311, "a");
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        for len in [0, 1, 127, 128, 16_384, 700_000] {
            let payload = vec![0xa5; len];
            broker.send(client, &Packet::Publish(publish("a", &payload)));
            broker.expect_publish(client, &publish("a", &payload));
        }
    });
}

/// `[MQTT-3.3.1-4]` `[MQTT-3.3.1-2]` `[MQTT-2.2.1-3]`
#[test]
fn impossible_headers_end_the_connection() {
    both(|broker| {
        for (bytes, reason) in [
            (&b"\x36\x06\x00\x01a\x00\x01\x00"[..], ReasonCode::MalformedPacket),
            (b"\x38\x04\x00\x01a\x00", ReasonCode::MalformedPacket),
            (b"\x32\x06\x00\x01a\x00\x00\x00", ReasonCode::ProtocolError),
        ] {
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, bytes);
            broker.expect_disconnected(client, reason);
        }
    });
}

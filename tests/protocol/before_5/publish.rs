//! PUBLISH and the three QoS (sections 3.3 to 3.7, 4.3, 4.5 and 4.6).

use mqttd::broker::Limits;
use mqttd::codec::{Packet, Publish, QoS, Version};

use super::{BEFORE_5, publish_from_elsewhere};
use crate::kit::packets::{
    puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, retained,
};
use crate::kit::{both, both_with, limits};

/// DUP says whether this packet was sent before, not whether the publisher's was.
///
/// `[MQTT3-3.3.1-3]` `[MQTT3-4.3.2-1]` `[MQTT3-4.3.3-1]`
#[test]
fn dup_is_not_passed_on() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
            let other = broker.connect(version, "b");
            let again = |publish| Packet::Publish(Publish { dup: true, ..publish });
            broker.send(other, &again(publish_1(1, "a", b"1")));
            broker.expect(other, &puback(1));
            broker.send(other, &again(publish_2(2, "a", b"2")));
            broker.expect(other, &pubrec(2));
            broker.expect_publish(client, &publish_1(0, "a", b"1"));
            broker.expect_publish(client, &publish_2(0, "a", b"2"));
            broker.disconnect(client);
        }
    });
}

/// `[MQTT3-4.3.2-2]` `[MQTT3-3.3.4-1]`: acknowledged, the next with the identifier is a new one.
#[test]
fn a_qos_1_message_is_acknowledged_each_time() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
            let other = broker.connect(version, "b");
            for (dup, payload) in [(false, b"1"), (false, b"2"), (true, b"2")] {
                let message = Publish { dup, ..publish_1(9, "a", payload) };
                broker.send(other, &Packet::Publish(message));
                broker.expect(other, &puback(9));
                broker.expect_publish(client, &publish("a", payload));
            }
            broker.disconnect(client);
        }
    });
}

/// Identifiers of messages that wait for an answer are not used for others, and their messages do
/// not end before it comes.
///
/// `[MQTT3-2.3.1-4]` `[MQTT3-4.3.2-1]` `[MQTT3-4.3.3-1]`
#[test]
fn identifiers_in_use_are_not_given_out_again() {
    both_with(&Limits { inflight_max: 2, ..limits() }, |broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
            let other = broker.connect(version, "b");
            broker.send(other, &Packet::Publish(publish_2(1, "a", b"2")));
            broker.expect(other, &pubrec(1));
            let first = broker.expect_publish(client, &publish_2(0, "a", b"2"));
            for text in [b"1", b"3", b"4"] {
                broker.send(other, &Packet::Publish(publish_1(2, "a", text)));
                broker.expect(other, &puback(2));
            }
            for text in [b"1", b"3"] {
                let next = broker.expect_publish(client, &publish_1(0, "a", text));
                assert!(next != first && next != 0, "{next}");
                // Two are in flight, the third waits for an answer, which a PUBREC is not.
                broker.send(client, &pubrec(first));
                broker.expect(client, &pubrel(first));
                broker.expect_silence(client);
                broker.send(client, &puback(next));
            }
            broker.expect_publish(client, &publish_1(0, "a", b"4"));
            broker.disconnect(client);
        }
    });
}

/// `[MQTT3-4.3.3-2]` `[MQTT3-2.3.1-6]`: once until it is released, then it is another.
#[test]
fn a_qos_2_identifier_stands_for_one_message_until_it_is_released() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
            let other = broker.connect(version, "b");
            for payload in [b"1", b"2"] {
                for dup in [false, true, true] {
                    let message = Publish { dup, ..publish_2(0x0102, "a", payload) };
                    broker.send(other, &Packet::Publish(message));
                    broker.expect(other, &pubrec(0x0102));
                }
                // Another identifier is another message all the while.
                broker.send(other, &Packet::Publish(publish_2(0x0201, "a", b"other")));
                broker.expect(other, &pubrec(0x0201));
                for packet_id in [0x0102, 0x0201] {
                    broker.send(other, &pubrel(packet_id));
                    broker.expect(other, &pubcomp(packet_id));
                }
                broker.expect_publish(client, &publish("a", payload));
                broker.expect_publish(client, &publish("a", b"other"));
                broker.expect_silence(client);
            }
            broker.disconnect(client);
        }
    });
}

/// PUBREC in the order of PUBLISH, PUBREL in the order of PUBREC, also when they come in one piece.
///
/// `[MQTT3-4.6.0-2]` `[MQTT3-4.6.0-3]` `[MQTT3-4.6.0-4]` `[MQTT3-4.6.0-5]` `[MQTT3-4.6.0-6]`
#[test]
fn answers_keep_the_order_of_what_they_answer() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("1", QoS::AtLeastOnce), ("2", QoS::ExactlyOnce)]);
            let other = broker.connect(version, "b");
            let mut bytes = Vec::new();
            // Identifiers that do not grow.
            let ids: [u16; 5] = [7, 300, 2, 65_000, 1];
            for packet_id in ids {
                let text = packet_id.to_string();
                publish_2(packet_id, "2", text.as_bytes()).encode(version, &mut bytes);
                publish_1(packet_id + 500, "1", text.as_bytes()).encode(version, &mut bytes);
            }
            broker.send_bytes(other, &bytes);
            for packet_id in ids {
                broker.expect(other, &pubrec(packet_id));
                broker.expect(other, &puback(packet_id + 500));
            }
            let mut recs = Vec::new();
            let mut received = Vec::new();
            for packet_id in ids {
                let text = packet_id.to_string();
                received.push(broker.expect_publish(client, &publish_2(0, "2", text.as_bytes())));
                broker.expect_publish(client, &publish_1(0, "1", text.as_bytes()));
            }
            for &packet_id in received.iter().rev() {
                mqttd::codec::encode(&pubrec(packet_id), version, &mut recs);
            }
            broker.send_bytes(client, &recs);
            for &packet_id in received.iter().rev() {
                broker.expect(client, &pubrel(packet_id));
            }
            broker.disconnect(client);
        }
    });
}

/// One message to everybody whose subscription matches, here or away.
///
/// `[MQTT3-4.5.0-1]` `[MQTT3-3.3.2-3]`
#[test]
fn a_message_comes_to_all_who_match() {
    both(|broker| {
        for version in BEFORE_5 {
            let filters = ["a/b", "a/+", "#", "a/b/#", "a", "b/b", "a/b/+"];
            let clients: Vec<_> = filters
                .iter()
                .zip(["1", "2", "3", "4", "5", "6", "7"])
                .map(|(filter, client_id)| {
                    let client = broker.connect(version, client_id);
                    broker.subscribe(client, &[(filter, QoS::AtLeastOnce)]);
                    client
                })
                .collect();
            publish_from_elsewhere(broker, "a/b", b"x");
            for (number, client) in clients.into_iter().enumerate() {
                if number < 4 {
                    broker.expect_publish(client, &publish_1(0, "a/b", b"x"));
                }
                broker.expect_silence(client);
                broker.disconnect(client);
            }
        }
    });
}

/// With subscriptions that overlap, one message with the highest QoS of those that match.
///
/// `[MQTT3-3.3.5-1]`
#[test]
fn overlapping_subscriptions_give_the_highest_qos() {
    both(|broker| {
        for version in BEFORE_5 {
            let other = broker.connect(version, "b");
            for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
                let client = broker.connect(version, "a");
                let all =
                    [("a/#", QoS::AtMostOnce), ("a/+", QoS::AtLeastOnce), ("+/b", QoS::AtMostOnce)];
                broker.subscribe(client, &[("c", QoS::ExactlyOnce)]);
                for number in order {
                    broker.subscribe(client, &[all[number]]);
                }
                broker.send(other, &Packet::Publish(publish_2(1, "a/b", b"x")));
                broker.expect(other, &pubrec(1));
                broker.send(other, &pubrel(1));
                broker.expect(other, &pubcomp(1));
                broker.expect_publish(client, &publish_1(0, "a/b", b"x"));
                broker.expect_silence(client);
                broker.disconnect(client);
            }
        }
    });
}

/// What the server does not take it acknowledges all the same (a retained message that finds no
/// room), or the connection ends (a topic it does not have).
///
/// `[MQTT3-3.3.5-2]` `[MQTT31-12]`
#[test]
fn what_is_not_taken_is_acknowledged_or_ends_the_connection() {
    let limits = Limits { topic_levels_max: 2, retained_messages_max: 0, ..limits() };
    both_with(&limits, |broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.send(client, &Packet::Publish(retained(publish_1(1, "a", b"x"))));
            broker.expect(client, &puback(1));
            broker.send(client, &Packet::Publish(retained(publish_2(2, "a", b"x"))));
            broker.expect(client, &pubrec(2));
            broker.send(client, &Packet::Publish(publish_1(3, "a/b/c", b"x")));
            broker.expect_closed(client);
        }
    });
}

/// Byte for byte, whatever it is.
///
/// `[MQTT31-13]`
#[test]
fn a_payload_is_anything() {
    both(|broker| {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        for version in [Version::V31, Version::V311] {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
            for payload in [&all[..], b""] {
                broker.send(client, &Packet::Publish(publish("a", payload)));
                broker.expect_publish(client, &publish("a", payload));
            }
        }
    });
}

//! Full queues: who is told, who loses what, and that nobody gets half.

use mqttd::broker::{Limits, QueueFull};
use mqttd::codec::{Packet, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version, encode};

use crate::kit::packets::{
    Hello, puback, puback_unmatched, pubcomp, publish, publish_1, publish_2, pubrec, pubrel,
    retained,
};
use crate::kit::{Broker, Client, both_with, limits, memory_with};

/// Those with Session Present in CONNACK.
const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

fn with(queue_full: QueueFull, queue_messages_max: u32) -> Limits {
    Limits { queue_full, queue_messages_max, ..limits() }
}

/// A client that subscribed and went, and whose session is kept.
fn absent(broker: &mut Broker, version: Version, client_id: &str, filters: &[(&str, QoS)]) {
    let client = broker.resume(version, client_id, false);
    broker.subscribe(client, filters);
    broker.disconnect(client);
}

/// It comes back, and must hear just this, all of QoS 1.
fn expect_waiting(broker: &mut Broker, version: Version, client_id: &str, expected: &[&[u8]]) {
    let client = broker.resume(version, client_id, true);
    for payload in expected {
        let packet_id = broker.expect_publish(client, &publish_1(0, "a", payload));
        broker.send(client, &puback(packet_id));
    }
    broker.expect_silence(client);
    broker.disconnect(client);
}

fn send_1(broker: &mut Broker, publisher: Client, packet_id: u16, payload: &[u8]) {
    broker.send(publisher, &Packet::Publish(publish_1(packet_id, "a", payload)));
}

/// Expects a PUBACK or PUBREC that refuses, with words that name nobody.
fn expect_refused(broker: &mut Broker, client: Client, packet_id: u16) {
    broker.hear(client, |packet| {
        let (Packet::Puback(ack) | Packet::Pubrec(ack)) = packet else { panic!("{packet:?}") };
        assert_eq!((ack.packet_id, ack.reason), (packet_id, ReasonCode::QuotaExceeded));
        let words = ack.properties.reason_string().expect("a reason string");
        assert!(words.contains("queue") && !words.contains("sub-"), "{words}");
    });
}

/// Names of sessions of all shards, whose letters must be read before a queue is known to be full.
const SUBSCRIBERS: [&str; 4] = ["sub-1", "sub-2", "sub-3", "sub-4"];

#[test]
fn what_waits_longest_makes_room() {
    for version in VERSIONS {
        memory_with(&with(QueueFull::DropOldest, 3), |broker| {
            for client_id in SUBSCRIBERS {
                absent(broker, version, client_id, &[("a", QoS::AtLeastOnce)]);
            }
            let publisher = broker.connect(version, "publisher");
            for (packet_id, payload) in [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4"), (5, b"5")] {
                send_1(broker, publisher, packet_id, payload);
                broker.expect(publisher, &puback(packet_id));
            }
            for client_id in SUBSCRIBERS {
                expect_waiting(broker, version, client_id, &[b"3", b"4", b"5"]);
            }
        });
    }
}

/// What is on its way to a client stays; what waits behind it makes room.
#[test]
fn what_is_in_flight_does_not_make_room() {
    let limits = Limits { inflight_max: 1, ..with(QueueFull::DropOldest, 2) };
    memory_with(&limits, |broker| {
        let client = broker.resume(Version::V5, "sub-1", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        for (packet_id, payload) in [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")] {
            send_1(broker, publisher, packet_id, payload);
            broker.expect(publisher, &puback(packet_id));
        }
        for payload in [b"1", b"3", b"4"] {
            let packet_id = broker.expect_publish(client, &publish_1(0, "a", payload));
            broker.send(client, &puback(packet_id));
        }
        broker.expect_silence(client);
    });
}

/// A 5.0 publisher is told, and then nobody has the message, not even who has room for it; its
/// Packet Identifier is free `[MQTT-4.3.3-9]`. When there is room again, so is the way.
#[test]
fn a_5_0_publisher_is_told_that_somebody_is_full() {
    for subscriber in SUBSCRIBERS {
        let limits = Limits { receive_maximum: 1, ..with(QueueFull::Refuse, 2) };
        memory_with(&limits, |broker| {
            absent(broker, Version::V5, subscriber, &[("a", QoS::AtLeastOnce)]);
            let watcher = broker.connect(Version::V311, "watcher");
            broker.subscribe(watcher, &[("#", QoS::AtMostOnce)]);
            let publisher = broker.connect(Version::V5, "publisher");
            for payload in [b"1", b"2"] {
                send_1(broker, publisher, 1, payload);
                broker.expect(publisher, &puback(1));
                broker.expect_publish(watcher, &publish("a", payload));
            }
            for _ in 0..2 {
                send_1(broker, publisher, 1, b"3");
                expect_refused(broker, publisher, 1);
                broker.send(publisher, &Packet::Publish(publish_2(2, "a", b"3")));
                expect_refused(broker, publisher, 2);
            }
            // Nothing else is in the way of a message that does not concern who is full.
            broker.send(publisher, &Packet::Publish(publish_1(1, "b", b"x")));
            broker.expect(publisher, &puback(1));
            broker.expect_publish(watcher, &publish("b", b"x"));
            broker.expect_silence(watcher);
            expect_waiting(broker, Version::V5, subscriber, &[b"1", b"2"]);
            broker.send(publisher, &Packet::Publish(publish_2(2, "a", b"4")));
            broker.expect(publisher, &pubrec(2));
            broker.send(publisher, &pubrel(2));
            broker.expect(publisher, &pubcomp(2));
            broker.expect_publish(watcher, &publish("a", b"4"));
            expect_waiting(broker, Version::V5, subscriber, &[b"4"]);
        });
    }
}

/// Many messages at once: those for a session of another shard go there in one letter, and it is
/// full before the publisher's shard hears of it. What was acknowledged is taken in all the same.
#[test]
fn nothing_that_was_acknowledged_is_missing() {
    SUBSCRIBERS.into_iter().for_each(acknowledged_to);
}

/// The one subscriber is in the publisher's shard, or in another.
fn acknowledged_to(subscriber: &str) {
    both_with(&with(QueueFull::Refuse, 5), |broker| {
        absent(broker, Version::V5, subscriber, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        let mut accepted: Vec<[u8; 1]> = Vec::new();
        let mut refused = 0;
        for batch in 0..5 {
            let numbers = batch * 20 + 1..=batch * 20 + 20;
            let mut bytes = Vec::new();
            for number in numbers.clone() {
                let message = publish_1(u16::from(number), "a", std::slice::from_ref(&number));
                encode(&Packet::Publish(message), Version::V5, &mut bytes);
            }
            broker.send_bytes(publisher, &bytes);
            for number in numbers {
                let reason = broker.hear(publisher, |packet| {
                    let Packet::Puback(ack) = packet else { panic!("{packet:?}") };
                    assert_eq!(ack.packet_id, u16::from(number));
                    ack.reason
                });
                if reason == ReasonCode::Success {
                    accepted.push([number]);
                } else {
                    assert_eq!(reason, ReasonCode::QuotaExceeded);
                    refused += 1;
                }
            }
        }
        assert!(accepted.len() >= 5 && refused > 0, "{refused} refused");
        let accepted: Vec<&[u8]> = accepted.iter().map(|payload| &payload[..]).collect();
        expect_waiting(broker, Version::V5, subscriber, &accepted);
    });
}

/// What is retained stays as it was `[MQTT-3.3.1-5]`.
#[test]
fn a_refused_message_is_not_retained_either() {
    memory_with(&with(QueueFull::Refuse, 1), |broker| {
        absent(broker, Version::V311, "sub-1", &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send(publisher, &Packet::Publish(retained(publish_1(1, "a", b"old"))));
        broker.expect(publisher, &puback(1));
        for payload in [&b"new"[..], b""] {
            broker.send(publisher, &Packet::Publish(retained(publish_1(1, "a", payload))));
            expect_refused(broker, publisher, 1);
        }
        let late = broker.connect(Version::V311, "late");
        broker.subscribe(late, &[("a", QoS::AtMostOnce)]);
        broker.expect_publish(late, &retained(publish("a", b"old")));
        broker.expect_silence(late);
    });
}

/// Who has no answer that refuses is acknowledged as ever; the client that is full loses the message,
/// and it alone.
#[test]
fn who_cannot_be_told_is_not_stopped() {
    memory_with(&with(QueueFull::Refuse, 1), |broker| {
        absent(broker, Version::V311, "sub-1", &[("a", QoS::AtLeastOnce)]);
        let watcher = broker.connect(Version::V311, "watcher");
        broker.subscribe(watcher, &[("a", QoS::AtMostOnce)]);
        for version in [Version::V31, Version::V311] {
            let publisher = broker.connect(version, "older");
            send_1(broker, publisher, 1, b"1");
            broker.expect(publisher, &puback(1));
            broker.expect_publish(watcher, &publish("a", b"1"));
            broker.disconnect(publisher);
        }
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send(publisher, &Packet::Publish(publish("a", b"0")));
        broker.expect_publish(watcher, &publish("a", b"0"));
        broker.expect_silence(publisher);
        expect_waiting(broker, Version::V311, "sub-1", &[b"1"]);
    });
}

/// A subscription of QoS 0 keeps nothing, and No Local gets nothing: neither is in the way.
#[test]
fn who_would_not_keep_the_message_refuses_nothing() {
    memory_with(&with(QueueFull::Refuse, 1), |broker| {
        absent(broker, Version::V5, "sub-1", &[("a", QoS::AtLeastOnce), ("b", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        send_1(broker, publisher, 1, b"1");
        broker.expect(publisher, &puback(1));
        send_1(broker, publisher, 1, b"2");
        expect_refused(broker, publisher, 1);
        broker.send(publisher, &Packet::Publish(publish_1(1, "b", b"3")));
        broker.expect(publisher, &puback(1));
        // Nobody is left who is full.
        let client = broker.connect(Version::V5, "sub-1");
        broker.disconnect(client);
        send_1(broker, publisher, 1, b"4");
        broker.expect(publisher, &puback_unmatched(Version::V5, 1));
    });
}

/// Of a group one with room is enough.
#[test]
fn a_group_is_full_when_everybody_in_it_is() {
    memory_with(&with(QueueFull::Refuse, 1), |broker| {
        for client_id in ["sub-1", "sub-2"] {
            absent(broker, Version::V5, client_id, &[("$share/g/a", QoS::AtLeastOnce)]);
        }
        let publisher = broker.connect(Version::V5, "publisher");
        for payload in [b"1", b"2"] {
            send_1(broker, publisher, 1, payload);
            broker.expect(publisher, &puback(1));
        }
        send_1(broker, publisher, 1, b"3");
        expect_refused(broker, publisher, 1);
    });
}

/// The words go to clients that want them `[MQTT-3.1.2-29]`.
#[test]
fn a_refusal_is_without_words_where_they_are_not_wanted() {
    memory_with(&with(QueueFull::Refuse, 1), |broker| {
        absent(broker, Version::V5, "sub-1", &[("a", QoS::AtLeastOnce)]);
        let mut properties = PropertiesBuf::default();
        properties.push(Property::RequestProblemInformation(0));
        let hello = Hello::new(Version::V5, "publisher");
        let hello = Hello { properties: properties.as_properties(), ..hello };
        let (publisher, _) = broker.connect_as(&hello);
        send_1(broker, publisher, 1, b"1");
        broker.expect(publisher, &puback(1));
        send_1(broker, publisher, 1, b"2");
        broker.expect_bytes(publisher, &[0x40, 3, 0, 1, 0x97]);
    });
}

/// A message that was begun is not refused when it comes again `[MQTT-4.3.3-10]`.
#[test]
fn a_repeated_message_of_qos_2_is_acknowledged_though_the_queue_is_full_by_now() {
    memory_with(&with(QueueFull::Refuse, 1), |broker| {
        absent(broker, Version::V5, "sub-1", &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        let message = publish_2(7, "a", b"1");
        for dup in [false, true] {
            broker.send(publisher, &Packet::Publish(Publish { dup, ..message }));
            broker.expect(publisher, &pubrec(7));
        }
        broker.send(publisher, &pubrel(7));
        broker.expect(publisher, &pubcomp(7));
        expect_waiting(broker, Version::V5, "sub-1", &[b"1"]);
    });
}

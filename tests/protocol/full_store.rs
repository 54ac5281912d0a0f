//! A disk that takes nothing, and one that holds as much as it may: what is refused, what waits, what
//! goes on.

use mqttd::broker::{Limits, QueueFull, Storing};
use mqttd::codec::{
    Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version,
};

use crate::kit::packets::{
    Hello, puback, puback_unmatched, pubcomp, publish, publish_1, publish_2, pubrec, pubrel,
    retained,
};
use crate::kit::{Broker, Client, keeping_with, limits};

const DOWN: [Storing; 2] = [Storing::Full, Storing::Failed];

/// A client that subscribed to `a` and went, and whose session is kept.
fn absent(broker: &mut Broker, version: Version, client_id: &str) {
    let client = broker.resume(version, client_id, false);
    broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
    broker.disconnect(client);
}

/// It comes back, and must hear just this.
fn expect_waiting(broker: &mut Broker, version: Version, client_id: &str, expected: &[&[u8]]) {
    let client = broker.resume(version, client_id, true);
    for payload in expected {
        broker.expect_publish(client, &publish_1(0, "a", payload));
    }
    broker.expect_silence(client);
}

/// Expects a PUBACK or PUBREC that refuses, with this word in its words.
fn expect_refused(broker: &mut Broker, client: Client, packet_id: u16, word: &str) {
    broker.hear(client, |packet| {
        let (Packet::Puback(ack) | Packet::Pubrec(ack)) = packet else { panic!("{packet:?}") };
        assert_eq!((ack.packet_id, ack.reason), (packet_id, ReasonCode::QuotaExceeded));
        let words = ack.properties.reason_string().expect("a reason string");
        assert!(words.contains(word) && !words.contains("sub-"), "{words}");
    });
}

/// What would have to be kept is refused before anything is done, and all else goes on; the Packet
/// Identifier of what was refused is free `[MQTT-4.3.3-9]`.
#[test]
fn a_5_0_publisher_is_told_that_nothing_can_be_kept() {
    for storing in DOWN {
        keeping_with(&limits(), |broker| {
            absent(broker, Version::V5, "sub-1");
            absent(broker, Version::V5, "sub-2");
            let watcher = broker.connect(Version::V5, "watcher");
            broker.subscribe(watcher, &[("#", QoS::AtLeastOnce)]);
            let publisher = broker.connect(Version::V5, "publisher");
            let kept = Packet::Publish(retained(publish_1(1, "r", b"old")));
            broker.send(publisher, &kept);
            broker.expect(publisher, &puback(1));
            broker.expect_publish(watcher, &publish_1(0, "r", b"old"));
            broker.storing(storing);
            for message in [
                publish_1(1, "a", b"1"),
                publish_2(1, "a", b"1"),
                retained(publish_1(1, "r", b"new")),
                retained(publish_2(1, "r", b"")),
            ] {
                broker.send(publisher, &Packet::Publish(message));
                expect_refused(broker, publisher, 1, "disk");
            }
            broker.send(publisher, &Packet::Publish(publish_1(1, "b", b"x")));
            broker.expect(publisher, &puback(1));
            broker.send(publisher, &Packet::Publish(publish("a", b"0")));
            broker.expect_publish(watcher, &publish_1(0, "b", b"x"));
            broker.expect_publish(watcher, &publish("a", b"0"));
            broker.expect_silence(watcher);
            let late = broker.connect(Version::V5, "late");
            broker.subscribe(late, &[("r", QoS::AtMostOnce)]);
            broker.expect_publish(late, &retained(publish("r", b"old")));
            broker.storing(Storing::Well);
            broker.send(publisher, &Packet::Publish(publish_2(1, "a", b"2")));
            broker.expect(publisher, &pubrec(1));
            broker.send(publisher, &pubrel(1));
            broker.expect(publisher, &pubcomp(1));
            expect_waiting(broker, Version::V5, "sub-1", &[b"2"]);
            expect_waiting(broker, Version::V5, "sub-2", &[b"2"]);
        });
    }
}

/// QoS 2 of a publisher whose session is kept leaves a trace of its own, whoever gets the message.
#[test]
fn qos_2_of_a_session_that_is_kept_is_refused_too() {
    keeping_with(&limits(), |broker| {
        let publisher = broker.resume(Version::V5, "publisher", false);
        broker.storing(Storing::Full);
        broker.send(publisher, &Packet::Publish(publish_2(1, "b", b"x")));
        expect_refused(broker, publisher, 1, "disk");
        broker.send(publisher, &Packet::Publish(publish_1(1, "b", b"x")));
        broker.expect(publisher, &puback_unmatched(Version::V5, 1));
    });
}

/// A client before 5.0 is told nothing, and stays: its acknowledgements come when the disk does. Who
/// is connected gets the message meanwhile.
#[test]
fn before_5_0_the_acknowledgement_waits() {
    for storing in DOWN {
        keeping_with(&limits(), |broker| {
            absent(broker, Version::V311, "sub-1");
            let watcher = broker.connect(Version::V311, "watcher");
            broker.subscribe(watcher, &[("a", QoS::AtLeastOnce)]);
            let publisher = broker.connect(Version::V311, "publisher");
            broker.storing(storing);
            for (packet_id, payload) in [(1, b"1"), (2, b"2")] {
                broker.send(publisher, &Packet::Publish(publish_1(packet_id, "a", payload)));
                broker.expect_silence(publisher);
                broker.expect_publish(watcher, &publish_1(0, "a", payload));
            }
            broker.storing(Storing::Well);
            broker.expect(publisher, &puback(1));
            broker.expect(publisher, &puback(2));
            expect_waiting(broker, Version::V311, "sub-1", &[b"1", b"2"]);
        });
    }
}

/// A session that would have to be written down is refused rather than left without an answer
/// `[MQTT-3.2.2-8]`; one that is known, or ends with its connection, goes on.
#[test]
fn no_new_session_is_kept_while_nothing_can_be() {
    for (storing, reason) in [(Storing::Full, 0x97), (Storing::Failed, 0x88)] {
        keeping_with(&limits(), |broker| {
            for (version, client_id) in [(Version::V311, "old"), (Version::V5, "known")] {
                let client = broker.resume(version, client_id, false);
                broker.disconnect(client);
            }
            broker.storing(storing);
            let client = broker.open(Version::V5);
            broker.send(client, &Hello::persistent(Version::V5, "new").packet());
            broker.expect_connack_of_5(client, reason);
            broker.expect_closed(client);
            let client = broker.open(Version::V311);
            broker.send(client, &Hello::persistent(Version::V311, "new").packet());
            broker.expect_bytes(client, &[0x20, 2, 0, 3]);
            broker.expect_closed(client);
            broker.resume(Version::V311, "old", true);
            let known = broker.resume(Version::V5, "known", true);
            broker.connect(Version::V5, "passing");
            // Another Session Expiry Interval, or none of what was: the one that is there stays.
            let mut longer = PropertiesBuf::default();
            longer.push(Property::SessionExpiryInterval(7200));
            let again = Hello::persistent(Version::V5, "known");
            let properties = longer.as_properties();
            for hello in [
                Hello { properties, ..again.clone() },
                Hello { clean_start: true, ..again.clone() },
                Hello { clean_start: true, properties: Properties::EMPTY, ..again.clone() },
                Hello { properties: Properties::EMPTY, ..again },
            ] {
                let client = broker.open(Version::V5);
                broker.send(client, &hello.packet());
                broker.expect_connack_of_5(client, reason);
                broker.expect_closed(client);
            }
            broker.expect_silence(known);
            broker.storing(Storing::Well);
            broker.resume(Version::V5, "new", false);
        });
    }
}

fn bounded(queue_full: QueueFull) -> Limits {
    Limits { queue_full, store_queue_bytes_max: 1000, ..limits() }
}

/// What waits in the store has a bound for all sessions together: who is away loses what is new, who
/// is there is served.
#[test]
fn the_queues_of_all_have_a_bound() {
    keeping_with(&bounded(QueueFull::DropNewest), |broker| {
        absent(broker, Version::V311, "sub-1");
        let there = broker.resume(Version::V311, "there", false);
        broker.subscribe(there, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        for (bytes, payload) in [(999, b"1"), (1000, b"2"), (999, b"3")] {
            broker.stored_queue_bytes(bytes);
            broker.send(publisher, &Packet::Publish(publish_1(1, "a", payload)));
            broker.expect(publisher, &puback(1));
            broker.expect_publish(there, &publish_1(0, "a", payload));
        }
        expect_waiting(broker, Version::V311, "sub-1", &[b"1", b"3"]);
    });
}

#[test]
fn at_the_bound_of_all_a_session_drops_what_is_oldest_of_its_own() {
    keeping_with(&bounded(QueueFull::DropOldest), |broker| {
        absent(broker, Version::V311, "sub-1");
        let publisher = broker.connect(Version::V5, "publisher");
        for (bytes, payload) in [(999, b"1"), (999, b"2"), (1000, b"3")] {
            broker.stored_queue_bytes(bytes);
            broker.send(publisher, &Packet::Publish(publish_1(1, "a", payload)));
            broker.expect(publisher, &puback(1));
        }
        expect_waiting(broker, Version::V311, "sub-1", &[b"2", b"3"]);
    });
}

#[test]
fn at_the_bound_of_all_a_5_0_publisher_is_told() {
    keeping_with(&bounded(QueueFull::Refuse), |broker| {
        absent(broker, Version::V311, "sub-1");
        let publisher = broker.connect(Version::V5, "publisher");
        broker.stored_queue_bytes(1000);
        let message = Packet::Publish(publish_1(1, "a", b"1"));
        broker.send(publisher, &message);
        expect_refused(broker, publisher, 1, "queues");
        // What is retained does not wait for anybody.
        let message = Publish { retain: true, ..publish_1(1, "b", b"x") };
        broker.send(publisher, &Packet::Publish(message));
        broker.expect(publisher, &puback_unmatched(Version::V5, 1));
        broker.stored_queue_bytes(999);
        broker.send(publisher, &Packet::Publish(publish_1(1, "a", b"2")));
        broker.expect(publisher, &puback(1));
        expect_waiting(broker, Version::V311, "sub-1", &[b"2"]);
    });
}

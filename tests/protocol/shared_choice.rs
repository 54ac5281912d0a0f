//! Which member of a Shared Subscription gets a message (section 4.8.2): what the standard leaves
//! to the server, and the key `shared_choice` to its operator.

use mqttd::broker::{Limits, SharedChoice};
use mqttd::codec::{Packet, QoS, Version};

use crate::kit::packets::{puback, publish, publish_1};
use crate::kit::{Broker, Client, both, both_with, limits};

fn choosing(shared_choice: SharedChoice) -> Limits {
    Limits { shared_choice, ..limits() }
}

/// Connected members of `$share/g/a`, QoS 1, in this order.
fn members(broker: &mut Broker, client_ids: &[&str]) -> Vec<Client> {
    let member = |client_id: &&str| {
        let client = broker.connect(Version::V5, client_id);
        broker.subscribe(client, &[("$share/g/a", QoS::AtLeastOnce), ("mark", QoS::AtMostOnce)]);
        client
    };
    client_ids.iter().map(member).collect()
}

/// Publishes one message, and waits until the broker has it.
fn publish_one(broker: &mut Broker, publisher: Client, payload: &[u8]) {
    broker.send(publisher, &Packet::Publish(publish_1(1, "a", payload)));
    broker.expect(publisher, &puback(1));
}

/// A member gets a message, and acknowledges it before this returns.
fn work_off(broker: &mut Broker, member: Client, payload: &[u8]) {
    let packet_id = broker.expect_publish(member, &publish_1(0, "a", payload));
    broker.send(member, &puback(packet_id));
    broker.expect_silence(member);
}

/// The default: a member that has something before it is passed over for one that has not.
#[test]
fn a_busy_member_is_passed_over() {
    both(|broker| {
        let members = members(broker, &["a", "b", "c"]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_one(broker, publisher, b"first");
        // Never acknowledged.
        broker.expect_publish(members[0], &publish_1(0, "a", b"first"));
        for _ in 0..5 {
            for member in &members[1..] {
                publish_one(broker, publisher, b"x");
                work_off(broker, *member, b"x");
            }
        }
        broker.expect_silence(members[0]);
    });
}

/// The default: with all equally busy, the members take turns, in one batch too.
#[test]
fn equally_busy_members_take_turns() {
    both(|broker| {
        let members = members(broker, &["a", "b", "c"]);
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send_bytes(publisher, &b"\x30\x05\x00\x01a\x00x".repeat(9));
        for member in members {
            for _ in 0..3 {
                broker.expect_publish(member, &publish("a", b"x"));
            }
            broker.expect_silence(member);
        }
    });
}

#[test]
fn round_robin_takes_turns_whatever_waits() {
    both_with(&choosing(SharedChoice::RoundRobin), |broker| {
        let members = members(broker, &["a", "b"]);
        let publisher = broker.connect(Version::V5, "publisher");
        for _ in 0..3 {
            publish_one(broker, publisher, b"to a");
            broker.expect_publish(members[0], &publish_1(0, "a", b"to a"));
            publish_one(broker, publisher, b"to b");
            work_off(broker, members[1], b"to b");
        }
    });
}

#[test]
fn sticky_stays_with_a_member_while_it_is_connected() {
    both_with(&choosing(SharedChoice::Sticky), |broker| {
        let first = members(broker, &["a", "b"]);
        let publisher = broker.connect(Version::V5, "publisher");
        for _ in 0..3 {
            publish_one(broker, publisher, b"x");
            work_off(broker, first[0], b"x");
        }
        broker.disconnect(first[0]);
        publish_one(broker, publisher, b"y");
        work_off(broker, first[1], b"y");
        // Who comes back does not take over again.
        let again = members(broker, &["a"]);
        publish_one(broker, publisher, b"z");
        work_off(broker, first[1], b"z");
        broker.expect_silence(again[0]);
    });
}

#[test]
fn hash_publisher_sends_a_publishers_messages_to_one_member() {
    both_with(&choosing(SharedChoice::HashPublisher), |broker| {
        let members = members(broker, &["a", "b"]);
        for number in 0..8 {
            let client_id = format!("publisher{number}");
            let publisher = broker.connect(Version::V5, &client_id);
            for payload in [b"1", b"2", b"3"] {
                let message = publish("a", payload);
                broker.send(publisher, &Packet::Publish(message));
            }
            broker.send(publisher, &Packet::Publish(publish("mark", client_id.as_bytes())));
            let heard: Vec<_> = members.iter().map(|it| up_to_mark(broker, *it)).collect();
            assert!(heard.contains(&b"123".to_vec()) && heard.contains(&Vec::new()), "{heard:?}");
        }
    });
}

/// The payloads a client gets before the message to `mark`.
fn up_to_mark(broker: &mut Broker, client: Client) -> Vec<u8> {
    let mut payloads = Vec::new();
    loop {
        let is_mark = broker.hear(client, |packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            if publish.topic != "mark" {
                payloads.extend_from_slice(publish.payload);
            }
            publish.topic == "mark"
        });
        if is_mark {
            return payloads;
        }
    }
}

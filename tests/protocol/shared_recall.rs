//! What a member of a group keeps while it is away: whoever has room gets it, and it is not lost on
//! the way (section 4.8.2).

use mqttd::broker::{Directions, Limits};
use mqttd::codec::{Packet, Properties, QoS, ReasonCode, Version};

use crate::kit::packets::{Hello, puback, publish_1};
use crate::kit::{Broker, Client, both, both_with, limits, memory_with};

/// Session Expiry Interval an hour, Receive Maximum 1.
const ONE_AT_A_TIME: &[u8] = b"\x11\x00\x00\x0e\x10\x21\x00\x01";
/// Session Expiry Interval an hour, Maximum Packet Size 20.
const SMALL: &[u8] = b"\x11\x00\x00\x0e\x10\x27\x00\x00\x00\x14";

const GROUP: &str = "$share/g/a";

fn persistent(broker: &mut Broker, client_id: &str, properties: &'static [u8]) -> Client {
    let properties = Properties::from_checked(properties);
    let hello = Hello { properties, ..Hello::persistent(Version::V5, client_id) };
    broker.connect_as(&hello).0
}

/// A member that is away, with a session.
fn away(broker: &mut Broker, client_id: &str) {
    let client = broker.resume(Version::V5, client_id, false);
    broker.subscribe(client, &[(GROUP, QoS::AtLeastOnce)]);
    broker.disconnect(client);
}

/// Publishes with QoS 1, and waits until the broker has it.
fn publish_one(broker: &mut Broker, publisher: Client, payload: &[u8]) {
    broker.send(publisher, &Packet::Publish(publish_1(1, "a", payload)));
    broker.expect(publisher, &puback(1));
}

/// Hears a message whatever it is, acknowledges it, and gives its first byte.
fn take_one(broker: &mut Broker, client: Client) -> u8 {
    let (packet_id, number) = broker.hear(client, |packet| {
        let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
        (publish.packet_id, publish.payload[0])
    });
    broker.send(client, &puback(packet_id));
    number
}

fn take_all(broker: &mut Broker, client: Client, count: u8) {
    let mut heard: Vec<u8> = (0..count).map(|_| take_one(broker, client)).collect();
    broker.expect_silence(client);
    heard.sort_unstable();
    assert_eq!(heard, (0..count).collect::<Vec<u8>>());
}

/// Twelve members are away and their queues are full; one comes that takes five messages at most.
/// It gets them all, bit by bit, and once.
#[test]
fn many_that_are_away_keep_what_one_cannot_take_at_once() {
    both_with(&Limits { queue_messages_max: 4, ..limits() }, |broker| {
        for number in 0..12 {
            away(broker, &format!("away-{number}"));
        }
        let publisher = broker.connect(Version::V5, "publisher");
        for number in 0..48 {
            publish_one(broker, publisher, &[number]);
        }
        let here = persistent(broker, "here", ONE_AT_A_TIME);
        broker.subscribe(here, &[(GROUP, QoS::AtLeastOnce)]);
        take_all(broker, here, 48);
    });
}

/// What one that is away kept stays with it when the memory budget is used up on the way.
#[test]
fn the_memory_budget_loses_nothing_that_was_kept() {
    memory_with(&Limits { memory_bytes_max: 100_000, ..limits() }, |broker| {
        away(broker, "away");
        let publisher = broker.connect(Version::V5, "publisher");
        for number in 0..30 {
            publish_one(broker, publisher, &[number; 3000]);
        }
        let here = broker.resume(Version::V5, "here", false);
        broker.subscribe(here, &[(GROUP, QoS::AtLeastOnce)]);
        let mut heard = Vec::new();
        for _ in 0..30 {
            broker.pass_secs(2);
            heard.push(take_one(broker, here));
        }
        broker.pass_secs(5);
        broker.expect_silence(here);
        heard.sort_unstable();
        assert_eq!(heard, (0..30).collect::<Vec<u8>>());
    });
}

/// One is connected and full, so another keeps a message while it is away; who is connected gets it
/// as soon as it has acknowledged what it had.
#[test]
fn who_is_there_gets_what_another_keeps_once_it_has_room() {
    both_with(&Limits { queue_messages_max: 1, ..limits() }, |broker| {
        let here = persistent(broker, "here", ONE_AT_A_TIME);
        broker.subscribe(here, &[(GROUP, QoS::AtLeastOnce)]);
        away(broker, "away");
        let publisher = broker.connect(Version::V5, "publisher");
        for number in 0..3 {
            publish_one(broker, publisher, &[number]);
        }
        take_all(broker, here, 3);
        let back = broker.resume(Version::V5, "away", true);
        broker.expect_silence(back);
    });
}

/// Four times as much as moves at once.
#[test]
fn what_is_kept_comes_in_portions_until_there_is_none() {
    both(|broker| {
        away(broker, "away");
        let publisher = broker.connect(Version::V5, "publisher");
        for number in 0..250 {
            publish_one(broker, publisher, &[number]);
        }
        let here = broker.resume(Version::V5, "here", false);
        broker.subscribe(here, &[(GROUP, QoS::AtLeastOnce)]);
        take_all(broker, here, 250);
    });
}

/// A client returns with a Maximum Packet Size that its unacknowledged message is above: another of
/// the group gets it `[MQTT-3.1.2-25]`.
#[test]
fn what_cannot_be_sent_again_goes_to_another() {
    both(|broker| {
        let large = broker.resume(Version::V5, "a", false);
        broker.subscribe(large, &[(GROUP, QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_one(broker, publisher, &[7; 100]);
        broker.expect_publish(large, &publish_1(0, "a", &[7; 100]));
        let other = broker.connect(Version::V5, "b");
        broker.subscribe(other, &[(GROUP, QoS::AtLeastOnce)]);
        let small = persistent(broker, "a", SMALL);
        broker.expect_disconnected(large, ReasonCode::SessionTakenOver);
        broker.expect_silence(small);
        assert_eq!(take_one(broker, other), 7);
        broker.expect_silence(other);
    });
}

/// All are sent away: what one has not acknowledged waits for it, and is not sent to the next, who
/// is about to go too.
#[test]
fn draining_moves_nothing_from_one_to_the_next() {
    both(|broker| {
        let clients = ["a", "b", "c"].map(|client_id| {
            let client = broker.resume(Version::V5, client_id, false);
            broker.subscribe(client, &[(GROUP, QoS::AtLeastOnce)]);
            client
        });
        let publisher = broker.connect(Version::V5, "publisher");
        for (number, client) in (0..).zip(clients) {
            publish_one(broker, publisher, &[number]);
            broker.expect_publish(client, &publish_1(0, "a", &[number]));
        }
        broker.drain(&Directions::default());
        for client in clients {
            broker.expect_disconnected(client, ReasonCode::ServerShuttingDown);
        }
    });
}

//! What becomes of a shared message whose member leaves, or does not take it (section 4.8.2).

use mqttd::broker::{Limits, SharedChoice};
use mqttd::codec::{
    Acknowledge, Packet, Properties, Publish, QoS, ReasonCode, SubscriptionOptions,
    SubscriptionRequest, Version,
};

use crate::kit::packets::{
    Hello, puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, retained,
    subscribe_with, unsuback, unsubscribe_packet,
};
use crate::kit::{Broker, Client, both, both_with, in_memory, limits};

/// Session Expiry Interval an hour, Receive Maximum 1.
const ONE_AT_A_TIME: &[u8] = b"\x11\x00\x00\x0e\x10\x21\x00\x01";

const GROUP: &str = "$share/g/a";

fn persistent(broker: &mut Broker, client_id: &str, properties: &'static [u8]) -> Client {
    let properties = Properties::from_checked(properties);
    let hello = Hello { properties, ..Hello::persistent(Version::V5, client_id) };
    broker.connect_as(&hello).0
}

fn member(broker: &mut Broker, client_id: &str, qos: QoS) -> Client {
    let client = broker.connect(Version::V5, client_id);
    broker.subscribe(client, &[(GROUP, qos)]);
    client
}

/// Publishes with QoS 1, and waits until the broker has it.
fn publish_one(broker: &mut Broker, publisher: Client, payload: &[u8]) {
    broker.send(publisher, &Packet::Publish(publish_1(1, "a", payload)));
    broker.expect(publisher, &puback(1));
}

/// The same with QoS 2.
fn publish_exactly(broker: &mut Broker, publisher: Client, payload: &[u8]) {
    broker.send(publisher, &Packet::Publish(publish_2(1, "a", payload)));
    broker.expect(publisher, &pubrec(1));
    broker.send(publisher, &pubrel(1));
    broker.expect(publisher, &pubcomp(1));
}

fn expect_and_acknowledge(broker: &mut Broker, client: Client, payload: &[u8]) {
    let packet_id = broker.expect_publish(client, &publish_1(0, "a", payload));
    broker.send(client, &puback(packet_id));
}

/// A client whose session ends with its connection: QoS 1 messages it has not acknowledged go to
/// another member, as messages that one has never seen.
#[test]
fn who_leaves_for_good_leaves_qos_1_to_another() {
    both(|broker| {
        for version in [Version::V311, Version::V5] {
            let leaving = broker.connect(version, "leaving");
            broker.subscribe(leaving, &[(GROUP, QoS::AtLeastOnce)]);
            let publisher = broker.connect(Version::V5, "publisher");
            for payload in [b"1", b"2", b"3"] {
                publish_one(broker, publisher, payload);
            }
            broker.expect_publish(leaving, &publish_1(0, "a", b"1"));
            expect_and_acknowledge(broker, leaving, b"2");
            broker.expect_publish(leaving, &publish_1(0, "a", b"3"));
            broker.expect_silence(leaving);
            let staying = member(broker, "staying", QoS::AtLeastOnce);
            broker.cut(leaving);
            expect_and_acknowledge(broker, staying, b"1");
            expect_and_acknowledge(broker, staying, b"3");
            broker.expect_silence(staying);
            broker.disconnect(staying);
        }
    });
}

/// A client whose session stays: what is QoS 1, and what was not sent yet, goes to another member
/// at once, and not to both. QoS 2 in flight is completed with the client when it reconnects
/// `[MQTT-4.8.2-4]`.
#[test]
fn who_is_cut_off_completes_qos_2_and_leaves_the_rest() {
    both(|broker| {
        let away = persistent(broker, "away", ONE_AT_A_TIME);
        broker.subscribe(away, &[(GROUP, QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_exactly(broker, publisher, b"in flight");
        publish_exactly(broker, publisher, b"queued, 2");
        publish_one(broker, publisher, b"queued, 1");
        let packet_id = broker.expect_publish(away, &publish_2(0, "a", b"in flight"));
        let here = member(broker, "here", QoS::ExactlyOnce);
        broker.cut(away);
        let other_id = broker.expect_publish(here, &publish_2(0, "a", b"queued, 2"));
        broker.send(here, &pubrec(other_id));
        broker.expect_publish(here, &publish_1(0, "a", b"queued, 1"));
        broker.expect(here, &pubrel(other_id));
        broker.expect_silence(here);
        let back = persistent(broker, "away", ONE_AT_A_TIME);
        let again = Publish { dup: true, ..publish_2(packet_id, "a", b"in flight") };
        broker.expect(back, &Packet::Publish(again));
        broker.send(back, &pubrec(packet_id));
        broker.expect(back, &pubrel(packet_id));
        broker.send(back, &pubcomp(packet_id));
        broker.expect_silence(back);
    });
}

/// `[MQTT-4.8.2-5]`
#[test]
fn qos_2_in_flight_ends_with_its_session() {
    in_memory(|broker| {
        let away = broker.resume(Version::V5, "away", false);
        broker.subscribe(away, &[(GROUP, QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_exactly(broker, publisher, b"sent");
        let packet_id = broker.expect_publish(away, &publish_2(0, "a", b"sent"));
        publish_exactly(broker, publisher, b"received");
        let second = broker.expect_publish(away, &publish_2(0, "a", b"received"));
        broker.send(away, &pubrec(second));
        broker.expect(away, &pubrel(second));
        assert_ne!(packet_id, second);
        let here = member(broker, "here", QoS::ExactlyOnce);
        broker.cut(away);
        broker.pass_secs(3601);
        broker.resume(Version::V5, "away", false);
        broker.expect_silence(here);
    });
}

/// With nobody else connected, what a member keeps goes on when its session ends, to one that is
/// away too.
#[test]
fn an_ended_session_leaves_its_messages_to_one_that_is_away() {
    in_memory(|broker| {
        let other = persistent(broker, "other", b"\x11\x00\x01\x00\x00");
        broker.subscribe(other, &[(GROUP, QoS::AtLeastOnce)]);
        broker.disconnect(other);
        let first = broker.resume(Version::V5, "first", false);
        broker.subscribe(first, &[(GROUP, QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_one(broker, publisher, b"unacknowledged");
        broker.expect_publish(first, &publish_1(0, "a", b"unacknowledged"));
        broker.cut(first);
        broker.pass_secs(3601);
        let other = broker.resume(Version::V5, "other", true);
        expect_and_acknowledge(broker, other, b"unacknowledged");
        broker.expect_silence(other);
    });
}

/// While nobody is connected somebody keeps the messages; the first to come gets them all.
#[test]
fn the_first_who_comes_gets_what_others_keep() {
    both(|broker| {
        for client_id in ["a", "b", "c"] {
            let client = broker.resume(Version::V5, client_id, false);
            broker.subscribe(client, &[(GROUP, QoS::AtLeastOnce)]);
            broker.disconnect(client);
        }
        let publisher = broker.connect(Version::V311, "publisher");
        for number in 0..9 {
            publish_one(broker, publisher, &[number]);
        }
        let first = broker.resume(Version::V5, "b", true);
        let mut heard = Vec::new();
        for _ in 0..9 {
            let (packet_id, payload) = broker.hear(first, |packet| {
                let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
                assert!(!publish.dup);
                (publish.packet_id, publish.payload[0])
            });
            heard.push(payload);
            broker.send(first, &puback(packet_id));
        }
        broker.expect_silence(first);
        heard.sort_unstable();
        assert_eq!(heard, (0..9).collect::<Vec<u8>>());
        let second = broker.resume(Version::V5, "a", true);
        broker.expect_silence(second);
        // A new member counts as well as one that returns.
        broker.disconnect(first);
        broker.disconnect(second);
        publish_one(broker, publisher, b"kept");
        let new = member(broker, "new", QoS::AtLeastOnce);
        expect_and_acknowledge(broker, new, b"kept");
    });
}

/// A member that unsubscribes completes what it began; the rest is for others.
#[test]
fn who_unsubscribes_leaves_what_was_not_sent() {
    both(|broker| {
        let leaving = persistent(broker, "leaving", ONE_AT_A_TIME);
        broker.subscribe(leaving, &[(GROUP, QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_one(broker, publisher, b"begun");
        publish_one(broker, publisher, b"waiting");
        let packet_id = broker.expect_publish(leaving, &publish_1(0, "a", b"begun"));
        let staying = member(broker, "staying", QoS::AtLeastOnce);
        broker.send_bytes(leaving, &unsubscribe_packet(Version::V5, 5, &[GROUP]));
        broker.expect(leaving, &unsuback(Version::V5, 5, &[0]));
        expect_and_acknowledge(broker, staying, b"waiting");
        broker.send(leaving, &puback(packet_id));
        broker.expect_silence(leaving);
        broker.expect_silence(staying);
        // The last one gets what waits for it all the same.
        let last = persistent(broker, "last", ONE_AT_A_TIME);
        broker.disconnect(staying);
        broker.subscribe(last, &[(GROUP, QoS::AtLeastOnce)]);
        publish_one(broker, publisher, b"begun");
        publish_one(broker, publisher, b"waiting");
        broker.send_bytes(last, &unsubscribe_packet(Version::V5, 5, &[GROUP]));
        let packet_id = broker.expect_publish(last, &publish_1(0, "a", b"begun"));
        broker.expect(last, &unsuback(Version::V5, 5, &[0]));
        broker.send(last, &puback(packet_id));
        broker.expect_publish(last, &publish_1(0, "a", b"waiting"));
    });
}

/// A client that takes over its own connection is there: it gets its messages again, nobody else.
#[test]
fn a_takeover_leaves_nothing_to_others() {
    both(|broker| {
        let old = broker.resume(Version::V5, "a", false);
        broker.subscribe(old, &[(GROUP, QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_one(broker, publisher, b"x");
        let packet_id = broker.expect_publish(old, &publish_1(0, "a", b"x"));
        let other = member(broker, "b", QoS::AtLeastOnce);
        let new = broker.resume(Version::V5, "a", true);
        broker.expect_disconnected(old, ReasonCode::SessionTakenOver);
        let again = Publish { dup: true, ..publish_1(packet_id, "a", b"x") };
        broker.expect(new, &Packet::Publish(again));
        broker.expect_silence(other);
    });
}

/// A member answers with an error: nobody gets the message any more `[MQTT-4.8.2-6]`.
#[test]
fn a_message_refused_by_its_member_is_done() {
    both(|broker| {
        let first = member(broker, "first", QoS::ExactlyOnce);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_one(broker, publisher, b"1");
        publish_exactly(broker, publisher, b"2");
        let one = broker.expect_publish(first, &publish_1(0, "a", b"1"));
        let two = broker.expect_publish(first, &publish_2(0, "a", b"2"));
        let second = member(broker, "second", QoS::ExactlyOnce);
        let (reason, properties) = (ReasonCode::ImplementationSpecificError, Properties::EMPTY);
        let refusal = |packet_id| Acknowledge { packet_id, reason, properties };
        broker.send(first, &Packet::Puback(refusal(one)));
        broker.send(first, &Packet::Pubrec(refusal(two)));
        broker.expect_silence(first);
        broker.cut(first);
        broker.expect_silence(second);
    });
}

/// A message that is too large for one member goes to another.
#[test]
fn another_member_takes_what_is_too_large_for_one() {
    both(|broker| {
        // Maximum Packet Size 20.
        let properties = Properties::from_checked(b"\x27\x00\x00\x00\x14");
        let hello = Hello { properties, ..Hello::new(Version::V5, "small") };
        let small = broker.connect_as(&hello).0;
        broker.subscribe(small, &[(GROUP, QoS::AtLeastOnce)]);
        let large = member(broker, "large", QoS::AtLeastOnce);
        let publisher = broker.connect(Version::V5, "publisher");
        for _ in 0..4 {
            publish_one(broker, publisher, &[b'x'; 100]);
            expect_and_acknowledge(broker, large, &[b'x'; 100]);
        }
        // One that waited: it goes when its turn comes.
        broker.expect_silence(large);
        broker.disconnect(large);
        let properties = Properties::from_checked(b"\x27\x00\x00\x00\x14\x21\x00\x01");
        let hello = Hello { properties, ..Hello::new(Version::V5, "small") };
        let small = broker.connect_as(&hello).0;
        broker.subscribe(small, &[(GROUP, QoS::AtLeastOnce)]);
        publish_one(broker, publisher, b"begun");
        publish_one(broker, publisher, &[b'y'; 100]);
        let packet_id = broker.expect_publish(small, &publish_1(0, "a", b"begun"));
        let large = member(broker, "large", QoS::AtLeastOnce);
        broker.send(small, &puback(packet_id));
        expect_and_acknowledge(broker, large, &[b'y'; 100]);
        broker.expect_silence(small);
    });
}

/// A message that finds the queue of one member full goes to another; only when all are full is
/// it dropped.
#[test]
fn another_member_takes_what_finds_a_queue_full() {
    let one = SharedChoice::Sticky;
    both_with(&Limits { shared_choice: one, queue_messages_max: 1, ..limits() }, |broker| {
        let first = persistent(broker, "first", ONE_AT_A_TIME);
        broker.subscribe(first, &[(GROUP, QoS::AtLeastOnce)]);
        let second = persistent(broker, "second", ONE_AT_A_TIME);
        broker.subscribe(second, &[(GROUP, QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        for payload in [b"1", b"2", b"3", b"4", b"5"] {
            publish_one(broker, publisher, payload);
        }
        // Nobody answers before the last one went from hand to hand.
        let one = broker.expect_publish(first, &publish_1(0, "a", b"1"));
        broker.expect_silence(first);
        let three = broker.expect_publish(second, &publish_1(0, "a", b"3"));
        broker.expect_silence(second);
        broker.send(first, &puback(one));
        expect_and_acknowledge(broker, first, b"2");
        broker.send(second, &puback(three));
        expect_and_acknowledge(broker, second, b"4");
        broker.expect_silence(first);
        broker.expect_silence(second);
    });
}

/// Whoever gets a message in the end gets it by the terms of its own subscription: QoS, RETAIN and
/// Subscription Identifier `[MQTT-4.8.2-3]`.
#[test]
fn the_next_member_has_its_own_terms() {
    both(|broker| {
        let first = broker.connect(Version::V5, "first");
        broker.subscribe_as(first, 7, GROUP, QoS::AtLeastOnce);
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send(publisher, &Packet::Publish(retained(publish_2(1, "a", b"x"))));
        broker.expect(publisher, &pubrec(1));
        let with_7 = Properties::from_checked(b"\x0b\x07");
        broker.expect_publish(first, &Publish { properties: with_7, ..publish_1(0, "a", b"x") });
        let second = broker.connect(Version::V5, "second");
        let options = SubscriptionOptions {
            retain_as_published: true,
            ..SubscriptionOptions::new(QoS::ExactlyOnce)
        };
        let request = SubscriptionRequest { filter: GROUP, options };
        let with_9 = Properties::from_checked(b"\x0b\x09");
        broker.send_bytes(second, &subscribe_with(Version::V5, 2, with_9, &[request]));
        broker.expect_suback(second, 2, &[2]);
        broker.cut(first);
        let expected = Publish { properties: with_9, ..retained(publish_2(0, "a", b"x")) };
        broker.expect_publish(second, &expected);
    });
}

/// QoS 0 is nobody's to keep: with nobody connected it is gone, and a member that leaves takes
/// what was sent to it along.
#[test]
fn qos_0_is_sent_once() {
    both(|broker| {
        let away = broker.resume(Version::V5, "away", false);
        broker.subscribe(away, &[(GROUP, QoS::AtLeastOnce)]);
        broker.disconnect(away);
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send(publisher, &Packet::Publish(publish("a", b"lost")));
        broker.expect_silence(publisher);
        let here = member(broker, "here", QoS::AtLeastOnce);
        broker.send(publisher, &Packet::Publish(publish("a", b"sent")));
        broker.expect_publish(here, &publish("a", b"sent"));
        let other = member(broker, "other", QoS::AtLeastOnce);
        broker.cut(here);
        broker.expect_silence(other);
    });
}

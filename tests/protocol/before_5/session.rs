//! Sessions, and what is sent again (sections 3.1.2.4, 4.1, 4.3 and 4.4).

use mqttd::codec::{Packet, Publish, QoS, Version};

use super::{BEFORE_5, publish_from_elsewhere};
use crate::kit::packets::{Hello, puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel};
use crate::kit::{Broker, Client, both, in_memory};

/// Connects with Clean Session 0.
fn come_back(broker: &mut Broker, version: Version) -> Client {
    broker.connect_as(&Hello::persistent(version, "a")).0
}

/// Connects with Clean Session 1, once.
fn begin_anew(broker: &mut Broker, version: Version) {
    let client = broker.connect(version, "a");
    broker.disconnect(client);
}

/// A session of 3.1.1 has no end of its own: it is there whenever its client comes back.
///
/// `[MQTT3-3.1.2-4]` `[MQTT3-3.1.2-5]` `[MQTT3-4.1.0-1]` `[MQTT31-15]`
#[test]
fn a_session_waits_for_its_client() {
    in_memory(|broker| {
        for version in BEFORE_5 {
            let client = come_back(broker, version);
            broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
            broker.cut(client);
            publish_from_elsewhere(broker, "a", b"1");
            broker.pass_secs(400 * 24 * 3600);
            let other = broker.connect(version, "other");
            broker.send(other, &Packet::Publish(publish_2(1, "a", b"2")));
            broker.expect(other, &pubrec(1));
            broker.disconnect(other);
            let client = come_back(broker, version);
            broker.expect_publish(client, &publish_1(0, "a", b"1"));
            broker.expect_publish(client, &publish_2(0, "a", b"2"));
            broker.expect_silence(client);
            broker.disconnect(client);
            begin_anew(broker, version);
        }
    });
}

/// `[MQTT3-4.1.0-2]`: also a clean one lasts as long as its connection.
#[test]
fn a_session_lasts_as_long_as_its_connection() {
    in_memory(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
            broker.pass_secs(400 * 24 * 3600);
            publish_from_elsewhere(broker, "a", b"x");
            broker.expect_publish(client, &publish("a", b"x"));
            broker.disconnect(client);
        }
    });
}

/// Nothing of a clean session is there in a later one: no subscription, no message, no identifier.
///
/// `[MQTT3-3.1.2-6]` `[MQTT3-3.1.4-3]` `[MQTT31-16]`
#[test]
fn a_clean_session_leaves_nothing() {
    both(|broker| {
        for version in BEFORE_5 {
            let old = come_back(broker, version);
            broker.subscribe(old, &[("a", QoS::ExactlyOnce)]);
            broker.send(old, &Packet::Publish(publish_2(5, "b", b"x")));
            broker.expect(old, &pubrec(5));
            broker.disconnect(old);
            publish_from_elsewhere(broker, "a", b"1");
            let clean = broker.connect(version, "a");
            broker.expect_silence(clean);
            broker.subscribe(clean, &[("b", QoS::AtMostOnce)]);
            // The identifier was the old session's: this message is new.
            broker.send(clean, &Packet::Publish(publish_2(5, "b", b"y")));
            broker.expect_publish(clean, &publish("b", b"y"));
            broker.expect(clean, &pubrec(5));
            broker.cut(clean);
            let later = come_back(broker, version);
            broker.send(later, &Packet::Publish(publish_2(6, "b", b"z")));
            broker.expect(later, &pubrec(6));
            broker.expect_silence(later);
            broker.disconnect(later);
            begin_anew(broker, version);
        }
    });
}

/// What waited comes as it was published, before what comes now.
///
/// `[MQTT3-4.6.0-5]` `[MQTT3-4.6.0-6]` `[MQTT3-3.1.2-5]`
#[test]
fn messages_that_wait_keep_their_order() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = come_back(broker, version);
            broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
            broker.disconnect(client);
            for text in [b"1", b"2", b"3"] {
                publish_from_elsewhere(broker, "a", text);
            }
            let client = come_back(broker, version);
            publish_from_elsewhere(broker, "a", b"4");
            for text in [b"1", b"2", b"3", b"4"] {
                let packet_id = broker.expect_publish(client, &publish_1(0, "a", text));
                broker.send(client, &puback(packet_id));
            }
            broker.expect_silence(client);
            broker.disconnect(client);
            begin_anew(broker, version);
        }
    });
}

/// With DUP and the identifiers they had, in the order they had: PUBLISH until it is answered, then
/// PUBREL, until that is.
///
/// `[MQTT3-4.4.0-1]` `[MQTT3-3.3.1-1]` `[MQTT3-4.6.0-1]` `[MQTT3-2.3.1-4]` `[MQTT3-4.3.2-1]`
/// `[MQTT3-4.3.3-1]`
#[test]
fn what_was_not_answered_is_sent_again() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = come_back(broker, version);
            broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
            let other = broker.connect(version, "other");
            let messages = [
                publish_1(1, "a", b"1"),
                publish_2(2, "a", b"2"),
                publish_1(3, "a", b"3"),
                publish_2(4, "a", b"4"),
            ];
            let mut ids = Vec::new();
            for message in messages {
                broker.send(other, &Packet::Publish(message));
                broker.hear(other, |_| ());
                ids.push(broker.expect_publish(client, &message));
            }
            // The third and fourth are answered, the others are not.
            broker.send(client, &puback(ids[2]));
            broker.send(client, &pubrec(ids[3]));
            broker.expect(client, &pubrel(ids[3]));
            for _ in 0..2 {
                broker.cut(client);
                let client = come_back(broker, version);
                for number in [0, 1] {
                    let (dup, packet_id) = (true, ids[number]);
                    let again = Publish { dup, packet_id, ..messages[number] };
                    broker.expect(client, &Packet::Publish(again));
                }
                broker.expect(client, &pubrel(ids[3]));
                broker.expect_silence(client);
            }
            let client = come_back(broker, version);
            for _ in 0..3 {
                broker.hear(client, |_| ());
            }
            broker.send(client, &puback(ids[0]));
            broker.send(client, &pubrec(ids[1]));
            broker.expect(client, &pubrel(ids[1]));
            broker.send(client, &pubcomp(ids[3]));
            broker.send(client, &pubcomp(ids[1]));
            broker.cut(client);
            let client = come_back(broker, version);
            broker.expect_silence(client);
            broker.disconnect(client);
            begin_anew(broker, version);
        }
    });
}

/// The receiver's half of QoS 2 is part of the session too.
///
/// `[MQTT3-3.1.2-4]` `[MQTT3-4.3.3-2]` `[MQTT3-4.1.0-1]`
#[test]
fn a_qos_2_message_sent_again_is_no_new_one() {
    both(|broker| {
        for version in BEFORE_5 {
            let watcher = broker.connect(version, "watcher");
            broker.subscribe(watcher, &[("a", QoS::AtMostOnce)]);
            let client = come_back(broker, version);
            broker.send(client, &Packet::Publish(publish_2(7, "a", b"once")));
            broker.expect(client, &pubrec(7));
            broker.expect_publish(watcher, &publish("a", b"once"));
            broker.cut(client);
            let client = come_back(broker, version);
            let again = Publish { dup: true, ..publish_2(7, "a", b"once") };
            broker.send(client, &Packet::Publish(again));
            broker.expect(client, &pubrec(7));
            broker.send(client, &pubrel(7));
            broker.expect(client, &pubcomp(7));
            broker.expect_silence(watcher);
            broker.disconnect(client);
            broker.disconnect(watcher);
            begin_anew(broker, version);
        }
    });
}

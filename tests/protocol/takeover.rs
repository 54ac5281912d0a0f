//! Two connections with one Client Identifier (section 3.1.4).

use mqttd::codec::{Packet, Publish, QoS, ReasonCode, Version};

use crate::kit::both;
use crate::kit::packets::{puback, publish_1, publish_2, pubrec};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// `[MQTT-3.1.4-3]` `[MQTT-3.14.2-2]` `[MQTT-3.14.4-1]` `[MQTT-3.14.4-2]`: the older one is told, in
/// a DISCONNECT without Session Expiry Interval that is its last packet.
/// `[MQTT3-3.1.4-2]` `[MQTT31-8]`
#[test]
fn the_newer_connection_wins() {
    both(|broker| {
        for (old, new) in [(0, 2), (1, 1), (2, 0), (2, 2)] {
            let first = broker.connect(VERSIONS[old], "a");
            let second = broker.connect(VERSIONS[new], "a");
            broker.expect_disconnected(first, ReasonCode::SessionTakenOver);
            broker.expect_silence(second);
            broker.disconnect(second);
        }
    });
}

/// `[MQTT-3.1.2-5]` `[MQTT-4.4.0-1]`
#[test]
fn it_takes_the_session_with_all_that_is_in_flight() {
    both(|broker| {
        let first = broker.resume(Version::V311, "a", false);
        broker.subscribe(first, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V311, "b");
        broker.send(publisher, &Packet::Publish(publish_1(1, "a", b"1")));
        broker.expect(publisher, &puback(1));
        broker.send(publisher, &Packet::Publish(publish_2(2, "a", b"2")));
        broker.expect(publisher, &pubrec(2));
        let one = broker.expect_publish(first, &publish_1(0, "a", b"1"));
        let two = broker.expect_publish(first, &publish_2(0, "a", b"2"));
        let second = broker.resume(Version::V5, "a", true);
        broker.expect_disconnected(first, ReasonCode::SessionTakenOver);
        let again = |publish| Packet::Publish(Publish { dup: true, ..publish });
        broker.expect(second, &again(publish_1(one, "a", b"1")));
        broker.expect(second, &again(publish_2(two, "a", b"2")));
        broker.expect_silence(second);
    });
}

/// A clean start leaves nothing of what was, of a connection that still stands too.
/// `[MQTT-3.1.2-4]` `[MQTT-3.1.4-4]`
#[test]
fn a_clean_takeover_leaves_nothing() {
    both(|broker| {
        for version in VERSIONS {
            let first = broker.resume(version, "a", false);
            broker.subscribe(first, &[("a", QoS::AtLeastOnce)]);
            let second = broker.connect(version, "a");
            broker.expect_disconnected(first, ReasonCode::SessionTakenOver);
            broker.send(second, &Packet::Publish(publish_1(1, "a", b"x")));
            broker.hear(second, |packet| assert!(matches!(packet, Packet::Puback(_))));
            broker.expect_silence(second);
            broker.disconnect(second);
        }
    });
}

/// Many times in a row.
#[test]
fn a_client_may_take_over_itself_again_and_again() {
    both(|broker| {
        let mut last = broker.resume(Version::V311, "a", false);
        for _ in 0..50 {
            let next = broker.resume(Version::V311, "a", true);
            broker.expect_disconnected(last, ReasonCode::SessionTakenOver);
            last = next;
        }
        broker.expect_silence(last);
    });
}

//! UNSUBSCRIBE and UNSUBACK (sections 3.10 and 3.11).

use mqttd::codec::{Packet, Publish, QoS, ReasonCode, Version};

use crate::kit::both;
use crate::kit::packets::{
    puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, unsuback, unsubscribe_packet,
};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// `[MQTT-3.10.4-1]` `[MQTT-3.10.4-4]` `[MQTT-3.10.4-5]` `[MQTT-3.10.4-6]` `[MQTT-3.11.3-1]`
/// `[MQTT-2.2.1-6]`
/// `[MQTT3-3.10.4-4]` `[MQTT3-2.3.1-7]`
#[test]
fn each_filter_has_its_answer_in_order() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtMostOnce), ("b/+", QoS::AtMostOnce)]);
            let bytes = unsubscribe_packet(version, 0x1234, &["x", "b/+", "b/c", "a"]);
            broker.send_bytes(client, &bytes);
            broker.expect(client, &unsuback(version, 0x1234, &[0x11, 0, 0x11, 0]));
        }
    });
}

/// `[MQTT-3.10.4-2]`
/// `[MQTT3-3.10.4-2]`
#[test]
fn after_unsuback_nothing_comes() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a/#", QoS::AtMostOnce), ("a/b", QoS::AtMostOnce)]);
            broker.send_bytes(client, &unsubscribe_packet(version, 1, &["a/#"]));
            broker.expect(client, &unsuback(version, 1, &[0]));
            broker.send(client, &Packet::Publish(publish("a", b"no")));
            broker.send(client, &Packet::Publish(publish("a/b", b"yes")));
            broker.expect_publish(client, &publish("a/b", b"yes"));
            broker.expect_silence(client);
        }
    });
}

/// Also over connections: what was in flight at UNSUBSCRIBE is sent again, and goes on to its end.
///
/// `[MQTT-3.10.4-3]`
/// `[MQTT3-3.10.4-3]`
#[test]
fn what_was_begun_is_completed() {
    both(|broker| {
        for version in VERSIONS {
            let is_told = version != Version::V31;
            let client = broker.resume(version, "a", false);
            broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
            let other = broker.connect(Version::V311, "b");
            broker.send(other, &Packet::Publish(publish_1(1, "a", b"1")));
            broker.expect(other, &puback(1));
            broker.send(other, &Packet::Publish(publish_2(2, "a", b"2")));
            broker.expect(other, &pubrec(2));
            let one = broker.expect_publish(client, &publish_1(0, "a", b"1"));
            let two = broker.expect_publish(client, &publish_2(0, "a", b"2"));
            broker.send_bytes(client, &unsubscribe_packet(version, 1, &["a"]));
            broker.expect(client, &unsuback(version, 1, &[0]));
            broker.cut(client);
            let client = broker.resume(version, "a", is_told);
            let again = |publish| Packet::Publish(Publish { dup: true, ..publish });
            broker.expect(client, &again(publish_1(one, "a", b"1")));
            broker.expect(client, &again(publish_2(two, "a", b"2")));
            broker.send(client, &puback(one));
            broker.send(client, &pubrec(two));
            // To 5.0 with 0x00: the identifier is known.
            broker.expect(client, &pubrel(two));
            broker.cut(client);
            let client = broker.resume(version, "a", is_told);
            broker.expect(client, &pubrel(two));
            broker.send(client, &pubcomp(two));
            broker.expect_silence(client);
            broker.disconnect(client);
            let client = broker.connect(version, "a");
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-3.10.3-2]` `[MQTT-3.10.1-1]`
#[test]
fn a_malformed_unsubscribe_ends_the_connection() {
    both(|broker| {
        for (bytes, reason) in [
            (&b"\xa2\x03\x00\x01\x00"[..], ReasonCode::ProtocolError),
            (b"\xa0\x06\x00\x01\x00\x00\x01a", ReasonCode::MalformedPacket),
            (b"\xa2\x06\x00\x00\x00\x00\x01a", ReasonCode::ProtocolError),
        ] {
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, bytes);
            broker.expect_disconnected(client, reason);
        }
    });
}

/// `[MQTT-4.7.1-1]` `[MQTT-3.11.3-2]`: 5.0 has a Reason Code for it; before, the connection ends.
#[test]
fn an_invalid_filter_is_refused() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        broker.send_bytes(client, &unsubscribe_packet(Version::V5, 1, &["a/#/b", "a"]));
        broker.hear(client, |packet| {
            let Packet::Unsuback(unsuback) = packet else { panic!("{packet:?}") };
            assert_eq!(unsuback.reasons, [0x8f, 0]);
        });
        let client = broker.connect(Version::V311, "b");
        broker.send_bytes(client, &unsubscribe_packet(Version::V311, 1, &["a/#/b", "a"]));
        broker.expect_closed(client);
    });
}

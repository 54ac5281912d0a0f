//! Fixed headers and Packet Identifiers (sections 2.2 and 2.3), and strings (section 1.5.3).

use mqttd::codec::{QoS, Version};

use super::{BEFORE_5, watcher};
use crate::kit::both;
use crate::kit::packets::publish;

/// A packet of each type that a client sends behind CONNECT, but PUBLISH.
const PACKETS: [&[u8]; 8] = [
    b"\x40\x02\x00\x01",
    b"\x50\x02\x00\x01",
    b"\x62\x02\x00\x01",
    b"\x70\x02\x00\x01",
    b"\x82\x06\x00\x01\x00\x01a\x00",
    b"\xa2\x05\x00\x01\x00\x01a",
    b"\xc0\x00",
    b"\xe0\x00",
];

/// Whether a packet type may be sent again with DUP in 3.1.
const fn repeatable(first: u8) -> bool {
    matches!(first >> 4, 6 | 8 | 10)
}

/// `[MQTT3-2.2.2-1]` `[MQTT3-2.2.2-2]` `[MQTT3-3.6.1-1]` `[MQTT3-3.8.1-1]` `[MQTT3-3.10.1-1]`
/// `[MQTT3-3.14.1-1]` `[MQTT3-4.8.0-1]`
#[test]
fn reserved_flags_end_the_connection() {
    both(|broker| {
        for version in BEFORE_5 {
            for packet in PACKETS {
                for flags in 0..16 {
                    let dup = version == Version::V31 && repeatable(packet[0]);
                    let expected = packet[0] & 0x0f;
                    if flags == expected || dup && flags == expected | 0x08 {
                        continue;
                    }
                    let mut packet = packet.to_vec();
                    packet[0] = packet[0] & 0xf0 | flags;
                    let client = broker.connect(version, "a");
                    broker.send_bytes(client, &packet);
                    broker.expect_closed(client);
                }
            }
        }
    });
}

/// With the flags they have, they are taken.
///
/// `[MQTT3-2.2.2-1]`
#[test]
fn the_right_flags_are_taken() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            for packet in &PACKETS[..7] {
                broker.send_bytes(client, packet);
            }
            // PUBREC is answered by PUBREL, whose flags are 0010.
            broker.expect_bytes(client, b"\x62\x02\x00\x01");
            broker.expect_bytes(client, b"\x70\x02\x00\x01");
            broker.expect_bytes(client, b"\x90\x03\x00\x01\x00");
            broker.expect_bytes(client, b"\xb0\x02\x00\x01");
            broker.expect_bytes(client, b"\xd0\x00");
        }
    });
}

/// 3.1 repeats packets on the same connection when their answer does not come.
///
/// `[MQTT31-10]`
#[test]
fn in_3_1_three_packets_may_be_repeated_with_dup() {
    both(|broker| {
        let client = broker.connect(Version::V31, "a");
        for dup in [0, 0x08] {
            broker.send_bytes(client, &[0x82 | dup, 6, 0, 1, 0, 1, b'a', 0]);
            broker.expect_bytes(client, b"\x90\x03\x00\x01\x00");
        }
        broker.send_bytes(client, b"\x34\x06\x00\x01a\x00\x07x");
        broker.expect_bytes(client, b"\x30\x04\x00\x01ax");
        broker.expect_bytes(client, b"\x50\x02\x00\x07");
        for dup in [0, 0x08] {
            broker.send_bytes(client, &[0x62 | dup, 2, 0, 7]);
            broker.expect_bytes(client, b"\x70\x02\x00\x07");
        }
        for dup in [0, 0x08] {
            broker.send_bytes(client, &[0xa2 | dup, 5, 0, 2, 0, 1, b'a']);
            broker.expect_bytes(client, b"\xb0\x02\x00\x02");
        }
        broker.expect_silence(client);
    });
}

/// `[MQTT3-2.3.1-1]` `[MQTT3-3.3.1-2]` `[MQTT3-3.3.1-4]` `[MQTT3-4.8.0-1]`
#[test]
fn impossible_headers_end_the_connection() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in BEFORE_5 {
            for bytes in [
                // Packet Identifier 0.
                &b"\x82\x06\x00\x00\x00\x01a\x00"[..],
                b"\xa2\x05\x00\x00\x00\x01a",
                b"\x32\x05\x00\x01a\x00\x00",
                b"\x34\x05\x00\x01a\x00\x00",
                // QoS 3.
                b"\x36\x05\x00\x01a\x00\x01",
                // QoS 0 with DUP.
                b"\x38\x03\x00\x01a",
                // Types that there are not, and those only a server sends.
                b"\x00\x00",
                b"\xf0\x00",
                b"\x20\x02\x00\x00",
                b"\x90\x03\x00\x01\x00",
                b"\xb0\x02\x00\x01",
                b"\xd0\x00",
                // Lengths that do not fit.
                b"\x40\x03\x00\x01\x00",
                b"\xc0\x01\x00",
                b"\xe0\x01\x00",
                b"\x40\x01\x00",
            ] {
                let client = broker.connect(version, "a");
                broker.send_bytes(client, bytes);
                broker.expect_closed(client);
            }
        }
        broker.expect_silence(watcher);
    });
}

/// A message of QoS 0 has no identifier; its payload begins behind the topic.
///
/// `[MQTT3-2.3.1-5]` `[MQTT3-4.3.1-1]`
#[test]
fn qos_0_has_no_packet_identifier() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("t", QoS::ExactlyOnce)]);
            broker.send_bytes(client, b"\x30\x05\x00\x01tXY");
            broker.expect_bytes(client, b"\x30\x05\x00\x01tXY");
        }
    });
}

/// `[MQTT3-1.5.3-1]` `[MQTT3-1.5.3-2]` `[MQTT3-3.3.2-1]` `[MQTT3-3.8.3-1]` `[MQTT3-3.10.3-1]`
/// `[MQTT3-4.7.3-2]` `[MQTT31-11]`
#[test]
fn a_string_is_utf_8_without_nul() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in BEFORE_5 {
            // No UTF-8, a surrogate, and NUL, each in three bytes.
            for bad in [&b"a\xffb"[..], b"\xed\xa0\x80", b"a\x00b"] {
                let publish = [b"\x30\x05\x00\x03", bad].concat();
                let subscribe = [b"\x82\x08\x00\x01\x00\x03", bad, b"\x00"].concat();
                let unsubscribe = [b"\xa2\x07\x00\x01\x00\x03", bad].concat();
                for packet in [publish, subscribe, unsubscribe] {
                    let client = broker.connect(version, "a");
                    broker.send_bytes(client, &packet);
                    broker.expect_closed(client);
                }
            }
        }
        broker.expect_silence(watcher);
    });
}

/// `[MQTT3-1.5.3-3]` `[MQTT3-4.7.3-4]`
#[test]
fn a_byte_order_mark_is_a_character() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("\u{feff}a", QoS::AtMostOnce)]);
            broker.send_bytes(client, b"\x30\x03\x00\x01a");
            broker.send_bytes(client, b"\x30\x06\x00\x04\xef\xbb\xbfa");
            broker.expect_bytes(client, b"\x30\x06\x00\x04\xef\xbb\xbfa");
            broker.expect_silence(client);
        }
    });
}

/// The longest topic a packet can hold is taken and matched, to the last character.
///
/// `[MQTT3-4.7.3-3]`
#[test]
fn a_topic_has_up_to_65_535_bytes() {
    both(|broker| {
        for version in BEFORE_5 {
            let longest = "x".repeat(65_535);
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[(&longest, QoS::AtMostOnce)]);
            let message = mqttd::codec::Packet::Publish(publish(&longest[1..], b"no"));
            broker.send(client, &message);
            broker.send(client, &mqttd::codec::Packet::Publish(publish(&longest, b"yes")));
            broker.expect_publish(client, &publish(&longest, b"yes"));
            broker.expect_silence(client);
        }
    });
}

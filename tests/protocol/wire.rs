//! Fixed headers, lengths and identifiers as bytes (sections 1.5.5 and 2).

use mqttd::broker::Limits;
use mqttd::codec::{PACKET_BYTES_MAX, Packet, Properties, QoS, ReasonCode, Version};

use crate::kit::packets::{
    Hello, puback, publish, publish_1, publish_2, pubrec, pubrel, subscribe_packet,
    unsubscribe_packet,
};
use crate::kit::{both, both_with, limits};

/// Bodies of packets of 5.0 that are right but for their flags, by packet type.
const BODIES: &[(u8, u8, &[u8])] = &[
    (1, 0, b"\0\x04MQTT\x05\x02\0\0\0\0\x01a"),
    (2, 0, b"\0\0\0"),
    (4, 0, b"\0\x01"),
    (5, 0, b"\0\x01"),
    (6, 0b0010, b"\0\x01"),
    (7, 0, b"\0\x01"),
    (8, 0b0010, b"\0\x01\0\0\x01a\0"),
    (9, 0, b"\0\x01\0\0"),
    (10, 0b0010, b"\0\x01\0\0\x01a"),
    (11, 0, b"\0\x01\0\0"),
    (12, 0, b""),
    (13, 0, b""),
    (14, 0, b""),
    (15, 0, b""),
];

/// `[MQTT-2.1.3-1]` `[MQTT-3.6.1-1]` `[MQTT-3.8.1-1]` `[MQTT-3.10.1-1]` `[MQTT-3.14.1-1]`
/// `[MQTT-3.15.1-1]`: all fifteen wrong values of all packets that have no flags.
#[test]
fn reserved_flags_end_the_connection() {
    both(|broker| {
        for (packet_type, right, body) in BODIES {
            for flags in (0..16).filter(|flags| flags != right) {
                let client = broker.connect(Version::V5, "a");
                let len = u8::try_from(body.len()).expect("short");
                let mut packet = vec![packet_type << 4 | flags, len];
                packet.extend_from_slice(body);
                broker.send_bytes(client, &packet);
                broker.expect_disconnected(client, ReasonCode::MalformedPacket);
            }
        }
    });
}

/// `[MQTT-3.3.1-4]` `[MQTT-3.3.1-2]`: of the flags of PUBLISH, QoS 3, and DUP with QoS 0.
#[test]
fn impossible_flags_of_publish_end_the_connection() {
    both(|broker| {
        for flags in 0..16u8 {
            let client = broker.connect(Version::V5, "a");
            // What is an identifier above QoS 0 is an empty list and a byte of payload with QoS 0.
            broker.send_bytes(client, &[0x30 | flags, 6, 0, 1, b'a', 0, 1, 0]);
            match flags >> 1 & 3 {
                3 => broker.expect_disconnected(client, ReasonCode::MalformedPacket),
                0 if flags & 8 != 0 => {
                    broker.expect_disconnected(client, ReasonCode::MalformedPacket);
                }
                0 => broker.expect_silence(client),
                1 => broker.hear(client, |packet| assert!(matches!(packet, Packet::Puback(_)))),
                _ => broker.hear(client, |packet| assert!(matches!(packet, Packet::Pubrec(_)))),
            }
        }
    });
}

/// `[MQTT-1.5.5-1]`: Remaining Length, property length, Property Identifier and Subscription
/// Identifier in more bytes than they need, or in more than four.
#[test]
fn a_length_takes_as_few_bytes_as_it_can() {
    both(|broker| {
        for bytes in [
            &b"\xc0\x80\x00"[..],
            b"\xc0\x80\x80\x80\x00",
            b"\x30\xff\xff\xff\xff\x01",
            b"\x30\x85\x00\x00\x01a\x00x",
            b"\x30\x06\x00\x01a\x80\x00x",
            b"\x30\x07\x00\x01a\x03\x81\x00\x01",
            b"\x82\x0a\x00\x01\x03\x0b\x81\x00\x00\x01a\x00",
            b"\xe0\x03\x00\x80\x00",
        ] {
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, bytes);
            broker.expect_disconnected(client, ReasonCode::MalformedPacket);
        }
    });
}

/// `[MQTT-2.2.2-1]` `[MQTT-2.2.1-2]` `[MQTT-3.2.2-1]` `[MQTT-1.5.5-1]` `[MQTT-3.3.2-1]`
/// `[MQTT-4.3.1-1]`: the server's packets to the byte. Without properties there is a length of 0, with QoS 0 no
/// identifier and no DUP, and lengths are in their shortest form.
#[test]
fn the_servers_packets_to_the_byte() {
    let plain = Limits {
        packet_bytes_max: PACKET_BYTES_MAX,
        receive_maximum: u16::MAX,
        topic_alias_maximum: 0,
        ..limits()
    };
    both_with(&plain, |broker| {
        let client = broker.open(Version::V5);
        broker.send(client, &Hello::persistent(Version::V5, "a").packet());
        assert_eq!(broker.hear_bytes(client), b"\x20\x03\x00\x00\x00");
        broker.cut(client);
        let client = broker.open(Version::V5);
        broker.send(client, &Hello::persistent(Version::V5, "a").packet());
        assert_eq!(broker.hear_bytes(client), b"\x20\x03\x01\x00\x00");
        let filters = [("t", QoS::AtLeastOnce)];
        let subscribe = subscribe_packet(Version::V5, 0x1234, Properties::EMPTY, &filters);
        broker.send_bytes(client, &subscribe);
        assert_eq!(broker.hear_bytes(client), b"\x90\x04\x12\x34\x00\x01");
        broker.send(client, &Packet::Publish(publish("t", b"x")));
        assert_eq!(broker.hear_bytes(client), b"\x30\x05\x00\x01t\x00x");
        broker.send(client, &Packet::Publish(publish_1(0xabcd, "t", b"x")));
        assert_eq!(broker.hear_bytes(client), b"\x32\x07\x00\x01t\x00\x01\x00x");
        assert_eq!(broker.hear_bytes(client), b"\x40\x02\xab\xcd");
        broker.send(client, &Packet::Publish(publish("t", &[7; 123])));
        assert_eq!(broker.hear_bytes(client)[..3], [0x30, 127, 0]);
        broker.send(client, &Packet::Publish(publish("t", &[7; 124])));
        assert_eq!(broker.hear_bytes(client)[..4], [0x30, 0x80, 1, 0]);
        broker.send_bytes(client, &unsubscribe_packet(Version::V5, 0x4321, &["t"]));
        assert_eq!(broker.hear_bytes(client), b"\xb0\x04\x43\x21\x00\x00");
        broker.send(client, &Packet::Pingreq);
        assert_eq!(broker.hear_bytes(client), b"\xd0\x00");
    });
}

/// `[MQTT-2.2.1-3]`: 0 is no Packet Identifier.
#[test]
fn packet_identifier_0_ends_the_connection() {
    both(|broker| {
        for bytes in [
            &b"\x32\x06\x00\x01a\x00\x00\x00"[..],
            b"\x34\x06\x00\x01a\x00\x00\x00",
            b"\x40\x02\x00\x00",
            b"\x50\x02\x00\x00",
            b"\x62\x02\x00\x00",
            b"\x70\x02\x00\x00",
            b"\x82\x07\x00\x00\x00\x00\x01a\x00",
            b"\xa2\x06\x00\x00\x00\x00\x01a",
        ] {
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, bytes);
            broker.expect_disconnected(client, ReasonCode::ProtocolError);
        }
    });
}

/// `[MQTT-2.2.1-4]` `[MQTT-4.3.2-1]` `[MQTT-4.3.3-1]` `[MQTT-4.3.2-3]` `[MQTT-4.3.3-3]`: an
/// identifier that waits for its acknowledgement is not given out again.
#[test]
fn the_server_gives_out_no_identifier_in_use() {
    both_with(&Limits { inflight_max: 4, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "b");
        let mut held = Vec::new();
        for number in 1..=2 {
            broker.send(publisher, &Packet::Publish(publish_1(number, "a", b"held")));
            held.push(broker.expect_publish(client, &publish_1(0, "a", b"held")));
        }
        broker.send(publisher, &Packet::Publish(publish_2(3, "a", b"2")));
        let message = publish_2(0, "a", b"2");
        held.push(broker.expect_publish(client, &message));
        for number in 10..60 {
            broker.send(publisher, &Packet::Publish(publish_1(number, "a", b"x")));
            let packet_id = broker.expect_publish(client, &publish_1(0, "a", b"x"));
            assert!(packet_id != 0 && !held.contains(&packet_id), "{packet_id} in {held:?}");
            broker.send(client, &puback(packet_id));
        }
        // Those held are acknowledged under the identifiers they had.
        held[..2].iter().for_each(|id| broker.send(client, &puback(*id)));
        broker.send(client, &pubrec(held[2]));
        broker.expect(client, &pubrel(held[2]));
    });
}

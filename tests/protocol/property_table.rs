//! The table of properties (section 2.2.2.2), and that of Reason Codes (section 2.4): every packet a
//! client may send with every property and every code there is and is not.

use mqttd::codec::{Packet, ReasonCode, Version};

use crate::kit::{Broker, both};

/// Property Identifier, a value of its type, and the packets it may stand in: their packet types,
/// 0 for the Will.
const PROPERTIES: &[(u8, &[u8], &[u8])] = &[
    (0x01, b"\x01", &[3, 0]),
    (0x02, b"\0\0\0\x09", &[3, 0]),
    (0x03, b"\0\x01c", &[3, 0]),
    (0x08, b"\0\x01r", &[3, 0]),
    (0x09, b"\0\x01\xff", &[3, 0]),
    (0x0b, b"\x07", &[3, 8]),
    (0x11, b"\0\0\0\x09", &[1, 2, 14]),
    (0x12, b"\0\x01i", &[2]),
    (0x13, b"\0\x09", &[2]),
    (0x15, b"\0\x01m", &[1, 2, 15]),
    (0x16, b"\0\x01\xff", &[1, 2, 15]),
    (0x17, b"\x01", &[1]),
    (0x18, b"\0\0\0\x09", &[0]),
    (0x19, b"\x01", &[1]),
    (0x1a, b"\0\x01i", &[2]),
    (0x1c, b"\0\x01s", &[2, 14]),
    (0x1f, b"\0\x01r", &[2, 4, 5, 6, 7, 9, 11, 14, 15]),
    (0x21, b"\0\x09", &[1, 2]),
    (0x22, b"\0\x09", &[1, 2]),
    (0x23, b"\0\x01", &[3]),
    (0x24, b"\x01", &[2]),
    (0x25, b"\x01", &[2]),
    (0x26, b"\0\x01k\0\x01v", &[1, 2, 3, 0, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15]),
    (0x27, b"\0\0\x10\0", &[1, 2]),
    (0x28, b"\x01", &[2]),
    (0x29, b"\x01", &[2]),
    (0x2a, b"\x01", &[2]),
];

/// Packets a client sends: packet type (0 for the Will), byte 1, what stands before the property
/// list, and what stands behind it.
const PACKETS: &[(u8, u8, &[u8], &[u8])] = &[
    (1, 0x10, b"\0\x04MQTT\x05\x02\0\0", b"\0\x01a"),
    (0, 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01a", b"\0\x01w\0\0"),
    (3, 0x30, b"\0\x01t", b"payload"),
    (4, 0x40, b"\0\x01\0", b""),
    (5, 0x50, b"\0\x01\0", b""),
    (6, 0x62, b"\0\x01\0", b""),
    (7, 0x70, b"\0\x01\0", b""),
    (8, 0x82, b"\0\x01", b"\0\x01f\0"),
    (10, 0xa2, b"\0\x01", b"\0\x01f"),
    (14, 0xe0, b"\0", b""),
];

const MALFORMED: u8 = ReasonCode::MalformedPacket.as_byte();
const PROTOCOL: u8 = ReasonCode::ProtocolError.as_byte();

/// Sends bytes as the packet of this type: the Reason Code the connection ends with, `None` when
/// the packet is taken.
fn verdict(broker: &mut Broker, packet_type: u8, bytes: &[u8]) -> Option<u8> {
    let is_connect = packet_type <= 1;
    let client =
        if is_connect { broker.open(Version::V5) } else { broker.connect(Version::V5, "a") };
    broker.send_bytes(client, bytes);
    broker.send(client, &Packet::Pingreq);
    loop {
        // CONNACK and DISCONNECT end it, PINGRESP says that all is well; answers stand before.
        let reason = match broker.hear_or_end(client).as_deref() {
            Some([0x20, _, _, reason, ..]) if *reason >= 0x80 => Some(*reason),
            Some([0xe0, _, reason, ..]) => Some(*reason),
            Some([0xd0, ..]) => None,
            Some(_) => continue,
            None => {
                // Without a word only its own DISCONNECT ends a connection.
                assert_eq!(packet_type, 14, "{bytes:x?} is not answered");
                return None;
            }
        };
        match reason {
            Some(_) => broker.expect_closed(client),
            None => broker.cut(client),
        }
        return reason;
    }
}

fn with_list(broker: &mut Broker, packet: &(u8, u8, &[u8], &[u8]), list: &[u8]) -> Option<u8> {
    let (packet_type, first, before, after) = *packet;
    let byte = |len: usize| u8::try_from(len).expect("short");
    let body = [before, &[byte(list.len())], list, after].concat();
    verdict(broker, packet_type, &[&[first, byte(body.len())][..], &body].concat())
}

/// Whether a property in a packet is the server's business, and not the client's to send.
fn is_refused_otherwise(packet_type: u8, id: u8) -> Option<u8> {
    match (packet_type, id) {
        // `[MQTT-3.3.4-6]`
        (3, 0x0b) => Some(PROTOCOL),
        // The server has no such method, and data need one.
        (1, 0x15) => Some(ReasonCode::BadAuthenticationMethod.as_byte()),
        (1, 0x16) => Some(PROTOCOL),
        // A session that ends with its connection.
        (14, 0x11) => Some(PROTOCOL),
        _ => None,
    }
}

/// `[MQTT-3.1.4-1]` `[MQTT-4.13.1-1]`: a property in a packet that does not have it is malformed,
/// for all 27 properties and all packets of a client; in one that has it, it is taken.
#[test]
fn a_property_stands_where_the_table_has_it() {
    both(|broker| {
        for packet in PACKETS {
            for (id, value, places) in PROPERTIES {
                let list = [&[*id][..], value].concat();
                let expected = if places.contains(&packet.0) {
                    is_refused_otherwise(packet.0, *id)
                } else {
                    Some(MALFORMED)
                };
                let found = with_list(broker, packet, &list);
                assert_eq!(found, expected, "{id:#x} in packet type {}", packet.0);
            }
        }
    });
}

/// `[MQTT-4.13.1-1]`: twice is a protocol error, but for User Property.
#[test]
fn a_property_stands_once() {
    both(|broker| {
        for packet in PACKETS {
            for (id, value, _) in PROPERTIES.iter().filter(|row| row.2.contains(&packet.0)) {
                let once = [&[*id][..], value].concat();
                let expected = if *id == 0x26 { None } else { Some(PROTOCOL) };
                let found = with_list(broker, packet, &[&once[..], &once].concat());
                assert_eq!(found, expected, "{id:#x} twice in packet type {}", packet.0);
            }
        }
    });
}

/// `[MQTT-4.13.1-1]`: identifiers that do not exist, lists that end inside a value, and lengths
/// that reach beyond the packet.
#[test]
fn a_list_that_cannot_be_read_is_malformed() {
    both(|broker| {
        let known = |id: &u8| PROPERTIES.iter().any(|row| row.0 == *id);
        for packet in PACKETS {
            for id in (0..0x30).chain([0x7f]).filter(|id| !known(id)) {
                let found = with_list(broker, packet, &[id, 0]);
                assert_eq!(found, Some(MALFORMED), "{id:#x} in packet type {}", packet.0);
            }
            for (id, value, _) in PROPERTIES.iter().filter(|row| row.2.contains(&packet.0)) {
                for cut in 0..value.len() {
                    let list = [&[*id][..], &value[..cut]].concat();
                    let found = with_list(broker, packet, &list);
                    assert_eq!(found, Some(MALFORMED), "{list:x?} in packet type {}", packet.0);
                }
            }
        }
    });
}

/// `[MQTT-3.3.2-8]` `[MQTT-3.3.2-14]` `[MQTT-4.13.1-1]`: values of the right type that the standard
/// rules out.
#[test]
fn a_value_is_one_the_standard_allows() {
    both(|broker| {
        for (packet_type, list, expected) in [
            (3, &b"\x01\x02"[..], PROTOCOL),
            (0, b"\x01\x02", PROTOCOL),
            (3, b"\x08\0\x03a/#", PROTOCOL),
            (3, b"\x08\0\x01+", PROTOCOL),
            (0, b"\x08\0\x01#", PROTOCOL),
            (8, b"\x0b\0", PROTOCOL),
            (1, b"\x17\x02", PROTOCOL),
            (1, b"\x19\xff", PROTOCOL),
            (1, b"\x21\0\0", PROTOCOL),
            (1, b"\x27\0\0\0\0", PROTOCOL),
            (3, b"\x23\0\0", ReasonCode::TopicAliasInvalid.as_byte()),
        ] {
            let packet = PACKETS.iter().find(|packet| packet.0 == packet_type).expect("a packet");
            assert_eq!(with_list(broker, packet, list), Some(expected), "{list:x?}");
        }
    });
}

/// Packet type, byte 1, and the Reason Codes of the packet (section 2.4), DISCONNECT's those that a
/// client may send and those that only servers do.
const CODES: &[(u8, u8, &[u8])] = &[
    (4, 0x40, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    (5, 0x50, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    (6, 0x62, &[0x00, 0x92]),
    (7, 0x70, &[0x00, 0x92]),
    (
        14,
        0xe0,
        &[
            0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90,
            0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0,
            0xa1, 0xa2,
        ],
    ),
];

/// `[MQTT-3.4.2-1]` `[MQTT-3.5.2-1]` `[MQTT-3.6.2-1]` `[MQTT-3.7.2-1]` `[MQTT-3.14.2-1]`: all 256
/// values.
#[test]
fn a_reason_code_stands_where_the_table_has_it() {
    both(|broker| {
        for (packet_type, first, codes) in CODES {
            for code in 0..=u8::MAX {
                let bytes = match packet_type {
                    14 => vec![*first, 1, code],
                    _ => vec![*first, 3, 0, 1, code],
                };
                let expected = if codes.contains(&code) { None } else { Some(MALFORMED) };
                let found = verdict(broker, *packet_type, &bytes);
                assert_eq!(found, expected, "{code:#x} in packet type {packet_type}");
            }
        }
    });
}

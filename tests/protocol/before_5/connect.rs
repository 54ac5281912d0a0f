//! CONNECT and CONNACK (sections 3.1 and 3.2).

use mqttd::codec::{Packet, QoS, Version};

use super::{BEFORE_5, connect_bytes, watcher};
use crate::kit::packets::{Hello, publish, publish_1, retained};
use crate::kit::{Broker, both};

const CLEAN: u8 = 0x02;
const WILL: u8 = 0x04;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// Sends the first packet of a connection, which must be closed without a word.
fn expect_silent_refusal(broker: &mut Broker, version: Version, connect: &[u8]) {
    let client = broker.open(version);
    broker.send_bytes(client, connect);
    broker.expect_closed(client);
}

/// Four bytes: 3.1.1 says in the third whether there is a session, 3.1 says nothing there.
///
/// `[MQTT3-3.1.4-4]` `[MQTT3-3.2.0-1]` `[MQTT3-3.2.2-1]` `[MQTT3-3.2.2-2]` `[MQTT3-3.2.2-3]`
/// `[MQTT31-1]` `[MQTT31-9]`
#[test]
fn connack_says_whether_a_session_is_present() {
    both(|broker| {
        for (version, present) in [(Version::V31, 0), (Version::V311, 1)] {
            for (flags, session_present) in
                [(0, 0), (0, present), (CLEAN, 0), (CLEAN, 0), (0, 0), (0, present)]
            {
                let client = broker.open(version);
                broker.send_bytes(client, &connect_bytes(version, flags, &[b"a"]));
                broker.expect_bytes(client, &[0x20, 2, session_present, 0]);
                broker.disconnect(client);
            }
            let client = broker.connect(version, "a");
            broker.disconnect(client);
        }
    });
}

/// A refusal says nothing of the session that is there, and ends the connection.
///
/// `[MQTT3-3.2.2-4]` `[MQTT3-3.2.2-5]` `[MQTT3-3.1.2-2]` `[MQTT31-2]`
#[test]
fn a_refusal_has_no_session_present() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.open(version);
            broker.send_bytes(client, &connect_bytes(version, 0, &[b"a"]));
            broker.hear(client, |packet| assert!(matches!(packet, Packet::Connack(_))));
            broker.disconnect(client);
            let mut unknown_level = connect_bytes(version, 0, &[b"a"]);
            let level = if version == Version::V31 { 10 } else { 8 };
            for other in [2, 7] {
                unknown_level[level] = other;
                let client = broker.open(version);
                broker.send_bytes(client, &unknown_level);
                if other < 5 {
                    broker.expect_bytes(client, &[0x20, 2, 0, 1]);
                } else {
                    // Whoever knows a level above 5 knows the CONNACK of 5.0.
                    broker.expect_connack_of_5(client, 0x84);
                }
                broker.expect_closed(client);
            }
            let client = broker.connect(version, "a");
            broker.disconnect(client);
        }
    });
}

/// Each name has its level.
///
/// `[MQTT31-2]`
#[test]
fn a_name_with_the_level_of_another_is_refused() {
    both(|broker| {
        for bytes in [
            &b"\x10\x0f\x00\x06MQIsdp\x04\x02\x00\x00\x00\x01a"[..],
            b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x00\x00\x01a",
        ] {
            let client = broker.open(Version::V311);
            broker.send_bytes(client, bytes);
            broker.expect_bytes(client, &[0x20, 2, 0, 1]);
            broker.expect_closed(client);
        }
    });
}

/// Neither a name in other letters nor one that only begins like ours is MQTT.
///
/// `[MQTT3-3.1.2-1]` `[MQTT31-2]`
#[test]
fn the_protocol_name_is_taken_by_the_letter() {
    both(|broker| {
        for bytes in [
            &b"\x10\x0d\x00\x04mqtt\x04\x02\x00\x00\x00\x01a"[..],
            b"\x10\x0e\x00\x05MQTTX\x04\x02\x00\x00\x00\x01a",
            b"\x10\x0f\x00\x06MQISDP\x03\x02\x00\x00\x00\x01a",
            b"\x10\x0c\x00\x03MQT\x04\x02\x00\x00\x00\x01a",
        ] {
            expect_silent_refusal(broker, Version::V311, bytes);
        }
    });
}

/// `[MQTT3-3.1.3-5]` `[MQTT31-3]`
#[test]
fn identifiers_of_1_to_23_characters_are_let_in() {
    both(|broker| {
        let characters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        for version in BEFORE_5 {
            for (from, len) in [(0, 23), (23, 23), (39, 23), (0, 1), (61, 1), (10, 12)] {
                let client = broker.connect(version, &characters[from..from + len]);
                broker.expect_silence(client);
                broker.disconnect(client);
            }
        }
    });
}

/// 3.1 counts characters, not bytes, and has no more than 23; 3.1.1 has them as long as strings are.
///
/// `[MQTT31-4]`
#[test]
fn longer_identifiers_came_with_3_1_1() {
    both(|broker| {
        let umlauts = "\u{fc}".repeat(23);
        let client = broker.connect(Version::V31, &umlauts);
        broker.disconnect(client);
        for longer in [&*"x".repeat(24), &*"\u{fc}".repeat(24)] {
            let client = broker.open(Version::V31);
            broker.send_bytes(client, &connect_bytes(Version::V31, CLEAN, &[longer.as_bytes()]));
            broker.expect_bytes(client, &[0x20, 2, 0, 2]);
            broker.expect_closed(client);
            let client = broker.connect(Version::V311, longer);
            broker.disconnect(client);
        }
        let longest = "x".repeat(65_535);
        let client = broker.connect(Version::V311, &longest);
        broker.expect_silence(client);
    });
}

/// Each is given an identifier that nobody else has: none takes over another.
///
/// `[MQTT3-3.1.3-6]`
#[test]
fn clients_without_identifier_are_apart() {
    both(|broker| {
        let clients: Vec<_> = (0..3).map(|_| broker.connect(Version::V311, "")).collect();
        for (client, topic) in clients.iter().zip(["a", "b", "c"]) {
            broker.subscribe(*client, &[(topic, QoS::AtMostOnce)]);
        }
        for topic in ["a", "b", "c"] {
            broker.send(clients[0], &Packet::Publish(publish(topic, b"x")));
        }
        for (client, topic) in clients.iter().zip(["a", "b", "c"]) {
            broker.expect_publish(*client, &publish(topic, b"x"));
            broker.expect_silence(*client);
        }
    });
}

/// An identifier that is refused: return code 2, and the end.
///
/// `[MQTT3-3.1.3-8]` `[MQTT3-3.1.3-9]` `[MQTT3-3.2.2-4]` `[MQTT3-3.2.2-5]` `[MQTT31-5]`
#[test]
fn no_identifier_and_no_clean_session_is_refused() {
    both(|broker| {
        for (version, flags) in [(Version::V311, 0), (Version::V31, 0), (Version::V31, CLEAN)] {
            let client = broker.open(version);
            broker.send_bytes(client, &connect_bytes(version, flags, &[b""]));
            broker.expect_bytes(client, &[0x20, 2, 0, 2]);
            broker.expect_closed(client);
        }
    });
}

/// What stands behind a CONNECT that is refused was never said.
///
/// `[MQTT3-3.1.4-5]`
#[test]
fn after_a_refused_connect_nothing_counts() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in BEFORE_5 {
            let client = broker.open(version);
            let mut bytes = connect_bytes(version, 0, &[b""]);
            retained(publish("a", b"x")).encode(version, &mut bytes);
            broker.send_bytes(client, &bytes);
            broker.expect_bytes(client, &[0x20, 2, 0, 2]);
            broker.expect_closed(client);
            broker.expect_silence(watcher);
            let client = broker.connect(version, "late");
            broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// None of the return codes means an impossible Will Topic.
///
/// `[MQTT3-3.2.2-6]` `[MQTT3-3.1.4-1]` `[MQTT3-4.7.1-1]` `[MQTT3-4.7.3-1]`
#[test]
fn what_no_return_code_means_is_refused_in_silence() {
    both(|broker| {
        for version in BEFORE_5 {
            for topic in [&b"a/#"[..], b"+", b""] {
                let bytes = connect_bytes(version, CLEAN | WILL, &[b"a", topic, b"gone"]);
                expect_silent_refusal(broker, version, &bytes);
            }
        }
    });
}

/// `[MQTT3-3.1.2-9]` `[MQTT3-3.1.2-11]` `[MQTT3-3.1.2-13]` `[MQTT3-3.1.2-14]`
/// `[MQTT3-3.1.2-15]` `[MQTT3-3.1.4-1]`
#[test]
fn will_flags_and_fields_agree() {
    both(|broker| {
        for version in BEFORE_5 {
            let id: &[&[u8]] = &[b"a"];
            for (flags, fields) in [
                // A Will without its fields, or without the second.
                (WILL, id),
                (WILL, &[b"a", b"w"]),
                // The fields without the flag.
                (0, &[b"a", b"w", b"gone"]),
                // Will QoS 1, Will QoS 2 and Will Retain without a Will.
                (0x08, id),
                (0x10, id),
                (0x20, id),
                // Will QoS 3, with and without a Will.
                (WILL | 0x18, &[b"a", b"w", b"gone"]),
                (0x18, id),
            ] {
                let bytes = connect_bytes(version, CLEAN | flags, fields);
                expect_silent_refusal(broker, version, &bytes);
            }
            for flags in [WILL, WILL | 0x08, WILL | 0x10, WILL | 0x20] {
                let client = broker.open(version);
                let fields: &[&[u8]] = &[b"a", b"w", b"gone"];
                broker.send_bytes(client, &connect_bytes(version, CLEAN | flags, fields));
                broker.expect_bytes(client, &[0x20, 2, 0, 0]);
                broker.disconnect(client);
            }
        }
    });
}

/// `[MQTT3-3.1.2-18]` `[MQTT3-3.1.2-19]` `[MQTT3-3.1.2-20]` `[MQTT3-3.1.2-21]`
/// `[MQTT3-3.1.2-22]` `[MQTT31-6]`
#[test]
fn user_name_and_password_agree_with_their_flags() {
    both(|broker| {
        for version in BEFORE_5 {
            for (flags, fields) in [
                // Fields without flags.
                (0, &[&b"a"[..], b"user"][..]),
                (USER_NAME, &[b"a", b"user", b"secret"]),
                // A Password without a User Name.
                (PASSWORD, &[b"a", b"secret"]),
            ] {
                let bytes = connect_bytes(version, CLEAN | flags, fields);
                expect_silent_refusal(broker, version, &bytes);
            }
        }
        // Flags without fields.
        for (flags, fields) in
            [(USER_NAME, &[&b"a"[..]][..]), (USER_NAME | PASSWORD, &[b"a", b"user"])]
        {
            let bytes = connect_bytes(Version::V311, CLEAN | flags, fields);
            expect_silent_refusal(broker, Version::V311, &bytes);
        }
    });
}

/// The length of the packet has precedence over the flags.
///
/// `[MQTT31-7]`
#[test]
fn in_3_1_user_name_and_password_may_be_left_out() {
    both(|broker| {
        for fields in [&[&b"a"[..]][..], &[b"a", b"user"], &[b"a", b"user", b"secret"]] {
            let client = broker.open(Version::V31);
            let bytes = connect_bytes(Version::V31, CLEAN | USER_NAME | PASSWORD, fields);
            broker.send_bytes(client, &bytes);
            broker.expect_bytes(client, &[0x20, 2, 0, 0]);
            broker.disconnect(client);
        }
    });
}

/// All there is, in one CONNECT: the Will is what stands where the Will stands.
///
/// `[MQTT3-3.1.3-1]` `[MQTT3-3.1.2-9]` `[MQTT3-3.1.2-19]` `[MQTT3-3.1.2-21]`
#[test]
fn the_fields_have_their_order() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in BEFORE_5 {
            let client = broker.open(version);
            let flags = CLEAN | WILL | 0x28 | USER_NAME | PASSWORD;
            let fields: &[&[u8]] = &[b"id", b"w", b"gone", b"user", b"secret"];
            broker.send_bytes(client, &connect_bytes(version, flags, fields));
            broker.expect_bytes(client, &[0x20, 2, 0, 0]);
            // The first field is what it is called: whoever calls itself so takes it over.
            broker.connect(version, "id");
            broker.expect_closed(client);
            broker.expect_publish(watcher, &publish("w", b"gone"));
        }
        // Will Retain and Will QoS 1.
        let client = broker.connect(Version::V311, "late");
        broker.subscribe(client, &[("w", QoS::ExactlyOnce)]);
        broker.expect_publish(client, &retained(publish_1(0, "w", b"gone")));
    });
}

/// `[MQTT3-3.1.3-3]` `[MQTT3-3.1.3-4]` `[MQTT3-3.1.3-10]` `[MQTT3-3.1.3-11]`
/// `[MQTT3-1.5.3-1]` `[MQTT3-1.5.3-2]` `[MQTT31-11]`
#[test]
fn its_strings_are_there_and_utf_8() {
    both(|broker| {
        for version in BEFORE_5 {
            expect_silent_refusal(broker, version, &connect_bytes(version, CLEAN, &[]));
            for bad in [&b"\xff"[..], b"a\xed\xa0\x80", b"a\x00", b"\xc3"] {
                for (flags, fields) in
                    [(0, &[bad][..]), (WILL, &[b"a", bad, b"gone"]), (USER_NAME, &[b"a", bad])]
                {
                    let bytes = connect_bytes(version, CLEAN | flags, fields);
                    expect_silent_refusal(broker, version, &bytes);
                }
            }
            // What is no string may hold anything.
            let flags = CLEAN | WILL | USER_NAME | PASSWORD;
            let fields: &[&[u8]] = &[b"a", b"w", b"\xff\x00", b"user", b"\x00\xff"];
            let client = broker.open(version);
            broker.send_bytes(client, &connect_bytes(version, flags, fields));
            broker.expect_bytes(client, &[0x20, 2, 0, 0]);
            broker.disconnect(client);
        }
    });
}

/// The older connection ends before the new one is answered, and the state goes over.
///
/// `[MQTT3-3.1.4-2]` `[MQTT3-3.1.3-2]` `[MQTT31-8]`
#[test]
fn a_client_is_who_it_says_it_is() {
    both(|broker| {
        for version in BEFORE_5 {
            let (first, _) = broker.connect_as(&Hello::persistent(version, "a"));
            let (other, _) = broker.connect_as(&Hello::persistent(version, "A"));
            broker.subscribe(first, &[("t", QoS::AtMostOnce)]);
            let (second, _) = broker.connect_as(&Hello::persistent(version, "a"));
            broker.expect_closed(first);
            broker.send(other, &Packet::Publish(publish("t", b"x")));
            broker.expect_publish(second, &publish("t", b"x"));
            broker.expect_silence(second);
            broker.expect_silence(other);
            for client in [second, other] {
                broker.disconnect(client);
            }
            for client_id in ["a", "A"] {
                let client = broker.connect(version, client_id);
                broker.disconnect(client);
            }
        }
    });
}

/// Nothing but what the standard has is needed to be understood.
///
/// `[MQTT3-7.0.0-2]` `[MQTT3-7.1.1-1]`
#[test]
fn a_conversation_as_the_standard_has_it() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.open(version);
            broker.send_bytes(client, &connect_bytes(version, CLEAN, &[b"a"]));
            broker.expect_bytes(client, b"\x20\x02\x00\x00");
            broker.send_bytes(client, b"\x82\x06\x00\x0a\x00\x01t\x02");
            broker.expect_bytes(client, b"\x90\x03\x00\x0a\x02");
            broker.send_bytes(client, b"\x34\x07\x00\x01t\x00\x05hi");
            broker.expect_bytes(client, b"\x34\x07\x00\x01t\x00\x01hi");
            broker.expect_bytes(client, b"\x50\x02\x00\x05");
            broker.send_bytes(client, b"\x62\x02\x00\x05\x50\x02\x00\x01");
            broker.expect_bytes(client, b"\x70\x02\x00\x05");
            broker.expect_bytes(client, b"\x62\x02\x00\x01");
            broker.send_bytes(client, b"\x70\x02\x00\x01\x32\x05\x00\x01t\x00\x06");
            broker.expect_bytes(client, b"\x32\x05\x00\x01t\x00\x02");
            broker.expect_bytes(client, b"\x40\x02\x00\x06");
            broker.send_bytes(client, b"\x40\x02\x00\x02\xa2\x05\x00\x0b\x00\x01t");
            broker.expect_bytes(client, b"\xb0\x02\x00\x0b");
            broker.send_bytes(client, b"\xc0\x00\xe0\x00");
            broker.expect_bytes(client, b"\xd0\x00");
            broker.expect_closed(client);
        }
    });
}

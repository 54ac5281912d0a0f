//! CONNECT and CONNACK (sections 3.1 and 3.2).

use mqttd::codec::{Connack, Packet, Properties, PropertiesBuf, Property, ReasonCode, Version};

use crate::kit::packets::{Hello, disconnect, publish, will};
use crate::kit::{Broker, Client, both, both_with, limits};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn expect_refused(broker: &mut Broker, client: Client, reason: ReasonCode) {
    broker.hear(client, |packet| {
        let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
        assert_eq!((connack.reason, connack.session_present), (reason, false));
    });
    broker.expect_closed(client);
}

/// `[MQTT-3.1.4-5]`
#[test]
fn a_client_of_each_version_is_let_in() {
    both(|broker| {
        for version in VERSIONS {
            for client_id in
                ["0123456789abcdefghijk", "lmnopqrstuvwxyzABCDEFG", "HIJKLMNOPQRSTUVWXYZ"]
            {
                let client = broker.connect(version, client_id);
                broker.disconnect(client);
            }
            let client = broker.connect(version, "0123456789abcdefghijABC");
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// Before 5.0 a CONNACK is four bytes; a 5.0 client is told what the server can, and no more
/// `[MQTT-3.2.2-20]`.
#[test]
fn connack_says_what_the_server_can() {
    both(|broker| {
        let client = broker.open(Version::V311);
        broker.send(client, &Hello::new(Version::V311, "a").packet());
        expect_accepted(broker, client, Properties::EMPTY);

        let client = broker.open(Version::V5);
        broker.send(client, &Hello::new(Version::V5, "b").packet());
        let mut expected = PropertiesBuf::default();
        expected.push(Property::ReceiveMaximum(100));
        expected.push(Property::MaximumPacketSize(1 << 20));
        expected.push(Property::TopicAliasMaximum(10));
        expect_accepted(broker, client, expected.as_properties());
    });
}

fn expect_accepted(broker: &mut Broker, client: Client, properties: Properties<'_>) {
    let (session_present, reason) = (false, ReasonCode::Success);
    let connack = Packet::Connack(Connack { session_present, reason, properties });
    broker.expect(client, &connack);
}

/// `[MQTT-3.1.0-1]`
/// `[MQTT3-3.1.0-1]`
#[test]
fn the_first_packet_is_connect() {
    both(|broker| {
        for version in VERSIONS {
            for packet in [Packet::Pingreq, Packet::Publish(publish("a", b""))] {
                let client = broker.open(version);
                broker.send(client, &packet);
                broker.expect_closed(client);
            }
        }
    });
}

/// `[MQTT-3.1.0-2]`
/// `[MQTT3-3.1.0-2]`
#[test]
fn a_second_connect_ends_the_connection() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.send(client, &Hello::new(version, "a").packet());
            broker.expect_disconnected(client, ReasonCode::ProtocolError);
            // Nor one of a version or a protocol nobody knows `[MQTT-3.14.2-1]`.
            for bytes in
                [&b"\x10\x0e\0\x04MQTT\x06\x02\0\0\0\0\x01a"[..], b"\x10\x07\0\x04HTTP\x05"]
            {
                let client = broker.connect(version, "a");
                broker.send_bytes(client, bytes);
                broker.expect_disconnected(client, ReasonCode::ProtocolError);
            }
        }
    });
}

/// `[MQTT-3.1.2-2]`; before 5.0 the return code 1.
#[test]
fn an_unknown_protocol_version_is_answered_in_its_own_form() {
    both(|broker| {
        let client = broker.open(Version::V311);
        broker.send_bytes(client, b"\x10\x0d\x00\x04MQTT\x02\x02\x00\x3c\x00\x01a");
        expect_refused(broker, client, ReasonCode::UnsupportedProtocolVersion);
        let client = broker.open(Version::V5);
        broker.send_bytes(client, b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x3c\x00\x00\x01a");
        expect_refused(broker, client, ReasonCode::UnsupportedProtocolVersion);
    });
}

/// `[MQTT-3.1.2-1]`
#[test]
fn an_unknown_protocol_name_ends_the_connection() {
    both(|broker| {
        for (version, bytes) in [
            (Version::V311, &b"\x10\x0d\x00\x04MQXX\x04\x02\x00\x3c\x00\x01a"[..]),
            (Version::V5, b"\x10\x0e\x00\x04MQXX\x05\x02\x00\x3c\x00\x00\x01a"),
            (Version::V5, b"\x10\x0f\x00\x05MQTTX\x05\x02\x00\x3c\x00\x00\x01a"),
        ] {
            let client = broker.open(version);
            broker.send_bytes(client, bytes);
            broker.expect_closed(client);
        }
    });
}

/// `[MQTT-3.1.2-3]` `[MQTT-3.1.4-1]`: a 5.0 client is told, one before closes in silence.
/// `[MQTT3-3.1.2-3]` `[MQTT3-3.1.4-1]`
#[test]
fn a_malformed_connect_ends_the_connection() {
    both(|broker| {
        let client = broker.open(Version::V5);
        broker.send_bytes(client, b"\x10\x0e\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x01a");
        expect_refused(broker, client, ReasonCode::MalformedPacket);
        let client = broker.open(Version::V311);
        broker.send_bytes(client, b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x3c\x00\x01a");
        broker.expect_closed(client);
    });
}

/// `[MQTT-3.1.3-6]`
#[test]
fn a_client_without_identifier_is_given_one() {
    both(|broker| {
        for clean_start in [true, false] {
            let client = broker.open(Version::V5);
            let hello = Hello { clean_start, ..Hello::new(Version::V5, "") };
            broker.send(client, &hello.packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.reason, ReasonCode::Success);
                let assigned = connack.properties.assigned_client_identifier();
                assert!(assigned.is_some_and(|id| !id.is_empty()));
            });
        }
        let client = broker.connect(Version::V311, "");
        broker.expect_silence(client);
    });
}

/// `[MQTT3-3.1.3-8]`
#[test]
fn before_5_a_client_without_identifier_cannot_keep_its_session() {
    both(|broker| {
        let client = broker.open(Version::V311);
        let hello = Hello { clean_start: false, ..Hello::new(Version::V311, "") };
        broker.send(client, &hello.packet());
        expect_refused(broker, client, ReasonCode::ClientIdentifierNotValid);
    });
}

/// 3.1 has no empty Client Identifier.
#[test]
fn in_3_1_a_client_has_an_identifier() {
    both(|broker| {
        let client = broker.open(Version::V31);
        broker.send(client, &Hello::new(Version::V31, "").packet());
        expect_refused(broker, client, ReasonCode::ClientIdentifierNotValid);
    });
}

/// `[MQTT-4.12.0-1]`
#[test]
fn an_authentication_method_nobody_has_is_refused() {
    both(|broker| {
        let client = broker.open(Version::V5);
        let properties = Properties::from_checked(b"\x15\x00\x05magic");
        broker.send(client, &Hello { properties, ..Hello::new(Version::V5, "a") }.packet());
        expect_refused(broker, client, ReasonCode::BadAuthenticationMethod);
    });
}

/// `[MQTT-4.12.0-6]` `[MQTT-4.12.0-7]`
#[test]
fn auth_without_a_method_ends_the_connection() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.send_bytes(client, b"\xf0\x00");
        broker.expect_disconnected(client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-4.7.0-1]`
#[test]
fn a_will_topic_is_a_topic_name() {
    both(|broker| {
        let client = broker.open(Version::V5);
        let hello = Hello { will: Some(will("a/#", b"")), ..Hello::new(Version::V5, "a") };
        broker.send(client, &hello.packet());
        expect_refused(broker, client, ReasonCode::TopicNameInvalid);
    });
}

/// `[MQTT-3.2.0-1]`: packets may follow CONNECT without waiting for its answer.
#[test]
fn a_client_need_not_wait_for_connack() {
    both(|broker| {
        let client = broker.open(Version::V311);
        let mut bytes = Vec::new();
        let hello = Hello::new(Version::V311, "a").packet();
        mqttd::codec::encode(&hello, Version::V311, &mut bytes);
        mqttd::codec::encode(&Packet::Pingreq, Version::V311, &mut bytes);
        broker.send_bytes(client, &bytes);
        expect_accepted(broker, client, Properties::EMPTY);
        broker.expect(client, &Packet::Pingresp);
    });
}

/// `[MQTT-4.2-1]`: over TCP too, a stream may be cut anywhere.
#[test]
fn packets_may_come_byte_by_byte() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.open(version);
            let mut bytes = Vec::new();
            let hello = Hello::new(version, "a").packet();
            mqttd::codec::encode(&hello, version, &mut bytes);
            mqttd::codec::encode(&Packet::Pingreq, version, &mut bytes);
            for byte in bytes {
                broker.send_bytes(client, &[byte]);
            }
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.reason, ReasonCode::Success);
            });
            broker.expect(client, &Packet::Pingresp);
            broker.disconnect(client);
        }
    });
}

/// Nothing after DISCONNECT counts.
#[test]
fn after_disconnect_nothing_counts() {
    both(|broker| {
        let watcher = broker.connect(Version::V311, "watcher");
        broker.subscribe(watcher, &[("#", mqttd::codec::QoS::AtMostOnce)]);
        let client = broker.connect(Version::V311, "a");
        let mut bytes = Vec::new();
        let bye = disconnect(ReasonCode::Success);
        mqttd::codec::encode(&bye, Version::V311, &mut bytes);
        publish("a", b"late").encode(Version::V311, &mut bytes);
        broker.send_bytes(client, &bytes);
        broker.expect_closed(client);
        broker.expect_silence(watcher);
    });
}

/// `[MQTT-3.1.2-21]` `[MQTT-3.2.2-21]`
#[test]
fn a_5_0_client_is_told_a_shorter_keep_alive() {
    let limits = mqttd::broker::Limits { keep_alive_secs_max: 60, ..limits() };
    both_with(&limits, |broker| {
        for (asked, told) in [(0, Some(60)), (60, None), (61, Some(60)), (5, None)] {
            let client = broker.open(Version::V5);
            let hello = Hello { keep_alive_secs: asked, ..Hello::new(Version::V5, "a") };
            broker.send(client, &hello.packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.properties.server_keep_alive(), told, "asked for {asked}");
            });
        }
    });
}

/// A session is kept no longer than the server keeps one, and it says so.
#[test]
fn a_5_0_client_is_told_a_shorter_session_expiry() {
    let limits = mqttd::broker::Limits { session_expiry_secs_max: 60, ..limits() };
    both_with(&limits, |broker| {
        let client = broker.open(Version::V5);
        broker.send(client, &Hello::persistent(Version::V5, "a").packet());
        broker.hear(client, |packet| {
            let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
            assert_eq!(connack.properties.session_expiry_interval(), Some(60));
        });
    });
}

/// Packets that only servers send.
#[test]
fn a_client_that_talks_like_a_server_is_disconnected() {
    both(|broker| {
        for bytes in [&b"\xd0\x00"[..], b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x00"] {
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, bytes);
            broker.expect_disconnected(client, ReasonCode::ProtocolError);
        }
    });
}

/// `[MQTT-4.13.1-1]` `[MQTT-2.1.3-1]`
/// `[MQTT3-4.8.0-1]` `[MQTT3-2.2.2-2]`
#[test]
fn what_cannot_be_read_ends_the_connection() {
    both(|broker| {
        for version in VERSIONS {
            for bytes in
                [&b"\xc1\x00"[..], b"\x00\x00", b"\x30\xff\xff\xff\xff", b"\x36\x03\x00\x01a"]
            {
                let client = broker.connect(version, "a");
                broker.send_bytes(client, bytes);
                broker.expect_disconnected(client, ReasonCode::MalformedPacket);
            }
        }
    });
}

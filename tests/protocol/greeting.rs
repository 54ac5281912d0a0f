//! CONNECT and CONNACK of 5.0, field by field (sections 3.1.2, 3.1.3, 3.1.4 and 3.2.2).

use mqttd::broker::Limits;
use mqttd::codec::{
    Connack, Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version, Will,
    encode,
};

use crate::kit::packets::{
    Hello, puback, publish, publish_1, publish_2, pubrec, subscribe_packet, will,
};
use crate::kit::{Broker, Client, both, both_with, in_memory, limits, memory_with};

/// A CONNECT of 5.0 with these flags, and this payload behind an empty property list.
fn connect(flags: u8, payload: &[u8]) -> Vec<u8> {
    let body = [&b"\0\x04MQTT\x05"[..], &[flags, 0, 0, 0], payload].concat();
    [&[0x10, u8::try_from(body.len()).expect("short")][..], &body].concat()
}

fn connack_of(broker: &mut Broker, client: Client) -> (ReasonCode, bool) {
    broker.hear(client, |packet| {
        let Packet::Connack(Connack { reason, session_present, .. }) = packet else {
            panic!("instead of CONNACK: {packet:?}");
        };
        (*reason, *session_present)
    })
}

/// `[MQTT-3.1.2-9]` `[MQTT-3.1.2-11]` `[MQTT-3.1.2-12]` `[MQTT-3.1.2-13]` `[MQTT-3.1.2-16]`
/// `[MQTT-3.1.2-17]` `[MQTT-3.1.2-18]` `[MQTT-3.1.2-19]` `[MQTT-3.1.3-1]` `[MQTT-3.1.3-3]`
/// `[MQTT-3.1.4-1]` `[MQTT-3.2.2-7]`
#[test]
fn flags_and_fields_must_agree() {
    both(|broker| {
        for (flags, payload) in [
            // No Client Identifier.
            (0x02, &b""[..]),
            // A Will announced, and its properties, topic or payload missing.
            (0x06, b"\0\x01a"),
            (0x06, b"\0\x01a\0"),
            (0x06, b"\0\x01a\0\0\x01w"),
            // A Will not announced.
            (0x02, b"\0\x01a\0\0\x01w\0\0"),
            // Will QoS or Will Retain without a Will, and Will QoS 3.
            (0x0a, b"\0\x01a"),
            (0x12, b"\0\x01a"),
            (0x22, b"\0\x01a"),
            (0x1e, b"\0\x01a\0\0\x01w\0\0"),
            // User Name and Password.
            (0x02, b"\0\x01a\0\x01u"),
            (0x82, b"\0\x01a"),
            (0x82, b"\0\x01a\0\x01u\0\x01p"),
            (0xc2, b"\0\x01a\0\x01u"),
            (0x42, b"\0\x01a"),
            (0x42, b"\0\x01a\0\x01p\0\x01p"),
            // The reserved flag `[MQTT-3.1.2-3]`.
            (0x03, b"\0\x01a"),
        ] {
            let client = broker.open(Version::V5);
            broker.send_bytes(client, &connect(flags, payload));
            let (reason, present) = connack_of(broker, client);
            assert_eq!(reason, ReasonCode::MalformedPacket, "{flags:#x} {payload:x?}");
            assert!(!present);
            broker.expect_closed(client);
        }
    });
}

/// `[MQTT-3.1.2-12]` `[MQTT-3.1.3-1]`: and all that agree are taken, the fields in their order.
#[test]
fn flags_and_fields_that_agree_are_taken() {
    both(|broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("w", QoS::ExactlyOnce)]);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let flags = 0xc6 | qos.as_bits() << 3;
            let client = broker.open(Version::V5);
            broker.send_bytes(client, &connect(flags, b"\0\x01a\0\0\x01w\0\x01x\0\x01u\0\x01p"));
            assert_eq!(connack_of(broker, client), (ReasonCode::Success, false));
            broker.cut(client);
            broker.expect_publish(watcher, &Publish { qos, ..publish("w", b"x") });
        }
        // A password alone is allowed in 5.0.
        let client = broker.open(Version::V5);
        broker.send_bytes(client, &connect(0x42, b"\0\x01a\0\x01p"));
        assert_eq!(connack_of(broker, client), (ReasonCode::Success, false));
    });
}

/// `[MQTT-3.1.3-5]` `[MQTT-3.1.3-2]`: and a session for each.
#[test]
fn client_identifiers_of_1_to_23_letters_and_digits_are_accepted() {
    both(|broker| {
        let letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut ids: Vec<&str> = (0..letters.len()).map(|at| &letters[at..=at]).collect();
        ids.extend((1..=23).map(|len| &letters[letters.len() - len..]).skip(1));
        for id in &ids {
            let client = broker.resume(Version::V5, id, false);
            broker.subscribe(client, &[(id, QoS::AtLeastOnce)]);
            broker.disconnect(client);
        }
        let publisher = broker.connect(Version::V5, "a publisher");
        for id in &ids {
            broker.send(publisher, &Packet::Publish(publish_1(1, id, b"x")));
            broker.expect(publisher, &puback(1));
        }
        for id in &ids {
            let client = broker.resume(Version::V5, id, true);
            broker.expect_publish(client, &publish_1(0, id, b"x"));
            broker.expect_silence(client);
        }
    });
}

/// `[MQTT-3.1.3-6]` `[MQTT-3.1.3-7]` `[MQTT-3.2.2-16]`: each is given another, under which its
/// session is found.
#[test]
fn an_assigned_identifier_is_the_clients_own() {
    both(|broker| {
        let mut ids = Vec::new();
        for _ in 0..3 {
            let client = broker.open(Version::V5);
            broker.send(client, &Hello::persistent(Version::V5, "").packet());
            let id = broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert!(!connack.session_present);
                connack.properties.assigned_client_identifier().expect("an identifier").to_owned()
            });
            assert!(!id.is_empty() && !ids.contains(&id), "{id:?} in {ids:?}");
            broker.subscribe(client, &[(id.as_str(), QoS::AtLeastOnce)]);
            ids.push(id);
            if ids.len() < 3 {
                broker.disconnect(client);
            } else {
                let taken_over = broker.resume(Version::V5, &ids[2], true);
                broker.expect_disconnected(client, ReasonCode::SessionTakenOver);
                broker.disconnect(taken_over);
            }
        }
        for id in &ids {
            let client = broker.resume(Version::V5, id, true);
            broker.send(client, &Packet::Publish(publish_1(1, id, b"x")));
            broker.expect_publish(client, &publish_1(0, id, b"x"));
        }
        // Who has an identifier is assigned none.
        let client = broker.open(Version::V5);
        broker.send(client, &Hello::new(Version::V5, "mine").packet());
        broker.hear(client, |packet| {
            let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
            assert_eq!(connack.properties.assigned_client_identifier(), None);
        });
    });
}

/// `[MQTT-3.1.2-6]` `[MQTT-3.1.2-5]` `[MQTT-3.2.2-3]` `[MQTT-3.2.2-2]`: Clean Start, and whether a
/// session was there.
#[test]
fn session_present_tells_the_truth() {
    both(|broker| {
        let keep = Properties::from_checked(b"\x11\0\0\x0e\x10");
        let hello = |clean_start, properties| Hello {
            clean_start,
            properties,
            ..Hello::new(Version::V5, "a")
        };
        for (clean_start, properties, expected) in [
            (false, keep, false),
            (false, keep, true),
            (true, keep, false),
            (false, Properties::EMPTY, true),
            // The one before ended with its connection.
            (false, Properties::EMPTY, false),
            (false, keep, false),
            (true, Properties::EMPTY, false),
            (true, Properties::EMPTY, false),
            (false, keep, false),
            (false, keep, true),
        ] {
            let (client, present) = broker.connect_as(&hello(clean_start, properties));
            assert_eq!(present, expected);
            broker.cut(client);
        }
    });
}

/// `[MQTT-3.2.0-1]`: CONNACK is the first packet, also where much waits for the client.
#[test]
fn connack_comes_before_what_waits() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "b");
        broker.send(publisher, &Packet::Publish(publish_2(1, "a", b"1")));
        broker.expect(publisher, &pubrec(1));
        let packet_id = broker.expect_publish(client, &publish_2(0, "a", b"1"));
        broker.cut(client);
        broker.send(publisher, &Packet::Publish(publish_1(2, "a", b"2")));
        broker.expect(publisher, &puback(2));
        // It hears CONNACK before all else, or `resume` fails.
        let client = broker.resume(Version::V5, "a", true);
        let again = Publish { dup: true, ..publish_2(packet_id, "a", b"1") };
        broker.expect(client, &Packet::Publish(again));
        broker.expect_publish(client, &publish_1(0, "a", b"2"));
    });
}

/// `[MQTT-3.2.0-2]` `[MQTT-3.1.0-2]`: the answer to a second CONNECT is a DISCONNECT, and no more.
#[test]
fn there_is_one_connack() {
    both(|broker| {
        let client = broker.open(Version::V5);
        let mut bytes = Vec::new();
        for client_id in ["a", "b"] {
            encode(&Hello::new(Version::V5, client_id).packet(), Version::V5, &mut bytes);
        }
        broker.send_bytes(client, &bytes);
        assert_eq!(connack_of(broker, client), (ReasonCode::Success, false));
        broker.expect_disconnected(client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-3.2.2-6]` `[MQTT-3.2.2-7]` `[MQTT-3.1.4-2]` `[MQTT-3.1.4-6]` `[MQTT-3.14.0-1]`
/// `[MQTT-4.13.2-1]`: who is refused hears a CONNACK and nothing else, though there is a session
/// and packets follow the CONNECT, which are not acted on.
#[test]
fn a_refused_client_changes_nothing() {
    both_with(&Limits { sessions_max: 2, ..limits() }, |broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("#", QoS::AtMostOnce)]);
        let kept = broker.resume(Version::V5, "kept", false);
        broker.disconnect(kept);
        let method = Properties::from_checked(b"\x15\0\x05magic");
        // Clean Start 0: the session would be resumed.
        let kept_hello = Hello::persistent(Version::V5, "kept");
        let hellos = [
            (Hello { properties: method, ..kept_hello.clone() }, 0x8c),
            (Hello { will: Some(will("w/#", b"")), ..kept_hello }, 0x90),
            (Hello { will: Some(will("w", b"")), ..Hello::new(Version::V5, "one too many") }, 0x97),
        ];
        for (hello, expected) in hellos {
            let mut bytes = Vec::new();
            encode(&hello.packet(), Version::V5, &mut bytes);
            let filters = [("a", QoS::AtMostOnce)];
            bytes.extend(subscribe_packet(Version::V5, 1, Properties::EMPTY, &filters));
            let message = publish("a", b"from nobody");
            message.encode(Version::V5, &mut bytes);
            let client = broker.open(Version::V5);
            broker.send_bytes(client, &bytes);
            let (reason, present) = connack_of(broker, client);
            assert_eq!((reason.as_byte(), present), (expected, false));
            broker.expect_closed(client);
        }
        broker.expect_silence(watcher);
        let kept = broker.resume(Version::V5, "kept", true);
        broker.send(kept, &Packet::Publish(publish("a", b"from somebody")));
        broker.expect_silence(kept);
        broker.expect_publish(watcher, &publish("a", b"from somebody"));
    });
}

/// `[MQTT-3.1.2-21]` `[MQTT-3.2.2-21]` `[MQTT-3.1.2-22]`: the Keep Alive that the server chose is the one in force,
/// also for a client that wanted none.
#[test]
fn a_server_keep_alive_is_in_force() {
    memory_with(&Limits { keep_alive_secs_max: 10, ..limits() }, |broker| {
        for asked in [0, 11, 65_535] {
            let hello = Hello { keep_alive_secs: asked, ..Hello::new(Version::V5, "a") };
            let (client, _) = broker.connect_as(&hello);
            broker.pass_ms(14_900);
            broker.expect_silence(client);
            broker.pass_ms(14_999);
            broker.pass_slack();
            broker.expect_disconnected(client, ReasonCode::KeepAliveTimeout);
        }
    });
}

/// `[MQTT-3.2.2-22]` `[MQTT-3.1.2-22]`: without one, it is the client's own.
#[test]
fn without_a_server_keep_alive_it_is_the_clients() {
    memory_with(&Limits { keep_alive_secs_max: 100, ..limits() }, |broker| {
        for asked in [1, 20, 100] {
            let client = broker.open(Version::V5);
            let hello = Hello { keep_alive_secs: asked, ..Hello::new(Version::V5, "a") };
            broker.send(client, &hello.packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.properties.server_keep_alive(), None);
            });
            broker.pass_ms(u64::from(asked) * 1500 - 1);
            broker.expect_silence(client);
            broker.pass_ms(u64::from(asked) * 1500);
            broker.pass_slack();
            broker.expect_disconnected(client, ReasonCode::KeepAliveTimeout);
        }
    });
}

/// `[MQTT-3.2.2-18]` `[MQTT-3.2.2-17]`: a server that told no Topic Alias Maximum takes none.
#[test]
fn without_topic_alias_maximum_there_are_no_aliases() {
    both_with(&Limits { topic_alias_maximum: 0, ..limits() }, |broker| {
        let client = broker.open(Version::V5);
        broker.send(client, &Hello::new(Version::V5, "a").packet());
        broker.hear(client, |packet| {
            let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
            assert_eq!(connack.properties.topic_alias_maximum(), None);
        });
        let properties = Properties::from_checked(b"\x23\0\x01");
        broker.send(client, &Packet::Publish(Publish { properties, ..publish("a", b"") }));
        broker.expect_disconnected(client, ReasonCode::TopicAliasInvalid);
    });
}

/// `[MQTT-3.1.3-10]` `[MQTT-3.1.2-7]`: with all that a Will may have, but for its delay.
#[test]
fn a_will_keeps_its_properties_in_their_order() {
    in_memory(|broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("w", QoS::ExactlyOnce)]);
        let forwarded = [
            Property::UserProperty(("k", "2")),
            Property::UserProperty(("b", "3")),
            Property::PayloadFormatIndicator(1),
            Property::ContentType("text"),
            Property::UserProperty(("k", "1")),
            Property::ResponseTopic("r"),
            Property::CorrelationData(b"\xff"),
            Property::UserProperty(("a", "4")),
        ];
        let (mut of_will, mut expected) = (PropertiesBuf::default(), PropertiesBuf::default());
        // How long it lasts is counted from its publication.
        expected.push(Property::MessageExpiryInterval(30));
        of_will.push(Property::WillDelayInterval(10));
        for property in forwarded {
            of_will.push(property);
            expected.push(property);
        }
        of_will.push(Property::MessageExpiryInterval(30));
        let properties = of_will.as_properties();
        let will = Will { properties, qos: QoS::AtLeastOnce, ..will("w", b"gone") };
        let hello = Hello { will: Some(will), ..Hello::persistent(Version::V5, "mortal") };
        let (client, _) = broker.connect_as(&hello);
        broker.cut(client);
        broker.pass_secs(10);
        broker.pass_slack();
        let properties = expected.as_properties();
        broker.expect_publish(watcher, &Publish { properties, ..publish_1(0, "w", b"gone") });
    });
}

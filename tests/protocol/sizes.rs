//! The sizes of the standard, reached and not exceeded (sections 1.5, 2.2.1, 3.1.2.11.4 and 4.9).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{Admission, Commons, Limits, Now, Shard};
use mqttd::codec::{
    Frame, PACKET_BYTES_MAX, Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode,
    Version, decode, encode,
};

use crate::kit::packets::{
    Hello, puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, subscribe_packet,
    unsubscribe_packet,
};
use crate::kit::{Broker, Client, both, both_with, limits, memory_with};

/// As much as the standard allows, so that a CONNACK has nothing to tell: 5 bytes.
fn unlimited() -> Limits {
    Limits {
        packet_bytes_max: PACKET_BYTES_MAX,
        receive_maximum: u16::MAX,
        topic_alias_maximum: 0,
        inflight_max: u16::MAX,
        topic_levels_max: 65_536,
        queue_messages_max: 100_000,
        subscriptions_max: 100_000,
        memory_bytes_max: 4 << 30,
        ..limits()
    }
}

fn hello_of<'a>(list: &'a mut PropertiesBuf, client_id: &'a str, limit: u32) -> Hello<'a> {
    list.push(Property::SessionExpiryInterval(100));
    list.push(Property::MaximumPacketSize(limit));
    let properties = list.as_properties();
    Hello { properties, clean_start: false, ..Hello::new(Version::V5, client_id) }
}

fn connect_with(broker: &mut Broker, client_id: &str, limit: u32) -> Client {
    broker.connect_as(&hello_of(&mut PropertiesBuf::default(), client_id, limit)).0
}

/// `[MQTT-3.1.2-24]` `[MQTT-3.6.2-2]` `[MQTT-3.7.2-2]` `[MQTT-3.6.2-3]` `[MQTT-3.7.2-3]`: the smallest
/// packets are 5 bytes at most, the size of the smallest CONNACK; `hear` looks at their size.
#[test]
fn five_bytes_are_enough_for_all_but_lists() {
    both_with(&unlimited(), |broker| {
        let client = connect_with(broker, "a", 5);
        broker.send(client, &Packet::Publish(publish_1(1, "a", b"x")));
        broker.hear(client, |packet| assert!(matches!(packet, Packet::Puback(_)), "{packet:?}"));
        broker.send(client, &Packet::Publish(publish_2(2, "a", b"x")));
        broker.hear(client, |packet| assert!(matches!(packet, Packet::Pubrec(_)), "{packet:?}"));
        broker.send(client, &pubrel(2));
        broker.expect(client, &pubcomp(2));
        broker.send(client, &pubrel(3));
        broker.hear(client, |packet| {
            let Packet::Pubcomp(ack) = packet else { panic!("{packet:?}") };
            assert_eq!(ack.reason, ReasonCode::PacketIdentifierNotFound);
            assert!(ack.properties.is_empty());
        });
        broker.send(client, &pubrec(9));
        broker.hear(client, |packet| {
            let Packet::Pubrel(ack) = packet else { panic!("{packet:?}") };
            assert_eq!(ack.reason, ReasonCode::PacketIdentifierNotFound);
            assert!(ack.properties.is_empty());
        });
        broker.expect_silence(client);
        let bytes = subscribe_packet(Version::V5, 1, Properties::EMPTY, &[("a", QoS::AtMostOnce)]);
        broker.send_bytes(client, &bytes);
        broker.expect_disconnected(client, ReasonCode::PacketTooLarge);
    });
}

/// `[MQTT-3.1.2-24]` `[MQTT-3.2.2-6]` `[MQTT-4.13.2-1]`: a client that takes no CONNACK is not let in,
/// and takes nothing over; though it has a session, it is told of none.
#[test]
fn a_connack_above_the_clients_maximum_is_not_sent() {
    both(|broker| {
        let first = connect_with(broker, "a", 100);
        for (limit, told) in [(5, true), (4, false), (1, false)] {
            let client = broker.open(Version::V5);
            broker.send(client, &hello_of(&mut PropertiesBuf::default(), "a", limit).packet());
            if told {
                broker.hear(client, |packet| {
                    let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                    assert_eq!(connack.reason, ReasonCode::PacketTooLarge);
                    assert!(!connack.session_present && connack.properties.is_empty());
                });
            }
            broker.expect_closed(client);
        }
        broker.expect_silence(first);
    });
}

/// `[MQTT-3.1.2-24]`: nothing is done that could not be answered.
#[test]
fn an_answer_above_the_clients_maximum_ends_the_connection() {
    both(|broker| {
        let names: Vec<String> = (0..200).map(|number| format!("a/{number}")).collect();
        let filters: Vec<&str> = names.iter().map(String::as_str).collect();
        let wanted: Vec<(&str, QoS)> = filters.iter().map(|it| (*it, QoS::AtMostOnce)).collect();
        let client = connect_with(broker, "a", 100);
        let bytes = subscribe_packet(Version::V5, 1, Properties::EMPTY, &wanted);
        broker.send_bytes(client, &bytes);
        broker.hear(client, |packet| {
            let Packet::Disconnect(disconnect) = packet else { panic!("{packet:?}") };
            assert_eq!(disconnect.reason, ReasonCode::PacketTooLarge);
            let words = disconnect.properties.reason_string().expect("it fits");
            assert!(words.contains("206 bytes") && words.contains("100"), "{words}");
        });
        broker.expect_closed(client);
        let client = connect_with(broker, "a", 206);
        broker.send(client, &Packet::Publish(publish("a/7", b"x")));
        broker.expect_silence(client);
        // It fits here, to the byte.
        broker.send_bytes(client, &bytes);
        broker.expect_suback(client, 1, &[0; 200]);
        broker.cut(client);
        let client = connect_with(broker, "a", 205);
        broker.send_bytes(client, &unsubscribe_packet(Version::V5, 2, &filters));
        broker.expect_disconnected(client, ReasonCode::PacketTooLarge);
        let client = connect_with(broker, "a", 300);
        broker.send(client, &Packet::Publish(publish("a/7", b"x")));
        broker.expect_publish(client, &publish("a/7", b"x"));
    });
}

/// `[MQTT-3.9.2-1]` `[MQTT-3.11.2-1]`: rather no reason string than a packet that is too large.
#[test]
fn a_reason_string_of_an_answer_keeps_to_the_clients_maximum() {
    both(|broker| {
        for (limit, told) in [(1000, true), (50, false)] {
            let client = connect_with(broker, "a", limit);
            let wanted = [("a/#/b", QoS::AtMostOnce)];
            let bytes = subscribe_packet(Version::V5, 1, Properties::EMPTY, &wanted);
            broker.send_bytes(client, &bytes);
            broker.hear(client, |packet| {
                let Packet::Suback(suback) = packet else { panic!("{packet:?}") };
                assert_eq!(suback.reasons, [ReasonCode::TopicFilterInvalid.as_byte()]);
                assert_eq!(suback.properties.reason_string().is_some(), told);
            });
            broker.send_bytes(client, &unsubscribe_packet(Version::V5, 2, &["a/#/b"]));
            broker.hear(client, |packet| {
                let Packet::Unsuback(unsuback) = packet else { panic!("{packet:?}") };
                assert_eq!(unsuback.reasons, [ReasonCode::TopicFilterInvalid.as_byte()]);
                assert_eq!(unsuback.properties.reason_string().is_some(), told);
            });
            broker.disconnect(client);
        }
    });
}

/// The largest packet of the standard, through one shard: in at one piece after another, out as
/// one packet `[MQTT-1.5.5-1]`.
#[test]
fn the_largest_packet_of_the_standard_goes_through() {
    let commons = Commons::new(1, unlimited(), 0);
    let mut shard = Shard::new(0, Arc::clone(&commons));
    let now = Now { ticks_ms: 5, unix_ms: 1_700_000_000_000 };
    let mut hello = Vec::new();
    encode(&Hello::new(Version::V311, "a").packet(), Version::V311, &mut hello);
    let frame = Frame::split(&hello, 100).unwrap().unwrap();
    let Ok(Packet::Connect(connect)) = decode(frame, Version::V5) else { panic!("a CONNECT") };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1024));
    let admission = Admission::new(&connect, peer, &commons.limits(), Box::default).unwrap();
    let id = shard.admit(admission, now).unwrap();
    let bytes = subscribe_packet(Version::V311, 1, Properties::EMPTY, &[("a", QoS::AtMostOnce)]);
    assert_eq!(shard.receive(id, &bytes, now), bytes.len());
    let flush = |shard: &mut Shard| {
        let sent = shard.outbox(id).unwrap().len();
        shard.outbox(id).unwrap().sent(sent);
        shard.flushed(id, now);
    };
    flush(&mut shard);
    let mut large = b"\x30\xff\xff\xff\x7f\x00\x01a".to_vec();
    large.resize(PACKET_BYTES_MAX as usize, 0xa5);
    // A part of it is taken for a part.
    assert_eq!(shard.receive(id, &large[..large.len() - 1], now), 0);
    assert_eq!(shard.receive(id, &large, now), large.len());
    assert!(shard.outbox(id).unwrap().unsent() == large, "what went in");
    flush(&mut shard);
    // One more byte cannot be said.
    let larger = b"\x30\x80\x80\x80\x80\x01";
    shard.receive(id, larger, now);
    assert!(shard.outbox(id).is_none());
}

/// Larger than any buffer on the way, over real sockets too.
#[test]
fn a_large_packet_goes_through() {
    let large = Limits { packet_bytes_max: 64 << 20, memory_bytes_max: 1 << 30, ..limits() };
    both_with(&large, |broker| {
        let client = broker.resume(Version::V311, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        let payload: Vec<u8> =
            (0..12_000_000u32).flat_map(|it| it.to_le_bytes()[..1].to_vec()).collect();
        broker.send(publisher, &Packet::Publish(publish_1(1, "a", &payload)));
        broker.expect(publisher, &puback(1));
        broker.hear(client, |packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            assert!(publish.payload == payload, "what went in");
        });
    });
}

/// A topic of 65 535 bytes: of one level, and of 65 536.
#[test]
fn topics_are_as_long_as_the_standard_has_them() {
    both_with(&Limits { packet_bytes_max: 1 << 20, ..unlimited() }, |broker| {
        for topic in ["t".repeat(65_535), "/".repeat(65_535), "ä/".repeat(21_845)] {
            let client = broker.connect(Version::V5, "a");
            broker.subscribe(client, &[(&topic, QoS::AtMostOnce)]);
            let message = Publish { retain: true, ..publish(&topic, b"x") };
            broker.send(client, &Packet::Publish(message));
            broker.expect_publish(client, &publish(&topic, b"x"));
            // Retained, for who comes later.
            let late = broker.connect(Version::V311, "late");
            broker.subscribe(late, &[("#", QoS::AtMostOnce)]);
            broker.expect_publish(late, &message);
            broker.send(late, &Packet::Publish(Publish { payload: b"", ..message }));
            broker.expect_publish(late, &publish(&topic, b""));
            broker.expect_publish(client, &publish(&topic, b""));
            broker.send_bytes(client, &unsubscribe_packet(Version::V5, 2, &[&topic]));
            broker.hear(client, |packet| {
                let Packet::Unsuback(unsuback) = packet else { panic!("{packet:?}") };
                assert_eq!(unsuback.reasons, [0]);
            });
            broker.disconnect(client);
            broker.disconnect(late);
        }
    });
}

/// `[MQTT-2.2.1-4]` `[MQTT-4.9.0-1]`: all Packet Identifiers in use, the next message waits for
/// the first that is free again.
#[test]
fn the_server_has_65_535_messages_in_flight() {
    memory_with(&unlimited(), |broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        let mut used = BTreeSet::new();
        let mut packet_id = 0;
        let mut send = |broker: &mut Broker| {
            packet_id = packet_id % 60_000 + 1;
            broker.send(publisher, &Packet::Publish(publish_1(packet_id, "a", b"x")));
            broker.expect(publisher, &puback(packet_id));
        };
        for _ in 0..65_535 {
            send(broker);
            assert!(used.insert(broker.expect_publish(client, &publish_1(0, "a", b"x"))));
        }
        assert_eq!((used.first(), used.last()), (Some(&1), Some(&65_535)));
        for _ in 0..3 {
            send(broker);
        }
        broker.expect_silence(client);
        for free in [40_000, 1, 65_535] {
            broker.send(client, &puback(free));
            assert_eq!(broker.expect_publish(client, &publish_1(0, "a", b"x")), free);
            broker.expect_silence(client);
        }
    });
}

/// One message that is never acknowledged does not stop the others, however long.
#[test]
fn an_identifier_in_use_is_passed_over() {
    memory_with(&Limits { inflight_max: 2, ..unlimited() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        let mut stuck = None;
        for _ in 0..66_000 {
            broker.send(publisher, &Packet::Publish(publish_1(1, "a", b"x")));
            broker.expect(publisher, &puback(1));
            let packet_id = broker.expect_publish(client, &publish_1(0, "a", b"x"));
            assert_ne!(stuck, Some(packet_id), "it is in use");
            match stuck {
                None => stuck = Some(packet_id),
                Some(_) => broker.send(client, &puback(packet_id)),
            }
        }
    });
}

/// `[MQTT-3.3.4-7]`: as many as there are identifiers, from PUBLISH to PUBREL.
#[test]
fn a_client_has_65_535_messages_in_flight() {
    memory_with(&unlimited(), |broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("a", QoS::AtMostOnce)]);
        let client = broker.connect(Version::V5, "a");
        for packet_id in 1..=u16::MAX {
            broker.send(client, &Packet::Publish(publish_2(packet_id, "a", b"x")));
            broker.expect(client, &pubrec(packet_id));
            broker.expect_publish(watcher, &publish("a", b"x"));
        }
        // Again, and not delivered again.
        let again = Publish { dup: true, ..publish_2(40_000, "a", b"x") };
        broker.send(client, &Packet::Publish(again));
        broker.expect(client, &pubrec(40_000));
        broker.expect_silence(watcher);
        for packet_id in (1..=u16::MAX).step_by(1000) {
            broker.send(client, &pubrel(packet_id));
            broker.expect(client, &pubcomp(packet_id));
        }
    });
}

/// As many Topic Filters as go into the packet.
#[test]
fn a_subscribe_has_thousands_of_filters() {
    both_with(&unlimited(), |broker| {
        for version in [Version::V311, Version::V5] {
            let client = broker.connect(version, "a");
            let names: Vec<String> = (0..20_000).map(|number| format!("a/{number}")).collect();
            let filters: Vec<&str> = names.iter().map(String::as_str).collect();
            let wanted: Vec<_> = filters.iter().map(|filter| (*filter, QoS::AtMostOnce)).collect();
            broker.subscribe(client, &wanted);
            broker.send(client, &Packet::Publish(publish("a/19999", b"x")));
            broker.expect_publish(client, &publish("a/19999", b"x"));
            broker.send_bytes(client, &unsubscribe_packet(version, 2, &filters));
            broker.hear(client, |packet| {
                let Packet::Unsuback(unsuback) = packet else { panic!("{packet:?}") };
                assert!(unsuback.reasons.iter().all(|reason| *reason == 0));
            });
            broker.send(client, &Packet::Publish(publish("a/19999", b"x")));
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

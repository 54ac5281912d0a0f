//! Limits of both sides (sections 3.1.2.11, 3.2.2.3 and 4.9).

use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{Admission, Commons, ConnectionId, Limits, Now, Shard};
use mqttd::codec::{
    Frame, PACKET_BYTES_MAX, Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode,
    Version, decode, encode,
};

use crate::kit::packets::{
    Hello, puback, puback_unmatched, pubcomp, publish, publish_1, publish_2, pubrec,
    pubrec_unmatched, pubrel, subscribe_packet,
};
use crate::kit::{Broker, Client, both, both_with, limits, memory_with};

fn connect_with(broker: &mut Broker, client_id: &str, property: Property<'_>) -> Client {
    let mut list = PropertiesBuf::default();
    list.push(property);
    let properties = list.as_properties();
    broker.connect_as(&Hello { properties, ..Hello::new(Version::V5, client_id) }).0
}

/// `[MQTT-3.2.2-15]`
#[test]
fn a_packet_above_the_maximum_ends_the_connection() {
    both_with(&Limits { packet_bytes_max: 100, ..limits() }, |broker| {
        for version in [Version::V31, Version::V311, Version::V5] {
            let client = broker.connect(version, "a");
            let extra = usize::from(version == Version::V5);
            broker.send(client, &Packet::Publish(publish("a", &[0; 95][extra..])));
            broker.expect_silence(client);
            // Told from its first bytes.
            broker.send_bytes(client, b"\x30\xff\xff\xff\x7f");
            broker.expect_disconnected(client, ReasonCode::PacketTooLarge);
        }
    });
}

/// `[MQTT-3.1.2-24]` `[MQTT-3.1.2-25]`
#[test]
fn a_packet_above_the_clients_maximum_is_not_sent() {
    both(|broker| {
        let client = connect_with(broker, "a", Property::MaximumPacketSize(30));
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        let small = [1; 20];
        for (payload, packet_id) in [(&small[..], 1), (&[2; 50], 2), (&small, 3)] {
            broker.send(publisher, &Packet::Publish(publish_1(packet_id, "a", payload)));
            broker.expect(publisher, &puback(packet_id));
        }
        for _ in 0..2 {
            let packet_id = broker.expect_publish(client, &publish_1(0, "a", &small));
            broker.send(client, &puback(packet_id));
        }
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.14.2-3]`: rather no reason string than a packet that is too large.
#[test]
fn a_reason_string_that_does_not_fit_is_left_out() {
    both(|broker| {
        let client = connect_with(broker, "a", Property::MaximumPacketSize(20));
        broker.send_bytes(client, b"\x00\x00");
        broker.hear(client, |packet| {
            let Packet::Disconnect(disconnect) = packet else { panic!("{packet:?}") };
            assert_eq!(disconnect.reason, ReasonCode::MalformedPacket);
            assert!(disconnect.properties.is_empty(), "{disconnect:?}");
        });
        broker.expect_closed(client);
    });
}

/// `[MQTT-3.3.4-9]` `[MQTT-4.9.0-1]` `[MQTT-4.9.0-2]` `[MQTT-4.9.0-3]` `[MQTT-3.3.4-10]`
#[test]
fn no_more_is_in_flight_than_the_client_takes() {
    both(|broker| {
        let client = connect_with(broker, "a", Property::ReceiveMaximum(2));
        broker.subscribe(client, &[("a", QoS::ExactlyOnce), ("b", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        for packet_id in 1..=4 {
            broker.send(publisher, &Packet::Publish(publish_1(packet_id, "a", b"x")));
            broker.expect(publisher, &puback(packet_id));
        }
        let first = broker.expect_publish(client, &publish_1(0, "a", b"x"));
        let second = broker.expect_publish(client, &publish_1(0, "a", b"x"));
        assert_ne!(first, second);
        // QoS 0 and answers go on.
        broker.send(publisher, &Packet::Publish(publish("b", b"y")));
        broker.expect_publish(client, &publish("b", b"y"));
        broker.expect_silence(client);
        broker.send(client, &puback(second));
        broker.expect_publish(client, &publish_1(0, "a", b"x"));
        broker.expect_silence(client);
        broker.send(client, &puback(first));
        broker.expect_publish(client, &publish_1(0, "a", b"x"));
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.3.4-9]`: PUBREC makes no room, PUBCOMP does.
#[test]
fn a_qos_2_message_is_in_flight_until_its_pubcomp() {
    both(|broker| {
        let client = connect_with(broker, "a", Property::ReceiveMaximum(1));
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        for packet_id in 1..=2 {
            broker.send(publisher, &Packet::Publish(publish_2(packet_id, "a", b"x")));
            broker.expect(publisher, &pubrec(packet_id));
        }
        let packet_id = broker.expect_publish(client, &publish_2(0, "a", b"x"));
        broker.send(client, &pubrec(packet_id));
        broker.expect(client, &pubrel(packet_id));
        broker.expect_silence(client);
        broker.send(client, &pubcomp(packet_id));
        broker.expect_publish(client, &publish_2(0, "a", b"x"));
    });
}

/// `[MQTT-3.3.4-7]`
#[test]
fn a_client_keeps_to_the_servers_receive_maximum() {
    both_with(&Limits { receive_maximum: 2, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        for packet_id in 1..=2 {
            broker.send(client, &Packet::Publish(publish_2(packet_id, "a", b"x")));
            broker.expect(client, &pubrec_unmatched(Version::V5, packet_id));
        }
        broker.send(client, &Packet::Publish(publish_2(3, "a", b"x")));
        broker.expect_disconnected(client, ReasonCode::ReceiveMaximumExceeded);
    });
}

#[test]
fn a_session_has_so_many_subscriptions() {
    both_with(&Limits { subscriptions_max: 2, ..limits() }, |broker| {
        for (version, refused) in
            [(Version::V5, ReasonCode::QuotaExceeded.as_byte()), (Version::V311, 0x80)]
        {
            let client = broker.connect(version, "a");
            let filters = ["a", "b", "c", "a"].map(|filter| (filter, QoS::AtMostOnce));
            let bytes = subscribe_packet(version, 1, Properties::EMPTY, &filters);
            broker.send_bytes(client, &bytes);
            broker.expect_suback(client, 1, &[0, 0, refused, 0]);
        }
    });
}

#[test]
fn topics_have_so_many_levels() {
    both_with(&Limits { topic_levels_max: 3, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a/+/c", QoS::AtMostOnce)]);
        let filters = [("a/b/c/d", QoS::AtMostOnce)];
        let bytes = subscribe_packet(Version::V5, 1, Properties::EMPTY, &filters);
        broker.send_bytes(client, &bytes);
        broker.expect_suback(client, 1, &[ReasonCode::TopicFilterInvalid.as_byte()]);
        broker.send(client, &Packet::Publish(publish("a/b/c", b"x")));
        broker.expect_publish(client, &publish("a/b/c", b"x"));
        broker.send(client, &Packet::Publish(publish("a/b/c/d", b"x")));
        broker.expect_disconnected(client, ReasonCode::TopicNameInvalid);
    });
}

#[test]
fn there_are_so_many_sessions() {
    both_with(&Limits { sessions_max: 2, ..limits() }, |broker| {
        let first = broker.connect(Version::V5, "a");
        let second = broker.resume(Version::V5, "b", false);
        broker.cut(second);
        let third = broker.open(Version::V5);
        broker.send(third, &Hello::new(Version::V5, "c").packet());
        broker.hear(third, |packet| {
            let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
            assert_eq!(connack.reason, ReasonCode::QuotaExceeded);
        });
        broker.expect_closed(third);
        // The others may come back, and make room.
        broker.resume(Version::V5, "b", true);
        broker.disconnect(first);
        broker.connect(Version::V5, "c");
    });
}

/// What waits is bounded; what was there first stays. In memory: over sockets the last message may be
/// on its way between two shards until the client has made room for it.
#[test]
fn a_queue_takes_so_many_messages() {
    memory_with(&Limits { queue_messages_max: 3, ..limits() }, |broker| {
        let client = broker.resume(Version::V311, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        broker.disconnect(client);
        let publisher = broker.connect(Version::V311, "publisher");
        for (packet_id, payload) in [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")] {
            broker.send(publisher, &Packet::Publish(publish_1(packet_id, "a", payload)));
            broker.expect(publisher, &puback(packet_id));
        }
        let client = broker.resume(Version::V311, "a", true);
        for payload in [b"1", b"2", b"3"] {
            broker.expect_publish(client, &publish_1(0, "a", payload));
        }
        broker.expect_silence(client);
    });
}

/// A retained message that finds no room is passed on, but not kept.
#[test]
fn there_are_so_many_retained_messages() {
    both_with(&Limits { retained_messages_max: 2, ..limits() }, |broker| {
        let client = broker.connect(Version::V311, "a");
        for topic in ["a", "b", "c"] {
            let message = Publish { retain: true, ..publish_1(1, topic, b"x") };
            broker.send(client, &Packet::Publish(message));
            broker.expect(client, &puback(1));
        }
        // One that is kept already may change.
        let message = Publish { retain: true, ..publish_1(1, "a", b"y") };
        broker.send(client, &Packet::Publish(message));
        broker.expect(client, &puback(1));
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        for (topic, payload) in [("a", b"y"), ("b", b"x")] {
            let kept = Publish { retain: true, ..publish(topic, payload) };
            broker.expect_publish(client, &kept);
        }
        broker.expect_silence(client);
    });
}

/// Expects a PUBACK or PUBREC that refuses a retained message for want of room.
fn expect_no_room(broker: &mut Broker, client: Client, packet_id: u16) {
    broker.hear(client, |packet| {
        let (Packet::Puback(ack) | Packet::Pubrec(ack)) = packet else { panic!("{packet:?}") };
        assert_eq!((ack.packet_id, ack.reason), (packet_id, ReasonCode::QuotaExceeded));
        let words = ack.properties.reason_string().expect("a reason string");
        assert!(words.contains("retained"), "{words}");
    });
}

/// A 5.0 publisher is told that its retained message finds no room `[MQTT-3.3.1-5]`: nobody gets it,
/// and its identifier is free `[MQTT-4.3.3-9]`. With QoS 0 it is passed on, as before 5.0.
#[test]
fn a_5_0_client_is_told_that_there_are_so_many_retained_messages() {
    let limits = Limits { retained_messages_max: 2, receive_maximum: 1, ..limits() };
    both_with(&limits, |broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("#", QoS::AtMostOnce)]);
        let client = broker.connect(Version::V5, "a");
        let kept = |message| Packet::Publish(Publish { retain: true, ..message });
        for topic in ["a", "b"] {
            broker.send(client, &kept(publish_1(1, topic, b"x")));
            broker.expect(client, &puback(1));
            broker.expect_publish(watcher, &publish(topic, b"x"));
        }
        broker.send(client, &kept(publish_1(1, "c", b"x")));
        expect_no_room(broker, client, 1);
        // The identifier and the Receive Maximum are free again.
        for _ in 0..2 {
            broker.send(client, &kept(publish_2(2, "c", b"x")));
            expect_no_room(broker, client, 2);
        }
        broker.expect_silence(watcher);
        // One that is kept already may change, and an empty one removes nothing.
        broker.send(client, &kept(publish_2(2, "a", b"y")));
        broker.expect(client, &pubrec(2));
        broker.send(client, &pubrel(2));
        broker.expect(client, &pubcomp(2));
        broker.expect_publish(watcher, &publish("a", b"y"));
        broker.send(client, &kept(publish_1(1, "c", b"")));
        broker.expect(client, &puback(1));
        broker.expect_publish(watcher, &publish("c", b""));
        broker.send(client, &kept(publish("c", b"x")));
        broker.expect_publish(watcher, &publish("c", b"x"));
        let late = broker.connect(Version::V5, "late");
        broker.subscribe(late, &[("#", QoS::AtMostOnce)]);
        for (topic, payload) in [("a", b"y"), ("b", b"x")] {
            broker.expect_publish(late, &Publish { retain: true, ..publish(topic, payload) });
        }
        broker.expect_silence(late);
    });
}

/// At the memory budget too: what was kept stays, as its publisher knows that nothing took its place
/// `[MQTT-3.3.1-5]`.
#[test]
fn a_5_0_client_is_told_that_a_larger_retained_message_finds_no_memory() {
    both_with(&Limits { memory_bytes_max: 3000, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        let send = |broker: &mut Broker, topic: &str, payload: &[u8]| {
            let message = Publish { retain: true, ..publish_1(1, topic, payload) };
            broker.send(client, &Packet::Publish(message));
        };
        for (topic, payload) in [("a", &[7; 1][..]), ("b", &[7; 1]), ("a", &[7; 3000])] {
            send(broker, topic, payload);
            broker.expect(client, &puback_unmatched(Version::V5, 1));
        }
        send(broker, "b", &[7; 3000]);
        expect_no_room(broker, client, 1);
        // Room again, so that a subscriber is served.
        send(broker, "a", b"");
        broker.expect(client, &puback_unmatched(Version::V5, 1));
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        broker.expect_publish(client, &Publish { retain: true, ..publish("b", &[7]) });
        broker.expect_silence(client);
    });
}

/// Messages that nobody will get any more make room for those that somebody may.
#[test]
fn expired_messages_do_not_fill_a_queue() {
    memory_with(&Limits { queue_messages_max: 2, ..limits() }, |broker| {
        let client = broker.resume(Version::V311, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        broker.disconnect(client);
        let publisher = broker.connect(Version::V5, "publisher");
        let mut expiry = PropertiesBuf::default();
        expiry.push(Property::MessageExpiryInterval(10));
        for (packet_id, payload) in [(1, b"1"), (2, b"2"), (3, b"3")] {
            let message = publish_1(packet_id, "a", payload);
            let message = Publish { properties: expiry.as_properties(), ..message };
            broker.send(publisher, &Packet::Publish(message));
            broker.expect(publisher, &puback(packet_id));
            broker.pass_secs(6);
        }
        let client = broker.resume(Version::V311, "a", true);
        broker.expect_publish(client, &publish_1(0, "a", b"3"));
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.1.2-25]`: a re-delivery that has become too large counts as delivered, and does not
/// stand in the way of what follows.
#[test]
fn a_re_delivery_too_large_for_the_new_connection_is_over() {
    both(|broker| {
        let mut kept = PropertiesBuf::default();
        kept.push(Property::SessionExpiryInterval(3600));
        let properties = kept.as_properties();
        let hello = Hello { properties, clean_start: false, ..Hello::new(Version::V5, "a") };
        let (client, _) = broker.connect_as(&hello);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        broker.send(publisher, &Packet::Publish(publish_1(1, "a", &[7; 200])));
        broker.expect(publisher, &puback(1));
        broker.expect_publish(client, &publish_1(0, "a", &[7; 200]));
        broker.cut(client);
        let small = [Property::MaximumPacketSize(100), Property::ReceiveMaximum(1)];
        let mut list = PropertiesBuf::default();
        list.push(Property::SessionExpiryInterval(3600));
        small.iter().for_each(|property| list.push(*property));
        let properties = list.as_properties();
        let hello = Hello { properties, clean_start: false, ..Hello::new(Version::V5, "a") };
        let (client, present) = broker.connect_as(&hello);
        assert!(present);
        broker.send(publisher, &Packet::Publish(publish_1(2, "a", b"next")));
        broker.expect(publisher, &puback(2));
        broker.expect_publish(client, &publish_1(0, "a", b"next"));
    });
}

/// The budget counts what replaces a retained message too; a topic whose new message finds no room
/// has none rather than an old one.
#[test]
fn larger_retained_messages_meet_the_memory_budget() {
    both_with(&Limits { memory_bytes_max: 3000, ..limits() }, |broker| {
        let client = broker.connect(Version::V311, "a");
        let mut packet_id = 0;
        for (topic, size) in [("a", 1), ("b", 1), ("c", 1), ("a", 3000), ("b", 3000)] {
            packet_id += 1;
            let payload = vec![7; size];
            let message = Publish { retain: true, ..publish_1(packet_id, topic, &payload) };
            broker.send(client, &Packet::Publish(message));
            broker.expect(client, &puback(packet_id));
        }
        // Room again, so that a subscriber is served.
        let message = Publish { retain: true, ..publish_1(9, "a", b"") };
        broker.send(client, &Packet::Publish(message));
        broker.expect(client, &puback(9));
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        broker.expect_publish(client, &Publish { retain: true, ..publish("c", &[7]) });
        broker.expect_silence(client);
    });
}

const NOW: Now = Now { ticks_ms: 5, unix_ms: 1_700_000_000_000 };

/// A client in a shard of its own, without anything that carries bytes.
fn admitted(commons: &Arc<Commons>) -> (Shard, ConnectionId) {
    let mut shard = Shard::new(0, Arc::clone(commons));
    let mut hello = Vec::new();
    encode(&Hello::new(Version::V311, "a").packet(), Version::V311, &mut hello);
    let frame = Frame::split(&hello, PACKET_BYTES_MAX).ok().flatten().expect("one packet");
    let Ok(Packet::Connect(connect)) = decode(frame, Version::V5) else { panic!("a CONNECT") };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1024));
    let admission =
        Admission::new(&connect, peer, &commons.limits(), Box::default).expect("a good CONNECT");
    let id = shard.admit(admission, NOW).expect("room for one");
    (shard, id)
}

/// Retained messages that were looked at count as work, found or not: others have their turn.
#[test]
fn looking_for_retained_messages_is_work() {
    let commons = Commons::new(1, limits(), 0);
    let (mut shard, id) = admitted(&commons);
    for number in 0..1000 {
        shard.publish(&format!("{number}/a"), b"x", QoS::AtMostOnce, true, NOW);
    }
    let filters = [("+/none", QoS::AtMostOnce)];
    let one = subscribe_packet(Version::V311, 1, Properties::EMPTY, &filters);
    let used = shard.receive(id, &one.repeat(100), NOW);
    assert!(shard.sated());
    assert!((1..=20).contains(&(used / one.len())), "{used} bytes");
    assert!(shard.receive(id, &one.repeat(2), NOW) > 0, "and then it goes on");
}

/// A filter that stands in one SUBSCRIBE many times is looked up once, and gets what is retained
/// as often as it asks `[MQTT-3.8.4-5]`.
#[test]
fn one_subscribe_looks_for_a_filters_retained_messages_once() {
    let commons = Commons::new(1, limits(), 0);
    let (mut shard, id) = admitted(&commons);
    for number in 0..1000 {
        shard.publish(&format!("{number}/a"), b"x", QoS::AtMostOnce, true, NOW);
    }
    let mut filters = [("+/none", QoS::AtMostOnce); 100];
    filters[98].0 = "7/a";
    filters[99].0 = "7/a";
    let bytes = subscribe_packet(Version::V311, 1, Properties::EMPTY, &filters);
    assert_eq!(shard.receive(id, &bytes, NOW), bytes.len());
    assert!(!shard.sated(), "a thousand and some, not a hundred thousand");
    let outbox = shard.outbox(id).expect("it is connected").unsent();
    let found = outbox.windows(4).filter(|bytes| bytes == b"7/ax").count();
    assert_eq!(found, 2);
}

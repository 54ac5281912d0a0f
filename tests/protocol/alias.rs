//! Topic Aliases, both ways (sections 3.1.2.11.5, 3.2.2.3.8 and 3.3.2.3.4).

use std::collections::BTreeMap;

use mqttd::broker::Limits;
use mqttd::codec::{
    Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version, encode,
};

use crate::kit::packets::{Hello, puback, publish, publish_1};
use crate::kit::{Broker, Client, both, both_with, limits, memory_with};

fn list(properties: &[Property<'_>]) -> PropertiesBuf {
    let mut list = PropertiesBuf::default();
    properties.iter().for_each(|property| list.push(*property));
    list
}

fn connect_with(broker: &mut Broker, client_id: &str, properties: &[Property<'_>]) -> Client {
    let list = list(properties);
    let properties = list.as_properties();
    broker.connect_as(&Hello { properties, ..Hello::new(Version::V5, client_id) }).0
}

/// What a client knows of the aliases of its server; it takes no mistake.
#[derive(Default)]
struct Known {
    topics: BTreeMap<u16, String>,
    maximum: u16,
    /// Bytes of topics that were not sent.
    saved: usize,
}

impl Known {
    fn up_to(maximum: u16) -> Self {
        Self { maximum, ..Self::default() }
    }

    /// The topic of the next PUBLISH, with the alias it came with.
    fn hear(&mut self, broker: &mut Broker, client: Client) -> (String, Option<u16>) {
        broker.hear(client, |packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            let alias = publish.properties.topic_alias();
            // `[MQTT-3.1.2-26]`
            assert!(alias.is_none_or(|alias| alias <= self.maximum), "{alias:?}");
            if let (false, Some(alias)) = (publish.topic.is_empty(), alias) {
                self.topics.insert(alias, publish.topic.to_owned());
            }
            if !publish.topic.is_empty() {
                return (publish.topic.to_owned(), alias);
            }
            let topic = alias.and_then(|alias| self.topics.get(&alias)).expect("a known alias");
            self.saved += topic.len();
            (topic.clone(), alias)
        })
    }
}

/// `[MQTT-3.1.2-26]` `[MQTT-3.3.2-10]` `[MQTT-3.3.2-11]`: the first message names the topic and its
/// alias, the others the alias alone.
#[test]
fn the_server_names_a_topic_once() {
    both(|broker| {
        let client = connect_with(broker, "a", &[Property::TopicAliasMaximum(2)]);
        broker.subscribe(client, &[("#", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        let alias = list(&[Property::TopicAlias(1)]);
        let properties = alias.as_properties();
        for topic in ["long/topic", "", ""] {
            broker.send(publisher, &Packet::Publish(publish("long/topic", b"x")));
            broker.expect_publish(client, &Publish { properties, ..publish(topic, b"x") });
        }
        // With other properties, and another QoS.
        broker.send(publisher, &Packet::Publish(publish_1(1, "long/topic", b"x")));
        broker.expect(publisher, &puback(1));
        let packet_id =
            broker.expect_publish(client, &Publish { properties, ..publish_1(0, "", b"x") });
        broker.send(client, &puback(packet_id));
        // An alias would not make this smaller.
        for _ in 0..3 {
            broker.send(publisher, &Packet::Publish(publish("a/b", b"x")));
            broker.expect_publish(client, &publish("a/b", b"x"));
        }
    });
}

/// `[MQTT-3.1.2-27]`
#[test]
fn without_a_maximum_the_server_sets_no_alias() {
    both(|broker| {
        let silent = broker.connect(Version::V5, "silent");
        let zero = connect_with(broker, "zero", &[Property::TopicAliasMaximum(0)]);
        let older = broker.connect(Version::V311, "older");
        let clients = [silent, zero, older];
        clients.iter().for_each(|client| broker.subscribe(*client, &[("#", QoS::AtMostOnce)]));
        let publisher = broker.connect(Version::V5, "publisher");
        for _ in 0..3 {
            broker.send(publisher, &Packet::Publish(publish("long/topic", b"x")));
            for client in clients {
                broker.expect_publish(client, &publish("long/topic", b"x"));
            }
        }
    });
}

/// An alias of the publisher is its own: receivers get the topic, or aliases of theirs.
#[test]
fn aliases_of_publisher_and_receiver_are_two_things() {
    both(|broker| {
        let client = connect_with(broker, "a", &[Property::TopicAliasMaximum(9)]);
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        for (topic, theirs, heard, ours) in [
            ("topic/one", 7, "topic/one", 1),
            ("topic/two", 8, "topic/two", 2),
            ("", 7, "", 1),
            ("topic/two", 7, "", 2),
            ("", 7, "", 2),
        ] {
            let theirs = list(&[Property::TopicAlias(theirs), Property::ContentType("text")]);
            let properties = theirs.as_properties();
            broker.send(publisher, &Packet::Publish(Publish { properties, ..publish(topic, b"") }));
            let ours = list(&[Property::TopicAlias(ours), Property::ContentType("text")]);
            let properties = ours.as_properties();
            broker.expect_publish(client, &Publish { properties, ..publish(heard, b"") });
        }
    });
}

/// `[MQTT-3.3.2-7]`: they end with the connection, also for what is sent again.
#[test]
fn aliases_end_with_the_connection() {
    both(|broker| {
        let kept = [Property::SessionExpiryInterval(100), Property::TopicAliasMaximum(5)];
        let client = connect_with(broker, "a", &kept);
        broker.subscribe(client, &[("#", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        for packet_id in 1..=2 {
            broker.send(publisher, &Packet::Publish(publish_1(packet_id, "long/topic", b"x")));
            broker.expect(publisher, &puback(packet_id));
        }
        let mut known = Known::up_to(5);
        assert_eq!(known.hear(broker, client), ("long/topic".to_owned(), Some(1)));
        assert_eq!(known.hear(broker, client), ("long/topic".to_owned(), Some(1)));
        broker.cut(client);
        let properties = list(&kept);
        let properties = properties.as_properties();
        let hello = Hello { properties, clean_start: false, ..Hello::new(Version::V5, "a") };
        let (client, present) = broker.connect_as(&hello);
        assert!(present);
        let mut known = Known::up_to(5);
        assert_eq!(known.hear(broker, client), ("long/topic".to_owned(), Some(1)));
        assert_eq!(known.hear(broker, client), ("long/topic".to_owned(), Some(1)));
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.1.2-24]`: a packet that only fits without the alias goes out without, and the alias
/// is not used before it was set.
#[test]
fn an_alias_gives_way_to_the_maximum_packet_size() {
    both(|broker| {
        // PUBLISH with QoS 0: 2 + 2 + topic + 1 + payload; an alias takes 3 more.
        let properties = [Property::MaximumPacketSize(50), Property::TopicAliasMaximum(5)];
        let client = connect_with(broker, "a", &properties);
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        let alias = list(&[Property::TopicAlias(1)]);
        let aliased = |topic, payload| {
            let properties = alias.as_properties();
            Publish { properties, ..publish(topic, payload) }
        };
        let (large, larger) = ([7; 35], [7; 36]);
        for (payload, heard) in [
            (&large[..], Some(publish("long/topic", &large))),
            (&larger, None),
            (b"x", Some(aliased("long/topic", b"x"))),
            // What is too large by its topic is not by its alias.
            (&larger, Some(aliased("", &larger))),
        ] {
            broker.send(publisher, &Packet::Publish(publish("long/topic", payload)));
            match heard {
                Some(publish) => drop(broker.expect_publish(client, &publish)),
                None => broker.expect_silence(client),
            }
        }
    });
}

/// Hot topics keep their aliases though many others pass, and each message arrives under its name.
#[test]
fn topics_that_are_sent_often_keep_their_aliases() {
    both_with(&Limits { assigned_aliases_max: 8, ..limits() }, |broker| {
        let client = connect_with(broker, "a", &[Property::TopicAliasMaximum(100)]);
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        let mut known = Known::up_to(8);
        let mut chance = 1u64;
        let (mut hot, mut hot_by_alias) = (0, 0);
        for round in 0..2000 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = chance >> 33;
            let topic = match number % 4 {
                0 => format!("once/{round}"),
                1 => format!("seldom/{}", number % 1000),
                _ => format!("often/{}", number % 6),
            };
            broker.send(publisher, &Packet::Publish(publish(&topic, b"x")));
            let (heard, alias) = known.hear(broker, client);
            assert_eq!(heard, topic);
            if topic.starts_with("often") {
                hot += 1;
                hot_by_alias += i32::from(alias.is_some());
            }
        }
        assert!(hot_by_alias * 100 >= hot * 95, "{hot_by_alias} of {hot}");
        assert!(known.saved > 5000, "{}", known.saved);
    });
}

/// As many as the standard knows, from client to server: `[MQTT-3.3.2-8]` `[MQTT-3.2.2-17]`.
#[test]
fn a_client_may_set_65_535_aliases() {
    memory_with(&Limits { topic_alias_maximum: u16::MAX, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        let mut bytes = Vec::new();
        for alias in 1..=u16::MAX {
            let properties = list(&[Property::TopicAlias(alias)]);
            let topic = format!("topic/{alias}");
            let properties = properties.as_properties();
            let publish = Packet::Publish(Publish { properties, ..publish(&topic, b"") });
            encode(&publish, Version::V5, &mut bytes);
        }
        broker.send_bytes(client, &bytes);
        broker.subscribe(client, &[("topic/#", QoS::AtMostOnce)]);
        for alias in (1..=u16::MAX).step_by(257) {
            let properties = list(&[Property::TopicAlias(alias)]);
            let properties = properties.as_properties();
            broker.send(client, &Packet::Publish(Publish { properties, ..publish("", b"x") }));
            broker.expect_publish(client, &publish(&format!("topic/{alias}"), b"x"));
        }
    });
}

/// As many as the standard knows, from server to client.
#[test]
fn the_server_sets_65_535_aliases() {
    memory_with(&Limits { assigned_aliases_max: u16::MAX, ..limits() }, |broker| {
        let client = connect_with(broker, "a", &[Property::TopicAliasMaximum(u16::MAX)]);
        broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V311, "publisher");
        let mut known = Known::up_to(u16::MAX);
        let numbers: Vec<u16> = (1..=u16::MAX).collect();
        for some in numbers.chunks(500) {
            let mut bytes = Vec::new();
            for number in some {
                publish(&format!("topic/{number}"), b"").encode(Version::V311, &mut bytes);
            }
            broker.send_bytes(publisher, &bytes);
            for number in some {
                let expected = (format!("topic/{number}"), Some(*number));
                assert_eq!(known.hear(broker, client), expected);
            }
        }
        for number in numbers.iter().step_by(257) {
            let topic = format!("topic/{number}");
            broker.send(publisher, &Packet::Publish(publish(&topic, b"")));
            assert_eq!(known.hear(broker, client), (topic, Some(*number)));
        }
        assert!(known.saved > 1000);
    });
}

/// Aliases are memory like any other: with the budget used up a client has room for a few.
#[test]
fn aliases_of_clients_meet_the_memory_budget() {
    let limits = Limits { topic_alias_maximum: 1000, memory_bytes_max: 100_000, ..limits() };
    both_with(&limits, |broker| {
        let client = broker.connect(Version::V5, "a");
        let topic = "t".repeat(10_000);
        for alias in 1..=9 {
            let properties = list(&[Property::TopicAlias(alias)]);
            let properties = properties.as_properties();
            broker.send(client, &Packet::Publish(Publish { properties, ..publish(&topic, b"") }));
        }
        broker.expect_silence(client);
        // Another one may still use some.
        let modest = broker.connect(Version::V5, "modest");
        for alias in 1..=20 {
            let properties = list(&[Property::TopicAlias(alias)]);
            let properties = properties.as_properties();
            broker.send(modest, &Packet::Publish(Publish { properties, ..publish("topic", b"") }));
        }
        broker.expect_silence(modest);
        let properties = list(&[Property::TopicAlias(10)]);
        let properties = properties.as_properties();
        broker.send(client, &Packet::Publish(Publish { properties, ..publish(&topic, b"") }));
        broker.expect_disconnected(client, ReasonCode::QuotaExceeded);
        // What it held is free again.
        let again = broker.connect(Version::V5, "a");
        let properties = Properties::from_checked(b"\x23\x00\x01");
        broker.send(again, &Packet::Publish(Publish { properties, ..publish(&topic, b"") }));
        broker.expect_silence(again);
    });
}

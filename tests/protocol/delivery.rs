//! What a delivery keeps to, whatever happens around it (sections 3.3.1, 3.8.4, 4.3 and 4.5 of 5.0).

use mqttd::broker::Limits;
use mqttd::codec::{
    Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, RetainHandling,
    SubscriptionOptions, SubscriptionRequest, Version,
};

use crate::kit::packets::{
    Hello, puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, retained, subscribe_with,
};
use crate::kit::{Broker, Client, both, both_with, in_memory, limits};

/// Subscribes to a filter with an identifier and a Retain Handling.
fn subscribe_named(
    broker: &mut Broker,
    client: Client,
    filters: &[&str],
    qos: QoS,
    identifier: u32,
) {
    let mut properties = PropertiesBuf::default();
    properties.push(Property::SubscriptionIdentifier(identifier));
    let retain_handling = RetainHandling::Send;
    let options = SubscriptionOptions { retain_handling, ..SubscriptionOptions::new(qos) };
    let requests: Vec<_> =
        filters.iter().map(|filter| SubscriptionRequest { filter, options }).collect();
    let bytes = subscribe_with(Version::V5, 5, properties.as_properties(), &requests);
    broker.send_bytes(client, &bytes);
    broker.expect_suback(client, 5, &vec![qos.as_bits(); filters.len()]);
}

fn publish_from(broker: &mut Broker, publisher: Client, packet_id: u16, payload: &[u8]) {
    broker.send(publisher, &Packet::Publish(publish_1(packet_id, "a", payload)));
    broker.expect(publisher, &puback(packet_id));
}

/// `[MQTT-3.3.1-3]` `[MQTT-3.3.1-2]` `[MQTT-4.3.1-1]` `[MQTT-4.3.2-2]` `[MQTT-4.3.3-2]`: DUP of what
/// comes says nothing of what goes.
#[test]
fn a_first_delivery_has_no_dup() {
    both(|broker| {
        let publisher = broker.connect(Version::V5, "publisher");
        for granted in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let client = broker.connect(Version::V5, "a");
            broker.subscribe(client, &[("a", granted)]);
            for dup in [false, true] {
                let message = Publish { dup, ..publish_2(7, "a", b"x") };
                broker.send(publisher, &Packet::Publish(message));
                broker.expect(publisher, &pubrec(7));
                broker.send(publisher, &pubrel(7));
                broker.expect(publisher, &pubcomp(7));
                broker.expect_publish(client, &Publish { qos: granted, ..publish("a", b"x") });
            }
        }
    });
}

/// `[MQTT-4.4.0-1]` `[MQTT-3.3.1-1]`: nothing is sent again while the connection lasts, however long
/// the answer takes.
#[test]
fn nothing_is_sent_again_on_the_same_connection() {
    in_memory(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_from(broker, publisher, 1, b"1");
        let first = broker.expect_publish(client, &publish_1(0, "a", b"1"));
        broker.send(publisher, &Packet::Publish(publish_2(2, "a", b"2")));
        broker.expect(publisher, &pubrec(2));
        let second = broker.expect_publish(client, &publish_2(0, "a", b"2"));
        broker.pass_secs(1_000);
        broker.expect_silence(client);
        broker.send(client, &pubrec(second));
        broker.expect(client, &pubrel(second));
        broker.pass_secs(1_000);
        broker.expect_silence(client);
        broker.send(client, &puback(first));
        broker.send(client, &pubcomp(second));
        broker.expect_silence(client);
        broker.cut(client);
        let client = broker.resume(Version::V5, "a", true);
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.3.2-3]` `[MQTT-4.3.3-3]` `[MQTT-4.3.3-5]` `[MQTT-4.3.3-6]` `[MQTT-4.3.3-4]`
/// `[MQTT-2.2.1-5]`: what waits for an answer waits for it over any number of connections.
#[test]
fn an_exchange_goes_on_until_its_last_answer() {
    both(|broker| {
        let mut client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_from(broker, publisher, 1, b"1");
        let one = broker.expect_publish(client, &publish_1(0, "a", b"1"));
        broker.send(publisher, &Packet::Publish(publish_2(2, "a", b"2")));
        broker.expect(publisher, &pubrec(2));
        let two = broker.expect_publish(client, &publish_2(0, "a", b"2"));
        let again = |publish| Packet::Publish(Publish { dup: true, ..publish });
        for _ in 0..3 {
            broker.cut(client);
            client = broker.resume(Version::V5, "a", true);
            broker.expect(client, &again(publish_1(one, "a", b"1")));
            broker.expect(client, &again(publish_2(two, "a", b"2")));
            broker.expect_silence(client);
        }
        broker.send(client, &puback(one));
        broker.send(client, &pubrec(two));
        broker.expect(client, &pubrel(two));
        for _ in 0..3 {
            broker.cut(client);
            client = broker.resume(Version::V5, "a", true);
            broker.expect(client, &pubrel(two));
            broker.expect_silence(client);
        }
        broker.send(client, &pubcomp(two));
        broker.cut(client);
        let client = broker.resume(Version::V5, "a", true);
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.3.3-13]`: whoever the server is to the exchange.
#[test]
fn an_expired_message_is_acknowledged_to_the_end() {
    in_memory(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.resume(Version::V5, "publisher", false);
        let properties = Properties::from_checked(b"\x02\x00\x00\x00\x02");
        let message = Publish { properties, ..publish_2(7, "a", b"x") };
        broker.send(publisher, &Packet::Publish(message));
        broker.expect(publisher, &pubrec(7));
        let packet_id = broker.expect_publish(client, &message);
        broker.pass_secs(100);
        // Twice before its release, it is still the same message.
        let again = Publish { dup: true, ..message };
        broker.send(publisher, &Packet::Publish(again));
        broker.expect(publisher, &pubrec(7));
        broker.expect_silence(client);
        broker.send(publisher, &pubrel(7));
        broker.expect(publisher, &pubcomp(7));
        broker.send(client, &pubrec(packet_id));
        broker.expect(client, &pubrel(packet_id));
        broker.cut(client);
        broker.pass_secs(100);
        let client = broker.resume(Version::V5, "a", true);
        broker.expect(client, &pubrel(packet_id));
        broker.send(client, &pubcomp(packet_id));
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.8.4-4]` `[MQTT-3.8.4-3]` `[MQTT-3.3.1-9]`: what waits for a client stays when it
/// subscribes anew, and the retained messages come again.
#[test]
fn a_replaced_subscription_loses_nothing() {
    // In memory, where no letter between shards is late.
    in_memory(|broker| {
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send(publisher, &Packet::Publish(retained(publish_1(1, "a", b"kept"))));
        broker.hear(publisher, |packet| assert!(matches!(packet, Packet::Puback(_))));
        // A session of an hour, and a Receive Maximum of 1.
        let properties = Properties::from_checked(b"\x11\x00\x00\x0e\x10\x21\x00\x01");
        let hello = Hello { properties, ..Hello::persistent(Version::V5, "a") };
        let (client, _) = broker.connect_as(&hello);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let mut packet_id = broker.expect_publish(client, &retained(publish_1(0, "a", b"kept")));
        for (number, payload) in [(2, b"2"), (3, b"3")] {
            publish_from(broker, publisher, number, payload);
        }
        broker.expect_silence(client);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        publish_from(broker, publisher, 4, b"4");
        for message in [
            publish_1(0, "a", b"2"),
            publish_1(0, "a", b"3"),
            retained(publish_1(0, "a", b"kept")),
            publish_1(0, "a", b"4"),
        ] {
            broker.send(client, &puback(packet_id));
            packet_id = broker.expect_publish(client, &message);
        }
        broker.send(client, &puback(packet_id));
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.5.0-1]`: a message is added to every session with a matching subscription, connected or
/// not, and to no other.
#[test]
fn a_message_is_added_to_every_session_that_wants_it() {
    both(|broker| {
        let ids = ["one", "two", "three", "four", "five"];
        let filters = ["a/b", "a/+", "#", "a/b/#", "b/+"];
        for (id, filter) in ids.iter().zip(filters) {
            let client = broker.resume(Version::V5, id, false);
            broker.subscribe(client, &[(filter, QoS::ExactlyOnce)]);
            broker.disconnect(client);
        }
        let here = broker.connect(Version::V5, "here");
        broker.subscribe(here, &[("+/b", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        broker.send(publisher, &Packet::Publish(publish_1(1, "a/b", b"x")));
        broker.expect(publisher, &puback(1));
        broker.expect_publish(here, &publish_1(0, "a/b", b"x"));
        for (id, wants) in ids.iter().zip([true, true, true, true, false]) {
            let client = broker.resume(Version::V5, id, true);
            if wants {
                broker.expect_publish(client, &publish_1(0, "a/b", b"x"));
            }
            broker.expect_silence(client);
        }
    });
}

/// `[MQTT-3.3.4-3]` `[MQTT-3.8.4-5]` `[MQTT-3.3.1-9]`: retained messages carry the identifier of the
/// subscription that asked for them, one for each filter.
#[test]
fn retained_messages_carry_the_identifier_of_their_subscription() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.send(client, &Packet::Publish(retained(publish("t/1", b"x"))));
        broker.send(client, &Packet::Publish(retained(publish("t/2", b"x"))));
        for (filters, identifier, topics) in [
            (&["t/+"][..], 1, &["t/1", "t/2"][..]),
            (&["t/1", "+/2"], 268_435_455, &["t/1", "t/2"]),
            (&["#", "t/2"], 300, &["t/1", "t/2", "t/2"]),
        ] {
            subscribe_named(broker, client, filters, QoS::AtMostOnce, identifier);
            for topic in topics {
                broker.hear(client, |packet| {
                    let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
                    assert_eq!((publish.topic, publish.retain), (*topic, true));
                    assert!(publish.properties.subscription_identifiers().eq([identifier]));
                });
            }
            broker.expect_silence(client);
        }
    });
}

/// `[MQTT-3.3.4-3]` `[MQTT-3.3.4-4]`: what waited comes with the identifiers it was queued with, and
/// what is sent again too.
#[test]
fn identifiers_stay_with_a_message_that_waits() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        subscribe_named(broker, client, &["a"], QoS::AtLeastOnce, 1);
        subscribe_named(broker, client, &["+"], QoS::AtMostOnce, 2);
        broker.disconnect(client);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_from(broker, publisher, 1, b"x");
        for dup in [false, true, true] {
            let client = broker.resume(Version::V5, "a", true);
            broker.hear(client, |packet| {
                let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
                let mut identifiers: Vec<_> =
                    publish.properties.subscription_identifiers().collect();
                identifiers.sort_unstable();
                assert_eq!((publish.dup, identifiers), (dup, vec![1, 2]));
            });
            broker.cut(client);
        }
    });
}

/// `[MQTT-4.6.0-5]` `[MQTT-4.6.0-6]` `[MQTT-4.4.0-1]` `[MQTT-4.6.0-2]` `[MQTT-4.6.0-3]`: messages of
/// both QoS in one row, also when they are sent again; answers in the order of the messages.
#[test]
fn messages_and_their_repetition_keep_their_order() {
    both(|broker| {
        let mut client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        broker.disconnect(client);
        let texts: Vec<String> = (1..=60).map(|number: u16| number.to_string()).collect();
        let messages: Vec<Publish<'_>> = (1..=60)
            .zip(&texts)
            .map(|(packet_id, text)| match packet_id % 3 {
                0 => publish_2(packet_id, "a", text.as_bytes()),
                _ => publish_1(packet_id, "a", text.as_bytes()),
            })
            .collect();
        let publisher = broker.connect(Version::V5, "publisher");
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| message.encode(Version::V5, &mut bytes));
        broker.send_bytes(publisher, &bytes);
        for message in &messages {
            let packet_id = message.packet_id;
            let is_qos_2 = message.qos == QoS::ExactlyOnce;
            let answer = if is_qos_2 { pubrec(packet_id) } else { puback(packet_id) };
            broker.expect(publisher, &answer);
        }
        client = broker.resume(Version::V5, "a", true);
        let ids: Vec<u16> =
            messages.iter().map(|message| broker.expect_publish(client, message)).collect();
        broker.cut(client);
        client = broker.resume(Version::V5, "a", true);
        for (message, &packet_id) in messages.iter().zip(&ids) {
            let again = Publish { dup: true, packet_id, ..*message };
            broker.expect(client, &Packet::Publish(again));
        }
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.3.3-9]` `[MQTT-3.3.2-12]`: after a PUBREC that refuses, the identifier is free for a new
/// message; the Topic Alias that came with the refused one holds.
#[test]
fn a_refused_message_leaves_its_identifier_free() {
    both_with(&Limits { checks_payload_format: true, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        // UTF-8 is announced, and a Topic Alias set.
        let properties = Properties::from_checked(b"\x01\x01\x23\x00\x02");
        let message = Publish { properties, ..publish_2(7, "a", b"\xff") };
        for _ in 0..2 {
            broker.send(client, &Packet::Publish(message));
            broker.hear(client, |packet| {
                let Packet::Pubrec(ack) = packet else { panic!("{packet:?}") };
                assert_eq!((ack.packet_id, ack.reason), (7, ReasonCode::PayloadFormatInvalid));
            });
        }
        let properties = Properties::from_checked(b"\x23\x00\x02");
        let message = Publish { properties, ..publish_2(7, "", b"new") };
        broker.send(client, &Packet::Publish(message));
        broker.expect_publish(client, &publish("a", b"new"));
        broker.expect(client, &pubrec(7));
        broker.send(client, &pubrel(7));
        broker.expect(client, &pubcomp(7));
    });
}

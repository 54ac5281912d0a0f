//! Why a connection ends, in words and numbers: DISCONNECT and CONNACK from the server, and what a
//! client before 5.0 sees instead (sections 3.1.2.11.7, 3.2.2.2, 3.14.2 and 4.13).

use mqttd::broker::Limits;
use mqttd::codec::{
    Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version, encode,
};

use crate::kit::packets::{
    Hello, puback, publish, publish_1, publish_2, pubrec, pubrec_unmatched, pubrel, will,
};
use crate::kit::{Broker, Client, both, both_with, in_memory, limits};

/// One thing a client can do wrong: what it says, the Reason Code, and a part of the Reason String.
struct Offence {
    bytes: Vec<u8>,
    reason: ReasonCode,
    words: &'static str,
}

fn offence(bytes: impl Into<Vec<u8>>, reason: ReasonCode, words: &'static str) -> Offence {
    Offence { bytes: bytes.into(), reason, words }
}

fn packet(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, version, &mut bytes);
    bytes
}

fn with_property(publish: Publish<'_>, property: Property<'_>) -> Vec<u8> {
    let mut list = PropertiesBuf::default();
    list.push(property);
    let properties = list.as_properties();
    packet(Version::V5, &Packet::Publish(Publish { properties, ..publish }))
}

/// What a client of any version can do wrong.
fn offences(version: Version) -> Vec<Offence> {
    use ReasonCode as R;
    let hello = packet(version, &Hello::new(version, "again").packet());
    let wildcard = packet(version, &Packet::Publish(publish("a/#", b"x")));
    let levels = packet(version, &Packet::Publish(publish(&"/".repeat(200), b"x")));
    vec![
        offence(hello, R::ProtocolError, "second CONNECT"),
        offence(*b"\x20\x02\x00\x00", R::ProtocolError, "only a server").for_version(version),
        offence(*b"\xd0\x00", R::ProtocolError, "only a server"),
        offence(*b"\x00\x00", R::MalformedPacket, "packet type 0"),
        offence(*b"\xc1\x00", R::MalformedPacket, "flags"),
        offence(*b"\x30\xff\xff\xff\xff", R::MalformedPacket, "variable byte integer"),
        offence(*b"\x30\x02\x00\x07", R::MalformedPacket, "inside a field"),
        offence(*b"\xc0\x01x", R::MalformedPacket, "last field"),
        offence(*b"\x30\x04\x00\x02\xc3\x28", R::MalformedPacket, "UTF-8"),
        offence(*b"\x30\x04\x00\x02a\x00", R::MalformedPacket, "U+0000"),
        offence(*b"\x36\x05\x00\x01a\x00\x01", R::MalformedPacket, "QoS 3"),
        offence(*b"\x38\x03\x00\x01a", R::MalformedPacket, "DUP"),
        offence(*b"\x32\x05\x00\x01a\x00\x00", R::ProtocolError, "packet identifier 0"),
        offence(*b"\x30\xff\xff\xff\x7f", R::PacketTooLarge, "above the limit"),
        offence(wildcard, R::TopicNameInvalid, "topic name"),
        offence(levels, R::TopicNameInvalid, "topic name"),
    ]
}

impl Offence {
    /// CONNACK of 5.0 is a byte longer.
    fn for_version(mut self, version: Version) -> Self {
        if version == Version::V5 {
            self.bytes = b"\x20\x03\x00\x00\x00".to_vec();
        }
        self
    }
}

/// What only a 5.0 client can do wrong, or be told of.
fn offences_of_5() -> Vec<Offence> {
    use ReasonCode as R;
    let alias = |alias, topic| with_property(publish(topic, b""), Property::TopicAlias(alias));
    let identifier = with_property(publish("a", b""), Property::SubscriptionIdentifier(1));
    let shared = b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04";
    vec![
        offence(alias(11, "a"), R::TopicAliasInvalid, "topic alias"),
        offence(*b"\x30\x07\x00\x01a\x03\x23\x00\x00", R::TopicAliasInvalid, "TopicAlias"),
        offence(alias(1, ""), R::ProtocolError, "never set"),
        offence(identifier, R::ProtocolError, "subscription identifier"),
        offence(*b"\xf0\x00", R::ProtocolError, "AUTH"),
        offence(*shared, R::ProtocolError, "No Local"),
        offence(*b"\xe0\x07\x00\x05\x11\x00\x00\x00\x09", R::ProtocolError, "session expiry"),
        offence(*b"\x30\x06\x00\x01a\x02\x04\x00", R::MalformedPacket, "0x04"),
        offence(*b"\x30\x09\x00\x01a\x05\x11\x00\x00\x00\x01", R::MalformedPacket, "belong"),
        offence(*b"\x30\x08\x00\x01a\x04\x01\x00\x01\x00", R::ProtocolError, "twice"),
        offence(*b"\x30\x06\x00\x01a\x02\x01\x02", R::ProtocolError, "not allowed"),
        offence(*b"\x40\x03\x00\x01\x8e", R::MalformedPacket, "reason code 0x8e"),
        offence(*b"\x82\x03\x00\x01\x00", R::ProtocolError, "empty payload"),
        offence(*b"\x82\x07\x00\x01\x00\x00\x01a\x03", R::ProtocolError, "QoS 3"),
        offence(*b"\x82\x07\x00\x01\x00\x00\x01a\x30", R::ProtocolError, "retain handling"),
        offence(*b"\x82\x07\x00\x01\x00\x00\x01a\xc0", R::MalformedPacket, "reserved bits"),
    ]
}

fn expect_told(broker: &mut Broker, client: Client, reason: ReasonCode, words: &str) {
    broker.hear(client, |packet| {
        let Packet::Disconnect(disconnect) = packet else { panic!("{packet:?} for {words}") };
        assert_eq!(disconnect.reason, reason, "{words}");
        let string = disconnect.properties.reason_string().expect("a reason string");
        assert!(string.contains(words), "{string:?} has no {words:?}");
        assert!(string.len() <= 120, "{string:?} is too long");
        // `[MQTT-3.14.2-2]`
        assert_eq!(disconnect.properties.session_expiry_interval(), None);
        // `[MQTT-3.14.2-4]`
        assert_eq!(disconnect.properties.user_properties().count(), 0);
    });
    // `[MQTT-3.14.4-1]` `[MQTT-3.14.4-2]`
    broker.expect_closed(client);
}

/// `[MQTT-4.13.1-1]` `[MQTT-4.13.2-1]`
#[test]
fn a_5_0_client_is_told_why_it_is_disconnected() {
    both(|broker| {
        for offence in offences(Version::V5).into_iter().chain(offences_of_5()) {
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, &offence.bytes);
            expect_told(broker, client, offence.reason, offence.words);
        }
    });
}

/// Before 5.0 a server has no DISCONNECT: the connection is closed.
#[test]
fn an_older_client_is_disconnected_without_a_word() {
    both(|broker| {
        for version in [Version::V31, Version::V311] {
            for offence in offences(version) {
                let client = broker.connect(version, "a");
                broker.send_bytes(client, &offence.bytes);
                broker.expect_closed(client);
            }
        }
    });
}

/// `[MQTT-3.3.4-7]`
#[test]
fn receive_maximum_is_told() {
    both_with(&Limits { receive_maximum: 2, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        for packet_id in 1..=2 {
            broker.send(client, &Packet::Publish(publish_2(packet_id, "a", b"x")));
            broker.expect(client, &pubrec_unmatched(Version::V5, packet_id));
        }
        // One that is known may come again, and QoS 1 is answered at once.
        let again = Publish { dup: true, ..publish_2(1, "a", b"x") };
        broker.send(client, &Packet::Publish(again));
        broker.hear(client, |packet| assert!(matches!(packet, Packet::Pubrec(_)), "{packet:?}"));
        broker.send(client, &Packet::Publish(publish_2(3, "a", b"x")));
        expect_told(broker, client, ReasonCode::ReceiveMaximumExceeded, "Receive Maximum");
    });
}

/// `[MQTT-3.1.4-3]`, and an operator.
#[test]
fn who_is_ended_by_others_is_told() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        let second = broker.connect(Version::V5, "a");
        expect_told(broker, client, ReasonCode::SessionTakenOver, "client identifier");
        broker.kick("a");
        expect_told(broker, second, ReasonCode::AdministrativeAction, "operator");
        let older = broker.connect(Version::V311, "a");
        broker.kick("a");
        broker.expect_closed(older);
    });
}

/// `[MQTT-3.1.2-22]`
#[test]
fn who_is_silent_is_told() {
    in_memory(|broker| {
        let hello = Hello { keep_alive_secs: 10, ..Hello::new(Version::V5, "a") };
        let (client, _) = broker.connect_as(&hello);
        broker.pass_secs(15);
        broker.pass_slack();
        expect_told(broker, client, ReasonCode::KeepAliveTimeout, "keep alive");
    });
}

fn expect_refused(broker: &mut Broker, client: Client, reason: ReasonCode, words: Option<&str>) {
    broker.hear(client, |packet| {
        let Packet::Connack(connack) = packet else { panic!("{packet:?} for {words:?}") };
        // `[MQTT-3.2.2-6]`
        assert_eq!((connack.reason, connack.session_present), (reason, false), "{words:?}");
        // `[MQTT-3.2.2-20]`
        assert_eq!(connack.properties.user_properties().count(), 0);
        match (connack.properties.reason_string(), words) {
            (None, None) => {}
            (Some(string), Some(words)) => assert!(string.contains(words), "{string:?}"),
            (string, words) => panic!("{string:?} instead of {words:?}"),
        }
    });
    // `[MQTT-3.2.2-7]`
    broker.expect_closed(client);
}

/// `[MQTT-3.2.2-8]`
#[test]
fn a_5_0_client_is_told_why_it_is_refused() {
    both_with(&Limits { sessions_max: 1, checks_payload_format: true, ..limits() }, |broker| {
        let _first = broker.connect(Version::V5, "first");
        let text = Properties::from_checked(b"\x01\x01");
        let plain = Hello::new(Version::V5, "a");
        let will_topic = Hello { will: Some(will("a/#", b"")), ..plain.clone() };
        let will_payload = mqttd::codec::Will { properties: text, ..will("a", b"\xff") };
        let will_payload = Hello { will: Some(will_payload), ..plain.clone() };
        for (hello, reason, words) in [
            (&plain, ReasonCode::QuotaExceeded, "sessions"),
            (&will_topic, ReasonCode::TopicNameInvalid, "will topic"),
            (&will_payload, ReasonCode::PayloadFormatInvalid, "UTF-8"),
        ] {
            let client = broker.open(Version::V5);
            broker.send(client, &hello.packet());
            expect_refused(broker, client, reason, Some(words));
            // Who wants no words gets none.
            let client = broker.open(Version::V5);
            let properties = Properties::from_checked(b"\x17\x00");
            broker.send(client, &Hello { properties, ..hello.clone() }.packet());
            expect_refused(broker, client, reason, None);
        }
    });
}

/// What cannot be read is refused in words too `[MQTT-3.1.4-1]`, where the client takes them
/// `[MQTT-3.2.2-19]`.
#[test]
fn a_connect_that_cannot_be_read_is_told_why() {
    both(|broker| {
        use ReasonCode as R;
        for (bytes, reason, words) in [
            (&b"\x10\x0e\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x01c"[..], R::MalformedPacket, "flag"),
            (b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x01c", R::UnsupportedProtocolVersion, "6"),
            (b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x05\x02\x00", R::PacketTooLarge, "above"),
        ] {
            let client = broker.open(Version::V5);
            broker.send_bytes(client, bytes);
            expect_refused(broker, client, reason, Some(words));
        }
        // The same flag, and a Maximum Packet Size of 9.
        let client = broker.open(Version::V5);
        let bytes = b"\x10\x13\x00\x04MQTT\x05\x03\x00\x3c\x05\x27\x00\x00\x00\x09\x00\x01c";
        broker.send_bytes(client, bytes);
        expect_refused(broker, client, ReasonCode::MalformedPacket, None);
        // Before 5.0, silence.
        let client = broker.open(Version::V311);
        broker.send_bytes(client, b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00");
        broker.expect_closed(client);
    });
}

/// `[MQTT-3.1.2-29]`: who wants no problem information gets no property in any answer, though CONNACK
/// and DISCONNECT might have some. And nobody gets User Properties `[MQTT-3.4.2-3]` `[MQTT-3.5.2-3]`
/// `[MQTT-3.6.2-3]` `[MQTT-3.7.2-3]` `[MQTT-3.9.2-2]` `[MQTT-3.11.2-2]`.
#[test]
fn answers_have_reason_strings_for_who_wants_them() {
    both_with(&Limits { checks_payload_format: true, ..limits() }, |broker| {
        for (list, wanted) in [(&b"\x17\x00"[..], false), (b"", true)] {
            let properties = Properties::from_checked(list);
            let hello = Hello { properties, ..Hello::new(Version::V5, "a") };
            let (client, _) = broker.connect_as(&hello);
            broker.send_bytes(client, b"\x82\x07\x00\x01\x00\x00\x01#\x00");
            broker.expect_suback(client, 1, &[0]);
            let expect_words = |broker: &mut Broker, code, words| {
                broker.hear(client, |packet| {
                    let (found, properties) = refusal_in(packet);
                    assert_eq!(found, code, "{packet:?}");
                    assert_eq!(properties.reason_string().is_some(), wanted && words, "{packet:?}");
                    assert!(wanted || properties.is_empty(), "{packet:?}");
                    assert_eq!(properties.user_properties().count(), 0, "{packet:?}");
                });
            };
            broker.send_bytes(client, b"\x82\x09\x00\x01\x00\x00\x03#/a\x00");
            expect_words(broker, 0x8f, true);
            broker.send_bytes(client, b"\xa2\x08\x00\x01\x00\x00\x03#/a");
            expect_words(broker, 0x8f, true);
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let properties = Properties::from_checked(b"\x01\x01");
                let message = Publish { qos, properties, ..publish_1(1, "a", b"\xff") };
                broker.send(client, &Packet::Publish(message));
                expect_words(broker, 0x99, true);
            }
            // PUBCOMP and PUBREL of an identifier that is not in use.
            broker.send(client, &pubrel(9));
            expect_words(broker, 0x92, false);
            broker.send(client, &pubrec(9));
            expect_words(broker, 0x92, false);
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// The Reason Code and the properties of an answer.
fn refusal_in<'a>(packet: &Packet<'a>) -> (u8, Properties<'a>) {
    match packet {
        Packet::Suback(suback) => (suback.reasons[0], suback.properties),
        Packet::Unsuback(unsuback) => (unsuback.reasons[0], unsuback.properties),
        Packet::Puback(ack) | Packet::Pubrec(ack) | Packet::Pubrel(ack) | Packet::Pubcomp(ack) => {
            (ack.reason.as_byte(), ack.properties)
        }
        Packet::Connect(_)
        | Packet::Connack(_)
        | Packet::Publish(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::Pingreq
        | Packet::Pingresp
        | Packet::Disconnect(_)
        | Packet::Auth(_) => panic!("no answer: {packet:?}"),
    }
}

/// Section 3.3.2.3.2: a payload that is not the text it is said to be.
#[test]
fn a_payload_that_is_not_what_it_says_is_refused_where_that_is_checked() {
    both_with(&Limits { checks_payload_format: true, receive_maximum: 1, ..limits() }, |broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        let text = Properties::from_checked(b"\x01\x01");
        let good = Publish { properties: text, ..publish("a", "ä".as_bytes()) };
        broker.send(client, &Packet::Publish(good));
        broker.expect_publish(client, &good);
        // A PUBREC with an error ends the exchange: the identifier and the quota are free again.
        for _ in 0..3 {
            let bad = Publish { properties: text, ..publish_2(1, "a", b"\xff") };
            broker.send(client, &Packet::Publish(bad));
            broker.hear(client, |packet| {
                let Packet::Pubrec(ack) = packet else { panic!("{packet:?}") };
                assert_eq!((ack.packet_id, ack.reason), (1, ReasonCode::PayloadFormatInvalid));
            });
        }
        broker.send(client, &Packet::Publish(publish_2(2, "a", b"x")));
        broker.expect_publish(client, &publish("a", b"x"));
        broker.expect(client, &pubrec(2));
        // An alias is set all the same.
        let aliased = Properties::from_checked(b"\x01\x01\x23\x00\x01");
        let bad = Publish { properties: aliased, ..publish_1(3, "a", b"\xff") };
        broker.send(client, &Packet::Publish(bad));
        broker.hear(client, |packet| assert!(matches!(packet, Packet::Puback(_)), "{packet:?}"));
        let properties = Properties::from_checked(b"\x23\x00\x01");
        broker.send(client, &Packet::Publish(Publish { properties, ..publish("", b"y") }));
        broker.expect_publish(client, &publish("a", b"y"));
        // With QoS 0 there is no other answer.
        let bad = Publish { properties: text, ..publish("a", b"\xff") };
        broker.send(client, &Packet::Publish(bad));
        expect_told(broker, client, ReasonCode::PayloadFormatInvalid, "UTF-8");
    });
}

/// `[MQTT-3.4.2-2]` `[MQTT-3.5.2-2]`: rather no reason string than a packet that is too large.
#[test]
fn a_reason_string_of_an_acknowledgement_keeps_to_the_clients_maximum() {
    both_with(&Limits { checks_payload_format: true, ..limits() }, |broker| {
        for (limit, told) in [(100, true), (50, false)] {
            let mut list = PropertiesBuf::default();
            list.push(Property::MaximumPacketSize(limit));
            let properties = list.as_properties();
            let hello = Hello { properties, ..Hello::new(Version::V5, "a") };
            let (client, _) = broker.connect_as(&hello);
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let properties = Properties::from_checked(b"\x01\x01");
                let message = Publish { qos, properties, ..publish_1(1, "a", b"\xff") };
                broker.send(client, &Packet::Publish(message));
                broker.hear(client, |packet| {
                    let (Packet::Puback(ack) | Packet::Pubrec(ack)) = packet else {
                        panic!("{packet:?}");
                    };
                    assert_eq!(ack.reason, ReasonCode::PayloadFormatInvalid);
                    assert_eq!(ack.properties.reason_string().is_some(), told);
                });
            }
            broker.disconnect(client);
        }
    });
}

/// Section 3.3.2.3.2: unchecked, it is passed on as it is `[MQTT-3.3.2-4]`.
#[test]
fn a_payload_is_passed_on_unchecked_by_default() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        let properties = Properties::from_checked(b"\x01\x01");
        let bad = Publish { properties, ..publish_1(1, "a", b"\xff") };
        broker.send(client, &Packet::Publish(bad));
        let (qos, packet_id) = (QoS::AtMostOnce, 0);
        broker.expect_publish(client, &Publish { qos, packet_id, ..bad });
        broker.expect(client, &puback(1));
    });
}

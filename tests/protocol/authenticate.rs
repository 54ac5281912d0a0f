//! Enhanced authentication and re-authentication (sections 3.15 and 4.12).
//!
//! The method is one of these tests: the server says a word, the client answers with the word
//! backwards, as many times as the method's name says.

use std::sync::Arc;

use mqttd::broker::{Applicant, Denial, Exchange, Grant, Method, Methods, Step};
use mqttd::codec::{
    Auth, Connack, Packet, Properties, PropertiesBuf, Property, QoS, ReasonCode, Version, encode,
};

use crate::kit::packets::{Hello, disconnect, puback, publish, publish_1, subscribe_packet, will};
use crate::kit::{Broker, Client, both_knowing};

const CONTINUE: ReasonCode = ReasonCode::ContinueAuthentication;
const AGAIN: ReasonCode = ReasonCode::ReAuthenticate;

struct Backwards {
    name: &'static str,
    words: usize,
}

#[derive(Default)]
struct Questions {
    left: usize,
    user: Option<Box<str>>,
    answer: Vec<u8>,
}

impl Method for Backwards {
    fn name(&self) -> &str {
        self.name
    }

    fn begin(&self, _: &Applicant<'_>) -> Box<dyn Exchange> {
        Box::new(Questions { left: self.words, ..Questions::default() })
    }
}

impl Exchange for Questions {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        let refused = |reason, why| Step::Refused(Denial { reason, why });
        let data = data.unwrap_or_default();
        match &self.user {
            None => match std::str::from_utf8(data) {
                Ok("banned") => return refused(ReasonCode::Banned, "this user is banned"),
                Ok("odd") => return refused(ReasonCode::Success, "a reason that is none"),
                Ok(name) if !name.is_empty() => self.user = Some(name.into()),
                Ok(_) | Err(_) => {
                    return refused(ReasonCode::BadUserNameOrPassword, "no user was named");
                }
            },
            Some(_) if data != self.answer => {
                return refused(ReasonCode::NotAuthorized, "a wrong answer");
            }
            Some(_) => {}
        }
        if self.left == 0 {
            let data = Some(b"welcome".to_vec());
            return Step::Granted(Grant { username: self.user.take(), data });
        }
        let word = word(self.left);
        self.answer = word.iter().rev().copied().collect();
        self.left -= 1;
        Step::Continue(Some(word))
    }
}

/// What is asked when so many words are left.
fn word(left: usize) -> Vec<u8> {
    format!("word-{left}").into_bytes()
}

fn answer(left: usize) -> Vec<u8> {
    word(left).into_iter().rev().collect()
}

fn both(script: impl Fn(&mut Broker)) {
    let methods = [("none", 0), ("one", 1), ("three", 3), ("endless", usize::MAX)];
    let add = |known: Methods, (name, words)| known.with(Arc::new(Backwards { name, words }));
    both_knowing(&methods.into_iter().fold(Methods::default(), add), script);
}

fn list(properties: &[Property<'_>]) -> PropertiesBuf {
    let mut list = PropertiesBuf::default();
    properties.iter().for_each(|property| list.push(*property));
    list
}

fn credentials(method: &str, data: &[u8]) -> PropertiesBuf {
    list(&[Property::AuthenticationMethod(method), Property::AuthenticationData(data)])
}

/// CONNECT with a method and a user.
fn hello<'a>(client_id: &'a str, properties: &'a PropertiesBuf) -> Hello<'a> {
    Hello { properties: properties.as_properties(), ..Hello::new(Version::V5, client_id) }
}

/// Connects with a method; the answer is still to be heard.
fn knock(broker: &mut Broker, client_id: &str, method: &str, user: &str) -> Client {
    let client = broker.open(Version::V5);
    let properties = credentials(method, user.as_bytes());
    broker.send(client, &hello(client_id, &properties).packet());
    client
}

fn auth(reason: ReasonCode, properties: &PropertiesBuf) -> Packet<'_> {
    Packet::Auth(Auth { reason, properties: properties.as_properties() })
}

fn say(broker: &mut Broker, client: Client, reason: ReasonCode, method: &str, data: &[u8]) {
    broker.send(client, &auth(reason, &credentials(method, data)));
}

/// The server's AUTH: exactly the method and the data.
fn expect_auth(broker: &mut Broker, client: Client, reason: ReasonCode, method: &str, data: &[u8]) {
    broker.expect(client, &auth(reason, &credentials(method, data)));
}

/// The client answers what is asked, `words` times.
fn answer_all(broker: &mut Broker, client: Client, method: &str, words: usize) {
    for left in (1..=words).rev() {
        expect_auth(broker, client, CONTINUE, method, &word(left));
        say(broker, client, CONTINUE, method, &answer(left));
    }
}

/// CONNACK with Success, the method and the last data; says whether a session was present.
fn expect_welcome(broker: &mut Broker, client: Client, method: &str) -> bool {
    broker.hear(client, |packet| {
        let Packet::Connack(connack) = packet else { panic!("instead of CONNACK: {packet:?}") };
        assert_eq!(connack.reason, ReasonCode::Success);
        assert_eq!(connack.properties.authentication_method(), Some(method));
        assert_eq!(connack.properties.authentication_data(), Some(&b"welcome"[..]));
        connack.session_present
    })
}

fn enter(broker: &mut Broker, client_id: &str, method: &str, words: usize) -> Client {
    let client = knock(broker, client_id, method, "user");
    answer_all(broker, client, method, words);
    expect_welcome(broker, client, method);
    client
}

fn expect_refused(broker: &mut Broker, client: Client, expected: ReasonCode) {
    expect_refused_because(broker, client, expected, None);
}

/// CONNACK with this reason, in these words where any are named, and the end.
fn expect_refused_because(
    broker: &mut Broker,
    client: Client,
    expected: ReasonCode,
    why: Option<&str>,
) {
    broker.hear(client, |packet| {
        let Packet::Connack(Connack { session_present, reason, properties }) = packet else {
            panic!("instead of CONNACK: {packet:?}");
        };
        assert_eq!((*session_present, *reason), (false, expected));
        assert_eq!(properties.authentication_data(), None);
        assert!(
            why.is_none() || properties.reason_string() == why,
            "instead of {why:?}: {packet:?}"
        );
    });
    broker.expect_closed(client);
}

/// `[MQTT-4.12.0-2]` `[MQTT-4.12.0-3]` `[MQTT-4.12.0-5]` `[MQTT-3.15.2-1]`
#[test]
fn a_client_proves_who_it_is_in_as_many_rounds_as_the_method_has() {
    both(|broker| {
        for (method, words) in [("none", 0), ("one", 1), ("three", 3)] {
            let client = knock(broker, "a", method, "user");
            answer_all(broker, client, method, words);
            assert!(!expect_welcome(broker, client, method));
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-4.12.0-1]`: names are compared byte for byte.
#[test]
fn a_method_nobody_knows_is_refused() {
    both(|broker| {
        for method in ["One", "one ", "", "SCRAM-SHA-256"] {
            let client = knock(broker, "a", method, "user");
            expect_refused(broker, client, ReasonCode::BadAuthenticationMethod);
        }
    });
}

/// `[MQTT-4.12.0-4]` `[MQTT-3.1.4-2]`
#[test]
fn the_server_may_refuse_at_any_point() {
    both(|broker| {
        for (user, reason, why) in [
            ("", ReasonCode::BadUserNameOrPassword, "no user was named"),
            ("banned", ReasonCode::Banned, "this user is banned"),
            // What is no reason for a CONNACK is told as one that is.
            ("odd", ReasonCode::NotAuthorized, "a reason that is none"),
        ] {
            let client = knock(broker, "a", "one", user);
            expect_refused_because(broker, client, reason, Some(why));
        }
        for words in 0..3 {
            let client = knock(broker, "a", "three", "user");
            for left in (3 - words + 1..=3).rev() {
                expect_auth(broker, client, CONTINUE, "three", &word(left));
                say(broker, client, CONTINUE, "three", &answer(left));
            }
            expect_auth(broker, client, CONTINUE, "three", &word(3 - words));
            say(broker, client, CONTINUE, "three", b"nonsense");
            expect_refused(broker, client, ReasonCode::NotAuthorized);
        }
    });
}

/// A method that goes on and on does not keep the broker busy.
#[test]
fn an_authentication_comes_to_an_end() {
    both(|broker| {
        let client = knock(broker, "a", "endless", "user");
        for left in (0..16).map(|round| usize::MAX - round) {
            expect_auth(broker, client, CONTINUE, "endless", &word(left));
            say(broker, client, CONTINUE, "endless", &answer(left));
        }
        expect_refused(broker, client, ReasonCode::NotAuthorized);
    });
}

/// `[MQTT-4.12.0-5]` `[MQTT-4.12.0-3]`
#[test]
fn an_auth_that_is_not_the_answer_ends_the_authentication() {
    both(|broker| {
        for (reason, method, told) in [
            (CONTINUE, "three", ReasonCode::BadAuthenticationMethod),
            (CONTINUE, "nobody's", ReasonCode::BadAuthenticationMethod),
            (AGAIN, "one", ReasonCode::ProtocolError),
            (ReasonCode::Success, "one", ReasonCode::ProtocolError),
        ] {
            let client = knock(broker, "a", "one", "user");
            expect_auth(broker, client, CONTINUE, "one", &word(1));
            say(broker, client, reason, method, &answer(1));
            expect_refused(broker, client, told);
        }
    });
}

/// `[MQTT-3.15.1-1]` `[MQTT-3.15.2-1]` `[MQTT-4.12.0-5]`
#[test]
fn an_auth_that_cannot_be_read_ends_the_authentication() {
    both(|broker| {
        for (bytes, told) in [
            // Flags, which AUTH has not.
            (&b"\xf1\x09\x18\x07\x15\x00\x03one\x16"[..], ReasonCode::MalformedPacket),
            // A Reason Code of other packets.
            (b"\xf0\x08\x87\x06\x15\x00\x03one", ReasonCode::MalformedPacket),
            // Data that ends too early.
            (b"\xf0\x0c\x18\x0a\x15\x00\x03one\x16\x00\x09x", ReasonCode::MalformedPacket),
            // A property of other packets.
            (b"\xf0\x0b\x18\x09\x15\x00\x03one\x21\x00\x01", ReasonCode::MalformedPacket),
            // The method twice.
            (b"\xf0\x0e\x18\x0c\x15\x00\x03one\x15\x00\x03one", ReasonCode::ProtocolError),
            // Data without a method, and neither.
            (b"\xf0\x06\x18\x04\x16\x00\x01x", ReasonCode::ProtocolError),
            (b"\xf0\x01\x18", ReasonCode::ProtocolError),
            (b"\xf0\x00", ReasonCode::ProtocolError),
            // More than a stranger may send.
            (b"\xf0\xff\xff\xff\x7f", ReasonCode::PacketTooLarge),
            (b"\xf0\xff\xff\xff\xff", ReasonCode::MalformedPacket),
        ] {
            let client = knock(broker, "a", "one", "user");
            expect_auth(broker, client, CONTINUE, "one", &word(1));
            broker.send_bytes(client, bytes);
            expect_refused(broker, client, told);
        }
    });
}

#[test]
fn authentication_data_without_a_method_is_a_protocol_error() {
    both(|broker| {
        let client = broker.open(Version::V5);
        let properties = list(&[Property::AuthenticationData(b"x")]);
        broker.send(client, &hello("a", &properties).packet());
        expect_refused(broker, client, ReasonCode::ProtocolError);
    });
}

/// A client may explain itself, and the server need not listen.
#[test]
fn an_answer_may_carry_a_reason_string_and_user_properties() {
    both(|broker| {
        let client = knock(broker, "a", "one", "user");
        expect_auth(broker, client, CONTINUE, "one", &word(1));
        let answer = answer(1);
        let properties = list(&[
            Property::UserProperty(("k", "v")),
            Property::AuthenticationData(&answer),
            Property::ReasonString("because"),
            Property::AuthenticationMethod("one"),
            Property::UserProperty(("k", "v")),
        ]);
        broker.send(client, &auth(CONTINUE, &properties));
        expect_welcome(broker, client, "one");
    });
}

/// `[MQTT-3.1.2-30]`
#[test]
fn nothing_but_auth_and_disconnect_comes_before_connack() {
    both(|broker| {
        let subscribe =
            subscribe_packet(Version::V5, 1, Properties::EMPTY, &[("#", QoS::AtMostOnce)]);
        for bytes in [&b"\xc0\x00"[..], b"\x30\x04\x00\x01ax", &subscribe, b"\x00\x00"] {
            let client = knock(broker, "a", "one", "user");
            expect_auth(broker, client, CONTINUE, "one", &word(1));
            broker.send_bytes(client, bytes);
            expect_refused(broker, client, ReasonCode::ProtocolError);
        }
        let client = knock(broker, "a", "one", "user");
        expect_auth(broker, client, CONTINUE, "one", &word(1));
        broker.send(client, &hello("a", &credentials("one", b"user")).packet());
        expect_refused(broker, client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-3.1.2-30]` `[MQTT-3.1.4-6]`: nor in one go with the packet that would have opened the door.
#[test]
fn who_talks_on_without_waiting_is_not_let_in() {
    both(|broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("#", QoS::AtMostOnce)]);
        let mut bytes = Vec::new();
        encode(&hello("a", &credentials("none", b"user")).packet(), Version::V5, &mut bytes);
        encode(&Packet::Publish(publish("a", b"early")), Version::V5, &mut bytes);
        let client = broker.open(Version::V5);
        broker.send_bytes(client, &bytes);
        expect_refused(broker, client, ReasonCode::ProtocolError);

        let client = knock(broker, "a", "one", "user");
        expect_auth(broker, client, CONTINUE, "one", &word(1));
        let mut bytes = Vec::new();
        encode(&auth(CONTINUE, &credentials("one", &answer(1))), Version::V5, &mut bytes);
        encode(&Packet::Publish(publish("a", b"early")), Version::V5, &mut bytes);
        broker.send_bytes(client, &bytes);
        expect_refused(broker, client, ReasonCode::ProtocolError);
        broker.expect_silence(watcher);
    });
}

/// AUTH and DISCONNECT may come with the packet before them, and every packet in pieces.
#[test]
fn a_client_that_knows_the_answers_need_not_wait_for_the_questions() {
    both(|broker| {
        let mut bytes = Vec::new();
        encode(&hello("a", &credentials("three", b"user")).packet(), Version::V5, &mut bytes);
        for left in [3, 2, 1] {
            encode(&auth(CONTINUE, &credentials("three", &answer(left))), Version::V5, &mut bytes);
        }
        encode(&disconnect(ReasonCode::Success), Version::V5, &mut bytes);
        let whole = broker.open(Version::V5);
        broker.send_bytes(whole, &bytes);
        let pieces = broker.open(Version::V5);
        for byte in bytes {
            broker.send_bytes(pieces, &[byte]);
        }
        for client in [whole, pieces] {
            for left in [3, 2, 1] {
                expect_auth(broker, client, CONTINUE, "three", &word(left));
            }
            expect_welcome(broker, client, "three");
            broker.expect_closed(client);
        }
    });
}

/// `[MQTT-3.1.2-30]`
#[test]
fn a_client_may_give_up() {
    both(|broker| {
        let client = knock(broker, "a", "one", "user");
        expect_auth(broker, client, CONTINUE, "one", &word(1));
        broker.send(client, &disconnect(ReasonCode::Success));
        broker.expect_closed(client);
        let client = knock(broker, "a", "one", "user");
        expect_auth(broker, client, CONTINUE, "one", &word(1));
        broker.cut(client);
        enter(broker, "a", "one", 1);
    });
}

/// `[MQTT-3.1.4-3]`: who has proven nothing takes over nobody's connection, and ends nobody's session.
#[test]
fn a_stranger_disconnects_nobody() {
    both(|broker| {
        let properties = [Property::SessionExpiryInterval(3600)];
        let mut kept = credentials("one", b"user");
        properties.iter().for_each(|property| kept.push(*property));
        let hello = Hello { clean_start: false, ..hello("a", &kept) };
        let owner = broker.open(Version::V5);
        broker.send(owner, &hello.packet());
        answer_all(broker, owner, "one", 1);
        assert!(!expect_welcome(broker, owner, "one"));

        // A clean start, and a wrong answer.
        let stranger = knock(broker, "a", "one", "user");
        expect_auth(broker, stranger, CONTINUE, "one", &word(1));
        broker.expect_silence(owner);
        say(broker, stranger, CONTINUE, "one", b"nonsense");
        expect_refused(broker, stranger, ReasonCode::NotAuthorized);
        broker.expect_silence(owner);

        let again = broker.open(Version::V5);
        broker.send(again, &hello.packet());
        broker.expect_silence(owner);
        answer_all(broker, again, "one", 1);
        assert!(expect_welcome(broker, again, "one"));
        broker.expect_disconnected(owner, ReasonCode::SessionTakenOver);
        broker.expect_silence(again);
    });
}

/// `[MQTT-3.1.3-6]` `[MQTT-3.2.2-16]`
#[test]
fn a_client_without_identifier_is_given_one_in_the_end() {
    both(|broker| {
        let client = knock(broker, "", "one", "user");
        answer_all(broker, client, "one", 1);
        broker.hear(client, |packet| {
            let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
            assert_eq!(connack.properties.authentication_method(), Some("one"));
            let assigned = connack.properties.assigned_client_identifier();
            assert!(assigned.is_some_and(|id| !id.is_empty()));
        });
    });
}

/// `[MQTT-3.1.2-24]` `[MQTT-3.15.2-2]` `[MQTT-3.15.2-3]`: AUTH carries neither Reason String nor
/// User Property, and a question the client cannot take without them is not asked.
#[test]
fn no_auth_is_larger_than_the_client_takes() {
    both(|broker| {
        // AUTH with the method `one` and a word of 6 bytes has 19.
        let client = broker.open(Version::V5);
        let mut small = credentials("one", b"user");
        small.push(Property::MaximumPacketSize(18));
        broker.send(client, &hello("a", &small).packet());
        expect_refused(broker, client, ReasonCode::ImplementationSpecificError);

        let client = broker.open(Version::V5);
        let mut enough = credentials("one", b"user");
        enough.push(Property::MaximumPacketSize(19));
        broker.send(client, &hello("a", &enough).packet());
        expect_auth(broker, client, CONTINUE, "one", &word(1));
    });
}

/// `[MQTT-4.12.1-1]` `[MQTT-4.12.0-2]` `[MQTT-4.12.0-5]`
#[test]
fn a_client_proves_anew_who_it_is_as_often_as_it_likes() {
    both(|broker| {
        for (method, words) in [("none", 0), ("one", 1), ("three", 3)] {
            let client = enter(broker, "a", method, words);
            for user in ["user", "somebody else"] {
                say(broker, client, AGAIN, method, user.as_bytes());
                answer_all(broker, client, method, words);
                expect_auth(broker, client, ReasonCode::Success, method, b"welcome");
                broker.expect_silence(client);
            }
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-4.12.1-1]`: the session goes on meanwhile.
#[test]
fn other_packets_flow_while_a_client_proves_anew_who_it_is() {
    both(|broker| {
        let other = broker.connect(Version::V311, "other");
        broker.subscribe(other, &[("to/other", QoS::AtMostOnce)]);
        let client = enter(broker, "a", "three", 3);
        say(broker, client, AGAIN, "three", b"user");
        expect_auth(broker, client, CONTINUE, "three", &word(3));
        broker.subscribe(client, &[("to/a", QoS::AtLeastOnce)]);
        broker.send(client, &Packet::Publish(publish("to/other", b"1")));
        broker.expect_publish(other, &publish("to/other", b"1"));
        say(broker, client, CONTINUE, "three", &answer(3));
        expect_auth(broker, client, CONTINUE, "three", &word(2));
        broker.send(other, &Packet::Publish(publish_1(7, "to/a", b"2")));
        broker.expect(other, &puback(7));
        let packet_id = broker.expect_publish(client, &publish_1(0, "to/a", b"2"));
        say(broker, client, CONTINUE, "three", &answer(2));
        broker.send(client, &puback(packet_id));
        expect_auth(broker, client, CONTINUE, "three", &word(1));
        say(broker, client, CONTINUE, "three", &answer(1));
        expect_auth(broker, client, ReasonCode::Success, "three", b"welcome");
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.12.1-2]`: the connection ends with the reason, and as no DISCONNECT came from the
/// client, its Will is published.
#[test]
fn who_cannot_prove_anew_who_it_is_is_disconnected() {
    both(|broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("will", QoS::AtMostOnce)]);
        for (user, told, why) in [
            ("user", ReasonCode::NotAuthorized, "a wrong answer"),
            // These two codes are CONNACK's alone.
            ("banned", ReasonCode::NotAuthorized, "this user is banned"),
            ("", ReasonCode::NotAuthorized, "no user was named"),
        ] {
            let client = broker.open(Version::V5);
            let properties = credentials("one", b"user");
            let hello = Hello { will: Some(will("will", b"gone")), ..hello("a", &properties) };
            broker.send(client, &hello.packet());
            answer_all(broker, client, "one", 1);
            expect_welcome(broker, client, "one");
            say(broker, client, AGAIN, "one", user.as_bytes());
            if user == "user" {
                expect_auth(broker, client, CONTINUE, "one", &word(1));
                say(broker, client, CONTINUE, "one", b"nonsense");
            }
            broker.hear(client, |packet| {
                let Packet::Disconnect(disconnect) = packet else {
                    panic!("instead of DISCONNECT: {packet:?}");
                };
                assert_eq!(disconnect.reason, told);
                assert_eq!(disconnect.properties.reason_string(), Some(why));
            });
            broker.expect_closed(client);
            broker.expect_publish(watcher, &publish("will", b"gone"));
        }
    });
}

/// `[MQTT-4.12.1-1]` `[MQTT-4.12.0-5]` `[MQTT-4.12.0-3]`: the same method, and one exchange at a
/// time.
#[test]
fn an_auth_that_is_not_due_ends_the_connection() {
    both(|broker| {
        for (reason, method, told) in [
            (AGAIN, "three", ReasonCode::BadAuthenticationMethod),
            (AGAIN, "nobody's", ReasonCode::BadAuthenticationMethod),
            (CONTINUE, "one", ReasonCode::ProtocolError),
            (ReasonCode::Success, "one", ReasonCode::ProtocolError),
        ] {
            let client = enter(broker, "a", "one", 1);
            say(broker, client, reason, method, b"user");
            broker.expect_disconnected(client, told);
        }
        for (reason, method, told) in [
            (CONTINUE, "three", ReasonCode::BadAuthenticationMethod),
            (AGAIN, "one", ReasonCode::ProtocolError),
            (ReasonCode::Success, "one", ReasonCode::ProtocolError),
        ] {
            let client = enter(broker, "a", "one", 1);
            say(broker, client, AGAIN, "one", b"user");
            expect_auth(broker, client, CONTINUE, "one", &word(1));
            say(broker, client, reason, method, &answer(1));
            broker.expect_disconnected(client, told);
        }
        for bytes in [&b"\xf0\x00"[..], b"\xf0\x01\x19", b"\xf0\x06\x19\x04\x16\x00\x01x"] {
            let client = enter(broker, "a", "one", 1);
            broker.send_bytes(client, bytes);
            broker.expect_disconnected(client, ReasonCode::ProtocolError);
        }
    });
}

/// A client that never answers keeps its connection, and no more than one exchange with it.
#[test]
fn a_proof_that_is_never_finished_harms_nobody() {
    both(|broker| {
        let client = enter(broker, "a", "one", 1);
        say(broker, client, AGAIN, "one", b"user");
        expect_auth(broker, client, CONTINUE, "one", &word(1));
        broker.expect_silence(client);
        broker.cut(client);
        let client = enter(broker, "a", "one", 1);
        // A new connection knows nothing of the old one's exchange.
        say(broker, client, CONTINUE, "one", &answer(1));
        broker.expect_disconnected(client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-4.12.0-6]` `[MQTT-4.12.0-7]`: without a method in CONNECT there is no AUTH in either
/// direction, whatever methods the server knows.
#[test]
fn a_client_without_a_method_hears_and_says_no_auth() {
    both(|broker| {
        for reason in [CONTINUE, AGAIN] {
            let client = broker.open(Version::V5);
            broker.send(client, &Hello::new(Version::V5, "a").packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.properties.authentication_method(), None);
                assert_eq!(connack.properties.authentication_data(), None);
            });
            say(broker, client, reason, "one", b"user");
            broker.expect_disconnected(client, ReasonCode::ProtocolError);
        }
        for version in [Version::V31, Version::V311] {
            let client = broker.connect(version, "a");
            say(broker, client, AGAIN, "one", b"user");
            broker.expect_closed(client);
        }
    });
}

//! Texts: UTF-8 Encoded Strings wherever a client sends one (section 1.5.4).

use mqttd::codec::{Connack, Packet, Properties, Publish, QoS, ReasonCode, Version};

use crate::kit::packets::{publish, subscribe_packet, unsuback, unsubscribe_packet};
use crate::kit::{Broker, Client, both};

/// Bytes that are no text: not UTF-8 at all, a character cut short, an overlong form, surrogates,
/// a code point beyond the last, and U+0000.
const NO_TEXTS: &[&[u8]] = &[
    b"a\xff",
    b"\xc3",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf4\x90\x80\x80",
    b"a\x00b",
];

/// Where a packet has a text.
struct Place {
    name: &'static str,
    /// Byte 1 of the packet.
    first: u8,
    /// What stands before the text.
    before: &'static [u8],
    /// What follows it in its property list.
    tail: &'static [u8],
    /// What follows the list.
    after: &'static [u8],
    /// Where in `before` the length of that list stands; 0 for a text that is no property.
    list_at: usize,
}

const fn field(
    name: &'static str,
    first: u8,
    before: &'static [u8],
    after: &'static [u8],
) -> Place {
    Place { name, first, before, tail: b"", after, list_at: 0 }
}

const OF_CONNECT: &[Place] = &[
    field("Client Identifier", 0x10, b"\0\x04MQTT\x05\x02\0\0\0", b""),
    field("Will Topic", 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01a\0", b"\0\0"),
    field("User Name", 0x10, b"\0\x04MQTT\x05\x82\0\0\0\0\x01a", b""),
    Place {
        list_at: 10,
        ..field("User Property", 0x10, b"\0\x04MQTT\x05\x02\0\0\0\x26\0\x01k", b"\0\x01a")
    },
    Place {
        list_at: 14,
        ..field(
            "Content Type of the Will",
            0x10,
            b"\0\x04MQTT\x05\x06\0\0\0\0\x01a\0\x03",
            b"\0\x01w\0\0",
        )
    },
];

const OF_THE_REST: &[Place] = &[
    field("Topic Name", 0x30, b"", b"\0"),
    Place {
        list_at: 3,
        tail: b"\0\0",
        ..field("name of a User Property", 0x30, b"\0\x01a\0\x26", b"")
    },
    Place { list_at: 3, ..field("value of a User Property", 0x30, b"\0\x01a\0\x26\0\x01k", b"") },
    Place { list_at: 3, ..field("Response Topic", 0x30, b"\0\x01a\0\x08", b"") },
    Place { list_at: 3, ..field("Content Type", 0x30, b"\0\x01a\0\x03", b"") },
    field("Topic Filter of SUBSCRIBE", 0x82, b"\0\x01\0", b"\0"),
    field("Topic Filter of UNSUBSCRIBE", 0xa2, b"\0\x01\0", b""),
    Place { list_at: 3, ..field("Reason String of PUBACK", 0x40, b"\0\x01\0\0\x1f", b"") },
    Place { list_at: 1, ..field("Reason String of DISCONNECT", 0xe0, b"\0\0\x1f", b"") },
];

impl Place {
    fn packet(&self, text: &[u8]) -> Vec<u8> {
        let byte = |len: usize| u8::try_from(len).expect("short");
        let mut body = self.before.to_vec();
        body.extend_from_slice(&[0, byte(text.len())]);
        body.extend_from_slice(text);
        body.extend_from_slice(self.tail);
        if self.list_at > 0 {
            body[self.list_at] = byte(body.len() - self.list_at - 1);
        }
        body.extend_from_slice(self.after);
        let mut packet = vec![self.first, byte(body.len())];
        packet.extend(body);
        packet
    }
}

fn expect_malformed_connect(broker: &mut Broker, client: Client, place: &Place) {
    broker.hear(client, |packet| {
        let Packet::Connack(Connack { reason, .. }) = packet else { panic!("{packet:?}") };
        assert_eq!(*reason, ReasonCode::MalformedPacket, "{}", place.name);
    });
    broker.expect_closed(client);
}

/// `[MQTT-1.5.4-1]` `[MQTT-1.5.4-2]` `[MQTT-1.5.7-1]` `[MQTT-3.1.3-4]` `[MQTT-3.1.3-11]`
/// `[MQTT-3.1.3-12]`
#[test]
fn what_is_no_text_is_refused_in_connect() {
    both(|broker| {
        for place in OF_CONNECT {
            for text in NO_TEXTS {
                let client = broker.open(Version::V5);
                broker.send_bytes(client, &place.packet(text));
                expect_malformed_connect(broker, client, place);
            }
            // The same packet with a text is fine.
            let client = broker.open(Version::V5);
            broker.send_bytes(client, &place.packet(b"ok"));
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.reason, ReasonCode::Success, "{}", place.name);
            });
        }
    });
}

/// `[MQTT-1.5.4-1]` `[MQTT-1.5.4-2]` `[MQTT-1.5.7-1]` `[MQTT-3.3.2-1]` `[MQTT-3.3.2-13]`
/// `[MQTT-3.3.2-19]` `[MQTT-3.8.3-1]` `[MQTT-3.10.3-1]` `[MQTT-4.7.3-2]`
#[test]
fn what_is_no_text_is_refused_in_any_packet() {
    both(|broker| {
        for place in OF_THE_REST {
            for text in NO_TEXTS {
                let client = broker.connect(Version::V5, "a");
                broker.send_bytes(client, &place.packet(text));
                broker.expect_disconnected(client, ReasonCode::MalformedPacket);
            }
            let client = broker.connect(Version::V5, "a");
            broker.send_bytes(client, &place.packet(b"ok"));
            match place.first {
                0x82 => broker.expect_suback(client, 1, &[0]),
                0xa2 => broker.expect(client, &unsuback(Version::V5, 1, &[0x11])),
                0xe0 => broker.expect_closed(client),
                _ => broker.expect_silence(client),
            }
        }
    });
}

/// `[MQTT-1.5.4-3]` `[MQTT-4.7.3-4]` `[MQTT-3.10.4-1]`: U+FEFF is a character like others, and forms that look the
/// same are not the same, in names, filters and identifiers.
#[test]
fn nothing_is_stripped_or_normalised() {
    both(|broker| {
        let texts = ["\u{feff}", "a", "\u{feff}a", "a\u{feff}", "e\u{301}", "\u{e9}", "A", " a"];
        for text in texts {
            let subscriber = broker.connect(Version::V5, "subscriber");
            broker.subscribe(subscriber, &[(text, QoS::AtMostOnce)]);
            for topic in texts {
                broker.send(subscriber, &Packet::Publish(publish(topic, topic.as_bytes())));
            }
            broker.expect_publish(subscriber, &publish(text, text.as_bytes()));
            broker.expect_silence(subscriber);
            for other in texts.iter().filter(|other| **other != text) {
                broker.send_bytes(subscriber, &unsubscribe_packet(Version::V5, 1, &[*other]));
                broker.expect(subscriber, &unsuback(Version::V5, 1, &[0x11]));
            }
            broker.disconnect(subscriber);
        }
        // Eight sessions, not fewer.
        for text in texts {
            broker.resume(Version::V5, text, false);
        }
    });
}

/// `[MQTT-1.5.4-3]`: in what is passed on too.
#[test]
fn a_zero_width_space_is_passed_on() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        let properties = Properties::from_checked(
            b"\x03\x00\x03\xef\xbb\xbf\x26\x00\x04\xef\xbb\xbfk\x00\x03\xef\xbb\xbf",
        );
        let bytes =
            subscribe_packet(Version::V5, 1, Properties::EMPTY, &[("\u{feff}/a", QoS::AtMostOnce)]);
        broker.send_bytes(client, &bytes);
        broker.expect_suback(client, 1, &[0]);
        let message = Publish { properties, ..publish("\u{feff}/a", b"\xef\xbb\xbf") };
        broker.send(client, &Packet::Publish(message));
        broker.expect_publish(client, &message);
    });
}

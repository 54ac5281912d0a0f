//! The whole codec: every packet in every version, every cut of a stream, and garbage.

use proptest::prelude::*;
use proptest::sample::Index;

use super::properties::Place;
use super::*;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// One packet from its bytes, which are all there.
fn decode_whole(bytes: &[u8], version: Version) -> Result<Packet<'_>, DecodeError> {
    let frame = Frame::split(bytes, PACKET_BYTES_MAX)?.expect("the whole packet");
    assert_eq!(frame.len, bytes.len());
    decode(frame, version)
}

/// The fields of a packet of any kind; each kind takes what it has.
#[derive(Clone, Debug)]
struct Fields {
    version: Version,
    kind: u8,
    flags: [bool; 6],
    qos: [QoS; 2],
    number: u16,
    texts: Vec<String>,
    data: Vec<u8>,
    reason: Index,
    properties: Vec<(Index, u32, String, Vec<u8>)>,
}

fn fields() -> impl Strategy<Value = Fields> {
    let qos = || prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
    let text = || "[a-zA-Z0-9/$é火\u{feff}]{1,20}";
    let property =
        (any::<Index>(), any::<u32>(), text(), prop::collection::vec(any::<u8>(), 0..200));
    (
        prop::sample::select(&VERSIONS[..]),
        1..=15u8,
        any::<[bool; 6]>(),
        [qos(), qos()],
        1..=u16::MAX,
        prop::collection::vec(text(), 5..8),
        prop::collection::vec(any::<u8>(), 0..400),
        any::<Index>(),
        prop::collection::vec(property, 0..6),
    )
        .prop_map(|(version, kind, flags, qos, number, texts, data, reason, properties)| {
            Fields { version, kind, flags, qos, number, texts, data, reason, properties }
        })
}

impl Fields {
    /// Properties that the table allows in this place, each once, as the standard has it.
    fn properties(&self, place: Place) -> PropertiesBuf {
        let mut list = PropertiesBuf::default();
        if self.version != Version::V5 {
            return list;
        }
        for (which, number, text, data) in &self.properties {
            let mut longer = list.clone();
            longer.push(property(*which.get(PropertyId::ALL), *number, text, data));
            let mut bytes = Vec::new();
            longer.as_properties().write(Version::V5, &mut bytes);
            let checked = Properties::read(&mut wire::Reader::new(&bytes), Version::V5, place);
            if checked.is_ok() {
                list = longer;
            }
        }
        list
    }

    fn reason(&self, place: Place) -> ReasonCode {
        if self.version != Version::V5 {
            return ReasonCode::Success;
        }
        let allowed: Vec<ReasonCode> = (0..=u8::MAX)
            .filter_map(|byte| ReasonCode::read(&mut wire::Reader::new(&[byte]), place).ok())
            .collect();
        if allowed.is_empty() {
            return ReasonCode::Success;
        }
        *self.reason.get(&allowed)
    }

    fn requests(&self) -> Vec<SubscriptionRequest<'_>> {
        let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
        let options = match self.version {
            Version::V5 => SubscriptionOptions {
                qos: self.qos[0],
                no_local: self.flags[0],
                retain_as_published: self.flags[1],
                retain_handling: *self.reason.get(&handling),
            },
            Version::V31 | Version::V311 => SubscriptionOptions::new(self.qos[0]),
        };
        let request = |filter| SubscriptionRequest { filter, options };
        self.texts.iter().map(|text| request(text.as_str())).collect()
    }

    fn connect<'a>(&'a self, properties: Properties<'a>, will: Properties<'a>) -> Connect<'a> {
        let [clean_start, has_will, retain, username, password, bridge] = self.flags;
        Connect {
            version: self.version,
            bridge: bridge && self.version != Version::V5,
            clean_start,
            keep_alive_secs: self.number,
            properties,
            client_id: &self.texts[0],
            will: has_will.then_some(Will {
                qos: self.qos[0],
                retain,
                topic: &self.texts[1],
                properties: will,
                payload: &self.data,
            }),
            username: username.then_some(self.texts[2].as_str()),
            password: (password && (username || self.version == Version::V5))
                .then_some(self.texts[3].as_bytes()),
        }
    }

    fn publish<'a>(&'a self, properties: Properties<'a>) -> Publish<'a> {
        let qos = self.qos[0];
        Publish {
            dup: self.flags[0] && qos != QoS::AtMostOnce,
            qos,
            retain: self.flags[1],
            topic: if properties.topic_alias().is_some() && self.flags[2] {
                ""
            } else {
                &self.texts[0]
            },
            packet_id: if qos == QoS::AtMostOnce { 0 } else { self.number },
            properties,
            payload: &self.data,
        }
    }

    fn acknowledge<'a>(&self, place: Place, properties: &'a PropertiesBuf) -> Acknowledge<'a> {
        Acknowledge {
            packet_id: self.number,
            reason: self.reason(place),
            properties: properties.as_properties(),
        }
    }

    /// Writes a packet of the kind chosen, reads it, and says whether it came back.
    fn comes_back(&self) -> Result<(), TestCaseError> {
        let place = self.place();
        let (list, will_list) = (self.properties(place), self.properties(Place::Will));
        let properties = list.as_properties();
        let reasons: Vec<u8> = vec![self.reason(place).as_byte(); 3];
        let packet_id = self.number;
        let mut out = vec![0xaa];
        let packet = match place {
            Place::Connect => {
                let connect = self.connect(properties, will_list.as_properties());
                Packet::Connect(Box::new(connect))
            }
            Place::Connack => Packet::Connack(Connack {
                session_present: self.flags[0] && self.version != Version::V31,
                reason: self.reason(place),
                properties,
            }),
            Place::Publish => Packet::Publish(self.publish(properties)),
            Place::Puback => Packet::Puback(self.acknowledge(place, &list)),
            Place::Pubrec => Packet::Pubrec(self.acknowledge(place, &list)),
            Place::Pubrel => Packet::Pubrel(self.acknowledge(place, &list)),
            Place::Pubcomp => Packet::Pubcomp(self.acknowledge(place, &list)),
            Place::Subscribe => return self.subscribe_comes_back(properties),
            Place::Unsubscribe => return self.unsubscribe_comes_back(properties),
            Place::Suback => Packet::Suback(Suback { packet_id, properties, reasons: &reasons }),
            Place::Unsuback => Packet::Unsuback(Unsuback {
                packet_id,
                properties,
                reasons: if self.version == Version::V5 { &reasons } else { &[] },
            }),
            Place::Disconnect => {
                Packet::Disconnect(Disconnect { reason: self.reason(place), properties })
            }
            Place::Auth => Packet::Auth(Auth { reason: self.reason(place), properties }),
            Place::Will if self.flags[0] => Packet::Pingreq,
            Place::Will => Packet::Pingresp,
        };
        encode(&packet, self.version, &mut out);
        prop_assert_eq!(decode_whole(&out[1..], self.version), Ok(packet));
        Ok(())
    }

    fn place(&self) -> Place {
        match self.kind {
            1 => Place::Connect,
            2 => Place::Connack,
            3 => Place::Publish,
            4 => Place::Puback,
            5 => Place::Pubrec,
            6 => Place::Pubrel,
            7 => Place::Pubcomp,
            8 => Place::Subscribe,
            9 => Place::Suback,
            10 => Place::Unsubscribe,
            11 => Place::Unsuback,
            14 => Place::Disconnect,
            15 if self.version == Version::V5 => Place::Auth,
            _ => Place::Will,
        }
    }

    fn subscribe_comes_back(&self, properties: Properties<'_>) -> Result<(), TestCaseError> {
        let mut out = Vec::new();
        let requests = self.requests();
        let mut payload = Vec::new();
        requests.iter().for_each(|request| request.write(&mut payload));
        let written = Subscribe::new(self.number, properties, &payload);
        encode(&Packet::Subscribe(written), self.version, &mut out);
        let packet = decode_whole(&out, self.version).unwrap();
        let Packet::Subscribe(subscribe) = &packet else { panic!("{packet:?}") };
        prop_assert_eq!(subscribe.packet_id, self.number);
        prop_assert_eq!(subscribe.properties, properties);
        prop_assert!(subscribe.requests().eq(requests));
        Ok(())
    }

    fn unsubscribe_comes_back(&self, properties: Properties<'_>) -> Result<(), TestCaseError> {
        let mut out = Vec::new();
        let filters: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let mut payload = Vec::new();
        filters.iter().for_each(|filter| Unsubscribe::write_filter(filter, &mut payload));
        let written = Unsubscribe::new(self.number, properties, &payload);
        encode(&Packet::Unsubscribe(written), self.version, &mut out);
        let packet = decode_whole(&out, self.version).unwrap();
        let Packet::Unsubscribe(unsubscribe) = &packet else { panic!("{packet:?}") };
        prop_assert_eq!(unsubscribe.packet_id, self.number);
        prop_assert_eq!(unsubscribe.properties, properties);
        prop_assert!(unsubscribe.filters().eq(filters));
        Ok(())
    }
}

/// A property with a value made of what there is, and within its bounds.
fn property<'a>(id: PropertyId, number: u32, text: &'a str, data: &'a [u8]) -> Property<'a> {
    let [byte, _, high, low] = number.to_be_bytes();
    let (flag, two) = (byte & 1, u16::from_be_bytes([high, low]));
    match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number),
        PropertyId::ContentType => Property::ContentType(text),
        PropertyId::ResponseTopic => Property::ResponseTopic(text),
        PropertyId::CorrelationData => Property::CorrelationData(data),
        PropertyId::SubscriptionIdentifier => {
            Property::SubscriptionIdentifier((number >> (number % 28)).clamp(1, 268_435_455))
        }
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(text),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(two),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text),
        PropertyId::AuthenticationData => Property::AuthenticationData(data),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(flag),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number),
        PropertyId::RequestResponseInformation => Property::RequestResponseInformation(flag),
        PropertyId::ResponseInformation => Property::ResponseInformation(text),
        PropertyId::ServerReference => Property::ServerReference(text),
        PropertyId::ReasonString => Property::ReasonString(text),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(two.max(1)),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(two),
        PropertyId::TopicAlias => Property::TopicAlias(two.max(1)),
        PropertyId::MaximumQoS => Property::MaximumQoS(flag),
        PropertyId::RetainAvailable => Property::RetainAvailable(flag),
        PropertyId::UserProperty => Property::UserProperty((text, "value")),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(number.max(1)),
        PropertyId::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(flag),
        PropertyId::SubscriptionIdentifierAvailable => {
            Property::SubscriptionIdentifierAvailable(flag)
        }
        PropertyId::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(flag),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_is_written_is_read_again(fields in fields()) {
        fields.comes_back()?;
    }

    #[test]
    fn garbage_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        packet_bytes_max in any::<u32>(),
    ) {
        for version in VERSIONS {
            let mut rest = &bytes[..];
            while let Ok(Some(frame)) = Frame::split(rest, packet_bytes_max) {
                let _ = decode(frame, version);
                rest = &rest[frame.len..];
            }
        }
    }

    /// A body of any bytes under every first byte: nearer to real packets than plain garbage.
    #[test]
    fn a_garbled_packet_never_panics(
        fields in fields(),
        first in any::<u8>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let list = fields.properties(Place::Publish);
        let mut bytes = Vec::new();
        encode(&Packet::Publish(fields.publish(list.as_properties())), Version::V5, &mut bytes);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for first in [bytes[0], first] {
            bytes[0] = first;
            let Ok(Some(frame)) = Frame::split(&bytes, PACKET_BYTES_MAX) else { continue };
            for version in VERSIONS {
                if let Ok(packet) = decode(frame, version) {
                    // What can be read can be written, and is then read as the same.
                    let mut out = Vec::new();
                    encode(&packet, version, &mut out);
                    let again = decode_whole(&out, version);
                    prop_assert_eq!(again.as_ref(), Ok(&packet), "{:?}", version);
                }
            }
        }
    }
}

/// A stream of several packets, cut at any byte, gives the same packets.
#[test]
fn a_stream_may_be_cut_at_any_byte() {
    let mut stream = Vec::new();
    let mut lens = Vec::new();
    for payload_len in [0, 3, 120, 200] {
        let start = stream.len();
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "a/b",
            packet_id: 1,
            properties: Properties::EMPTY,
            payload: &[7; 200][..payload_len],
        };
        publish.encode(Version::V5, &mut stream);
        encode(&Packet::Pingreq, Version::V5, &mut stream);
        lens.extend([stream.len() - start - 2, 2]);
    }
    for cut in 0..=stream.len() {
        let mut buffer = Vec::new();
        let mut seen = Vec::new();
        for piece in [&stream[..cut], &stream[cut..]] {
            buffer.extend_from_slice(piece);
            let mut used = 0;
            while let Some(frame) = Frame::split(&buffer[used..], 1000).unwrap() {
                assert!(decode(frame, Version::V5).is_ok());
                seen.push(frame.len);
                used += frame.len;
            }
            buffer.drain(..used);
        }
        assert_eq!((&seen, buffer.len()), (&lens, 0), "cut at {cut}");
    }
}

#[test]
fn the_wire_form_of_the_small_packets() {
    let ack = |reason| Acknowledge { packet_id: 0x1234, reason, properties: Properties::EMPTY };
    let ok = ack(ReasonCode::Success);
    let unknown = ack(ReasonCode::PacketIdentifierNotFound);
    let bye = |reason| Packet::Disconnect(Disconnect { reason, properties: Properties::EMPTY });
    let connack = |session_present, reason| {
        Packet::Connack(Connack { session_present, reason, properties: Properties::EMPTY })
    };
    let cases: &[(Packet<'_>, Version, &[u8])] = &[
        (Packet::Puback(ok), Version::V5, b"\x40\x02\x12\x34"),
        (Packet::Pubrec(ok), Version::V31, b"\x50\x02\x12\x34"),
        (Packet::Pubrel(ok), Version::V311, b"\x62\x02\x12\x34"),
        (Packet::Pubcomp(unknown), Version::V5, b"\x70\x03\x12\x34\x92"),
        (Packet::Pingreq, Version::V5, b"\xc0\x00"),
        (Packet::Pingresp, Version::V31, b"\xd0\x00"),
        (bye(ReasonCode::Success), Version::V5, b"\xe0\x00"),
        (bye(ReasonCode::Success), Version::V311, b"\xe0\x00"),
        (bye(ReasonCode::ServerShuttingDown), Version::V5, b"\xe0\x02\x8b\0"),
        (connack(true, ReasonCode::Success), Version::V5, b"\x20\x03\x01\x00\x00"),
        (connack(false, ReasonCode::NotAuthorized), Version::V311, b"\x20\x02\x00\x05"),
    ];
    for (packet, version, bytes) in cases {
        let mut out = Vec::new();
        encode(packet, *version, &mut out);
        assert_eq!(out, *bytes, "{packet:?}");
        assert_eq!(decode_whole(bytes, *version).as_ref(), Ok(packet));
    }
}

const RULED_OUT: &[(&[u8], Version, DecodeError, ReasonCode)] = {
    use DecodeError as E;
    use ReasonCode::{MalformedPacket, ProtocolError};
    &[
        // `[MQTT-2.1.3-1]`
        (b"\xc1\x00", Version::V5, E::FlagsReserved { first: 0xc1 }, MalformedPacket),
        // `[MQTT-3.6.1-1]`
        (b"\x60\x02\0\x01", Version::V5, E::FlagsReserved { first: 0x60 }, MalformedPacket),
        // `[MQTT-3.8.1-1]`: DUP is of 3.1.
        (
            b"\x8a\x06\0\x01\0\x01a\0",
            Version::V311,
            E::FlagsReserved { first: 0x8a },
            MalformedPacket,
        ),
        // `[MQTT-3.10.1-1]`
        (
            b"\xa0\x05\0\x01\0\x01a",
            Version::V311,
            E::FlagsReserved { first: 0xa0 },
            MalformedPacket,
        ),
        // `[MQTT-3.14.1-1]`
        (b"\xe1\x00", Version::V5, E::FlagsReserved { first: 0xe1 }, MalformedPacket),
        // `[MQTT-3.15.1-1]`
        (b"\xf2\x00", Version::V5, E::FlagsReserved { first: 0xf2 }, MalformedPacket),
        (b"\xf0\x00", Version::V311, E::PacketTypeReserved { packet_type: 15 }, MalformedPacket),
        (b"\x00\x00", Version::V5, E::PacketTypeReserved { packet_type: 0 }, MalformedPacket),
        (b"\xc0\x01\0", Version::V5, E::TrailingBytes, MalformedPacket),
        (b"\xe0\x01\0", Version::V311, E::TrailingBytes, MalformedPacket),
        (b"\x40\x03\0\x01\0", Version::V311, E::TrailingBytes, MalformedPacket),
        // `[MQTT-3.4.2-1]`
        (b"\x40\x03\0\x01\x92", Version::V5, E::ReasonCodeInvalid { byte: 0x92 }, MalformedPacket),
        (b"\x40\x01\0", Version::V5, E::Truncated, MalformedPacket),
        // `[MQTT-2.2.1-3]`
        (b"\x40\x02\0\0", Version::V5, E::PacketIdentifierZero, ProtocolError),
        (b"\x82\x06\0\0\0\x01a\0", Version::V311, E::PacketIdentifierZero, ProtocolError),
        // `[MQTT-3.8.3-2]` `[MQTT-3.10.3-2]`
        (b"\x82\x02\0\x01", Version::V311, E::PayloadEmpty, ProtocolError),
        (b"\xa2\x03\0\x01\0", Version::V5, E::PayloadEmpty, ProtocolError),
        // `[MQTT-3.8.3-1]` `[MQTT-3.10.3-1]`
        (b"\x82\x06\0\x01\0\x01\xff\0", Version::V311, E::Utf8Malformed, MalformedPacket),
        (b"\xa2\x05\0\x01\0\x01\xff", Version::V311, E::Utf8Malformed, MalformedPacket),
        // `[MQTT-3.8.3-5]`
        (
            b"\x82\x06\0\x01\0\x01a\x40",
            Version::V311,
            E::SubscriptionOptionsReserved,
            MalformedPacket,
        ),
        (b"\x82\x07\0\x01\0\0\x01a\x30", Version::V5, E::RetainHandlingInvalid, ProtocolError),
        (b"\x82\x07\0\x01\0\0\x01a\x03", Version::V5, E::SubscriptionQoSInvalid, ProtocolError),
        // `[MQTT-3.2.2-1]`
        (b"\x20\x02\x02\0", Version::V311, E::ConnackFlagsReserved, MalformedPacket),
        (b"\x20\x02\0\x06", Version::V311, E::ReasonCodeInvalid { byte: 6 }, MalformedPacket),
        // `[MQTT-3.3.2-1]`
        (b"\x30\x03\0\x01\xff", Version::V311, E::Utf8Malformed, MalformedPacket),
    ]
};

#[test]
fn what_the_standard_rules_out_is_refused() {
    for (bytes, version, error, reason) in RULED_OUT {
        assert_eq!(decode_whole(bytes, *version), Err(*error), "{bytes:x?}");
        assert_eq!(error.reason(), *reason, "{error}");
    }
}

/// 3.1 lets PUBREL, SUBSCRIBE and UNSUBSCRIBE be repeated with DUP.
#[test]
fn in_3_1_three_more_packets_have_dup() {
    let cases: &[&[u8]] =
        &[b"\x6a\x02\0\x01", b"\x8a\x06\0\x01\0\x01a\0", b"\xaa\x05\0\x01\0\x01a"];
    for bytes in cases {
        assert!(decode_whole(bytes, Version::V31).is_ok());
        assert!(decode_whole(bytes, Version::V311).is_err());
    }
}

/// The broker's quick form of an acknowledgement is the packet's own.
#[test]
fn the_quick_form_of_an_acknowledgement_is_the_same() {
    for version in VERSIONS {
        for reason in [ReasonCode::Success, ReasonCode::NoMatchingSubscribers] {
            let ack = Acknowledge { packet_id: 77, reason, properties: Properties::EMPTY };
            let (mut quick, mut full) = (Vec::new(), Vec::new());
            encode_acknowledge(AcknowledgeKind::Puback, 77, reason, version, &mut quick);
            encode(&Packet::Puback(ack), version, &mut full);
            assert_eq!(quick, full);
        }
    }
}

/// What the server adds for one receiver stands in front of what it passes on.
#[test]
fn a_publish_may_be_written_with_more_properties() {
    let mut own = PropertiesBuf::default();
    own.push(Property::ContentType("text"));
    let mut extra = PropertiesBuf::default();
    extra.push(Property::SubscriptionIdentifier(9));
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: true,
        topic: "t",
        packet_id: 0,
        properties: own.as_properties(),
        payload: b"x",
    };
    let mut out = Vec::new();
    publish.encode_with(extra.as_properties(), Version::V5, &mut out);
    let read = Packet::Publish(Publish {
        properties: Properties::from_checked(b"\x0b\x09\x03\x00\x04text"),
        ..publish
    });
    assert_eq!(decode_whole(&out, Version::V5), Ok(read));
    out.clear();
    publish.encode_with(extra.as_properties(), Version::V311, &mut out);
    assert_eq!(out, b"\x31\x04\x00\x01tx");
}

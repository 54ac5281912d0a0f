//! Packets that make sense, or nearly, from few names and numbers so that they meet.

use mqttd::codec::{
    Acknowledge, Auth, Connect, Disconnect, Packet, Properties, PropertiesBuf, Property, Publish,
    QoS, ReasonCode, RetainHandling, Subscribe, SubscriptionOptions, SubscriptionRequest,
    Unsubscribe, Version, Will, encode,
};

use super::super::VERSIONS;
use super::super::tape::Tape;

pub(super) const CLIENT_IDS: &[&str] = &["a", "b", "c", "d", ""];
pub(super) const TOPICS: &[&str] = &["t", "t/1", "t/2", "u", "$SYS/x", "t//", "t/1/deep/er/still"];
const FILTERS: &[&str] = &[
    "t",
    "t/+",
    "t/#",
    "#",
    "+/1",
    "+",
    "u",
    "$SYS/#",
    "$share/g/t/#",
    "$share/g/t/+",
    "$share/h/#",
    "t/2",
    "+/+",
    "bad#",
    "$share//t",
];
const PACKET_IDS: &[u16] = &[1, 2, 3, 4, 5, 6, 7, 8, 100, 65_535];
/// Seconds.
const TIMES: &[u32] = &[0, 1, 2, 10, 60, 100_000, u32::MAX];
const PAYLOADS: &[&[u8]] = &[b"", b"x", b"payload", &[7; 300], &[8; 3000]];

fn qos(tape: &mut Tape<'_>) -> QoS {
    tape.one_of(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn written(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, version, &mut bytes);
    bytes
}

/// Up to three properties of these.
fn properties<'a>(tape: &mut Tape<'_>, all: &[fn(&mut Tape<'_>) -> Property<'a>]) -> PropertiesBuf {
    let mut list = PropertiesBuf::default();
    for _ in 0..tape.byte() % 4 {
        let property = tape.one_of(all);
        list.push(property(tape));
    }
    list
}

/// A CONNECT, and the version it is of.
pub(super) fn connect(tape: &mut Tape<'_>) -> (Version, Vec<u8>) {
    let version = tape.one_of(&VERSIONS);
    let flags = tape.byte();
    let list = properties(
        tape,
        &[
            |tape| Property::SessionExpiryInterval(tape.one_of(TIMES)),
            |tape| Property::ReceiveMaximum(tape.one_of(PACKET_IDS)),
            |tape| Property::MaximumPacketSize(tape.one_of(&[20, 40, 100, 1000, u32::MAX])),
            |tape| Property::TopicAliasMaximum(tape.one_of(PACKET_IDS)),
            |tape| Property::RequestProblemInformation(tape.byte() % 2),
            |tape| Property::RequestResponseInformation(tape.byte() % 2),
            |tape| Property::AuthenticationMethod(tape.one_of(&["m", "m", "n"])),
            |tape| Property::AuthenticationData(tape.one_of(&[b"d", b"x", b""])),
        ],
    );
    let will_list = properties(
        tape,
        &[
            |tape| Property::WillDelayInterval(tape.one_of(TIMES)),
            |tape| Property::MessageExpiryInterval(tape.one_of(TIMES)),
            |_| Property::UserProperty(("k", "v")),
        ],
    );
    let will = (flags & 1 != 0).then(|| Will {
        qos: qos(tape),
        retain: flags & 2 != 0,
        topic: tape.one_of(TOPICS),
        properties: will_list.as_properties(),
        payload: tape.one_of(PAYLOADS),
    });
    let connect = Connect {
        version,
        bridge: flags & 4 != 0 && version != Version::V5,
        clean_start: flags & 8 != 0,
        keep_alive_secs: tape.one_of(&[0, 0, 1, 10, u16::MAX]),
        properties: list.as_properties(),
        client_id: tape.one_of(CLIENT_IDS),
        will,
        username: (flags & 16 != 0).then_some("user"),
        password: (flags & 48 == 48).then_some(b"password"),
    };
    (version, written(&Packet::Connect(Box::new(connect)), version))
}

pub(super) fn publish(tape: &mut Tape<'_>, version: Version) -> Vec<u8> {
    let list = properties(
        tape,
        &[
            |tape| Property::TopicAlias(tape.one_of(PACKET_IDS)),
            |tape| Property::MessageExpiryInterval(tape.one_of(TIMES)),
            |_| Property::UserProperty(("k", "v")),
            |tape| Property::PayloadFormatIndicator(tape.byte() % 2),
            |_| Property::ResponseTopic("r"),
            |_| Property::SubscriptionIdentifier(1),
        ],
    );
    let (flags, qos) = (tape.byte(), qos(tape));
    let topic = if flags & 4 == 0 { tape.one_of(TOPICS) } else { "" };
    let packet_id = if qos == QoS::AtMostOnce { 0 } else { tape.one_of(PACKET_IDS) };
    let payload = if flags & 8 == 0 { tape.one_of(PAYLOADS) } else { tape.bytes() };
    let publish = Publish {
        dup: flags & 1 != 0 && qos != QoS::AtMostOnce,
        qos,
        retain: flags & 2 != 0,
        topic,
        packet_id,
        properties: list.as_properties(),
        payload,
    };
    written(&Packet::Publish(publish), version)
}

/// SUBSCRIBE or UNSUBSCRIBE.
pub(super) fn subscribe(tape: &mut Tape<'_>, version: Version) -> Vec<u8> {
    let list = properties(
        tape,
        &[
            |tape| Property::SubscriptionIdentifier(tape.one_of(&[1, 2, 128, 268_435_455])),
            |_| Property::UserProperty(("k", "v")),
        ],
    );
    let (is_subscribe, packet_id) = (tape.below(4) > 0, tape.one_of(PACKET_IDS));
    let mut payload = Vec::new();
    for _ in 0..=tape.byte() % 3 {
        let filter = tape.one_of(FILTERS);
        if is_subscribe {
            SubscriptionRequest { filter, options: options(tape, version) }.write(&mut payload);
        } else {
            Unsubscribe::write_filter(filter, &mut payload);
        }
    }
    let packet = if is_subscribe {
        Packet::Subscribe(Subscribe::new(packet_id, list.as_properties(), &payload))
    } else {
        Packet::Unsubscribe(Unsubscribe::new(packet_id, list.as_properties(), &payload))
    };
    written(&packet, version)
}

fn options(tape: &mut Tape<'_>, version: Version) -> SubscriptionOptions {
    let options = SubscriptionOptions::new(qos(tape));
    if version != Version::V5 {
        return options;
    }
    let flags = tape.byte();
    let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
    SubscriptionOptions {
        no_local: flags & 1 != 0,
        retain_as_published: flags & 2 != 0,
        retain_handling: tape.one_of(&handling),
        ..options
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(super) fn acknowledge(tape: &mut Tape<'_>, version: Version) -> Vec<u8> {
    let list = properties(tape, &[|_| Property::ReasonString("why")]);
    let reasons =
        [ReasonCode::Success, ReasonCode::UnspecifiedError, ReasonCode::PacketIdentifierNotFound];
    let ack = Acknowledge {
        packet_id: tape.one_of(PACKET_IDS),
        reason: tape.one_of(&reasons),
        properties: list.as_properties(),
    };
    let kinds = [Packet::Puback, Packet::Pubrec, Packet::Pubrel, Packet::Pubcomp];
    written(&kinds[tape.below(kinds.len())](ack), version)
}

/// An acknowledgement that says all is well.
pub(super) const fn done(packet_id: u16) -> Acknowledge<'static> {
    Acknowledge { packet_id, reason: ReasonCode::Success, properties: Properties::EMPTY }
}

pub(super) fn other(tape: &mut Tape<'_>, version: Version) -> Vec<u8> {
    let list = properties(
        tape,
        &[
            |tape| Property::SessionExpiryInterval(tape.one_of(TIMES)),
            |_| Property::ReasonString("why"),
            |_| Property::AuthenticationMethod("m"),
            |tape| Property::AuthenticationData(tape.one_of(&[b"d", b"x", b""])),
        ],
    );
    let reasons = [ReasonCode::Success, ReasonCode::DisconnectWithWillMessage];
    let disconnect = Disconnect { reason: tape.one_of(&reasons), properties: list.as_properties() };
    let packet = match tape.byte() % 4 {
        0 | 1 => Packet::Pingreq,
        2 => Packet::Disconnect(disconnect),
        _ if version == Version::V5 => Packet::Auth(Auth {
            reason: tape.one_of(&[ReasonCode::ContinueAuthentication, ReasonCode::ReAuthenticate]),
            properties: list.as_properties(),
        }),
        _ => Packet::Pingresp,
    };
    written(&packet, version)
}

/// Many small packets at once, as of a client in a hurry.
pub(super) fn flood(tape: &mut Tape<'_>, version: Version) -> Vec<u8> {
    let one = match tape.byte() % 3 {
        0 => publish(tape, version),
        1 => subscribe(tape, version),
        _ => other(tape, version),
    };
    one.repeat(usize::from(tape.byte()))
}

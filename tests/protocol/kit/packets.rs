//! Packets, said shortly.

use mqttd::codec::{
    Acknowledge, Connect, Disconnect, Packet, Properties, Publish, QoS, ReasonCode, Subscribe,
    SubscriptionOptions, SubscriptionRequest, Unsuback, Unsubscribe, Version, Will, encode,
};

/// A CONNECT to be changed and sent.
#[derive(Clone, Debug)]
pub(crate) struct Hello<'a> {
    pub(crate) version: Version,
    pub(crate) client_id: &'a str,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive_secs: u16,
    pub(crate) properties: Properties<'a>,
    pub(crate) will: Option<Will<'a>>,
}

impl<'a> Hello<'a> {
    /// A session that begins anew and ends with the connection.
    pub(crate) const fn new(version: Version, client_id: &'a str) -> Self {
        let (clean_start, keep_alive_secs, properties, will) = (true, 0, Properties::EMPTY, None);
        Self { version, client_id, clean_start, keep_alive_secs, properties, will }
    }

    /// A session that is resumed and stays.
    pub(crate) fn persistent(version: Version, client_id: &'a str) -> Self {
        let properties = if version == Version::V5 {
            // Session Expiry Interval: an hour.
            Properties::from_checked(b"\x11\x00\x00\x0e\x10")
        } else {
            Properties::EMPTY
        };
        Self { clean_start: false, properties, ..Self::new(version, client_id) }
    }

    pub(crate) fn packet(&self) -> Packet<'a> {
        Packet::Connect(Box::new(Connect {
            version: self.version,
            bridge: false,
            clean_start: self.clean_start,
            keep_alive_secs: self.keep_alive_secs,
            properties: self.properties,
            client_id: self.client_id,
            will: self.will,
            username: None,
            password: None,
        }))
    }
}

/// A Will without delay.
pub(crate) const fn will<'a>(topic: &'a str, payload: &'a [u8]) -> Will<'a> {
    let (qos, retain, properties) = (QoS::AtMostOnce, false, Properties::EMPTY);
    Will { qos, retain, topic, properties, payload }
}

/// A PUBLISH with QoS 0.
pub(crate) const fn publish<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic,
        packet_id: 0,
        properties: Properties::EMPTY,
        payload,
    }
}

/// A PUBLISH with QoS 1.
pub(crate) const fn publish_1<'a>(id: u16, topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish { qos: QoS::AtLeastOnce, packet_id: id, ..publish(topic, payload) }
}

/// A PUBLISH with QoS 2.
pub(crate) const fn publish_2<'a>(id: u16, topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish { qos: QoS::ExactlyOnce, packet_id: id, ..publish(topic, payload) }
}

/// A PUBLISH with RETAIN.
pub(crate) const fn retained<'a>(publish: Publish<'a>) -> Publish<'a> {
    Publish { retain: true, ..publish }
}

const fn ack(packet_id: u16, reason: ReasonCode) -> Acknowledge<'static> {
    Acknowledge { packet_id, reason, properties: Properties::EMPTY }
}

pub(crate) const fn puback(packet_id: u16) -> Packet<'static> {
    Packet::Puback(ack(packet_id, ReasonCode::Success))
}

pub(crate) const fn pubrec(packet_id: u16) -> Packet<'static> {
    Packet::Pubrec(ack(packet_id, ReasonCode::Success))
}

pub(crate) const fn pubrel(packet_id: u16) -> Packet<'static> {
    Packet::Pubrel(ack(packet_id, ReasonCode::Success))
}

pub(crate) const fn pubcomp(packet_id: u16) -> Packet<'static> {
    Packet::Pubcomp(ack(packet_id, ReasonCode::Success))
}

/// Nobody is subscribed: only a 5.0 client is told.
pub(crate) fn puback_unmatched(version: Version, packet_id: u16) -> Packet<'static> {
    Packet::Puback(ack(packet_id, only_5(version, ReasonCode::NoMatchingSubscribers)))
}

/// Nobody is subscribed: only a 5.0 client is told.
pub(crate) fn pubrec_unmatched(version: Version, packet_id: u16) -> Packet<'static> {
    Packet::Pubrec(ack(packet_id, only_5(version, ReasonCode::NoMatchingSubscribers)))
}

/// The identifier is not in use: only a 5.0 client is told.
pub(crate) fn pubcomp_unknown(version: Version, packet_id: u16) -> Packet<'static> {
    Packet::Pubcomp(ack(packet_id, only_5(version, ReasonCode::PacketIdentifierNotFound)))
}

fn only_5(version: Version, reason: ReasonCode) -> ReasonCode {
    if version == Version::V5 { reason } else { ReasonCode::Success }
}

pub(crate) const fn disconnect(reason: ReasonCode) -> Packet<'static> {
    Packet::Disconnect(Disconnect { reason, properties: Properties::EMPTY })
}

/// The bytes of a SUBSCRIBE without further options.
pub(crate) fn subscribe_packet(
    version: Version,
    packet_id: u16,
    properties: Properties<'_>,
    filters: &[(&str, QoS)],
) -> Vec<u8> {
    let requests: Vec<_> = filters
        .iter()
        .map(|(filter, qos)| SubscriptionRequest {
            filter,
            options: SubscriptionOptions::new(*qos),
        })
        .collect();
    subscribe_with(version, packet_id, properties, &requests)
}

/// The bytes of a SUBSCRIBE.
pub(crate) fn subscribe_with(
    version: Version,
    packet_id: u16,
    properties: Properties<'_>,
    requests: &[SubscriptionRequest<'_>],
) -> Vec<u8> {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    requests.iter().for_each(|request| request.write(&mut payload));
    let subscribe = Subscribe::new(packet_id, properties, &payload);
    encode(&Packet::Subscribe(subscribe), version, &mut bytes);
    bytes
}

/// The bytes of an UNSUBSCRIBE.
pub(crate) fn unsubscribe_packet(version: Version, packet_id: u16, filters: &[&str]) -> Vec<u8> {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    filters.iter().for_each(|filter| Unsubscribe::write_filter(filter, &mut payload));
    let unsubscribe = Unsubscribe::new(packet_id, Properties::EMPTY, &payload);
    encode(&Packet::Unsubscribe(unsubscribe), version, &mut bytes);
    bytes
}

/// The UNSUBACK with these Reason Codes, which a client before 5.0 does not hear.
pub(crate) fn unsuback(version: Version, packet_id: u16, reasons: &[u8]) -> Packet<'_> {
    let reasons = if version == Version::V5 { reasons } else { &[] };
    Packet::Unsuback(Unsuback { packet_id, properties: Properties::EMPTY, reasons })
}

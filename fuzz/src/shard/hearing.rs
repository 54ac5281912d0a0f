//! What a client hears, checked packet by packet against its version, what it said in CONNECT, and
//! what it ever asked for.

use std::collections::{BTreeMap, BTreeSet};

use mqttd::codec::{
    Connect, Frame, PACKET_BYTES_MAX, Packet, Publish, QoS, ReasonCode, Version, decode,
};
use mqttd::topic::{TopicFilter, TopicName};

/// One connection, from the client's side.
#[derive(Default)]
pub(super) struct Hearing {
    /// Of the CONNECT the broker took; `None` before it.
    terms: Option<Terms>,
    /// Heard and not a whole packet yet.
    rest: Vec<u8>,
    is_connected: bool,
    /// After an error in CONNACK, or DISCONNECT.
    is_over: bool,
    /// PUBLISH with QoS above 0 that are not finished.
    in_flight: BTreeSet<u16>,
    aliases: BTreeMap<u16, String>,
    /// To be answered by a client that behaves.
    pub(super) unanswered: Vec<Answer>,
}

struct Terms {
    version: Version,
    receive_maximum: u16,
    packet_bytes_max: u32,
    topic_alias_maximum: u16,
    keeps_reasons: bool,
}

/// What a client answers to a packet.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Puback(u16),
    Pubrec(u16),
    Pubcomp(u16),
}

impl Hearing {
    pub(super) fn began(&mut self, connect: &Connect<'_>) {
        let properties = connect.properties;
        self.terms = Some(Terms {
            version: connect.version,
            receive_maximum: properties.receive_maximum().unwrap_or(u16::MAX),
            packet_bytes_max: properties.maximum_packet_size().unwrap_or(u32::MAX),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            keeps_reasons: properties.request_problem_information().unwrap_or(true),
        });
    }

    /// The broker took this packet of the client.
    pub(super) fn said(&mut self, packet: &Packet<'_>) {
        if let Packet::Puback(ack) | Packet::Pubcomp(ack) = packet {
            self.in_flight.remove(&ack.packet_id);
        } else if let Packet::Pubrec(ack) = packet
            && ack.reason.is_error()
        {
            self.in_flight.remove(&ack.packet_id);
        }
    }

    /// Takes bytes that the broker wrote. `wanted`: what the client ever subscribed to;
    /// `inflight_max`: the broker's own bound.
    pub(super) fn hear(&mut self, bytes: &[u8], wanted: &[String], inflight_max: u16) {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut rest = &rest[..];
        while let Some(frame) = Frame::split(rest, PACKET_BYTES_MAX).expect("the broker frames") {
            assert!(!self.is_over, "{:x?} after the end", &rest[..frame.len]);
            self.packet(frame, wanted, inflight_max);
            rest = &rest[frame.len..];
        }
        self.rest = rest.to_vec();
    }

    /// The connection is closed: no packet is left half said.
    pub(super) fn ended(&self) {
        assert!(self.rest.is_empty(), "closed inside a packet: {:x?}", self.rest);
    }

    fn packet(&mut self, frame: Frame<'_>, wanted: &[String], inflight_max: u16) {
        let version = self.version(frame);
        let packet = decode(frame, version)
            .unwrap_or_else(|error| panic!("the broker says {frame:x?} in {version}: {error}"));
        self.fits(&packet, frame.len);
        if let Packet::Connack(connack) = &packet {
            assert!(!self.is_connected, "a second CONNACK");
            self.is_connected = true;
            self.is_over = connack.reason.is_error();
            return;
        }
        let may_come = self.is_connected || matches!(packet, Packet::Auth(_));
        assert!(may_come, "before CONNACK: {packet:?}");
        match &packet {
            Packet::Publish(publish) => self.publish(publish, wanted, inflight_max),
            Packet::Pubrel(ack) => self.unanswered.push(Answer::Pubcomp(ack.packet_id)),
            Packet::Disconnect(disconnect) => {
                assert_eq!(version, Version::V5, "DISCONNECT from the broker");
                assert_ne!(disconnect.reason, ReasonCode::DisconnectWithWillMessage);
                self.is_over = true;
            }
            Packet::Puback(_)
            | Packet::Pubrec(_)
            | Packet::Pubcomp(_)
            | Packet::Suback(_)
            | Packet::Unsuback(_)
            | Packet::Pingresp
            | Packet::Auth(_) => {}
            Packet::Connect(_)
            | Packet::Connack(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::Pingreq => panic!("from a broker: {packet:?}"),
        }
    }

    /// That of the CONNECT; of one that cannot be read, whichever fits.
    fn version(&self, frame: Frame<'_>) -> Version {
        let readable = |version: &Version| decode(frame, *version).is_ok();
        let guess = || [Version::V5, Version::V311].into_iter().find(readable);
        self.terms.as_ref().map_or_else(|| guess().unwrap_or(Version::V5), |terms| terms.version)
    }

    /// `[MQTT-3.1.2-24]` `[MQTT-3.1.2-29]`
    fn fits(&self, packet: &Packet<'_>, len: usize) {
        let Some(terms) = &self.terms else { return };
        assert!(len <= terms.packet_bytes_max as usize, "{len} bytes for {packet:?}");
        if let Packet::Puback(ack) | Packet::Pubrec(ack) | Packet::Pubrel(ack) = packet {
            assert!(terms.keeps_reasons || ack.properties.is_empty(), "{packet:?}");
        }
    }

    fn publish(&mut self, publish: &Publish<'_>, wanted: &[String], inflight_max: u16) {
        let topic = self.topic(publish);
        let name = TopicName::parse(&topic).unwrap_or_else(|error| panic!("{topic:?}: {error}"));
        let matches = |filter: &String| {
            TopicFilter::parse(filter).is_ok_and(|filter| filter.matches(name.as_str()))
        };
        assert!(wanted.iter().any(matches), "nobody asked for {topic:?}, but for {wanted:?}");
        if publish.qos == QoS::AtMostOnce {
            return;
        }
        let packet_id = publish.packet_id;
        assert!(self.in_flight.insert(packet_id), "packet identifier {packet_id} is in use");
        let receive_maximum = self.terms.as_ref().map_or(u16::MAX, |terms| terms.receive_maximum);
        let window = usize::from(receive_maximum.min(inflight_max));
        // `[MQTT-3.3.4-9]`
        assert!(self.in_flight.len() <= window, "{} of {window} in flight", self.in_flight.len());
        self.unanswered.push(match publish.qos {
            QoS::ExactlyOnce => Answer::Pubrec(packet_id),
            QoS::AtMostOnce | QoS::AtLeastOnce => Answer::Puback(packet_id),
        });
    }

    fn topic(&mut self, publish: &Publish<'_>) -> String {
        let Some(alias) = publish.properties.topic_alias() else {
            return publish.topic.to_owned();
        };
        let maximum = self.terms.as_ref().map_or(0, |terms| terms.topic_alias_maximum);
        // `[MQTT-3.1.2-26]` `[MQTT-3.1.2-27]`
        assert!((1..=maximum).contains(&alias), "alias {alias} of {maximum}");
        if publish.topic.is_empty() {
            return self.aliases.get(&alias).expect("an alias that was said").clone();
        }
        self.aliases.insert(alias, publish.topic.to_owned());
        publish.topic.to_owned()
    }
}

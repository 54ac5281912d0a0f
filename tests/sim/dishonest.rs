//! Clients that do not follow the protocol: noise, broken and misplaced packets, silence, floods.
//!
//! Their topics begin with `crook/` and their payloads with `noise`, so that whatever they do
//! changes nothing of what is due to honest clients.

use mqttd::codec::{
    Acknowledge, Connect, Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode,
    Subscribe, SubscriptionOptions, SubscriptionRequest, Version, Will, encode,
};

use crate::chance::Chance;

/// What is wrong with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vice {
    /// Random bytes.
    Noise,
    /// Good packets with bytes changed, lost or doubled.
    Mutation,
    /// Good packets where they must not be.
    Violation,
    /// Subscribes to everything and acknowledges nothing.
    Silence,
    /// Asks and publishes, and never reads.
    Deafness,
    /// Publishes as much as it can.
    Flood,
    /// Never finishes its CONNECT.
    Hesitation,
}

pub(crate) const VICES: &[Vice] = &[
    Vice::Noise,
    Vice::Mutation,
    Vice::Violation,
    Vice::Silence,
    Vice::Deafness,
    Vice::Flood,
    Vice::Hesitation,
];

#[derive(Debug)]
pub(crate) struct Crook {
    number: usize,
    pub(crate) vice: Vice,
    version: Version,
    pub(crate) line: Option<usize>,
    next_packet_id: u16,
}

impl Crook {
    pub(crate) fn new(number: usize, chance: &mut Chance) -> Self {
        let vice = chance.pick(VICES);
        let version = chance.pick(&[Version::V31, Version::V311, Version::V5, Version::V5]);
        Self { number, vice, version, line: None, next_packet_id: 0 }
    }

    fn write(&self, packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes);
        bytes
    }

    pub(crate) const fn reads(&self) -> bool {
        !matches!(self.vice, Vice::Deafness)
    }

    /// The first bytes on a new line.
    pub(crate) fn connect(&mut self, line: usize, chance: &mut Chance) -> Vec<u8> {
        self.line = Some(line);
        let client_id = format!("crook-{}-{}", self.number, chance.below(2));
        let mut properties = PropertiesBuf::default();
        properties.push(Property::SessionExpiryInterval(chance.pick(&[0, 10, 300])));
        if self.vice == Vice::Silence && chance.once_in(2) {
            properties.push(Property::ReceiveMaximum(2));
        }
        let will = Will {
            qos: QoS::AtLeastOnce,
            retain: chance.once_in(3),
            topic: "crook/will",
            properties: Properties::EMPTY,
            payload: b"noise of a will",
        };
        let mut bytes = self.write(&Packet::Connect(Box::new(Connect {
            version: self.version,
            bridge: false,
            clean_start: chance.once_in(3),
            keep_alive_secs: chance.pick(&[0, 5]),
            properties: properties.as_properties(),
            client_id: &client_id,
            will: chance.once_in(2).then_some(will),
            username: None,
            password: None,
        })));
        match self.vice {
            Vice::Hesitation => bytes.truncate(chance.below(bytes.len())),
            Vice::Mutation if chance.once_in(3) => mutate(&mut bytes, chance),
            Vice::Silence | Vice::Deafness => bytes.extend(self.subscribe("#")),
            Vice::Noise | Vice::Mutation | Vice::Violation | Vice::Flood => {}
        }
        bytes
    }

    /// What it does next.
    pub(crate) fn act(&mut self, chance: &mut Chance) -> Vec<u8> {
        match self.vice {
            Vice::Noise => (0..chance.below(60)).map(|_| chance.byte()).collect(),
            Vice::Mutation => {
                let mut bytes = self.something(chance);
                if chance.once_in(4) {
                    mutate(&mut bytes, chance);
                }
                bytes
            }
            Vice::Violation if chance.once_in(5) => self.violation(chance),
            Vice::Violation | Vice::Silence => self.something(chance),
            Vice::Deafness if chance.once_in(2) => self.subscribe("#"),
            Vice::Deafness => [0xc0, 0].repeat(chance.below(200)),
            Vice::Flood => (0..chance.below(30)).flat_map(|_| self.something(chance)).collect(),
            Vice::Hesitation => Vec::new(),
        }
    }

    fn packet_id(&mut self) -> u16 {
        self.next_packet_id = self.next_packet_id % 2000 + 1;
        self.next_packet_id
    }

    fn subscribe(&mut self, filter: &str) -> Vec<u8> {
        let mut payload = Vec::new();
        let options = SubscriptionOptions::new(QoS::ExactlyOnce);
        SubscriptionRequest { filter, options }.write(&mut payload);
        let packet_id = self.packet_id();
        self.write(&Packet::Subscribe(Subscribe::new(packet_id, Properties::EMPTY, &payload)))
    }

    fn publish(&mut self, topic: &str, qos: QoS, properties: Properties<'_>) -> Vec<u8> {
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { self.packet_id() };
        self.write(&Packet::Publish(Publish {
            dup: false,
            qos,
            retain: packet_id % 5 == 1,
            topic,
            packet_id,
            properties,
            payload: b"noise, and a little more of it",
        }))
    }

    /// A good packet.
    fn something(&mut self, chance: &mut Chance) -> Vec<u8> {
        let (packet_id, reason) = (self.packet_id(), ReasonCode::Success);
        let ack = Acknowledge { packet_id, reason, properties: Properties::EMPTY };
        match chance.below(8) {
            0 => self.subscribe("crook/#"),
            1 => self.subscribe("t/+"),
            2 => self.write(&Packet::Pingreq),
            3 if self.vice != Vice::Silence => self.write(&Packet::Pubrel(ack)),
            4 => self.publish("crook/1", QoS::ExactlyOnce, Properties::EMPTY),
            5 => self.publish("crook/2", QoS::AtLeastOnce, Properties::EMPTY),
            _ => self.publish("crook/3", QoS::AtMostOnce, Properties::EMPTY),
        }
    }

    /// A well-formed packet that must not come, or one whose content is forbidden.
    fn violation(&mut self, chance: &mut Chance) -> Vec<u8> {
        let (packet_id, reason) = (self.packet_id(), ReasonCode::Success);
        let ack = Acknowledge { packet_id, reason, properties: Properties::EMPTY };
        let mut properties = PropertiesBuf::default();
        match chance.below(12) {
            0 => self.connect(self.line.unwrap_or(0), chance),
            1 => self.write(&Packet::Pingresp),
            2 => self.write(&Packet::Puback(ack)),
            3 => self.write(&Packet::Pubcomp(ack)),
            4 => self.write(&Packet::Pubrec(ack)),
            5 => {
                properties.push(Property::TopicAlias(9999));
                self.publish("crook/4", QoS::AtMostOnce, properties.as_properties())
            }
            6 => {
                properties.push(Property::TopicAlias(1));
                self.publish("", QoS::AtMostOnce, properties.as_properties())
            }
            7 => self.publish("crook/#", QoS::AtLeastOnce, Properties::EMPTY),
            8 => self.subscribe("crook/#/x"),
            9 => vec![0xf0, 0],
            10 => vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
            _ => (0..60)
                .flat_map(|_| self.publish("crook/5", QoS::ExactlyOnce, Properties::EMPTY))
                .collect(),
        }
    }
}

/// Changes, drops or doubles some bytes.
fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = chance.below(bytes.len());
        match chance.below(3) {
            0 => bytes[at] = chance.byte(),
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
}

//! Clients that follow the protocol, with a session state of their own.
//!
//! A client knows nothing of the model and is not told what it must get. It remembers what the
//! standard wants a client to remember: messages it has sent and not heard the end of, and QoS 2
//! messages between PUBLISH and PUBREL. So it comes back with DUP and PUBREL as it should.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqttd::codec::{
    Acknowledge, Connack, Connect, Disconnect, Frame, PACKET_BYTES_MAX, Packet, Properties,
    PropertiesBuf, Property, Publish, QoS, ReasonCode, RetainHandling, Subscribe,
    SubscriptionOptions, SubscriptionRequest, Unsubscribe, Version, Will, decode, encode,
};

use crate::chance::Chance;
use crate::model::LARGE_BYTES;

const TOPICS: &[&str] = &["t/a", "t/b", "t/a/c", "t/", "t/ü", "$x/a"];
const FILTERS: &[&str] =
    &["t/a", "t/+", "t/#", "#", "+/a", "t/+/c", "$x/#", "+/+", "t/a/#", "w/#", "t/b", "+", "t/ü"];
const SHARED_FILTERS: &[&str] = &["$share/g/t/#", "$share/g/t/a", "$share/h/+/b"];
const QOS: &[QoS] = &[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// How a client lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) version: Version,
    /// Whether it wants its session kept, most of the time.
    pub(crate) persistent: bool,
    /// Whether the server may name it.
    pub(crate) anonymous: bool,
    pub(crate) shares: bool,
    /// Whether it wants Maximum Packet Size at times.
    pub(crate) small: bool,
    /// Whether things may depend on when they happen: expiry, keep alive, refusals.
    pub(crate) timed: bool,
    /// Whether it asks for retained messages with QoS 2 too. Where they may be refused it does not: a
    /// lost answer would leave the model in doubt whether the identifier is free.
    pub(crate) retains_exactly: bool,
    /// Whether it publishes in bursts, and small messages.
    pub(crate) busy: bool,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) client_id: String,
    pub(crate) habits: Habits,
    number: usize,
    pub(crate) line: Option<usize>,
    pub(crate) connected: bool,
    inbox: Vec<u8>,
    outgoing: Vec<Outgoing>,
    /// QoS 2 messages of others between PUBLISH and PUBREL.
    received: BTreeSet<u16>,
    pub(crate) answers: VecDeque<Vec<u8>>,
    waiting: BTreeSet<u16>,
    filters: Vec<String>,
    next_packet_id: u16,
    next_message: u32,
    receive_maximum: u16,
    alias_maximum: u16,
    aliases: Vec<String>,
    aliases_in: BTreeMap<u16, String>,
    keep_alive_secs: u16,
    sent_ms: u64,
    clean_start: bool,
    expires: bool,
    /// It never comes back.
    pub(crate) is_gone: bool,
    /// Messages it heard: topic, payload, QoS, RETAIN; QoS 2 once.
    pub(crate) heard: Vec<Heard>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Heard {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// A message it sent and has not heard the end of.
#[derive(Clone, Debug)]
struct Outgoing {
    packet_id: u16,
    qos: QoS,
    retain: bool,
    topic: String,
    payload: Vec<u8>,
    properties: PropertiesBuf,
    released: bool,
}

impl Client {
    pub(crate) fn new(number: usize, habits: Habits) -> Self {
        Self {
            client_id: if habits.anonymous { String::new() } else { format!("h{number}") },
            habits,
            number,
            line: None,
            connected: false,
            inbox: Vec::new(),
            outgoing: Vec::new(),
            received: BTreeSet::new(),
            answers: VecDeque::new(),
            waiting: BTreeSet::new(),
            filters: Vec::new(),
            next_packet_id: 0,
            next_message: 0,
            receive_maximum: u16::MAX,
            alias_maximum: 0,
            aliases: Vec::new(),
            aliases_in: BTreeMap::new(),
            keep_alive_secs: 0,
            sent_ms: 0,
            clean_start: true,
            expires: false,
            is_gone: false,
            heard: Vec::new(),
        }
    }

    fn write(&self, packet: &Packet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(packet, self.habits.version, &mut bytes);
        bytes
    }

    /// CONNECT on a new line.
    pub(crate) fn connect(&mut self, line: usize, chance: &mut Chance, ms: u64) -> Vec<u8> {
        self.line = Some(line);
        self.connected = false;
        self.inbox.clear();
        self.answers.clear();
        self.waiting.clear();
        self.aliases.clear();
        self.aliases_in.clear();
        self.sent_ms = ms;
        let habits = self.habits;
        let clean_start = !habits.persistent || habits.anonymous || chance.once_in(10);
        self.clean_start = clean_start;
        self.keep_alive_secs = if habits.timed { chance.pick(&[0, 0, 10, 60]) } else { 0 };
        let mut properties = PropertiesBuf::default();
        let expiry_secs =
            if habits.persistent { chance.pick(&[0, 5, 60, 500, 20_000, u32::MAX]) } else { 0 };
        self.expires = expiry_secs > 0;
        if expiry_secs > 0 || chance.once_in(2) {
            properties.push(Property::SessionExpiryInterval(expiry_secs));
        }
        if chance.once_in(2) {
            properties.push(Property::ReceiveMaximum(chance.pick(&[1, 3, 20])));
        }
        if habits.small && chance.once_in(3) {
            properties.push(Property::MaximumPacketSize(400));
        }
        if chance.once_in(2) {
            properties.push(Property::TopicAliasMaximum(3));
        }
        self.next_message += 1;
        let payload = format!("!msg will {} {}", self.number, self.next_message);
        let topic = format!("w/{}", self.number);
        let mut will_properties = PropertiesBuf::default();
        if chance.once_in(2) {
            let delay_secs = chance.pick(&[1, 7, 100]);
            will_properties.push(Property::WillDelayInterval(delay_secs));
        }
        if habits.timed && chance.once_in(3) {
            will_properties.push(Property::MessageExpiryInterval(30));
        }
        will_properties.push(Property::UserProperty(("of", "a will")));
        let will = Will {
            qos: chance.pick(QOS),
            retain: chance.once_in(3),
            topic: &topic,
            properties: will_properties.as_properties(),
            payload: payload.as_bytes(),
        };
        self.write(&Packet::Connect(Box::new(Connect {
            version: habits.version,
            bridge: false,
            clean_start,
            keep_alive_secs: self.keep_alive_secs,
            properties: properties.as_properties(),
            client_id: if habits.anonymous { "" } else { &self.client_id },
            will: chance.once_in(2).then_some(will),
            username: None,
            password: None,
        })))
    }

    /// The line is gone.
    pub(crate) fn disconnected(&mut self) {
        self.line = None;
        self.connected = false;
    }

    /// Bytes came; what the protocol wants said at once is returned, acknowledgements wait in
    /// `answers`.
    pub(crate) fn hear(&mut self, bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
        self.inbox.extend_from_slice(bytes);
        let inbox = std::mem::take(&mut self.inbox);
        let (mut start, mut out) = (0, Vec::new());
        while let Ok(Some(frame)) = Frame::split(&inbox[start..], PACKET_BYTES_MAX) {
            start += frame.len;
            let packet = decode(frame, self.habits.version).expect("a broker that speaks MQTT");
            out.extend(self.take(&packet, chance));
        }
        self.inbox = inbox[start..].to_vec();
        out
    }

    fn take(&mut self, packet: &Packet<'_>, chance: &mut Chance) -> Vec<u8> {
        if let Packet::Connack(connack) = packet {
            return self.let_in(connack);
        }
        assert!(self.connected, "{packet:?} before CONNACK");
        if let Packet::Publish(publish) = packet {
            self.take_publish(publish, chance);
        } else if let Packet::Pubrel(ack) = packet {
            self.received.remove(&ack.packet_id);
            let bytes = self.write(&Packet::Pubcomp(success(ack.packet_id)));
            self.answers.push_back(bytes);
        } else if let Packet::Puback(ack) | Packet::Pubcomp(ack) = packet {
            self.outgoing.retain(|one| one.packet_id != ack.packet_id);
        } else if let Packet::Pubrec(ack) = packet {
            let known = self.outgoing.iter_mut().find(|one| one.packet_id == ack.packet_id);
            if let Some(one) = known {
                one.released = true;
            }
            let bytes = self.write(&Packet::Pubrel(success(ack.packet_id)));
            self.answers.push_back(bytes);
        } else if let Packet::Suback(suback) = packet {
            self.waiting.remove(&suback.packet_id);
        } else if let Packet::Unsuback(unsuback) = packet {
            self.waiting.remove(&unsuback.packet_id);
        }
        Vec::new()
    }

    /// CONNACK: what was not finished is sent again, or forgotten with the session.
    fn let_in(&mut self, connack: &Connack<'_>) -> Vec<u8> {
        assert_eq!(connack.reason, ReasonCode::Success, "{}", self.client_id);
        self.connected = true;
        let properties = connack.properties;
        self.receive_maximum = properties.receive_maximum().unwrap_or(u16::MAX);
        self.alias_maximum = properties.topic_alias_maximum().unwrap_or(0);
        // 3.1 does not say whether there was a session; a client then goes on with its own.
        let untold = self.habits.version == Version::V31 && !self.clean_start;
        if !connack.session_present && !untold {
            self.outgoing.clear();
            self.received.clear();
            self.filters.clear();
        }
        let again: Vec<Vec<u8>> = self.outgoing.iter().map(|one| self.again(one)).collect();
        again.concat()
    }

    fn again(&self, one: &Outgoing) -> Vec<u8> {
        if one.released {
            return self.write(&Packet::Pubrel(success(one.packet_id)));
        }
        self.write(&Packet::Publish(one.publish(true)))
    }

    fn take_publish(&mut self, publish: &Publish<'_>, chance: &mut Chance) {
        let topic = match publish.properties.topic_alias() {
            Some(alias) if publish.topic.is_empty() => self.aliases_in[&alias].clone(),
            Some(alias) => {
                self.aliases_in.insert(alias, publish.topic.to_owned());
                publish.topic.to_owned()
            }
            None => publish.topic.to_owned(),
        };
        let (qos, retain) = (publish.qos.as_bits(), publish.retain);
        let heard = Heard { topic, payload: publish.payload.to_vec(), qos, retain };
        let packet_id = publish.packet_id;
        match publish.qos {
            QoS::AtMostOnce => self.heard.push(heard),
            QoS::AtLeastOnce => {
                self.heard.push(heard);
                let bytes = self.write(&Packet::Puback(success(packet_id)));
                self.answers.push_back(bytes);
            }
            QoS::ExactlyOnce => {
                let refuses = self.habits.timed && self.habits.version == Version::V5;
                if refuses && !self.received.contains(&packet_id) && chance.once_in(40) {
                    let reason = ReasonCode::ImplementationSpecificError;
                    let refusal = Acknowledge { reason, ..success(packet_id) };
                    let bytes = self.write(&Packet::Pubrec(refusal));
                    return self.answers.push_back(bytes);
                }
                // A client is not told that its session was lost when it gives up before CONNACK, or
                // speaks 3.1; then this is a new message.
                if self.received.insert(packet_id) || !publish.dup {
                    self.heard.push(heard);
                }
                let bytes = self.write(&Packet::Pubrec(success(packet_id)));
                self.answers.push_back(bytes);
            }
        }
    }

    /// The next acknowledgement, and a PINGREQ in time.
    pub(crate) fn answer(&mut self, ms: u64) -> Vec<u8> {
        self.sent_ms = ms;
        self.answers.pop_front().unwrap_or_default()
    }

    /// When it must say something, lest it be taken for dead.
    pub(crate) fn ping_at_ms(&self) -> Option<u64> {
        let alive = self.connected && self.keep_alive_secs > 0;
        alive.then(|| self.sent_ms + u64::from(self.keep_alive_secs) * 900)
    }

    pub(crate) fn ping(&mut self, ms: u64) -> Vec<u8> {
        self.sent_ms = ms;
        self.write(&Packet::Pingreq)
    }

    /// Whether all its exchanges are over.
    pub(crate) fn is_done(&self) -> bool {
        self.outgoing.is_empty() && self.answers.is_empty() && self.waiting.is_empty()
    }

    fn packet_id(&mut self) -> u16 {
        loop {
            self.next_packet_id =
                if self.next_packet_id == 300 { 1 } else { self.next_packet_id + 1 };
            let id = self.next_packet_id;
            let used = self.outgoing.iter().any(|one| one.packet_id == id);
            if !used && !self.waiting.contains(&id) {
                return id;
            }
        }
    }

    /// A PUBLISH, if the server's window has room.
    pub(crate) fn publish(&mut self, chance: &mut Chance) -> Vec<u8> {
        let qos = chance.pick(QOS);
        let window = usize::from(self.receive_maximum).min(if self.habits.busy { 200 } else { 20 });
        if qos != QoS::AtMostOnce && self.outgoing.len() >= window {
            return Vec::new();
        }
        self.next_message += 1;
        let mut payload = format!("!msg {} {}", self.number, self.next_message).into_bytes();
        if !self.habits.busy && chance.once_in(12) {
            payload.resize(LARGE_BYTES + 1 + chance.below(3000), b'.');
        }
        let retains = qos != QoS::ExactlyOnce || self.habits.retains_exactly;
        let retain = chance.once_in(5) && retains;
        if retain && !self.habits.busy && chance.once_in(4) {
            payload.clear();
        }
        let mut properties = PropertiesBuf::default();
        if chance.once_in(4) {
            properties.push(Property::UserProperty(("a", "b")));
            properties.push(Property::ContentType("text/plain"));
        }
        if self.habits.timed && chance.once_in(6) {
            let secs = chance.pick(&[1, 10, 300]);
            properties.push(Property::MessageExpiryInterval(secs));
        }
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { self.packet_id() };
        let topic = chance.pick(TOPICS).to_owned();
        let one = Outgoing { packet_id, qos, retain, topic, payload, properties, released: false };
        let bytes = self.aliased(&one, chance);
        if qos != QoS::AtMostOnce {
            self.outgoing.push(one);
        }
        bytes
    }

    /// The packet, with a Topic Alias at times.
    fn aliased(&mut self, one: &Outgoing, chance: &mut Chance) -> Vec<u8> {
        let known = self.aliases.iter().position(|topic| *topic == one.topic);
        let room = self.aliases.len() < usize::from(self.alias_maximum);
        if self.habits.version != Version::V5 || known.is_none() && !room || chance.once_in(2) {
            return self.write(&Packet::Publish(one.publish(false)));
        }
        let at = known.unwrap_or(self.aliases.len());
        if known.is_none() {
            self.aliases.push(one.topic.clone());
        }
        let alias = u16::try_from(at + 1).expect("a few aliases");
        let mut properties = one.properties.clone();
        properties.push(Property::TopicAlias(alias));
        let topic = if known.is_some() { "" } else { one.topic.as_str() };
        let publish = one.publish(false);
        let properties = properties.as_properties();
        self.write(&Packet::Publish(Publish { topic, properties, ..publish }))
    }

    pub(crate) fn subscribe(&mut self, chance: &mut Chance) -> Vec<u8> {
        let five = self.habits.version == Version::V5;
        let mut payload = Vec::new();
        for _ in 0..=chance.below(3) {
            let shared = self.habits.shares && chance.once_in(3);
            let filter = chance.pick(if shared { SHARED_FILTERS } else { FILTERS });
            let mut options = SubscriptionOptions::new(chance.pick(QOS));
            if five {
                options.no_local = !shared && chance.once_in(3);
                options.retain_as_published = chance.once_in(2);
                options.retain_handling = chance.pick(&[
                    RetainHandling::Send,
                    RetainHandling::SendIfNew,
                    RetainHandling::DoNotSend,
                ]);
            }
            SubscriptionRequest { filter, options }.write(&mut payload);
            self.filters.push(filter.to_owned());
        }
        let mut properties = PropertiesBuf::default();
        if chance.once_in(2) {
            let identifier = u32::try_from(chance.between(1, 300)).expect("a small number");
            properties.push(Property::SubscriptionIdentifier(identifier));
        }
        let packet_id = self.packet_id();
        self.waiting.insert(packet_id);
        let subscribe = Subscribe::new(packet_id, properties.as_properties(), &payload);
        self.write(&Packet::Subscribe(subscribe))
    }

    pub(crate) fn unsubscribe(&mut self, chance: &mut Chance) -> Vec<u8> {
        let mut payload = Vec::new();
        for _ in 0..=chance.below(2) {
            let known = (!self.filters.is_empty()).then(|| chance.below(self.filters.len()));
            let filter =
                known.map_or_else(|| "t/none".to_owned(), |at| self.filters.swap_remove(at));
            Unsubscribe::write_filter(&filter, &mut payload);
        }
        let packet_id = self.packet_id();
        self.waiting.insert(packet_id);
        let unsubscribe = Unsubscribe::new(packet_id, Properties::EMPTY, &payload);
        self.write(&Packet::Unsubscribe(unsubscribe))
    }

    /// DISCONNECT, of one kind or another.
    pub(crate) fn disconnect(&mut self, chance: &mut Chance) -> Vec<u8> {
        let with_will = self.habits.version == Version::V5 && chance.once_in(3);
        let reason =
            if with_will { ReasonCode::DisconnectWithWillMessage } else { ReasonCode::Success };
        let mut properties = PropertiesBuf::default();
        if self.expires && chance.once_in(3) {
            properties.push(Property::SessionExpiryInterval(chance.pick(&[0, 3, 100])));
        }
        let properties = properties.as_properties();
        let bytes = self.write(&Packet::Disconnect(Disconnect { reason, properties }));
        self.disconnected();
        bytes
    }
}

impl Outgoing {
    fn publish(&self, dup: bool) -> Publish<'_> {
        Publish {
            dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: self.packet_id,
            properties: self.properties.as_properties(),
            payload: &self.payload,
        }
    }
}

const fn success(packet_id: u16) -> Acknowledge<'static> {
    Acknowledge { packet_id, reason: ReasonCode::Success, properties: Properties::EMPTY }
}

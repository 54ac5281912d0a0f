//! A client that keeps its session as the standard wants it, over all connections and crashes of the
//! broker, and tells the ledger what it does and hears.
//!
//! It publishes, subscribes, comes and goes by chance, as its part in the cast says. It acknowledges in
//! order, and sometimes late, so that a crash finds every exchange in every state.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;

use crate::cast::Part;
use crate::chance::Chance;
use crate::ledger::{Ledger, Stream, Who, matches};
use crate::link::Link;
use crate::registers::{Registers, Value};
use crate::wire::{self, Connect, Packet, Publish, Will};

/// Messages under way of one publisher; few, so that Packet Identifiers are soon used again.
const WINDOW: usize = 8;
const REQUESTS_FROM: u16 = 1000;

/// The judges.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) ledger: Ledger,
    pub(crate) registers: Registers,
    /// What went over the connections, when somebody wants to read it.
    pub(crate) trace: Option<File>,
}

impl Truth {
    fn note(&mut self, scene: &Scene, name: &str, arrow: &str, what: &dyn std::fmt::Display) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{} {name} {arrow} {what}", scene.now_ms);
        }
    }
}

/// A PUBLISH for people.
struct Told<'a>(&'a Publish);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Publish { dup, qos, retain, topic, id, payload, .. } = self.0;
        let head = &payload[..payload.iter().position(|byte| *byte == b'|').unwrap_or(0)];
        let head = String::from_utf8_lossy(head);
        let (dup, retain) = (if *dup { " dup" } else { "" }, if *retain { " retain" } else { "" });
        write!(to, "PUBLISH {id} {topic} QoS {qos}{dup}{retain} ({head})")
    }
}

/// What all clients go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) now_ms: u64,
    pub(crate) address: SocketAddr,
    /// The broker takes connections, since when.
    pub(crate) up_ms: Option<u64>,
    /// Nobody begins anything new or leaves, all come.
    pub(crate) calm: bool,
    /// Retained messages are being read: nobody writes one.
    pub(crate) reading: bool,
    /// The disk is full or broken: new requests may be refused.
    pub(crate) trouble: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchange {
    Sent,
    /// PUBREC came.
    Received,
    /// PUBREL went out.
    Released,
}

#[derive(Clone, Debug)]
struct Outgoing {
    packet: Publish,
    stream: Stream,
    number: u32,
    exchange: Exchange,
    times_sent: u32,
    times_released: u32,
    write: Option<u64>,
}

/// A message of QoS 2 whose PUBCOMP has not gone out.
#[derive(Clone, Debug)]
struct Incoming {
    payload: Vec<u8>,
    released: bool,
}

#[derive(Clone, Debug)]
struct WillOut {
    stream: Stream,
    number: u32,
    delay_ms: u64,
    armed: bool,
    lost_ms: Option<u64>,
}

/// A reading of what is retained.
#[derive(Debug, Default)]
struct Reading {
    asked: u64,
    told: BTreeMap<String, Value>,
    fenced_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Away,
    Greeting,
    Online,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) who: Who,
    pub(crate) part: &'static Part,
    pub(crate) link: Option<Link>,
    place: Place,
    /// When it comes or goes next.
    turn_ms: u64,
    publish_ms: u64,
    change_ms: u64,
    expiry_secs: u32,
    /// It asked for a new session and was not answered.
    begins_anew: bool,
    out: VecDeque<Outgoing>,
    next_id: u16,
    incoming: BTreeMap<u16, Incoming>,
    /// Acknowledgements that wait, in order: when, kind, Packet Identifier.
    held: VecDeque<(u64, u8, u16)>,
    requests: BTreeMap<u16, (bool, String)>,
    will: Option<WillOut>,
    /// A Will whose client comes back before its delay is over.
    cancelled: Option<WillOut>,
    reading: Option<Reading>,
    /// Writes of messages that were given up: over when the broker is.
    given_up: Vec<(String, u64)>,
    pub(crate) read_once: bool,
}

/// What a message says of itself: from whom, its number and the publisher's QoS, how much follows.
pub(crate) fn payload(publisher: Who, (number, qos): (u32, u8), fill: usize) -> Vec<u8> {
    let mut payload = format!("{publisher} {number} {qos} {fill}|").into_bytes();
    let seed = number.to_le_bytes()[0];
    payload.extend((0..fill).map(|at| at.to_le_bytes()[0] ^ seed));
    payload
}

/// Reads it; `None` when it is damaged.
pub(crate) fn stamp(bytes: &[u8]) -> Option<(Who, u32, u8)> {
    let end = bytes.iter().position(|byte| *byte == b'|')?;
    let mut words = std::str::from_utf8(&bytes[..end]).ok()?.split(' ');
    let (who, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (qos, fill) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (payload(who, (number, qos), fill) == bytes).then_some((who, number, qos))
}

impl Client {
    pub(crate) fn new(who: Who, part: &'static Part) -> Self {
        Self {
            who,
            part,
            link: None,
            place: Place::Away,
            turn_ms: 0,
            publish_ms: 0,
            change_ms: 0,
            expiry_secs: 0,
            begins_anew: false,
            out: VecDeque::new(),
            next_id: 0,
            incoming: BTreeMap::new(),
            held: VecDeque::new(),
            requests: BTreeMap::new(),
            will: None,
            cancelled: None,
            reading: None,
            given_up: Vec::new(),
            read_once: false,
        }
    }

    pub(crate) fn online(&self) -> bool {
        self.place == Place::Online
    }

    /// Nothing of its own is under way.
    pub(crate) fn quiet(&self) -> bool {
        let keeps_all = self.out.is_empty() && self.requests.is_empty();
        keeps_all
            && self.held.is_empty()
            && self.will.as_ref().is_none_or(|will| will.lost_ms.is_none())
    }

    /// What stands between this client and the end, for people.
    pub(crate) fn state(&self) -> String {
        let Self { place, out, requests, held, .. } = self;
        let out: Vec<_> = out.iter().map(|o| (o.packet.id, o.number, o.exchange)).collect();
        format!("{}: {place:?} out {out:?} requests {requests:?} held {held:?}", self.part.name)
    }

    // ---- coming and going

    fn greet(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        let Some(mut link) = Link::open(scene.address, self.part.v5) else {
            self.turn_ms = scene.now_ms + 5;
            return;
        };
        let part = self.part;
        let expiry_secs =
            if scene.calm { part.expiry_secs[0] } else { chance.pick(part.expiry_secs) };
        let once_in = part.clean_start_once_in;
        let wants_new = once_in > 0 && !scene.calm && chance.once_in(once_in);
        // Without CONNACK it cannot know which session there is, and has none of its own to resume.
        let clean_start = expiry_secs == 0 || wants_new || self.begins_anew;
        self.begins_anew = clean_start;
        truth.ledger.connect_sent(self.who, clean_start, expiry_secs);
        if clean_start {
            self.forget(truth);
        }
        let will = self.arm(scene, truth);
        let connect = Connect {
            client_id: part.name,
            v5: part.v5,
            clean_start,
            expiry_secs,
            will: will.as_ref(),
        };
        wire::connect(&mut link.out, &connect);
        let asked = format_args!("CONNECT clean {clean_start} expiry {expiry_secs}");
        truth.note(scene, part.name, ">", &asked);
        self.expiry_secs = expiry_secs;
        self.link = Some(link);
        self.place = Place::Greeting;
        let (from, to) = part.stays_ms;
        self.turn_ms = scene.now_ms + chance.between(from, to);
    }

    fn arm(&mut self, scene: &Scene, truth: &mut Truth) -> Option<Will> {
        let (topic, qos, delay_secs) = self.part.will?;
        self.disarm(scene, truth);
        let at = truth.ledger.topics.iter().position(|known| known == topic)?;
        let stream = Stream { publisher: self.who, topic: at, qos };
        let number = truth.ledger.publish_sent(stream);
        let delay_ms = u64::from(delay_secs) * 1000;
        self.will = Some(WillOut { stream, number, delay_ms, armed: false, lost_ms: None });
        let payload = payload(self.who, (number, qos), 40);
        Some(Will { topic: topic.into(), payload, qos, delay_secs })
    }

    /// A Will is due once its client was lost, and away longer than its delay.
    fn disarm(&mut self, scene: &Scene, truth: &mut Truth) {
        let Some(will) = self.will.take() else { return };
        match will.lost_ms {
            Some(_) if will.armed && will.delay_ms == 0 => {
                truth.ledger.acknowledged(will.stream, will.number);
            }
            Some(lost_ms) if will.armed && self.has_been_away(scene, lost_ms, will.delay_ms) => {
                truth.ledger.acknowledged(will.stream, will.number);
            }
            Some(lost_ms) if will.armed && scene.now_ms + 1000 < lost_ms + will.delay_ms => {
                self.cancelled = Some(will);
            }
            _ => truth.ledger.abandoned(will.stream, will.number),
        }
    }

    fn has_been_away(&self, scene: &Scene, lost_ms: u64, delay_ms: u64) -> bool {
        let from_ms = scene.up_ms.map(|up_ms| up_ms.max(lost_ms));
        from_ms.is_some_and(|from_ms| scene.now_ms > from_ms + delay_ms + 1500)
    }

    /// The session is gone, or to be ended.
    fn forget(&mut self, truth: &mut Truth) {
        for outgoing in std::mem::take(&mut self.out) {
            truth.ledger.abandoned(outgoing.stream, outgoing.number);
            if let Some(write) = outgoing.write {
                self.given_up.push((outgoing.packet.topic, write));
            }
        }
        self.incoming.clear();
    }

    /// The connection is over, for whatever reason.
    pub(crate) fn lose(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        if self.link.take().is_none() {
            return;
        }
        truth.ledger.lost(self.who);
        truth.note(scene, self.part.name, "|", &"lost");
        for outgoing in self.out.iter().filter(|_| scene.trouble && self.part.v5) {
            if outgoing.exchange == Exchange::Sent {
                truth.ledger.perhaps_refused(outgoing.stream, outgoing.number);
            }
        }
        if self.expiry_secs == 0 {
            self.forget(truth);
        }
        if let Some(will) = self.cancelled.take() {
            truth.ledger.abandoned(will.stream, will.number);
        }
        if let Some(will) = &mut self.will {
            will.lost_ms.get_or_insert(scene.now_ms);
        }
        self.held.clear();
        self.requests.clear();
        self.reading = None;
        self.place = Place::Away;
        let (from, to) = self.part.away_ms;
        let long = self.part.long_away_ms > 0 && chance.once_in(2);
        let away_ms = if long { self.part.long_away_ms } else { chance.between(from, to) };
        self.turn_ms = scene.now_ms + away_ms;
    }

    /// The broker is dead: nothing that was given up can happen any more.
    pub(crate) fn crashed(&mut self, truth: &mut Truth) {
        for (topic, write) in self.given_up.drain(..) {
            truth.registers.ended(&topic, write, false);
        }
    }

    fn leave(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        if chance.once_in(2) {
            if let Some(link) = &mut self.link {
                wire::disconnect(&mut link.out);
                link.flush();
            }
            if let Some(will) = self.will.take() {
                truth.ledger.abandoned(will.stream, will.number);
            }
        }
        self.lose(scene, truth, chance);
    }

    // ---- what it does by itself

    pub(crate) fn act(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        match self.place {
            Place::Away => {
                let due = scene.now_ms >= self.turn_ms || (scene.calm && self.part.will.is_none());
                if scene.up_ms.is_some() && due && (!self.part.reads || scene.reading) {
                    self.greet(scene, truth, chance);
                }
                let will = self.will.as_ref().and_then(|will| Some((will.lost_ms?, will.delay_ms)));
                if will.is_some_and(|(lost_ms, delay)| self.has_been_away(scene, lost_ms, delay)) {
                    self.disarm(scene, truth);
                }
            }
            Place::Greeting => {}
            Place::Online if self.part.reads => self.read(scene, truth),
            Place::Online => {
                self.acknowledge(scene, truth);
                if scene.now_ms >= self.turn_ms && !scene.calm {
                    self.leave(scene, truth, chance);
                    return;
                }
                self.subscribe(scene, truth, chance);
                self.publish(scene, truth, chance);
            }
        }
        if let Some(link) = &mut self.link {
            link.flush();
        }
    }

    /// Sends the acknowledgements whose time has come.
    fn acknowledge(&mut self, scene: &Scene, truth: &mut Truth) {
        let Some(link) = &mut self.link else { return };
        while let Some((due_ms, kind, id)) = self.held.front().copied() {
            if due_ms > scene.now_ms && !scene.calm {
                return;
            }
            self.held.pop_front();
            wire::acknowledge(&mut link.out, kind, id);
            truth.note(scene, self.part.name, ">", &format_args!("{kind} {id}"));
            if kind == 7 {
                self.incoming.remove(&id);
            }
            if kind == 6 {
                for outgoing in self.out.iter_mut().filter(|outgoing| outgoing.packet.id == id) {
                    outgoing.exchange = Exchange::Released;
                    outgoing.times_released += 1;
                }
            }
        }
    }

    fn hold(&mut self, scene: &Scene, chance: &mut Chance, kind: u8, id: u16) {
        let delay_ms = match chance.below(if self.part.slow { 4 } else { 40 }) {
            0 => chance.between(1, 120),
            1 => chance.between(0, 20),
            _ => 0,
        };
        self.held.push_back((scene.now_ms + delay_ms, kind, id));
    }

    fn request(&mut self, subscribe: bool, filter: &str) -> u16 {
        let id = (REQUESTS_FROM..).find(|id| !self.requests.contains_key(id)).expect("few");
        self.requests.insert(id, (subscribe, filter.to_owned()));
        id
    }

    fn subscribe(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        let asked = |client: &Self, filter: &str| {
            client.requests.values().any(|(_, asked)| asked == filter)
        };
        for (at, (filter, qos)) in (1..).zip(self.part.keeps) {
            if !truth.ledger.is_subscribed(self.who, filter) && !asked(self, filter) {
                self.ask_for(scene, truth, at, (filter, *qos));
            }
        }
        let changes = self.part.changes;
        if changes.is_empty() || scene.calm || scene.now_ms < self.change_ms {
            return;
        }
        self.change_ms = scene.now_ms + chance.between(5, 150);
        let (filter, qos) = chance.pick(changes);
        if asked(self, filter) {
            return;
        }
        if truth.ledger.is_subscribed(self.who, filter) {
            truth.ledger.unsubscribe_sent(self.who, filter);
            truth.note(scene, self.part.name, ">", &format_args!("UNSUBSCRIBE {filter}"));
            let id = self.request(false, filter);
            let Some(link) = &mut self.link else { return };
            wire::unsubscribe(&mut link.out, self.part.v5, id, filter);
        } else {
            self.ask_for(scene, truth, 0, (filter, qos));
        }
    }

    fn ask_for(
        &mut self,
        scene: &Scene,
        truth: &mut Truth,
        identifier: u8,
        wish: (&'static str, u8),
    ) {
        truth.ledger.subscribe_sent(self.who, wish.0);
        truth.note(scene, self.part.name, ">", &format_args!("SUBSCRIBE {wish:?}"));
        let id = self.request(true, wish.0);
        let Some(link) = &mut self.link else { return };
        wire::subscribe(&mut link.out, self.part.v5, id, identifier, wish);
    }

    fn publish(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        let part = self.part;
        if part.writes.is_empty() || scene.calm || (part.retains && scene.reading) {
            return;
        }
        let interval_ms = 1000 / part.per_sec;
        self.publish_ms = self.publish_ms.max(scene.now_ms.saturating_sub(50));
        while self.publish_ms <= scene.now_ms && self.out.len() < WINDOW {
            self.publish_ms += interval_ms;
            let topic = chance.pick(part.writes);
            let at = truth.ledger.topics.iter().position(|known| known == topic);
            let qos = chance.pick(part.qos);
            let stream =
                Stream { publisher: self.who, topic: at.expect("a topic of the cast"), qos };
            let number = truth.ledger.publish_sent(stream);
            let fill = match chance.below(60) {
                0 => chance.between(4_000, 30_000),
                1..10 => chance.between(200, 2_000),
                _ => chance.between(0, 200),
            };
            let clears = part.retains && chance.once_in(4);
            let payload = if clears {
                Vec::new()
            } else {
                payload(self.who, (number, qos), usize::try_from(fill).unwrap())
            };
            let value = (!clears).then_some((self.who, number, qos));
            let write = part.retains.then(|| truth.registers.began(topic, value));
            let packet = Publish {
                dup: false,
                qos,
                retain: part.retains,
                topic: topic.into(),
                id: self.free_id(),
                payload,
                identifiers: Vec::new(),
            };
            if clears {
                // Such a message bears no number: whether it comes is not judged.
                truth.ledger.withdrawn(stream, number);
            }
            let Some(link) = &mut self.link else { return };
            wire::publish(&mut link.out, part.v5, &packet);
            truth.note(scene, part.name, ">", &Told(&packet));
            self.out.push_back(Outgoing {
                packet,
                stream,
                number,
                exchange: Exchange::Sent,
                times_sent: 1,
                times_released: 0,
                write,
            });
        }
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id % 12 + 1;
            if self.out.iter().all(|outgoing| outgoing.packet.id != self.next_id) {
                return self.next_id;
            }
        }
    }

    /// Reads what is retained: the reading is over when all was told that must be there.
    fn read(&mut self, scene: &Scene, truth: &mut Truth) {
        self.acknowledge(scene, truth);
        let Some(reading) = &self.reading else {
            let reading = Reading { asked: truth.registers.tick(), ..Reading::default() };
            self.reading = Some(reading);
            let Some(link) = &mut self.link else { return };
            wire::subscribe(&mut link.out, self.part.v5, 1, 0, ("r/#", 1));
            wire::pingreq(&mut link.out);
            return;
        };
        let Some(fenced_ms) = reading.fenced_ms else { return };
        let set = reading.told.values().filter(|value| value.is_some()).count();
        let patience_ms = if set < truth.registers.set() { 5_000 } else { 30 };
        if scene.now_ms < fenced_ms + patience_ms {
            return;
        }
        let findings = truth.registers.read(reading.asked, &reading.told);
        for finding in findings {
            truth.ledger.find(self.who, &finding);
        }
        self.read_once = true;
        self.turn_ms = 0;
        self.link = None;
        self.place = Place::Away;
        self.reading = None;
        self.held.clear();
        truth.ledger.lost(self.who);
    }

    // ---- what it hears

    pub(crate) fn hear(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        let Some(link) = &mut self.link else { return };
        let packets = link.read();
        let over = link.over;
        for packet in packets {
            if let Packet::Publish(publish) = &packet {
                truth.note(scene, self.part.name, "<", &Told(publish));
            } else {
                truth.note(scene, self.part.name, "<", &format_args!("{packet:?}"));
            }
            self.packet(packet, scene, truth, chance);
        }
        if over && self.link.is_some() {
            if scene.up_ms.is_some() {
                truth.ledger.find(self.who, "the broker closed the connection");
            }
            self.lose(scene, truth, chance);
        }
    }

    fn packet(&mut self, packet: Packet, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        match packet {
            Packet::Connack { present, code: 0 } => self.welcome(present, scene, truth, chance),
            Packet::Publish(publish) => self.message(publish, scene, truth, chance),
            Packet::Puback { id, code } => self.done(id, 1, code, truth),
            Packet::Pubrec { id, code } => self.received(id, code, scene, truth, chance),
            Packet::Pubcomp { id, code } => self.done(id, 2, code, truth),
            Packet::Pubrel { id } => {
                if let Some(incoming) = self.incoming.get_mut(&id) {
                    incoming.released = true;
                }
                self.hold(scene, chance, 7, id);
            }
            Packet::Suback { id, codes } => self.answered(id, (true, &codes), scene, truth),
            Packet::Unsuback { id } => self.answered(id, (false, &[0]), scene, truth),
            Packet::Connack { .. } if scene.trouble => self.turned_away(scene, truth, chance),
            Packet::Pingresp => {
                if let Some(reading) = &mut self.reading {
                    reading.fenced_ms = Some(scene.now_ms);
                }
            }
            Packet::Connack { .. } | Packet::Disconnect { .. } | Packet::Odd(_) => {
                truth.ledger.find(self.who, &format!("is told {packet:?}"));
            }
        }
    }

    /// Refused, as the disk takes nothing: the Will of before stays as it was.
    fn turned_away(&mut self, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        if let Some(before) = self.cancelled.take()
            && let Some(will) = self.will.replace(before)
        {
            truth.ledger.abandoned(will.stream, will.number);
        }
        self.lose(scene, truth, chance);
        self.turn_ms = scene.now_ms + 100;
    }

    fn welcome(&mut self, present: bool, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        self.place = Place::Online;
        self.begins_anew = false;
        if let Some(will) = &mut self.will {
            will.armed = true;
        }
        if let Some(will) = self.cancelled.take() {
            // It must not be published any more.
            truth.ledger.withdrawn(will.stream, will.number);
        }
        if truth.ledger.connected(self.who, present) {
            self.forget(truth);
        }
        let Some(link) = &mut self.link else { return };
        let mut release = Vec::new();
        for outgoing in &mut self.out {
            match outgoing.exchange {
                Exchange::Sent => {
                    outgoing.packet.dup = true;
                    outgoing.times_sent += 1;
                    truth.ledger.sent_again(outgoing.stream, outgoing.number);
                    wire::publish(&mut link.out, self.part.v5, &outgoing.packet);
                    truth.note(scene, self.part.name, ">", &Told(&outgoing.packet));
                }
                Exchange::Received | Exchange::Released => release.push(outgoing.packet.id),
            }
        }
        for id in release {
            self.hold(scene, chance, 6, id);
        }
    }

    fn position(&self, id: u16, qos: u8) -> Option<usize> {
        let asked = |outgoing: &Outgoing| outgoing.packet.id == id && outgoing.packet.qos == qos;
        self.out.iter().position(asked)
    }

    /// PUBACK or PUBCOMP.
    fn done(&mut self, id: u16, qos: u8, code: u8, truth: &mut Truth) {
        let Some(at) = self.position(id, qos) else {
            truth.ledger.find(self.who, &format!("an answer for {id}, of QoS {qos}, to nothing"));
            return;
        };
        let outgoing = self.out.remove(at).expect("it was found");
        truth.ledger.tally.answered += u64::from(qos == 1 && code < 0x80);
        if qos == 2 && code == 0x92 && outgoing.times_released == 1 {
            truth.ledger.find(self.who, &format!("{id} is unknown after its PUBREC"));
        }
        self.finish(&outgoing, qos == 2 || code < 0x80, truth);
    }

    fn finish(&mut self, outgoing: &Outgoing, accepted: bool, truth: &mut Truth) {
        let Outgoing { stream, number, .. } = *outgoing;
        if accepted {
            truth.ledger.acknowledged(stream, number);
        } else if outgoing.times_sent == 1 {
            truth.ledger.refused(stream, number);
        } else {
            truth.ledger.abandoned(stream, number);
        }
        if let Some(write) = outgoing.write {
            truth.registers.ended(&outgoing.packet.topic, write, accepted);
        }
    }

    fn received(
        &mut self,
        id: u16,
        code: u8,
        scene: &Scene,
        truth: &mut Truth,
        chance: &mut Chance,
    ) {
        let Some(at) = self.position(id, 2) else {
            truth.ledger.find(self.who, &format!("PUBREC for {id}, which is not under way"));
            return;
        };
        if code >= 0x80 {
            let outgoing = self.out.remove(at).expect("it was found");
            self.finish(&outgoing, false, truth);
            return;
        }
        let outgoing = &mut self.out[at];
        if outgoing.exchange == Exchange::Sent {
            outgoing.exchange = Exchange::Received;
            truth.ledger.tally.answered += 1;
            // A session that ends with its connection may take the message with it.
            if self.expiry_secs > 0 {
                truth.ledger.acknowledged(outgoing.stream, outgoing.number);
            }
            self.hold(scene, chance, 6, id);
        }
    }

    fn answered(
        &mut self,
        id: u16,
        (subscribe, codes): (bool, &[u8]),
        scene: &Scene,
        truth: &mut Truth,
    ) {
        if self.part.reads && subscribe {
            return;
        }
        let Some((asked, filter)) =
            self.requests.remove(&id).filter(|(asked, _)| *asked == subscribe)
        else {
            truth.ledger.find(self.who, &format!("an answer to request {id}, which was none"));
            return;
        };
        match codes {
            [0..=2] if asked => truth.ledger.subscribed(self.who, &filter),
            [_] if !asked => truth.ledger.unsubscribed(self.who, &filter),
            [code] if *code >= 0x80 && scene.trouble => {}
            _ => truth.ledger.find(self.who, &format!("{filter} is refused: {codes:?}")),
        }
    }

    fn message(&mut self, publish: Publish, scene: &Scene, truth: &mut Truth, chance: &mut Chance) {
        let id = publish.id;
        if publish.qos == 2
            && let Some(incoming) = self.incoming.get(&id)
        {
            if incoming.payload != publish.payload {
                let what = format!("Packet Identifier {id} is used again before its PUBCOMP");
                truth.ledger.find(self.who, &what);
            } else if incoming.released {
                truth.ledger.find(self.who, &format!("PUBLISH {id} comes again after its PUBREL"));
            }
            self.hold(scene, chance, 5, id);
            return;
        }
        match publish.qos {
            0 => {}
            1 => self.hold(scene, chance, 4, id),
            _ => {
                let payload = publish.payload.clone();
                self.incoming.insert(id, Incoming { payload, released: false });
                self.hold(scene, chance, 5, id);
            }
        }
        self.judge(&publish, truth);
    }

    fn judge(&mut self, publish: &Publish, truth: &mut Truth) {
        let topic = &publish.topic;
        self.judge_identifiers(publish, truth);
        if publish.payload.is_empty() && topic.starts_with("r/") {
            return;
        }
        let Some((publisher, number, qos)) = stamp(&publish.payload) else {
            truth.ledger.find(self.who, &format!("a damaged message on {topic}"));
            return;
        };
        let Some(at) = truth.ledger.topics.iter().position(|known| known == topic) else {
            truth.ledger.find(self.who, &format!("a message on {topic}, which nobody writes"));
            return;
        };
        if publish.retain || self.part.reads {
            if let Some(reading) = self.reading.as_mut().filter(|_| publish.retain) {
                reading.told.insert(topic.clone(), Some((publisher, number, qos)));
            }
            return;
        }
        let stream = Stream { publisher, topic: at, qos };
        truth.ledger.delivered(self.who, stream, number, publish.qos);
    }

    /// 5.0: the numbers of the subscriptions that a message came by.
    fn judge_identifiers(&self, publish: &Publish, truth: &mut Truth) {
        for identifier in &publish.identifiers {
            let at = usize::try_from(*identifier).unwrap_or(0).wrapping_sub(1);
            let filter = self.part.keeps.get(at).map(|(filter, _)| *filter);
            let plain = filter.map(|filter| filter.strip_prefix("$share/g/").unwrap_or(filter));
            if !plain.is_some_and(|plain| matches(plain, &publish.topic)) {
                let what = format!("{} came by the subscription {identifier}", publish.topic);
                truth.ledger.find(self.who, &what);
            }
        }
    }
}

//! The shards, and around them what a server is to them: connections, letters, the time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use mqttd::broker::{
    Admission, Closing, Commons, ConnectionId, Directions, Heard, Introduction, Letter, Limits,
    Lost, Now, Shard, SharedChoice,
};
use mqttd::codec::{Frame, Packet, QoS, Version, decode, encode};
use mqttd::daemon::config::Loaded;

use super::super::tape::Tape;
use super::door::Door;
use super::hearing::{Answer, Hearing};

/// Connections of one run; further ones are not opened.
const CONNECTIONS_MAX: usize = 24;
/// What a client may have sent that the broker has not taken; what is more is lost with it.
const UNTAKEN_BYTES_MAX: usize = 64 * 1024;

static DEFAULTS: LazyLock<Loaded> = LazyLock::new(Loaded::defaults);

pub(super) struct World {
    limits: Limits,
    commons: Arc<Commons>,
    shards: Vec<Shard>,
    connections: Vec<Connection>,
    /// Topic Filters that clients ever asked for.
    wanted: BTreeMap<String, Vec<String>>,
    /// Letters under way: from, to.
    letters: Vec<(usize, usize, Letter)>,
    holds_letters: bool,
    door: Door,
    now: Now,
}

struct Connection {
    /// Until it is let in.
    introduction: Introduction,
    place: Place,
    version: Version,
    client_id: String,
    /// From the client, not taken yet.
    to_broker: Vec<u8>,
    hearing: Hearing,
    /// Bytes of the outbox that were looked at and not sent.
    seen: usize,
    /// What the client takes of an outbox at once; 0 = it does not read.
    takes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Lobby,
    Shard(usize, ConnectionId),
    Closed,
}

/// Bounds that scripts reach. A bound that is not here is that of an empty configuration.
fn limits(tight: bool, shared_choice: SharedChoice) -> Limits {
    let pick = |loose: u32, narrow: u32| if tight { narrow } else { loose };
    let mut limits = DEFAULTS.config.limits.clone();
    limits.packet_bytes_max = pick(8192, 400);
    limits.receive_maximum = if tight { 2 } else { 8 };
    limits.topic_alias_maximum = if tight { 1 } else { 8 };
    limits.assigned_aliases_max = if tight { 2 } else { 8 };
    limits.keep_alive_secs_max = if tight { 5 } else { u16::MAX };
    limits.topic_levels_max = if tight { 2 } else { 8 };
    limits.subscriptions_max = pick(10, 2);
    limits.inflight_max = if tight { 2 } else { 6 };
    limits.queue_messages_max = pick(20, 3);
    limits.queue_bytes_max = u64::from(pick(20_000, 500));
    limits.session_expiry_secs_max = 600;
    limits.outbox_bytes_max = pick(16_384, 1024);
    limits.retained_messages_max = u64::from(pick(5, 1));
    limits.sessions_max = u64::from(pick(20, 3));
    limits.memory_bytes_max = u64::from(pick(200_000, 20_000));
    limits.assigned_aliases_max = if tight { 1 } else { 4 };
    limits.checks_payload_format = tight;
    limits.shared_choice = shared_choice;
    limits
}

impl World {
    pub(super) fn new(shards: u16, tight: bool, shared_choice: SharedChoice) -> Self {
        let limits = limits(tight, shared_choice);
        let commons = Commons::new(usize::from(shards), limits.clone(), 0x5eed);
        Self {
            shards: (0..shards).map(|number| Shard::new(number, Arc::clone(&commons))).collect(),
            limits,
            door: Door::new(Arc::clone(&commons)),
            commons,
            connections: Vec::new(),
            wanted: BTreeMap::new(),
            letters: Vec::new(),
            holds_letters: false,
            now: Now { ticks_ms: 5, unix_ms: 1_700_000_000_000 },
        }
    }

    // ---- what clients do

    /// Opens a connection, or takes the last one when there are enough; returns its number.
    pub(super) fn open(&mut self) -> usize {
        if self.connections.len() < CONNECTIONS_MAX {
            let peer = SocketAddr::from(([127, 0, 0, 1], 1024));
            self.connections.push(Connection {
                introduction: Introduction::new(peer),
                place: Place::Lobby,
                version: Version::V311,
                client_id: String::new(),
                to_broker: Vec::new(),
                hearing: Hearing::default(),
                seen: 0,
                takes: usize::MAX,
            });
        }
        self.connections.len() - 1
    }

    /// One of the connections; the first is opened when there is none.
    pub(super) fn pick(&mut self, tape: &mut Tape<'_>) -> usize {
        if self.connections.is_empty() {
            self.open();
        }
        tape.below(self.connections.len())
    }

    pub(super) fn version(&self, number: usize) -> Version {
        self.connections[number].version
    }

    pub(super) fn send(&mut self, number: usize, bytes: &[u8], version: Option<Version>) {
        let connection = &mut self.connections[number];
        if let (Place::Lobby, Some(version)) = (connection.place, version) {
            connection.version = version;
        }
        connection.to_broker.extend_from_slice(bytes);
        connection.to_broker.truncate(UNTAKEN_BYTES_MAX);
        if connection.place == Place::Lobby {
            self.greet(number);
        }
        self.feed(number);
    }

    /// A client that behaves answers all it has heard.
    pub(super) fn answer(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        let mut bytes = Vec::new();
        for answer in std::mem::take(&mut connection.hearing.unanswered) {
            let (packet, packet_id): (fn(_) -> Packet<'static>, _) = match answer {
                Answer::Puback(packet_id) => (Packet::Puback, packet_id),
                Answer::Pubrec(packet_id) => (Packet::Pubrec, packet_id),
                Answer::Pubcomp(packet_id) => (Packet::Pubcomp, packet_id),
            };
            encode(&packet(super::packets::done(packet_id)), connection.version, &mut bytes);
        }
        self.send(number, &bytes, None);
    }

    /// How much the client takes of its outbox at once from now on.
    pub(super) fn read(&mut self, number: usize, takes: usize) {
        self.connections[number].takes = takes;
        if let Place::Shard(shard, id) = self.connections[number].place {
            self.flush(shard, id);
            self.feed(number);
        }
    }

    pub(super) fn cut(&mut self, number: usize, how: Lost) {
        if let Place::Shard(shard, id) = self.connections[number].place {
            self.shards[shard].lost(id, how, self.now);
            // What a broken network had not carried is never heard.
            if how == Lost::ByPeer {
                self.connections[number].place = Place::Closed;
            }
            self.carry();
        }
        self.connections[number].place = Place::Closed;
    }

    // ---- what the broker's first room does

    /// Until it is let in or turned away; what follows goes to the shard.
    fn greet(&mut self, number: usize) {
        loop {
            let connection = &mut self.connections[number];
            let frame = Frame::split(&connection.to_broker, self.limits.packet_bytes_max);
            if let Some(frame) = frame.ok().flatten()
                && let Ok(Packet::Connect(connect)) = decode(frame, Version::V5)
            {
                connection.hearing.began(&connect);
                connection.version = connect.version;
            }
            let (used, heard) = connection.introduction.hear(&connection.to_broker, &self.door);
            connection.to_broker.drain(..used);
            match heard {
                Heard::More => return,
                Heard::Challenge(bytes) => connection.hearing.hear(&bytes, &[], 0),
                Heard::Admitted(admission) => return self.admit(number, *admission),
                Heard::Refused { connack, .. } | Heard::Violated { connack, .. } => {
                    return self.refuse(number, &connack);
                }
                Heard::NoConnect | Heard::Goodbye => return self.refuse(number, &[]),
            }
        }
    }

    fn admit(&mut self, number: usize, admission: Admission) {
        let (version, limits) = (admission.version, admission.limits);
        let client_id = admission.client_id.to_string();
        let home = self.commons.home(&client_id);
        match self.shards[home].admit(admission, self.now) {
            Ok(id) => {
                // What was taken over ends before the new connection has its place.
                self.end_closing(home);
                self.connections[number].place = Place::Shard(home, id);
                self.connections[number].client_id = client_id;
                self.carry();
            }
            Err(refusal) => {
                let connack = refusal.connack(version, limits, &self.commons.directions());
                self.refuse(number, &connack);
            }
        }
    }

    fn refuse(&mut self, number: usize, connack: &[u8]) {
        let connection = &mut self.connections[number];
        connection.hearing.hear(connack, &[], 0);
        connection.hearing.ended();
        connection.place = Place::Closed;
    }

    // ---- what the server does around the shards

    /// Gives a shard what a client sent, packet by packet, so that what is heard stands in order
    /// with what was said.
    fn feed(&mut self, number: usize) {
        while let Place::Shard(shard, id) = self.connections[number].place {
            let connection = &mut self.connections[number];
            if connection.to_broker.is_empty() || self.shards[shard].choked(id) {
                return;
            }
            let bytes = std::mem::take(&mut connection.to_broker);
            let frame = Frame::split(&bytes, self.limits.packet_bytes_max).ok().flatten();
            let len = frame.map_or(bytes.len(), |frame| frame.len);
            if let Some(packet) = frame.and_then(|frame| decode(frame, connection.version).ok()) {
                connection.hearing.said(&packet);
                if let Packet::Subscribe(subscribe) = packet {
                    let wanted = self.wanted.entry(connection.client_id.clone()).or_default();
                    wanted.extend(subscribe.requests().map(|request| request.filter.to_owned()));
                }
            }
            let used = self.shards[shard].receive(id, &bytes[..len], self.now);
            assert!(used <= len, "more used than given");
            assert!(used == len || used == 0, "half a packet used");
            self.connections[number].to_broker = bytes[used..].to_vec();
            self.carry();
            if used == 0 {
                let waits = frame.is_none() || self.shards[shard].choked(id);
                assert!(waits, "a whole packet that is not taken");
                return;
            }
        }
    }

    /// Empties all trays until nothing moves.
    fn carry(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for shard in 0..self.shards.len() {
                moved |= self.flush_dirty(shard);
                moved |= self.end_closing(shard);
                moved |= self.post(shard);
                let trays = self.shards[shard].trays();
                assert!(trays.events.len() <= mqttd::broker::Trays::EVENTS_MAX);
                trays.events.clear();
            }
            moved |= !self.holds_letters && self.deliver();
        }
    }

    fn flush_dirty(&mut self, shard: usize) -> bool {
        let dirty = std::mem::take(&mut self.shards[shard].trays().dirty);
        for id in &dirty {
            self.flush(shard, *id);
        }
        !dirty.is_empty()
    }

    fn flush(&mut self, shard: usize, id: ConnectionId) {
        let Some(outbox) = self.shards[shard].outbox(id) else { return };
        let place = Place::Shard(shard, id);
        let found = self.connections.iter_mut().find(|connection| connection.place == place);
        let connection = found.expect("a shard names only connections it was given");
        let unsent = outbox.unsent();
        let wanted = self.wanted.get(&connection.client_id).map_or(&[][..], Vec::as_slice);
        connection.hearing.hear(&unsent[connection.seen..], wanted, self.limits.inflight_max);
        let sent = unsent.len().min(connection.takes);
        connection.seen = unsent.len() - sent;
        outbox.sent(sent);
        self.shards[shard].flushed(id, self.now);
    }

    fn end_closing(&mut self, shard: usize) -> bool {
        let closing = std::mem::take(&mut self.shards[shard].trays().closing);
        for Closing { id, farewell } in &closing {
            let place = Place::Shard(shard, *id);
            let found = self.connections.iter_mut().find(|connection| connection.place == place);
            let connection = found.expect("a shard ends only connections it was given");
            let wanted = self.wanted.get(&connection.client_id).map_or(&[][..], Vec::as_slice);
            let unseen = farewell.get(connection.seen..).expect("what waits is in the farewell");
            connection.hearing.hear(unseen, wanted, self.limits.inflight_max);
            connection.hearing.ended();
            connection.place = Place::Closed;
            connection.to_broker = Vec::new();
        }
        !closing.is_empty()
    }

    fn post(&mut self, from: usize) -> bool {
        let mut moved = false;
        for to in 0..self.shards.len() {
            let letter = std::mem::take(&mut self.shards[from].trays().letters[to]);
            if !letter.is_empty() {
                self.letters.push((from, to, letter));
                moved = true;
            }
        }
        moved && !self.holds_letters
    }

    fn deliver(&mut self) -> bool {
        let letters = std::mem::take(&mut self.letters);
        for (from, to, mut letter) in letters.into_iter() {
            assert_ne!(from, to, "a letter to itself");
            self.shards[to].deliver(&mut letter, self.now);
            assert!(letter.is_empty());
            self.flush_dirty(to);
            self.end_closing(to);
        }
        false
    }

    /// Letters may lie in mailboxes for a while.
    pub(super) fn hold_letters(&mut self, holds: bool) {
        self.holds_letters = holds;
        self.carry();
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.ticks_ms + ms;
        loop {
            let due = |shard: &Shard| shard.deadline().filter(|at| *at <= end);
            let Some(at) = self.shards.iter().filter_map(due).min() else { break };
            let step = at.saturating_sub(self.now.ticks_ms);
            self.now.ticks_ms += step;
            self.now.unix_ms += step;
            for shard in &mut self.shards {
                shard.tick(self.now);
                let later = shard.deadline().is_none_or(|at| at > self.now.ticks_ms);
                assert!(later, "what is due stays due");
            }
            self.carry();
        }
        self.now.unix_ms += end - self.now.ticks_ms;
        self.now.ticks_ms = end;
    }

    // ---- what operators do

    pub(super) fn kick(&mut self, client_id: &str) {
        let home = self.commons.home(client_id);
        self.shards[home].kick(client_id, self.now);
        self.carry();
    }

    pub(super) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, retain: bool) {
        self.shards[0].publish(topic, payload, qos, retain, self.now);
        self.carry();
    }

    pub(super) fn forget_retained(&mut self, topic: &str) {
        self.shards[0].forget_retained(topic, self.now);
    }

    /// A reload with a smaller memory budget, or with the old one.
    pub(super) fn tighten(&mut self, tight: bool) {
        let memory_bytes_max =
            if tight { self.limits.memory_bytes_max / 8 } else { self.limits.memory_bytes_max };
        self.commons.set_limits(Limits { memory_bytes_max, ..self.limits.clone() });
    }

    /// Where clients are to go instead, and whether they have to.
    pub(super) fn direct(&mut self, another: bool, moved: bool, drains: bool) {
        self.commons.set_directions(Directions {
            server_reference: another.then(|| "other.example:1883".into()),
            moved,
            response_information: moved.then(|| "answers/{client_id}".into()),
        });
        self.door.is_closed = drains;
        for shard in self.shards.iter_mut().filter(|_| drains) {
            for id in shard.connections() {
                shard.lost(id, Lost::ServerShuttingDown, self.now);
            }
        }
        self.carry();
    }

    // ---- what always holds

    pub(super) fn check(&self) {
        let limits = &self.limits;
        let stats = self.commons.stats();
        assert!(stats.value("sessions") <= limits.sessions_max);
        assert!(stats.value("retained.messages") <= limits.retained_messages_max);
        // Every retained message may wait beside the queue, and once more for who asked again.
        let retained = 2 * limits.retained_messages_max;
        let queue_messages_max = u64::from(limits.queue_messages_max) + retained;
        let weight_max = u64::from(limits.packet_bytes_max) + 256;
        let queue_bytes_max = limits.queue_bytes_max + retained * weight_max;
        let mut subscriptions = 0;
        for shard in &self.shards {
            for client in shard.clients(None, usize::MAX) {
                let who = &client.client_id;
                subscriptions += client.subscriptions;
                assert!(client.subscriptions <= limits.subscriptions_max as usize, "{who}");
                assert!(client.inflight <= usize::from(limits.inflight_max), "{who}");
                assert!(client.awaiting_pubrel <= usize::from(limits.receive_maximum), "{who}");
                assert!(client.queue_messages as u64 <= queue_messages_max, "{who}");
                assert!(client.queue_bytes <= queue_bytes_max, "{who}");
            }
        }
        assert_eq!(stats.value("subscriptions"), subscriptions as u64, "routes and sessions");
        // An outbox holds answers to what was taken in before it choked, and one packet more.
        let outbox_max = u64::from(limits.outbox_bytes_max) * 2 + 32 * 1024;
        let most = limits.memory_bytes_max + CONNECTIONS_MAX as u64 * outbox_max;
        assert!(self.commons.memory_bytes() <= most, "{} bytes", self.commons.memory_bytes());
    }

    /// Everybody leaves, time passes, and nothing is left.
    pub(super) fn end(mut self) {
        self.hold_letters(false);
        for number in 0..self.connections.len() {
            self.cut(number, Lost::ByPeer);
        }
        self.pass(2000 * u64::from(self.limits.session_expiry_secs_max));
        self.check();
        let stats = self.commons.stats();
        assert_eq!(stats.value("sessions"), 0, "sessions outlive their expiry");
        assert_eq!(stats.value("subscriptions"), 0, "subscriptions outlive their sessions");
        // Retained messages are the only ones left; a new one has those go that have expired.
        self.publish("end", b"x", QoS::AtMostOnce, true);
        let topics: Vec<_> = self.commons.retained("#", 100, self.now).collect();
        let system: Vec<_> = self.commons.retained("$SYS/#", 100, self.now).collect();
        for retained in topics.iter().chain(&system) {
            assert!(self.shards[0].forget_retained(&retained.topic, self.now));
        }
        assert_eq!(self.commons.memory_bytes(), 0, "bytes of nobody");
        self.shards.iter().for_each(|shard| assert!(shard.connections().is_empty()));
    }
}

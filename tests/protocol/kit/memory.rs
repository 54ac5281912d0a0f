//! Shards in memory: this carries bytes and letters between them, and is their clock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{Admission, Closing, Commons, ConnectionId, Limits, Lost, Now, Refusal, Shard};
use mqttd::codec::{
    Connack, Connect, DecodeError, Frame, PACKET_BYTES_MAX, Packet, Properties, Version, decode,
    encode,
};

use super::Wire;

pub(super) struct Memory {
    commons: Arc<Commons>,
    shards: Vec<Shard>,
    connections: Vec<Connection>,
    assigned: u32,
    now: Now,
}

struct Connection {
    place: Place,
    /// From the client, not used yet.
    to_broker: Vec<u8>,
    /// To the client, not heard yet.
    to_client: VecDeque<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// No CONNECT yet.
    Lobby,
    Shard(usize, ConnectionId),
    Closed,
}

impl Memory {
    pub(super) fn new(shards: u16, limits: &Limits) -> Self {
        let commons = Commons::new(usize::from(shards), limits.clone(), 0x5eed);
        Self {
            shards: (0..shards).map(|number| Shard::new(number, Arc::clone(&commons))).collect(),
            commons,
            connections: Vec::new(),
            assigned: 0,
            now: Now { ticks_ms: 5, unix_ms: 1_700_000_000_000 },
        }
    }

    /// The first packet decides; what follows it goes to the shard.
    fn greet(&mut self, number: usize) {
        let bytes = self.connections[number].to_broker.clone();
        let limits = self.commons.limits();
        let frame = match Frame::split(&bytes, limits.packet_bytes_max) {
            Ok(None) => return,
            Ok(Some(frame)) => frame,
            Err(_) => return self.refuse(number, Vec::new()),
        };
        let connect = match decode(frame, Version::V5) {
            Ok(Packet::Connect(connect)) => connect,
            Ok(_) => return self.refuse(number, Vec::new()),
            Err(error) => return self.refuse(number, unreadable(frame, error)),
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1024));
        self.assigned += 1;
        let assigned = || format!("assigned-{}", self.assigned).into();
        let admitted = Admission::new(&connect, peer, &limits, assigned);
        let admitted = admitted.and_then(|admission| self.admit(number, admission));
        if let Err(refusal) = admitted {
            return self.refuse(number, refusal.connack(connect.version));
        }
        self.connections[number].to_broker.drain(..frame.len);
        self.carry();
        self.feed(number);
    }

    fn admit(&mut self, number: usize, admission: Admission) -> Result<(), Refusal> {
        let home = self.commons.home(&admission.client_id);
        let id = self.shards[home].admit(admission, self.now)?;
        // What was taken over ends before the new connection has its place.
        self.end_closing(home);
        self.connections[number].place = Place::Shard(home, id);
        Ok(())
    }

    fn refuse(&mut self, number: usize, connack: Vec<u8>) {
        self.connections[number].to_client.extend(connack);
        self.connections[number].place = Place::Closed;
    }

    fn feed(&mut self, number: usize) {
        while let Place::Shard(shard, id) = self.connections[number].place {
            let bytes = &self.connections[number].to_broker;
            let used = self.shards[shard].receive(id, bytes, self.now);
            self.connections[number].to_broker.drain(..used);
            self.carry();
            if used == 0 || self.connections[number].to_broker.is_empty() {
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
                moved |= self.flush(shard);
                moved |= self.end_closing(shard);
                moved |= self.post(shard);
                self.shards[shard].trays().events.clear();
            }
        }
    }

    fn flush(&mut self, shard: usize) -> bool {
        let dirty = std::mem::take(&mut self.shards[shard].trays().dirty);
        for &id in &dirty {
            let Some(outbox) = self.shards[shard].outbox(id) else { continue };
            let unsent = outbox.unsent().to_vec();
            outbox.sent(unsent.len());
            self.connection(shard, id).to_client.extend(unsent);
            self.shards[shard].flushed(id, self.now);
        }
        !dirty.is_empty()
    }

    fn end_closing(&mut self, shard: usize) -> bool {
        let closing = std::mem::take(&mut self.shards[shard].trays().closing);
        let any = !closing.is_empty();
        for Closing { id, farewell } in closing {
            let connection = self.connection(shard, id);
            connection.to_client.extend(farewell);
            connection.place = Place::Closed;
        }
        any
    }

    fn post(&mut self, from: usize) -> bool {
        let mut moved = false;
        for to in 0..self.shards.len() {
            let mut letter = std::mem::take(&mut self.shards[from].trays().letters[to]);
            if !letter.is_empty() {
                self.shards[to].deliver(&mut letter, self.now);
                moved = true;
            }
        }
        moved
    }

    fn connection(&mut self, shard: usize, id: ConnectionId) -> &mut Connection {
        let place = Place::Shard(shard, id);
        let found = self.connections.iter_mut().find(|connection| connection.place == place);
        found.expect("a shard names only connections it was given")
    }
}

/// The CONNACK for a CONNECT that cannot be read, where there is one.
fn unreadable(frame: Frame<'_>, error: DecodeError) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(version) = Connect::refusal_version(frame, error) {
        let (session_present, properties) = (false, Properties::EMPTY);
        let connack = Connack { session_present, reason: error.reason(), properties };
        encode(&Packet::Connack(connack), version, &mut bytes);
    }
    bytes
}

impl Wire for Memory {
    fn open(&mut self) {
        let (to_broker, to_client) = (Vec::new(), VecDeque::new());
        self.connections.push(Connection { place: Place::Lobby, to_broker, to_client });
    }

    fn send(&mut self, connection: usize, bytes: &[u8]) {
        self.connections[connection].to_broker.extend_from_slice(bytes);
        match self.connections[connection].place {
            Place::Lobby => self.greet(connection),
            Place::Shard(..) => self.feed(connection),
            Place::Closed => {}
        }
    }

    fn receive(&mut self, connection: usize) -> Option<Vec<u8>> {
        let connection = &mut self.connections[connection];
        let bytes = connection.to_client.make_contiguous();
        let frame = Frame::split(bytes, PACKET_BYTES_MAX).expect("a broker that speaks MQTT");
        match frame.map(|frame| frame.len) {
            Some(len) => Some(connection.to_client.drain(..len).collect()),
            None if connection.place == Place::Closed => None,
            None => panic!("nothing comes"),
        }
    }

    fn cut(&mut self, connection: usize) {
        if let Place::Shard(shard, id) = self.connections[connection].place {
            self.connections[connection].place = Place::Closed;
            self.shards[shard].lost(id, Lost::ByPeer, self.now);
            self.carry();
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.ticks_ms + ms;
        loop {
            let due = |shard: &Shard| shard.deadline().filter(|at| *at <= end);
            let Some(at) = self.shards.iter().filter_map(due).min() else { break };
            let step = at.saturating_sub(self.now.ticks_ms);
            self.now.ticks_ms += step;
            self.now.unix_ms += step;
            for shard in &mut self.shards {
                shard.tick(self.now);
            }
            self.carry();
        }
        self.now.unix_ms += end - self.now.ticks_ms;
        self.now.ticks_ms = end;
    }
}

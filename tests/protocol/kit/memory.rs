//! Shards in memory: this carries bytes and letters between them, and is their clock and their disk.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{
    Admission, Closing, Commons, ConnectionId, Directions, Envelope, Heard, Introduction, Limits,
    Load, Loaded, Lost, Methods, Mid, Now, Reception, Record, Records, Refusal, Shard,
    StoredMessage, Storing,
};
use mqttd::codec::{Connect, Frame, PACKET_BYTES_MAX};

use super::Wire;

/// Envelopes and bodies of messages.
type Disk = BTreeMap<Mid, (Vec<u8>, Vec<u8>)>;

pub(super) struct Memory {
    commons: Arc<Commons>,
    shards: Vec<Shard>,
    connections: Vec<Connection>,
    desk: Desk,
    /// Where the broker has a store.
    disk: Option<Disk>,
    now: Now,
}

struct Connection {
    /// Until it is let in.
    introduction: Introduction,
    place: Place,
    /// From the client, not used yet.
    to_broker: Vec<u8>,
    /// To the client, not heard yet.
    to_client: VecDeque<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not let in yet.
    Lobby,
    Shard(usize, ConnectionId),
    Closed,
}

/// Lets everybody in whom the protocol lets in.
struct Desk {
    commons: Arc<Commons>,
    methods: Methods,
    assigned: Cell<u32>,
    draining: bool,
}

impl Reception for Desk {
    fn limits(&self) -> Arc<Limits> {
        self.commons.limits()
    }

    fn methods(&self) -> &Methods {
        &self.methods
    }

    fn client_id(&self) -> Box<str> {
        self.assigned.set(self.assigned.get() + 1);
        format!("assigned-{}", self.assigned.get()).into()
    }

    fn directions(&self) -> Arc<Directions> {
        self.commons.directions()
    }

    fn admits(&self, _: &Connect<'_>) -> Result<(), Refusal> {
        if self.draining { Err(self.commons.directions().refusal()) } else { Ok(()) }
    }
}

impl Memory {
    /// `keeps`: with a disk that is quick.
    pub(super) fn new(shards: u16, limits: &Limits, methods: &Methods, keeps: bool) -> Self {
        let commons = Commons::new(usize::from(shards), limits.clone(), 0x5eed);
        if keeps {
            commons.set_storing(Storing::Well);
        }
        let methods = methods.clone();
        Self {
            shards: (0..shards).map(|number| Shard::new(number, Arc::clone(&commons))).collect(),
            desk: Desk {
                commons: Arc::clone(&commons),
                methods,
                assigned: Cell::new(0),
                draining: false,
            },
            commons,
            disk: keeps.then(BTreeMap::new),
            connections: Vec::new(),
            now: Now { ticks_ms: 5, unix_ms: 1_700_000_000_000 },
        }
    }

    /// Until it is let in or turned away; what follows goes to the shard.
    fn greet(&mut self, number: usize) {
        loop {
            let connection = &mut self.connections[number];
            let (used, heard) = connection.introduction.hear(&connection.to_broker, &self.desk);
            connection.to_broker.drain(..used);
            match heard {
                Heard::More => return,
                Heard::Challenge(bytes) => connection.to_client.extend(bytes),
                Heard::Admitted(admission) => {
                    let (version, limits) = (admission.version, admission.limits);
                    if let Err(refusal) = self.admit(number, *admission) {
                        let directions = self.commons.directions();
                        let connack = refusal.connack(version, limits, &directions);
                        return self.refuse(number, connack);
                    }
                    self.carry();
                    return self.feed(number);
                }
                Heard::Refused { connack, .. } | Heard::Violated { connack, .. } => {
                    return self.refuse(number, connack);
                }
                Heard::NoConnect | Heard::Goodbye => return self.refuse(number, Vec::new()),
            }
        }
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
                moved |= self.keep(shard);
                moved |= self.post(shard);
                self.shards[shard].posted();
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

    /// Takes records to the disk, says that they are there, and brings what is asked for.
    fn keep(&mut self, shard: usize) -> bool {
        if matches!(self.commons.storing(), Storing::Full | Storing::Failed) {
            return false; // Later.
        }
        let trays = self.shards[shard].trays();
        let records = trays.records.take(Records::default());
        let loads = std::mem::take(&mut trays.loads);
        let Some(disk) = &mut self.disk else {
            assert!(records.is_empty() && loads.is_empty(), "without a store nothing is kept");
            return false;
        };
        for record in records.iter() {
            if let Record::Message { mid, envelope, body, .. } = record {
                disk.insert(mid, (envelope.to_vec(), body.to_vec()));
            }
        }
        let offset = self.now.unix_ms - self.now.ticks_ms;
        let loaded: Vec<_> = loads.iter().map(|load| read(disk, load, offset)).collect();
        let moved = !records.is_empty() || !loaded.is_empty();
        if moved {
            self.shards[shard].durable(records.ticket(), self.now);
        }
        for loaded in loaded {
            self.shards[shard].loaded(loaded, self.now);
        }
        moved
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

fn read(disk: &Disk, load: &Load, offset: u64) -> Loaded {
    let message = |mid: &Mid| {
        let (envelope, body) = disk.get(mid)?;
        let mut recipients = Envelope::open(envelope)?.recipients().flatten();
        let own = recipients.find(|recipient| recipient.sid == load.sid)?;
        Some((StoredMessage::open(body, offset)?, own.identifiers))
    };
    let messages = load.mids.iter().map(|mid| (*mid, message(mid))).collect();
    Loaded { session: load.session, messages }
}

impl Wire for Memory {
    fn open(&mut self) {
        let (to_broker, to_client) = (Vec::new(), VecDeque::new());
        let introduction = Introduction::new(SocketAddr::from(([127, 0, 0, 1], 1024)));
        let place = Place::Lobby;
        self.connections.push(Connection { introduction, place, to_broker, to_client });
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
        let place = std::mem::replace(&mut self.connections[connection].place, Place::Closed);
        if let Place::Shard(shard, id) = place {
            self.shards[shard].lost(id, Lost::ByPeer, self.now);
            self.carry();
        }
    }

    fn kick(&mut self, client_id: &str) {
        let home = self.commons.home(client_id);
        assert!(self.shards[home].kick(client_id, self.now), "{client_id} is connected");
        self.carry();
    }

    fn direct(&mut self, directions: &Directions, draining: bool) {
        self.commons.set_directions(directions.clone());
        self.desk.draining = draining;
        if draining {
            self.shards.iter().for_each(Shard::withdraw);
        }
        for shard in self.shards.iter_mut().filter(|_| draining) {
            for id in shard.connections() {
                shard.lost(id, Lost::ServerShuttingDown, self.now);
            }
        }
        self.carry();
    }

    fn store(&mut self, storing: Storing, queue_bytes: u64) {
        assert!(self.disk.is_some(), "a dialogue about the disk has one");
        self.commons.set_storing(storing);
        self.commons.set_stored_queue_bytes(queue_bytes);
        self.carry();
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

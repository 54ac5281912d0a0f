//! The production shards in one thread: sockets, mailboxes and the rhythm of the server around
//! them (`server/hall`, `server/connection`), with lines of the simulated network for sockets.
//!
//! Whatever passes between shards and clients is told in [`Seen`], in its order; who judges it is
//! the model. Nothing here knows what is right.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{
    Admission, Closing, Commons, ConnectionId, Departure, Directions, Event, Heard, Introduction,
    Letter, Limits, Lost, Methods, Now, Reception, Refusal, Restoration, Shard, Storing,
};
use mqttd::codec::{Connect, Frame, PACKET_BYTES_MAX};
use mqttd::store::Store;

use crate::chance::Chance;
use crate::disk::{Crash, Disk, Report};
use crate::network::Line;
use crate::record::Record;
use crate::survey::Survey;

/// Something that passed between the shards and a client.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A CONNECT was let in.
    Admitted { line: usize, client_id: String, connect: Vec<u8> },
    /// The shard used these bytes: whole packets.
    Took { line: usize, bytes: Vec<u8> },
    /// The socket took the last byte of this packet.
    Said { line: usize, packet: Vec<u8> },
    /// The shard was told that the peer is gone.
    Lost { line: usize },
    /// A connection ended, says the shard.
    Ended { client_id: String, departure: Departure },
    /// A shard did what was due.
    Ticked { shard: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// No CONNECT yet.
    Lobby,
    Shard(usize, ConnectionId),
    Closed,
}

/// The broker's end of a line.
#[derive(Debug)]
struct Socket {
    place: Place,
    /// Until it is let in.
    introduction: Introduction,
    /// Received and not used.
    partial: Vec<u8>,
    /// Sent, as far as it is no whole packet.
    said: Vec<u8>,
    choked: bool,
    held: bool,
    blocked: bool,
    /// When a client that has too much to read to be read from last took some of it.
    took_ms: u64,
}

pub(crate) struct Host {
    pub(crate) commons: Arc<Commons>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) lines: Vec<Line>,
    sockets: Vec<Socket>,
    by_id: BTreeMap<(usize, u32, u32), usize>,
    /// Letters on their way: from, to.
    mail: Vec<Vec<VecDeque<Letter>>>,
    /// Those of them that were there when the shard they are for was last looked at the clock for.
    overdue: Vec<Vec<usize>>,
    /// Shards whose trays hold something.
    pub(crate) unsettled: Vec<bool>,
    pub(crate) now: Now,
    /// What the broker's clock is ahead of that of the world; another one in each of its lives.
    ahead_ms: u64,
    pub(crate) disk: Option<Disk>,
    pub(crate) seen: VecDeque<Seen>,
    desk: Desk,
}

/// Lets everybody in whom the protocol lets in.
struct Desk {
    commons: Arc<Commons>,
    methods: Methods,
    assigned: Cell<u32>,
}

impl Reception for Desk {
    fn limits(&self) -> Arc<Limits> {
        self.commons.limits()
    }

    fn methods(&self) -> &Methods {
        &self.methods
    }

    fn directions(&self) -> Arc<Directions> {
        self.commons.directions()
    }

    fn client_id(&self) -> Box<str> {
        self.assigned.set(self.assigned.get() + 1);
        format!("assigned-{}", self.assigned.get()).into()
    }

    fn admits(&self, _: &Connect<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Of hash tables.
const HASH_SEED: u64 = 0x5eed;
/// The clock of a broker begins far from zero, as that of the server does.
const ORIGIN_MS: u64 = 1 << 40;
/// Refills of an outbox in one flush, as the server has it.
const REFILLS_MAX: usize = 8;

fn no_mail(count: usize) -> Vec<Vec<VecDeque<Letter>>> {
    (0..count).map(|_| (0..count).map(|_| VecDeque::new()).collect()).collect()
}

impl Host {
    /// `keeps`: with a store.
    pub(crate) fn new(shards: u16, limits: &Limits, keeps: bool) -> Self {
        let count = usize::from(shards);
        let commons = Commons::new(count, limits.clone(), HASH_SEED);
        if keeps {
            commons.set_storing(Storing::Well);
        }
        let (methods, assigned) = (Methods::default(), Cell::new(0));
        let desk = Desk { commons: Arc::clone(&commons), methods, assigned };
        Self {
            shards: (0..shards).map(|number| Shard::new(number, Arc::clone(&commons))).collect(),
            commons,
            lines: Vec::new(),
            sockets: Vec::new(),
            by_id: BTreeMap::new(),
            mail: no_mail(count),
            overdue: vec![vec![0; count]; count],
            unsettled: vec![false; count],
            ahead_ms: ORIGIN_MS,
            disk: keeps.then(|| Disk::new(count)),
            now: Now { ticks_ms: 1000, unix_ms: 1_700_000_000_000 },
            seen: VecDeque::new(),
            desk,
        }
    }

    /// A new connection; its number.
    pub(crate) fn open(&mut self, down_bytes_max: usize) -> usize {
        self.lines.push(Line::new(down_bytes_max));
        self.sockets.push(Socket {
            place: Place::Lobby,
            introduction: Introduction::new(SocketAddr::from(([127, 0, 0, 1], 1024))),
            partial: Vec::new(),
            said: Vec::new(),
            choked: false,
            held: false,
            blocked: false,
            took_ms: 0,
        });
        self.lines.len() - 1
    }

    pub(crate) fn is_closed(&self, line: usize) -> bool {
        self.sockets[line].place == Place::Closed
    }

    /// Whether the broker holds bytes of this line that it will look at again by itself.
    pub(crate) fn is_held(&self, line: usize) -> bool {
        self.sockets[line].held && !self.sockets[line].choked
    }

    pub(crate) fn is_blocked(&self, line: usize) -> bool {
        self.sockets[line].blocked
    }

    /// Bytes come out of the line into the broker, or its end does.
    pub(crate) fn arrive(&mut self, line: usize, count: usize, record: &mut Record) {
        match self.sockets[line].place {
            Place::Closed => drop(self.lines[line].up.take(usize::MAX)),
            Place::Lobby => {
                let bytes = self.lines[line].up.take(count);
                self.sockets[line].partial.extend(bytes);
                self.greet(line, record);
                if self.sockets[line].place == Place::Lobby && self.lines[line].up.is_over() {
                    self.close(line);
                }
            }
            Place::Shard(shard, id) => self.read(line, shard, id, count, record),
        }
    }

    fn read(
        &mut self,
        line: usize,
        shard: usize,
        id: ConnectionId,
        count: usize,
        record: &mut Record,
    ) {
        let (up, socket) = (&self.lines[line].up, &self.sockets[line]);
        if up.is_over() && !socket.held || up.is_ended() && socket.choked {
            let now = self.clock();
            self.shards[shard].lost(id, Lost::ByPeer, now);
            self.note_events(shard);
            self.seen.push_back(Seen::Lost { line });
            self.unsettled[shard] = true;
            return self.close(line);
        }
        if self.sockets[line].choked {
            return;
        }
        if !self.sockets[line].held {
            let bytes = self.lines[line].up.take(count);
            self.sockets[line].partial.extend(bytes);
        }
        self.offer(line, shard, id, record);
    }

    /// Gives the shard what came.
    fn offer(&mut self, line: usize, shard: usize, id: ConnectionId, record: &mut Record) {
        let now = self.clock();
        let socket = &mut self.sockets[line];
        socket.held = false;
        let used = self.shards[shard].receive(id, &socket.partial, now);
        let bytes: Vec<u8> = socket.partial.drain(..used).collect();
        if !socket.partial.is_empty() {
            socket.choked = self.shards[shard].choked(id);
            socket.held = socket.choked || self.shards[shard].sated();
            record.tally.choked += u64::from(socket.choked);
        }
        record.bytes("→", line, &bytes, self.now.ticks_ms);
        self.seen.push_back(Seen::Took { line, bytes });
        self.note_events(shard);
        self.unsettled[shard] = true;
    }

    /// Until it is let in or turned away; what follows goes to the shard.
    fn greet(&mut self, line: usize, record: &mut Record) {
        loop {
            let socket = &mut self.sockets[line];
            let (used, heard) = socket.introduction.hear(&socket.partial, &self.desk);
            let bytes: Vec<u8> = socket.partial.drain(..used).collect();
            record.bytes("→", line, &bytes, self.now.ticks_ms);
            match heard {
                Heard::More => return,
                Heard::Challenge(bytes) => self.lines[line].down.put(&bytes),
                Heard::Admitted(admission) => {
                    let (version, limits) = (admission.version, admission.limits);
                    return match self.admit(line, *admission, &bytes, record) {
                        Ok((shard, id)) if !self.sockets[line].partial.is_empty() => {
                            self.offer(line, shard, id, record);
                        }
                        Ok(_) => {}
                        Err(refusal) => {
                            let directions = self.commons.directions();
                            self.refuse(line, &refusal.connack(version, limits, &directions));
                        }
                    };
                }
                Heard::Refused { connack, .. } | Heard::Violated { connack, .. } => {
                    return self.refuse(line, &connack);
                }
                Heard::NoConnect | Heard::Goodbye => return self.refuse(line, &[]),
            }
        }
    }

    fn refuse(&mut self, line: usize, connack: &[u8]) {
        self.lines[line].down.put(connack);
        self.close(line);
    }

    fn admit(
        &mut self,
        line: usize,
        admission: Admission,
        bytes: &[u8],
        record: &mut Record,
    ) -> Result<(usize, ConnectionId), Refusal> {
        let client_id = admission.client_id.to_string();
        let shard = self.commons.home(&client_id);
        if self.disk.is_some() {
            // Each session begins at a moment of its own, by which it is known in the store.
            self.now.ticks_ms += 1;
            self.now.unix_ms += 1;
        }
        let now = self.clock();
        let id = self.shards[shard].admit(admission, now)?;
        // What was taken over ends before the new connection has its place.
        self.end_closing(shard, record);
        self.sockets[line].place = Place::Shard(shard, id);
        self.by_id.insert((shard, id.slot, id.serial), line);
        self.unsettled[shard] = true;
        self.seen.push_back(Seen::Admitted { line, client_id, connect: bytes.to_vec() });
        self.note_events(shard);
        Ok((shard, id))
    }

    /// The broker's end of a line is gone.
    fn close(&mut self, line: usize) {
        if let Place::Shard(shard, id) = self.sockets[line].place {
            self.by_id.remove(&(shard, id.slot, id.serial));
        }
        let socket = &mut self.sockets[line];
        socket.place = Place::Closed;
        socket.partial = Vec::new();
        self.lines[line].down.end();
        self.lines[line].up.end();
    }

    /// Empties the out-trays of a shard.
    pub(crate) fn settle(&mut self, shard: usize, record: &mut Record) {
        for _ in 0..REFILLS_MAX {
            self.end_closing(shard, record);
            let dirty = std::mem::take(&mut self.shards[shard].trays().dirty);
            if dirty.is_empty() {
                break;
            }
            for id in dirty {
                self.flush(shard, id, record);
            }
        }
        self.end_closing(shard, record);
        let trays = self.shards[shard].trays();
        self.unsettled[shard] = !trays.dirty.is_empty();
        if let Some(disk) = &mut self.disk {
            for one in trays.records.iter() {
                record.note(self.now.ticks_ms, format_args!("shard {shard} leaves {one:?}"));
            }
            disk.take_in(shard, trays);
        }
        for (to, letter) in trays.letters.iter_mut().enumerate() {
            if !letter.is_empty() {
                record.tally.letters += 1;
                self.mail[shard][to].push_back(std::mem::take(letter));
            }
        }
        self.shards[shard].posted();
        self.note_events(shard);
    }

    /// When the client of a line that is not read from last took bytes; 0 when it never was so.
    pub(crate) fn took_ms(&self, line: usize) -> u64 {
        self.sockets[line].took_ms
    }

    fn flush(&mut self, shard: usize, id: ConnectionId, record: &mut Record) {
        let Some(&line) = self.by_id.get(&(shard, id.slot, id.serial)) else { return };
        if !self.sockets[line].blocked {
            let choked = self.shards[shard].choked(id);
            let Some(outbox) = self.shards[shard].outbox(id) else { return };
            let unsent = outbox.unsent();
            let taken = unsent.len().min(self.lines[line].room());
            let bytes = unsent[..taken].to_vec();
            self.sockets[line].blocked = taken < unsent.len();
            record.tally.blocked += u64::from(taken < unsent.len());
            outbox.sent(taken);
            if choked && taken > 0 {
                self.sockets[line].took_ms = self.now.ticks_ms;
            }
            self.send(line, &bytes, record);
        }
        let now = self.clock();
        self.shards[shard].flushed(id, now);
        let socket = &mut self.sockets[line];
        if socket.choked && !self.shards[shard].choked(id) {
            socket.choked = false;
        }
    }

    /// The socket has room again.
    pub(crate) fn writable(&mut self, line: usize, record: &mut Record) {
        if let Place::Shard(shard, id) = self.sockets[line].place {
            self.sockets[line].blocked = false;
            self.flush(shard, id, record);
            self.unsettled[shard] = true;
        }
    }

    fn send(&mut self, line: usize, bytes: &[u8], record: &mut Record) {
        record.bytes("←", line, bytes, self.now.ticks_ms);
        self.lines[line].down.put(bytes);
        let said = &mut self.sockets[line].said;
        said.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(frame) =
            Frame::split(&said[start..], PACKET_BYTES_MAX).expect("a broker that speaks MQTT")
        {
            let packet = said[start..start + frame.len].to_vec();
            start += frame.len;
            self.seen.push_back(Seen::Said { line, packet });
        }
        said.drain(..start);
    }

    /// Sends farewells, as far as the socket takes them, and closes what the shard has ended.
    fn end_closing(&mut self, shard: usize, record: &mut Record) {
        let closing = std::mem::take(&mut self.shards[shard].trays().closing);
        for Closing { id, mut farewell } in closing {
            let Some(&line) = self.by_id.get(&(shard, id.slot, id.serial)) else { continue };
            farewell.truncate(self.lines[line].room());
            self.send(line, &farewell, record);
            self.close(line);
        }
    }

    fn note_events(&mut self, shard: usize) {
        for event in std::mem::take(&mut self.shards[shard].trays().events) {
            if let Event::Disconnected { client_id, departure, .. } = event {
                self.seen.push_back(Seen::Ended { client_id: client_id.into(), departure });
            }
        }
    }

    /// Pairs of shards with letters between.
    pub(crate) fn letters(&self) -> Vec<(usize, usize)> {
        let count = self.shards.len();
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        pairs.filter(|&(from, to)| !self.mail[from][to].is_empty()).collect()
    }

    /// The next letter of one shard to another arrives.
    pub(crate) fn deliver(&mut self, from: usize, to: usize) {
        if let Some(mut letter) = self.mail[from][to].pop_front() {
            self.overdue[from][to] = self.overdue[from][to].saturating_sub(1);
            let now = self.clock();
            self.shards[to].deliver(&mut letter, now);
            self.unsettled[to] = true;
        }
    }

    /// When a shard has something to do.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let next_ms = self.shards.iter().filter_map(Shard::deadline).min();
        next_ms.map(|at_ms| at_ms.saturating_sub(self.ahead_ms))
    }

    /// Shards do what is due.
    pub(crate) fn tick(&mut self, record: &mut Record) {
        let now = self.clock();
        for shard in 0..self.shards.len() {
            if self.shards[shard].deadline().is_some_and(|at_ms| at_ms <= now.ticks_ms) {
                self.read_overdue(shard);
                self.shards[shard].tick(now);
                self.note_events(shard);
                self.seen.push_back(Seen::Ticked { shard });
                self.settle(shard, record);
            }
        }
    }

    /// A letter may be slow, but a shard reads all its mail after it has looked at the clock: what
    /// was there then has been read when it looks again.
    fn read_overdue(&mut self, shard: usize) {
        for from in 0..self.shards.len() {
            while self.overdue[from][shard] > 0 {
                self.deliver(from, shard);
            }
            self.overdue[from][shard] = self.mail[from][shard].len();
        }
    }

    /// The time as shards are told it.
    pub(crate) const fn clock(&self) -> Now {
        let Now { ticks_ms, unix_ms } = self.now;
        Now { ticks_ms: ticks_ms + self.ahead_ms, unix_ms }
    }

    /// Has so much written of what shards left.
    pub(crate) fn commit(&mut self, count: usize) {
        if let Some(disk) = &mut self.disk {
            disk.commit(count, self.now.ticks_ms);
        }
    }

    /// Has something read that a session needs.
    pub(crate) fn answer_load(&mut self) {
        let (ms, now) = (self.now.ticks_ms, self.clock());
        if let Some(disk) = &mut self.disk {
            disk.answer(ms, now);
        }
    }

    /// Tells a shard what came of it next; `false` when there is nothing.
    pub(crate) fn report(&mut self, shard: usize) -> bool {
        let report = self.disk.as_mut().and_then(|disk| disk.report(shard));
        let now = self.clock();
        match report {
            None => return false,
            Some(Report::Durable(ticket)) => self.shards[shard].durable(ticket, now),
            Some(Report::Loaded(loaded)) => self.shards[shard].loaded(loaded, now),
        }
        self.unsettled[shard] = true;
        true
    }

    /// Everything that is in memory is gone, and every connection; the store is what is left.
    pub(crate) fn crash(&mut self, how: Crash, shards: u16, chance: &mut Chance) {
        for line in 0..self.lines.len() {
            if self.sockets[line].place != Place::Closed {
                self.lines[line].cut(chance);
                self.close(line);
                self.sockets[line].said.clear();
            }
        }
        let count = usize::from(shards);
        if let Some(disk) = &mut self.disk {
            disk.crash(how, count, chance);
        }
        self.shards.truncate(count);
        while self.shards.len() < count {
            self.shards.push(Shard::new(0, Arc::clone(&self.commons)));
        }
        self.forget();
        self.ahead_ms = ORIGIN_MS + chance.below(1_000_000) as u64;
    }

    /// Everything that is in memory is gone once more, and nothing was written meanwhile.
    pub(crate) fn forget(&mut self) {
        let count = self.shards.len();
        self.commons = Commons::new(count, (*self.commons.limits()).clone(), HASH_SEED);
        self.desk.commons = Arc::clone(&self.commons);
        let numbers = 0..u16::try_from(count).expect("a few shards");
        self.shards = numbers.map(|number| Shard::new(number, Arc::clone(&self.commons))).collect();
        self.mail = no_mail(count);
        self.overdue = vec![vec![0; count]; count];
        self.unsettled = vec![true; count];
    }

    /// All that can be seen of what the shards hold.
    pub(crate) fn picture(&self) -> String {
        let mut picture = String::new();
        for shard in &self.shards {
            for view in shard.clients(None, usize::MAX) {
                let subscriptions = shard.subscriptions(&view.client_id);
                let waiting = shard.waiting(&view.client_id, usize::MAX, self.clock());
                picture += &format!("{view:?} {subscriptions:?} {waiting:?}\n");
            }
        }
        let retained: Vec<_> = self.commons.retained("#", usize::MAX, self.clock()).collect();
        picture + &format!("{retained:?} {}", self.commons.memory_bytes())
    }

    /// What the store holds.
    pub(crate) fn survey(&mut self) -> Survey {
        let mut survey = Survey::default();
        if let Some(disk) = &mut self.disk {
            disk.store.recover(&mut survey, &mut |_| {}).expect("a store that can be read");
        }
        survey
    }

    /// A broker that was crashed begins anew.
    pub(crate) fn recover(&mut self) {
        let now = self.clock();
        let Some(disk) = &mut self.disk else { return };
        self.commons.set_storing(Storing::Well);
        let mut restoration = Restoration::new(Arc::clone(&self.commons), now);
        let recovered = disk.store.recover(&mut restoration, &mut |_| {});
        let recovered = recovered.expect("a store that can be read");
        self.commons.continue_names(recovered.last_mid, recovered.last_sid);
        for (shard, restored) in self.shards.iter_mut().zip(restoration.finish()) {
            shard.restore(restored, now);
        }
    }

    /// An operator ends a client's connection.
    pub(crate) fn kick(&mut self, client_id: &str) -> bool {
        let shard = self.commons.home(client_id);
        let now = self.clock();
        let kicked = self.shards[shard].kick(client_id, now);
        self.note_events(shard);
        self.unsettled[shard] = true;
        kicked
    }

    /// Connections that have a socket, a shard.
    pub(crate) fn connection_count(&self, shard: usize) -> usize {
        self.by_id.range((shard, 0, 0)..(shard + 1, 0, 0)).count()
    }
}

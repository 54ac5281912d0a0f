//! One run: chance chooses what happens next, the host does it, the model judges it.

use mqttd::broker::{Departure, Limits};
use mqttd::codec::{Frame, PACKET_BYTES_MAX, Packet, Version, decode};
use mqttd::store::Fault;

use crate::chance::Chance;
use crate::dishonest::Crook;
use crate::disk::Crash;
use crate::honest::{Client, Habits, Heard};
use crate::host::{Host, Seen};
use crate::model::Model;
use crate::record::Record;

/// What a run is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shards: u16,
    pub(crate) limits: Limits,
    pub(crate) tight: bool,
    pub(crate) clients: Vec<Habits>,
    pub(crate) crooks: usize,
    pub(crate) steps: usize,
    /// Whether clients publish more than can be delivered.
    pub(crate) busy: bool,
    /// Whether there is a store.
    pub(crate) keeps: bool,
    /// Everything comes to rest between two steps, and nothing is cut: what clients hear depends
    /// on nothing but what they do.
    pub(crate) calm: bool,
}

/// What is left of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) record: Record,
    /// What each client heard, in its order.
    pub(crate) heard: Vec<Vec<Heard>>,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) chance: Chance,
    pub(crate) host: Host,
    pub(crate) model: Model,
    pub(crate) record: Record,
    pub(crate) clients: Vec<Client>,
    pub(crate) crooks: Vec<Crook>,
    /// Lines that are not over at both ends, and the client at their end.
    pub(crate) open: Vec<(usize, Peer)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Client(usize),
    Crook(usize),
    /// Nobody listens any more.
    Nobody,
}

/// Runs a plan to its end.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let mut world = World::new(plan.clone());
    for step in 0..plan.steps {
        world.step();
        if plan.calm {
            world.pump();
        }
        if step % 40 == 0 {
            world.check();
        }
    }
    world.settle();
    world.end();
    let tally = &mut world.record.tally;
    tally.add(&world.model.tally);
    tally.virtual_ms = world.host.now.ticks_ms;
    if let Some(disk) = &world.host.disk {
        (tally.commits, tally.loaded) = (disk.commits, disk.loaded);
    }
    let heard = world.clients.iter().map(|client| client.heard.clone()).collect();
    Outcome { record: world.record, heard }
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut chance = Chance::new(plan.seed);
        let host = Host::new(plan.shards, &plan.limits, plan.keeps);
        let clients = plan.clients.iter().enumerate();
        Self {
            model: Model::new(plan.limits.clone(), plan.tight, host.now),
            host,
            record: Record::new(),
            clients: clients.map(|(number, habits)| Client::new(number, *habits)).collect(),
            crooks: (0..plan.crooks).map(|number| Crook::new(number, &mut chance)).collect(),
            open: Vec::new(),
            chance,
            plan,
        }
    }

    pub(crate) fn ms(&self) -> u64 {
        self.host.now.ticks_ms
    }

    /// Chance chooses.
    fn step(&mut self) {
        match self.chance.below(if self.plan.keeps { 120 } else { 100 }) {
            0..26 => self.up(),
            26..48 => self.down(),
            48..55 => self.letter(),
            55..60 => self.settle_one(),
            60..82 => self.act(),
            82..89 => self.misbehave(),
            89..91 => self.stall(),
            91 => self.cut(),
            92 if self.chance.once_in(5) => self.kick(),
            92..98 => {
                let ms = self.chance.between(1, 40);
                self.pass(ms, false);
            }
            100..108 => self.commit(),
            108..119 => self.report(),
            119 if self.chance.once_in(3) => self.crash(),
            119.. => self.trouble(),
            _ => {
                let flows = !self.chance.once_in(4);
                let most = self.chance.pick(&[500, 3_000, 20_000, 20_000, 150_000, 700_000]);
                let ms = self.chance.between(1, most);
                self.pass(ms, flows);
            }
        }
        self.judge();
    }

    /// Tells the model what passed.
    pub(crate) fn judge(&mut self) {
        self.model.now = self.host.now;
        self.model.moments.insert(self.host.now.ticks_ms);
        while let Some(seen) = self.host.seen.pop_front() {
            match seen {
                Seen::Admitted { line, client_id, connect } => {
                    self.admitted(line, &client_id, &connect);
                }
                Seen::Took { line, bytes } => self.model.took(line, &bytes),
                Seen::Said { line, packet } => self.model.said(line, &packet),
                Seen::Lost { line } => {
                    if self.model.connections.contains_key(&line) {
                        self.model.end_connection(line, false);
                    }
                }
                Seen::Ended { client_id, departure } => {
                    let violated = matches!(departure, Departure::Violation(_));
                    let crook = client_id.starts_with("crook");
                    self.record.tally.violations += u64::from(violated && crook);
                    if !self.is_crooked(&client_id) {
                        self.model.ended(&client_id, departure);
                    }
                }
                Seen::Ticked { shard } => self.model.ticked(shard, &self.host),
            }
        }
    }

    /// Whether a session is none of the model's: dishonest clients choose their names badly.
    fn is_crooked(&mut self, client_id: &str) -> bool {
        self.model.session_of(client_id).is_none()
    }

    fn admitted(&mut self, line: usize, client_id: &str, connect: &[u8]) {
        let client = self.clients.iter_mut().find(|client| client.line == Some(line));
        if let Some(client) = client {
            client_id.clone_into(&mut client.client_id);
        }
        let known = self.open.iter().find(|(open, _)| *open == line);
        let crook = known.is_some_and(|(_, peer)| matches!(peer, Peer::Crook(_)));
        if crook || client_id.starts_with("crook") {
            self.record.tally.crook_connections += 1;
            return;
        }
        let frame = Frame::split(connect, PACKET_BYTES_MAX).ok().flatten().expect("a packet");
        let packet = decode(frame, Version::V5);
        let Ok(Packet::Connect(connect)) = packet else { panic!("a CONNECT was let in") };
        self.model.admitted(line, client_id, &connect);
    }

    fn some_line(&mut self) -> Option<(usize, Peer)> {
        let count = self.open.len();
        (count > 0).then(|| self.open[self.chance.below(count)])
    }

    /// Some bytes come out of a line at the broker.
    fn up(&mut self) {
        let Some((line, _)) = self.some_line() else { return };
        let waiting = self.host.lines[line].up.len();
        let count = if self.chance.once_in(2) { waiting } else { self.chance.below(waiting + 1) };
        self.up_line(line, count);
        if !self.chance.once_in(4) {
            self.settle_one();
        }
    }

    pub(crate) fn up_line(&mut self, line: usize, count: usize) {
        let up = &self.host.lines[line].up;
        let count = count.min(up.len());
        let moves = count > 0 || up.is_ended() || self.host.is_held(line);
        if up.flows(self.ms()) && moves && !self.host.is_closed(line) {
            self.host.arrive(line, count, &mut self.record);
            self.judge();
        }
    }

    /// Some bytes come out of a line at the client.
    fn down(&mut self) {
        let Some((line, peer)) = self.some_line() else { return };
        let waiting = self.host.lines[line].down.len();
        let count = if self.chance.once_in(2) { waiting } else { self.chance.below(waiting + 1) };
        self.down_line(line, peer, count);
    }

    pub(crate) fn down_line(&mut self, line: usize, peer: Peer, count: usize) {
        let ms = self.ms();
        let deaf = matches!(peer, Peer::Crook(number) if !self.crooks[number].reads());
        let pipe = &mut self.host.lines[line].down;
        if !pipe.flows(ms) || deaf && !pipe.is_ended() {
            return;
        }
        let bytes = pipe.take(count);
        let over = pipe.is_over();
        if !bytes.is_empty() && self.host.is_blocked(line) {
            self.host.writable(line, &mut self.record);
            self.judge();
        }
        match peer {
            Peer::Client(number) if self.clients[number].line == Some(line) => {
                let said = self.clients[number].hear(&bytes, &mut self.chance);
                self.host.lines[line].up.put(&said);
                if over {
                    self.clients[number].disconnected();
                }
            }
            Peer::Crook(number) if over && self.crooks[number].line == Some(line) => {
                self.crooks[number].line = None;
            }
            Peer::Client(_) | Peer::Crook(_) | Peer::Nobody => {}
        }
        if over && self.host.is_closed(line) {
            self.open.retain(|(open, _)| *open != line);
        }
    }

    fn letter(&mut self) {
        let letters = self.host.letters();
        if letters.is_empty() {
            return;
        }
        let (from, to) = self.chance.pick(&letters);
        self.host.deliver(from, to);
        if !self.chance.once_in(4) {
            self.host.settle(to, &mut self.record);
        }
        self.judge();
    }

    /// The journal writes something, or all there is.
    fn commit(&mut self) {
        let Some(disk) = &self.host.disk else { return };
        let pending = disk.pending();
        let count = if self.chance.once_in(3) { self.chance.below(pending + 1) } else { pending };
        self.host.commit(count);
        if self.chance.once_in(4)
            && let Some(disk) = &mut self.host.disk
        {
            disk.maintain();
        }
    }

    /// A shard hears from the journal.
    fn report(&mut self) {
        self.host.answer_load();
        let shard = self.chance.below(self.host.shards.len());
        for at in 0..self.host.shards.len() {
            let shard = (shard + at) % self.host.shards.len();
            if self.host.report(shard) {
                if !self.chance.once_in(4) {
                    self.host.settle(shard, &mut self.record);
                }
                return self.judge();
            }
        }
    }

    /// The disk is slow, full or broken for a while.
    fn trouble(&mut self) {
        let until_ms = self.ms() + self.chance.between(1, 5_000);
        let kind = self.chance.below(6);
        let Some(disk) = &mut self.host.disk else { return };
        self.record.tally.troubles += 1;
        match kind {
            0 => disk.fail(Fault::Full, until_ms),
            1 | 2 => disk.fail(Fault::Failed { kept: kind == 1 }, until_ms),
            _ => disk.stall(until_ms),
        }
    }

    /// The broker ends without a word, and begins anew after a while.
    fn crash(&mut self) {
        if self.plan.calm {
            return;
        }
        self.judge();
        let how = self.chance.pick(&[Crash::Kill, Crash::PowerCut]);
        let shards = self.chance.pick(&[1, 2, 4]);
        self.record.tally.crashes += 1;
        self.record.tally.power_cuts += u64::from(how == Crash::PowerCut);
        self.record.note(self.ms(), format_args!("{how:?}, then {shards} shards"));
        self.host.crash(how, shards, &mut self.chance);
        let most = self.chance.pick(&[1, 100, 3_000, 20_000, 150_000, 700_000]);
        let down_ms = self.chance.between(1, most);
        self.host.now.ticks_ms += down_ms;
        self.host.now.unix_ms += down_ms;
        self.model.now = self.host.now;
        let survey = self.host.survey();
        self.model.crashed(&survey, how);
        self.host.recover();
        if self.chance.once_in(4) {
            let picture = self.host.picture();
            self.host.forget();
            self.host.recover();
            assert_eq!(self.host.picture(), picture, "another reading of the same store");
        }
        for client in &mut self.clients {
            client.is_gone |= self.chance.once_in(20);
        }
        self.check();
    }

    fn settle_one(&mut self) {
        let shard = self.chance.below(self.host.shards.len());
        for at in 0..self.host.shards.len() {
            let shard = (shard + at) % self.host.shards.len();
            if self.host.unsettled[shard] {
                self.host.settle(shard, &mut self.record);
                return self.judge();
            }
        }
    }

    /// A client does something.
    fn act(&mut self) {
        let number = self.chance.below(self.clients.len());
        let ms = self.ms();
        let client = &mut self.clients[number];
        let Some(line) = client.line else {
            if !client.is_gone {
                self.connect(number);
            }
            return;
        };
        let said = match self.chance.below(40) {
            // It gives up a connection, and opens another.
            0 => return self.connect(number),
            1 => return self.leave(number),
            _ if !client.connected => return,
            2..20 => {
                let count = if self.plan.busy { 30 } else { 1 };
                (0..count).flat_map(|_| client.publish(&mut self.chance)).collect()
            }
            20..24 => client.subscribe(&mut self.chance),
            24..26 => client.unsubscribe(&mut self.chance),
            26 => client.ping(ms),
            _ => client.answer(ms),
        };
        self.host.lines[line].up.put(&said);
    }

    pub(crate) fn connect(&mut self, number: usize) {
        if let Some(line) = self.clients[number].line {
            self.abandon(line);
        }
        let room = self.chance.pick(&[60, 1000, 30_000]);
        let line = self.host.open(room);
        self.open.push((line, Peer::Client(number)));
        let ms = self.ms();
        let said = self.clients[number].connect(line, &mut self.chance, ms);
        self.host.lines[line].up.put(&said);
    }

    /// The client listens no more; the broker may learn of it late, or by a new connection.
    fn abandon(&mut self, line: usize) {
        for (open, peer) in &mut self.open {
            if *open == line {
                *peer = Peer::Nobody;
            }
        }
        if !self.plan.calm && self.chance.once_in(2) {
            self.host.lines[line].cut(&mut self.chance);
        }
    }

    fn leave(&mut self, number: usize) {
        let Some(line) = self.clients[number].line else { return };
        if !self.clients[number].connected {
            return;
        }
        let said = self.clients[number].disconnect(&mut self.chance);
        self.host.lines[line].up.put(&said);
        self.host.lines[line].up.end();
        self.abandon_quietly(line);
    }

    fn abandon_quietly(&mut self, line: usize) {
        for (open, peer) in &mut self.open {
            if *open == line {
                *peer = Peer::Nobody;
            }
        }
    }

    fn misbehave(&mut self) {
        if self.crooks.is_empty() {
            return;
        }
        let number = self.chance.below(self.crooks.len());
        let line = match self.crooks[number].line {
            Some(line) if self.chance.once_in(30) => {
                self.host.lines[line].cut(&mut self.chance);
                self.crooks[number].line = None;
                return;
            }
            Some(line) => line,
            None => {
                let line = self.host.open(self.chance.pick(&[50, 5000]));
                self.open.push((line, Peer::Crook(number)));
                let said = self.crooks[number].connect(line, &mut self.chance);
                self.record.tally.crook_bytes += said.len() as u64;
                return self.host.lines[line].up.put(&said);
            }
        };
        // A network holds only so much of what nobody takes.
        if self.host.lines[line].up.len() < 20_000 {
            let said = self.crooks[number].act(&mut self.chance);
            self.record.tally.crook_bytes += said.len() as u64;
            self.host.lines[line].up.put(&said);
        }
    }

    fn stall(&mut self) {
        let Some((line, _)) = self.some_line() else { return };
        let until_ms = self.ms() + self.chance.between(1, 5_000);
        let line = &mut self.host.lines[line];
        if !self.plan.calm {
            self.record.tally.stalls += 1;
            let pipe = if self.chance.once_in(2) { &mut line.up } else { &mut line.down };
            pipe.stall(until_ms);
        }
    }

    fn cut(&mut self) {
        let Some((line, peer)) = self.some_line() else { return };
        if self.plan.calm && !matches!(peer, Peer::Client(_)) {
            return;
        }
        self.record.tally.cuts += 1;
        self.record.tally.cut_inside += u64::from(self.host.lines[line].up.len() > 0);
        self.record.note(self.host.now.ticks_ms, format_args!("line {line} is cut"));
        self.host.lines[line].cut(&mut self.chance);
    }

    fn kick(&mut self) {
        let number = self.chance.below(self.clients.len());
        let client_id = self.clients[number].client_id.clone();
        self.record.tally.kicked += u64::from(self.host.kick(&client_id));
        self.judge();
    }
}

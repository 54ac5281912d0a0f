//! Time passes, everything flows, and a run comes to its end: the part of a run without choices.

use crate::checks::check_rest;
use crate::disk::Disk;
use crate::honest::Client;
use crate::schedule::{Peer, World};

impl World {
    /// Time passes; what is due is done in its time, and clients stay alive where the network
    /// lets them.
    pub(crate) fn pass(&mut self, ms: u64, flows: bool) {
        let end_ms = self.ms() + ms;
        if flows {
            self.pump();
        }
        loop {
            let disk = self.host.disk.as_ref().and_then(|disk| disk.deadline(self.ms()));
            let pings = self.clients.iter().filter_map(Client::ping_at_ms);
            let next_ms = pings.chain(self.host.deadline()).chain(disk).min().unwrap_or(end_ms);
            let at_ms = next_ms.clamp(self.ms(), end_ms.max(self.ms()));
            self.host.now.unix_ms += at_ms - self.ms();
            self.host.now.ticks_ms = at_ms;
            self.ping();
            self.judge();
            self.host.tick(&mut self.record);
            self.judge();
            if flows {
                self.pump();
            }
            if next_ms >= end_ms {
                return;
            }
        }
    }

    pub(crate) fn ping(&mut self) {
        let ms = self.ms();
        for client in &mut self.clients {
            if client.ping_at_ms().is_some_and(|at_ms| at_ms <= ms)
                && let Some(line) = client.line
            {
                let said = client.ping(ms);
                self.host.lines[line].up.put(&said);
            }
        }
    }

    /// Everything that is not stalled flows until nothing moves; clients answer.
    pub(crate) fn pump(&mut self) {
        for _ in 0..100_000 {
            let before = self.record.hash;
            for (line, peer) in self.open.clone() {
                self.up_line(line, usize::MAX);
                self.down_line(line, peer, usize::MAX);
            }
            for shard in 0..self.host.shards.len() {
                if self.host.unsettled[shard] {
                    self.host.settle(shard, &mut self.record);
                }
            }
            let mut moved = false;
            for (from, to) in self.host.letters() {
                self.host.deliver(from, to);
                moved = true;
            }
            moved |= self.pump_disk();
            self.judge();
            let ms = self.ms();
            for client in &mut self.clients {
                let Some(line) = client.line else { continue };
                while !client.answers.is_empty() {
                    let said = client.answer(ms);
                    self.host.lines[line].up.put(&said);
                    moved = true;
                }
            }
            let unsettled = self.host.unsettled.iter().any(|unsettled| *unsettled);
            if before == self.record.hash && !moved && !unsettled {
                return self.model.forget_hopeless(&self.host);
            }
        }
        panic!("it does not come to rest");
    }

    /// The journal does all it can.
    fn pump_disk(&mut self) -> bool {
        let ms = self.ms();
        let Some(disk) = &self.host.disk else { return false };
        if !disk.moves(ms) {
            return false;
        }
        self.host.commit(usize::MAX);
        for _ in 0..100 {
            self.host.answer_load();
        }
        for shard in 0..self.host.shards.len() {
            while self.host.report(shard) {}
        }
        true
    }

    pub(crate) fn check(&mut self) {
        self.judge();
        self.model.check_always(&self.host);
    }

    /// The network is well again, everybody comes back, hears everything and answers it.
    pub(crate) fn settle(&mut self) {
        self.host.disk.iter_mut().for_each(Disk::heal);
        for line in &mut self.host.lines {
            line.up.stall(0);
            line.down.stall(0);
        }
        // What nobody listens to any more, the broker learns of.
        for (line, peer) in self.open.clone() {
            if peer == Peer::Nobody {
                self.host.lines[line].cut(&mut self.chance);
            }
        }
        self.pump();
        for _ in 0..2 {
            for number in 0..self.clients.len() {
                let client = &self.clients[number];
                if client.line.is_none() && client.habits.persistent && !client.is_gone {
                    self.connect(number);
                }
            }
            self.pump();
        }
        for client in &self.clients {
            assert!(client.is_done() || client.line.is_none(), "{client:?}");
        }
        self.model.check_quiet(&self.host);
    }

    /// Those that never expire.
    fn delete_sessions(&mut self) {
        let now = self.host.clock();
        for shard in 0..self.host.shards.len() {
            for view in self.host.shards[shard].clients(None, usize::MAX) {
                assert!(self.host.shards[shard].delete_session(&view.client_id, now));
                self.host.unsettled[shard] = true;
                let serial = self.model.session_of(&view.client_id).map(|session| session.serial);
                serial.into_iter().for_each(|serial| self.model.end_session(serial));
            }
        }
        self.pass(200_000, true);
    }

    /// Everybody goes, every session expires, retained messages are deleted: nothing may be left.
    pub(crate) fn end(&mut self) {
        for (line, _) in self.open.clone() {
            self.host.lines[line].cut(&mut self.chance);
        }
        self.pump();
        let expiry_ms = u64::from(self.plan.limits.session_expiry_secs_max.min(20_000)) * 1000;
        self.pass(expiry_ms + 200_000, true);
        self.delete_sessions();
        self.model.check_retained(&self.host);
        check_rest(&self.host);
        for filter in ["#", "$x/#"] {
            let found: Vec<_> =
                self.host.commons.retained(filter, usize::MAX, self.host.clock()).collect();
            for view in found {
                let now = self.host.clock();
                assert!(self.host.shards[0].forget_retained(&view.topic, now), "{view:?}");
                self.host.unsettled[0] = true;
            }
        }
        self.pump();
        if self.plan.keeps {
            self.host.check_empty(&mut self.record);
        }
    }
}

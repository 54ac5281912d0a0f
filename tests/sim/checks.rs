//! The broker's own pictures of its clients, retained messages and counters, compared with the
//! model: while things move, when everything is quiet, and when everybody is gone.

use std::collections::BTreeSet;

use mqttd::broker::{ClientView, Stats};
use mqttd::codec::QoS;
use mqttd::store::Store;

use crate::host::Host;
use crate::model::{Due, LARGE_BYTES, MARK, Message, Model, Out, Session, SharedDue};
use crate::record::Record;

impl Model {
    /// What holds at any moment.
    pub(crate) fn check_always(&mut self, host: &Host) {
        for session in &self.sessions {
            let shard = &host.shards[host.commons.home(&session.client_id)];
            let view = shard.client(&session.client_id);
            let view = view.unwrap_or_else(|| panic!("{} has no session", session.client_id));
            same_session(session, &view, &self.messages);
            let known = shard.subscriptions(&session.client_id);
            for one in &session.subscriptions {
                let same = known.iter().any(|view| {
                    *view.filter == *one.filter
                        && view.options == one.options
                        && view.identifier == one.identifier
                });
                assert!(same, "{}: {one:?} in {known:?}", session.client_id);
            }
        }
        self.check_bounds(host);
        self.check_retained(host);
        for (number, shard) in host.shards.iter().enumerate() {
            let connected = shard.stats().value("clients.connected");
            let unsettled = host.unsettled[number];
            let sockets = host.connection_count(number) as u64;
            assert!(
                unsettled || connected == sockets,
                "{connected} connections, {sockets} sockets"
            );
        }
    }

    fn check_bounds(&self, host: &Host) {
        let limits = &self.limits;
        let retained = host.commons.stats().value("retained.messages");
        for view in host.shards.iter().flat_map(|shard| shard.clients(None, usize::MAX)) {
            // After a crash PUBREL goes out again for all whose PUBCOMP may not be on the disk.
            let in_bounds = view.inflight <= usize::from(limits.inflight_max);
            assert!(in_bounds || self.began_ms > 0, "{view:?}");
            // Retained messages wait beyond the bound, each about once.
            let waiting_max = u64::from(limits.queue_messages_max) + 2 * retained.max(40);
            assert!(view.queue_messages as u64 <= waiting_max, "{view:?}");
            // Nor do bounds hold for what was in flight before a crash, and waits again.
            let in_bounds = view.queue_bytes <= limits.queue_bytes_max;
            assert!(retained > 0 || self.began_ms > 0 || in_bounds, "{view:?}");
            assert!(view.subscriptions <= limits.subscriptions_max as usize, "{view:?}");
        }
        assert!(retained <= limits.retained_messages_max);
        // A step may go over the budget by what one packet brings.
        let used = host.commons.memory_bytes();
        let slack = u64::from(limits.packet_bytes_max) + 64 * 1024;
        assert!(used <= limits.memory_bytes_max + slack, "{used} bytes used");
    }

    /// The retained messages are the model's.
    pub(crate) fn check_retained(&mut self, host: &Host) {
        let now_ms = self.now.ticks_ms;
        let messages = &self.messages;
        let is_lossy = self.tight && host.commons.stats().value("retained.refused") > 0;
        if !is_lossy {
            newest_of_each_topic(&mut self.retained, messages);
        }
        self.retained
            .retain(|&number| messages[number].expires_ms.is_none_or(|at_ms| at_ms > now_ms));
        let all =
            ["#", "$x/#"].map(|filter| host.commons.retained(filter, usize::MAX, host.clock()));
        let mut found: Vec<_> = all.into_iter().flatten().collect();
        found.retain(|view| view.payload.starts_with(MARK));
        for view in &found {
            let known = self.retained.iter().any(|&number| {
                let message = &self.messages[number];
                message.topic == *view.topic
                    && message.payload == view.payload
                    && message.qos == view.qos
            });
            assert!(known, "{view:?} is retained");
        }
        if is_lossy {
            // What is there of each topic may be older than the newest.
            let is_there = |&number: &usize| {
                let message = &messages[number];
                found
                    .iter()
                    .any(|view| *view.topic == *message.topic && view.payload == message.payload)
            };
            self.retained.retain(is_there);
            newest_of_each_topic(&mut self.retained, messages);
        }
        assert_eq!(found.len(), self.retained.len(), "{found:?}");
    }

    /// Deliveries that nothing can bring any more: QoS 0 that ended with its connection, while no
    /// letter is on its way and nothing waits in the queue.
    pub(crate) fn forget_hopeless(&mut self, host: &Host) {
        for session in &mut self.sessions {
            let shard = &host.shards[host.commons.home(&session.client_id)];
            let view = shard.client(&session.client_id);
            let blocked = session.line.is_some_and(|line| host.is_blocked(line));
            // What waits for an answer that is not on the disk yet.
            let line = session.line.and_then(|line| self.connections.get(&line));
            let blocked = blocked || line.is_some_and(|line| !line.answers.is_empty());
            if !blocked && view.is_some_and(|view| view.queue_messages == 0) {
                let (connections, away) = (session.connections, session.line.is_none());
                let over = |due: &Due| due.chancy || away || due.born < connections;
                session.dues.retain(|due| due.qos != QoS::AtMostOnce || !over(due));
            }
        }
    }

    /// Everything flowed, and everybody answered: nothing is left to come.
    pub(crate) fn check_quiet(&mut self, host: &Host) {
        self.check_always(host);
        for serial in self.sessions.iter().map(|session| session.serial).collect::<Vec<_>>() {
            self.check_settled(serial, host);
        }
        for (at, group) in self.shared.iter().enumerate() {
            let message = &self.messages[group.candidates[0].1.message];
            // It may wait for one that never comes back.
            let is_away = |(serial, _): &(usize, Due)| {
                let mut sessions = self.sessions.iter();
                sessions.any(|session| session.serial == *serial && session.line.is_none())
            };
            let waits = group.candidates.iter().any(is_away);
            let need_not = group.taken.is_some() || group.optional || self.tight || waits;
            let quiet = need_not || !message.is_live(self.now.ticks_ms);
            assert!(
                quiet || self.moved(at, &mut Vec::new()),
                "nobody of {group:?} got {message:?}; alike: {:?}",
                self.alike(group).into_iter().map(|at| &self.shared[at]).collect::<Vec<_>>()
            );
        }
        self.shared.clear();
        self.check_counters(host);
    }

    /// Whether what one of a group got was taken for a delivery of another group, which need not
    /// come, or for which the same holds: of one message they look the same.
    fn moved(&self, at: usize, seen: &mut Vec<usize>) -> bool {
        let group = &self.shared[at];
        seen.push(at);
        self.alike(group).into_iter().any(|other| {
            let fits = |(serial, had): &(usize, Due)| {
                let mut candidates = group.candidates.iter();
                candidates.any(|(known, due)| known == serial && due.same_terms(had))
            };
            let taken = &self.shared[other];
            !seen.contains(&other)
                && taken.taken.as_ref().is_some_and(fits)
                && (taken.optional || self.moved(other, seen))
        })
    }

    /// Groups that a message of this content is due to.
    fn alike(&self, group: &SharedDue) -> Vec<usize> {
        let content = |group: &SharedDue| {
            let message = &self.messages[group.candidates[0].1.message];
            (&message.payload, &message.topic)
        };
        let same = |at: &usize| content(&self.shared[*at]) == content(group);
        (0..self.shared.len()).filter(same).collect()
    }

    fn check_settled(&mut self, serial: usize, host: &Host) {
        let now_ms = self.now.ticks_ms;
        let messages = self.messages.clone();
        let (mut expired, mut too_large) = (0, 0);
        let Some(session) = self.session(serial) else { return };
        let client_id = session.client_id.clone();
        let view = host.shards[host.commons.home(&client_id)].client(&client_id);
        let view = view.expect("it was there a moment ago");
        let (small, connected) = (session.small, session.line.is_some());
        let connections = session.connections;
        session.acknowledged.extend(session.dues.iter().filter(|due| due.lasts).cloned());
        session.dues.retain(|due| {
            let message = &messages[due.message];
            let is_expired = message.expires_ms.is_some_and(|at_ms| at_ms <= now_ms);
            let is_large = small && message.payload.len() > LARGE_BYTES;
            expired += u64::from(is_expired);
            too_large += u64::from(is_large && !is_expired);
            let sure = connected && due.born == connections && !due.chancy;
            !is_expired && !is_large && !due.optional && (sure || due.qos != QoS::AtMostOnce)
        });
        if connected {
            let missing = session.dues.len() as u64 + session.dropped;
            let counted = if self.tight { view.messages_dropped } else { 0 };
            let Some(session) = self.session(serial) else { return };
            assert!(
                missing <= counted,
                "{client_id} still waits for {:?}, {counted} counted as dropped",
                session.dues.iter().map(|due| (due, &messages[due.message])).collect::<Vec<_>>()
            );
            session.dropped = missing;
            session.dues.clear();
            let mut out = std::mem::take(&mut session.out);
            session.acknowledged.extend(out.iter().filter_map(|out| out.due.clone()));
            out.retain(|out| !session.may_be_over(out, &messages));
            session.out = out;
            assert!(session.out.is_empty(), "{client_id}: not acknowledged {:?}", session.out);
            assert_eq!((view.inflight, view.queue_messages, view.queue_bytes), (0, 0, 0));
            assert_eq!(view.awaiting_pubrel, 0, "{client_id}");
        }
        self.tally.expired += expired;
        self.tally.too_large += too_large;
    }

    fn check_counters(&mut self, host: &Host) {
        let mut stats = Stats::default();
        host.shards.iter().for_each(|shard| stats.add(&shard.stats()));
        let at_limits = stats.value("messages.dropped.queue_full")
            + stats.value("messages.dropped.memory_full");
        assert!(self.tight || at_limits == 0, "{at_limits} messages dropped at limits");
        self.tally.dropped = at_limits;
        assert!(self.tight || host.commons.stats().value("retained.refused") == 0);
    }
}

impl Session {
    /// Whether the broker may have ended an exchange by itself: what was on its way to one of a
    /// group may have gone to another, and what became too large counts as delivered.
    fn may_be_over(&self, out: &Out, messages: &[Message]) -> bool {
        out.due.as_ref().is_some_and(|due| {
            let large = messages[due.message].payload.len() > LARGE_BYTES;
            due.shared || self.small && large
        })
    }
}

/// Of messages in the order they came.
fn newest_of_each_topic(retained: &mut Vec<usize>, messages: &[Message]) {
    let mut topics = BTreeSet::new();
    retained.reverse();
    retained.retain(|&number| topics.insert(messages[number].topic.as_str()));
    retained.reverse();
}

fn same_session(session: &Session, view: &ClientView, messages: &[Message]) {
    let client_id = &session.client_id;
    assert_eq!(view.connected, session.line.is_some(), "{client_id} is connected");
    assert_eq!(view.subscriptions, session.subscriptions.len(), "subscriptions of {client_id}");
    assert_eq!(view.awaiting_pubrel, session.received.len(), "QoS 2 of {client_id}");
    assert_eq!(view.will, session.will.is_some(), "will of {client_id}");
    assert_eq!(view.session_expiry_interval_secs, session.expiry_secs, "{client_id}");
    let own = session.out.iter().filter(|out| !session.may_be_over(out, messages));
    assert!(view.inflight >= own.count(), "{client_id}: {:?}", session.out);
}

impl Host {
    /// Nobody is there any more, and nothing is retained: neither does a broker that begins with this
    /// store hold anything, nor the store.
    pub(crate) fn check_empty(&mut self, record: &mut Record) {
        self.forget();
        self.recover();
        check_rest(self);
        assert_eq!(self.commons.memory_bytes(), 0, "bytes counted at rest");
        // What is retained and expired is removed at a start, if no other retained message came.
        for shard in 0..self.shards.len() {
            self.settle(shard, record);
        }
        self.commit(usize::MAX);
        let Some(disk) = &mut self.disk else { return };
        disk.maintain();
        let usage = disk.store.usage();
        assert_eq!((usage.messages, usage.live_bytes), (0, 0), "in the store at rest");
        let survey = self.survey();
        assert!(survey.sessions.is_empty() && survey.retained.is_empty(), "{survey:?}");
        assert!(survey.messages.is_empty(), "{survey:?}");
    }
}

/// Nobody is there any more and every session has expired: the broker holds nothing.
pub(crate) fn check_rest(host: &Host) {
    let stats = host.commons.stats();
    for row in ["sessions", "subscriptions"] {
        assert_eq!(stats.value(row), 0, "{row} at rest");
    }
    let retained_bytes = stats.value("retained.bytes");
    assert_eq!(host.commons.memory_bytes(), retained_bytes, "bytes counted at rest");
    for shard in &host.shards {
        assert_eq!(shard.deadline(), None, "a timer at rest");
        assert_eq!(shard.stats().value("clients.connected"), 0);
        assert!(shard.clients(None, 1).is_empty());
    }
    assert!(host.letters().is_empty());
}

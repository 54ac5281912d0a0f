//! What time and the ends of connections do, as the model has it: wills, expiry, keep alive.
//!
//! When exactly a timer comes within its slack is the broker's choice. It is asked after each turn
//! of its wheel which wills and sessions are gone; each must be due, and none may be overdue.

use mqttd::broker::{Departure, Shard};

use crate::host::Host;
use crate::model::{Model, SLACK_MS};

impl Model {
    /// A connection ended, and with a normal DISCONNECT or not.
    pub(crate) fn end_connection(&mut self, line: usize, normal: bool) {
        let now_ms = self.now.ticks_ms;
        let connection = self.connection(line);
        if std::mem::replace(&mut connection.ended, true) {
            return;
        }
        self.op += 1;
        let op = self.op;
        let session = self.own_session(line);
        session.line = None;
        session.away_since_ms = now_ms;
        session.past.away_since_ms.note(op, Some(now_ms));
        let discarded = normal && session.will.take().is_some();
        if discarded {
            session.past.will.note(op, None);
        }
        let (serial, expiry_secs) = (session.serial, session.expiry_secs);
        let delay_secs = session.will.as_ref().map(|will| will.delay_secs);
        self.interrupted(serial);
        self.tally.wills_discarded += u64::from(discarded);
        if expiry_secs == 0 {
            self.tally.wills_at_once += u64::from(delay_secs.is_some());
            self.end_session(serial);
            return;
        }
        if delay_secs == Some(0) {
            self.tally.wills_at_once += 1;
            self.publish_will(serial);
        }
    }

    fn publish_will(&mut self, serial: usize) {
        let now_ms = self.now.ticks_ms;
        self.op += 1;
        let op = self.op;
        let Some(session) = self.session(serial) else { return };
        let Some(will) = session.will.take() else { return };
        session.past.will.note(op, None);
        let mut message = will.message;
        message.expiry_secs = will.expiry_secs;
        message.expires_ms = will.expiry_secs.map(|secs| now_ms + u64::from(secs) * 1000);
        self.publish(serial, message, will.retain);
    }

    /// A client comes back whose Will was due before.
    pub(crate) fn publish_overdue_will(&mut self, client_id: &str) {
        let now_ms = self.now.ticks_ms;
        let Some(session) = self.session_of(client_id).filter(|it| it.line.is_none()) else {
            return;
        };
        let since_ms = session.away_since_ms;
        let due_ms = session.will.as_ref().map(|will| since_ms + u64::from(will.delay_secs) * 1000);
        if due_ms.is_some_and(|due_ms| now_ms >= due_ms) {
            let serial = session.serial;
            self.tally.wills_delayed += 1;
            self.publish_will(serial);
        }
    }

    pub(crate) fn end_session(&mut self, serial: usize) {
        self.publish_will(serial);
        let at = self.sessions.iter().position(|session| session.serial == serial);
        self.ghosts.extend(at.map(|at| self.sessions.remove(at)));
        self.left(serial, None);
    }

    /// The broker says that a connection ended: it must have a reason.
    pub(crate) fn ended(&mut self, client_id: &str, departure: Departure) {
        // Seen as packets, cuts and connections.
        let seen =
            [Departure::Normal, Departure::WithWill, Departure::ByPeer, Departure::TakenOver];
        if seen.contains(&departure) {
            return;
        }
        let now_ms = self.now.ticks_ms;
        let Some(line) = self.session_of(client_id).and_then(|session| session.line) else {
            return;
        };
        let connection = self.connection(line);
        let silent_ms = now_ms - connection.heard_ms;
        let patience_ms = u64::from(connection.keep_alive_secs) * 1500;
        if let Departure::Violation(violation) = departure {
            let silence = matches!(violation, mqttd::session::Violation::KeepAliveTimeout);
            assert!(silence, "{client_id} is honest, and is told: {violation}");
            assert!(patience_ms > 0 && silent_ms >= patience_ms, "{client_id} was not silent");
            self.tally.keep_alive_timeouts += 1;
        }
        self.end_connection(line, false);
    }

    /// A shard did what was due.
    pub(crate) fn ticked(&mut self, shard: usize, host: &Host) {
        let here = |client_id: &str| host.commons.home(client_id) == shard;
        let serials: Vec<usize> = self
            .sessions
            .iter()
            .filter(|session| here(&session.client_id))
            .map(|session| session.serial)
            .collect();
        for serial in serials {
            self.time_passed(serial, &host.shards[shard], host);
        }
    }

    fn time_passed(&mut self, serial: usize, shard: &Shard, host: &Host) {
        let now_ms = self.now.ticks_ms;
        let Some(session) = self.session(serial) else { return };
        let client_id = session.client_id.clone();
        if let Some(line) = session.line {
            let connection = self.connection(line);
            let patience_ms = u64::from(connection.keep_alive_secs) * 1500;
            // One that is not read is there as long as it takes what it is sent.
            let alive_ms = connection.heard_ms.max(host.took_ms(line));
            let overdue = now_ms > alive_ms + patience_ms + SLACK_MS;
            assert!(patience_ms == 0 || !overdue, "{client_id} is silent and still connected");
            return;
        }
        let ends_ms = session.away_since_ms + u64::from(session.expiry_secs) * 1000;
        let delay_ms = |secs: u32| session.away_since_ms + u64::from(secs) * 1000;
        let will_ms = session.will.as_ref().map(|will| delay_ms(will.delay_secs).min(ends_ms));
        let view = shard.client(&client_id);
        if view.is_none() {
            assert!(now_ms >= ends_ms, "the session of {client_id} ended before its time");
            self.tally.sessions_expired += 1;
            self.tally.wills_delayed += u64::from(will_ms.is_some());
            return self.end_session(serial);
        }
        let began_ms = self.began_ms;
        assert!(
            now_ms <= ends_ms.max(began_ms) + SLACK_MS,
            "the session of {client_id} outlives its time"
        );
        let armed = view.is_some_and(|view| view.will);
        if let (Some(will_ms), false) = (will_ms, armed) {
            assert!(now_ms >= will_ms, "the will of {client_id} came before its time");
            self.tally.wills_delayed += 1;
            return self.publish_will(serial);
        }
        let overdue = will_ms.is_some_and(|will_ms| now_ms > will_ms.max(began_ms) + SLACK_MS);
        assert!(!overdue, "the will of {client_id} does not come");
    }
}

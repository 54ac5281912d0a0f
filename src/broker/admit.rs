//! CONNECT, once the lobby let it through: takeover, resume, CONNACK.

use super::timers::{FAR_MS, Purpose, Timer};
use super::{Admission, ConnectionId, Departure, Event, Now, Refusal, Shard, Storing};
use crate::codec::{
    Connack, PACKET_BYTES_MAX, Packet, Properties, PropertiesBuf, Property, ReasonCode, Version,
};
use crate::session::{Aliases, AssignedAliases, Link, Outbox, PeerLimits, Session, encode_fitted};

impl Shard {
    /// Lets a client in: takeover, resume, CONNACK.
    ///
    /// The caller closes what `closing` names and then puts the socket under the id returned.
    ///
    /// # Errors
    /// There are as many sessions as there may be, the session or its Will would have to be written
    /// down and cannot be, or the client takes no CONNACK; the caller sends the CONNACK that says so.
    pub fn admit(&mut self, admission: Admission, now: Now) -> Result<ConnectionId, Refusal> {
        self.begin(now);
        let (client_id, peer) = (admission.client_id.clone(), admission.peer);
        let admitted = self.admit_client(admission);
        if let Err(refusal) = admitted {
            self.desk.trays.note(Event::Refused { client_id, peer, refusal });
        }
        self.finish();
        admitted
    }

    fn admit_client(&mut self, mut admission: Admission) -> Result<ConnectionId, Refusal> {
        let properties = self.fitted_connack_properties(&admission)?;
        self.check_store(&admission)?;
        self.take_over(&admission);
        // Resumed `[MQTT-3.1.2-5]` or new `[MQTT-3.1.2-6]`; the identifier is the session's name
        // `[MQTT-3.1.3-2]`.
        let resumed = self.desk.roster.find(&admission.client_id);
        let slot = match resumed {
            Some(slot) => slot,
            None => self.begin_session(&admission)?,
        };
        let link = Box::new(self.link(&mut admission));
        let keep_alive_secs = link.keep_alive_secs;
        let Some(id) = self.desk.roster.connect(slot, link) else {
            return Err(Refusal::TooManySessions);
        };
        let will = admission.will.take();
        let was_timeless = self.desk.roster.session(slot).is_some_and(is_timeless);
        if let Some(session) = self.desk.roster.session_mut(slot) {
            session.username = admission.username.clone();
            session.version = admission.version;
            session.clean_start = admission.clean_start;
            session.expiry_interval_secs = admission.session_expiry_interval_secs;
            session.connected_unix_ms = self.now.unix_ms;
            session.disconnected_unix_ms = None;
            session.away_since_ms = None;
            session.drop_told = false;
            // Kept with the session `[MQTT-3.1.2-7]`; a resumed session's delayed Will is discarded
            // `[MQTT-3.1.3-9]`.
            session.will = will;
            if let Some(link) = &mut session.link {
                link.resend = session.inflight.unacknowledged_latest_first();
            }
        }
        let before = self.desk.ticket();
        self.keep_admitted(slot, was_timeless);
        // Before all that waits for the client `[MQTT-3.2.0-1]`.
        self.answer(id, &admission, resumed.is_some(), properties.as_properties());
        // It may not be on the disk yet that there is this session, or that there is none.
        let is_kept = self.desk.roster.session(slot).is_some_and(|it| it.kept.is_some());
        if self.desk.ticket() != before
            || self.desk.ended.contains_key(&admission.client_id)
            || is_kept && self.down().is_none()
        {
            self.desk.shut(id);
        }
        self.desk.refill(slot);
        self.recall_from_absent(slot);
        self.watch_keep_alive(id, keep_alive_secs, self.now.ticks_ms);
        self.desk.counters.connections += 1;
        self.commons.note_connected();
        self.desk.trays.note(Event::Connected {
            client_id: admission.client_id,
            username: admission.username,
            peer: admission.peer,
            version: admission.version,
            session_present: resumed.is_some(),
            keep_alive_secs,
        });
        Ok(id)
    }

    /// Ends an earlier connection of the same client `[MQTT-3.1.4-3]`, and its session when a
    /// clean start asks for it `[MQTT-3.1.2-4]` `[MQTT-3.1.4-4]`.
    fn take_over(&mut self, admission: &Admission) {
        let Some(slot) = self.desk.roster.find(&admission.client_id) else {
            return;
        };
        let link = self.desk.roster.session(slot).and_then(|session| session.link.as_ref());
        if let Some(serial) = link.map(|link| link.serial) {
            self.end_connection(ConnectionId { slot, serial }, Departure::TakenOver);
        }
        if admission.clean_start && self.desk.roster.find(&admission.client_id).is_some() {
            return self.end_session(slot);
        }
        self.publish_overdue_will(slot);
    }

    /// While the store keeps nothing, CONNACK would have to wait where it promises what is not on the
    /// disk: that a session begins or is over, stays for another time, that a Will is kept, or that
    /// one is not published any more. Better it says so, before anything is done. A session of which
    /// nothing changes goes on, as does what is not kept at all.
    fn check_store(&self, admission: &Admission) -> Result<(), Refusal> {
        let Some(refusal) = self.down() else { return Ok(()) };
        let asked_secs = admission.session_expiry_interval_secs;
        let slot = self.desk.roster.find(&admission.client_id);
        let known = slot.and_then(|slot| self.desk.roster.session(slot));
        let is_kept = match known.and_then(|known| Some((known, known.kept.as_ref()?))) {
            Some((known, kept)) => {
                !admission.clean_start
                    && admission.will.is_none()
                    && known.will.is_none()
                    && known.outlives_connection()
                    && known.expiry_interval_secs == asked_secs
                    && kept.promise_ticket <= self.desk.durable
            }
            None => asked_secs == 0 && !self.desk.ended.contains_key(&admission.client_id),
        };
        if is_kept { Ok(()) } else { Err(refusal) }
    }

    /// Why the store keeps nothing at the moment, if so.
    const fn down(&self) -> Option<Refusal> {
        match self.desk.storing {
            Storing::Off | Storing::Well => None,
            Storing::Full => Some(Refusal::StoreFull),
            Storing::Failed => Some(Refusal::StoreFailed),
        }
    }

    fn begin_session(&mut self, admission: &Admission) -> Result<u32, Refusal> {
        if !self.commons.begin_session(self.limits.sessions_max) {
            return Err(Refusal::TooManySessions);
        }
        let client_id = admission.client_id.clone();
        let session = Session::new(client_id, admission.version, self.now.unix_ms);
        self.desk.roster.insert(session).ok_or(Refusal::TooManySessions)
    }

    /// Writes a session down that outlives its connection. Somebody waits for it, as its time would
    /// go on from the connection before, and another Will be published; but not where neither means
    /// anything. Nor while the store keeps nothing, where only its time changes: better a session
    /// that is known goes on.
    fn keep_admitted(&mut self, slot: u32, was_timeless: bool) {
        let is_first = self.tell_identifier(slot);
        let Some(session) = self.desk.roster.session(slot) else { return };
        let means_something = is_first || !(was_timeless && is_timeless(session));
        let has_changed = means_something && self.down().is_none();
        match (session.outlives_connection(), session.kept.is_some()) {
            // One that is to end with this connection does so when it ends: what waits for it is on
            // the disk.
            (_, true) => self.desk.note_state(slot, has_changed),
            (true, false) => self.begin_keeping(slot),
            (false, false) => {}
        }
    }

    fn link(&self, admission: &mut Admission) -> Link {
        Link {
            serial: 0,
            version: admission.version,
            bridge: admission.bridge,
            peer: admission.peer,
            limits: admission.limits,
            authentication: admission.authentication.take(),
            keep_alive_secs: admission.keep_alive_secs,
            received_ms: self.now.ticks_ms,
            aliases: Aliases::new(self.limits.topic_alias_maximum),
            assigned: self.assigned_aliases(admission.limits),
            outbox: Outbox::default(),
            held: None,
            resend: Vec::new(),
            dirty: false,
            counted_bytes: 0,
            messages_in: 0,
            messages_out: 0,
        }
    }

    /// `[MQTT-3.1.2-26]` `[MQTT-3.1.2-27]`
    fn assigned_aliases(&self, limits: PeerLimits) -> Option<Box<AssignedAliases>> {
        let maximum = limits.topic_alias_maximum.min(self.limits.assigned_aliases_max);
        let seed = self.commons.hash_seed();
        (maximum > 0).then(|| Box::new(AssignedAliases::new(maximum, seed)))
    }

    /// CONNACK `[MQTT-3.1.4-5]` that tells whether there was a session `[MQTT-3.2.2-2]`
    /// `[MQTT-3.2.2-3]`.
    fn answer(
        &mut self,
        id: ConnectionId,
        admission: &Admission,
        resumed: bool,
        properties: Properties<'_>,
    ) {
        // 3.1 has no Session Present.
        let session_present = resumed && admission.version != Version::V31;
        let connack = Connack { session_present, reason: ReasonCode::Success, properties };
        self.desk.send(id.slot, &Packet::Connack(connack));
    }

    /// What CONNACK says to a client that is let in, with Response Information where the client
    /// takes that much. Nothing else may be left out; a client that does not take it is not let in
    /// `[MQTT-3.1.2-24]`.
    fn fitted_connack_properties(&self, admission: &Admission) -> Result<PropertiesBuf, Refusal> {
        let required = self.connack_properties(admission);
        let offered = self.with_response_information(admission, &required);
        let mut lists = [offered, Some(required)].into_iter().flatten();
        lists
            .find(|properties| takes_connack(admission, properties.as_properties()))
            .ok_or(Refusal::ConnackTooLarge)
    }

    /// `[MQTT-3.1.2-28]`
    fn with_response_information(
        &self,
        admission: &Admission,
        required: &PropertiesBuf,
    ) -> Option<PropertiesBuf> {
        let directions = self.commons.directions();
        let information = admission
            .requests_response_information
            .then(|| directions.response_information_for(&admission.client_id))??;
        let mut properties = required.clone();
        properties.push(Property::ResponseInformation(&information));
        Some(properties)
    }

    /// What the server tells a 5.0 client of itself; what equals the standard's default is left
    /// out.
    fn connack_properties(&self, admission: &Admission) -> PropertiesBuf {
        let mut properties = PropertiesBuf::default();
        if admission.version != Version::V5 {
            return properties;
        }
        let limits = &self.limits;
        if admission.server_session_expiry {
            let secs = admission.session_expiry_interval_secs;
            properties.push(Property::SessionExpiryInterval(secs));
        }
        if limits.receive_maximum < u16::MAX {
            properties.push(Property::ReceiveMaximum(limits.receive_maximum));
        }
        if limits.packet_bytes_max < PACKET_BYTES_MAX {
            properties.push(Property::MaximumPacketSize(limits.packet_bytes_max));
        }
        // `[MQTT-3.1.3-7]` `[MQTT-3.2.2-16]`
        if admission.assigned {
            properties.push(Property::AssignedClientIdentifier(&admission.client_id));
        }
        if limits.topic_alias_maximum > 0 {
            properties.push(Property::TopicAliasMaximum(limits.topic_alias_maximum));
        }
        if admission.server_keep_alive {
            properties.push(Property::ServerKeepAlive(admission.keep_alive_secs));
        }
        // `[MQTT-4.12.0-5]` `[MQTT-4.12.0-6]`
        if let Some(authentication) = &admission.authentication {
            authentication.write(admission.authentication_data.as_deref(), &mut properties);
        }
        properties
    }

    /// Sets the timer that looks after a Keep Alive, counted from `from_ms`.
    pub(super) fn watch_keep_alive(&mut self, id: ConnectionId, secs: u16, from_ms: u64) {
        if secs > 0 {
            let at_ms = (from_ms + keep_alive_ms(secs)).min(self.now.ticks_ms + FAR_MS);
            let (slot, serial) = (id.slot, id.serial);
            let purpose = Purpose::KeepAlive;
            self.timers.set(Timer { at_ms, purpose, slot, serial, since_ms: 0 });
        }
    }
}

/// Whether it does not matter when a session's client left.
fn is_timeless(session: &Session) -> bool {
    session.expiry_interval_secs == u32::MAX && session.will.is_none()
}

fn takes_connack(admission: &Admission, properties: Properties<'_>) -> bool {
    let packet_bytes_max = admission.limits.packet_bytes_max;
    if packet_bytes_max == PACKET_BYTES_MAX {
        return true;
    }
    let reason = ReasonCode::Success;
    let connack = Packet::Connack(Connack { session_present: false, reason, properties });
    encode_fitted(&[properties], &connack, admission.version, packet_bytes_max, &mut Vec::new())
}

/// One and a half times the Keep Alive `[MQTT-3.1.2-22]`.
pub(super) const fn keep_alive_ms(secs: u16) -> u64 {
    secs as u64 * 1500
}

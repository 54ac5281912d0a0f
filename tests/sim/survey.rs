//! What a store holds, read without the broker's own reading of it: a list of sessions, one of
//! retained messages, one of messages.

use std::collections::{BTreeMap, BTreeSet};

use mqttd::broker::{
    Addressed, Armed, Damaged, Envelope, Mid, Position, Restore, SessionState, Sid, StoredMessage,
    Waiting, read_subscription,
};
use mqttd::codec::QoS;
use mqttd::session::Subscription;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) sessions: BTreeMap<Sid, Stored>,
    /// By topic.
    pub(crate) retained: BTreeMap<String, Vec<u8>>,
    pub(crate) messages: Vec<Waits>,
}

/// A session.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) client_id: String,
    pub(crate) created_unix_ms: u64,
    pub(crate) expiry_secs: u32,
    pub(crate) away_unix_ms: Option<u64>,
    /// Payload of its Will.
    pub(crate) will: Option<Vec<u8>>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) received: BTreeSet<u16>,
    /// Packet Identifier, and whether PUBREC came.
    pub(crate) sent: BTreeMap<Mid, (u16, bool)>,
    position: Position,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Waits {
    pub(crate) mid: Mid,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    /// Those who are known and not done with it.
    pub(crate) recipients: Vec<Recipient>,
}

#[derive(Debug)]
pub(crate) struct Recipient {
    pub(crate) sid: Sid,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The text of the Shared Subscription it came by.
    pub(crate) share: Option<String>,
    /// Sorted.
    pub(crate) identifiers: Vec<u32>,
}

impl Stored {
    fn is_done_with(&self, mid: Mid) -> bool {
        self.position.is_done(mid)
    }
}

impl Restore for Survey {
    fn session(&mut self, sid: Sid, state: &[u8]) -> Result<(), Damaged> {
        let state = SessionState::open(state).ok_or(Damaged)?;
        let will = match &state.will {
            Some(Armed::Read(will)) => Some(will.content(0).payload.to_vec()),
            Some(Armed::Lent(_)) | None => None,
        };
        let stored = Stored {
            client_id: state.client_id.to_owned(),
            created_unix_ms: state.created_unix_ms,
            expiry_secs: state.expiry_interval_secs,
            away_unix_ms: state.disconnected_unix_ms,
            will,
            ..Stored::default()
        };
        let known = self.sessions.values().any(|known| known.client_id == stored.client_id);
        assert!(!known, "{} has two sessions in the store", stored.client_id);
        self.sessions.insert(sid, stored);
        Ok(())
    }

    fn subscription(&mut self, sid: Sid, filter: &str, options: &[u8]) -> Result<(), Damaged> {
        let subscription = read_subscription(options).ok_or(Damaged)?;
        if let Some(session) = self.sessions.get_mut(&sid) {
            session.subscriptions.insert(filter.to_owned(), subscription);
        }
        Ok(())
    }

    fn position(&mut self, sid: Sid, cursor: u64, position: &[u8]) -> Result<(), Damaged> {
        let position = Position::open(cursor, position).ok_or(Damaged)?;
        if let Some(session) = self.sessions.get_mut(&sid) {
            session.position = position;
        }
        Ok(())
    }

    fn received(&mut self, sid: Sid, packet_id: u16) {
        if let Some(session) = self.sessions.get_mut(&sid) {
            session.received.insert(packet_id);
        }
    }

    fn sent(&mut self, sid: Sid, mid: Mid, packet_id: u16, released: bool) {
        if let Some(session) = self.sessions.get_mut(&sid)
            && !session.is_done_with(mid)
        {
            session.sent.insert(mid, (packet_id, released));
        }
    }

    fn retained(&mut self, _: Mid, body: &[u8]) -> Result<(), Damaged> {
        let message = StoredMessage::open(body, 0).ok_or(Damaged)?.message;
        self.retained.insert(message.topic().to_owned(), message.payload().to_vec());
        Ok(())
    }

    fn message(&mut self, mid: Mid, envelope: &[u8]) -> Result<Waiting, Damaged> {
        let envelope = Envelope::open(envelope).ok_or(Damaged)?;
        let mut recipients = Vec::new();
        for addressed in envelope.recipients() {
            let Addressed { sid, qos, retain, share, identifiers } = addressed.ok_or(Damaged)?;
            let session = self.sessions.get(&sid);
            if session.is_none_or(|session| session.is_done_with(mid)) {
                continue;
            }
            let mut identifiers = identifiers.as_slice().to_vec();
            identifiers.sort_unstable();
            let share = share.map(str::to_owned);
            recipients.push(Recipient { sid, qos, retain, share, identifiers });
        }
        let count = u32::try_from(recipients.len()).map_err(|_| Damaged)?;
        let (topic, payload) = (String::new(), Vec::new());
        self.messages.push(Waits { mid, topic, payload, recipients });
        Ok(Waiting { recipients: count, wants_body: true })
    }

    fn body(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged> {
        let message = StoredMessage::open(body, 0).ok_or(Damaged)?.message;
        let last = self.messages.last_mut().filter(|last| last.mid == mid).ok_or(Damaged)?;
        message.topic().clone_into(&mut last.topic);
        last.payload = message.payload().to_vec();
        Ok(())
    }
}

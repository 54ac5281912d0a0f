//! A store, read as lines of an export.
//!
//! What a restart would make sessions and queues of becomes text. Retained messages are handed out
//! as they come; of sessions all but their messages is held in memory, as messages name their
//! recipients by numbers.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use crate::admin::exchange::{
    Entry, Header, MessageEntry, MessageProperties, Octets, RecipientEntry, RetainedEntry,
    SessionEntry, SubscriptionEntry, Totals, WillEntry,
};
use crate::broker::{
    Addressed, Armed, Damaged, Envelope, Mid, Position, Restore, SessionState, Sid, StoredMessage,
    Waiting, read_subscription,
};
use crate::cli::Selection;
use crate::codec::Version;

/// Which retained message of a topic is the last, where a store has more than one.
#[derive(Debug, Default)]
pub(super) struct Latest {
    by_topic: HashMap<(u64, u64), Mid>,
}

impl Latest {
    fn key(topic: &str) -> (u64, u64) {
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, topic).hash(&mut hasher);
            hasher.finish()
        };
        (hash(0), hash(1))
    }
}

/// Hands out a store as lines; the store calls it in the order of [`Restore`].
pub(super) struct Export<'t> {
    selection: &'t Selection,
    latest: Latest,
    sessions: BTreeMap<Sid, Session>,
    /// Whether the lines of the sessions are out.
    told: bool,
    /// The message whose body is to come.
    waiting: Option<(Option<u64>, Vec<RecipientEntry>)>,
    totals: Totals,
    take: &'t mut dyn FnMut(Entry) -> io::Result<()>,
    /// Why nothing more is taken.
    failed: Option<io::Error>,
}

/// A session, and what a restart would go by.
struct Session {
    entry: SessionEntry,
    position: Position,
    /// Packet Identifiers of QoS 2 messages under way, and whether PUBREL went out.
    sent: HashMap<Mid, (u16, bool)>,
}

impl Restore for Latest {
    fn session(&mut self, _: Sid, _: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }

    fn subscription(&mut self, _: Sid, _: &str, _: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }

    fn position(&mut self, _: Sid, _: u64, _: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }

    fn received(&mut self, _: Sid, _: u16) {}

    fn sent(&mut self, _: Sid, _: Mid, _: u16, _: bool) {}

    fn retained(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged> {
        let topic = StoredMessage::topic(body).ok_or(Damaged)?;
        let latest = self.by_topic.entry(Self::key(topic)).or_insert(mid);
        *latest = mid.max(*latest);
        Ok(())
    }

    fn message(&mut self, _: Mid, _: &[u8]) -> Result<Waiting, Damaged> {
        Ok(Waiting::default())
    }

    fn body(&mut self, _: Mid, _: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
}

impl<'t> Export<'t> {
    /// Begins with the first line.
    pub(super) fn begin(
        selection: &'t Selection,
        latest: Latest,
        unix_ms: u64,
        take: &'t mut dyn FnMut(Entry) -> io::Result<()>,
    ) -> Self {
        let failed = take(Entry::Export(Header::new(unix_ms))).err();
        let (sessions, totals) = (BTreeMap::new(), Totals::default());
        Self { selection, latest, sessions, told: false, waiting: None, totals, take, failed }
    }

    /// The last line; an error when somewhere a line was not taken.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.tell_sessions();
        let totals = self.totals;
        self.tell(Entry::End(totals));
        self.failed.map_or(Ok(()), Err)
    }

    fn tell(&mut self, entry: Entry) {
        if self.failed.is_none() {
            self.totals.count(&entry);
            self.failed = (self.take)(entry).err();
        }
    }

    /// The lines of the sessions, in the order of their clients.
    fn tell_sessions(&mut self) {
        if std::mem::replace(&mut self.told, true) || !self.selection.sessions {
            return;
        }
        let mut entries: Vec<_> = self.sessions.values_mut().map(Session::take_entry).collect();
        entries.sort_by(|one, other| one.client_id.cmp(&other.client_id));
        for entry in entries {
            self.tell(Entry::Session(entry));
        }
    }

    fn is_selected(&self, client_id: &str) -> bool {
        self.selection.client_id.as_deref().is_none_or(|wanted| wanted == client_id)
    }
}

impl Session {
    /// All but the Client Identifier, which messages need.
    fn take_entry(&mut self) -> SessionEntry {
        let client_id = self.entry.client_id.clone();
        let nothing = SessionEntry {
            client_id,
            username: None,
            protocol: String::new(),
            expiry_interval_secs: 0,
            created_unix_ms: None,
            connected_unix_ms: None,
            disconnected_unix_ms: None,
            will: None,
            subscriptions: Vec::new(),
            awaiting_pubrel: Vec::new(),
            awaiting_pubcomp: Vec::new(),
        };
        let mut entry = std::mem::replace(&mut self.entry, nothing);
        let released = self.sent.values().filter(|(_, released)| *released);
        entry.awaiting_pubcomp = released.map(|(packet_id, _)| *packet_id).collect();
        entry.awaiting_pubcomp.sort_unstable();
        entry
    }

    fn is_done_with(&self, mid: Mid) -> bool {
        self.position.is_done(mid)
    }
}

impl Restore for Export<'_> {
    fn session(&mut self, sid: Sid, state: &[u8]) -> Result<(), Damaged> {
        let state = SessionState::open(state).ok_or(Damaged)?;
        if self.is_selected(state.client_id) {
            let entry = session_entry(&state);
            let (position, sent) = (Position::default(), HashMap::new());
            self.sessions.insert(sid, Session { entry, position, sent });
        }
        Ok(())
    }

    fn subscription(&mut self, sid: Sid, filter: &str, options: &[u8]) -> Result<(), Damaged> {
        let subscription = read_subscription(options).ok_or(Damaged)?;
        if let Some(session) = self.sessions.get_mut(&sid) {
            session.entry.subscriptions.push(SubscriptionEntry {
                filter: filter.to_owned(),
                qos: subscription.options.qos as u8,
                no_local: subscription.options.no_local,
                retain_as_published: subscription.options.retain_as_published,
                retain_handling: subscription.options.retain_handling as u8,
                identifier: subscription.identifier,
            });
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
            session.entry.awaiting_pubrel.push(packet_id);
        }
    }

    fn sent(&mut self, sid: Sid, mid: Mid, packet_id: u16, released: bool) {
        if let Some(session) = self.sessions.get_mut(&sid)
            && !session.is_done_with(mid)
        {
            session.sent.insert(mid, (packet_id, released));
        }
    }

    fn retained(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged> {
        if !self.selection.retained {
            return Ok(());
        }
        // Without a difference between its clock and ours, ticks are milliseconds since 1970.
        let StoredMessage { message, stored_unix_ms } =
            StoredMessage::open(body, 0).ok_or(Damaged)?;
        if self.latest.by_topic.get(&Latest::key(message.topic())) != Some(&mid) {
            return Ok(());
        }
        self.tell(Entry::Retained(RetainedEntry {
            topic: message.topic().to_owned(),
            qos: message.qos() as u8,
            payload: Octets(message.payload().to_vec()),
            properties: MessageProperties::of(message.content().properties),
            stored_unix_ms: Some(stored_unix_ms),
            expires_unix_ms: message.expires_ms(),
        }));
        Ok(())
    }

    fn message(&mut self, mid: Mid, envelope: &[u8]) -> Result<Waiting, Damaged> {
        self.tell_sessions();
        let envelope = Envelope::open(envelope).ok_or(Damaged)?;
        let mut to = Vec::new();
        for addressed in envelope.recipients() {
            let addressed = addressed.ok_or(Damaged)?;
            if let Some(session) = self.sessions.get(&addressed.sid)
                && !session.is_done_with(mid)
            {
                let sent = session.sent.get(&mid);
                // After PUBREL the message itself is of no use any more.
                if sent.is_none_or(|(_, released)| !released) {
                    let client_id = session.entry.client_id.clone();
                    to.push(recipient(client_id, &addressed, sent.map(|(id, _)| *id)));
                }
            }
        }
        let recipients = u32::try_from(to.len()).map_err(|_| Damaged)?;
        let wants_body = self.selection.queues && recipients > 0 && self.failed.is_none();
        self.waiting = wants_body.then_some((envelope.expires_unix_ms, to));
        Ok(Waiting { recipients, wants_body })
    }

    fn body(&mut self, _: Mid, body: &[u8]) -> Result<(), Damaged> {
        let Some((expires_unix_ms, to)) = self.waiting.take() else { return Ok(()) };
        let StoredMessage { message, stored_unix_ms } =
            StoredMessage::open(body, 0).ok_or(Damaged)?;
        let entry = |to| {
            Entry::Message(MessageEntry {
                topic: message.topic().to_owned(),
                qos: message.qos() as u8,
                retain: message.retain(),
                payload: Octets(message.payload().to_vec()),
                properties: MessageProperties::of(message.content().properties),
                accepted_unix_ms: Some(stored_unix_ms),
                expires_unix_ms,
                to,
            })
        };
        let (sent, queued): (Vec<_>, Vec<_>) =
            to.into_iter().partition(|recipient| recipient.packet_id.is_some());
        if !queued.is_empty() {
            self.tell(entry(queued));
        }
        // Each is a record of its own where it is taken in.
        for recipient in sent {
            self.tell(entry(vec![recipient]));
        }
        Ok(())
    }
}

fn session_entry(state: &SessionState<'_>) -> SessionEntry {
    let protocol = match state.version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    };
    SessionEntry {
        client_id: state.client_id.to_owned(),
        username: state.username.map(str::to_owned),
        protocol: protocol.to_owned(),
        expiry_interval_secs: state.expiry_interval_secs,
        created_unix_ms: Some(state.created_unix_ms),
        connected_unix_ms: Some(state.connected_unix_ms),
        disconnected_unix_ms: state.disconnected_unix_ms,
        will: state.will.as_ref().map(will_entry),
        subscriptions: Vec::new(),
        awaiting_pubrel: Vec::new(),
        awaiting_pubcomp: Vec::new(),
    }
}

fn will_entry(armed: &Armed<'_>) -> WillEntry {
    let will = match armed {
        Armed::Lent(will) => *will,
        Armed::Read(will) => will,
    };
    let content = will.content(0);
    WillEntry {
        topic: content.topic.to_owned(),
        qos: will.qos() as u8,
        retain: will.retain,
        payload: Octets(content.payload.to_vec()),
        properties: MessageProperties::of(content.properties),
        delay_secs: will.delay_secs,
        expiry_secs: will.expiry_secs(),
    }
}

fn recipient(
    client_id: String,
    addressed: &Addressed<'_>,
    packet_id: Option<u16>,
) -> RecipientEntry {
    RecipientEntry {
        client_id,
        qos: addressed.qos as u8,
        retain: addressed.retain,
        share: addressed.share.map(str::to_owned),
        identifiers: addressed.identifiers.as_slice().to_vec(),
        packet_id,
    }
}

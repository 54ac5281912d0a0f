//! What comes from elsewhere into a broker that runs: sessions, messages that wait for them, and
//! retained messages, as another broker or an earlier time had them.
//!
//! A session comes in as after a restart, and is written down as a new one. Its messages follow; each
//! is one record, as where it was published, for all the sessions it waits for.

use super::commons::Unkept;
use super::journal::{Class, Recipient, SessionState};
use super::mail::Addressee;
use super::restore::Draft;
use super::share::{Attempts, Group};
use super::{Now, SessionId, Shard, Sid, Storing};
use crate::codec::{Properties, QoS, SubscriptionOptions};
use crate::session::{ArmedWill, Content, Delivery, Identifiers, Mid, Parcel, Subscription};

/// A session from elsewhere; names and filters were checked.
#[derive(Debug)]
pub struct AdoptedSession<'a> {
    /// What it is; its Will stands in `will`.
    pub state: SessionState<'a>,
    /// The Will that may still be published.
    pub will: Option<AdoptedWill<'a>>,
    /// Topic Filters with their options and Subscription Identifiers.
    pub subscriptions: Vec<(&'a str, SubscriptionOptions, Option<u32>)>,
    /// Packet Identifiers of QoS 2 messages from the client that wait for PUBREL.
    pub awaiting_pubrel: &'a [u16],
    /// Packet Identifiers of QoS 2 messages to the client that wait for PUBCOMP.
    pub awaiting_pubcomp: &'a [u16],
}

/// A Will from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct AdoptedWill<'a> {
    /// The message; when it was accepted and expires says nothing.
    pub message: AdoptedMessage<'a>,
    /// Will Delay Interval, seconds.
    pub delay_secs: u32,
    /// Message Expiry Interval, seconds.
    pub expiry_secs: Option<u32>,
}

/// A message from elsewhere; its name and properties were checked.
#[derive(Clone, Copy, Debug)]
pub struct AdoptedMessage<'a> {
    /// Topic Name.
    pub topic: &'a str,
    /// Properties that go with it.
    pub properties: Properties<'a>,
    /// Payload.
    pub payload: &'a [u8],
    /// QoS it was published with.
    pub qos: QoS,
    /// RETAIN flag it was published with.
    pub retain: bool,
    /// When it was accepted, milliseconds since 1970.
    pub accepted_unix_ms: u64,
    /// When it expires, milliseconds since 1970.
    pub expires_unix_ms: Option<u64>,
}

/// A session that messages from elsewhere wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adoptee {
    /// Which.
    pub session: SessionId,
    /// Its name in the journal, if it outlives its connection.
    pub sid: Option<Sid>,
}

/// How a session gets a message from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct AdoptedRecipient<'a> {
    /// Which session.
    pub to: Adoptee,
    /// The effective QoS: 1 or 2.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// The Shared Subscription it came by.
    pub share: Option<&'a str>,
    /// Subscription Identifiers.
    pub identifiers: &'a [u32],
}

/// Why a session was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unadopted {
    /// There is one of that Client Identifier.
    #[error("there is a session of that client already")]
    Exists,
    /// There are as many as there may be.
    #[error("there are as many sessions as [limits] sessions_max allows")]
    SessionsFull,
    /// Nothing outlives this broker.
    #[error("this broker keeps nothing")]
    NothingKept,
}

impl AdoptedMessage<'_> {
    fn content(&self, unix_less_ticks_ms: u64) -> Content<'_> {
        let expires_ms = self.expires_unix_ms.map(|at_ms| at_ms.saturating_sub(unix_less_ticks_ms));
        Content {
            topic: self.topic,
            properties: self.properties,
            payload: self.payload,
            expires_ms,
        }
    }
}

impl Shard {
    /// Takes in a session whose home this shard is, with its client away.
    ///
    /// # Errors
    /// It cannot be taken in; nothing has changed.
    pub fn adopt_session(
        &mut self,
        adopted: &AdoptedSession<'_>,
        now: Now,
    ) -> Result<(), Unadopted> {
        self.begin(now);
        let outcome = self.adopt(adopted);
        self.finish();
        outcome
    }

    fn adopt(&mut self, adopted: &AdoptedSession<'_>) -> Result<(), Unadopted> {
        if self.desk.storing == Storing::Off {
            return Err(Unadopted::NothingKept);
        }
        if self.desk.roster.find(adopted.state.client_id).is_some() {
            return Err(Unadopted::Exists);
        }
        if !self.commons.begin_session(self.limits.sessions_max) {
            return Err(Unadopted::SessionsFull);
        }
        self.commons.end_session(); // it is counted where it is put in
        let sid = self.commons.name_session();
        let mut draft = Draft::new(&adopted.state, sid);
        let session = &mut draft.session;
        session.will = adopted.will.map(|will| Box::new(armed(&will)));
        for &(filter, options, identifier) in &adopted.subscriptions {
            session.subscriptions.insert(filter, Subscription { options, identifier });
        }
        for &packet_id in adopted.awaiting_pubrel {
            session.received.insert(packet_id);
        }
        for &packet_id in adopted.awaiting_pubcomp {
            draft.sent.insert(self.commons.name_message(self.number), (packet_id, true));
        }
        let released: Vec<_> = draft.sent.iter().map(|(mid, (id, _))| (*mid, *id)).collect();
        self.restore_session(draft);
        if let Some(slot) = self.desk.roster.find(adopted.state.client_id) {
            self.write_down(slot, sid, &released);
        }
        Ok(())
    }

    /// Has the journal know all of a session but its messages.
    fn write_down(&mut self, slot: u32, sid: Sid, released: &[(Mid, u16)]) {
        let session = self.desk.roster.session_mut(slot);
        if let Some(kept) = session.and_then(|session| session.kept.as_mut()) {
            // It comes from elsewhere: nothing of it is on this disk.
            kept.promise = None;
        }
        self.desk.note_state(slot, true);
        let Some(session) = self.desk.roster.session(slot) else { return };
        let records = &mut self.desk.trays.records;
        for (filter, subscription) in session.subscriptions.iter() {
            records.subscribed(sid, filter, subscription);
        }
        for packet_id in session.received.iter() {
            records.received(sid, packet_id);
        }
        for &(mid, packet_id) in released {
            records.sent(sid, mid, packet_id, true);
        }
    }

    /// The session of a client, for [`AdoptedRecipient`].
    #[must_use]
    pub fn adoptee(&self, client_id: &str) -> Option<Adoptee> {
        let slot = self.desk.roster.find(client_id)?;
        let sid = self.desk.roster.session(slot)?.sid();
        Some(Adoptee { session: self.session_id(slot), sid })
    }

    /// Has a message wait for sessions of any shards, as if it had just been published to them.
    pub fn adopt_message(
        &mut self,
        message: &AdoptedMessage<'_>,
        recipients: &[AdoptedRecipient<'_>],
        now: Now,
    ) {
        self.begin(now);
        let content = message.content(self.desk.unix_less_ticks_ms());
        // It waited for these sessions before, so it does whatever their bounds say.
        let mut parcel = Parcel::borrowed(content, message.qos, message.retain)
            .accepted(message.accepted_unix_ms)
            .promised(true);
        let class = self.desk.class(self.limits.durability.class(message.topic));
        let kept = recipients.iter().filter_map(AdoptedRecipient::kept);
        let mid = self.desk.keep(&parcel, (class, None), kept);
        self.post.begin_message();
        for recipient in recipients {
            let group = recipient.share.and_then(|share| self.commons.group_named(share));
            let to = recipient.address(group.as_deref(), mid);
            if to.session.shard != self.number
                && let Some(member) = group.as_ref().and_then(|group| group.member(to.session))
            {
                member.presence.note_posted();
            }
            self.post.hand_over(&to, &mut parcel, &mut self.desk);
        }
        self.finish();
    }

    /// The same for a message that was sent to a client of this shard with QoS 2 under an identifier,
    /// and waits for PUBREC: it goes out again under that one. `false` when the identifier is in use
    /// or the session is none that outlives its connection.
    pub fn adopt_sent(
        &mut self,
        message: &AdoptedMessage<'_>,
        recipient: &AdoptedRecipient<'_>,
        packet_id: u16,
        now: Now,
    ) -> bool {
        self.begin(now);
        let adopted = self.restore_sent(message, recipient, packet_id);
        self.finish();
        adopted.is_some()
    }

    fn restore_sent(
        &mut self,
        message: &AdoptedMessage<'_>,
        recipient: &AdoptedRecipient<'_>,
        packet_id: u16,
    ) -> Option<()> {
        let Adoptee { session: id, sid } = recipient.to;
        let sid = sid?;
        let session = self.desk.roster.addressed_mut(id)?;
        if session.link.is_some() || session.inflight.sent(packet_id).is_some() {
            return None;
        }
        let class = self.desk.class(self.limits.durability.class(message.topic));
        if class == Class::Memory {
            return None;
        }
        let content = message.content(self.desk.unix_less_ticks_ms());
        let mut parcel = Parcel::borrowed(content, message.qos, message.retain)
            .accepted(message.accepted_unix_ms);
        let mid = self.desk.keep(&parcel, (class, None), recipient.kept().into_iter())?;
        self.desk.trays.records.sent(sid, mid, packet_id, false);
        let group = recipient.share.and_then(|share| self.commons.group_named(share));
        let delivery = Delivery {
            message: parcel.message(),
            mid: Some(mid),
            qos: recipient.qos,
            retain: recipient.retain,
            share: group.map(|group| group.id()),
            identifiers: Identifiers::new(recipient.identifiers),
        };
        self.desk.change(id.slot, |session, _| {
            session.inflight.restore(packet_id, mid, Some(delivery));
        })
    }

    /// Keeps a retained message and passes it on to those who subscribe to its topic; `false` when
    /// there is no room for it.
    pub fn adopt_retained(&mut self, message: &AdoptedMessage<'_>, now: Now) -> bool {
        self.begin(now);
        let content = message.content(self.desk.unix_less_ticks_ms());
        let mut parcel =
            Parcel::borrowed(content, message.qos, true).accepted(message.accepted_unix_ms);
        let (is_kept, retained) = self.retain(&mut parcel, Unkept::Stay);
        if is_kept {
            self.pass_on(None, &mut parcel, retained);
        }
        self.finish();
        is_kept
    }
}

impl<'a> AdoptedRecipient<'a> {
    /// As the journal knows it.
    fn kept(&self) -> Option<Recipient<'a>> {
        let Self { to, qos, retain, share, identifiers } = *self;
        Some(Recipient { sid: to.sid?, qos, retain, share, identifiers })
    }

    fn address(&self, group: Option<&Group>, mid: Option<Mid>) -> Addressee {
        let mut to = Addressee {
            session: self.to.session,
            share: group.map(Group::id),
            attempts: Attempts::NONE,
            holder: None,
            mid: None,
            qos: self.qos,
            retain: self.retain,
            identifiers: Identifiers::new(self.identifiers),
        };
        to.name(mid, self.to.sid.is_some());
        to
    }
}

fn armed(will: &AdoptedWill<'_>) -> ArmedWill {
    let AdoptedWill { message, delay_secs, expiry_secs } = will;
    let content = Content { expires_ms: None, ..message.content(0) };
    ArmedWill::restored(&content, message.qos, message.retain, (*delay_secs, *expiry_secs))
}

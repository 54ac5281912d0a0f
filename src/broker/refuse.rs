//! Messages that are not accepted, and their publishers are told: before anything is done, so that
//! what is retained stays and nobody gets what others do not.
//!
//! Asked by `publish`, for publishers of 5.0 with QoS 1 or 2. All others cannot be told: their
//! messages are held back where nothing can be kept, and dropped where a queue is full. Which
//! sessions of other shards are full stands in `commons`; it may be a step old. So a message that was
//! accepted is taken in by a session that has become full meanwhile.

use std::collections::BTreeSet;

use super::desk::Desk;
use super::journal::Class;
use super::publish::Publication;
use super::routes::{Matched, Receiver};
use super::{Event, SessionId, Shard, Storing};
use crate::codec::QoS;
use crate::session::{QueueFull, Session};

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unaccepted {
    /// There is no room for another retained message.
    RetainedFull,
    /// Somebody who was to get it is full.
    QueueFull,
    /// The store has as much as it may of what waits.
    StoreQueuesFull,
    /// No space is left on the disk.
    StoreFull,
    /// The disk failed.
    StoreFailed,
}

impl Unaccepted {
    /// What the publisher is told beside the Reason Code; nobody is named.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::RetainedFull => {
                "no room for another retained message; delete some, or publish without RETAIN"
            }
            Self::QueueFull => "the queue of a subscriber is full; try later",
            Self::StoreQueuesFull => "the queues of all subscribers together are full; try later",
            Self::StoreFull => {
                "the disk of the server is full and the message is to be kept; try later"
            }
            Self::StoreFailed => {
                "the disk of the server failed and the message is to be kept; try later"
            }
        }
    }
}

impl Shard {
    /// Why a message is not accepted, if so.
    pub(super) fn unaccepted(
        &mut self,
        publication: Publication,
        topic: &str,
    ) -> Option<Unaccepted> {
        let is_kept = matches!(self.desk.storing, Storing::Off | Storing::Well);
        let refuses = self.limits.queue_full == QueueFull::Refuse;
        if is_kept && !(refuses && (self.desk.bounds.store_full || self.commons.has_full())) {
            return None;
        }
        let matched = self.remembered.find(topic, &self.commons);
        let lasts = self.desk.class(matched.class) != Class::Memory;
        let is_noted = publication.qos == QoS::ExactlyOnce && self.desk.is_kept(publication.from);
        let waits = lasts && may_wait(publication, matched);
        let must_be_kept = waits || is_noted || lasts && publication.retain;
        match self.desk.storing {
            Storing::Full if must_be_kept => return Some(Unaccepted::StoreFull),
            Storing::Failed if must_be_kept => return Some(Unaccepted::StoreFailed),
            Storing::Off | Storing::Well | Storing::Full | Storing::Failed => {}
        }
        if !refuses {
            None
        } else if waits && self.desk.bounds.store_full {
            Some(Unaccepted::StoreQueuesFull)
        } else {
            let meets = self.commons.full_among(|full| meets(publication, matched, full));
            meets.then_some(Unaccepted::QueueFull)
        }
    }

    /// The bounds of queues have changed: who is full now?
    pub(super) fn look_who_is_full(&mut self) {
        for slot in 0..self.desk.roster.slots() {
            self.desk.tell_full(slot);
        }
    }
}

impl Desk {
    /// Whether the journal knows a session.
    pub(super) fn is_kept(&self, id: Option<SessionId>) -> bool {
        let session = id.and_then(|id| self.roster.session(id.slot));
        session.is_some_and(|session| session.sid().is_some())
    }

    /// The queue of a session has changed: publishers hear of it where they are to be refused.
    pub(super) fn note_full(&mut self, slot: u32) {
        if self.bounds.queue_full == QueueFull::Refuse {
            self.tell_full(slot);
        }
    }

    fn tell_full(&mut self, slot: u32) {
        let refuses = self.bounds.queue_full == QueueFull::Refuse;
        let Some(session) = self.roster.session_mut(slot) else { return };
        let is_full = refuses && session.is_full(&self.bounds);
        if std::mem::replace(&mut session.full_told, is_full) == is_full {
            return;
        }
        let is_first = is_full && !session.drop_told;
        session.drop_told |= is_full;
        let client_id = is_first.then(|| session.client_id.clone());
        self.commons.note_full(self.roster.session_id(self.shard, slot), is_full);
        if let Some(client_id) = client_id {
            self.trays.note(Event::Refusing { client_id });
        }
    }

    /// A session is gone.
    pub(super) fn forget_full(&self, id: SessionId, session: &Session) {
        if session.full_told {
            self.commons.note_full(id, false);
        }
    }
}

/// Whether a receiver gets it as something that waits for an acknowledgement.
fn keeps(publication: Publication, receiver: &Receiver) -> bool {
    publication.address(receiver).is_some_and(|to| to.is_backlog())
}

/// Whether it may have to wait in the store.
fn may_wait(publication: Publication, matched: &Matched) -> bool {
    let waits = |receiver: &Receiver| receiver.sid.is_some() && keeps(publication, receiver);
    matched.may_last
        && (matched.receivers.iter().any(waits) || matched.groups.iter().any(|it| it.may_last()))
}

/// Whether somebody who was to get it is full; of a group, everybody.
fn meets(publication: Publication, matched: &Matched, full: &BTreeSet<SessionId>) -> bool {
    let receivers = &matched.receivers[..];
    let waits = |receiver: &&Receiver| keeps(publication, receiver);
    let own = if full.len() < receivers.len() {
        // They stand in the order of their sessions.
        full.iter().any(|id| {
            let start = receivers.partition_point(|receiver| receiver.session < *id);
            let mut same = receivers[start..].iter().take_while(|it| it.session == *id);
            same.any(|receiver| waits(&receiver))
        })
    } else {
        receivers.iter().filter(waits).any(|receiver| full.contains(&receiver.session))
    };
    own || matched.groups.iter().any(|group| {
        let is_full = |id| full.contains(&id);
        group
            .members()
            .iter()
            .all(|it| is_full(it.session()) && it.subscriber.qos > QoS::AtMostOnce)
    })
}

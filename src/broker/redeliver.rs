//! Shared messages that a member cannot have or leaves behind: another of its group gets them.
//!
//! * A member refuses one (its queue is full, or the packet too large for it): the next connected
//!   member is offered it, at last those who are away.
//! * A member's connection ends while another is connected, or another connects first: what the
//!   one that is away keeps goes to those who are there. So no message waits for a member that is
//!   away while one of the group is connected.
//! * A member's session ends, or it unsubscribes: what waits for it goes to the others.
//!
//! QoS 1 messages that were sent and not acknowledged go with the rest; QoS 2 messages in flight
//! stay with their session and end with it `[MQTT-4.8.2-4]` `[MQTT-4.8.2-5]`; and what a client
//! answered with an error has been answered `[MQTT-4.8.2-6]`.
//!
//! Shards do this without asking each other. Who leaves says so (`Presence::set`), then looks
//! whether somebody is there; who comes says so, then looks who is away and keeps something, and
//! sends a recall. All of that is sequentially consistent, so that one of the two sees the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::mail::Addressee;
use super::share::Group;
use super::{SessionId, Shard};
use crate::codec::QoS;
use crate::session::{Delivery, DropReason, Message, Parcel, Session, ShareId};

/// What a step left to be handed on at its end.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    messages: VecDeque<Leftover>,
    /// Sessions that may be away and keep messages which somebody else could have.
    recalls: Vec<(SessionId, ShareId)>,
}

/// A shared message without a receiver.
#[derive(Debug)]
struct Leftover {
    share: ShareId,
    message: Arc<Message>,
    /// Who does not have it.
    member: SessionId,
    /// Members that refused it, `member` the last of them; 0 when it left.
    attempts: u16,
    reason: Option<DropReason>,
}

impl Leftovers {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.recalls.is_empty()
    }

    /// `session` may keep messages of a group that somebody else could have.
    pub(super) fn recall(&mut self, session: SessionId, share: ShareId) {
        if self.recalls.last() != Some(&(session, share)) {
            self.recalls.push((session, share));
        }
    }

    /// A member refused a message, or is gone (no reason).
    pub(super) fn refused(
        &mut self,
        share: ShareId,
        to: &Addressee,
        message: Arc<Message>,
        reason: Option<DropReason>,
    ) {
        let attempts = reason.map_or(0, |_| to.attempt.saturating_add(1));
        let member = to.session;
        self.messages.push_back(Leftover { share, message, member, attempts, reason });
    }

    /// A refusal that came when the message had waited.
    pub(super) fn refused_later(&mut self, member: SessionId, delivery: Delivery) {
        let Some(share) = delivery.share else { return };
        let (attempts, reason) = (1, Some(DropReason::PacketTooLarge));
        let message = delivery.message;
        self.messages.push_back(Leftover { share, message, member, attempts, reason });
    }

    fn left_behind(&mut self, member: SessionId, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let Some(share) = delivery.share else { continue };
            let (message, attempts, reason) = (delivery.message, 0, None);
            self.messages.push_back(Leftover { share, message, member, attempts, reason });
        }
    }
}

impl Shard {
    /// Hands on all that the step left over.
    pub(super) fn redeliver(&mut self) {
        loop {
            while let Some((session, share)) = self.desk.leftovers.recalls.pop() {
                self.recall(session, share);
            }
            let Some(leftover) = self.desk.leftovers.messages.pop_front() else { return };
            self.hand_on(leftover);
        }
    }

    /// The client of a slot is connected, or subscribed: what others of its groups keep while they
    /// are away is recalled.
    pub(super) fn recall_from_absent(&mut self, slot: u32) {
        if !self.desk.roster.is_member(slot) {
            return;
        }
        let own = self.session_id(slot);
        for group in self.groups_of(slot) {
            // Behind the news that this member is there; see above.
            fence(Ordering::SeqCst);
            for member in group.members() {
                let keeps = !member.presence.is_connected() && member.presence.backlog() > 0;
                if member.session() != own && keeps {
                    self.recall_by_post(member.session(), group.id());
                }
            }
        }
    }

    /// The client of a slot is not connected any more: what it keeps of its groups' messages is
    /// for others, if any is there.
    pub(super) fn recall_own(&mut self, slot: u32) {
        if self.desk.roster.is_member(slot) {
            let own = self.session_id(slot);
            for group in self.groups_of(slot) {
                self.desk.leftovers.recall(own, group.id());
            }
        }
    }

    /// A session is gone and out of the routes: what it had of its groups goes to the others.
    pub(super) fn bequeath(&mut self, member: SessionId, session: &mut Session) {
        let deliveries = session.take_shared(|_| true);
        self.desk.leftovers.left_behind(member, deliveries);
    }

    /// A session left a group: what waits for it goes to the others; what is in flight is
    /// completed `[MQTT-3.10.4-3]`, and so is everything when there are no others.
    pub(super) fn leave_queue_behind(&mut self, slot: u32, share: ShareId) {
        if self.commons.group(share).is_none() {
            return;
        }
        let member = self.session_id(slot);
        let take = |session: &mut Session| session.queue.take_shared(|known| known == share);
        if let Some(deliveries) = self.desk.change(slot, |session, _| take(session)) {
            self.desk.leftovers.left_behind(member, deliveries);
        }
    }

    fn groups_of(&self, slot: u32) -> Vec<Arc<Group>> {
        let Some(session) = self.desk.roster.session(slot) else { return Vec::new() };
        let filters = session.subscriptions.iter().map(|(filter, _)| filter);
        let shared = filters.filter(|filter| filter.starts_with("$share/"));
        shared.filter_map(|filter| self.commons.group_named(filter)).collect()
    }

    fn recall_by_post(&mut self, session: SessionId, share: ShareId) {
        if session.shard == self.number {
            self.desk.leftovers.recall(session, share);
        } else if let Some(letter) = self.desk.trays.letters.get_mut(usize::from(session.shard)) {
            letter.recall(session, share);
        }
    }

    /// Takes from a session that is away what somebody connected can have.
    fn recall(&mut self, member: SessionId, share: ShareId) {
        let session = self.desk.roster.addressed_mut(member);
        if session.is_none_or(|session| session.link.is_some()) || self.desk.bounds.memory_full {
            return;
        }
        // Behind the news that this member is away and keeps something; see above.
        fence(Ordering::SeqCst);
        let group = self.commons.group(share);
        if !group.is_some_and(|group| group.has_connected_beside(member)) {
            return;
        }
        let take = |session: &mut Session| session.take_shared(|known| known == share);
        if let Some(deliveries) = self.desk.change(member.slot, |session, _| take(session)) {
            self.desk.leftovers.left_behind(member, deliveries);
        }
    }

    fn hand_on(&mut self, leftover: Leftover) {
        let Leftover { share, message, member, attempts, reason } = leftover;
        if message.has_expired(self.now.ticks_ms) {
            return self.desk.counters.dropped(DropReason::Expired, 1);
        }
        let group = self.commons.group(share);
        let next = group.as_deref().and_then(|group| {
            let next = if attempts == 0 {
                group.choose_beside(member)
            } else {
                group.next_after(member, attempts, may_wait(&message, reason))
            };
            next.map(|next| (group, next))
        });
        match (next, reason) {
            (Some((group, next)), _) => {
                self.post.begin_message();
                let parcel = &mut Parcel::stored(&message);
                self.post.hand_to_member(group, next, attempts, parcel, &mut self.desk);
            }
            (None, Some(reason)) => self.desk.lost(member, reason),
            (None, None) => self.desk.counters.messages_unmatched += 1,
        }
    }
}

/// Whether a refused message is worth offering to members who are away: nobody keeps QoS 0, and
/// the memory is the same for all.
fn may_wait(message: &Message, reason: Option<DropReason>) -> bool {
    message.qos() != QoS::AtMostOnce && reason != Some(DropReason::MemoryFull)
}

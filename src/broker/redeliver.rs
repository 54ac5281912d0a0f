//! Shared messages that a member cannot have or leaves behind: another of its group gets them.
//!
//! * A member refuses one (its queue is full, or the packet too large for it): the next connected
//!   member is offered it, at last those who are away.
//! * A member's connection ends while another is connected, or another connects first: what the
//!   one that is away keeps goes to those who are there. So no message waits for a member that is
//!   away while one of the group is connected and has room.
//! * A member's session ends, or it unsubscribes: what waits for it goes to the others.
//!
//! What is kept goes in portions, so that neither a step nor a letter is large: the next one when
//! a connected member has nothing left to do, and at the latest a second later. A message that
//! nobody takes goes back to the member that had it, whatever its queue's bounds and the memory
//! budget say: it was within them before.
//!
//! QoS 1 messages that were sent and not acknowledged go with the rest; QoS 2 messages in flight
//! stay with their session and end with it `[MQTT-4.8.2-4]` `[MQTT-4.8.2-5]`; and what a client
//! answered with an error has been answered `[MQTT-4.8.2-6]`.
//!
//! Shards do this without asking each other. Who leaves says so (`Presence::set`), then looks
//! whether somebody is there; who comes says so, then looks who is away and keeps something, and
//! sends a recall. All of that is sequentially consistent, so that one of the two sees the other.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::keep::shared_recipient;
use super::mail::Addressee;
use super::publish::Publication;
use super::share::{Attempts, Group, Member};
use super::timers::{Purpose, Timer};
use super::{SessionId, Shard};
use crate::codec::QoS;
use crate::session::{Delivery, DropReason, Message, Mid, Parcel, Portion, Session, ShareId};

/// What is asked of one member at once.
const PORTION: Portion = Portion { messages: 64, bytes: 64 * 1024 };
/// Members that are asked again in one step.
const AGAIN_MAX: usize = 64;
/// After this time what is kept is offered again.
const AGAIN_MS: u64 = 1000;

/// What a step left to be handed on at its end.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    messages: VecDeque<Leftover>,
    /// Sessions that may be away and keep messages which somebody else could have.
    recalls: Vec<Recall>,
    /// Members that keep messages which nobody could take just now.
    kept: BTreeSet<(SessionId, ShareId)>,
    /// Whether there are new ones in `kept`.
    kept_more: bool,
    /// Those whose second is over, taken out of `kept`.
    again: BTreeSet<(SessionId, ShareId)>,
    /// Whether the timer for them is set.
    is_timed: bool,
}

/// A session that is away is asked for what it keeps of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recall {
    session: SessionId,
    share: ShareId,
    portion: Portion,
}

/// A shared message without a receiver.
#[derive(Debug)]
struct Leftover {
    share: ShareId,
    message: Arc<Message>,
    /// Who does not have it.
    member: SessionId,
    /// Its name in the journal, where it was there for this member.
    mid: Option<Mid>,
    /// Members that refused it, `member` the last of them; none when it left.
    attempts: Attempts,
    reason: Option<DropReason>,
    /// Who had it before it was recalled.
    holder: Option<Box<SessionId>>,
}

impl Leftovers {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.recalls.is_empty() && !self.kept_more
    }

    /// `session` may keep messages of a group that somebody else could have.
    pub(super) fn recall(&mut self, recall: Recall) {
        let Recall { session, share, .. } = recall;
        if !self.recalls.last().is_some_and(|last| last.session == session && last.share == share) {
            self.recalls.push(recall);
        }
    }

    /// A session that is away took a message in, or back.
    pub(super) fn kept(&mut self, session: SessionId, share: ShareId, attempts: Attempts) {
        if attempts.is_none() {
            // Somebody may have come meanwhile.
            self.recall(Recall { session, share, portion: PORTION });
        } else if !attempts.too_large {
            self.keep(session, share);
        }
    }

    /// What a session keeps is for whoever has room first.
    fn keep(&mut self, session: SessionId, share: ShareId) {
        self.kept.insert((session, share));
        self.kept_more = true;
    }

    /// The same, and whoever has room need not look before the second is over.
    fn keep_on(&mut self, session: SessionId, share: ShareId) {
        self.kept_more |= self.kept.insert((session, share));
    }

    /// A member refused a message, or is gone (no reason).
    pub(super) fn refused(
        &mut self,
        (share, to): (ShareId, &Addressee),
        message: Arc<Message>,
        reason: Option<DropReason>,
        is_away: bool,
    ) {
        let too_large = reason == Some(DropReason::PacketTooLarge);
        let attempts = reason.map_or(Attempts::NONE, |_| to.attempts.and(is_away, too_large));
        // Who is gone is given nothing back.
        let holder = to.holder.clone().filter(|holder| **holder != to.session);
        let (member, mid) = (to.session, to.mid);
        let leftover = Leftover { share, message, member, mid, attempts, reason, holder };
        self.messages.push_back(leftover);
    }

    /// A refusal that came when the message had waited.
    pub(super) fn refused_later(&mut self, member: SessionId, delivery: Delivery) {
        let Some(share) = delivery.share else { return };
        let attempts = Attempts::NONE.and(false, true);
        let reason = Some(DropReason::PacketTooLarge);
        let Delivery { message, mid, .. } = delivery;
        let holder = None;
        let leftover = Leftover { share, message, member, mid, attempts, reason, holder };
        self.messages.push_back(leftover);
    }

    /// `is_held`: what nobody takes goes back to `member`.
    fn left_behind(&mut self, member: SessionId, deliveries: Vec<Delivery>, is_held: bool) {
        for delivery in deliveries {
            let Some(share) = delivery.share else { continue };
            let Delivery { message, mid, .. } = delivery;
            let (attempts, reason) = (Attempts::NONE, None);
            let holder = is_held.then(|| Box::new(member));
            let leftover = Leftover { share, message, member, mid, attempts, reason, holder };
            self.messages.push_back(leftover);
        }
    }
}

impl Shard {
    /// Hands on all that the step left over.
    pub(super) fn redeliver(&mut self) {
        let mut moved = BTreeSet::new();
        loop {
            while let Some(recall) = self.desk.leftovers.recalls.pop() {
                self.recall(recall);
            }
            let Some(leftover) = self.desk.leftovers.messages.pop_front() else { break };
            moved.extend(leftover.mid.map(|_| leftover.member.slot));
            self.hand_on(leftover);
        }
        // Together with the messages that others have now: after a crash nobody has them twice.
        moved.into_iter().for_each(|slot| self.note_position(slot));
        if std::mem::take(&mut self.desk.leftovers.kept_more) {
            self.commons.note_kept();
            self.time_recalls();
        }
    }

    /// A second is over.
    pub(super) fn recall_again(&mut self) {
        let leftovers = &mut self.desk.leftovers;
        leftovers.is_timed = false;
        if leftovers.again.is_empty() {
            leftovers.again = std::mem::take(&mut leftovers.kept);
        }
        for _ in 0..AGAIN_MAX {
            let Some((session, share)) = leftovers.again.pop_first() else { break };
            leftovers.recall(Recall { session, share, portion: PORTION });
        }
        if !(leftovers.again.is_empty() && leftovers.kept.is_empty()) {
            self.time_recalls();
        }
    }

    fn time_recalls(&mut self) {
        if !std::mem::replace(&mut self.desk.leftovers.is_timed, true) {
            let at_ms = self.now.ticks_ms + AGAIN_MS;
            let purpose = Purpose::Recall;
            self.timers.set(Timer { at_ms, purpose, slot: 0, serial: 0, since_ms: 0 });
        }
    }

    /// When nothing waits any more for the client of a slot: do others keep something?
    pub(super) fn recall_when_drained(&mut self, slot: u32) {
        if !self.desk.roster.is_member(slot)
            || !self.desk.roster.looks_again(slot, self.commons.kept_serial())
        {
            return;
        }
        let session = self.desk.roster.session(slot);
        if session.is_some_and(Session::is_drained) {
            self.recall_from_absent(slot);
        }
    }

    /// The client of a slot is connected, or subscribed: what others of its groups keep while they
    /// are away is recalled.
    pub(super) fn recall_from_absent(&mut self, slot: u32) {
        if !self.desk.roster.is_member(slot) {
            return;
        }
        self.desk.roster.note_looked(slot, self.commons.kept_serial());
        let own = self.session_id(slot);
        let mut keep = Vec::new();
        for group in self.groups_of(slot) {
            // Behind the news that this member is there; see above.
            fence(Ordering::SeqCst);
            for member in group.members() {
                let keeps = !member.presence.is_connected() && member.presence.backlog() > 0;
                if member.session() != own && keeps {
                    keep.push((member.session(), group.id()));
                }
            }
        }
        let Some(session) = self.desk.roster.session(slot) else { return };
        let portion = share_out(session.room(&self.desk.bounds), keep.len());
        for (session, share) in keep {
            self.recall_by_post(Recall { session, share, portion });
        }
    }

    /// The client of a slot is not connected any more: what it keeps of its groups' messages is
    /// for others, if any is there.
    pub(super) fn recall_own(&mut self, slot: u32) {
        if self.desk.roster.is_member(slot) {
            let own = self.session_id(slot);
            for group in self.groups_of(slot) {
                let (session, share) = (own, group.id());
                self.desk.leftovers.recall(Recall { session, share, portion: PORTION });
            }
        }
    }

    /// A session is gone and out of the routes: what it had of its groups goes to the others.
    pub(super) fn bequeath(&mut self, member: SessionId, session: &mut Session) {
        let deliveries = session.take_shared(|_| true);
        self.desk.leftovers.left_behind(member, deliveries, false);
    }

    /// A session left a group: what waits for it goes to the others; what is in flight is
    /// completed `[MQTT-3.10.4-3]`, and so is everything when there are no others.
    pub(super) fn leave_queue_behind(&mut self, slot: u32, share: ShareId) {
        if self.commons.group(share).is_none() {
            return;
        }
        let member = self.session_id(slot);
        let wanted = |delivery: &Delivery| delivery.share == Some(share);
        let take = |session: &mut Session| session.queue.take_shared(wanted);
        if let Some(deliveries) = self.desk.change(slot, |session, _| take(session)) {
            self.desk.leftovers.left_behind(member, deliveries, false);
        }
    }

    fn groups_of(&self, slot: u32) -> Vec<Arc<Group>> {
        let Some(session) = self.desk.roster.session(slot) else { return Vec::new() };
        let filters = session.subscriptions.iter().map(|(filter, _)| filter);
        let shared = filters.filter(|filter| filter.starts_with("$share/"));
        shared.filter_map(|filter| self.commons.group_named(filter)).collect()
    }

    fn recall_by_post(&mut self, recall: Recall) {
        let shard = recall.session.shard;
        if shard == self.number {
            self.desk.leftovers.recall(recall);
        } else if let Some(letter) = self.desk.trays.letters.get_mut(usize::from(shard)) {
            letter.recall(recall);
        }
    }

    /// Takes from a session that is away what somebody connected can have.
    fn recall(&mut self, recall: Recall) {
        let Recall { session: member, share, portion } = recall;
        let session = self.desk.roster.addressed_mut(member);
        if session.is_none_or(|session| session.link.is_some()) {
            return;
        }
        // Behind the news that this member is away and keeps something; see above.
        fence(Ordering::SeqCst);
        let group = self.commons.group(share);
        if !group.is_some_and(|group| group.has_connected_beside(member)) {
            return;
        }
        if self.desk.bounds.memory_full {
            // It is safe here, and what others are sent now is not kept.
            return self.desk.leftovers.keep_on(member, share);
        }
        let take = |session: &mut Session| session.take_portion(share, portion);
        if let Some((deliveries, more)) = self.desk.change(member.slot, |session, _| take(session))
        {
            self.desk.leftovers.left_behind(member, deliveries, true);
            if more {
                self.desk.leftovers.keep(member, share);
            }
        }
    }

    fn hand_on(&mut self, leftover: Leftover) {
        let Leftover { share, message, member, mid, attempts, reason, holder } = leftover;
        if message.has_expired(self.now.ticks_ms) {
            mid.into_iter().for_each(|mid| self.desk.settle(member, mid));
            return self.desk.counters.dropped(DropReason::Expired, 1);
        }
        let group = self.commons.group(share);
        let next = group.as_deref().and_then(|group| {
            let keeper = holder.as_deref().and_then(|holder| keeper(group, *holder, &message));
            let next = if !attempts.is_none() {
                let away_too = keeper.is_none() && may_wait(&message, reason);
                group.next_after(member, attempts, away_too)
            } else if keeper.is_none() || group.has_connected_beside(member) {
                group.choose_beside(member)
            } else {
                None
            };
            next.or(keeper).map(|next| (group, next))
        });
        match (next, reason) {
            (Some((group, next)), _) => {
                self.post.begin_message();
                let parcel = &mut Parcel::stored(&message);
                let class = self.desk.class(self.limits.durability.class(message.topic()));
                let publication =
                    Publication { from: None, qos: parcel.qos(), retain: parcel.retain() };
                // It goes to somebody else: a message of its own, as the journal sees it.
                let recipient = shared_recipient(publication, group, next);
                let new = self.desk.keep(parcel, (class, None), recipient.into_iter());
                let course = (attempts, holder, new);
                self.post.hand_to_member((group, next), course, parcel, &mut self.desk);
            }
            (None, Some(reason)) => self.desk.lost(member, reason),
            (None, None) => self.desk.counters.messages_unmatched += 1,
        }
        mid.into_iter().for_each(|mid| self.desk.settle(member, mid));
    }
}

/// The member that had a message, if it keeps such messages.
fn keeper<'g>(group: &'g Group, holder: SessionId, message: &Message) -> Option<&'g Member> {
    let is_kept = |member: &&Member| message.qos().min(member.subscriber.qos) != QoS::AtMostOnce;
    group.member(holder).filter(is_kept)
}

/// What each of `count` members is asked for: something, and not more than a portion.
fn share_out(room: Portion, count: usize) -> Portion {
    let count = count.max(1);
    Portion {
        messages: (room.messages / count).clamp(1, PORTION.messages),
        bytes: (room.bytes / count as u64).clamp(1, PORTION.bytes),
    }
}

/// Whether a refused message is worth offering to members who are away: nobody keeps QoS 0, and
/// the memory is the same for all.
fn may_wait(message: &Message, reason: Option<DropReason>) -> bool {
    message.qos() != QoS::AtMostOnce && reason != Some(DropReason::MemoryFull)
}

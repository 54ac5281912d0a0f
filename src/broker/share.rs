//! Shared Subscriptions: one of a group gets each message.
//!
//! The member is chosen where the message is published, so that no shard asks another. Connected
//! members come first; while none is, one that is away keeps the message. What a member cannot
//! have or leaves behind is the business of `redeliver`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::SessionId;
use super::routes::Subscriber;
use crate::codec::QoS;
use crate::session::ShareId;

/// How a member of a group is chosen among those that are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedChoice {
    /// Whoever has the fewest messages queued and in flight; in turn where several have.
    LeastBacklog,
    /// In turn.
    RoundRobin,
    /// The same as for the last message.
    Sticky,
    /// By the publisher's Client Identifier: a publisher's messages go to one member.
    HashPublisher,
}

/// Members whose backlog is compared for one message; in a larger group, those next in turn.
const COMPARED_MAX: usize = 64;
/// Connected members that a message is offered to when they refuse, and as many that are away.
const ATTEMPTS_MAX: usize = 8;

/// Members of a group that refused a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Of those that were connected.
    connected: u8,
    /// Of those that were away.
    away: u8,
    /// Whether each of them takes no packet as large as that.
    pub(super) too_large: bool,
}

impl Attempts {
    pub(super) const NONE: Self = Self { connected: 0, away: 0, too_large: false };

    pub(super) const fn is_none(self) -> bool {
        self.connected == 0 && self.away == 0
    }

    /// With one more.
    pub(super) fn and(self, is_away: bool, too_large: bool) -> Self {
        Self {
            connected: self.connected.saturating_add(u8::from(!is_away)),
            away: self.away.saturating_add(u8::from(is_away)),
            too_large: too_large && (self.is_none() || self.too_large),
        }
    }
}

/// What those who choose may know of a session, shared with them.
#[derive(Debug, Default)]
pub(super) struct Presence {
    connected: AtomicBool,
    /// Messages queued and in flight.
    backlog: AtomicU32,
    /// Messages of QoS 1 and 2 in letters to it.
    posted: AtomicU32,
}

impl Presence {
    /// Sequentially consistent, as is [`Self::is_connected`]: of two members one of which leaves
    /// while the other comes, one sees the other (see `redeliver`).
    pub(super) fn set(&self, connected: bool) {
        self.connected.store(connected, Ordering::SeqCst);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::SeqCst)
    }

    pub(super) fn set_backlog(&self, messages: usize) {
        self.backlog.store(u32::try_from(messages).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(super) fn backlog(&self) -> u32 {
        let posted = self.posted.load(Ordering::Relaxed);
        self.backlog.load(Ordering::Relaxed).saturating_add(posted)
    }

    /// A message is on its way by letter: the next ones of the batch see it.
    pub(super) fn note_posted(&self) {
        self.posted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_arrived(&self) {
        self.posted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One member of a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) subscriber: Subscriber,
    pub(super) presence: Arc<Presence>,
}

impl Member {
    pub(super) const fn session(&self) -> SessionId {
        self.subscriber.session
    }

    fn is_connected(&self) -> bool {
        self.presence.is_connected()
    }
}

/// All members of one `$share/{ShareName}/{filter}`. A change makes a new group; the turn goes on.
#[derive(Debug)]
pub(super) struct Group {
    id: ShareId,
    text: Arc<str>,
    members: Vec<Member>,
    /// Index of the member whose turn is next.
    turn: AtomicUsize,
    /// Index of the member that [`SharedChoice::Sticky`] stays with.
    favourite: AtomicUsize,
}

impl Group {
    pub(super) fn new(id: ShareId, text: &str, member: Member) -> Self {
        let (turn, favourite) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { id, text: text.into(), members: vec![member], turn, favourite }
    }

    /// `$share/{ShareName}/{filter}`.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) const fn id(&self) -> ShareId {
        self.id
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// With one more, or with another subscription of one that is in it.
    pub(super) fn with(&self, member: Member) -> Self {
        let mut members = self.members.clone();
        match self.index(member.session()) {
            Some(index) => members[index] = member,
            None => members.push(member),
        }
        self.successor(members)
    }

    /// Without one session; `None` when nobody is left.
    pub(super) fn without(&self, session: SessionId) -> Option<Self> {
        let mut members = self.members.clone();
        members.retain(|member| member.session() != session);
        (!members.is_empty()).then(|| self.successor(members))
    }

    /// Whether a member outlives its connection.
    pub(super) fn may_last(&self) -> bool {
        self.members.iter().any(|member| member.subscriber.sid.is_some())
    }

    /// The member that a session is.
    pub(super) fn member(&self, session: SessionId) -> Option<&Member> {
        self.index(session).map(|index| &self.members[index])
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.index(session).is_some()
    }

    /// Whether somebody else is connected.
    pub(super) fn has_connected_beside(&self, session: SessionId) -> bool {
        self.members.iter().any(|member| member.session() != session && member.is_connected())
    }

    /// Who gets the next message; `publisher` is a hash of the publisher's Client Identifier.
    pub(super) fn choose(&self, choice: SharedChoice, publisher: u64) -> &Member {
        let turn = self.turn.load(Ordering::Relaxed);
        let chosen = match choice {
            SharedChoice::LeastBacklog => self.least_backlog(turn),
            SharedChoice::RoundRobin => self.from(turn).find(|(_, member)| member.is_connected()),
            SharedChoice::Sticky => self.favourite(turn),
            SharedChoice::HashPublisher => self.heaviest(publisher),
        };
        let (index, member) = chosen.unwrap_or_else(|| self.keeper(turn));
        self.turn.store(index + 1, Ordering::Relaxed);
        member
    }

    /// Who gets what `session` leaves behind: in turn, as whoever published it is not known any
    /// more and may be gone.
    pub(super) fn choose_beside(&self, session: SessionId) -> Option<&Member> {
        let turn = self.turn.load(Ordering::Relaxed);
        let others = || self.from(turn).filter(|(_, member)| member.session() != session);
        let idle_first = |(_, member): &(usize, &Member)| member.presence.backlog();
        let connected = others().filter(|(_, member)| member.is_connected()).take(COMPARED_MAX);
        let (index, member) = connected.min_by_key(idle_first).or_else(|| others().next())?;
        self.turn.store(index + 1, Ordering::Relaxed);
        Some(member)
    }

    /// Who is offered a message that `refused` could not take, as the last of `attempts`: the
    /// connected members in turn, then, if `away_too`, those who are away. The two are counted
    /// apart, as somebody may have come since one that is away refused.
    pub(super) fn next_after(
        &self,
        refused: SessionId,
        attempts: Attempts,
        away_too: bool,
    ) -> Option<&Member> {
        let connected = self.members.iter().filter(|member| member.is_connected()).count();
        let away_max = (self.members.len() - connected).min(ATTEMPTS_MAX);
        let among_connected = usize::from(attempts.connected) < connected.min(ATTEMPTS_MAX);
        let among_away = away_too && usize::from(attempts.away) < away_max;
        if !(among_connected || among_away) {
            return None;
        }
        let after = self.index(refused).map_or(0, |index| index + 1);
        let mut ring = self.from(after).map(|(_, member)| member);
        ring.find(|member| member.session() != refused && member.is_connected() == among_connected)
    }

    /// The members in a ring, from an index on.
    fn from(&self, start: usize) -> impl Iterator<Item = (usize, &Member)> {
        let count = self.members.len();
        (0..count).map(move |step| {
            let index = (start % count + step) % count;
            (index, &self.members[index])
        })
    }

    fn index(&self, session: SessionId) -> Option<usize> {
        self.members.iter().position(|member| member.session() == session)
    }

    fn least_backlog(&self, turn: usize) -> Option<(usize, &Member)> {
        let mut least = None;
        let connected = self.from(turn).filter(|(_, member)| member.is_connected());
        for (index, member) in connected.take(COMPARED_MAX) {
            let backlog = member.presence.backlog();
            if least.is_none_or(|(known, _)| backlog < known) {
                least = Some((backlog, (index, member)));
            }
            if backlog == 0 {
                break;
            }
        }
        least.map(|(_, chosen)| chosen)
    }

    fn favourite(&self, turn: usize) -> Option<(usize, &Member)> {
        let index = self.favourite.load(Ordering::Relaxed);
        let known = self.members.get(index).filter(|member| member.is_connected());
        if let Some(member) = known {
            return Some((index, member));
        }
        let new = self.from(turn).find(|(_, member)| member.is_connected())?;
        self.favourite.store(new.0, Ordering::Relaxed);
        Some(new)
    }

    /// Rendezvous hashing: when a member leaves, only its publishers go to others.
    fn heaviest(&self, publisher: u64) -> Option<(usize, &Member)> {
        let weight = |(_, member): &(usize, &Member)| {
            let SessionId { shard, slot, serial } = member.session();
            let session = mix(u64::from(shard) << 32 | u64::from(slot)) ^ u64::from(serial);
            mix(session ^ publisher)
        };
        self.from(0).filter(|(_, member)| member.is_connected()).max_by_key(weight)
    }

    /// Who keeps a message while nobody is connected: whoever waits for fewest, and not one whose
    /// subscription lets nothing be kept.
    fn keeper(&self, turn: usize) -> (usize, &Member) {
        let least = |(_, member): &(usize, &Member)| {
            (member.subscriber.qos == QoS::AtMostOnce, member.presence.backlog())
        };
        let ring = self.from(turn).take(COMPARED_MAX);
        ring.min_by_key(least).expect("a group has a member")
    }

    fn successor(&self, members: Vec<Member>) -> Self {
        let favourite = self.members.get(self.favourite.load(Ordering::Relaxed));
        let favourite = favourite
            .and_then(|old| members.iter().position(|member| member.session() == old.session()));
        let turn = AtomicUsize::new(self.turn.load(Ordering::Relaxed));
        let favourite = AtomicUsize::new(favourite.unwrap_or(usize::MAX));
        Self { id: self.id, text: Arc::clone(&self.text), members, turn, favourite }
    }
}

/// Spreads the bits of a number over all of them (the finalizer of splitmix64).
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(slot: u32, backlog: Option<usize>) -> Member {
        let session = SessionId { shard: 0, slot, serial: 0 };
        let subscriber = Subscriber {
            session,
            sid: None,
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            identifier: 0,
        };
        let presence = Arc::new(Presence::default());
        presence.set(backlog.is_some());
        presence.set_backlog(backlog.unwrap_or(0));
        Member { subscriber, presence }
    }

    /// Members by backlog, `None` = away.
    fn group(backlogs: &[Option<usize>]) -> Group {
        let mut members = (0..).zip(backlogs).map(|(slot, backlog)| member(slot, *backlog));
        let id = ShareId::new(1).expect("not zero");
        let first = Group::new(id, "$share/g/#", members.next().expect("a member"));
        members.fold(first, |group, member| group.with(member))
    }

    fn chosen(group: &Group, choice: SharedChoice, count: usize) -> Vec<u32> {
        (0..count).map(|_| group.choose(choice, 0).session().slot).collect()
    }

    #[test]
    fn members_take_turns_fairly_and_who_is_away_is_passed_over() {
        let group = group(&[Some(0), None, Some(0), Some(0)]);
        for choice in [SharedChoice::LeastBacklog, SharedChoice::RoundRobin] {
            assert_eq!(chosen(&group, choice, 6), [0, 2, 3, 0, 2, 3]);
        }
    }

    #[test]
    fn the_least_busy_member_gets_messages_and_letters_count() {
        let group = group(&[Some(3), Some(1), Some(3)]);
        assert_eq!(chosen(&group, SharedChoice::LeastBacklog, 3), [1, 1, 1]);
        for _ in 0..2 {
            group.members[1].presence.note_posted();
        }
        assert_eq!(chosen(&group, SharedChoice::LeastBacklog, 3), [2, 0, 1]);
    }

    #[test]
    fn with_nobody_connected_somebody_keeps_the_message() {
        let group = group(&[None, None]);
        assert_eq!(chosen(&group, SharedChoice::Sticky, 3), [0, 1, 0]);
    }

    #[test]
    fn a_favourite_outlives_changes_of_the_group() {
        let first = group(&[Some(0), Some(0), Some(0)]);
        assert_eq!(chosen(&first, SharedChoice::Sticky, 2), [0, 0]);
        first.members[0].presence.set(false);
        assert_eq!(chosen(&first, SharedChoice::Sticky, 2), [1, 1]);
        let gone = first.members[0].session();
        let fewer = first.without(gone).expect("two are left");
        assert_eq!(chosen(&fewer, SharedChoice::Sticky, 2), [1, 1]);
        assert_eq!(chosen(&fewer.with(member(9, Some(0))), SharedChoice::Sticky, 2), [1, 1]);
    }

    #[test]
    fn a_member_that_leaves_takes_only_its_own_publishers_along() {
        let four = group(&[Some(0); 4]);
        let of = |group: &Group, publisher| {
            group.choose(SharedChoice::HashPublisher, publisher).session()
        };
        let before: Vec<_> = (0..200).map(|publisher| of(&four, publisher)).collect();
        let gone = four.members[2].session();
        let three = four.without(gone).expect("three are left");
        for (publisher, session) in (0..).zip(&before) {
            assert!(*session == gone || *session == of(&three, publisher));
        }
        for member in four.members() {
            let count = before.iter().filter(|session| **session == member.session()).count();
            assert!((25..=75).contains(&count), "{count} of 200");
        }
    }

    #[test]
    fn a_refused_message_is_offered_to_each_member_once() {
        let group = group(&[Some(0), None, Some(0), Some(0), None]);
        let session = |slot: usize| group.members[slot].session();
        let mut asked = vec![2];
        let mut attempts = Attempts::NONE;
        for _ in 1..9 {
            let last = asked[asked.len() - 1];
            attempts = attempts.and(!group.members[last].is_connected(), false);
            let Some(next) = group.next_after(session(last), attempts, true) else { break };
            asked.push(next.session().slot as usize);
        }
        asked[..3].sort_unstable();
        asked[3..].sort_unstable();
        assert_eq!(asked, [0, 2, 3, 1, 4]);
        let attempts = Attempts { connected: 3, ..Attempts::NONE };
        assert!(group.next_after(session(0), attempts, false).is_none());
    }

    /// It was chosen while nobody was connected, and somebody came while the letter was under way.
    #[test]
    fn who_came_is_asked_after_one_that_is_away_refused() {
        let group = group(&[None, Some(0)]);
        let session = |slot: usize| group.members[slot].session();
        let attempts = Attempts::NONE.and(true, false);
        let next = group.next_after(session(0), attempts, true).expect("one is connected");
        assert_eq!(next.session(), session(1));
    }

    #[test]
    fn the_last_member_takes_the_group_with_it() {
        let group = group(&[Some(0)]);
        let session = group.members[0].session();
        assert!(group.contains(session) && !group.has_connected_beside(session));
        assert!(group.choose_beside(session).is_none());
        assert!(group.without(session).is_none());
    }
}

//! Shared Subscriptions: one of a group gets each message.
//!
//! The member is chosen where the message is published, so that no shard asks another: round
//! robin among the members that are connected, and among all of them when none is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::SessionId;
use super::routes::Subscriber;

/// Whether a session is connected, shared with those who choose.
#[derive(Debug, Default)]
pub(super) struct Presence(AtomicBool);

impl Presence {
    pub(super) fn set(&self, connected: bool) {
        self.0.store(connected, Ordering::Relaxed);
    }
}

/// One member of a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) subscriber: Subscriber,
    pub(super) presence: Arc<Presence>,
}

/// All members of one `$share/{ShareName}/{filter}`. A change makes a new group; the turn goes on.
#[derive(Debug)]
pub(super) struct Group {
    name: Box<str>,
    members: Vec<Member>,
    turn: AtomicUsize,
}

impl Group {
    pub(super) fn new(name: &str, member: Member) -> Self {
        Self { name: name.into(), members: vec![member], turn: AtomicUsize::new(0) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn with(&self, member: Member) -> Self {
        let mut members = self.members.clone();
        let session = member.subscriber.session;
        match members.iter_mut().find(|known| known.subscriber.session == session) {
            Some(known) => *known = member,
            None => members.push(member),
        }
        self.successor(members)
    }

    /// Without one session; `None` when nobody is left.
    pub(super) fn without(&self, session: SessionId) -> Option<Self> {
        let mut members = self.members.clone();
        members.retain(|member| member.subscriber.session != session);
        (!members.is_empty()).then(|| self.successor(members))
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.members.iter().any(|member| member.subscriber.session == session)
    }

    /// Who gets the next message.
    pub(super) fn choose(&self) -> Subscriber {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.members.len();
        let in_turn = (0..count).map(|step| &self.members[turn.wrapping_add(step) % count]);
        let mut connected = in_turn.filter(|member| member.presence.0.load(Ordering::Relaxed));
        connected.next().unwrap_or(&self.members[turn % count]).subscriber
    }

    fn successor(&self, members: Vec<Member>) -> Self {
        let turn = AtomicUsize::new(self.turn.load(Ordering::Relaxed));
        Self { name: self.name.clone(), members, turn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::QoS;

    fn member(slot: u32, connected: bool) -> Member {
        let session = SessionId { shard: 0, slot, serial: 0 };
        let subscriber = Subscriber {
            session,
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            identifier: 0,
        };
        let presence = Arc::new(Presence::default());
        presence.set(connected);
        Member { subscriber, presence }
    }

    #[test]
    fn connected_members_take_turns_and_others_are_passed_over() {
        let group = Group::new("g", member(0, true)).with(member(1, false)).with(member(2, true));
        let mut chosen: Vec<u32> = (0..6).map(|_| group.choose().session.slot).collect();
        chosen.sort_unstable();
        assert!(!chosen.contains(&1));
        assert!(chosen.contains(&0) && chosen.contains(&2));
    }

    #[test]
    fn with_nobody_connected_somebody_keeps_the_message() {
        let group = Group::new("g", member(0, false)).with(member(1, false));
        let slots: Vec<u32> = (0..2).map(|_| group.choose().session.slot).collect();
        assert_eq!(slots, [0, 1]);
    }

    #[test]
    fn the_last_member_takes_the_group_with_it() {
        let group = Group::new("g", member(0, true));
        let session = group.choose().session;
        assert!(group.contains(session));
        assert!(group.without(session).is_none());
    }
}

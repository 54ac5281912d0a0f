//! The groups of Shared Subscriptions: by their text for those who join and leave, by number for
//! messages that came by one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SessionId;
use super::share::{Group, Member};
use crate::session::ShareId;

/// All groups. One lives from its first member to its last; its number is not used meanwhile.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_id: BTreeMap<ShareId, Arc<Group>>,
    /// By the whole text, `$share/{ShareName}/{filter}`.
    ids: BTreeMap<Box<str>, ShareId>,
    /// The number given out last.
    last: u32,
    members: usize,
}

/// What became of a group that somebody left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The session was not in it.
    NotMember,
    /// Others are still in it.
    Others,
    /// It was the last.
    Nobody(ShareId),
}

impl Groups {
    /// Number of Shared Subscriptions: the members of all groups.
    pub(super) const fn members(&self) -> usize {
        self.members
    }

    pub(super) fn by_id(&self, id: ShareId) -> Option<&Arc<Group>> {
        self.by_id.get(&id)
    }

    pub(super) fn named(&self, text: &str) -> Option<&Arc<Group>> {
        self.ids.get(text).and_then(|id| self.by_id.get(id))
    }

    /// Adds a member, or replaces its subscription; returns the number of a new group.
    pub(super) fn join(&mut self, text: &str, member: Member) -> Option<ShareId> {
        if let Some(group) = self.ids.get(text).and_then(|id| self.by_id.get_mut(id)) {
            self.members += usize::from(!group.contains(member.session()));
            *group = Arc::new(group.with(member));
            return None;
        }
        let id = self.unused();
        self.ids.insert(text.into(), id);
        self.by_id.insert(id, Arc::new(Group::new(id, text, member)));
        self.members += 1;
        Some(id)
    }

    pub(super) fn leave(&mut self, text: &str, session: SessionId) -> Left {
        let id = self.ids.get(text).copied();
        let Some((id, group)) = id.and_then(|id| Some((id, self.by_id.get_mut(&id)?))) else {
            return Left::NotMember;
        };
        if !group.contains(session) {
            return Left::NotMember;
        }
        self.members -= 1;
        if let Some(rest) = group.without(session) {
            *group = Arc::new(rest);
            return Left::Others;
        }
        self.by_id.remove(&id);
        self.ids.remove(text);
        Left::Nobody(id)
    }

    fn unused(&mut self) -> ShareId {
        loop {
            self.last = self.last.wrapping_add(1);
            if let Some(id) = ShareId::new(self.last)
                && !self.by_id.contains_key(&id)
            {
                return id;
            }
        }
    }
}

//! The sessions of a shard: by slot for messages, by Client Identifier for people.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::share::Presence;
use super::{ConnectionId, SessionId};
use crate::session::{Link, Session};

/// One place; it outlives its sessions.
#[derive(Debug, Default)]
struct Slot {
    session: Option<Box<Session>>,
    serial: u32,
    /// Made for the first Shared Subscription.
    presence: Option<Arc<Presence>>,
    /// What `Commons::kept_serial` was when it last looked for what others keep.
    looked: u64,
}

#[derive(Debug)]
pub(super) struct Roster {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_client_id: BTreeMap<Box<str>, u32>,
    sessions_begun: u32,
    links_begun: u32,
    connected_count: usize,
}

impl Roster {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_client_id: BTreeMap::new(),
            sessions_begun: 0,
            links_begun: 0,
            connected_count: 0,
        }
    }

    pub(super) fn find(&self, client_id: &str) -> Option<u32> {
        self.by_client_id.get(client_id).copied()
    }

    /// Number of connections.
    pub(super) const fn connected_count(&self) -> usize {
        self.connected_count
    }

    pub(super) fn session(&self, slot: u32) -> Option<&Session> {
        self.slots.get(slot as usize)?.session.as_deref()
    }

    pub(super) fn session_mut(&mut self, slot: u32) -> Option<&mut Session> {
        self.slots.get_mut(slot as usize)?.session.as_deref_mut()
    }

    /// The session an address in a route or letter means, unless it is gone.
    pub(super) fn addressed_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.serial == id.serial { slot.session.as_deref_mut() } else { None }
    }

    /// The session of a connection, unless it is gone.
    pub(super) fn connected(&self, id: ConnectionId) -> Option<&Session> {
        let session = self.session(id.slot)?;
        let serial = session.link.as_ref()?.serial;
        (serial == id.serial).then_some(session)
    }

    /// As [`Self::connected`].
    pub(super) fn connected_mut(&mut self, id: ConnectionId) -> Option<&mut Session> {
        let session = self.session_mut(id.slot)?;
        let serial = session.link.as_ref()?.serial;
        (serial == id.serial).then_some(session)
    }

    pub(super) fn link_mut(&mut self, id: ConnectionId) -> Option<&mut Link> {
        self.connected_mut(id)?.link.as_deref_mut()
    }

    /// Number of slots, those without a session included.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Serial of the session in a slot.
    pub(super) fn serial(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).map_or(0, |slot| slot.serial)
    }

    /// The name of the session in a slot.
    pub(super) fn session_id(&self, shard: u16, slot: u32) -> SessionId {
        SessionId { shard, slot, serial: self.serial(slot) }
    }

    /// Whether the session of a slot has ever been in the group of a Shared Subscription.
    pub(super) fn is_member(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).is_some_and(|slot| slot.presence.is_some())
    }

    /// Whether a member has not looked yet for what others keep, as of `kept_serial`.
    pub(super) fn looks_again(&self, slot: u32, kept_serial: u64) -> bool {
        self.slots.get(slot as usize).is_some_and(|slot| slot.looked != kept_serial)
    }

    /// It looks now.
    pub(super) fn note_looked(&mut self, slot: u32, kept_serial: u64) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            slot.looked = kept_serial;
        }
    }

    /// Nobody is to be chosen any more: all connections are about to end.
    pub(super) fn withdraw(&self) {
        for presence in self.slots.iter().filter_map(|slot| slot.presence.as_ref()) {
            presence.set(false);
        }
    }

    /// Tells those who choose members what a session has to do.
    pub(super) fn note_backlog(&self, slot: u32) {
        if let Some(Slot { session: Some(session), presence: Some(presence), .. }) =
            self.slots.get(slot as usize)
        {
            presence.set_backlog(session.queue.len() + usize::from(session.inflight.len()));
        }
    }

    /// A message that was in a letter to a member has arrived.
    pub(super) fn note_arrived(&self, id: SessionId) {
        if let Some(Slot { presence: Some(presence), serial, .. }) =
            self.slots.get(id.slot as usize)
            && *serial == id.serial
        {
            presence.note_arrived();
        }
    }

    /// What says to publishers whether the session of a slot is connected, and how busy it is.
    pub(super) fn presence(&mut self, number: u32) -> Arc<Presence> {
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return Arc::default();
        };
        let connected = slot.session.as_ref().is_some_and(|session| session.link.is_some());
        let presence = Arc::clone(slot.presence.get_or_insert_with(Arc::default));
        presence.set(connected);
        self.note_backlog(number);
        presence
    }

    /// The same, where it was asked for before.
    pub(super) fn known_presence(&self, number: u32) -> Option<Arc<Presence>> {
        self.slots.get(number as usize)?.presence.clone()
    }

    /// Puts a new session in; `None` when there are 2^32 already.
    pub(super) fn insert(&mut self, session: Session) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot::default());
                slot
            }
        };
        self.sessions_begun = self.sessions_begun.wrapping_add(1);
        self.by_client_id.insert(session.client_id.clone(), slot);
        let place = &mut self.slots[slot as usize];
        let (session, serial) = (Some(Box::new(session)), self.sessions_begun);
        *place = Slot { session, serial, presence: None, looked: 0 };
        Some(slot)
    }

    /// Takes a session out for good.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Box<Session>> {
        let session = self.slots.get_mut(slot as usize)?.session.take()?;
        self.slots[slot as usize].presence = None;
        self.by_client_id.remove(&session.client_id);
        self.free.push(slot);
        Some(session)
    }

    /// Ties a connection to the session of a slot.
    pub(super) fn connect(&mut self, slot: u32, mut link: Box<Link>) -> Option<ConnectionId> {
        self.links_begun = self.links_begun.wrapping_add(1);
        link.serial = self.links_begun;
        let place = self.slots.get_mut(slot as usize)?;
        place.session.as_mut()?.link = Some(link);
        if let Some(presence) = &place.presence {
            presence.set(true);
        }
        self.connected_count += 1;
        Some(ConnectionId { slot, serial: self.links_begun })
    }

    /// Unties the connection of a slot.
    pub(super) fn disconnect(&mut self, slot: u32) -> Option<Box<Link>> {
        let place = self.slots.get_mut(slot as usize)?;
        let link = place.session.as_mut()?.link.take()?;
        if let Some(presence) = &place.presence {
            presence.set(false);
        }
        self.connected_count -= 1;
        Some(link)
    }

    /// Slots in the order of their Client Identifiers, after `after`.
    pub(super) fn in_order(&self, after: Option<&str>) -> impl Iterator<Item = u32> + '_ {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_client_id.range::<str, _>((start, Bound::Unbounded)).map(|(_, slot)| *slot)
    }

    /// All connections.
    pub(super) fn connections(&self) -> Vec<ConnectionId> {
        let id = |(index, slot): (usize, &Slot)| {
            let serial = slot.session.as_ref()?.link.as_ref()?.serial;
            Some(ConnectionId { slot: u32::try_from(index).ok()?, serial })
        };
        self.slots.iter().enumerate().filter_map(id).collect()
    }
}

//! Messages that wait for one session: for its return, for its window, or for its socket.
//!
//! The first of them are in memory. Of the others that the journal has, only the name is: they are
//! *parked*, and read back when their turn comes. Those that are not in the journal, and those of
//! Shared Subscriptions, which may have to go to another member at once, stay in memory.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Identifiers, Message, Mid};
use crate::codec::QoS;

/// Which group of a Shared Subscription, in one broker.
pub type ShareId = NonZeroU32;

/// Deliveries a connected session has in memory before further ones are parked.
const READY_MESSAGES_MAX: usize = 128;
/// The same in bytes.
const READY_BYTES_MAX: u64 = 128 * 1024;
/// Bytes of memory a parked delivery counts for.
const PARKED_BYTES: u64 = size_of::<Parked>() as u64;

/// One message to one session.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// Its name in the journal, if it is there for this session.
    pub mid: Option<Mid>,
    /// The effective QoS.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// The Shared Subscription it came by; `None` for one of the session's own.
    pub share: Option<ShareId>,
    /// Subscription Identifiers.
    pub identifiers: Identifiers,
}

/// A message whose content is in the journal only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its name.
    pub mid: Mid,
    /// Bytes of its content.
    pub bytes: u32,
    /// When it expires, seconds on the clock of `ticks_ms`, rounded up.
    pub expires_secs: Option<NonZeroU32>,
    /// The effective QoS.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
}

/// A first-in first-out queue that knows its bytes. Its bounds are its owner's business.
///
/// What the journal has stands in the order of its names, whatever the order it came in from
/// publishers of several shards; so it does after a restart.
#[derive(Debug, Default)]
pub struct Queue {
    ready: VecDeque<Delivery>,
    parked: VecDeque<Parked>,
    /// Whether messages are on their way from the journal.
    is_loading: bool,
    /// Of `ready`.
    ready_bytes: u64,
    /// Of `parked`, as if they were in memory.
    parked_bytes: u64,
    at_most_once: usize,
    expired: u64,
    /// Not later than the first of them expires; 0 = none does.
    earliest_ms: u64,
}

/// What had to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Displaced {
    /// Its name in the journal.
    pub(super) mid: Option<Mid>,
    /// What it weighed.
    pub(super) weight: u64,
}

impl Parked {
    /// A message without its content.
    #[must_use]
    pub fn new(mid: Mid, bytes: u64, expires_ms: Option<u64>, qos: QoS, retain: bool) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let secs = |at_ms: u64| u32::try_from(at_ms.div_ceil(1000).max(1)).unwrap_or(u32::MAX);
        let expires_secs = expires_ms.map(secs).and_then(NonZeroU32::new);
        Self { mid, bytes, expires_secs, qos, retain }
    }

    fn of(delivery: &Delivery, mid: Mid) -> Self {
        let content = delivery.message.content();
        let bytes = content.len() as u64;
        Self::new(mid, bytes, content.expires_ms, delivery.qos, delivery.retain)
    }

    /// What the message weighs, when it is in memory.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.bytes as u64 + Message::OVERHEAD_BYTES
    }

    /// When it expires, on the clock of `ticks_ms`.
    #[must_use]
    pub fn expires_ms(&self) -> Option<u64> {
        self.expires_secs.map(|secs| u64::from(secs.get()) * 1000)
    }

    fn has_expired(&self, ticks_ms: u64) -> bool {
        self.expires_ms().is_some_and(|at_ms| at_ms <= ticks_ms)
    }
}

impl Queue {
    /// Puts a delivery at the end, or where its name belongs.
    pub fn push(&mut self, delivery: Delivery) {
        self.ready_bytes += delivery.message.weight();
        self.at_most_once += usize::from(delivery.qos == QoS::AtMostOnce);
        self.note_expiry(delivery.message.expires_ms());
        let mut at = self.ready.len();
        while delivery.mid.is_some() && at > 0 && self.ready[at - 1].mid > delivery.mid {
            at -= 1;
        }
        self.ready.insert(at, delivery);
    }

    /// The same for one that is parked.
    pub fn park(&mut self, parked: Parked) {
        self.parked_bytes += parked.weight();
        self.note_expiry(parked.expires_ms());
        if self.parked.len() == self.parked.capacity() {
            // By less than doubling: a million sessions may have some.
            self.parked.reserve_exact((self.parked.len() / 4).max(4));
        }
        let mut at = self.parked.len();
        while at > 0 && self.parked[at - 1].mid > parked.mid {
            at -= 1;
        }
        self.parked.insert(at, parked);
    }

    fn note_expiry(&mut self, expires_ms: Option<u64>) {
        if let Some(at_ms) = expires_ms
            && (self.earliest_ms == 0 || at_ms < self.earliest_ms)
        {
            self.earliest_ms = at_ms.max(1);
        }
    }

    /// Not later than the first of its messages expires; `None` when none does.
    #[must_use]
    pub fn earliest(&self) -> Option<u64> {
        (self.earliest_ms > 0 && !self.is_empty()).then_some(self.earliest_ms)
    }

    /// Whether the next delivery that the journal has is to be parked.
    #[must_use]
    pub fn parks(&self) -> bool {
        !self.parked.is_empty()
            || self.ready.len() >= READY_MESSAGES_MAX
            || self.ready_bytes >= READY_BYTES_MAX
    }

    /// Parks what the journal has: its client is away.
    pub fn park_all(&mut self) {
        let all = std::mem::take(&mut self.ready);
        (self.ready_bytes, self.at_most_once) = (0, 0);
        for delivery in all {
            match delivery.mid {
                Some(mid) if delivery.share.is_none() => self.park(Parked::of(&delivery, mid)),
                _ => self.push(delivery),
            }
        }
    }

    /// Whether all that waits is in the journal, and nothing of it on its way from there.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.ready.is_empty() && !self.parked.is_empty() && !self.is_loading
    }

    /// What is to be read from the journal now, if anything: half of what may be in memory.
    pub fn wanted(&mut self) -> Option<Vec<Mid>> {
        let is_low =
            self.ready.len() < READY_MESSAGES_MAX / 2 && self.ready_bytes < READY_BYTES_MAX / 2;
        if self.is_loading || self.parked.is_empty() || !is_low {
            return None;
        }
        self.is_loading = true;
        let mut bytes = 0;
        let mut fits = |parked: &&Parked| {
            let fits = bytes < READY_BYTES_MAX / 2;
            bytes += parked.weight();
            fits
        };
        let next = self.parked.iter().take_while(|parked| fits(parked));
        Some(next.take(READY_MESSAGES_MAX / 2).map(|parked| parked.mid).collect())
    }

    /// A parked message came from the journal, or is not there (`None`); says what it was, unless
    /// nobody waits for it now: it is gone, or others are to go first, as its client left meanwhile
    /// and is back.
    pub fn arrived(
        &mut self,
        mid: Mid,
        content: Option<(Arc<Message>, Identifiers)>,
    ) -> Option<Parked> {
        let at = self.parked.iter().position(|parked| parked.mid == mid)?;
        if at > 0 && content.is_some() {
            return None;
        }
        let parked = self.parked.remove(at)?;
        self.parked_bytes -= parked.weight();
        if let Some((message, identifiers)) = content {
            let Parked { mid, qos, retain, .. } = parked;
            self.push(Delivery { message, mid: Some(mid), qos, retain, share: None, identifiers });
        }
        self.give_back();
        Some(parked)
    }

    /// All that was [`Self::wanted`] has come.
    pub const fn loaded(&mut self) {
        self.is_loading = false;
    }

    /// The delivery that waits longest of those in memory.
    #[must_use]
    pub fn front(&self) -> Option<&Delivery> {
        self.ready.front()
    }

    /// Takes the delivery that waits longest of those in memory.
    pub fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.ready.pop_front()?;
        self.ready_bytes -= delivery.message.weight();
        self.at_most_once -= usize::from(delivery.qos == QoS::AtMostOnce);
        self.give_back();
        Some(delivery)
    }

    /// Takes out what waits longest and is the session's own, to make room for a message of that QoS:
    /// for one of QoS 0 no other goes.
    pub(super) fn pop_oldest(&mut self, qos: QoS) -> Option<Displaced> {
        let is_candidate = |front: &Delivery| front.share.is_none();
        if self.front().is_some_and(is_candidate) {
            let spares = |front: &Delivery| qos == QoS::AtMostOnce && front.qos != QoS::AtMostOnce;
            if self.front().is_some_and(spares) {
                return None;
            }
            let Delivery { message, mid, .. } = self.pop()?;
            return Some(Displaced { mid, weight: message.weight() });
        }
        if qos == QoS::AtMostOnce {
            return None;
        }
        let parked = self.parked.pop_front()?;
        self.parked_bytes -= parked.weight();
        self.give_back();
        Some(Displaced { mid: Some(parked.mid), weight: parked.weight() })
    }

    /// After a burst the memory goes back.
    fn give_back(&mut self) {
        if self.ready.is_empty() {
            self.ready = VecDeque::new();
        }
        if self.parked.is_empty() {
            self.parked = VecDeque::new();
        } else if self.parked.capacity() > 1024 && self.parked.len() < self.parked.capacity() / 4 {
            self.parked.shrink_to(self.parked.len() * 2);
        }
    }

    /// The smallest name in it.
    #[must_use]
    pub fn first_mid(&self) -> Option<Mid> {
        let ready = self.ready.iter().filter_map(|delivery| delivery.mid).min();
        ready.into_iter().chain(self.parked.front().map(|parked| parked.mid)).min()
    }

    /// All names in it.
    pub fn mids(&self) -> impl Iterator<Item = Mid> + '_ {
        let ready = self.ready.iter().filter_map(|delivery| delivery.mid);
        ready.chain(self.parked.iter().map(|parked| parked.mid))
    }

    /// What is in memory.
    pub fn ready_mut(&mut self) -> impl Iterator<Item = &mut Delivery> {
        self.ready.iter_mut()
    }

    /// What is in memory.
    pub fn ready(&self) -> impl Iterator<Item = &Delivery> + '_ {
        self.ready.iter()
    }

    /// The name of the next parked message behind that name.
    pub(super) fn parked_after(&self, mid: Mid) -> Option<Mid> {
        let next = self.parked.partition_point(|parked| parked.mid <= mid);
        self.parked.get(next).map(|parked| parked.mid)
    }

    /// What is on the disk, behind what is in memory.
    pub fn parked(&self) -> impl Iterator<Item = &Parked> + '_ {
        self.parked.iter()
    }

    /// Takes out what came by a Shared Subscription and is `wanted`, in order.
    pub fn take_shared(&mut self, mut wanted: impl FnMut(&Delivery) -> bool) -> Vec<Delivery> {
        if !self.ready.iter().any(|delivery| delivery.share.is_some()) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        let all = std::mem::take(&mut self.ready);
        (self.ready_bytes, self.at_most_once) = (0, 0);
        for delivery in all {
            if delivery.share.is_some() && wanted(&delivery) {
                taken.push(delivery);
            } else {
                self.push(delivery);
            }
        }
        taken
    }

    /// Makes room: drops what has expired at the front; says how many, and names those the journal
    /// has.
    pub fn drop_expired(&mut self, ticks_ms: u64, mut name: impl FnMut(Mid)) -> u64 {
        let mut dropped = 0;
        while self.front().is_some_and(|front| front.message.has_expired(ticks_ms)) {
            let delivery = self.pop();
            delivery.and_then(|delivery| delivery.mid).into_iter().for_each(&mut name);
            dropped += 1;
        }
        while let Some(parked) = self.parked.front().filter(|_| self.ready.is_empty()).copied()
            && parked.has_expired(ticks_ms)
        {
            self.parked.pop_front();
            self.parked_bytes -= parked.weight();
            name(parked.mid);
            dropped += 1;
        }
        self.expired += dropped;
        dropped
    }

    /// Drops whatever has expired, as [`Self::drop_expired`] does at the front.
    pub fn drop_all_expired(&mut self, ticks_ms: u64, mut name: impl FnMut(Mid)) -> u64 {
        let before = self.len();
        let all = std::mem::take(&mut self.ready);
        (self.ready_bytes, self.at_most_once, self.earliest_ms) = (0, 0, 0);
        for delivery in all {
            if delivery.message.has_expired(ticks_ms) {
                delivery.mid.into_iter().for_each(&mut name);
            } else {
                self.push(delivery);
            }
        }
        for parked in std::mem::take(&mut self.parked) {
            self.parked_bytes -= parked.weight();
            if parked.has_expired(ticks_ms) {
                name(parked.mid);
            } else {
                self.park(parked);
            }
        }
        self.give_back();
        let dropped = (before - self.len()) as u64;
        self.expired += dropped;
        dropped
    }

    /// Deliveries dropped as expired so far.
    #[must_use]
    pub const fn expired(&self) -> u64 {
        self.expired
    }

    /// Number of deliveries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready.len() + self.parked.len()
    }

    /// Number of those on the disk.
    #[must_use]
    pub fn parked_len(&self) -> usize {
        self.parked.len()
    }

    /// Bytes of the parked ones, as if they were in memory.
    #[must_use]
    pub const fn parked_bytes(&self) -> u64 {
        self.parked_bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.parked.is_empty()
    }

    /// Number of QoS 0 deliveries.
    #[must_use]
    pub const fn at_most_once(&self) -> usize {
        self.at_most_once
    }

    /// Bytes that wait, bookkeeping included, wherever they are.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.ready_bytes + self.parked_bytes
    }

    /// Bytes of memory it takes, bookkeeping included.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.ready_bytes + self.parked.len() as u64 * PARKED_BYTES
    }
}

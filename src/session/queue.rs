//! Messages that wait for one session: for its return, for its window, or for its socket.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Identifiers, Message};
use crate::codec::QoS;

/// Which group of a Shared Subscription, in one broker.
pub type ShareId = NonZeroU32;

/// One message to one session.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// The effective QoS.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// The Shared Subscription it came by; `None` for one of the session's own.
    pub share: Option<ShareId>,
    /// Subscription Identifiers.
    pub identifiers: Identifiers,
}

/// A first-in first-out queue that knows its bytes. Its bounds are its owner's business.
#[derive(Debug, Default)]
pub struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: u64,
    at_most_once: usize,
    expired: u64,
}

impl Queue {
    /// Puts a delivery at the end.
    pub fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.weight();
        self.at_most_once += usize::from(delivery.qos == QoS::AtMostOnce);
        self.deliveries.push_back(delivery);
    }

    /// All deliveries, the one that waits longest first.
    pub fn iter(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter()
    }

    /// The delivery that waits longest.
    #[must_use]
    pub fn front(&self) -> Option<&Delivery> {
        self.deliveries.front()
    }

    /// Takes the delivery that waits longest.
    pub fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.bytes -= delivery.message.weight();
        self.at_most_once -= usize::from(delivery.qos == QoS::AtMostOnce);
        if self.deliveries.is_empty() {
            // After a burst the memory goes back.
            self.deliveries = VecDeque::new();
        }
        Some(delivery)
    }

    /// Takes out what came by a Shared Subscription and is `wanted`, in order.
    pub fn take_shared(&mut self, mut wanted: impl FnMut(&Delivery) -> bool) -> Vec<Delivery> {
        if !self.deliveries.iter().any(|delivery| delivery.share.is_some()) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        let all = std::mem::take(self);
        self.expired = all.expired;
        for delivery in all.deliveries {
            if delivery.share.is_some() && wanted(&delivery) {
                taken.push(delivery);
            } else {
                self.push(delivery);
            }
        }
        taken
    }

    /// Makes room: drops what has expired at the front, and says how many.
    pub fn drop_expired(&mut self, ticks_ms: u64) -> u64 {
        let mut dropped = 0;
        while self.front().is_some_and(|front| front.message.has_expired(ticks_ms)) {
            self.pop();
            dropped += 1;
        }
        self.expired += dropped;
        dropped
    }

    /// Deliveries dropped by [`Self::drop_expired`] so far.
    #[must_use]
    pub const fn expired(&self) -> u64 {
        self.expired
    }

    /// Number of deliveries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Number of QoS 0 deliveries.
    #[must_use]
    pub const fn at_most_once(&self) -> usize {
        self.at_most_once
    }

    /// Bytes it holds, bookkeeping included.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

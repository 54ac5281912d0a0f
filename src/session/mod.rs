//! One client's protocol state, without socket, clock or neighbours.
//!
//! A [`Session`] outlives its network connections; what lives only as long as one of them is its
//! [`Link`]. The broker feeds it packets and messages, and it writes into the link's [`Outbox`].
//!
//! ```text
//!             admit                      depart
//!   (none) ──────────► connected ──────────────────► disconnected ──► (none)
//!                       ▲  link: Some                 link: None      expiry
//!                       └─────────── resume ──────────────┘
//! ```
//!
//! A session never sees another session, the routes, or the time other than as an argument.

mod alias;
mod assigned;
mod authentication;
mod fitted;
mod full;
mod held;
mod identifiers;
mod inbound;
mod inflight;
mod kept;
mod link;
mod message;
mod outbound;
mod outbox;
mod queue;
mod received;
mod subscriptions;
mod violation;
mod will;

pub use alias::Aliases;
pub use assigned::{AssignedAliases, Naming};
pub use authentication::{
    Applicant, Authentication, Denial, Exchange, Grant, Method, Methods, Step,
};
pub use fitted::encode_fitted;
pub use full::QueueFull;
pub use held::Held;
pub use identifiers::Identifiers;
pub use inflight::{Inflight, Mismatch, Sent};
pub use kept::{Done, Kept, Promise, Run};
pub use link::{Link, PeerLimits};
pub use message::{Content, Message, Mid, Parcel, Sid};
pub use outbound::{Bounds, DropReason, Outcome, Portion, Refilled, Terms};
pub use outbox::Outbox;
pub use queue::{Delivery, Parked, Queue, ShareId};
pub use received::Received;
pub use subscriptions::{Subscription, Subscriptions};
pub use violation::Violation;
pub use will::ArmedWill;

use crate::codec::Version;

/// The state of one Client Identifier.
#[derive(Debug)]
pub struct Session {
    /// Client Identifier.
    pub client_id: Box<str>,
    /// User Name of the last CONNECT.
    pub username: Option<Box<str>>,
    /// Version of the last CONNECT.
    pub version: Version,
    /// Clean Start of the last CONNECT.
    pub clean_start: bool,
    /// Session Expiry Interval in force, seconds; 0 = ends with the connection, `u32::MAX` = never.
    pub expiry_interval_secs: u32,
    /// When the session began, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When the last connection began, milliseconds since 1970.
    pub connected_unix_ms: u64,
    /// When the last connection ended, milliseconds since 1970.
    pub disconnected_unix_ms: Option<u64>,
    /// The same on the clock of `ticks_ms`, which no one can set.
    pub away_since_ms: Option<u64>,
    /// What the client subscribed to.
    pub subscriptions: Subscriptions,
    /// QoS 1 and 2 messages on their way to the client.
    pub inflight: Inflight,
    /// QoS 2 messages received and not yet released.
    pub received: Received,
    /// Messages that wait.
    pub queue: Queue,
    /// The Will of the last CONNECT while it may still be published.
    pub will: Option<Box<ArmedWill>>,
    /// Messages dropped for this session.
    pub messages_dropped: u64,
    /// Whether dropping was told since the last connection began.
    pub drop_told: bool,
    /// Whether publishers know that it [is full](Self::is_full).
    pub full_told: bool,
    /// What the journal knows of it, when it outlives its connection and there is a journal.
    pub kept: Option<Box<Kept>>,
    /// The network connection, when there is one.
    pub link: Option<Box<Link>>,
}

impl Session {
    /// A session without a connection.
    #[must_use]
    pub fn new(client_id: Box<str>, version: Version, created_unix_ms: u64) -> Self {
        Self {
            client_id,
            username: None,
            version,
            clean_start: true,
            expiry_interval_secs: 0,
            created_unix_ms,
            connected_unix_ms: created_unix_ms,
            disconnected_unix_ms: None,
            away_since_ms: None,
            subscriptions: Subscriptions::default(),
            inflight: Inflight::default(),
            received: Received::default(),
            queue: Queue::default(),
            will: None,
            messages_dropped: 0,
            drop_told: false,
            full_told: false,
            kept: None,
            link: None,
        }
    }

    /// Bytes of memory its messages take, waiting or in flight.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.queue.held_bytes() + self.inflight.bytes()
    }

    /// Takes out what came by a Shared Subscription and may go to another of its members: QoS 1 in
    /// flight, then what waits.
    pub fn take_shared(&mut self, mut wanted: impl FnMut(&Delivery) -> bool) -> Vec<Delivery> {
        let mut taken = self.inflight.take_shared(&mut wanted);
        taken.append(&mut self.queue.take_shared(&mut wanted));
        taken
    }

    /// Takes out at most a portion of what it has of one group, in the same order, and says
    /// whether there is more.
    pub fn take_portion(&mut self, share: ShareId, portion: Portion) -> (Vec<Delivery>, bool) {
        let Portion { mut messages, mut bytes } = portion;
        let mut more = false;
        let taken = self.take_shared(|delivery| {
            let is_of_group = delivery.share == Some(share);
            let fits = messages > 0 && bytes > 0;
            more |= is_of_group && !fits;
            if is_of_group && fits {
                messages -= 1;
                bytes = bytes.saturating_sub(delivery.message.weight());
            }
            is_of_group && fits
        });
        (taken, more)
    }

    /// Bytes in its outbox, and of packets that wait for the disk.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.link.as_ref().map_or(0, |link| link.unsent_bytes())
    }

    /// Whether it outlives its connection.
    #[must_use]
    pub const fn outlives_connection(&self) -> bool {
        self.expiry_interval_secs > 0
    }
}

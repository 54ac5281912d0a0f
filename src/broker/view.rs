//! Read-only pictures of a shard, for operators. Nothing here changes a session.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::codec::{QoS, SubscriptionOptions, Version};
use crate::session::{Message, Mid};

/// One client: its session and, when connected, its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// Client Identifier.
    pub client_id: Box<str>,
    /// User Name of the last CONNECT.
    pub username: Option<Box<str>>,
    /// Protocol version of the last CONNECT.
    pub version: Version,
    /// Whether a network connection is up.
    pub connected: bool,
    /// Address of the peer, when connected.
    pub peer: Option<SocketAddr>,
    /// Clean Start of the last CONNECT.
    pub clean_start: bool,
    /// Keep Alive in force, seconds; 0 = off.
    pub keep_alive_secs: u16,
    /// Session Expiry Interval in force, seconds.
    pub session_expiry_interval_secs: u32,
    /// When the session began, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When the connection began.
    pub connected_unix_ms: u64,
    /// When the last connection ended; `None` while connected.
    pub disconnected_unix_ms: Option<u64>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// QoS 1 and 2 messages sent and not acknowledged.
    pub inflight: usize,
    /// QoS 2 messages received and not released.
    pub awaiting_pubrel: usize,
    /// Messages waiting.
    pub queue_messages: usize,
    /// Bytes waiting.
    pub queue_bytes: u64,
    /// Messages waiting of which all but the name is on disk only.
    pub parked_messages: usize,
    /// Bytes of them.
    pub parked_bytes: u64,
    /// Whether a Will is armed.
    pub will: bool,
    /// Application Messages received from the client over this connection.
    pub messages_in: u64,
    /// Application Messages sent to the client over this connection.
    pub messages_out: u64,
    /// Messages dropped for this session, whatever the reason.
    pub messages_dropped: u64,
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Who.
    pub client_id: Box<str>,
    /// Topic Filter as subscribed, `$share/…` included.
    pub filter: Box<str>,
    /// Subscription Options.
    pub options: SubscriptionOptions,
    /// Subscription Identifier.
    pub identifier: Option<u32>,
}

/// One retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedView {
    /// Topic Name.
    pub topic: Box<str>,
    /// QoS it was published with.
    pub qos: QoS,
    /// Payload.
    pub payload: Vec<u8>,
    /// When it was stored, milliseconds since 1970.
    pub stored_unix_ms: u64,
    /// When it expires, milliseconds since 1970.
    pub expires_unix_ms: Option<u64>,
}

/// How far a message is on its way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its turn.
    Queued,
    /// It was sent; PUBACK or PUBREC has not come.
    Sent,
    /// PUBREL was sent; PUBCOMP has not come, and the message itself is gone.
    Released,
}

/// One message on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingView {
    /// How far it is.
    pub stage: Stage,
    /// Packet Identifier, once it was sent.
    pub packet_id: Option<u16>,
    /// The effective QoS.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// When it expires, milliseconds since 1970.
    pub expires_unix_ms: Option<u64>,
    /// The name of the message in the store, if it is there.
    pub mid: Option<Mid>,
    /// The message, where it is in memory: it is not while it is parked in the store, nor once it was
    /// sent to a client whose session ends with the connection.
    pub message: Option<Arc<Message>>,
}

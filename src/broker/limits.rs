//! Every bound of a broker, and the choice it leaves to its operator. Each has a key in `[limits]`,
//! `[session]`, `[broker]` or `[store]` of the configuration; the defaults and their reasons stand in
//! `daemon/config`.

use super::{Durability, QueueFull, SharedChoice};

/// Bounds of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet accepted, bytes.
    pub packet_bytes_max: u32,
    /// QoS 1 and 2 messages a client may have in flight towards the server.
    pub receive_maximum: u16,
    /// Highest Topic Alias a client may use.
    pub topic_alias_maximum: u16,
    /// Highest Topic Alias the server sets towards a client that allows as many.
    pub assigned_aliases_max: u16,
    /// Longest Keep Alive, seconds; a 5.0 client that asks for more or for none is told this.
    pub keep_alive_secs_max: u16,
    /// Levels of a topic name or filter.
    pub topic_levels_max: u32,
    /// Whether a payload whose Payload Format Indicator says UTF-8 is checked.
    pub checks_payload_format: bool,
    /// Subscriptions of one session.
    pub subscriptions_max: u32,
    /// QoS 1 and 2 messages in flight towards one client.
    pub inflight_max: u16,
    /// Messages waiting for one session.
    pub queue_messages_max: u32,
    /// Bytes waiting for one session.
    pub queue_bytes_max: u64,
    /// What a full queue does with one more message.
    pub queue_full: QueueFull,
    /// Bytes in the store of messages that wait for sessions, all together; above it a message finds
    /// every queue full that lies there.
    pub store_queue_bytes_max: u64,
    /// Longest Session Expiry Interval, seconds; `u32::MAX` = may live for ever.
    pub session_expiry_secs_max: u32,
    /// Unsent bytes of one connection above which its messages wait in the queue.
    pub outbox_bytes_max: u32,
    /// Retained messages: one more is refused with 0x97, or passed on and not kept where its
    /// publisher cannot be told.
    pub retained_messages_max: u64,
    /// Sessions, connected or not.
    pub sessions_max: u64,
    /// Bytes of all queues, outboxes and retained messages together.
    pub memory_bytes_max: u64,
    /// How a member of a Shared Subscription is chosen.
    pub shared_choice: SharedChoice,
    /// How long messages last once they are acknowledged.
    pub durability: Durability,
}

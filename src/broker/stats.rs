//! Plain counters and gauges, summed outside.

use crate::session::DropReason;

/// Named counters and gauges, e.g. `messages.received`, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    rows: Vec<(&'static str, u64)>,
}

impl Stats {
    /// Adds the other's rows to this one's, by name.
    pub fn add(&mut self, other: &Self) {
        for &(name, value) in &other.rows {
            match self.rows.iter_mut().find(|row| row.0 == name) {
                Some(row) => row.1 += value,
                None => self.rows.push((name, value)),
            }
        }
    }

    /// Sets a row.
    pub fn set(&mut self, name: &'static str, value: u64) {
        match self.rows.iter_mut().find(|row| row.0 == name) {
            Some(row) => row.1 = value,
            None => self.rows.push((name, value)),
        }
    }

    /// One row, 0 when it is not there.
    #[must_use]
    pub fn value(&self, name: &str) -> u64 {
        self.rows.iter().find(|row| row.0 == name).map_or(0, |row| row.1)
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.rows.iter().copied()
    }
}

/// What a shard counts; indices of arrays are QoS.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: u64,
    pub(super) disconnections: u64,
    pub(super) violations: u64,
    pub(super) packets_received: u64,
    /// Without PUBLISH.
    pub(super) packets_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) messages_received: [u64; 3],
    pub(super) payload_bytes_received: u64,
    pub(super) payload_bytes_sent: u64,
    pub(super) messages_reserved: u64,
    /// Refused, as somebody who was to get it has a full queue,
    pub(super) messages_refused_queue: u64,
    /// or as the store keeps nothing at the moment.
    pub(super) messages_refused_store: u64,
    pub(super) sessions_expired: u64,
    pub(super) messages_sent: [u64; 3],
    pub(super) messages_unmatched: u64,
    dropped_offline: u64,
    dropped_queue_full: u64,
    dropped_queue_oldest: u64,
    dropped_store_full: u64,
    dropped_memory_full: u64,
    dropped_packet_too_large: u64,
    dropped_expired: u64,
    dropped_lost: u64,
}

impl Counters {
    pub(super) const fn dropped(&mut self, reason: DropReason, count: u64) {
        let counter = match reason {
            DropReason::Offline => &mut self.dropped_offline,
            DropReason::QueueFull => &mut self.dropped_queue_full,
            DropReason::QueueOldest => &mut self.dropped_queue_oldest,
            DropReason::StoreFull => &mut self.dropped_store_full,
            DropReason::MemoryFull => &mut self.dropped_memory_full,
            DropReason::PacketTooLarge => &mut self.dropped_packet_too_large,
            DropReason::Expired => &mut self.dropped_expired,
            DropReason::Lost => &mut self.dropped_lost,
        };
        *counter += count;
    }

    pub(super) fn stats(&self) -> Stats {
        let rows = vec![
            ("clients.connected", 0),
            ("connections.admitted", self.connections),
            ("connections.ended", self.disconnections),
            ("connections.ended.violation", self.violations),
            ("sessions.expired", self.sessions_expired),
            ("packets.received", self.packets_received),
            ("packets.sent", self.packets_sent + self.messages_sent.iter().sum::<u64>()),
            ("bytes.received", self.bytes_received),
            ("messages.received", self.messages_received.iter().sum()),
            ("messages.received.qos0", self.messages_received[0]),
            ("messages.received.qos1", self.messages_received[1]),
            ("messages.received.qos2", self.messages_received[2]),
            ("messages.received.bytes", self.payload_bytes_received),
            ("messages.received.refused.sys_topic", self.messages_reserved),
            ("messages.received.refused.queue_full", self.messages_refused_queue),
            ("messages.received.refused.store", self.messages_refused_store),
            ("messages.sent", self.messages_sent.iter().sum()),
            ("messages.sent.qos0", self.messages_sent[0]),
            ("messages.sent.qos1", self.messages_sent[1]),
            ("messages.sent.qos2", self.messages_sent[2]),
            ("messages.sent.bytes", self.payload_bytes_sent),
            ("messages.unmatched", self.messages_unmatched),
            ("messages.dropped", self.dropped_total()),
            ("messages.dropped.offline_qos0", self.dropped_offline),
            ("messages.dropped.queue_full", self.dropped_queue_full),
            ("messages.dropped.queue_oldest", self.dropped_queue_oldest),
            ("messages.dropped.store_full", self.dropped_store_full),
            ("messages.dropped.memory_full", self.dropped_memory_full),
            ("messages.dropped.packet_too_large", self.dropped_packet_too_large),
            ("messages.dropped.expired", self.dropped_expired),
            ("messages.dropped.damaged", self.dropped_lost),
        ];
        Stats { rows }
    }

    const fn dropped_total(&self) -> u64 {
        self.dropped_offline
            + self.dropped_queue_full
            + self.dropped_queue_oldest
            + self.dropped_store_full
            + self.dropped_memory_full
            + self.dropped_packet_too_large
            + self.dropped_expired
            + self.dropped_lost
    }
}

//! QoS 2 messages received from the client and not yet released: what makes "exactly once".

use std::collections::BTreeSet;

/// Packet Identifiers between PUBLISH and PUBREL `[MQTT-4.3.3-10]`.
#[derive(Debug, Default)]
pub struct Received {
    packet_ids: BTreeSet<u16>,
}

impl Received {
    /// Takes note of a PUBLISH; `false` when it is known: a re-delivery.
    pub fn insert(&mut self, packet_id: u16) -> bool {
        self.packet_ids.insert(packet_id)
    }

    /// Whether a PUBLISH with this identifier waits for its PUBREL.
    #[must_use]
    pub fn contains(&self, packet_id: u16) -> bool {
        self.packet_ids.contains(&packet_id)
    }

    /// PUBREL came; `false` when the identifier is unknown.
    pub fn release(&mut self, packet_id: u16) -> bool {
        self.packet_ids.remove(&packet_id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.packet_ids.iter().copied()
    }

    /// Number of messages between PUBLISH and PUBREL.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packet_ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packet_ids.is_empty()
    }
}

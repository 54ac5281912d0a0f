//! Packets that wait until what they say is on the disk: acknowledgements, and QoS 2 messages whose
//! Packet Identifier must not be forgotten.
//!
//! They keep their order among each other `[MQTT-4.6.0-2]` `[MQTT-4.6.0-3]` `[MQTT-4.6.0-4]`, and so
//! do messages of QoS 1 behind those of QoS 2; what else needs not wait passes them.

use std::collections::VecDeque;

/// The packets of one connection that wait.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Vec<u8>,
    /// What waits for which ticket of the journal, in order.
    portions: VecDeque<(u64, usize)>,
    /// Bytes in `portions`.
    sealed: usize,
    /// Until this ticket nothing at all goes out; `u64::MAX` until it is known.
    gate: Option<u64>,
    /// Until this ticket no message follows that SUBACK is to come before; `u64::MAX` as above.
    suback: Option<u64>,
    /// The same for a PUBLISH among what waits.
    publish: Option<u64>,
    /// Whether it stands in the shard's list of those with something new.
    pub listed: bool,
}

impl Held {
    /// Where to encode a packet that waits.
    pub const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Nothing goes out before what this step leaves is on the disk.
    pub const fn shut_gate(&mut self) {
        self.gate = Some(u64::MAX);
    }

    /// SUBACK waits: what it brings comes behind it.
    pub const fn hold_messages(&mut self) {
        self.suback = Some(u64::MAX);
    }

    /// Whether messages are to come behind what waits.
    #[must_use]
    pub const fn holds_messages(&self) -> bool {
        self.suback.is_some()
    }

    /// A PUBLISH was put in.
    pub const fn note_publish(&mut self) {
        self.publish = Some(u64::MAX);
    }

    /// Whether there is a PUBLISH among what waits.
    #[must_use]
    pub const fn has_publish(&self) -> bool {
        self.publish.is_some()
    }

    /// Whether nothing may go out.
    #[must_use]
    pub const fn is_shut(&self) -> bool {
        self.gate.is_some()
    }

    /// Whether something waits for a ticket that is not known yet.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.bytes.len() > self.sealed || matches!(self.gate, Some(u64::MAX))
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.gate.is_none()
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What came since the last call waits for `ticket`.
    pub fn seal(&mut self, ticket: u64) {
        let fresh = self.bytes.len() - self.sealed;
        if fresh > 0 {
            self.portions.push_back((ticket, fresh));
            self.sealed += fresh;
        }
        for waits in [&mut self.gate, &mut self.suback, &mut self.publish] {
            if *waits == Some(u64::MAX) {
                *waits = Some(ticket);
            }
        }
    }

    /// Everything up to `ticket` is on the disk: moves what waited for it to `out`.
    pub fn release(&mut self, ticket: u64, out: &mut Vec<u8>) {
        for waits in [&mut self.gate, &mut self.suback, &mut self.publish] {
            *waits = waits.filter(|waits| *waits > ticket);
        }
        let mut count = 0;
        while let Some((waits, bytes)) = self.portions.front()
            && *waits <= ticket
        {
            count += bytes;
            self.portions.pop_front();
        }
        self.sealed -= count;
        out.extend_from_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_with_their_tickets_and_in_order() {
        let mut held = Held::default();
        held.buffer().extend_from_slice(b"ab");
        held.seal(3);
        held.buffer().extend_from_slice(b"c");
        assert!(held.is_fresh());
        held.seal(5);
        let mut out = Vec::new();
        held.release(2, &mut out);
        assert!(out.is_empty());
        held.release(4, &mut out);
        assert_eq!(out, b"ab");
        held.release(5, &mut out);
        assert_eq!(out, b"abc");
        assert!(held.is_empty());
    }
}

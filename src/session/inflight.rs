//! QoS 1 and 2 messages on their way to the client, by Packet Identifier.
//!
//! Identifiers are given out in a ring: 1, 2, …, 65 535, 1. Entries stand in the order they were
//! sent, so that an identifier is an index and the order of a re-delivery is the order of the
//! first delivery `[MQTT-4.6.0-1]`. An entry acknowledged out of turn stays as a gap until those
//! before it are acknowledged too; at most 65 535 entries of 40 bytes for the oddest client.

use std::collections::VecDeque;

use super::{Delivery, ShareId};
use crate::codec::QoS;

/// Where a sent message stands.
#[derive(Debug)]
pub enum Sent {
    /// Acknowledged.
    Done,
    /// QoS 1: waits for PUBACK `[MQTT-4.3.2-3]`. The delivery is kept when the session outlives its
    /// connection, and when it came by a Shared Subscription, for another member.
    Puback(Option<Delivery>),
    /// QoS 2: waits for PUBREC `[MQTT-4.3.3-3]`.
    Pubrec(Option<Delivery>),
    /// QoS 2: PUBREL is sent, waits for PUBCOMP `[MQTT-4.3.3-5]`; the message is gone and cannot be
    /// sent again `[MQTT-4.3.3-6]`.
    Pubcomp,
}

/// The acknowledgement does not fit the state its Packet Identifier is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The identifier is not in use.
    NotFound,
    /// It is in use for another exchange.
    WrongKind,
}

/// The window of sent and unacknowledged messages.
#[derive(Debug)]
pub struct Inflight {
    entries: VecDeque<Sent>,
    /// Packet Identifier of the first entry.
    first: u16,
    unacknowledged: u16,
    /// Bytes of the deliveries kept.
    bytes: u64,
}

impl Default for Inflight {
    fn default() -> Self {
        Self { entries: VecDeque::new(), first: 1, unacknowledged: 0, bytes: 0 }
    }
}

const RING: u32 = 65_535;

impl Inflight {
    /// Number of unacknowledged messages.
    #[must_use]
    pub const fn len(&self) -> u16 {
        self.unacknowledged
    }

    /// Whether everything is acknowledged.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.unacknowledged == 0
    }

    /// Bytes of the messages kept for a re-delivery.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether one more fits under `window` `[MQTT-3.3.4-9]` `[MQTT-4.9.0-2]`.
    #[must_use]
    pub fn has_room(&self, window: u16) -> bool {
        self.unacknowledged < window && self.entries.len() < RING as usize
    }

    /// The Packet Identifier the next [`Self::push`] gives out: never 0 and not in use
    /// `[MQTT-2.2.1-4]` `[MQTT-4.3.2-1]` `[MQTT-4.3.3-1]`.
    #[must_use]
    pub fn next_packet_id(&self) -> u16 {
        self.id_at(self.entries.len())
    }

    /// Notes a message sent under [`Self::next_packet_id`]; call only with room.
    pub fn push(&mut self, qos: QoS, kept: Option<Delivery>) {
        debug_assert!(self.entries.len() < RING as usize, "has_room was asked");
        self.bytes += kept.as_ref().map_or(0, |delivery| delivery.message.weight());
        let sent = if qos == QoS::ExactlyOnce { Sent::Pubrec(kept) } else { Sent::Puback(kept) };
        self.entries.push_back(sent);
        self.unacknowledged += 1;
    }

    /// PUBACK came; whatever it says, the message is acknowledged `[MQTT-4.4.0-2]`.
    ///
    /// # Errors
    /// Nothing of QoS 1 waits under this identifier.
    pub fn puback(&mut self, packet_id: u16) -> Result<(), Mismatch> {
        let index = self.index(packet_id)?;
        match self.entries[index] {
            Sent::Puback(_) => {
                self.finish(index);
                Ok(())
            }
            Sent::Done => Err(Mismatch::NotFound),
            Sent::Pubrec(_) | Sent::Pubcomp => Err(Mismatch::WrongKind),
        }
    }

    /// PUBREC came; with an error code the exchange ends here `[MQTT-4.3.3-4]` `[MQTT-4.4.0-2]`.
    ///
    /// # Errors
    /// Nothing of QoS 2 waits under this identifier.
    pub fn pubrec(&mut self, packet_id: u16, refused: bool) -> Result<(), Mismatch> {
        let index = self.index(packet_id)?;
        match self.entries[index] {
            Sent::Pubrec(_) if refused => self.finish(index),
            Sent::Pubrec(_) => self.replace(index, Sent::Pubcomp),
            // A repeated PUBREC is answered with PUBREL again.
            Sent::Pubcomp => {}
            Sent::Done => return Err(Mismatch::NotFound),
            Sent::Puback(_) => return Err(Mismatch::WrongKind),
        }
        Ok(())
    }

    /// PUBCOMP came.
    ///
    /// # Errors
    /// No PUBREL is outstanding under this identifier.
    pub fn pubcomp(&mut self, packet_id: u16) -> Result<(), Mismatch> {
        let index = self.index(packet_id)?;
        match self.entries[index] {
            Sent::Pubcomp => {
                self.finish(index);
                Ok(())
            }
            Sent::Done => Err(Mismatch::NotFound),
            Sent::Puback(_) | Sent::Pubrec(_) => Err(Mismatch::WrongKind),
        }
    }

    /// Ends an exchange that cannot go on.
    pub fn discard(&mut self, packet_id: u16) {
        if let Ok(index) = self.index(packet_id)
            && !matches!(self.entries[index], Sent::Done)
        {
            self.finish(index);
        }
    }

    /// Takes out the QoS 1 messages that came by a Shared Subscription and are `wanted`, in order.
    /// QoS 2 messages in flight stay with their session `[MQTT-4.8.2-4]`.
    pub fn take_shared(&mut self, wanted: impl Fn(ShareId) -> bool) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for entry in &mut self.entries {
            if let Sent::Puback(kept) = entry
                && let Some(delivery) = kept.take_if(|kept| kept.share.is_some_and(&wanted))
            {
                self.bytes -= delivery.message.weight();
                self.unacknowledged -= 1;
                *entry = Sent::Done;
                taken.push(delivery);
            }
        }
        self.trim();
        taken
    }

    /// The state of an identifier, if it is in use.
    #[must_use]
    pub fn sent(&self, packet_id: u16) -> Option<&Sent> {
        self.index(packet_id).ok().map(|index| &self.entries[index])
    }

    /// Identifiers of all unacknowledged messages, latest first.
    #[must_use]
    pub fn unacknowledged_latest_first(&self) -> Vec<u16> {
        let waiting = |index: &usize| !matches!(self.entries[*index], Sent::Done);
        (0..self.entries.len()).rev().filter(waiting).map(|index| self.id_at(index)).collect()
    }

    fn finish(&mut self, index: usize) {
        self.replace(index, Sent::Done);
        self.unacknowledged -= 1;
        self.trim();
    }

    /// Lets go of what is acknowledged at the front.
    fn trim(&mut self) {
        while matches!(self.entries.front(), Some(Sent::Done)) {
            self.entries.pop_front();
            self.first = if self.first == u16::MAX { 1 } else { self.first + 1 };
        }
        if self.entries.is_empty() && self.entries.capacity() > SPARE_ENTRIES_MAX {
            self.entries = VecDeque::new();
        }
    }

    fn replace(&mut self, index: usize, sent: Sent) {
        let replaced = std::mem::replace(&mut self.entries[index], sent);
        if let Sent::Puback(Some(delivery)) | Sent::Pubrec(Some(delivery)) = replaced {
            self.bytes -= delivery.message.weight();
        }
    }

    fn index(&self, packet_id: u16) -> Result<usize, Mismatch> {
        if packet_id == 0 {
            return Err(Mismatch::NotFound);
        }
        let distance = (u32::from(packet_id) + RING - u32::from(self.first)) % RING;
        let index = distance as usize;
        if index < self.entries.len() { Ok(index) } else { Err(Mismatch::NotFound) }
    }

    fn id_at(&self, index: usize) -> u16 {
        let position = (usize::from(self.first) - 1 + index) % RING as usize;
        u16::try_from(position + 1).expect("a remainder of 65535 plus 1 fits")
    }
}

/// An empty window keeps room for a few entries only.
const SPARE_ENTRIES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn push(inflight: &mut Inflight, qos: QoS) -> u16 {
        let id = inflight.next_packet_id();
        inflight.push(qos, None);
        id
    }

    /// `[MQTT-2.2.1-4]` `[MQTT-4.3.2-1]` `[MQTT-4.3.3-1]`
    #[test]
    fn identifiers_go_round_without_zero_and_without_reuse_while_in_use() {
        let mut inflight = Inflight::default();
        let first = push(&mut inflight, QoS::AtLeastOnce);
        for _ in 1..RING {
            let id = push(&mut inflight, QoS::AtLeastOnce);
            assert_ne!(id, 0);
            assert_ne!(id, first);
        }
        assert!(!inflight.has_room(u16::MAX));
        inflight.puback(first).unwrap();
        assert!(inflight.has_room(u16::MAX));
        assert_eq!(push(&mut inflight, QoS::AtLeastOnce), first);
    }

    #[test]
    fn acknowledgements_out_of_turn_leave_the_order_of_the_rest() {
        let mut inflight = Inflight::default();
        let ids: Vec<u16> = (0..4).map(|_| push(&mut inflight, QoS::AtLeastOnce)).collect();
        inflight.puback(ids[1]).unwrap();
        inflight.puback(ids[3]).unwrap();
        assert_eq!(inflight.unacknowledged_latest_first(), [ids[2], ids[0]]);
        assert_eq!(inflight.puback(ids[1]), Err(Mismatch::NotFound));
        inflight.puback(ids[0]).unwrap();
        inflight.puback(ids[2]).unwrap();
        assert!(inflight.is_empty());
    }

    #[test]
    fn qos_2_goes_through_its_three_steps_and_no_other() {
        let mut inflight = Inflight::default();
        let id = push(&mut inflight, QoS::ExactlyOnce);
        assert_eq!(inflight.puback(id), Err(Mismatch::WrongKind));
        assert_eq!(inflight.pubcomp(id), Err(Mismatch::WrongKind));
        inflight.pubrec(id, false).unwrap();
        inflight.pubrec(id, false).unwrap();
        inflight.pubcomp(id).unwrap();
        assert_eq!(inflight.pubcomp(id), Err(Mismatch::NotFound));
    }

    #[test]
    fn a_refused_qos_2_message_is_finished_at_pubrec() {
        let mut inflight = Inflight::default();
        let id = push(&mut inflight, QoS::ExactlyOnce);
        inflight.pubrec(id, true).unwrap();
        assert!(inflight.is_empty());
    }
}

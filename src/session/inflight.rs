//! QoS 1 and 2 messages on their way to the client, by Packet Identifier.
//!
//! Identifiers are given out in a ring: 1, 2, …, 65 535, 1. Entries stand in the order they were
//! sent, so that an identifier is an index and the order of a re-delivery is the order of the
//! first delivery `[MQTT-4.6.0-1]`. An entry acknowledged out of turn stays as a gap until those
//! before it are acknowledged too; at most 65 535 entries of 40 bytes for the oddest client. When
//! the ring has gone round and its oldest entries are still not acknowledged, those stand aside,
//! and their identifiers are passed over until they are.

use std::collections::{BTreeMap, VecDeque};

use super::{Delivery, Mid};
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
    /// sent again `[MQTT-4.3.3-6]`. Its name in the journal stays.
    Pubcomp(Option<Mid>),
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
    /// Entries older than all in `entries`, by Packet Identifier, with their places in the order of
    /// sending. Empty but for a client that leaves messages unacknowledged for 65 535 others.
    elders: BTreeMap<u16, (u64, Sent)>,
    elders_begun: u64,
    unacknowledged: u16,
    /// Bytes of the deliveries kept.
    bytes: u64,
}

impl Default for Inflight {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            first: 1,
            elders: BTreeMap::new(),
            elders_begun: 0,
            unacknowledged: 0,
            bytes: 0,
        }
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

    /// Whether one more fits under `window` `[MQTT-3.3.4-9]` `[MQTT-4.9.0-2]`, which leaves an
    /// identifier free for it.
    #[must_use]
    pub const fn has_room(&self, window: u16) -> bool {
        self.unacknowledged < window
    }

    /// The Packet Identifier the next [`Self::push`] gives out: never 0 and not in use
    /// `[MQTT-2.2.1-4]` `[MQTT-4.3.2-1]` `[MQTT-4.3.3-1]`. Call only with room.
    pub fn next_packet_id(&mut self) -> u16 {
        if self.entries.len() == RING as usize {
            self.stand_aside();
        }
        while !self.elders.is_empty() && self.elders.contains_key(&self.id_at(self.entries.len())) {
            self.pass_over();
        }
        self.id_at(self.entries.len())
    }

    /// Notes a message sent under [`Self::next_packet_id`]; call only with room.
    pub fn push(&mut self, qos: QoS, kept: Option<Delivery>) {
        debug_assert!(self.entries.len() < RING as usize, "next_packet_id made room");
        self.bytes += kept.as_ref().map_or(0, |delivery| delivery.message.weight());
        let sent = if qos == QoS::ExactlyOnce { Sent::Pubrec(kept) } else { Sent::Puback(kept) };
        self.entries.push_back(sent);
        self.unacknowledged += 1;
    }

    /// PUBACK came; whatever it says, the message is acknowledged `[MQTT-4.4.0-2]`. Says its name.
    ///
    /// # Errors
    /// Nothing of QoS 1 waits under this identifier.
    pub fn puback(&mut self, packet_id: u16) -> Result<Option<Mid>, Mismatch> {
        match self.find(packet_id)? {
            Sent::Puback(_) => Ok(self.finish(packet_id)),
            Sent::Done => Err(Mismatch::NotFound),
            Sent::Pubrec(_) | Sent::Pubcomp(_) => Err(Mismatch::WrongKind),
        }
    }

    /// PUBREC came; with an error code the exchange ends here `[MQTT-4.3.3-4]` `[MQTT-4.4.0-2]`.
    /// Says the name of the message, unless it was said before.
    ///
    /// # Errors
    /// Nothing of QoS 2 waits under this identifier.
    pub fn pubrec(&mut self, packet_id: u16, refused: bool) -> Result<Option<Mid>, Mismatch> {
        match self.find(packet_id)? {
            Sent::Pubrec(_) if refused => Ok(self.finish(packet_id)),
            Sent::Pubrec(kept) => {
                let mid = kept.as_ref().and_then(|delivery| delivery.mid);
                self.replace(packet_id, Sent::Pubcomp(mid));
                Ok(mid)
            }
            // A repeated PUBREC is answered with PUBREL again.
            Sent::Pubcomp(_) => Ok(None),
            Sent::Done => Err(Mismatch::NotFound),
            Sent::Puback(_) => Err(Mismatch::WrongKind),
        }
    }

    /// PUBCOMP came. Says the name of the message.
    ///
    /// # Errors
    /// No PUBREL is outstanding under this identifier.
    pub fn pubcomp(&mut self, packet_id: u16) -> Result<Option<Mid>, Mismatch> {
        match self.find(packet_id)? {
            Sent::Pubcomp(_) => Ok(self.finish(packet_id)),
            Sent::Done => Err(Mismatch::NotFound),
            Sent::Puback(_) | Sent::Pubrec(_) => Err(Mismatch::WrongKind),
        }
    }

    /// Ends an exchange that cannot go on: gives back what was to be sent. Another member of a group
    /// may have what [`Self::take_shared`] would take.
    pub fn discard(&mut self, packet_id: u16) -> Option<Delivery> {
        if !self.find(packet_id).is_ok_and(|sent| !matches!(sent, Sent::Done)) {
            return None;
        }
        let kept = match self.find(packet_id) {
            Ok(Sent::Puback(Some(kept)) | Sent::Pubrec(Some(kept))) => Some(kept.clone()),
            _ => None,
        };
        self.finish(packet_id);
        kept
    }

    /// Takes out the QoS 1 messages that came by a Shared Subscription and are `wanted`, in order.
    /// QoS 2 messages in flight stay with their session `[MQTT-4.8.2-4]`.
    pub fn take_shared(&mut self, mut wanted: impl FnMut(&Delivery) -> bool) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for packet_id in self.elders_in_order() {
            let elder = self.elders.get_mut(&packet_id);
            if let Some(delivery) = elder.and_then(|(_, sent)| sent.take_shared(&mut wanted)) {
                self.elders.remove(&packet_id);
                taken.push(delivery);
            }
        }
        taken.extend(self.entries.iter_mut().filter_map(|sent| sent.take_shared(&mut wanted)));
        for delivery in &taken {
            self.bytes -= delivery.message.weight();
            self.unacknowledged -= 1;
        }
        self.close_gaps();
        taken
    }

    /// The state of an identifier, if it is in use.
    #[must_use]
    pub fn sent(&self, packet_id: u16) -> Option<&Sent> {
        self.find(packet_id).ok()
    }

    /// Identifiers of all unacknowledged messages, latest first.
    #[must_use]
    pub fn unacknowledged_latest_first(&self) -> Vec<u16> {
        let waiting = |index: &usize| !matches!(self.entries[*index], Sent::Done);
        let ring = (0..self.entries.len()).rev().filter(waiting).map(|index| self.id_at(index));
        ring.chain(self.elders_in_order().into_iter().rev()).collect()
    }

    /// Identifiers of the elders in the order they were sent.
    fn elders_in_order(&self) -> Vec<u16> {
        let mut elders: Vec<_> = self.elders.iter().map(|(id, (order, _))| (*order, *id)).collect();
        elders.sort_unstable();
        elders.into_iter().map(|(_, id)| id).collect()
    }

    fn find(&self, packet_id: u16) -> Result<&Sent, Mismatch> {
        if let Some((_, sent)) = self.elders.get(&packet_id) {
            return Ok(sent);
        }
        self.index(packet_id).map(|index| &self.entries[index])
    }

    /// After a restart: identifiers go on at `next`.
    #[must_use]
    pub fn restored(next: u16) -> Self {
        Self { first: next.max(1), ..Self::default() }
    }

    /// A QoS 2 message that was under way before a restart, in the order of its name, with the
    /// identifier it has at the client: to be sent again, or, without `kept`, its PUBREL.
    ///
    /// Of two with one identifier the first was completed, or it would not have been given again:
    /// that is the one whose PUBREL was sent, also where a message of a smaller name was sent later.
    pub fn restore(&mut self, packet_id: u16, mid: Mid, kept: Option<Delivery>) {
        let is_under_way = matches!(self.elders.get(&packet_id), Some((_, Sent::Pubrec(_))));
        if is_under_way && kept.is_none() {
            return;
        }
        self.bytes += kept.as_ref().map_or(0, |delivery| delivery.message.weight());
        let sent = match kept {
            Some(kept) => Sent::Pubrec(Some(kept)),
            None => Sent::Pubcomp(Some(mid)),
        };
        let replaced = self.elders.insert(packet_id, (self.elders_begun, sent));
        self.elders_begun += 1;
        self.unacknowledged += u16::from(replaced.is_none());
    }

    /// The identifier that is given out next, unless it is in use.
    #[must_use]
    pub fn upcoming(&self) -> u16 {
        self.id_at(self.entries.len())
    }

    /// The smallest name of a message in it.
    #[must_use]
    pub fn first_mid(&self) -> Option<Mid> {
        self.mids().map(|(mid, _)| mid).min()
    }

    /// The names of all messages in it; `true` where the message itself is still of use.
    pub fn mids(&self) -> impl Iterator<Item = (Mid, bool)> + '_ {
        let elders = self.elders.values().map(|(_, sent)| sent);
        elders.chain(&self.entries).filter_map(Sent::mid)
    }

    /// The messages kept for a re-delivery, with their identifiers, in the order of sending.
    pub fn kept_mut(&mut self) -> impl Iterator<Item = (u16, &mut Delivery)> {
        let first = self.first;
        let ids = std::iter::successors(Some(first), |id| Some(after(*id)));
        let elders = self.elders.iter_mut().map(|(id, (_, sent))| (*id, sent));
        let all = elders.chain(ids.zip(self.entries.iter_mut()));
        all.filter_map(|(id, sent)| match sent {
            Sent::Puback(Some(delivery)) | Sent::Pubrec(Some(delivery)) => Some((id, delivery)),
            Sent::Done | Sent::Puback(None) | Sent::Pubrec(None) | Sent::Pubcomp(_) => None,
        })
    }

    fn finish(&mut self, packet_id: u16) -> Option<Mid> {
        let mid = self.replace(packet_id, Sent::Done);
        self.unacknowledged -= 1;
        if self.elders.remove(&packet_id).is_none() {
            self.close_gaps();
        }
        mid
    }

    /// The first entry is never a gap.
    fn close_gaps(&mut self) {
        while matches!(self.entries.front(), Some(Sent::Done)) {
            self.entries.pop_front();
            self.first = after(self.first);
        }
        if self.entries.is_empty() && self.entries.capacity() > SPARE_ENTRIES_MAX {
            self.entries = VecDeque::new();
        }
    }

    /// The ring has gone round: its oldest entry makes room for those behind it.
    fn stand_aside(&mut self) {
        if let Some(sent) = self.entries.pop_front() {
            self.elders.insert(self.first, (self.elders_begun, sent));
            self.elders_begun += 1;
            self.first = after(self.first);
            self.close_gaps();
        }
    }

    /// The identifier that is next in the ring is in use: a gap stands in its place.
    fn pass_over(&mut self) {
        if self.entries.is_empty() {
            self.first = after(self.first);
            return;
        }
        self.entries.push_back(Sent::Done);
        if self.entries.len() == RING as usize {
            self.stand_aside();
        }
    }

    /// Puts another state in the place of one; says the name of the message.
    fn replace(&mut self, packet_id: u16, sent: Sent) -> Option<Mid> {
        let index = self.index(packet_id);
        let place = match (self.elders.get_mut(&packet_id), index) {
            (Some((_, place)), _) => place,
            (None, Ok(index)) => &mut self.entries[index],
            (None, Err(_)) => return None,
        };
        let replaced = std::mem::replace(place, sent);
        if let Sent::Puback(Some(delivery)) | Sent::Pubrec(Some(delivery)) = &replaced {
            self.bytes -= delivery.message.weight();
        }
        replaced.mid().map(|(mid, _)| mid)
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

impl Sent {
    /// The name of its message, and whether that is still of use.
    fn mid(&self) -> Option<(Mid, bool)> {
        match self {
            Self::Done => None,
            Self::Puback(kept) | Self::Pubrec(kept) => Some((kept.as_ref()?.mid?, true)),
            Self::Pubcomp(mid) => Some(((*mid)?, false)),
        }
    }

    /// Takes out a QoS 1 message that came by a Shared Subscription and is `wanted`.
    fn take_shared(&mut self, wanted: &mut impl FnMut(&Delivery) -> bool) -> Option<Delivery> {
        let Self::Puback(kept) = self else { return None };
        let delivery = kept.take_if(|kept| kept.share.is_some() && wanted(kept))?;
        *self = Self::Done;
        Some(delivery)
    }
}

/// The identifier behind another.
const fn after(packet_id: u16) -> u16 {
    if packet_id == u16::MAX { 1 } else { packet_id + 1 }
}

/// An empty window keeps room for a few entries only.
const SPARE_ENTRIES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::Properties;
    use crate::session::{Content, Identifiers, Message};

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

    /// One message that is never acknowledged keeps its identifier, and nothing else.
    #[test]
    fn an_identifier_in_use_is_passed_over_when_the_ring_has_gone_round() {
        let mut inflight = Inflight::default();
        let stuck = push(&mut inflight, QoS::ExactlyOnce);
        let mut last = stuck;
        for _ in 0..200_000 {
            assert!(inflight.has_room(2));
            let id = push(&mut inflight, QoS::AtLeastOnce);
            assert_ne!(id, stuck);
            assert_ne!(id, last);
            inflight.puback(id).unwrap();
            last = id;
        }
        assert_eq!(inflight.puback(stuck), Err(Mismatch::WrongKind));
        assert_eq!(inflight.unacknowledged_latest_first(), [stuck]);
        inflight.pubrec(stuck, false).unwrap();
        inflight.pubcomp(stuck).unwrap();
        assert!(inflight.is_empty());
        assert_eq!(inflight.pubcomp(stuck), Err(Mismatch::NotFound));
    }

    /// With all identifiers but one in use, that one is found, wherever it is.
    #[test]
    fn the_last_free_identifier_is_found() {
        let mut inflight = Inflight::default();
        for _ in 0..RING {
            push(&mut inflight, QoS::AtLeastOnce);
        }
        for odd in (1..=u16::MAX).step_by(2) {
            inflight.puback(odd).unwrap();
        }
        for odd in (1..=u16::MAX).step_by(2) {
            assert_eq!(push(&mut inflight, QoS::AtLeastOnce), odd);
        }
        for id in [2, 65_534, 1, 65_535, 32_768] {
            assert!(!inflight.has_room(u16::MAX));
            inflight.puback(id).unwrap();
            assert_eq!(push(&mut inflight, QoS::AtLeastOnce), id);
        }
        let order = inflight.unacknowledged_latest_first();
        assert_eq!(order.len(), 65_535);
        assert_eq!(order[..5], [32_768, 65_535, 1, 65_534, 2]);
        assert_eq!(order[order.len() - 1], 4);
    }

    /// Against a plain list of what is in use, in the order of sending.
    #[test]
    fn any_order_of_acknowledgements_agrees_with_a_list() {
        for seed in 1..=3u64 {
            eprintln!("seed {seed}");
            let mut chance = seed;
            let mut random = move || {
                chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                usize::try_from(chance >> 33).unwrap()
            };
            let mut inflight = Inflight::default();
            let mut model: Vec<u16> = Vec::new();
            let mut used = vec![false; 65_536];
            for step in 0..400_000 {
                // Fill it, then keep it nearly full, then empty it.
                let fill = if step < 300_000 { 60 } else { 30 };
                if random() % 100 < fill && inflight.has_room(1000) {
                    let id = push(&mut inflight, QoS::AtLeastOnce);
                    assert!(id != 0 && !used[usize::from(id)], "{id} is in use");
                    used[usize::from(id)] = true;
                    model.push(id);
                } else if !model.is_empty() {
                    // Mostly the latest: the oldest wait for very long.
                    let at = model.len() - 1 - (random() % 8).min(random() % model.len());
                    let id = model.remove(at);
                    used[usize::from(id)] = false;
                    inflight.puback(id).unwrap();
                }
                assert_eq!(usize::from(inflight.len()), model.len());
            }
            let mut expected = model.clone();
            expected.reverse();
            assert_eq!(inflight.unacknowledged_latest_first(), expected);
        }
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

    /// Two messages had the identifier before a restart, and it is not known that one was completed.
    #[test]
    fn the_message_under_way_keeps_its_identifier_beside_one_that_was_completed() {
        let properties = Properties::EMPTY;
        let content = Content { topic: "t", properties, payload: b"x", expires_ms: None };
        let message = Arc::new(Message::new(&content, QoS::ExactlyOnce, false));
        let name = |number| Mid::new(number).unwrap();
        let delivery = |number| Delivery {
            message: Arc::clone(&message),
            mid: Some(name(number)),
            qos: QoS::ExactlyOnce,
            retain: false,
            share: None,
            identifiers: Identifiers::NONE,
        };
        for (completed, under_way) in [(1, 2), (2, 1)] {
            let mut inflight = Inflight::restored(10);
            for number in [1, 2] {
                let kept = (number == under_way).then(|| delivery(number));
                inflight.restore(7, name(number), kept);
            }
            assert_eq!(inflight.unacknowledged_latest_first(), [7], "{completed} was completed");
            assert_eq!(inflight.first_mid(), Some(name(under_way)));
            assert_eq!(inflight.pubrec(7, false), Ok(Some(name(under_way))));
            assert_eq!(inflight.pubcomp(7), Ok(Some(name(under_way))));
            assert_eq!((inflight.len(), inflight.bytes()), (0, 0));
        }
    }

    #[test]
    fn a_refused_qos_2_message_is_finished_at_pubrec() {
        let mut inflight = Inflight::default();
        let id = push(&mut inflight, QoS::ExactlyOnce);
        inflight.pubrec(id, true).unwrap();
        assert!(inflight.is_empty());
    }
}

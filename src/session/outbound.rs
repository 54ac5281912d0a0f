//! Messages to the client: straight into the outbox, or into the queue until there is room.

use std::sync::Arc;

use super::{
    Content, Delivery, Identifiers, Link, Message, Mid, Naming, Parcel, Parked, QueueFull, Sent,
    Session, ShareId,
};
use crate::codec::{
    Acknowledge, Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version,
    encode,
};

/// The bounds a delivery meets, as they stand in this step.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// QoS 1 and 2 messages in flight towards one client.
    pub inflight_max: u16,
    /// Messages waiting for one session.
    pub queue_messages_max: usize,
    /// Bytes waiting for one session.
    pub queue_bytes_max: u64,
    /// What a full queue does with one more.
    pub queue_full: QueueFull,
    /// Unsent bytes of a connection above which messages wait in the queue.
    pub outbox_bytes_max: usize,
    /// Whether the memory budget of the process is used up.
    pub memory_full: bool,
    /// Whether the store has as much as it may of what waits.
    pub store_full: bool,
    /// The time.
    pub ticks_ms: u64,
}

/// How one session gets a message.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The effective QoS.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// The Shared Subscription it comes by.
    pub share: Option<ShareId>,
    /// Its name in the journal, where it is there for this session.
    pub mid: Option<Mid>,
    /// Identifiers of the subscriptions that matched.
    pub identifiers: &'a Identifiers,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the outbox.
    Sent,
    /// It waits.
    Queued,
    /// It waits in the place of so many others, which are gone.
    Displaced(u64),
    /// It is gone.
    Dropped(DropReason),
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// QoS 0 and the client is not connected.
    Offline,
    /// The session's queue is full.
    QueueFull,
    /// It waited longest in a full queue, and made room for another.
    QueueOldest,
    /// The store has as much as it may of what waits.
    StoreFull,
    /// The memory budget of the process is used up.
    MemoryFull,
    /// Above the client's Maximum Packet Size `[MQTT-3.1.2-25]`.
    PacketTooLarge,
    /// Its Message Expiry Interval passed while it waited `[MQTT-3.3.2-5]`.
    Expired,
    /// Its record is damaged or gone.
    Lost,
}

/// How much moves at once from one member of a group to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Messages.
    pub messages: usize,
    /// Bytes, bookkeeping included; the last message may be above.
    pub bytes: u64,
}

/// What a [`Session::refill`] did.
#[derive(Debug, Default)]
pub struct Refilled {
    /// Messages put into the outbox, by QoS.
    pub sent: [u64; 3],
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// PUBREL sent again.
    pub released: u64,
    /// Messages dropped as too large for the client.
    pub too_large: u64,
    /// Messages dropped as expired.
    pub expired: u64,
    /// Messages of Shared Subscriptions too large for the client: other members may have them.
    pub refused: Vec<Delivery>,
    /// What waits next is to be read from the journal.
    pub wanted: Option<Vec<Mid>>,
}

impl Session {
    /// Delivers one message. A drop counts for the session, but for a message of a Shared
    /// Subscription, which another member may get.
    pub fn deliver(
        &mut self,
        parcel: &mut Parcel<'_>,
        terms: Terms<'_>,
        bounds: &Bounds,
        spare: &mut Vec<Vec<u8>>,
    ) -> Outcome {
        let expires_ms = parcel.content().expires_ms;
        let outcome = if expires_ms.is_some_and(|at_ms| at_ms < bounds.ticks_ms) {
            // It was too long on its way from another shard `[MQTT-3.3.2-5]`.
            Outcome::Dropped(DropReason::Expired)
        } else if self.can_send(terms.qos, bounds) {
            let kept = self.keeps(terms.qos, terms.share, bounds);
            let kept = kept.then(|| terms.delivery(parcel.message()));
            self.send(parcel.content(), terms, kept, bounds, spare)
        } else {
            self.enqueue(parcel, terms, bounds)
        };
        if matches!(outcome, Outcome::Dropped(_)) && terms.share.is_none() {
            self.messages_dropped += 1;
        }
        outcome
    }

    /// Whether a sent message is kept: for a re-delivery in a later connection `[MQTT-4.4.0-1]`, or
    /// to another member of its group; for the latter only while there is memory.
    const fn keeps(&self, qos: QoS, share: Option<ShareId>, bounds: &Bounds) -> bool {
        match qos {
            QoS::AtMostOnce => false,
            QoS::AtLeastOnce if share.is_some() && !bounds.memory_full => true,
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                self.outlives_connection() || self.kept.is_some()
            }
        }
    }

    /// Whether a message may pass straight into the outbox: there is a connection whose socket
    /// keeps up, a free packet identifier, and nothing waiting that it would overtake
    /// `[MQTT-4.6.0-5]` `[MQTT-4.6.0-6]`. QoS 0 may pass QoS 1 and 2 that wait for their window.
    fn can_send(&self, qos: QoS, bounds: &Bounds) -> bool {
        let Some(link) = &self.link else { return false };
        if link.unsent_bytes() >= bounds.outbox_bytes_max {
            return false;
        }
        if qos == QoS::AtMostOnce {
            return self.queue.at_most_once() == 0;
        }
        if bounds.memory_full && self.outlives_connection() {
            return false;
        }
        self.queue.is_empty()
            && link.resend.is_empty()
            && !link.holds_messages()
            && self.inflight.has_room(window(link, bounds))
    }

    /// Adds a message to the session, to be sent when there is room `[MQTT-4.5.0-1]`: to one whose
    /// client is away too `[MQTT3-3.1.2-5]` `[MQTT31-15]`.
    fn enqueue(&mut self, parcel: &mut Parcel<'_>, terms: Terms<'_>, bounds: &Bounds) -> Outcome {
        if terms.qos == QoS::AtMostOnce && self.link.is_none() {
            return Outcome::Dropped(DropReason::Offline);
        }
        let content_bytes = parcel.content().len() as u64;
        let weight = content_bytes + Message::OVERHEAD_BYTES;
        if bounds.memory_full || !self.has_room(weight, bounds) {
            // What nobody will get any more makes room for what somebody may.
            self.drop_expired(bounds.ticks_ms);
        }
        // What the journal has needs next to no memory.
        let parks = terms.share.is_none() && (self.link.is_none() || self.queue.parks());
        let mid = terms.mid.filter(|_| parks || bounds.memory_full && terms.share.is_none());
        if bounds.memory_full && mid.is_none() {
            return Outcome::Dropped(DropReason::MemoryFull);
        }
        let stored = Terms { mid, ..terms };
        let displaced = match self.make_room(weight, (stored, parcel.is_promised()), bounds) {
            Ok(count) => count,
            Err(reason) => return Outcome::Dropped(reason),
        };
        match mid {
            None => self.queue.push(terms.delivery(parcel.message())),
            Some(mid) => {
                let expires_ms = parcel.content().expires_ms;
                let parked = Parked::new(mid, content_bytes, expires_ms, terms.qos, terms.retain);
                self.queue.park(parked);
            }
        }
        if displaced == 0 { Outcome::Queued } else { Outcome::Displaced(displaced) }
    }

    /// Drops what has expired at the front of the queue.
    fn drop_expired(&mut self, ticks_ms: u64) {
        let (queue, kept) = (&mut self.queue, &mut self.kept);
        let name = |mid| kept.iter_mut().for_each(|kept| kept.settle(mid));
        self.messages_dropped += queue.drop_expired(ticks_ms, name);
    }

    /// Drops all that has expired in the queue; says how many.
    pub fn expire(&mut self, ticks_ms: u64) -> u64 {
        let (queue, kept) = (&mut self.queue, &mut self.kept);
        let name = |mid| kept.iter_mut().for_each(|kept| kept.settle(mid));
        let dropped = queue.drop_all_expired(ticks_ms, name);
        self.messages_dropped += dropped;
        dropped
    }

    /// Takes back a message it had before: it waits again, at the end of the queue. The bounds do
    /// not apply, as it was within them before, and nobody else takes it.
    pub fn take_back(&mut self, parcel: &mut Parcel<'_>, terms: Terms<'_>) {
        self.queue.push(terms.delivery(parcel.message()));
    }

    /// Whether it is connected and nothing waits.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let resends = self.link.as_ref().map(|link| !link.resend.is_empty());
        resends == Some(false) && self.queue.is_empty()
    }

    /// What it can take in: into its window, and into its queue.
    #[must_use]
    pub fn room(&self, bounds: &Bounds) -> Portion {
        let window = self.link.as_ref().map_or(0, |link| window(link, bounds));
        let window = usize::from(window.saturating_sub(self.inflight.len()));
        Portion {
            messages: window + bounds.queue_messages_max.saturating_sub(self.queue.len()),
            bytes: bounds.queue_bytes_max.saturating_sub(self.queue.bytes()),
        }
    }

    /// Puts a retained message that a SUBSCRIBE asked for into the queue, behind what waits. The
    /// queue's own bounds do not apply: a subscriber gets every retained message it asked for.
    pub fn enqueue_retained(&mut self, delivery: Delivery, bounds: &Bounds) -> Outcome {
        if bounds.memory_full {
            self.messages_dropped += 1;
            return Outcome::Dropped(DropReason::MemoryFull);
        }
        self.queue.push(delivery);
        Outcome::Queued
    }

    /// Sends a message for the first time: with an identifier of its own unless it has QoS 0, and
    /// without DUP, whatever its publisher's was `[MQTT-3.3.1-3]` `[MQTT-4.3.1-1]` `[MQTT-4.3.2-2]`
    /// `[MQTT-4.3.3-2]`.
    fn send(
        &mut self,
        content: &Content<'_>,
        terms: Terms<'_>,
        kept: Option<Delivery>,
        bounds: &Bounds,
        spare: &mut Vec<Vec<u8>>,
    ) -> Outcome {
        let Some(link) = &mut self.link else {
            return Outcome::Dropped(DropReason::Offline);
        };
        let packet_id = match terms.qos {
            QoS::AtMostOnce => 0,
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.inflight.next_packet_id(),
        };
        if !write(link, content, terms, (packet_id, false), bounds, spare) {
            return Outcome::Dropped(DropReason::PacketTooLarge);
        }
        if terms.qos != QoS::AtMostOnce {
            self.inflight.push(terms.qos, kept);
        }
        if let (Some(kept), Some(mid), QoS::ExactlyOnce) = (&mut self.kept, terms.mid, terms.qos) {
            kept.sent.push((mid, packet_id));
        }
        Outcome::Sent
    }

    /// Moves what waits into the outbox, as far as socket and window allow: first what was in
    /// flight before a resume, then the queue.
    pub fn refill(&mut self, bounds: &Bounds, spare: &mut Vec<Vec<u8>>) -> Refilled {
        let mut refilled = Refilled::default();
        self.send_again(bounds, spare, &mut refilled);
        while self.front_can_go(bounds) {
            let Some(delivery) = self.queue.pop() else { break };
            let message = Arc::clone(&delivery.message);
            if message.has_expired(bounds.ticks_ms) {
                self.settle(delivery.mid);
                refilled.expired += 1;
                continue;
            }
            let identifiers = delivery.identifiers.clone();
            let Delivery { qos, retain, share, mid, .. } = delivery;
            let terms = Terms { qos, retain, share, mid, identifiers: &identifiers };
            let shared = share.is_some().then(|| delivery.clone());
            let kept = self.keeps(qos, share, bounds).then_some(delivery);
            match self.send(&message.content(), terms, kept, bounds, spare) {
                Outcome::Sent => refilled.note_sent(qos, &message),
                Outcome::Queued | Outcome::Displaced(_) | Outcome::Dropped(_) => match shared {
                    Some(delivery) => refilled.refused.push(delivery),
                    None => {
                        self.settle(mid);
                        refilled.too_large += 1;
                    }
                },
            }
        }
        if self.link.is_some() {
            refilled.wanted = self.queue.wanted();
        }
        self.messages_dropped += refilled.too_large + refilled.expired;
        refilled
    }

    fn front_can_go(&self, bounds: &Bounds) -> bool {
        let (Some(link), Some(front)) = (&self.link, self.queue.front()) else {
            return false;
        };
        let is_live = front.qos == QoS::AtMostOnce && !front.retain;
        link.unsent_bytes() < bounds.outbox_bytes_max
            && link.resend.is_empty()
            && (is_live || !link.holds_messages())
            && (front.qos == QoS::AtMostOnce || self.inflight.has_room(window(link, bounds)))
    }

    /// What was in flight before a resume, in its order and with the identifiers it had
    /// `[MQTT-4.4.0-1]`: PUBLISH with DUP `[MQTT-3.3.1-1]`, also when it has expired meanwhile
    /// `[MQTT-4.3.3-7]`, and PUBREL.
    fn send_again(&mut self, bounds: &Bounds, spare: &mut Vec<Vec<u8>>, refilled: &mut Refilled) {
        let Some(link) = &mut self.link else { return };
        while link.unsent_bytes() < bounds.outbox_bytes_max {
            let Some(&packet_id) = link.resend.last() else { return };
            let on_the_way = usize::from(self.inflight.len()).saturating_sub(link.resend.len());
            match self.inflight.sent(packet_id) {
                Some(Sent::Puback(Some(delivery)) | Sent::Pubrec(Some(delivery))) => {
                    if on_the_way >= usize::from(link.limits.receive_maximum) {
                        return;
                    }
                    let content = delivery.message.content();
                    let again = (packet_id, true);
                    if write(link, &content, delivery.terms(), again, bounds, spare) {
                        refilled.note_sent(delivery.qos, &delivery.message);
                    } else {
                        // As if it had been delivered `[MQTT-3.1.2-25]`, or to another of its group.
                        let is_qos_1 = matches!(delivery.qos, QoS::AtLeastOnce);
                        match self.inflight.discard(packet_id) {
                            Some(shared) if is_qos_1 && shared.share.is_some() => {
                                refilled.refused.push(shared);
                            }
                            discarded => {
                                let mid = discarded.and_then(|discarded| discarded.mid);
                                if let (Some(kept), Some(mid)) = (&mut self.kept, mid) {
                                    kept.settle(mid);
                                }
                                refilled.too_large += 1;
                            }
                        }
                    }
                }
                Some(Sent::Pubcomp(mid)) => {
                    release_again(link, packet_id, mid.is_some(), spare);
                    refilled.released += 1;
                }
                Some(Sent::Done | Sent::Puback(None) | Sent::Pubrec(None)) | None => {}
            }
            link.resend.pop();
        }
    }
}

impl Refilled {
    fn note_sent(&mut self, qos: QoS, message: &Message) {
        self.sent[qos as usize] += 1;
        self.payload_bytes += message.payload().len() as u64;
    }
}

impl Terms<'_> {
    /// Whether the packet waits for the disk: the client must never see a Packet Identifier of QoS 2
    /// with another message after a restart. One of QoS 1 does not overtake it.
    fn waits(&self, link: &Link) -> bool {
        match self.qos {
            QoS::AtMostOnce => false,
            QoS::ExactlyOnce if self.mid.is_some() => true,
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                link.held.as_ref().is_some_and(|held| held.has_publish())
            }
        }
    }

    fn delivery(&self, message: Arc<Message>) -> Delivery {
        let &Self { qos, retain, share, mid, identifiers } = self;
        Delivery { message, mid, qos, retain, share, identifiers: identifiers.clone() }
    }
}

impl Delivery {
    const fn terms(&self) -> Terms<'_> {
        let Self { qos, retain, share, mid, ref identifiers, .. } = *self;
        Terms { qos, retain, share, mid, identifiers }
    }
}

/// How many QoS 1 and 2 messages may be in flight: never 0, nor above Receive Maximum
/// `[MQTT-4.9.0-1]`. Nothing but PUBLISH asks for it `[MQTT-3.3.4-10]` `[MQTT-4.9.0-3]`.
fn window(link: &Link, bounds: &Bounds) -> u16 {
    link.limits.receive_maximum.min(bounds.inflight_max)
}

/// `waits`: it may not be on the disk yet that PUBREC came.
fn release_again(link: &mut Link, packet_id: u16, waits: bool, spare: &mut Vec<Vec<u8>>) {
    let (reason, properties) = (ReasonCode::Success, Properties::EMPTY);
    let release = Packet::Pubrel(Acknowledge { packet_id, reason, properties });
    let version = link.version;
    let out = if waits { link.held_buffer() } else { link.outbox.buffer(spare) };
    encode(&release, version, out);
}

/// Puts a PUBLISH into the outbox; `false` when the client takes no packet of that size
/// `[MQTT-3.1.2-24]`. Where the client allows Topic Aliases, the topic goes out by one.
fn write(
    link: &mut Link,
    content: &Content<'_>,
    terms: Terms<'_>,
    (packet_id, dup): (u16, bool),
    bounds: &Bounds,
    spare: &mut Vec<Vec<u8>>,
) -> bool {
    let named = |naming| Header { dup, packet_id, naming, ticks_ms: bounds.ticks_ms };
    // What waits for the disk may be overtaken by a packet that gives an alias another meaning.
    let waits = terms.waits(link);
    let Some(assigned) = link.assigned.as_mut().filter(|_| !waits) else {
        // `[MQTT-3.1.2-27]`
        return write_named(link, content, terms, named(Naming::Topic), spare);
    };
    let naming = assigned.choose(content.topic, !bounds.memory_full);
    if write_named(link, content, terms, named(naming), spare) {
        if let (Naming::Set(alias), Some(assigned)) = (naming, &mut link.assigned) {
            assigned.set(alias, content.topic);
        }
        return true;
    }
    // A packet that sets an alias is larger by it.
    matches!(naming, Naming::Set(_))
        && write_named(link, content, terms, named(Naming::Topic), spare)
}

/// What one sending of a message adds to it.
#[derive(Clone, Copy, Debug)]
struct Header {
    dup: bool,
    packet_id: u16,
    naming: Naming,
    ticks_ms: u64,
}

fn write_named(
    link: &mut Link,
    content: &Content<'_>,
    terms: Terms<'_>,
    header: Header,
    spare: &mut Vec<Vec<u8>>,
) -> bool {
    let Header { dup, packet_id, naming, ticks_ms } = header;
    let publish = Publish {
        dup,
        qos: terms.qos,
        retain: terms.retain,
        topic: if matches!(naming, Naming::Alias(_)) { "" } else { content.topic },
        packet_id,
        properties: content.properties,
        payload: content.payload,
    };
    let (version, packet_bytes_max) = (link.version, link.limits.packet_bytes_max);
    let identifiers = terms.identifiers.as_slice();
    let waits = terms.waits(link);
    let out = if waits { link.held_buffer() } else { link.outbox.buffer(spare) };
    let start = out.len();
    let adds = content.expires_ms.is_some() || !identifiers.is_empty() || naming != Naming::Topic;
    if version == Version::V5 && adds {
        let extra = extra_properties(naming, content.expires_ms, identifiers, ticks_ms);
        publish.encode_with(extra.as_properties(), version, out);
    } else {
        publish.encode(version, out);
    }
    let fits = out.len() - start <= packet_bytes_max as usize;
    if fits {
        link.messages_out += 1;
    } else {
        out.truncate(start);
    }
    if let Some(held) = link.held.as_mut().filter(|_| waits && fits) {
        held.note_publish();
    }
    fits
}

/// What the server adds for one receiver: a Topic Alias, the time left `[MQTT-3.3.2-6]`, and the
/// identifiers of the subscriptions that matched `[MQTT-3.3.4-3]`.
fn extra_properties(
    naming: Naming,
    expires_ms: Option<u64>,
    identifiers: &[u32],
    ticks_ms: u64,
) -> PropertiesBuf {
    let mut extra = PropertiesBuf::default();
    if let Naming::Set(alias) | Naming::Alias(alias) = naming {
        extra.push(Property::TopicAlias(alias));
    }
    if let Some(at) = expires_ms {
        let left_secs = at.saturating_sub(ticks_ms).div_ceil(1000);
        let left_secs = u32::try_from(left_secs).unwrap_or(u32::MAX);
        extra.push(Property::MessageExpiryInterval(left_secs));
    }
    for &identifier in identifiers {
        extra.push(Property::SubscriptionIdentifier(identifier));
    }
    extra
}

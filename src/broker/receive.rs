//! Bytes from a client: whole packets in order, each to its door.

use super::refuse::Unaccepted;
use super::status::is_reserved;
use super::{ConnectionId, Departure, Now, Shard};
use crate::codec::{
    Acknowledge, Frame, Packet, Properties, Publish, QoS, ReasonCode, Version, decode,
};
use crate::session::{Content, Violation};
use crate::topic::TopicName;

/// Whether the connection goes on after a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Open,
    Closed,
}

/// Deliveries of one batch, or retained messages looked at: some milliseconds.
const DELIVERIES_MAX: usize = 20_000;
/// Bytes of one letter, as much as a mailbox holds before its sender has to wait.
const LETTER_BYTES_MAX: usize = 1024 * 1024;

impl Shard {
    /// Takes bytes from a connection and returns how many it used.
    ///
    /// That is all whole packets; the rest is to be offered again with more behind it. It is less
    /// when the client does not read its answers (see [`Self::choked`]), and when one call has
    /// done enough (see [`Self::sated`]). A connection that is
    /// gone, or ends on the way, uses everything.
    pub fn receive(&mut self, id: ConnectionId, bytes: &[u8], now: Now) -> usize {
        self.begin(now);
        self.desk.handed = 0;
        let used = self.receive_packets(id, bytes);
        self.desk.counters.bytes_received += used as u64;
        self.finish();
        used
    }

    /// Whether a client must read before it is read from: its answers fill the outbox. The server
    /// then stops reading its socket until [`Self::flushed`] made room.
    #[must_use]
    pub fn choked(&self, id: ConnectionId) -> bool {
        let session = self.desk.roster.connected(id);
        session.is_some_and(|session| session.unsent_bytes() >= self.desk.choke_bytes())
    }

    /// Whether the last [`Self::receive`] stopped for having made as many deliveries, or letters as
    /// heavy, as one batch should: the trays are to be emptied before the rest is offered again.
    /// A few bytes of a publisher can mean a hundred thousand deliveries.
    #[must_use]
    pub fn sated(&self) -> bool {
        self.desk.handed >= DELIVERIES_MAX
            || self.desk.trays.letters.iter().any(|letter| letter.weight() >= LETTER_BYTES_MAX)
    }

    fn receive_packets(&mut self, id: ConnectionId, bytes: &[u8]) -> usize {
        let ticks_ms = self.now.ticks_ms;
        let Some(link) = self.desk.roster.link_mut(id) else {
            return bytes.len();
        };
        // Bytes count, not only whole packets: who sends a large one over a slow line is alive.
        link.received_ms = ticks_ms;
        let version = link.version;
        let mut used = 0;
        while used < bytes.len() && !self.choked(id) && !self.sated() {
            let frame = match Frame::split(&bytes[used..], self.limits.packet_bytes_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    self.violated(id, Violation::Decode(error));
                    return bytes.len();
                }
            };
            used += frame.len;
            match self.packet(id, version, frame) {
                Ok(After::Open) => {}
                Ok(After::Closed) => return bytes.len(),
                Err(violation) => {
                    self.violated(id, violation);
                    return bytes.len();
                }
            }
        }
        used
    }

    /// Each packet is answered in the step that reads it, so answers have the order of what they
    /// answer `[MQTT-4.6.0-2]` `[MQTT-4.6.0-3]` `[MQTT-4.6.0-4]`.
    fn packet(
        &mut self,
        id: ConnectionId,
        version: Version,
        frame: Frame<'_>,
    ) -> Result<After, Violation> {
        self.desk.counters.packets_received += 1;
        match decode(frame, version)? {
            Packet::Publish(publish) => self.publish_received(id, version, &publish)?,
            Packet::Puback(ack) => self.puback(id, &ack)?,
            Packet::Pubrec(ack) => self.pubrec(id, &ack)?,
            Packet::Pubrel(ack) => self.pubrel(id, &ack),
            Packet::Pubcomp(ack) => self.pubcomp(id, &ack)?,
            Packet::Subscribe(subscribe) => self.subscribe(id, version, &subscribe)?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(id, version, &unsubscribe)?,
            // `[MQTT-3.12.4-1]`
            Packet::Pingreq => self.desk.send(id.slot, &Packet::Pingresp),
            Packet::Disconnect(disconnect) => {
                self.disconnect(id, &disconnect)?;
                return Ok(After::Closed);
            }
            // And no second CONNACK `[MQTT-3.2.0-2]`.
            Packet::Connect(_) => return Err(Violation::SecondConnect),
            Packet::Auth(auth) => return self.auth(id, &auth),
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                return Err(Violation::ServerPacket);
            }
        }
        Ok(After::Open)
    }

    fn publish_received(
        &mut self,
        id: ConnectionId,
        version: Version,
        publish: &Publish<'_>,
    ) -> Result<(), Violation> {
        self.desk.counters.messages_received[publish.qos as usize] += 1;
        self.desk.counters.payload_bytes_received += publish.payload.len() as u64;
        if version != Version::V5 || publish.properties.is_empty() {
            return self.publish_named(id, publish, publish.topic, Properties::EMPTY, None);
        }
        if publish.properties.subscription_identifier().is_some() {
            return Err(Violation::SubscriptionIdentifierFromClient);
        }
        let expires_ms = publish
            .properties
            .message_expiry_interval()
            .map(|secs| self.now.ticks_ms + u64::from(secs) * 1000);
        let mut forwarded = Vec::new();
        let forwarded = publish.properties.forwardable(&mut forwarded);
        let Some(alias) = publish.properties.topic_alias() else {
            return self.publish_named(id, publish, publish.topic, forwarded, expires_ms);
        };
        let Some(link) = self.desk.roster.link_mut(id) else {
            return Ok(());
        };
        if publish.topic.is_empty() {
            let topic = link.aliases.topic(alias)?;
            return self.publish_named(id, publish, &topic, forwarded, expires_ms);
        }
        link.aliases.set(alias, publish.topic)?;
        self.desk.count_aliases(id)?;
        self.publish_named(id, publish, publish.topic, forwarded, expires_ms)
    }

    fn publish_named(
        &mut self,
        id: ConnectionId,
        publish: &Publish<'_>,
        topic: &str,
        properties: Properties<'_>,
        expires_ms: Option<u64>,
    ) -> Result<(), Violation> {
        let name = TopicName::parse(topic).map_err(|_| Violation::TopicNameInvalid)?;
        if name.levels() > self.limits.topic_levels_max as usize {
            return Err(Violation::TopicNameInvalid);
        }
        if is_reserved(topic) {
            return self.refuse_reserved(id, publish);
        }
        let checks_payload_format = self.limits.checks_payload_format && !properties.is_empty();
        let (qos, packet_id) = (publish.qos, publish.packet_id);
        let before = self.desk.ticket();
        let receive_maximum = self.limits.receive_maximum;
        let Some(session) = self.desk.roster.session_mut(id.slot) else {
            return Ok(());
        };
        // Behind the alias, which is set in any case. What was accepted once is not refused when it
        // comes again `[MQTT-4.3.3-10]`.
        if checks_payload_format
            && !properties.payload_format_agrees(publish.payload)
            && !session.received.contains(packet_id)
        {
            return self.refuse_payload(id, publish);
        }
        // Only 5.0 has an answer that refuses, and QoS 0 has none.
        let is_told = session.version == Version::V5 && qos != QoS::AtMostOnce;
        let mut reason = ReasonCode::Success;
        let sid = session.sid();
        let is_new = session.accept(qos, packet_id, receive_maximum)?;
        if is_new {
            let from = self.session_id(id.slot);
            let content = Content { topic, properties, payload: publish.payload, expires_ms };
            let receivers = if is_told {
                self.route_if_accepted(from, content, qos, publish.retain)
            } else {
                Ok(self.route(Some(from), content, qos, publish.retain))
            };
            match receivers {
                Ok(0) => reason = ReasonCode::NoMatchingSubscribers,
                Ok(_) => {}
                Err(unaccepted) => return self.refuse_unaccepted(id, publish, unaccepted),
            }
            if let Some(sid) = sid.filter(|_| qos == QoS::ExactlyOnce) {
                self.desk.trays.records.received(sid, packet_id);
            }
        }
        // What came before may not be on the disk yet.
        let waits = self.desk.ticket() != before || !is_new && sid.is_some();
        self.answer_publish(id, publish, reason, waits);
        Ok(())
    }

    /// A message to a topic of the broker's own goes no further. Before 5.0 a client cannot be
    /// told: it hears the acknowledgement of any other `[MQTT3-3.3.5-2]`.
    fn refuse_reserved(
        &mut self,
        id: ConnectionId,
        publish: &Publish<'_>,
    ) -> Result<(), Violation> {
        self.desk.counters.messages_reserved += 1;
        let receive_maximum = self.limits.receive_maximum;
        let Some(session) = self.desk.roster.session_mut(id.slot) else {
            return Ok(());
        };
        if session.version == Version::V5 {
            let words = "topics below $SYS are the broker's own";
            return self.refuse_publish(id, publish, ReasonCode::NotAuthorized, words);
        }
        let sid = session.sid();
        let is_new = session.accept(publish.qos, publish.packet_id, receive_maximum)?;
        let lasts = sid.filter(|_| is_new && publish.qos == QoS::ExactlyOnce);
        if let Some(sid) = lasts {
            self.desk.trays.records.received(sid, publish.packet_id);
        }
        self.answer_publish(id, publish, ReasonCode::Success, lasts.is_some());
        Ok(())
    }

    /// `waits`: once it is on the disk.
    fn answer_publish(
        &mut self,
        id: ConnectionId,
        publish: &Publish<'_>,
        reason: ReasonCode,
        waits: bool,
    ) {
        // By its QoS `[MQTT-3.3.4-1]`, with its identifier `[MQTT-2.2.1-5]`: `[MQTT-4.3.2-4]`
        // `[MQTT-4.3.3-8]`.
        let packet_id = publish.packet_id;
        let ack = Acknowledge { packet_id, reason, properties: Properties::EMPTY };
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.desk.acknowledge(id.slot, &Packet::Puback(ack), waits),
            QoS::ExactlyOnce => self.desk.acknowledge(id.slot, &Packet::Pubrec(ack), waits),
        }
    }

    /// A payload that is not what its Payload Format Indicator says: the message is not accepted
    /// (section 3.3.2.3.2), and nothing is noted of its identifier: the next PUBLISH with it is a new
    /// message `[MQTT-4.3.3-9]`. With QoS 0 there is no other answer than DISCONNECT.
    fn refuse_payload(&mut self, id: ConnectionId, publish: &Publish<'_>) -> Result<(), Violation> {
        let violation = Violation::PayloadFormatInvalid;
        if publish.qos == QoS::AtMostOnce {
            return Err(violation);
        }
        self.refuse_publish(id, publish, violation.reason(), &violation.to_string())
    }

    /// A message that finds no room is not accepted at all, and its identifier is free
    /// `[MQTT-4.3.3-9]`.
    fn refuse_unaccepted(
        &mut self,
        id: ConnectionId,
        publish: &Publish<'_>,
        unaccepted: Unaccepted,
    ) -> Result<(), Violation> {
        if let Some(session) = self.desk.roster.session_mut(id.slot) {
            session.release(publish.packet_id);
        }
        match unaccepted {
            Unaccepted::RetainedFull => {} // Counted where they are kept.
            Unaccepted::QueueFull | Unaccepted::StoreQueuesFull => {
                self.desk.counters.messages_refused_queue += 1;
            }
            Unaccepted::StoreFull | Unaccepted::StoreFailed => {
                self.desk.counters.messages_refused_store += 1;
            }
        }
        self.refuse_publish(id, publish, ReasonCode::QuotaExceeded, unaccepted.words())
    }

    /// PUBACK or PUBREC with a failure: it ends the exchange.
    fn refuse_publish(
        &mut self,
        id: ConnectionId,
        publish: &Publish<'_>,
        reason: ReasonCode,
        words: &str,
    ) -> Result<(), Violation> {
        let packet_id = publish.packet_id;
        let ack = Acknowledge { packet_id, reason, properties: Properties::EMPTY };
        match publish.qos {
            QoS::AtMostOnce => Ok(()),
            QoS::AtLeastOnce => self.desk.answer(id.slot, words, &Packet::Puback(ack), false),
            QoS::ExactlyOnce => self.desk.answer(id.slot, words, &Packet::Pubrec(ack), false),
        }
    }

    /// Ends the connection of a client that broke the standard `[MQTT-4.13.1-1]` `[MQTT3-4.8.0-1]`.
    pub(super) fn violated(&mut self, id: ConnectionId, violation: Violation) {
        self.desk.counters.violations += 1;
        self.end_connection(id, Departure::Violation(violation));
    }
}

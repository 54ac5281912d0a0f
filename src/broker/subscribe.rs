//! SUBSCRIBE and UNSUBSCRIBE, and the retained messages a new subscription asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::routes::Subscriber;
use super::{ConnectionId, Shard};
use crate::codec::{
    Packet, Properties, QoS, ReasonCode, RetainHandling, Suback, Subscribe, SubscriptionRequest,
    Unsuback, Unsubscribe, Version,
};
use crate::session::{Delivery, DropReason, Identifiers, Outcome, Subscription, Violation};
use crate::topic::TopicFilter;

impl Shard {
    /// SUBSCRIBE: each Topic Filter in turn `[MQTT-3.8.4-5]`, and one SUBACK `[MQTT-3.8.4-1]` with
    /// its identifier `[MQTT-2.2.1-6]` `[MQTT-3.8.4-2]` and a Reason Code for each `[MQTT-3.8.4-6]`,
    /// in their order `[MQTT-3.9.3-1]`.
    pub(super) fn subscribe(
        &mut self,
        id: ConnectionId,
        version: Version,
        subscribe: &Subscribe<'_>,
    ) -> Result<(), Violation> {
        let identifier = subscribe.properties.subscription_identifier();
        let before = self.desk.ticket();
        self.desk.check_answer(id.slot, subscribe.requests().map(drop))?;
        let mut reasons = Vec::new();
        let mut words = "";
        let mut wants_retained = WantsRetained::default();
        let mut wants_recall = false;
        for request in subscribe.requests() {
            let (reason, retained) = self.subscribe_one(id, version, request, identifier)?;
            reasons.push(suback_byte(reason, version, request.options.qos));
            wants_recall |= request.filter.starts_with("$share/");
            words = if words.is_empty() { refusal_words(reason) } else { words };
            if retained {
                wants_retained.note(request);
            }
        }
        let suback = Suback {
            packet_id: subscribe.packet_id,
            properties: Properties::EMPTY,
            reasons: &reasons,
        };
        // What an earlier connection asked for may not be on the disk yet, and changes nothing now.
        let kept = self.desk.is_kept(Some(self.session_id(id.slot)));
        let waits = kept || self.desk.ticket() != before;
        self.desk.answer(id.slot, words, &Packet::Suback(suback), waits)?;
        self.desk.hold_messages(id);
        if wants_recall {
            self.recall_from_absent(id.slot);
        }
        // Routes first, then retained messages: see `commons`.
        for (filter, asked) in wants_retained.filters {
            self.send_retained(id, filter, &asked, identifier);
        }
        Ok(())
    }

    /// One Topic Filter: its Reason Code, and whether retained messages are to follow
    /// `[MQTT3-3.8.4-3]`.
    fn subscribe_one(
        &mut self,
        id: ConnectionId,
        version: Version,
        request: SubscriptionRequest<'_>,
        identifier: Option<u32>,
    ) -> Result<(ReasonCode, bool), Violation> {
        let Ok(filter) = TopicFilter::parse(request.filter) else {
            // 5.0 has a Reason Code for it; before, the connection ends `[MQTT-4.7.1-1]`.
            let refused = Ok((ReasonCode::TopicFilterInvalid, false));
            return if version == Version::V5 {
                refused
            } else {
                Err(Violation::TopicFilterInvalid)
            };
        };
        let mut options = request.options;
        if filter.share().is_some() && options.no_local {
            return Err(Violation::NoLocalOnShared);
        }
        if filter.levels() > self.limits.topic_levels_max as usize {
            return Ok((ReasonCode::TopicFilterInvalid, false));
        }
        let subscriptions_max = self.limits.subscriptions_max as usize;
        let presence = filter.share().map(|_| self.desk.roster.presence(id.slot));
        let session_id = self.session_id(id.slot);
        let Some(session) = self.desk.roster.session_mut(id.slot) else {
            return Ok((ReasonCode::UnspecifiedError, false));
        };
        let known = session.subscriptions.contains(filter.as_str());
        if !known && session.subscriptions.len() >= subscriptions_max {
            return Ok((ReasonCode::QuotaExceeded, false));
        }
        if session.link.as_ref().is_some_and(|link| link.bridge) {
            options.retain_as_published = true;
            options.no_local = filter.share().is_none();
        }
        let subscription = Subscription { options, identifier };
        // A client that subscribes again as it did, after a resume, changes no routes.
        if session.subscriptions.insert(filter.as_str(), subscription) != Some(subscription) {
            let (sid, presence) = (session.sid(), presence.as_ref());
            let subscriber = Subscriber::new(session_id, sid, &subscription);
            self.commons.subscribe(filter, subscriber, presence, known);
            if let Some(sid) = sid {
                self.desk.trays.records.subscribed(sid, request.filter, &subscription);
            }
        }
        // `[MQTT-3.3.1-9]` `[MQTT-3.3.1-10]` `[MQTT-3.3.1-11]`; also again `[MQTT-3.8.4-4]`.
        let retained = filter.share().is_none()
            && match options.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => !known,
                RetainHandling::DoNotSend => false,
            };
        Ok((granted(options.qos), retained))
    }

    /// Sends what is retained for a filter, once for each of the QoS `asked` for.
    ///
    /// A retained message is nobody's own: the standard keeps no tie to its publisher, so No Local
    /// of the new subscription does not hold it back.
    fn send_retained(
        &mut self,
        id: ConnectionId,
        filter: &str,
        asked: &[QoS],
        identifier: Option<u32>,
    ) {
        // Each retained message waits about once, however often a client that does not read asks.
        let waiting_max = self.desk.bounds.queue_messages_max + self.commons.retained_len();
        let found = self.commons.retained_matching(filter, self.now.ticks_ms, usize::MAX);
        self.desk.handed += found.looked_at;
        let found = found.retained;
        let identifiers = identifier.map_or(Identifiers::NONE, |one| Identifiers::new(&[one]));
        for &asked in asked {
            self.desk.handed += found.len().max(1);
            if found.is_empty() {
                continue;
            }
            if self.waits(id, waiting_max) {
                self.drop_retained(id, found.len() as u64);
                continue;
            }
            for retained in &found {
                // `[MQTT-3.8.4-8]`
                let qos = asked.min(retained.message.qos());
                let (message, identifiers) = (Arc::clone(&retained.message), identifiers.clone());
                let (mid, share) = (None, None);
                let delivery = Delivery { message, mid, qos, retain: true, share, identifiers };
                let outcome = self
                    .desk
                    .change(id.slot, |session, bounds| session.enqueue_retained(delivery, bounds));
                if let Some(Outcome::Dropped(reason)) = outcome {
                    self.desk.dropped(id.slot, reason, 1);
                }
            }
            self.desk.refill(id.slot);
        }
    }

    /// Whether so many messages wait for the client of a connection.
    fn waits(&self, id: ConnectionId, messages: usize) -> bool {
        let session = self.desk.roster.session(id.slot);
        session.is_none_or(|session| session.queue.len() >= messages)
    }

    /// The retained messages of a request find no room.
    fn drop_retained(&mut self, id: ConnectionId, count: u64) {
        if let Some(session) = self.desk.roster.session_mut(id.slot) {
            session.messages_dropped += count;
        }
        self.desk.dropped(id.slot, DropReason::QueueFull, count);
    }

    /// UNSUBSCRIBE: each Topic Filter in turn, and one UNSUBACK `[MQTT-3.10.4-4]` `[MQTT-3.10.4-6]`
    /// with its identifier `[MQTT-2.2.1-6]` `[MQTT-3.10.4-5]` and the Reason Codes in their order
    /// `[MQTT-3.11.3-1]`. What waits or is in flight stays `[MQTT-3.10.4-3]`.
    pub(super) fn unsubscribe(
        &mut self,
        id: ConnectionId,
        version: Version,
        unsubscribe: &Unsubscribe<'_>,
    ) -> Result<(), Violation> {
        self.desk.check_answer(id.slot, unsubscribe.filters().map(drop))?;
        let before = self.desk.ticket();
        let session_id = self.session_id(id.slot);
        let mut reasons = Vec::new();
        let mut words = "";
        for text in unsubscribe.filters() {
            let Ok(filter) = TopicFilter::parse(text) else {
                if version != Version::V5 {
                    return Err(Violation::TopicFilterInvalid);
                }
                reasons.push(ReasonCode::TopicFilterInvalid.as_byte());
                words = refusal_words(ReasonCode::TopicFilterInvalid);
                continue;
            };
            let Some(session) = self.desk.roster.session_mut(id.slot) else {
                return Ok(());
            };
            // The very filter `[MQTT-3.10.4-1]`; no route, no new message `[MQTT-3.10.4-2]`.
            let removed = session.subscriptions.remove(filter.as_str()).is_some();
            if removed {
                if let Some(sid) = session.sid() {
                    self.desk.trays.records.unsubscribed(sid, text);
                }
                let share = filter.share().and_then(|_| self.commons.group_named(text));
                self.commons.unsubscribe(std::iter::once(filter), session_id);
                if let Some(group) = share {
                    self.leave_queue_behind(id.slot, group.id());
                }
            }
            reasons.push(unsuback_reason(removed).as_byte());
        }
        let unsuback = Unsuback {
            packet_id: unsubscribe.packet_id,
            properties: Properties::EMPTY,
            reasons: &reasons,
        };
        let waits = self.desk.is_kept(Some(session_id)) || self.desk.ticket() != before;
        self.desk.answer(id.slot, words, &Packet::Unsuback(unsuback), waits)
    }
}

/// What one SUBSCRIBE wants of the retained messages. A filter that stands in it several times gets
/// them as often `[MQTT-3.8.4-5]`, but they are looked for once: a packet has room for millions.
#[derive(Default)]
struct WantsRetained<'a> {
    /// Each filter with the QoS of each request for it.
    filters: Vec<(&'a str, Vec<QoS>)>,
    /// Filter → index into `filters`.
    known: BTreeMap<&'a str, usize>,
}

impl<'a> WantsRetained<'a> {
    fn note(&mut self, request: SubscriptionRequest<'a>) {
        let (filter, qos) = (request.filter, request.options.qos);
        let index = *self.known.entry(filter).or_insert(self.filters.len());
        match self.filters.get_mut(index) {
            Some((_, asked)) => asked.push(qos),
            None => self.filters.push((filter, vec![qos])),
        }
    }
}

/// The QoS that was granted is the one asked for `[MQTT-3.8.4-7]`.
const fn granted(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}

/// The Reason String of an answer with this refusal in it; the first one is told.
const fn refusal_words(reason: ReasonCode) -> &'static str {
    if matches!(reason, ReasonCode::TopicFilterInvalid) {
        "a topic filter is empty, has a misplaced wildcard, or has too many levels"
    } else if matches!(reason, ReasonCode::QuotaExceeded) {
        "this session has as many subscriptions as it may; unsubscribe from others first"
    } else {
        ""
    }
}

/// In 3.1.1 every refusal is 0x80 `[MQTT3-3.9.3-2]`; 3.1 has no word for one, and the client is
/// told the QoS it asked for `[MQTT31-17]`.
const fn suback_byte(reason: ReasonCode, version: Version, asked: QoS) -> u8 {
    match version {
        Version::V31 if reason.is_error() => asked.as_bits(),
        Version::V311 if reason.is_error() => ReasonCode::UnspecifiedError.as_byte(),
        Version::V31 | Version::V311 | Version::V5 => reason.as_byte(),
    }
}

const fn unsuback_reason(removed: bool) -> ReasonCode {
    if removed { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted }
}

//! What operators ask of a shard: pictures, kick, delete, publish.

use std::sync::Arc;

use super::{
    ClientView, ConnectionId, Departure, Now, Shard, Stage, Stats, SubscriptionView, WaitingView,
};
use crate::codec::{Properties, QoS};
use crate::session::{Content, Delivery, Parked, Sent, Session};

impl Shard {
    /// Clients of this shard in the order of their identifiers, after `after`, `max` at most.
    #[must_use]
    pub fn clients(&self, after: Option<&str>, max: usize) -> Vec<ClientView> {
        let roster = &self.desk.roster;
        let sessions = roster.in_order(after).filter_map(|slot| roster.session(slot));
        sessions.take(max).map(client_view).collect()
    }

    /// One client.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<ClientView> {
        let slot = self.desk.roster.find(client_id)?;
        self.desk.roster.session(slot).map(client_view)
    }

    /// The subscriptions of one client, in the order of their filters.
    #[must_use]
    pub fn subscriptions(&self, client_id: &str) -> Vec<SubscriptionView> {
        let slot = self.desk.roster.find(client_id);
        let Some(session) = slot.and_then(|slot| self.desk.roster.session(slot)) else {
            return Vec::new();
        };
        let view =
            |(filter, subscription): (&str, &crate::session::Subscription)| SubscriptionView {
                client_id: session.client_id.clone(),
                filter: filter.into(),
                options: subscription.options,
                identifier: subscription.identifier,
            };
        session.subscriptions.iter().map(view).collect()
    }

    /// What waits for one client, in the order it gets it: what is on its way and not
    /// acknowledged, then its queue, `max` messages at most. `None` when there is no such client.
    #[must_use]
    pub fn waiting(&self, client_id: &str, max: usize, now: Now) -> Option<Vec<WaitingView>> {
        let session = self.desk.roster.session(self.desk.roster.find(client_id)?)?;
        let inflight = &session.inflight;
        let sent = |packet_id| inflight.sent(packet_id).map(|sent| sent_view(packet_id, sent, now));
        let sent = inflight.unacknowledged_latest_first().into_iter().rev().filter_map(sent);
        let queued = |delivery: &Delivery| {
            waiting_view((Stage::Queued, None), (delivery.qos, Some(delivery)), now)
        };
        let ready = session.queue.ready().map(queued);
        let parked = session.queue.parked().map(|parked| parked_view(parked, now));
        Some(sent.chain(ready).chain(parked).take(max).collect())
    }

    /// Ends a client's connection (DISCONNECT 0x98 for 5.0) and its session for good; `false` when
    /// there is no such client. A Will that waits is published, as at every end of a session.
    pub fn delete_session(&mut self, client_id: &str, now: Now) -> bool {
        let Some(slot) = self.desk.roster.find(client_id) else {
            return false;
        };
        self.begin(now);
        let link = self.desk.roster.session(slot).and_then(|session| session.link.as_ref());
        if let Some(serial) = link.map(|link| link.serial) {
            self.end_connection(ConnectionId { slot, serial }, Departure::AdministrativeAction);
        }
        // One that does not outlive its connection is over by now.
        if self.desk.roster.find(client_id) == Some(slot) {
            self.end_session(slot);
        }
        self.finish();
        true
    }

    /// Ends a client's connection (DISCONNECT 0x98 for 5.0); `false` when it is not connected.
    pub fn kick(&mut self, client_id: &str, now: Now) -> bool {
        let Some(slot) = self.desk.roster.find(client_id) else {
            return false;
        };
        let session = self.desk.roster.session(slot);
        let Some(link) = session.and_then(|session| session.link.as_ref()) else {
            return false;
        };
        let id = ConnectionId { slot, serial: link.serial };
        self.begin(now);
        self.end_connection(id, Departure::AdministrativeAction);
        self.finish();
        true
    }

    /// Publishes in the server's own name; returns the number of receivers. The caller checked
    /// the Topic Name.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        now: Now,
    ) -> usize {
        self.begin(now);
        let content = Content { topic, properties: Properties::EMPTY, payload, expires_ms: None };
        let receivers = self.route(None, content, qos, retain);
        self.finish();
        receivers
    }

    /// All connections, to end them one by one.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.desk.roster.connections()
    }

    /// Counters and gauges of this shard.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.desk.counters.stats();
        stats.set("clients.connected", self.desk.roster.connected_count() as u64);
        let held = self.desk.held;
        for (name, value) in [
            ("messages.queued", held.queued),
            ("messages.inflight", held.inflight),
            ("messages.held_bytes", held.bytes),
        ] {
            stats.set(name, value.max(0).unsigned_abs());
        }
        stats
    }
}

fn client_view(session: &Session) -> ClientView {
    let link = session.link.as_deref();
    ClientView {
        client_id: session.client_id.clone(),
        username: session.username.clone(),
        version: session.version,
        connected: link.is_some(),
        peer: link.map(|link| link.peer),
        clean_start: session.clean_start,
        keep_alive_secs: link.map_or(0, |link| link.keep_alive_secs),
        session_expiry_interval_secs: session.expiry_interval_secs,
        created_unix_ms: session.created_unix_ms,
        connected_unix_ms: session.connected_unix_ms,
        disconnected_unix_ms: session.disconnected_unix_ms,
        subscriptions: session.subscriptions.len(),
        inflight: usize::from(session.inflight.len()),
        awaiting_pubrel: session.received.len(),
        queue_messages: session.queue.len(),
        queue_bytes: session.queue.bytes(),
        parked_messages: session.queue.parked_len(),
        parked_bytes: session.queue.parked_bytes(),
        will: session.will.is_some(),
        messages_in: link.map_or(0, |link| link.messages_in),
        messages_out: link.map_or(0, |link| link.messages_out),
        messages_dropped: session.messages_dropped,
    }
}

/// A message that was sent and is not acknowledged.
fn sent_view(packet_id: u16, sent: &Sent, now: Now) -> WaitingView {
    let (stage, qos, kept) = match sent {
        Sent::Puback(kept) => (Stage::Sent, QoS::AtLeastOnce, kept.as_ref()),
        Sent::Pubrec(kept) => (Stage::Sent, QoS::ExactlyOnce, kept.as_ref()),
        Sent::Pubcomp(_) | Sent::Done => (Stage::Released, QoS::ExactlyOnce, None),
    };
    waiting_view((stage, Some(packet_id)), (qos, kept), now)
}

fn waiting_view(
    (stage, packet_id): (Stage, Option<u16>),
    (qos, delivery): (QoS, Option<&Delivery>),
    now: Now,
) -> WaitingView {
    let message = delivery.map(|delivery| Arc::clone(&delivery.message));
    let expires_ms = message.as_ref().and_then(|message| message.expires_ms());
    let unix_less_ticks_ms = now.unix_ms.saturating_sub(now.ticks_ms);
    WaitingView {
        stage,
        packet_id,
        qos,
        retain: delivery.is_some_and(|delivery| delivery.retain),
        expires_unix_ms: expires_ms.map(|at_ms| at_ms + unix_less_ticks_ms),
        mid: delivery.and_then(|delivery| delivery.mid),
        message,
    }
}

fn parked_view(parked: &Parked, now: Now) -> WaitingView {
    let unix_less_ticks_ms = now.unix_ms.saturating_sub(now.ticks_ms);
    WaitingView {
        stage: Stage::Queued,
        packet_id: None,
        qos: parked.qos,
        retain: parked.retain,
        expires_unix_ms: parked.expires_ms().map(|at_ms| at_ms + unix_less_ticks_ms),
        mid: Some(parked.mid),
        message: None,
    }
}

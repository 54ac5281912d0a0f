//! What happened in a shard, as lines of the log. Called with no shard held.
//!
//! `info` is the life of connections and sessions, `warn` what an operator should look at. Client
//! Identifiers go out as they are; whoever writes the lines escapes them.

use std::fmt;
use std::sync::atomic::Ordering;

use super::lobby;
use super::shared::Shared;
use crate::broker::{Departure, Event};
use crate::codec::Version;
use crate::session::DropReason;

/// Logs and empties `events`; `lost` found no room.
pub(super) fn tell(events: &mut Vec<Event>, lost: u64, shared: &Shared) {
    shared.counts.events_lost.fetch_add(lost, Ordering::Relaxed);
    for event in events.drain(..) {
        tell_one(event, shared);
    }
}

fn tell_one(event: Event, shared: &Shared) {
    match event {
        Event::Connected {
            client_id,
            username,
            peer,
            version,
            session_present,
            keep_alive_secs,
        } => {
            let version = version_words(version);
            tracing::info!(target: "mqttd", client_id = %client_id, username = username.as_deref(),
                %peer, version, session_present, keep_alive_secs, "client connected");
        }
        Event::Refused { client_id, peer, refusal } => {
            lobby::tell_refused(shared, refusal, &client_id, peer);
        }
        Event::Disconnected { client_id, peer, departure: Departure::Violation(violation) } => {
            if let Some(left_out) = shared.throttles.violation.admit() {
                tracing::warn!(target: "mqttd", client_id = %client_id, %peer,
                    reason = %violation, left_out, "client disconnected: it broke the protocol");
            }
        }
        Event::Disconnected {
            client_id,
            peer,
            departure: Departure::AuthenticationFailed(denial),
        } => {
            if let Some(left_out) = shared.throttles.authentication.admit() {
                tracing::warn!(target: "mqttd", client_id = %client_id, %peer, reason = %denial,
                    left_out, "client disconnected: it could not prove anew who it is");
            }
        }
        Event::Reauthenticated { client_id, username } => {
            tracing::info!(target: "mqttd", client_id = %client_id,
                username = username.as_deref(), "client proved anew who it is");
        }
        Event::Disconnected { client_id, peer, departure: Departure::PartialPacketsFull } => {
            if let Some(left_out) = shared.throttles.partial.admit() {
                tracing::warn!(target: "mqttd", client_id = %client_id, %peer, left_out,
                    reason = %DepartureWords(Departure::PartialPacketsFull),
                    "client disconnected");
            }
        }
        Event::Disconnected { client_id, peer, departure } => {
            tracing::info!(target: "mqttd", client_id = %client_id, %peer,
                reason = %DepartureWords(departure), "client disconnected");
        }
        Event::SessionEnded { client_id, queue_messages } => {
            tracing::info!(target: "mqttd", client_id = %client_id, queue_messages,
                "session ended");
        }
        Event::Refusing { client_id } => {
            if let Some(left_out) = shared.throttles.dropping.admit() {
                tracing::warn!(target: "mqttd", client_id = %client_id, left_out,
                    "the queue of this client is full: messages for it are refused \
                     ([session] queue_full)");
            }
        }
        Event::Dropping { client_id, reason } => {
            if let Some(left_out) = shared.throttles.dropping.admit() {
                tracing::warn!(target: "mqttd", client_id = %client_id, left_out,
                    reason = drop_words(reason), "messages for this client are being dropped");
            }
        }
    }
}

const fn version_words(version: Version) -> &'static str {
    match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

const fn drop_words(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Offline => "it is not connected and the message has QoS 0",
        DropReason::QueueFull => {
            "it does not keep up and its queue is full ([session] queue_messages_max, \
             queue_bytes_max)"
        }
        DropReason::QueueOldest => {
            "it does not keep up, and newer messages take the place of older ones in its full \
             queue ([session] queue_full)"
        }
        DropReason::StoreFull => {
            "the store holds as much as it may of what waits ([store] queue_bytes_max)"
        }
        DropReason::MemoryFull => "the memory budget is used up ([limits] memory_bytes_max)",
        DropReason::PacketTooLarge => "the message is above the client's Maximum Packet Size",
        DropReason::Expired => "the message expired while it waited",
        DropReason::Lost => "its record in the store is damaged or gone (mqttd store check)",
    }
}

struct DepartureWords(Departure);

impl fmt::Display for DepartureWords {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Departure::Normal => out.write_str("the client said goodbye"),
            Departure::WithWill => out.write_str("the client said goodbye and sends its will"),
            Departure::ByPeer => out.write_str("the connection was closed without a goodbye"),
            Departure::Violation(violation) => violation.fmt(out),
            Departure::AuthenticationFailed(denial) => denial.fmt(out),
            Departure::TakenOver => out.write_str("the same client identifier connected again"),
            Departure::AdministrativeAction => out.write_str("an operator ended it"),
            Departure::PartialPacketsFull => out.write_str(
                "its incomplete packet found no room: incomplete packets fill a quarter of the \
                 memory budget ([limits] memory_bytes_max); a smaller packet_bytes_max helps \
                 against clients that announce large packets and never finish them",
            ),
            Departure::ServerShuttingDown => out.write_str("the server stops"),
            Departure::UseAnotherServer | Departure::ServerMoved => {
                out.write_str("sent to the server that [redirect] server_reference names")
            }
        }
    }
}

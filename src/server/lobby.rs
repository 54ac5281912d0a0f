//! Where connections wait until they have said who they are.
//!
//! It runs on a small runtime of its own, as this is the part that waits: for connections, for
//! their first packets, for farewells. Whoever is let in leaves it for its home shard and never
//! comes back, except to be told goodbye. Bounded: so many connections at once, each for so long.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::arrival::Arrival;
use super::errands::Errands;
use super::gate::{Gate, Seat};
use super::greeting::{self, Greeting};
use super::linger::say_and_close;
use super::shared::Shared;
use super::throttle::Throttle;
use crate::broker::{Introduction, Refusal};
use crate::transport::Stream;

/// When the process has no descriptor left, trying again at once would only burn the processor.
const BACK_OFF: Duration = Duration::from_millis(200);

/// Connections beyond `connections_max` that are heard out and told why they are refused; further
/// ones are closed as they come.
const TOLD_FULL_MAX: u64 = 64;

/// Accepts connections until the task is aborted.
pub(super) async fn accept(shared: Arc<Shared>, gate: Arc<Gate>, listener: TcpListener) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                accept_failed(&shared, &gate, &error).await;
                continue;
            }
        };
        let seat = Seat::take(&gate);
        // Those who can never be admitted may not use up the descriptors of the rest.
        let room_for = shared.live().connections_max.saturating_add(TOLD_FULL_MAX);
        if shared.connections() > room_for {
            seat.count_refused();
            count(&shared.counts.connections_max);
            continue;
        }
        // With the lobby full this one waits here, and the next ones in the kernel.
        let Ok(room) = Arc::clone(&shared.connecting).acquire_owned().await else {
            return;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            welcome(&shared, stream, peer, seat).await;
            drop(room);
        });
    }
}

async fn accept_failed(shared: &Shared, gate: &Gate, error: &io::Error) {
    count(&shared.counts.accept_errors);
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        return; // The peer has changed its mind.
    }
    if let Some(left_out) = shared.throttles.accept.admit() {
        let address = gate.address();
        tracing::error!(target: "mqttd", %address, %error, left_out, "connections cannot be \
            accepted; new ones wait. With \"Too many open files\" raise the limit on open files \
            (LimitNOFILE= of the service, ulimit -n) above [limits] connections_max");
    }
    sleep(BACK_OFF).await;
}

/// Hears a client out, and lets it in or not.
async fn welcome(shared: &Shared, stream: TcpStream, peer: SocketAddr, seat: Seat) {
    let wait = Duration::from_secs(shared.live().connect_timeout_secs);
    let mut introduction = Introduction::new(peer);
    let greeted = timeout(wait, greeting::greet(shared, &stream, peer, &mut introduction)).await;
    let Ok(greeting) = greeted else {
        seat.count_refused();
        return time_is_up(shared, stream, peer, introduction).await;
    };
    match greeting {
        Greeting::Admitted { admission, rest } => {
            let Ok(socket) = stream.into_std() else { return };
            shared.counts.heard_connect();
            // The shard counts what came behind.
            shared.counts.bytes_received.fetch_sub(rest.len() as u64, Ordering::Relaxed);
            let home = shared.commons.home(&admission.client_id);
            let stream = Stream::new(socket);
            shared.cells[home].post(Arrival { admission: *admission, stream, rest, seat });
            let mut errands = Errands::default();
            errands.visit(home);
            errands.run(shared);
        }
        // What came behind a refused CONNECT is not looked at `[MQTT-3.1.4-6]`, and the connection
        // ends `[MQTT-3.2.2-7]` `[MQTT-4.13.2-1]`, without a DISCONNECT `[MQTT-3.14.0-1]`.
        Greeting::Refused { refusal, client_id, connack } => {
            seat.count_refused();
            shared.counts.heard_connect();
            shared.counts.said(connack.len());
            count_refused(shared, refusal);
            tell_refused(shared, refusal, &client_id, peer);
            say_and_close(stream, &connack).await;
        }
        Greeting::Malformed { error, connack } => {
            seat.count_refused();
            count(&shared.counts.malformed);
            tell_turned_away(&shared.throttles.turned_away, peer, &error);
            say_and_close(stream, &connack).await;
        }
        // Port scanners and health checks: counted, not worth a line.
        Greeting::Closed => count(&shared.counts.closed),
    }
}

async fn time_is_up(
    shared: &Shared,
    stream: TcpStream,
    peer: SocketAddr,
    introduction: Introduction,
) {
    count(&shared.counts.timeout);
    let why = if introduction.is_authenticating() {
        "the authentication was not complete in time ([limits] connect_timeout_secs)"
    } else {
        "no complete CONNECT came in time ([limits] connect_timeout_secs)"
    };
    tell_turned_away(&shared.throttles.turned_away, peer, why);
    let connack = introduction.expire();
    if !connack.is_empty() {
        say_and_close(stream, &connack).await;
    }
}

/// Counts a client that is not let in.
pub(super) fn count_refused(shared: &Shared, refusal: Refusal) {
    let counts = &shared.counts;
    count(match refusal {
        Refusal::NotAuthorized => &counts.not_authorized,
        Refusal::UseAnotherServer | Refusal::ServerMoved => &counts.redirected,
        Refusal::TooManyConnections => &counts.connections_max,
        Refusal::BadAuthenticationMethod | Refusal::AuthenticationFailed(_) => {
            &counts.authentication
        }
        Refusal::StoreFull | Refusal::StoreFailed => &counts.store,
        Refusal::ClientIdentifierNotValid
        | Refusal::ClientIdentifierTooLong
        | Refusal::WillTopicInvalid
        | Refusal::WillPayloadFormatInvalid
        | Refusal::ConnackTooLarge
        | Refusal::PartialPacketsFull
        | Refusal::WillTopicReserved
        | Refusal::TooManySessions
        | Refusal::ServerShuttingDown
        | Refusal::UnsupportedProtocolVersion => &counts.other_refusal,
    });
}

/// Logs it.
pub(super) fn tell_refused(shared: &Shared, refusal: Refusal, client_id: &str, peer: SocketAddr) {
    let throttles = &shared.throttles;
    let throttle = match refusal {
        Refusal::NotAuthorized => {
            if let Some(left_out) = throttles.anonymous.admit() {
                tracing::warn!(target: "mqttd", client_id, %peer, left_out, "client refused: \
                    without credentials only clients from private networks may connect; to let \
                    everybody in, set anonymous = \"always\" in mqttd.toml");
            }
            return;
        }
        // Each client comes this way while the server drains.
        Refusal::UseAnotherServer | Refusal::ServerMoved => return,
        Refusal::TooManyConnections => &throttles.connections_max,
        Refusal::BadAuthenticationMethod | Refusal::AuthenticationFailed(_) => {
            &throttles.authentication
        }
        Refusal::StoreFull | Refusal::StoreFailed => &throttles.unkept,
        Refusal::ClientIdentifierNotValid
        | Refusal::ClientIdentifierTooLong
        | Refusal::WillTopicInvalid
        | Refusal::WillPayloadFormatInvalid
        | Refusal::ConnackTooLarge
        | Refusal::PartialPacketsFull
        | Refusal::WillTopicReserved
        | Refusal::TooManySessions
        | Refusal::ServerShuttingDown
        | Refusal::UnsupportedProtocolVersion => &throttles.turned_away,
    };
    if let Some(left_out) = throttle.admit() {
        tracing::warn!(target: "mqttd", client_id, %peer, reason = %refusal, left_out,
            "client refused");
    }
}

fn tell_turned_away(throttle: &Throttle, peer: SocketAddr, why: &str) {
    if let Some(left_out) = throttle.admit() {
        tracing::warn!(target: "mqttd", %peer, reason = why, left_out, "connection turned away");
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

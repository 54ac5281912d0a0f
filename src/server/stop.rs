//! Stopping, in order: no new connections, a farewell to the old ones, the end of the threads. And
//! draining: the same without the end.

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Server;
use super::clock::Clock;
use super::errands::Errands;
use super::shared::Shared;
use super::start::Threads;

/// Between two looks at what is still going on, each of which is told to `progress`.
const LOOK: Duration = Duration::from_millis(20);

pub(super) fn stop(server: &Server, timeout: Duration, mut progress: impl FnMut()) {
    let Some(mut threads) = lock(&server.threads).take() else { return };
    let shared = &server.shared;
    shared.begin_stopping();
    let deadline = Clock::instant() + timeout;
    // Where there is another server, clients that come back meanwhile are told of it.
    let redirects = shared.commons.directions().server_reference.is_some();
    if !redirects {
        close_gates(server, &mut threads);
    }
    progress();
    let mut errands = Errands::default();
    withdraw(shared, &mut errands);
    for number in 0..shared.cells.len() {
        if !shared.cells[number].is_broken() {
            shared.visit(number, &mut errands, |hall, now| hall.close(shared, now));
        }
        errands.run(shared);
        progress();
    }
    while !shared.nobody_lingers() && left(deadline) > Duration::ZERO {
        threads.lobby.block_on(tokio_sleep(left(deadline).min(LOOK)));
        progress();
    }
    if redirects {
        close_gates(server, &mut threads);
    }
    shared.end();
    loop {
        match threads.shards_ended.recv_timeout(LOOK) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if left(deadline) == Duration::ZERO => {
                tracing::error!(target: "mqttd", "a shard's thread does not end");
                break;
            }
            Err(RecvTimeoutError::Timeout) => progress(),
        }
    }
    threads.lobby.shutdown_timeout(left(deadline));
}

/// Sends all clients away, or lets them in again.
pub(super) fn drain(server: &Server, draining: bool) {
    let shared = &server.shared;
    let mut errands = Errands::default();
    if draining && !shared.is_stopping() {
        withdraw(shared, &mut errands);
    }
    for number in 0..shared.cells.len() {
        if !shared.cells[number].is_broken() && !shared.is_stopping() {
            shared.visit(number, &mut errands, |hall, now| match draining {
                true => hall.close(shared, now),
                false => hall.open(),
            });
        }
        errands.run(shared);
    }
}

/// Before the first connection ends, nobody is chosen any more: what one member of a group leaves
/// would be sent to the next, and by that one to the next again.
fn withdraw(shared: &Shared, errands: &mut Errands) {
    for number in 0..shared.cells.len() {
        if !shared.cells[number].is_broken() {
            shared.visit(number, errands, |hall, _| hall.withdraw(shared));
        }
        errands.run(shared);
    }
}

/// Ends the tasks that accept and closes the sockets, so that the ports are free.
fn close_gates(server: &Server, threads: &mut Threads) {
    for accepting in threads.accepting.drain(..) {
        accepting.abort();
        // Aborted, or ended before: in both cases its socket is closed.
        let _ = threads.lobby.block_on(accepting);
    }
    for gate in &server.shared.gates {
        gate.close();
    }
}

async fn tokio_sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Clock::instant())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Stopping, in order: no new connections, a farewell to the old ones, the end of the threads, and
//! last of all the end of the journal, which writes what the others left. And draining: the same
//! without the end.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Server;
use super::clock::Clock;
use super::errands::Errands;
use super::shared::Shared;
use super::start::Threads;
use crate::broker::Storing;

/// Between two looks at what is still going on, each of which is told to `progress`.
const LOOK: Duration = Duration::from_millis(20);
/// What waits for the disk when the stop begins is acknowledged before its clients are sent away,
/// unless the disk takes longer than this.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);
/// Time the journal has in any case to write the rest, as much as clients may have taken.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(5);

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
    if let Some(journal) = &shared.journal
        && shared.commons.storing() == Storing::Well
    {
        journal.flush(FLUSH_PATIENCE.min(left(deadline)));
        progress();
    }
    for number in 0..shared.cells.len() {
        if !shared.cells[number].is_broken() {
            shared.visit(number, &mut errands, |hall, now| hall.close(shared, now));
        }
        errands.run(shared);
        progress();
    }
    let waits = || !shared.is_hurried() && left(deadline) > Duration::ZERO;
    while !shared.nobody_lingers() && waits() {
        threads.lobby.block_on(tokio_sleep(left(deadline).min(LOOK)));
        progress();
    }
    if redirects {
        close_gates(server, &mut threads);
    }
    shared.end();
    if !has_ended(&threads.shards_ended, waits, &mut progress) {
        tracing::error!(target: "mqttd", "a shard's thread does not end");
    }
    end_journal(shared, &threads, deadline, &mut progress);
    threads.lobby.shutdown_timeout(left(deadline));
}

/// The last records are written and synced.
fn end_journal(shared: &Shared, threads: &Threads, deadline: Instant, progress: &mut impl FnMut()) {
    let Some(journal) = &shared.journal else { return };
    journal.end();
    let deadline = deadline.max(Clock::instant() + JOURNAL_PATIENCE);
    if !has_ended(&threads.journal_ended, || left(deadline) > Duration::ZERO, progress) {
        tracing::error!(target: "mqttd",
            "the disk does not take the last records; none of them was acknowledged");
    }
}

/// Waits for threads to end as long as `waits` says.
fn has_ended(ended: &Receiver<()>, waits: impl Fn() -> bool, progress: &mut impl FnMut()) -> bool {
    loop {
        match ended.recv_timeout(LOOK) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) if !waits() => return false,
            Err(RecvTimeoutError::Timeout) => progress(),
        }
    }
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

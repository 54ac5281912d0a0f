//! A shard's thread: wait, hold the shard for one batch, let go, run errands.
//!
//! It waits with `mio` (edge-triggered epoll) and not with an async runtime: a step has nothing to
//! await, so a task for each connection would only cost memory and wake-ups. An idle connection is
//! its descriptor and a few dozen bytes in a table. A socket is registered once, for reading and
//! writing, and never touched again.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::clock::Clock;
use super::errands::Errands;
use super::incoming::ReadBuffer;
use super::shared::Shared;

/// The bell in the cell; no slot is that large.
pub(super) const WAKER: Token = Token(usize::MAX);
/// Sockets reported at once.
const EVENTS_MAX: usize = 1024;

/// The body of a shard's thread.
pub(super) fn run(shared: &Arc<Shared>, number: usize, poll: Poll) {
    let turn = AssertUnwindSafe(|| turn_until_stopped(shared, number, poll));
    if catch_unwind(turn).is_err() {
        // What the panic said is on stderr already. The watchdog sees a thread that turns no more.
        tracing::error!(target: "mqttd", shard = number, "the thread of a shard ended by a panic: \
            its clients are not served any more, and the service needs a restart");
    }
}

fn turn_until_stopped(shared: &Shared, number: usize, mut poll: Poll) {
    let cell = &shared.cells[number];
    let mut buffer = ReadBuffer::default();
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut errands = Errands::default();
    let mut sleep = Some(Duration::ZERO);
    while !shared.has_ended() {
        match poll.poll(&mut events, sleep) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::error!(target: "mqttd", shard = number, %error, "epoll_wait failed");
                return;
            }
        }
        if cell.is_broken() {
            tracing::error!(target: "mqttd", shard = number, "a step of a shard ended by a panic: \
                its clients are not served any more, and the service needs a restart");
            return;
        }
        let mut hall = cell.enter();
        let now = Clock::now();
        hall.begin(cell, shared, now);
        for readiness in &events {
            hall.note(readiness, shared, now);
        }
        hall.read_all(&mut buffer, shared, &mut errands, now);
        hall.settle(shared, &mut errands, now);
        sleep = hall.sleep(now);
        drop(hall);
        cell.note_turn();
        // Mail that came while the shard was held.
        errands.visit(number);
        errands.run(shared);
    }
}

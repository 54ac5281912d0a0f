//! What an earlier life kept, back in its place: before a thread runs or a listener accepts.
//!
//! Called once, by the start. A store that cannot be read ends the start: nobody is told that a
//! session is not there which only could not be read.

use std::sync::Arc;

use super::cell::Cell;
use super::clock::Clock;
use super::options::Keeping;
use crate::broker::{Commons, Restoration, Storing};
use crate::store::{Recovered, Store, StoreError};

/// What a start found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Sessions.
    pub sessions: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Retained messages.
    pub retained: u64,
    /// Messages that somebody waits for.
    pub messages: u64,
    /// Bytes of an unfinished commit that were cut off: what nobody was told is kept.
    pub torn_bytes: u64,
    /// Records that a repair left out.
    pub damaged: u64,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// Hands what is kept to the shards, and the store back to be written to.
pub(super) fn recover(
    keeping: Keeping<'_>,
    commons: &Arc<Commons>,
    cells: &[Cell],
) -> Result<(Box<dyn Store>, Recovery), StoreError> {
    let Keeping { mut store, progress } = keeping;
    commons.set_storing(Storing::Well);
    let began = Clock::now();
    let mut restoration = Restoration::new(Arc::clone(commons), began);
    let recovered = store.recover(&mut restoration, progress)?;
    commons.continue_names(recovered.last_mid, recovered.last_sid);
    for (cell, restored) in cells.iter().zip(restoration.finish()) {
        cell.enter().shard.restore(restored, Clock::now());
    }
    let took_ms = Clock::now().ticks_ms.saturating_sub(began.ticks_ms);
    let recovery = Recovery::of(&recovered, took_ms);
    tell(recovery);
    Ok((store, recovery))
}

impl Recovery {
    const fn of(recovered: &Recovered, took_ms: u64) -> Self {
        let Recovered { sessions, subscriptions, retained, messages, torn_bytes, damaged, .. } =
            *recovered;
        Self { sessions, subscriptions, retained, messages, torn_bytes, damaged, took_ms }
    }
}

fn tell(recovery: Recovery) {
    let Recovery { sessions, subscriptions, retained, messages, torn_bytes, damaged, took_ms } =
        recovery;
    tracing::info!(target: "mqttd", sessions, subscriptions, retained, messages, took_ms,
        "recovered what was kept");
    if torn_bytes > 0 {
        tracing::info!(target: "mqttd", torn_bytes,
            "cut off a write that was not completed: nobody was told that it is kept");
    }
    if damaged > 0 {
        tracing::warn!(target: "mqttd", damaged, "records of the store are damaged and left out");
    }
}

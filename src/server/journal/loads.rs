//! Messages that sessions need back from the disk.
//!
//! Called by the keeper. What is not written yet is answered from what is pending. A read that fails
//! is tried again, as a disk may come back; it stops nobody but the session that waits for it. Only
//! after many tries is a message given up.

use std::collections::BTreeMap;

use super::batch::Batch;
use super::keeper::Outcome;
use crate::broker::{Envelope, Load, Loaded, Mid, Now, Sid, StoredMessage};
use crate::session::Identifiers;
use crate::store::{Store, StoreError};

/// Before a read that failed is tried again; doubled each time.
const RETRY_MS_MIN: u64 = 100;
/// The longest of these pauses.
const RETRY_MS_MAX: u64 = 30_000;
/// Bytes read in one turn. Then what is to be written has its turn, and what was read is carried away,
/// so that ten thousand sessions that come back at once do not meet here.
const TURN_BYTES: u64 = 4 << 20;
/// Tries of one message, which take some minutes.
const TRIES_MAX: u32 = 14;

/// What was asked for and is not answered.
#[derive(Debug, Default)]
pub(super) struct Loads {
    fresh: Vec<Asked>,
    /// Those that could not be read.
    late: Vec<Asked>,
    /// When they are tried again.
    retry_ms: u64,
}

#[derive(Debug)]
struct Asked {
    shard: u16,
    load: Load,
    tries: u32,
}

impl Loads {
    pub(super) fn take(&mut self, loads: &mut Vec<(u16, Load)>) {
        let asked = loads.drain(..).map(|(shard, load)| Asked { shard, load, tries: 0 });
        self.fresh.extend(asked);
    }

    /// When some are to be answered, or tried again; at once when it is 0.
    pub(super) fn deadline(&self) -> Option<u64> {
        if self.fresh.is_empty() {
            return (!self.late.is_empty()).then_some(self.retry_ms);
        }
        Some(0)
    }

    /// Answers what is due.
    pub(super) fn answer(
        &mut self,
        store: &mut dyn Store,
        pending: &Batch,
        now: Now,
        outcome: &mut Outcome,
    ) {
        let mut due = std::mem::take(&mut self.fresh);
        if self.retry_ms <= now.ticks_ms {
            due.append(&mut self.late);
        }
        if due.is_empty() {
            return;
        }
        let mut wanted: Vec<_> = due.iter().flat_map(|asked| &asked.load.mids).copied().collect();
        wanted.sort_unstable();
        let mut shelf = Shelf {
            store,
            pending: pending.find(&wanted),
            unix_less_ticks_ms: now.unix_ms.saturating_sub(now.ticks_ms),
            damaged: &mut outcome.damaged,
        };
        let mut bytes = 0;
        let mut due = due.into_iter();
        for asked in due.by_ref() {
            match shelf.fetch(&asked.load, asked.tries >= TRIES_MAX) {
                Ok(loaded) => {
                    bytes += weight(&loaded);
                    outcome.loaded.push((asked.shard, loaded));
                    if bytes >= TURN_BYTES {
                        break;
                    }
                }
                Err(error) => {
                    let pause_ms = RETRY_MS_MIN << asked.tries.min(20);
                    self.retry_ms = now.ticks_ms + pause_ms.min(RETRY_MS_MAX);
                    outcome.unread.push(error);
                    self.late.push(Asked { tries: asked.tries + 1, ..asked });
                }
            }
        }
        self.fresh.extend(due);
    }
}

/// Bytes of what was read.
pub(super) fn weight(loaded: &Loaded) -> u64 {
    let messages = loaded.messages.iter().filter_map(|(_, message)| message.as_ref());
    messages.map(|(stored, _)| stored.message.weight()).sum()
}

/// Reads messages for an operator, once; `None` where one is not there any more, or cannot be read.
pub(super) fn look(
    mids: &[Mid],
    store: &mut dyn Store,
    pending: &Batch,
    now: Now,
) -> Vec<Option<StoredMessage>> {
    let mut wanted = mids.to_vec();
    wanted.sort_unstable();
    let mut shelf = Shelf {
        store,
        pending: pending.find(&wanted),
        unix_less_ticks_ms: now.unix_ms.saturating_sub(now.ticks_ms),
        damaged: &mut Vec::new(),
    };
    let mut read = |mid: &Mid| shelf.read(*mid, Sid::MIN).ok().flatten();
    mids.iter().map(|mid| read(mid).map(|(stored, _)| stored)).collect()
}

/// Where messages are read from.
struct Shelf<'k> {
    store: &'k mut dyn Store,
    /// Those that are wanted and not written yet.
    pending: BTreeMap<Mid, (&'k [u8], &'k [u8])>,
    unix_less_ticks_ms: u64,
    /// What was found of messages that are not what they were.
    damaged: &'k mut Vec<StoreError>,
}

impl Shelf<'_> {
    fn fetch(&mut self, load: &Load, last_try: bool) -> Result<Loaded, StoreError> {
        let mut messages = Vec::with_capacity(load.mids.len());
        for &mid in &load.mids {
            let message = match self.read(mid, load.sid) {
                Ok(message) => message,
                // Damage is about this message alone.
                Err(error) if last_try || matches!(error, StoreError::Damaged { .. }) => {
                    self.damaged.push(error);
                    None
                }
                Err(error) => return Err(error),
            };
            messages.push((mid, message));
        }
        Ok(Loaded { session: load.session, messages })
    }

    fn read(
        &mut self,
        mid: Mid,
        sid: Sid,
    ) -> Result<Option<(StoredMessage, Identifiers)>, StoreError> {
        let offset_ms = self.unix_less_ticks_ms;
        if let Some((envelope, body)) = self.pending.get(&mid) {
            return Ok(open(sid, envelope, body, offset_ms));
        }
        let mut message = None;
        self.store.load(mid, &mut |envelope, body| {
            message = open(sid, envelope, body, offset_ms);
        })?;
        Ok(message)
    }
}

/// A message as one of its recipients gets it; `None` when it is damaged.
fn open(
    sid: Sid,
    envelope: &[u8],
    body: &[u8],
    unix_less_ticks_ms: u64,
) -> Option<(StoredMessage, Identifiers)> {
    let message = StoredMessage::open(body, unix_less_ticks_ms)?;
    // A message whose recipients were all done with it may have lost its envelope.
    let mut recipients = Envelope::open(envelope).into_iter().flat_map(|it| it.recipients());
    let mine = recipients.find_map(|to| to.filter(|to| to.sid == sid));
    let identifiers = mine.map(|to| to.identifiers);
    Some((message, identifiers.unwrap_or(Identifiers::NONE)))
}

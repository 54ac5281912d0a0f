//! A restart: from records to sessions, subscriptions and retained messages.

use std::sync::Arc;

use super::{Commons, Damaged, Loaded, Mid, Now, Restore, Shard, Sid, Waiting};

/// Takes in what the store kept, and gives each shard its part.
#[derive(Debug)]
pub struct Restoration {
    _commons: Arc<Commons>,
    _now: Now,
}

/// What one shard gets of it, for [`Shard::restore`].
#[derive(Debug)]
pub struct Restored {}

impl Restoration {
    /// For the shards of `commons`.
    #[must_use]
    pub fn new(commons: Arc<Commons>, now: Now) -> Self {
        Self { _commons: commons, _now: now }
    }

    /// One part for each shard.
    #[must_use]
    pub fn finish(self) -> Vec<Restored> {
        Vec::new()
    }
}

impl Restore for Restoration {
    fn session(&mut self, _sid: Sid, _state: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn subscription(&mut self, _sid: Sid, _filter: &str, _options: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn position(&mut self, _sid: Sid, _cursor: u64, _position: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn received(&mut self, _sid: Sid, _packet_id: u16) {}
    fn sent(&mut self, _sid: Sid, _mid: Mid, _packet_id: u16, _released: bool) {}
    fn retained(&mut self, _mid: Mid, _body: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn message(&mut self, _mid: Mid, _envelope: &[u8]) -> Result<Waiting, Damaged> {
        Ok(Waiting::default())
    }
    fn body(&mut self, _mid: Mid, _body: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
}

impl Shard {
    /// Takes in what an earlier life left; before the first connection.
    pub fn restore(&mut self, _restored: Restored, now: Now) {
        self.begin(now);
        self.finish();
    }

    /// All records up to a ticket are kept: what waited for them goes out.
    pub fn durable(&mut self, _ticket: u64, now: Now) {
        self.begin(now);
        self.finish();
    }

    /// Messages came from the disk.
    pub fn loaded(&mut self, _loaded: Loaded, now: Now) {
        self.begin(now);
        self.finish();
    }
}

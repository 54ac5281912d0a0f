//! The post office of a shard: this shard's sessions are served at the desk, others by letter.

use super::desk::Desk;
use super::mail::Addressee;
use crate::session::Parcel;

#[derive(Debug)]
pub(super) struct Post {
    /// This shard.
    shard: u16,
    /// Shards in whose letter the message at hand is enclosed already.
    enclosed: Vec<u16>,
}

impl Post {
    pub(super) const fn new(shard: u16) -> Self {
        Self { shard, enclosed: Vec::new() }
    }

    /// The next message.
    pub(super) fn begin_message(&mut self) {
        self.enclosed.clear();
    }

    pub(super) fn hand_over(&mut self, to: &Addressee, parcel: &mut Parcel<'_>, desk: &mut Desk) {
        desk.handed += 1;
        let shard = to.session.shard;
        if shard == self.shard {
            return desk.hand_over(to, parcel);
        }
        let Some(letter) = desk.trays.letters.get_mut(usize::from(shard)) else {
            return;
        };
        if !self.enclosed.contains(&shard) {
            self.enclosed.push(shard);
            letter.enclose(parcel.content(), parcel.qos());
        }
        letter.address(to.clone());
    }
}

//! The post office of a shard: this shard's sessions are served at the desk, others by letter.

use super::SessionId;
use super::desk::Desk;
use super::mail::Addressee;
use super::publish::Publication;
use super::routes::Receiver;
use super::share::{Attempts, Group, Member};
use crate::session::{Mid, Parcel};

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

    /// Hands a message to the member of a group that was chosen.
    pub(super) fn hand_to_chosen(
        &mut self,
        (group, member): (&Group, &Member),
        mid: Option<Mid>,
        parcel: &mut Parcel<'_>,
        desk: &mut Desk,
    ) {
        self.hand_to_member((group, member), (Attempts::NONE, None, mid), parcel, desk);
    }

    /// Hands a message to a member of a group after others refused it, or left it behind.
    pub(super) fn hand_to_member(
        &mut self,
        (group, member): (&Group, &Member),
        (attempts, holder, mid): (Attempts, Option<Box<SessionId>>, Option<Mid>),
        parcel: &mut Parcel<'_>,
        desk: &mut Desk,
    ) {
        let publication = Publication { from: None, qos: parcel.qos(), retain: parcel.retain() };
        let Some(mut to) = publication.address(&Receiver::of(&member.subscriber)) else { return };
        to.share = Some(group.id());
        to.attempts = attempts;
        to.holder = holder;
        to.name(mid, member.subscriber.sid.is_some());
        if to.session.shard != self.shard && to.is_backlog() {
            member.presence.note_posted();
        }
        self.hand_over(&to, parcel, desk);
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
            letter.enclose(parcel);
        }
        letter.address(to.clone());
    }
}

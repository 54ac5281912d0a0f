//! ★ A message finds its receivers: the heart of the house.
//!
//! Receivers of this shard are served at once; those of another go into its letter. The server
//! carries the letters when the batch is done.

use super::commons::{Retaining, Unkept, fnv};
use super::desk::Desk;
use super::journal::Class;
use super::keep::{gets_it, recipients, shared_recipient};
use super::mail::Addressee;
use super::refuse::Unaccepted;
use super::routes::{Hears, Receiver};
use super::share::{Attempts, Group, Member, SharedChoice};
use super::{SessionId, Shard};
use crate::codec::QoS;
use crate::session::{Content, Mid, Parcel, QueueFull};

/// What all receivers of one message have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publication {
    pub(super) from: Option<SessionId>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

impl Shard {
    /// Routes a message and, with RETAIN, keeps it; returns how many receivers there are.
    ///
    /// `from` is the publisher's session; the server's own messages have none. Who publishes by this
    /// cannot be told that there is no room to keep it: the message is passed on all the same, and
    /// its topic has no retained message any more.
    pub(super) fn route(
        &mut self,
        from: Option<SessionId>,
        content: Content<'_>,
        qos: QoS,
        retain: bool,
    ) -> usize {
        let mut parcel = Parcel::borrowed(content, qos, retain).accepted(self.now.unix_ms);
        // Retained first, then the routes: see `commons`. Without the flag what is kept stays as it
        // is `[MQTT-3.3.1-8]`.
        let retained = if retain { self.retain(&mut parcel, Unkept::Forget).1 } else { None };
        self.pass_on(from, &mut parcel, retained)
    }

    /// As [`Self::route`], for a publisher that can be told.
    ///
    /// # Errors
    /// The message is not accepted: it goes to nobody, and what was retained stays.
    pub(super) fn route_if_accepted(
        &mut self,
        from: SessionId,
        content: Content<'_>,
        qos: QoS,
        retain: bool,
    ) -> Result<usize, Unaccepted> {
        let publication = Publication { from: Some(from), qos, retain };
        if let Some(unaccepted) = self.unaccepted(publication, content.topic) {
            return Err(unaccepted);
        }
        let is_promised = self.limits.queue_full == QueueFull::Refuse;
        let parcel = Parcel::borrowed(content, qos, retain).promised(is_promised);
        let mut parcel = parcel.accepted(self.now.unix_ms);
        let mut retained = None;
        if retain {
            let (is_kept, mid) = self.retain(&mut parcel, Unkept::Stay);
            if !is_kept {
                return Err(Unaccepted::RetainedFull);
            }
            retained = mid;
        }
        Ok(self.pass_on(Some(from), &mut parcel, retained))
    }

    /// `retained`: the name of the message where it is to be written down as the retained one.
    pub(super) fn pass_on(
        &mut self,
        from: Option<SessionId>,
        parcel: &mut Parcel<'_>,
        retained: Option<Mid>,
    ) -> usize {
        let publication = Publication { from, qos: parcel.qos(), retain: parcel.retain() };
        let matched = self.remembered.find(parcel.content().topic, &self.commons);
        let mut chosen: Vec<(&Group, &Member)> = Vec::new();
        let mut again: Vec<(&Group, &Member)> = Vec::new();
        if !matched.groups.is_empty() {
            let choice = self.limits.shared_choice;
            let publisher = publisher(choice, from, &self.desk);
            for group in &matched.groups {
                let member = group.choose(choice, publisher);
                let gets_it_again = gets_it(publication, matched, &chosen, member);
                let those = if gets_it_again { &mut again } else { &mut chosen };
                those.push((group, member));
            }
        }
        let class = self.desk.class(matched.class);
        let mid = if matched.may_last || retained.is_some() {
            let recipients = recipients(publication, matched, &chosen);
            self.desk.keep(parcel, (class, retained), recipients)
        } else {
            None
        };
        self.post.begin_message();
        let mut receivers = matched.groups.len();
        for receiver in &matched.receivers {
            receivers += usize::from(receiver.hears != Hears::Own);
            if let Some(mut addressee) = publication.address(receiver) {
                addressee.name(mid, receiver.sid.is_some());
                self.post.hand_over(&addressee, parcel, &mut self.desk);
            }
        }
        for (group, member) in chosen {
            self.post.hand_to_chosen((group, member), mid, parcel, &mut self.desk);
        }
        for (group, member) in again {
            // A session is done with one delivery and not with the other: each has a name.
            let recipient = shared_recipient(publication, group, member);
            let mid = self.desk.keep(parcel, (class, None), recipient.into_iter());
            self.post.hand_to_chosen((group, member), mid, parcel, &mut self.desk);
        }
        if receivers == 0 && from.is_some() {
            self.desk.counters.messages_unmatched += 1;
        }
        receivers
    }

    /// Whether it is kept as it should be, and its name where it is to be written down.
    pub(super) fn retain(
        &mut self,
        parcel: &mut Parcel<'_>,
        without_room: Unkept,
    ) -> (bool, Option<Mid>) {
        let topic = parcel.content().topic;
        let class = self.desk.class(self.limits.durability.class(topic));
        if parcel.content().payload.is_empty() {
            // An empty payload removes the retained message `[MQTT-3.3.1-6]` and is none itself
            // `[MQTT-3.3.1-7]`.
            let is_told = parcel.qos() != QoS::AtMostOnce;
            self.forget_retained_of(topic, class, is_told);
            return (true, None);
        }
        let by = (class != Class::Memory).then_some(self.number);
        let Retaining { is_kept, mid, expired } =
            self.commons.retain(parcel.message(), self.now, without_room, by);
        for (mid, topic) in expired {
            self.desk.trays.records.retained_gone(mid, &topic, None);
        }
        match mid {
            Some(mid) if !is_kept => {
                self.desk.trays.records.retained_gone(mid, topic, Some(class));
                (false, None)
            }
            mid => (is_kept, mid),
        }
    }

    /// Deletes the retained message of a topic; `false` when there is none. `is_told`: somebody hears
    /// that there is none any more.
    fn forget_retained_of(&mut self, topic: &str, class: Class, is_told: bool) -> bool {
        let by = (class != Class::Memory).then_some(self.number);
        let Retaining { is_kept, mid, .. } = self.commons.forget_retained(topic, by, is_told);
        if let Some(mid) = mid {
            self.desk.trays.records.retained_gone(mid, topic, Some(class));
        }
        is_kept
    }

    /// Deletes the retained message of a topic in the operator's name; `false` when there is none.
    pub fn forget_retained(&mut self, topic: &str, now: super::Now) -> bool {
        self.begin(now);
        let class = self.desk.class(self.limits.durability.class(topic));
        let forgotten = self.forget_retained_of(topic, class, true);
        self.finish();
        forgotten
    }
}

/// What a publisher counts as where it matters.
fn publisher(choice: SharedChoice, from: Option<SessionId>, desk: &Desk) -> u64 {
    let from = from.filter(|_| choice == SharedChoice::HashPublisher);
    let session = from.and_then(|from| desk.roster.session(from.slot));
    session.map_or(0, |session| fnv(&session.client_id))
}

impl Publication {
    /// How one receiver gets the message; `None` where No Local rules it out `[MQTT-3.8.3-3]`.
    pub(super) fn address(&self, receiver: &Receiver) -> Option<Addressee> {
        let is_own = self.from == Some(receiver.session);
        if receiver.hears == if is_own { Hears::Others } else { Hears::Own } {
            return None;
        }
        Some(Addressee {
            session: receiver.session,
            share: None,
            attempts: Attempts::NONE,
            holder: None,
            mid: None,
            // `[MQTT-3.8.4-8]`, of a member of a group too `[MQTT-4.8.2-3]`.
            qos: self.qos.min(receiver.qos),
            // `[MQTT-3.3.1-12]` `[MQTT-3.3.1-13]`
            retain: self.retain && receiver.retain_as_published,
            identifiers: receiver.identifiers.clone(),
        })
    }
}

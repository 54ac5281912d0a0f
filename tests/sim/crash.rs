//! A crash, as the model has it: what clients were told must be in the store, what is in the store
//! must have been so, and what neither decides is as the store has it from now on.

use std::collections::{BTreeMap, BTreeSet};

use mqttd::broker::{Class, Mid, Sid};
use mqttd::codec::QoS;

use crate::disk::Crash;
use crate::history::History;
use crate::model::{
    Due, LARGE_BYTES, Message, Model, Out, Past, Session, SharedDue, Subscription, is_honest,
};
use crate::survey::{Recipient, Stored, Survey, Waits};

/// What the store has for one session, in the order of its messages.
type Share<'s> = Vec<(&'s Waits, &'s Recipient)>;

impl Model {
    /// The broker is gone, and this is what the store holds; the time is that of the new beginning.
    pub(crate) fn crashed(&mut self, survey: &Survey, how: Crash) {
        self.began_ms = self.now.ticks_ms;
        self.connections.clear();
        // As it was known: one that was published again looks like the first, which may be there.
        let retained = self.retained_log.values().flatten().copied();
        let sure = retained.filter(|number| self.outlives(&self.messages[*number], how)).collect();
        let mut lost = std::mem::take(&mut self.sessions);
        let mut ghosts = std::mem::take(&mut self.ghosts);
        let mut found: Vec<(Session, Sid)> = Vec::new();
        for (sid, stored) in &survey.sessions {
            if !is_name(&stored.client_id) {
                continue;
            }
            let same = |session: &Session| {
                session.client_id == stored.client_id
                    && session.created_unix_ms == stored.created_unix_ms
            };
            let known = take_first(&mut lost, same).or_else(|| take_first(&mut ghosts, same));
            let session = known.unwrap_or_else(|| panic!("nobody began {stored:?}"));
            let newest = self.newest_told.get(&session.client_id).copied().unwrap_or(0);
            assert!(newest <= session.created_unix_ms, "{} began anew", session.client_id);
            found.push((session, *sid));
        }
        for session in &lost {
            let mut possible = session.past.expiry_secs.possible(session.told);
            assert!(
                possible.any(|secs| *secs == 0),
                "the session of {} is lost",
                session.client_id
            );
        }
        self.tally.sessions_restored += found.len() as u64;
        for (session, sid) in &found {
            self.judge_received(session, &survey.sessions[sid], survey);
        }
        for (mut session, sid) in found {
            let stored = &survey.sessions[&sid];
            self.judge_state(&mut session, stored);
            self.judge_messages(&mut session, stored, survey, (sid, how));
            self.sessions.push(session);
        }
        self.judge_groups(survey, how);
        self.mistakable.clear();
        // What was found is safe, if it is known which of those that look the same it was.
        for number in std::mem::take(&mut self.found) {
            let same = |other: &&Message| same_content(other, &self.messages[number]);
            if self.messages.iter().filter(same).count() == 1 {
                self.messages[number].told = true;
            }
        }
        self.judge_retained(survey, &sure);
    }

    /// Whether a message that was acknowledged outlives this.
    fn outlives(&self, message: &Message, how: Crash) -> bool {
        message.told
            && match self.limits.durability.class(&message.topic) {
                Class::Disk => true,
                Class::Os => how == Crash::Kill,
                Class::Memory => false,
            }
    }

    /// QoS 2 on its way here: what was told, and the identifier and its message together or neither.
    fn judge_received(&mut self, session: &Session, stored: &Stored, survey: &Survey) {
        let who = &session.client_id;
        for &(packet_id, number) in &session.received {
            let message = &mut self.messages[number];
            if stored.received.contains(&packet_id) {
                message.told = true;
                continue;
            }
            assert!(!message.told, "{who}: {packet_id} was received, {message:?}");
            let is_there = |waits: &Waits| waits.is_of(message);
            let alone = !message.payload.is_empty() && survey.messages.iter().any(is_there);
            assert!(!alone, "{who}: {message:?} is there, and not that it came");
        }
        for packet_id in &stored.received {
            let known = session.received.iter().any(|(known, _)| known == packet_id);
            let may = known || session.releasing.iter().any(|(known, _)| known == packet_id);
            assert!(may, "{who}: {packet_id} was released");
        }
    }

    /// All but its messages.
    fn judge_state(&mut self, session: &mut Session, stored: &Stored) {
        let (who, told, past) = (&session.client_id, session.told, &session.past);
        let secs = stored.expiry_secs;
        assert!(past.expiry_secs.possible(told).any(|one| *one == secs), "{who} expires in {secs}");
        let offset_ms = self.now.unix_ms - self.now.ticks_ms;
        let away_ms = stored.away_unix_ms.map(|unix_ms| unix_ms - offset_ms);
        let is_possible = past.away_since_ms.possible(told).any(|one| *one == away_ms);
        // When somebody left to whom time does nothing is noted when it suits.
        let is_timeless = secs == u32::MAX && stored.will.is_none();
        let is_possible = is_possible || is_timeless;
        assert!(is_possible, "{who} left at {away_ms:?}, was told {told}: {past:?}");
        let same = |will: &&Option<crate::model::Will>| {
            will.as_ref().map(|will| &will.message.payload) == stored.will.as_ref()
        };
        let will = past.will.possible(told).find(same).cloned();
        let will = will.unwrap_or_else(|| panic!("{who}: {:?} of {:?}", stored.will, past.will));
        let mut subscriptions = Vec::new();
        let filters = past.subscriptions.keys().chain(stored.subscriptions.keys());
        for filter in filters.collect::<BTreeSet<_>>() {
            let found = stored.subscriptions.get(filter).map(|found| Subscription {
                filter: filter.clone(),
                options: found.options,
                identifier: found.identifier,
            });
            let none = History::new(None);
            let mut possible = past.subscriptions.get(filter).unwrap_or(&none).possible(told);
            let is_possible = possible.any(|one| *one == found);
            assert!(is_possible, "{who}: {found:?} of {:?}", past.subscriptions.get(filter));
            subscriptions.extend(found);
        }
        session.line = None;
        session.expiry_secs = secs;
        session.away_since_ms = away_ms.unwrap_or(self.now.ticks_ms);
        session.will = will;
        session.subscriptions = subscriptions;
        session.received.retain(|(packet_id, _)| stored.received.contains(packet_id));
        // What was about to be released is received still.
        let back = std::mem::take(&mut session.releasing).into_iter();
        session.received.extend(back.filter(|(packet_id, _)| stored.received.contains(packet_id)));
        session.dropped = 0;
        self.op += 1;
        session.told = self.op;
        self.op += 1;
        session.past = Past::begin(session, away_ms, self.op);
    }

    /// What is on its way to its client.
    fn judge_messages(
        &mut self,
        session: &mut Session,
        stored: &Stored,
        survey: &Survey,
        (sid, how): (Sid, Crash),
    ) {
        let who = session.client_id.clone();
        let waiting = survey.share_of(sid);
        self.judge_sent(session, stored, survey);
        let (mut own, mut out) = (Vec::new(), Vec::new());
        let mut pool = std::mem::take(&mut session.dues);
        let old_out = std::mem::take(&mut session.out);
        let must_out = old_out.into_iter().filter_map(|out| out.due);
        pool.extend(must_out);
        let must = pool.len();
        pool.append(&mut session.acknowledged);
        self.mistakable.extend(pool.iter().filter(|due| due.shared).map(|due| due.message));
        let mut taken = vec![false; pool.len()];
        let mut found: BTreeMap<Mid, Option<Due>> = BTreeMap::new();
        for (waits, recipient) in waiting {
            // Of what is released only the identifier is left.
            let is_released = stored.sent.get(&waits.mid).is_some_and(|(_, released)| *released);
            if is_released || !is_honest(&waits.topic, &waits.payload) {
                found.insert(waits.mid, None);
                continue;
            }
            let fits = |at: &usize| !taken[*at] && self.fits(&pool[*at], waits, recipient);
            // Of messages that look the same it is the one that must be there.
            let is_told = |at: &usize| self.messages[pool[*at].message].told;
            let told = (0..must).filter(is_told).find(fits);
            let at = told.or_else(|| (0..pool.len()).find(fits));
            if recipient.share.is_some() && !stored.sent.contains_key(&waits.mid) {
                continue;
            }
            let due = match at {
                Some(at) => {
                    taken[at] = true;
                    Some(pool[at].clone())
                }
                None if recipient.share.is_some() => {
                    self.shared_due(session.serial, waits, recipient)
                }
                None => None,
            };
            let due = due.unwrap_or_else(|| panic!("{who}: nobody owes {waits:?}; {pool:?}"));
            self.found.push(due.message);
            if !stored.sent.contains_key(&waits.mid) {
                own.push(due.clone());
            }
            found.insert(waits.mid, Some(due));
        }
        for (mid, &(packet_id, released)) in &stored.sent {
            let due = found.remove(mid);
            if due.is_some() || released {
                let due = due.flatten().filter(|_| !released);
                let qos = QoS::ExactlyOnce;
                let (release_told, lasts) = (false, true);
                out.push(Out { packet_id, released, release_told, lasts, qos, due });
            }
        }
        for (due, _) in pool[..must].iter().zip(&taken).filter(|(_, taken)| !**taken) {
            self.may_be_gone(session, due, how);
        }
        (session.dues, session.out) = (own, out);
    }

    /// QoS 2 messages under way keep their identifiers.
    fn judge_sent(&self, session: &Session, stored: &Stored, survey: &Survey) {
        let who = &session.client_id;
        for out in session.out.iter().filter(|out| out.qos == QoS::ExactlyOnce) {
            let found = stored.sent.iter().find(|(_, (packet_id, _))| *packet_id == out.packet_id);
            match found {
                None => assert!(!out.lasts, "{who}: {out:?} is not there"),
                Some((mid, (_, true))) => {
                    assert!(out.released, "{who}: {out:?} {mid} was released")
                }
                Some((mid, (_, false))) => {
                    assert!(!out.release_told, "{who}: {out:?} {mid} was not released");
                    if let Some(due) = &out.due {
                        let same = survey.messages.iter().find(|waits| waits.mid == *mid);
                        let same = same.is_some_and(|it| it.is_of(&self.messages[due.message]));
                        assert!(same, "{who}: {out:?} is another message");
                    }
                }
            }
        }
    }

    fn fits(&self, due: &Due, waits: &Waits, recipient: &Recipient) -> bool {
        waits.is_of(&self.messages[due.message])
            && (due.qos, due.retain) == (recipient.qos, recipient.retain)
            && due.identifiers == recipient.identifiers
    }

    /// A delivery by a group, of which the session is or was.
    fn shared_due(&self, serial: usize, waits: &Waits, recipient: &Recipient) -> Option<Due> {
        let mut all = self.shared.iter().flat_map(|group| &group.candidates);
        let fits =
            |(known, due): &&(usize, Due)| *known == serial && self.fits(due, waits, recipient);
        all.find(fits).map(|(_, due)| due.clone())
    }

    fn may_be_gone(&self, session: &Session, due: &Due, how: Crash) {
        let message = &self.messages[due.message];
        let excused = self.tight
            || !due.lasts
            || due.optional
            || due.shared
            || !message.is_live(self.now.ticks_ms)
            || session.small && message.payload.len() > LARGE_BYTES
            || !self.outlives(message, how);
        assert!(excused, "{}: {message:?} is lost, {due:?}", session.client_id);
    }

    /// What waits for one of a group.
    fn judge_groups(&mut self, survey: &Survey, how: Crash) {
        let serials: BTreeMap<Sid, usize> = (survey.sessions.iter())
            .filter_map(|(sid, stored)| {
                let same = |session: &&Session| {
                    session.client_id == stored.client_id && is_name(&stored.client_id)
                };
                Some((*sid, self.sessions.iter().find(same)?.serial))
            })
            .collect();
        let mut old = std::mem::take(&mut self.shared);
        let mut new: Vec<SharedDue> = Vec::new();
        for (waits, recipient) in survey.all() {
            let (Some(text), Some(&serial)) = (&recipient.share, serials.get(&recipient.sid))
            else {
                continue;
            };
            let stored = &survey.sessions[&recipient.sid];
            if !is_honest(&waits.topic, &waits.payload) {
                continue;
            }
            let fits = |group: &SharedDue| {
                text == &format!("$share/{}/{}", group.share, group.filter)
                    && group.candidates.iter().any(|(_, due)| self.fits(due, waits, recipient))
            };
            let at = old.iter().position(|group| fits(group) && group.taken.is_none());
            let at = at.or_else(|| old.iter().position(fits));
            // What was sent with QoS 2 stays where it is.
            let stays = stored.sent.contains_key(&waits.mid);
            let Some(at) = at else {
                assert!(stays, "nobody owes {waits:?} to {serial}");
                continue;
            };
            let mut group = old.remove(at);
            if stays {
                continue;
            }
            group.taken = None;
            new.push(group);
        }
        for (at, group) in old.iter().enumerate() {
            let message = &self.messages[group.candidates[0].1.message];
            let is_there = |(serial, due): &(usize, Due)| {
                due.lasts && serials.values().any(|known| known == serial)
            };
            let excused = self.tight
                || group.taken.is_some()
                || group.optional
                || message.payload.is_empty()
                || old
                    .iter()
                    .enumerate()
                    .any(|(other, it)| other != at && self.is_like(it, message))
                || self.mistakable.iter().any(|&it| same_content(&self.messages[it], message))
                || !message.is_live(self.now.ticks_ms)
                || !group.candidates.iter().all(is_there)
                || !self.outlives(message, how);
            assert!(excused, "{message:?} is lost, {group:?}");
        }
        for group in &mut new {
            group.candidates.retain(|(serial, _)| serials.values().any(|known| known == serial));
        }
        new.retain(|group| !group.candidates.is_empty());
        self.shared = new;
    }

    /// Which of them was meant cannot be seen.
    fn is_like(&self, group: &SharedDue, message: &Message) -> bool {
        same_content(&self.messages[group.candidates[0].1.message], message)
    }

    /// What is retained is the last that was acknowledged, or came later.
    fn judge_retained(&mut self, survey: &Survey, sure: &BTreeSet<usize>) {
        let now_ms = self.now.ticks_ms;
        let mut retained = Vec::new();
        let log = std::mem::take(&mut self.retained_log);
        let unknown = survey.retained.iter().filter(|(topic, _)| !log.contains_key(*topic));
        for (topic, payload) in unknown {
            assert!(!is_honest(topic, payload), "{topic} has a retained message");
        }
        for (topic, numbers) in log {
            let known = numbers.iter().rposition(|number| sure.contains(number));
            let later = &numbers[known.unwrap_or(0)..];
            let found = survey.retained.get(&topic);
            let is_it = |number: &&usize| Some(&self.messages[**number].payload) == found;
            let number = later.iter().rev().find(is_it).copied();
            let number = number.or_else(|| {
                self.tight.then(|| numbers.iter().rev().find(is_it).copied()).flatten()
            });
            let gone = |number: &usize| {
                let message = &self.messages[*number];
                message.payload.is_empty() || !message.is_live(now_ms)
            };
            match (found, number) {
                (None, _) => {
                    let may = known.is_none() || later.iter().any(gone) || self.tight;
                    assert!(may, "nothing is retained of {topic}: {later:?}");
                }
                (Some(_), Some(number)) => {
                    if self.messages[number].is_live(now_ms) {
                        retained.push(number);
                    }
                    self.messages[number].told = true;
                    self.retained_log.insert(topic, vec![number]);
                }
                (Some(found), None) => panic!("{topic} has {found:?}, an older one than {later:?}"),
            }
        }
        retained.sort_unstable();
        self.retained = retained;
    }
}

impl Survey {
    fn all(&self) -> impl Iterator<Item = (&Waits, &Recipient)> {
        let of = |waits: &'_ Waits| waits.recipients.len();
        self.messages
            .iter()
            .filter(move |waits| of(waits) > 0)
            .flat_map(|waits| waits.recipients.iter().map(move |recipient| (waits, recipient)))
    }

    fn share_of(&self, sid: Sid) -> Share<'_> {
        self.all().filter(|(_, recipient)| recipient.sid == sid).collect()
    }
}

impl Waits {
    fn is_of(&self, message: &Message) -> bool {
        self.payload == message.payload && self.topic == message.topic
    }
}

impl Past {
    /// What is in the store is known to all; but that who was connected is away is new.
    fn begin(session: &Session, away_ms: Option<u64>, op: u64) -> Self {
        let mut away_since_ms = History::new(away_ms);
        away_since_ms.note(op, Some(session.away_since_ms));
        let known = |one: &Subscription| (one.filter.clone(), History::new(Some(one.clone())));
        Self {
            expiry_secs: History::new(session.expiry_secs),
            will: History::new(session.will.clone()),
            away_since_ms,
            subscriptions: session.subscriptions.iter().map(known).collect(),
        }
    }
}

fn same_content(one: &Message, other: &Message) -> bool {
    (&one.topic, &one.payload) == (&other.topic, &other.payload)
}

/// The name of an honest client.
fn is_name(client_id: &str) -> bool {
    let number = client_id.strip_prefix('h').filter(|number| !number.is_empty());
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        || client_id.starts_with("assigned-")
}

fn take_first<T>(all: &mut Vec<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
    all.iter().position(wanted).map(|at| all.remove(at))
}

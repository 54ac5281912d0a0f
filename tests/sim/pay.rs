//! Each PUBLISH of the broker pays a due: of the session, or of a group it is in.

use std::collections::BTreeSet;

use mqttd::broker::Class;
use mqttd::codec::{Publish, QoS, Version};

use crate::model::{Due, LARGE_BYTES, Message, Model, Session, SharedDue, is_honest, passed_on};

/// A PUBLISH as the broker says it.
struct Said<'a> {
    publish: &'a Publish<'a>,
    topic: &'a str,
    version: Version,
    identifiers: Vec<u32>,
    properties: Vec<String>,
    expires: bool,
    /// Which connection of its session.
    number: usize,
}

impl Said<'_> {
    fn is_of(&self, message: &Message) -> bool {
        message.payload == self.publish.payload && message.topic == self.topic
    }

    fn pays(&self, due: &Due, messages: &[Message]) -> bool {
        let (message, publish) = (&messages[due.message], self.publish);
        let five = self.version == Version::V5;
        self.is_of(message)
            && (due.qos, due.retain) == (publish.qos, publish.retain)
            // DUP is possible only for what an earlier connection may have heard.
            && (!publish.dup || due.born < self.number)
            && (!five || due.identifiers == self.identifiers)
            && (!five || message.properties == self.properties)
            && (!five || message.expiry_secs.is_some() == self.expires)
    }

    /// The due of a session that this pays.
    fn find(
        &self,
        session: &Session,
        messages: &[Message],
        live: &dyn Fn(&Due) -> bool,
    ) -> Option<usize> {
        let (dues, connections) = (&session.dues, session.connections);
        // QoS 0 is lost with its connection: what was published since then is likelier.
        let current =
            |due: &Due| due.qos != QoS::AtMostOnce || due.born == connections && !due.chancy;
        let pays = |due: &Due| live(due) && self.pays(due, messages);
        let new = dues.iter().position(|due| pays(due) && current(due));
        new.or_else(|| dues.iter().position(pays))
    }

    /// The time left of a message is true, and there is some.
    fn in_time(&self, message: &Message, now_ms: u64, moments: &BTreeSet<u64>) -> bool {
        let publish = self.publish;
        let left_secs = publish.properties.message_expiry_interval();
        let (Some(left), Some(whole), Some(at_ms)) =
            (left_secs, message.expiry_secs, message.expires_ms)
        else {
            return self.version != Version::V5 || left_secs == message.expiry_secs;
        };
        let least = at_ms.saturating_sub(now_ms);
        let some = left > 0 || whole == 0 || moments.contains(&at_ms);
        left <= whole && u64::from(left) * 1000 >= least && (some || publish.dup)
    }
}

impl Model {
    /// Finds what was due, and takes it off; nothing for a message of a dishonest client.
    pub(crate) fn pay(&mut self, line: usize, publish: &Publish<'_>, topic: &str) -> Option<Due> {
        if !is_honest(topic, publish.payload) {
            self.tally.noise += 1;
            return None;
        }
        let connection = self.connection(line);
        let (serial, version, number) = (connection.session, connection.version, connection.number);
        let mut identifiers: Vec<u32> = publish.properties.subscription_identifiers().collect();
        identifiers.sort_unstable();
        self.tally.several_identifiers += u64::from(identifiers.len() > 1);
        let properties = passed_on(publish.properties);
        let expires = publish.properties.message_expiry_interval().is_some();
        let said = Said { publish, topic, version, identifiers, properties, expires, number };
        // What has expired may have been said just in time, but what has not is likelier.
        let due = self.pay_own(line, serial, &said, false);
        let due = due.or_else(|| self.pay_shared(serial, &said, false));
        let due = due.or_else(|| self.pay_own(line, serial, &said, true));
        let due = due.or_else(|| self.pay_shared(serial, &said, true));
        let due = due.unwrap_or_else(|| self.nobody_owes(line, &said));
        // Of messages that look the same one must fit.
        let alike = self.messages.iter().filter(|message| said.is_of(message));
        let in_time = |message: &Message| said.in_time(message, self.now.ticks_ms, &self.moments);
        assert!(alike.into_iter().any(in_time), "the time left is wrong: {publish:?}");
        Some(due)
    }

    fn pay_own(
        &mut self,
        line: usize,
        serial: usize,
        said: &Said<'_>,
        expired: bool,
    ) -> Option<Due> {
        let (messages, now_ms) = (&self.messages, self.now.ticks_ms);
        let session = self.sessions.iter_mut().find(|session| session.serial == serial)?;
        let live = |due: &Due| expired || messages[due.message].is_live(now_ms);
        let at = said.find(session, messages, &live)?;
        let mut due = session.dues.remove(at);
        // What is said for it may as well have been meant for one of a group.
        due.shared = self.shared.iter().any(|group| {
            let mut candidates = group.candidates.iter();
            candidates.any(|(known, other)| {
                let same_message = said.is_of(&messages[other.message]);
                *known == serial && same_message && other.same_terms(&due)
            })
        });
        let class = |topic: &str| self.limits.durability.class(topic);
        let before = &session.dues[..at];
        let overtaken = overtaken(before, &due, session.connections, messages, now_ms, class);
        if let (Some(&earlier), false) = (overtaken.first(), self.tight) {
            let (first, second) = (&session.dues[earlier], &messages[due.message]);
            panic!("line {line}: {second:?} came before {:?}", messages[first.message]);
        }
        // With tight limits it was dropped: it must be counted, and never come.
        for earlier in overtaken.into_iter().rev() {
            let dropped = session.dues.remove(earlier);
            session.dropped += u64::from(!dropped.optional);
            session.acknowledged.push(dropped);
        }
        Some(due)
    }

    fn pay_shared(&mut self, serial: usize, said: &Said<'_>, expired: bool) -> Option<Due> {
        let messages = &self.messages;
        let of_message =
            |group: &&mut SharedDue| said.is_of(&messages[group.candidates[0].1.message]);
        let mut groups: Vec<&mut SharedDue> = self.shared.iter_mut().filter(of_message).collect();
        let mut seen = vec![false; groups.len()];
        let now_ms = self.now.ticks_ms;
        let pays = |due: &Due| {
            (expired || messages[due.message].is_live(now_ms)) && said.pays(due, messages)
        };
        let due = take(&mut groups, &mut seen, serial, &pays);
        self.tally.shared += u64::from(due.is_some());
        due
    }

    fn nobody_owes(&self, line: usize, said: &Said<'_>) -> ! {
        let near = |due: &&Due| said.is_of(&self.messages[due.message]);
        let dues: Vec<&Due> =
            self.sessions.iter().flat_map(|session| &session.dues).filter(near).collect();
        let groups = self.shared.iter().filter(|group| near(&&group.candidates[0].1));
        let groups: Vec<&SharedDue> = groups.collect();
        panic!("line {line}: nobody owes {:?}; near it: {dues:?} {groups:?}", said.publish);
    }
}

/// Messages of one publisher and QoS come in the order they were published: those before `due` that
/// should have come first.
fn overtaken(
    before: &[Due],
    due: &Due,
    connection: usize,
    messages: &[Message],
    now_ms: u64,
    class: impl Fn(&str) -> Class,
) -> Vec<usize> {
    let message = &messages[due.message];
    let should = |earlier: &Due| {
        let other = &messages[earlier.message];
        let excused = due.any_order
            || due.shared
            || earlier.any_order
            || other.payload.len() > LARGE_BYTES
            || other.expires_ms.is_some_and(|at_ms| at_ms <= now_ms)
            || due.qos == QoS::AtMostOnce && (earlier.born != due.born || due.born != connection);
        // The standard knows an order of each topic; here all topics have one, if they last alike.
        let alike = class(&other.topic) == class(&message.topic);
        !excused && earlier.qos == due.qos && other.from == message.from && alike
    };
    (0..before.len()).filter(|at| should(&before[*at])).collect()
}

/// Finds a group for a session that got a message meant for one of several. Where one message went
/// through several groups, who got it through which cannot be seen: another may have to move.
fn take(
    groups: &mut [&mut SharedDue],
    seen: &mut [bool],
    serial: usize,
    pays: &dyn Fn(&Due) -> bool,
) -> Option<Due> {
    for at in 0..groups.len() {
        let mut candidates = groups[at].candidates.iter();
        let candidate = candidates.find(|(known, due)| *known == serial && pays(due));
        let Some((_, due)) = candidate.cloned() else { continue };
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        if let Some((other, had)) = groups[at].taken.clone() {
            let same = |due: &Due| due.same_terms(&had);
            if take(groups, seen, other, &same).is_none() {
                continue;
            }
        }
        groups[at].taken = Some((serial, due.clone()));
        return Some(due);
    }
    None
}

//! Shared Subscriptions, as the model has them: each message is due to one of a group.
//!
//! Which one is the broker's choice, and when a member leaves it may choose again. So whoever was
//! in the group since the message was published is a candidate, and what was on its way to one
//! whose connection ended may come to another.

use mqttd::codec::QoS;

use crate::model::{Due, LARGE_BYTES, Message, Model, Out, SharedDue, due};
use crate::naive;

impl Model {
    pub(crate) fn publish_shared(
        &mut self,
        number: usize,
        message: &Message,
        retain: bool,
    ) -> bool {
        let mut groups: Vec<SharedDue> = Vec::new();
        for session in &self.sessions {
            for one in &session.subscriptions {
                let (Some(share), filter) = naive::share(&one.filter) else { continue };
                if !naive::matches(filter, &message.topic) {
                    continue;
                }
                let Some(due) = due(number, message, retain, &[one], session) else { continue };
                // QoS 0 may be lost with any connection, and a large message at any small client.
                let optional = due.qos == QoS::AtMostOnce || message.payload.len() > LARGE_BYTES;
                let candidate = (session.serial, Due { shared: true, ..due });
                match groups.iter_mut().find(|one| one.share == share && one.filter == filter) {
                    Some(group) => {
                        group.candidates.push(candidate);
                        group.optional |= optional;
                    }
                    None => groups.push(SharedDue {
                        share: share.to_owned(),
                        filter: filter.to_owned(),
                        retain,
                        candidates: vec![candidate],
                        taken: None,
                        optional,
                    }),
                }
            }
        }
        let any = !groups.is_empty();
        self.shared.extend(groups);
        any
    }

    /// A session subscribed: from now on it may get what the group has not got yet.
    pub(crate) fn joined(&mut self, line: usize, subscribed: &str) {
        let (Some(share), filter) = naive::share(subscribed) else { return };
        let serial = self.connection(line).session;
        let session = self.sessions.iter().find(|session| session.serial == serial);
        let Some(session) = session else { return };
        let subscription = session.subscriptions.iter().find(|one| one.filter == subscribed);
        let Some(subscription) = subscription else { return };
        for group in &mut self.shared {
            if group.share == share && group.filter == filter {
                let number = group.candidates[0].1.message;
                let message = &self.messages[number];
                if let Some(due) = due(number, message, group.retain, &[subscription], session) {
                    group.optional |= due.qos == QoS::AtMostOnce;
                    group.candidates.push((serial, Due { shared: true, ..due }));
                }
            }
        }
    }

    /// A member left a group, or all: what waits for it may go to another, or nowhere.
    pub(crate) fn left(&mut self, serial: usize, of: Option<(&str, &str)>) {
        let same = |group: &SharedDue| {
            let same = |(share, filter)| group.share == share && group.filter == filter;
            let member = group.candidates.iter().any(|(session, _)| *session == serial);
            of.is_none_or(same) && member
        };
        self.shared.iter_mut().filter(|group| same(group)).for_each(|group| group.optional = true);
    }

    /// The connection of a member ended: what was on its way to it may go to another, but for QoS 2.
    pub(crate) fn interrupted(&mut self, serial: usize) {
        let session = self.sessions.iter().find(|session| session.serial == serial);
        let Some(session) = session else { return };
        let may_go = |out: &&Out| out.qos == QoS::AtLeastOnce && !out.released;
        let on_the_way: Vec<Due> =
            session.out.iter().filter(may_go).filter_map(|out| out.due.clone()).collect();
        // Messages that look the same cannot be told from each other.
        let content = |due: &Due| {
            let message = &self.messages[due.message];
            (&message.topic, &message.payload)
        };
        let may_come_again = |group: &&SharedDue| {
            let of = group.candidates.iter().find(|(known, _)| *known == serial);
            let sent = |due: &Due| {
                due.shared && of.is_some_and(|(_, known)| content(known) == content(due))
            };
            on_the_way.iter().any(sent)
        };
        let again: Vec<SharedDue> = self
            .shared
            .iter()
            .filter(may_come_again)
            .map(|group| SharedDue {
                share: group.share.clone(),
                filter: group.filter.clone(),
                retain: group.retain,
                candidates: group.candidates.clone(),
                taken: None,
                optional: true,
            })
            .collect();
        self.shared.extend(again);
    }
}

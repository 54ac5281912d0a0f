//! Lines of an export, taken into the running broker.
//!
//! What is there already is left alone or, if the caller wants that, ended and replaced. Messages go
//! to sessions by Client Identifier: to those of the same file, and else to those that are there.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{AnswerBy, Argument, Arguments, Call, Kind, Noun, Permission, Takes, Taking};
use super::exchange::{
    Entry, EntryError, MessageEntry, RecipientEntry, RetainedEntry, SessionEntry, Totals,
};
use super::{Admin, Problem};
use crate::broker::{
    AdoptedMessage, AdoptedRecipient, AdoptedSession, AdoptedWill, Adoptee, SessionState, Storing,
    Unadopted,
};
use crate::codec::{PropertiesBuf, QoS, RetainHandling, SubscriptionOptions, Version};
use crate::server::Server;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "import",
    doc: "Lines of an export, taken in",
    calls: &[Call {
        name: "import",
        doc: "Take in lines of an export",
        examples: &["import everything.jsonl", "import everything.jsonl --replace"],
        arguments: &[Argument::option(
            "replace",
            Kind::Flag,
            "Take the place of what is there, which is left alone otherwise",
        )],
        permission: Permission::Operate,
        answer: AnswerBy::Takes(import),
    }],
};

/// How long the disk may take in the end.
const FLUSH_LIMIT: Duration = Duration::from_secs(240);

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// What was taken in.
    pub taken: Totals,
    /// What was left alone, as it is there already or its session was left alone or is not there.
    pub left_alone: Totals,
    /// What had expired, and was left out.
    pub expired: Totals,
}

/// Takes lines in.
struct Import {
    server: Server,
    replace: bool,
    /// Sessions that messages go to; `None` for those that were left alone or are not there.
    adoptees: HashMap<String, Option<Adoptee>>,
    imported: Imported,
    lines: u64,
}

fn import(admin: &Admin, arguments: &Arguments) -> Result<Taking, Problem> {
    Ok(Box::new(Import {
        server: admin.server.clone(),
        replace: arguments.flag("replace"),
        adoptees: HashMap::new(),
        imported: Imported::default(),
        lines: 0,
    }))
}

impl Takes for Import {
    fn take(&mut self, line: &[u8]) -> Result<(), Problem> {
        self.lines += 1;
        let entry = Entry::read(line).map_err(|error| self.unreadable(&error))?;
        match &entry {
            Entry::Export(_) | Entry::End(_) => Ok(()),
            Entry::Retained(retained) => self.retained(retained, &entry),
            Entry::Session(session) => self.session(session, &entry),
            Entry::Message(message) => self.message(message, &entry),
        }
    }

    fn finish(self: Box<Self>) -> Result<Value, Problem> {
        self.server.flush(FLUSH_LIMIT);
        match self.server.store_view().state {
            Storing::Off | Storing::Well => Ok(json!(self.imported)),
            Storing::Full | Storing::Failed => Err(Problem::new(
                "store_failed",
                "all of it was taken in, and could not be written to the disk yet",
            )
            .hint("mqttd status says why; it is written as soon as the store works again")),
        }
    }
}

impl Import {
    fn unreadable(&self, error: &EntryError) -> Problem {
        Problem::new("bad_entry", format!("line {}: {error}", self.lines))
    }

    /// The time, in milliseconds since 1970.
    fn unix_ms(&self) -> u64 {
        self.server.ask(0, |_, now| now.unix_ms)
    }

    fn retained(&mut self, retained: &RetainedEntry, entry: &Entry) -> Result<(), Problem> {
        let now = self.server.ask(0, |_, now| now);
        if retained.expires_unix_ms.is_some_and(|at_ms| at_ms <= now.unix_ms) {
            self.imported.expired.count(entry);
            return Ok(());
        }
        let mut there = self.server.commons().retained(&retained.topic, 1, now);
        if !self.replace && there.next().is_some() {
            self.imported.left_alone.count(entry);
            return Ok(());
        }
        let properties = retained.properties.encoded();
        let message = AdoptedMessage {
            topic: &retained.topic,
            properties: properties.as_properties(),
            payload: &retained.payload.0,
            qos: qos(retained.qos),
            retain: true,
            accepted_unix_ms: retained.stored_unix_ms.unwrap_or(now.unix_ms),
            expires_unix_ms: retained.expires_unix_ms,
        };
        if self.server.ask(0, |shard, now| shard.adopt_retained(&message, now)) {
            self.imported.taken.count(entry);
            return Ok(());
        }
        Err(Problem::new(
            "no_room",
            format!("line {}: there is no room for another retained message", self.lines),
        )
        .hint("[limits] retained_messages_max and memory_bytes_max; what was taken in stays"))
    }

    fn session(&mut self, session: &SessionEntry, entry: &Entry) -> Result<(), Problem> {
        let (client_id, home) = (&session.client_id, self.server.home(&session.client_id));
        let unix_ms = self.unix_ms();
        let ended_ms = session
            .disconnected_unix_ms
            .filter(|_| session.expiry_interval_secs != u32::MAX)
            .map(|since_ms| since_ms + u64::from(session.expiry_interval_secs) * 1000);
        if ended_ms.is_some_and(|ended_ms| ended_ms <= unix_ms) {
            self.adoptees.insert(client_id.clone(), None);
            self.imported.expired.count(entry);
            return Ok(());
        }
        let will_properties =
            session.will.as_ref().map(|will| will.properties.encoded()).unwrap_or_default();
        let adopted = adopted(session, &will_properties, unix_ms);
        let replace = self.replace;
        let (outcome, adoptee) = self.server.ask(home, |shard, now| {
            let mut outcome = shard.adopt_session(&adopted, now);
            if outcome == Err(Unadopted::Exists) && replace {
                shard.delete_session(client_id, now);
                outcome = shard.adopt_session(&adopted, now);
            }
            (outcome, shard.adoptee(client_id))
        });
        match outcome {
            Ok(()) => {
                self.adoptees.insert(client_id.clone(), adoptee);
                self.imported.taken.count(entry);
                Ok(())
            }
            Err(Unadopted::Exists) => {
                self.adoptees.insert(client_id.clone(), None);
                self.imported.left_alone.count(entry);
                Ok(())
            }
            Err(error @ (Unadopted::SessionsFull | Unadopted::NothingKept)) => {
                let message = format!("line {}: {error}", self.lines);
                Err(Problem::new("no_room", message).hint("what was taken in stays"))
            }
        }
    }

    fn message(&mut self, message: &MessageEntry, entry: &Entry) -> Result<(), Problem> {
        let unix_ms = self.unix_ms();
        if message.expires_unix_ms.is_some_and(|at_ms| at_ms <= unix_ms) {
            self.imported.expired.count(entry);
            return Ok(());
        }
        let mut recipients = Vec::with_capacity(message.to.len());
        for recipient in &message.to {
            if let Some(to) = self.adoptee(&recipient.client_id) {
                recipients.push((adopted_recipient(recipient, to), recipient.packet_id));
            }
        }
        if recipients.is_empty() {
            self.imported.left_alone.count(entry);
            return Ok(());
        }
        let properties = message.properties.encoded();
        let adopted = AdoptedMessage {
            topic: &message.topic,
            properties: properties.as_properties(),
            payload: &message.payload.0,
            qos: qos(message.qos),
            retain: message.retain,
            accepted_unix_ms: message.accepted_unix_ms.unwrap_or(unix_ms),
            expires_unix_ms: message.expires_unix_ms,
        };
        if let [(recipient, Some(packet_id))] = recipients[..] {
            let home = usize::from(recipient.to.session.shard);
            let sent = |shard: &mut crate::broker::Shard, now| {
                shard.adopt_sent(&adopted, &recipient, packet_id, now)
            };
            if self.server.ask(home, sent) {
                self.imported.taken.count(entry);
                return Ok(());
            }
        }
        let recipients: Vec<_> = recipients.into_iter().map(|(recipient, _)| recipient).collect();
        let first = recipients.first().map_or(0, |recipient| recipient.to.session.shard);
        self.server.ask(usize::from(first), |shard, now| {
            shard.adopt_message(&adopted, &recipients, now);
        });
        self.imported.taken.count(entry);
        Ok(())
    }

    /// The session that messages for a client go to.
    fn adoptee(&mut self, client_id: &str) -> Option<Adoptee> {
        match self.adoptees.entry(client_id.to_owned()) {
            Place::Occupied(known) => *known.get(),
            Place::Vacant(unknown) => {
                let home = self.server.home(client_id);
                *unknown.insert(self.server.ask(home, |shard, _| shard.adoptee(client_id)))
            }
        }
    }
}

fn adopted<'a>(
    session: &'a SessionEntry,
    will_properties: &'a PropertiesBuf,
    unix_ms: u64,
) -> AdoptedSession<'a> {
    let version = match session.protocol.as_str() {
        "3.1" => Version::V31,
        "3.1.1" => Version::V311,
        _ => Version::V5,
    };
    let will = session.will.as_ref().map(|will| AdoptedWill {
        message: AdoptedMessage {
            topic: &will.topic,
            properties: will_properties.as_properties(),
            payload: &will.payload.0,
            qos: qos(will.qos),
            retain: will.retain,
            accepted_unix_ms: unix_ms,
            expires_unix_ms: None,
        },
        delay_secs: will.delay_secs,
        expiry_secs: will.expiry_secs,
    });
    let subscriptions = session.subscriptions.iter().map(|subscription| {
        let options = SubscriptionOptions {
            qos: qos(subscription.qos),
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            retain_handling: match subscription.retain_handling {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            },
        };
        (subscription.filter.as_str(), options, subscription.identifier)
    });
    AdoptedSession {
        state: SessionState {
            client_id: &session.client_id,
            username: session.username.as_deref(),
            version,
            expiry_interval_secs: session.expiry_interval_secs,
            created_unix_ms: session.created_unix_ms.unwrap_or(unix_ms),
            connected_unix_ms: session.connected_unix_ms.unwrap_or(unix_ms),
            disconnected_unix_ms: Some(session.disconnected_unix_ms.unwrap_or(unix_ms)),
            will: None,
        },
        will,
        subscriptions: subscriptions.collect(),
        awaiting_pubrel: &session.awaiting_pubrel,
        awaiting_pubcomp: &session.awaiting_pubcomp,
    }
}

fn adopted_recipient(recipient: &RecipientEntry, to: Adoptee) -> AdoptedRecipient<'_> {
    AdoptedRecipient {
        to,
        qos: qos(recipient.qos),
        retain: recipient.retain,
        share: recipient.share.as_deref(),
        identifiers: &recipient.identifiers,
    }
}

const fn qos(number: u8) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

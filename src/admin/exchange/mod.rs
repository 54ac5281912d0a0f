//! What is kept, as lines of JSON: for people, for other programs, and to move it.
//!
//! Each line is an [`Entry`]. The first is a [`Header`]; then come retained messages, then sessions,
//! then the messages that wait for them, oldest first; the last is [`Totals`], so that a file that
//! was cut short is noticed. A message stands once, however many sessions it waits for; only where it
//! was sent already with QoS 2 it stands by itself.
//!
//! The command writes and checks these lines, the broker takes them in (`admin/import`). Nothing here
//! reads a file or knows a session.

mod check;
mod octets;
mod properties;

use serde::{Deserialize, Serialize};

pub use check::EntryError;
pub use octets::Octets;
pub use properties::MessageProperties;

/// Version of the format; raised when an older program could misunderstand a line.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first line.
    Export(Header),
    /// A retained message.
    Retained(RetainedEntry),
    /// A session with its subscriptions.
    Session(SessionEntry),
    /// A message that waits.
    Message(MessageEntry),
    /// The last line.
    End(Totals),
}

/// Where an export comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the program that wrote it.
    pub mqttd: String,
    /// When it was written, milliseconds since 1970.
    pub unix_ms: u64,
}

/// How many lines of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Retained messages.
    pub retained: u64,
    /// Sessions.
    pub sessions: u64,
    /// Messages that wait.
    pub messages: u64,
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetainedEntry {
    /// Topic Name.
    pub topic: String,
    /// QoS it was published with.
    #[serde(default)]
    pub qos: u8,
    /// Payload; not empty.
    pub payload: Octets,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "MessageProperties::is_empty")]
    pub properties: MessageProperties,
    /// When it was stored, milliseconds since 1970; left out, that is the time of the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_unix_ms: Option<u64>,
    /// When it expires, milliseconds since 1970; left out for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_ms: Option<u64>,
}

/// A session with its subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEntry {
    /// Client Identifier.
    pub client_id: String,
    /// User Name of the last CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Protocol version of the last CONNECT: `3.1`, `3.1.1` or `5.0`.
    pub protocol: String,
    /// Session Expiry Interval, seconds; 4294967295 = never.
    pub expiry_interval_secs: u32,
    /// When it began, milliseconds since 1970; left out, that is the time of the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_unix_ms: Option<u64>,
    /// When the last connection began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_unix_ms: Option<u64>,
    /// When the last connection ended; left out where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnected_unix_ms: Option<u64>,
    /// The Will that may still be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub will: Option<WillEntry>,
    /// Subscriptions, in the order of their filters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<SubscriptionEntry>,
    /// Packet Identifiers of QoS 2 messages from the client that wait for PUBREL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaiting_pubrel: Vec<u16>,
    /// Packet Identifiers of QoS 2 messages to the client that wait for PUBCOMP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaiting_pubcomp: Vec<u16>,
}

/// A Will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WillEntry {
    /// Will Topic.
    pub topic: String,
    /// Will QoS.
    #[serde(default)]
    pub qos: u8,
    /// Will Retain.
    #[serde(default)]
    pub retain: bool,
    /// Will Payload.
    pub payload: Octets,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "MessageProperties::is_empty")]
    pub properties: MessageProperties,
    /// Will Delay Interval, seconds.
    #[serde(default)]
    pub delay_secs: u32,
    /// Message Expiry Interval, seconds; left out for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_secs: Option<u32>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionEntry {
    /// Topic Filter, `$share/…` included.
    pub filter: String,
    /// Maximum QoS.
    pub qos: u8,
    /// No Local.
    #[serde(default)]
    pub no_local: bool,
    /// Retain As Published.
    #[serde(default)]
    pub retain_as_published: bool,
    /// Retain Handling: 0, 1 or 2.
    #[serde(default)]
    pub retain_handling: u8,
    /// Subscription Identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<u32>,
}

/// A message that waits for sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageEntry {
    /// Topic Name.
    pub topic: String,
    /// QoS it was published with.
    pub qos: u8,
    /// RETAIN flag it was published with.
    #[serde(default)]
    pub retain: bool,
    /// Payload.
    pub payload: Octets,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "MessageProperties::is_empty")]
    pub properties: MessageProperties,
    /// When it was accepted, milliseconds since 1970; left out, that is the time of the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_unix_ms: Option<u64>,
    /// When it expires, milliseconds since 1970; left out for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_unix_ms: Option<u64>,
    /// Whom it waits for.
    pub to: Vec<RecipientEntry>,
}

/// A session that a message waits for, and how it gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientEntry {
    /// Client Identifier.
    pub client_id: String,
    /// The effective QoS: 1 or 2.
    pub qos: u8,
    /// The RETAIN flag it goes out with.
    #[serde(default)]
    pub retain: bool,
    /// The Shared Subscription it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Subscription Identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<u32>,
    /// Packet Identifier, where it was sent with QoS 2 and PUBREC has not come; then this is the
    /// only recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet_id: Option<u16>,
}

impl Header {
    /// Of an export that is written now by this program.
    #[must_use]
    pub fn new(unix_ms: u64) -> Self {
        Self { format: FORMAT, mqttd: env!("CARGO_PKG_VERSION").to_owned(), unix_ms }
    }
}

impl Totals {
    /// Counts a line.
    pub const fn count(&mut self, entry: &Entry) {
        match entry {
            Entry::Retained(_) => self.retained += 1,
            Entry::Session(_) => self.sessions += 1,
            Entry::Message(_) => self.messages += 1,
            Entry::Export(_) | Entry::End(_) => {}
        }
    }
}

impl Entry {
    /// Reads a line and checks that it can be taken in.
    ///
    /// # Errors
    /// It cannot.
    pub fn read(line: &[u8]) -> Result<Self, EntryError> {
        let entry: Self = serde_json::from_slice(line)?;
        entry.check()?;
        Ok(entry)
    }

    /// The line, newline included.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests;

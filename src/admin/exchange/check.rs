//! Whether a line can be taken in: everything MQTT asks of names, filters, texts and numbers.

use super::{
    Entry, FORMAT, MessageEntry, MessageProperties, RecipientEntry, RetainedEntry, SessionEntry,
    SubscriptionEntry, WillEntry,
};
use crate::codec::PACKET_BYTES_MAX;
use crate::topic::{TopicFilter, TopicFilterError, TopicName, TopicNameError};

/// Why a line cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// No JSON, or not of this shape.
    #[error("{}", plain(.0))]
    Json(#[from] serde_json::Error),
    /// Written by a newer version.
    #[error("it is of format {0}, which this version does not know (it knows {FORMAT})")]
    Format(u32),
    /// Not a Topic Name.
    #[error("{0:?} is no topic name: {1}")]
    Topic(String, TopicNameError),
    /// Not a Topic Filter.
    #[error("{0:?} is no topic filter: {1}")]
    Filter(String, TopicFilterError),
    /// A text that MQTT cannot carry.
    #[error("{0} is longer than 65535 bytes, or has a U+0000")]
    Text(&'static str),
    /// Data that MQTT cannot carry.
    #[error("{0} is longer than {1} bytes")]
    TooLong(&'static str, usize),
    /// A number out of its range.
    #[error("{0} is {1}, which is none of {2}")]
    Number(&'static str, u32, &'static str),
    /// Not a protocol version.
    #[error("protocol is {0:?}, which is none of 3.1, 3.1.1, 5.0")]
    Protocol(String),
    /// A message that was sent to one client waits for others in the same line.
    #[error("a recipient with a packet_id is to be the only one of its line")]
    Sent,
    /// Something that must be there.
    #[error("{0} is empty")]
    Empty(&'static str),
}

/// The words for what is no JSON, which quote it: without what could paint a terminal.
fn plain(error: &serde_json::Error) -> String {
    let escape = |letter: char| {
        let controls = letter.is_control().then(|| letter.escape_default());
        let plain = (!letter.is_control()).then_some(letter);
        controls.into_iter().flatten().chain(plain)
    };
    error.to_string().chars().flat_map(escape).collect()
}

/// Longest text or data of MQTT.
const FIELD_BYTES_MAX: usize = 65_535;

impl Entry {
    /// Whether it can be taken in.
    pub(super) fn check(&self) -> Result<(), EntryError> {
        match self {
            Self::Export(header) if header.format != FORMAT => {
                Err(EntryError::Format(header.format))
            }
            Self::Export(_) | Self::End(_) => Ok(()),
            Self::Retained(retained) => retained.check(),
            Self::Session(session) => session.check(),
            Self::Message(message) => message.check(),
        }
    }
}

impl RetainedEntry {
    fn check(&self) -> Result<(), EntryError> {
        topic(&self.topic)?;
        qos(self.qos)?;
        if self.payload.0.is_empty() {
            return Err(EntryError::Empty("the payload of a retained message"));
        }
        self.properties.check()?;
        payload(&self.payload.0)
    }
}

impl SessionEntry {
    fn check(&self) -> Result<(), EntryError> {
        client_id(&self.client_id)?;
        text("username", self.username.as_deref().unwrap_or_default())?;
        if !matches!(self.protocol.as_str(), "3.1" | "3.1.1" | "5.0") {
            return Err(EntryError::Protocol(self.protocol.clone()));
        }
        if self.expiry_interval_secs == 0 {
            return Err(EntryError::Number("expiry_interval_secs", 0, "1 to 4294967295"));
        }
        for subscription in &self.subscriptions {
            subscription.check()?;
        }
        let lists = [&self.awaiting_pubrel, &self.awaiting_pubcomp];
        lists.into_iter().flatten().copied().try_for_each(packet_id)?;
        self.will.as_ref().map_or(Ok(()), WillEntry::check)
    }
}

impl WillEntry {
    fn check(&self) -> Result<(), EntryError> {
        topic(&self.topic)?;
        qos(self.qos)?;
        self.properties.check()?;
        data("the payload of a will", &self.payload.0)
    }
}

impl SubscriptionEntry {
    fn check(&self) -> Result<(), EntryError> {
        filter(&self.filter)?;
        qos(self.qos)?;
        if self.retain_handling > 2 {
            let handling = u32::from(self.retain_handling);
            return Err(EntryError::Number("retain_handling", handling, "0, 1, 2"));
        }
        self.identifier.map_or(Ok(()), identifier)
    }
}

impl MessageEntry {
    fn check(&self) -> Result<(), EntryError> {
        topic(&self.topic)?;
        qos(self.qos)?;
        self.properties.check()?;
        payload(&self.payload.0)?;
        if self.to.is_empty() {
            return Err(EntryError::Empty("to"));
        }
        let is_sent = |recipient: &RecipientEntry| recipient.packet_id.is_some();
        if self.to.len() > 1 && self.to.iter().any(is_sent) {
            return Err(EntryError::Sent);
        }
        self.to.iter().try_for_each(RecipientEntry::check)
    }
}

impl RecipientEntry {
    fn check(&self) -> Result<(), EntryError> {
        client_id(&self.client_id)?;
        if !(1..=2).contains(&self.qos) {
            return Err(EntryError::Number("the qos of a recipient", self.qos.into(), "1, 2"));
        }
        self.share.as_deref().map_or(Ok(()), filter)?;
        self.identifiers.iter().copied().try_for_each(identifier)?;
        self.packet_id.map_or(Ok(()), packet_id)
    }
}

impl MessageProperties {
    fn check(&self) -> Result<(), EntryError> {
        if let Some(indicator) = self.payload_format_indicator
            && indicator > 1
        {
            let indicator = u32::from(indicator);
            return Err(EntryError::Number("payload_format_indicator", indicator, "0, 1"));
        }
        text("content_type", self.content_type.as_deref().unwrap_or_default())?;
        self.response_topic.as_deref().map_or(Ok(()), topic)?;
        if let Some(correlation) = &self.correlation_data {
            data("correlation_data", &correlation.0)?;
        }
        for (name, value) in &self.user_properties {
            text("the name of a user property", name)?;
            text("the value of a user property", value)?;
        }
        Ok(())
    }
}

fn topic(name: &str) -> Result<(), EntryError> {
    text("topic", name)?;
    let parsed = TopicName::parse(name);
    parsed.map(|_| ()).map_err(|error| EntryError::Topic(name.to_owned(), error))
}

fn filter(filter: &str) -> Result<(), EntryError> {
    text("filter", filter)?;
    let parsed = TopicFilter::parse(filter);
    parsed.map(|_| ()).map_err(|error| EntryError::Filter(filter.to_owned(), error))
}

fn client_id(id: &str) -> Result<(), EntryError> {
    if id.is_empty() { Err(EntryError::Empty("client_id")) } else { text("client_id", id) }
}

fn text(what: &'static str, text: &str) -> Result<(), EntryError> {
    let fits = text.len() <= FIELD_BYTES_MAX && !text.contains('\0');
    if fits { Ok(()) } else { Err(EntryError::Text(what)) }
}

fn data(what: &'static str, bytes: &[u8]) -> Result<(), EntryError> {
    let fits = bytes.len() <= FIELD_BYTES_MAX;
    if fits { Ok(()) } else { Err(EntryError::TooLong(what, FIELD_BYTES_MAX)) }
}

fn payload(bytes: &[u8]) -> Result<(), EntryError> {
    let most = PACKET_BYTES_MAX as usize;
    if bytes.len() <= most { Ok(()) } else { Err(EntryError::TooLong("payload", most)) }
}

fn qos(qos: u8) -> Result<(), EntryError> {
    if qos <= 2 { Ok(()) } else { Err(EntryError::Number("qos", u32::from(qos), "0, 1, 2")) }
}

fn packet_id(id: u16) -> Result<(), EntryError> {
    if id > 0 { Ok(()) } else { Err(EntryError::Number("a packet identifier", 0, "1 to 65535")) }
}

fn identifier(id: u32) -> Result<(), EntryError> {
    let fits = (1..=268_435_455).contains(&id);
    if fits {
        Ok(())
    } else {
        Err(EntryError::Number("a subscription identifier", id, "1 to 268435455"))
    }
}

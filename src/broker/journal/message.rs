//! A message in the journal: an envelope with its recipients, which a restart reads, and a body
//! with its content, which is read when somebody gets it.

use std::sync::Arc;

use super::wire::{Reader, put_bytes, put_content, put_varint, qos_of};
use crate::codec::QoS;
use crate::session::{Content, Identifiers, Message, Mid, Sid};

const EXPIRES: u8 = 1 << 7;
const RETAIN: u8 = 1 << 2;
const SHARE: u8 = 1 << 3;
const IDENTIFIERS: u8 = 1 << 4;

/// A message that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    /// Its name.
    pub mid: Mid,
    /// What it is.
    pub content: Content<'a>,
    /// The publisher's QoS.
    pub qos: QoS,
    /// The publisher's RETAIN flag.
    pub retain: bool,
    /// Whether it is the retained message of its topic from now on.
    pub retained: bool,
    /// Now, milliseconds since 1970.
    pub unix_ms: u64,
    /// `unix_ms` less the time on the clock of `Content::expires_ms`.
    pub unix_less_ticks_ms: u64,
}

/// One session that gets a message, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient<'a> {
    /// Which.
    pub sid: Sid,
    /// The effective QoS.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// The Shared Subscription it came by.
    pub share: Option<&'a str>,
    /// Subscription Identifiers.
    pub identifiers: &'a [u32],
}

impl Accepted<'_> {
    fn expires_unix_ms(&self) -> Option<u64> {
        self.content.expires_ms.map(|at_ms| at_ms + self.unix_less_ticks_ms)
    }

    /// Says how many recipients there are.
    pub(super) fn put_envelope<'r>(
        &self,
        recipients: impl Iterator<Item = Recipient<'r>>,
        out: &mut Vec<u8>,
    ) -> u32 {
        let expires_unix_ms = self.expires_unix_ms();
        out.push(if expires_unix_ms.is_some() { EXPIRES } else { 0 });
        put_varint(out, self.content.len() as u64);
        if let Some(expires_unix_ms) = expires_unix_ms {
            put_varint(out, expires_unix_ms);
        }
        let mut count = 0;
        for recipient in recipients {
            recipient.put(out);
            count += 1;
        }
        count
    }

    pub(super) fn put_body(&self, out: &mut Vec<u8>) {
        let expires_unix_ms = self.expires_unix_ms();
        let mut flags = self.qos.as_bits();
        flags |= if self.retain { RETAIN } else { 0 };
        flags |= if expires_unix_ms.is_some() { EXPIRES } else { 0 };
        out.push(flags);
        put_varint(out, self.unix_ms);
        if let Some(expires_unix_ms) = expires_unix_ms {
            put_varint(out, expires_unix_ms);
        }
        put_content(out, &self.content);
    }
}

impl Recipient<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.sid.get());
        let mut flags = self.qos.as_bits();
        flags |= if self.retain { RETAIN } else { 0 };
        flags |= if self.share.is_some() { SHARE } else { 0 };
        flags |= if self.identifiers.is_empty() { 0 } else { IDENTIFIERS };
        out.push(flags);
        if let Some(share) = self.share {
            put_bytes(out, share.as_bytes());
        }
        if !self.identifiers.is_empty() {
            put_varint(out, self.identifiers.len() as u64);
            self.identifiers.iter().for_each(|id| put_varint(out, u64::from(*id)));
        }
    }
}

/// The envelope of a message, read back.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Bytes of the content: what [`Content::len`] says.
    pub content_bytes: u64,
    /// When it expires, milliseconds since 1970.
    pub expires_unix_ms: Option<u64>,
    recipients: Reader<'a>,
}

/// One recipient, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed<'a> {
    /// Which session.
    pub sid: Sid,
    /// The effective QoS.
    pub qos: QoS,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// The Shared Subscription it came by.
    pub share: Option<&'a str>,
    /// Subscription Identifiers.
    pub identifiers: Identifiers,
}

impl<'a> Envelope<'a> {
    /// Opens an envelope; `None` when it is damaged.
    #[must_use]
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let flags = reader.u8()?;
        let content_bytes = reader.varint()?;
        let expires_unix_ms = if flags & EXPIRES == 0 { None } else { Some(reader.varint()?) };
        Some(Self { content_bytes, expires_unix_ms, recipients: reader })
    }

    /// Its recipients; `None` in the place of one that is damaged, which is the last.
    pub fn recipients(&self) -> impl Iterator<Item = Option<Addressed<'a>>> + use<'a> {
        let mut reader = self.recipients;
        std::iter::from_fn(move || {
            if reader.is_empty() {
                return None;
            }
            let read = Addressed::read(&mut reader);
            if read.is_none() {
                reader = Reader(&[]);
            }
            Some(read)
        })
    }
}

impl<'a> Addressed<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let sid = Sid::new(reader.varint()?)?;
        let flags = reader.u8()?;
        let qos = qos_of(flags)?;
        let share = if flags & SHARE == 0 { None } else { Some(reader.text()?) };
        let identifiers = if flags & IDENTIFIERS == 0 {
            Identifiers::NONE
        } else {
            let count: usize = reader.number()?;
            let mut identifiers = Vec::new();
            for _ in 0..count {
                identifiers.push(reader.number()?);
            }
            Identifiers::new(&identifiers)
        };
        Some(Self { sid, qos, retain: flags & RETAIN != 0, share, identifiers })
    }
}

/// The body of a message, read back.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// The message.
    pub message: Arc<Message>,
    /// When it was accepted, milliseconds since 1970.
    pub stored_unix_ms: u64,
}

impl StoredMessage {
    /// Reads a body; `None` when it is damaged. A message that has expired meanwhile says so by
    /// itself.
    #[must_use]
    pub fn open(body: &[u8], unix_less_ticks_ms: u64) -> Option<Self> {
        let mut reader = Reader(body);
        let flags = reader.u8()?;
        let stored_unix_ms = reader.varint()?;
        let expires_ms = if flags & EXPIRES == 0 {
            None
        } else {
            Some(reader.varint()?.saturating_sub(unix_less_ticks_ms))
        };
        let content = reader.content(expires_ms)?;
        let message =
            Message::new(&content, qos_of(flags)?, flags & RETAIN != 0).accepted(stored_unix_ms);
        Some(Self { message: Arc::new(message), stored_unix_ms })
    }

    /// The Topic Name in a body.
    #[must_use]
    pub fn topic(body: &[u8]) -> Option<&str> {
        let mut reader = Reader(body);
        let flags = reader.u8()?;
        reader.varint()?;
        if flags & EXPIRES != 0 {
            reader.varint()?;
        }
        reader.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Properties;

    #[test]
    fn a_message_and_its_recipients_come_back_as_they_were() {
        let content = Content {
            topic: "a/ü",
            properties: Properties::EMPTY,
            payload: b"\x00\xff",
            expires_ms: Some(7),
        };
        let accepted = Accepted {
            mid: Mid::new(9).unwrap(),
            content,
            qos: QoS::ExactlyOnce,
            retain: true,
            retained: true,
            unix_ms: 1_000_005,
            unix_less_ticks_ms: 1_000_000,
        };
        let one = Recipient {
            sid: Sid::new(300).unwrap(),
            qos: QoS::AtLeastOnce,
            retain: false,
            share: Some("$share/g/a/#"),
            identifiers: &[1, 268_435_455],
        };
        let other = Recipient {
            sid: Sid::MAX,
            qos: QoS::ExactlyOnce,
            retain: true,
            share: None,
            identifiers: &[],
        };
        let (mut envelope, mut body) = (Vec::new(), Vec::new());
        assert_eq!(accepted.put_envelope([one, other].into_iter(), &mut envelope), 2);
        accepted.put_body(&mut body);
        let opened = Envelope::open(&envelope).unwrap();
        assert_eq!(opened.content_bytes, 6);
        assert_eq!(opened.expires_unix_ms, Some(1_000_007));
        let read: Vec<_> = opened.recipients().map(Option::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].sid, read[0].share), (one.sid, one.share));
        assert_eq!(read[0].identifiers.as_slice(), one.identifiers);
        assert_eq!((read[1].sid, read[1].qos, read[1].retain), (Sid::MAX, other.qos, true));
        assert_eq!(StoredMessage::topic(&body), Some("a/ü"));
        let stored = StoredMessage::open(&body, 999_000).unwrap();
        assert_eq!(stored.stored_unix_ms, 1_000_005);
        assert_eq!(stored.message.expires_ms(), Some(1007));
        assert_eq!(stored.message.payload(), b"\x00\xff");
        // Whatever is cut off or turned around is refused or read as something else, without a panic.
        for cut in 0..envelope.len() {
            let cut = Envelope::open(&envelope[..cut]);
            cut.iter().flat_map(Envelope::recipients).for_each(drop);
        }
    }
}

//! The bytes of records: integers little-endian, lengths and names as LEB128.
//!
//! What is read may be damaged, so reading ends in `None` instead of a panic. Checksums are the
//! store's business.

use crate::codec::{Properties, QoS};
use crate::session::Content;

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).expect("seven bits")
}

/// A length and the bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Topic, properties and payload; the payload takes what is left, so this comes last.
pub(super) fn put_content(out: &mut Vec<u8>, content: &Content<'_>) {
    put_bytes(out, content.topic.as_bytes());
    put_bytes(out, content.properties.as_bytes());
    out.extend_from_slice(content.payload);
}

/// Reads what the functions above put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.varint()?).ok()
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The rest, as [`put_content`] put it.
    pub(super) fn content(mut self, expires_ms: Option<u64>) -> Option<Content<'a>> {
        let topic = self.text()?;
        let properties = Properties::from_checked(self.bytes()?);
        Some(Content { topic, properties, payload: self.0, expires_ms })
    }
}

pub(super) const fn qos_of(bits: u8) -> Option<QoS> {
    match bits & 0b11 {
        0 => Some(QoS::AtMostOnce),
        1 => Some(QoS::AtLeastOnce),
        2 => Some(QoS::ExactlyOnce),
        _ => None,
    }
}

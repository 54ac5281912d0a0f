//! A strip: messages next to each other in one row of the log, in the order of their names.
//!
//! A row for each message would cost more than the message. A strip is read and written as a whole,
//! and its key is the name of its first message. Each message has checksums of its own, so damage
//! takes the messages it hits and no others. The body of a message that is too large for a strip
//! stands in a column of its own, so that a start need not read it.
//!
//! Bytes of a message: name (8), bytes of the envelope (4) and of the body (4), each with the least
//! significant byte first; checksum and envelope; checksum and body, unless it stands apart.

use super::seal::{SEAL_BYTES, Seal};

/// Bytes of a strip: with its row it fills a page, which is read for each of its messages. The last
/// strip is written anew up to here, to take further messages.
pub(super) const STRIP_BYTES: usize = 4030;
/// Bytes of a strip of messages of which a page takes one or two, unless it is one alone: with its
/// row it fills two pages.
pub(super) const STRIP_BYTES_MAX: usize = 8120;
/// Bytes in front of the envelope.
const HEAD_BYTES: usize = 16;

/// A message that is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh<'a> {
    pub(super) mid: u64,
    pub(super) envelope: &'a [u8],
    pub(super) body: &'a [u8],
}

/// A message in a strip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    pub(super) mid: u64,
    pub(super) envelope: &'a [u8],
    /// Of the body.
    pub(super) body_bytes: usize,
    /// Checksum and body; nothing when it stands apart.
    sealed: &'a [u8],
    /// All of it.
    pub(super) whole: &'a [u8],
}

impl Fresh<'_> {
    /// Bytes that it takes in a strip.
    pub(super) const fn packed_bytes(&self) -> usize {
        HEAD_BYTES + 2 * SEAL_BYTES + self.envelope.len() + self.body.len()
    }

    /// Whether its body stands apart.
    pub(super) const fn is_large(&self) -> bool {
        self.packed_bytes() > STRIP_BYTES_MAX
    }

    /// Adds it to a strip; its body to `apart` when it is large.
    pub(super) fn pack(&self, strip: &mut Vec<u8>, apart: &mut Vec<u8>) {
        let lengths = lengths(self.envelope.len(), self.body.len());
        strip.extend_from_slice(&self.mid.to_le_bytes());
        strip.extend_from_slice(&lengths);
        Seal::packed(self.mid, &lengths).add(&[self.envelope], strip);
        let body = if self.is_large() { apart } else { strip };
        Seal::body(self.mid).add(&[self.body], body);
    }
}

/// No packet is so large that they do not fit.
fn lengths(envelope: usize, body: usize) -> [u8; 8] {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut lengths = [0; 8];
    lengths[..4].copy_from_slice(&length(envelope));
    lengths[4..].copy_from_slice(&length(body));
    lengths
}

impl<'a> Packed<'a> {
    /// The message at the beginning of `bytes`, and what stands behind it; its envelope is sound.
    fn split(bytes: &'a [u8], stands_apart: bool) -> Option<(Self, &'a [u8])> {
        let (mid, lengths) = bytes.split_first_chunk()?;
        let (lengths, rest) = lengths.split_first_chunk::<8>()?;
        let [envelope, body] = [&lengths[..4], &lengths[4..]].map(|bytes| {
            let length = bytes.first_chunk().map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes));
            usize::try_from(length).unwrap_or(usize::MAX)
        });
        let mid = u64::from_le_bytes(*mid);
        let (envelope, rest) = rest.split_at_checked(envelope.checked_add(SEAL_BYTES)?)?;
        let envelope = Seal::packed(mid, lengths).open(envelope)?;
        let here = if stands_apart { 0 } else { body.checked_add(SEAL_BYTES)? };
        let (sealed, rest) = rest.split_at_checked(here)?;
        let whole = &bytes[..bytes.len() - rest.len()];
        Some((Self { mid, envelope, body_bytes: body, sealed, whole }, rest))
    }

    /// Its body, from the strip or from where it stands apart; `None` when it is damaged.
    pub(super) fn body(&self, apart: &'a [u8]) -> Option<&'a [u8]> {
        let sealed = if self.sealed.is_empty() { apart } else { self.sealed };
        Seal::body(self.mid).open(sealed).filter(|body| body.len() == self.body_bytes)
    }

    /// What stands where its body was.
    pub(super) fn damaged_body(&self) -> &'a [u8] {
        self.sealed.get(SEAL_BYTES..).unwrap_or_default()
    }

    /// Bytes of envelope and body.
    pub(super) const fn bytes(&self) -> u64 {
        (self.envelope.len() + self.body_bytes) as u64
    }
}

/// The messages of a strip. At a damaged one it says so, and goes on only behind [`Self::resume`].
pub(super) struct Messages<'a> {
    rest: &'a [u8],
    stands_apart: bool,
    before: u64,
}

/// A message of a strip is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn;

impl<'a> Messages<'a> {
    /// With `stands_apart` the body of the one message is in a column of its own.
    pub(super) const fn of(strip: &'a [u8], stands_apart: bool) -> Self {
        Self { rest: strip, stands_apart, before: 0 }
    }

    /// The one of this name; `None` when there is none. Damage to others does not matter.
    pub(super) fn named(mut self, mid: u64) -> Result<Option<Packed<'a>>, Torn> {
        let mut is_torn = false;
        loop {
            match self.next() {
                Some(Ok(message)) if message.mid == mid => return Ok(Some(message)),
                Some(Ok(_)) => {}
                Some(Err(Torn)) => {
                    is_torn = true;
                    self.resume();
                }
                None => return if is_torn { Err(Torn) } else { Ok(None) },
            }
        }
    }

    /// Goes on behind damage, at the next message that is sound.
    pub(super) fn resume(&mut self) {
        while !self.rest.is_empty() {
            self.rest = &self.rest[1..];
            if self.clone_here().next().is_some_and(|found| found.is_ok()) {
                return;
            }
        }
    }

    const fn clone_here(&self) -> Self {
        Self { rest: self.rest, stands_apart: self.stands_apart, before: self.before }
    }

    /// What a damaged message that stands here was called.
    pub(super) fn next_name(&self) -> Option<u64> {
        self.rest.first_chunk().map(|name| u64::from_le_bytes(*name))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Packed<'a>, Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let found = Packed::split(self.rest, self.stands_apart);
        let Some((message, rest)) = found.filter(|(found, _)| found.mid > self.before) else {
            return Some(Err(Torn));
        };
        (self.rest, self.before) = (rest, message.mid);
        Some(Ok(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(mids: &[u64]) -> Vec<u8> {
        let (mut strip, mut apart) = (Vec::new(), Vec::new());
        for mid in mids {
            let (envelope, body) = (mid.to_le_bytes(), [7; 20]);
            let fresh = Fresh { mid: *mid, envelope: &envelope, body: &body };
            let before = strip.len();
            fresh.pack(&mut strip, &mut apart);
            assert_eq!(strip.len() - before, fresh.packed_bytes());
        }
        assert!(apart.is_empty());
        strip
    }

    /// Names that are found, with damage passed over.
    fn sound(strip: &[u8]) -> Vec<u64> {
        let mut messages = Messages::of(strip, false);
        let mut found = Vec::new();
        while let Some(message) = messages.next() {
            match message {
                Ok(message) if message.body(&[]).is_some() => found.push(message.mid),
                Ok(_) => {}
                Err(Torn) => messages.resume(),
            }
        }
        found
    }

    #[test]
    fn a_changed_bit_takes_the_message_it_is_in_and_no_other() {
        let mids = [3, 4, 90];
        let whole = strip(&mids);
        assert_eq!(sound(&whole), mids);
        let each = whole.len() / 3;
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut left = mids.to_vec();
            left.remove(bit / 8 / each);
            assert_eq!(sound(&damaged), left, "bit {bit}");
        }
        for cut in 0..whole.len() {
            assert_eq!(sound(&whole[..cut]), mids[..cut / each], "cut at {cut}");
        }
    }

    #[test]
    fn a_large_body_stands_apart() {
        let (mut strip, mut apart) = (Vec::new(), Vec::new());
        let body = vec![9; STRIP_BYTES_MAX];
        Fresh { mid: 5, envelope: b"to", body: &body }.pack(&mut strip, &mut apart);
        assert!(strip.len() < 40);
        let found = Messages::of(&strip, true).named(5).unwrap().unwrap();
        assert_eq!(found.body(&apart), Some(&body[..]));
        assert_eq!(found.bytes(), body.len() as u64 + 2);
        apart[100] ^= 1;
        assert_eq!(found.body(&apart), None);
        assert!(Messages::of(&strip, true).named(6).unwrap().is_none());
    }
}

//! The checksum in front of every value: CRC32C over the kind of the record, its key and the value,
//! so that a value that was changed, or stands under another key, is found when it is read.
//!
//! Called by everything here that writes or reads a row. It keeps nothing and repairs nothing.

/// Bytes of a checksum.
pub(super) const SEAL_BYTES: usize = 4;

/// What a value belongs to, as the beginning of a checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal(u32);

impl Seal {
    /// A message's envelope.
    pub(super) fn envelope(mid: u64) -> Self {
        Self::of(b'e', mid)
    }

    /// A message's envelope in a strip, and the lengths before it.
    pub(super) fn packed(mid: u64, lengths: &[u8; 8]) -> Self {
        Self::envelope(mid).and(lengths)
    }

    /// A message's body.
    pub(super) fn body(mid: u64) -> Self {
        Self::of(b'b', mid)
    }

    /// That a topic has no retained message any more.
    pub(super) fn gone(seq: u64) -> Self {
        Self::of(b'g', seq)
    }

    /// A session.
    pub(super) fn session(sid: u64) -> Self {
        Self::of(b's', sid)
    }

    /// A session's position.
    pub(super) fn position(sid: u64) -> Self {
        Self::of(b'p', sid)
    }

    /// A subscription.
    pub(super) fn subscription(sid: u64, filter: &[u8]) -> Self {
        Self::of(b'f', sid).and(filter)
    }

    /// An identifier of the client.
    pub(super) fn received(sid: u64, packet_id: u16) -> Self {
        Self::of(b'r', sid).and(&packet_id.to_le_bytes())
    }

    /// An identifier given to the client.
    pub(super) fn sent(sid: u64, mid: u64) -> Self {
        Self::of(b't', sid).and(&mid.to_le_bytes())
    }

    /// A number of the store's own.
    pub(super) fn meta(name: &str) -> Self {
        Self::of(b'm', 0).and(name.as_bytes())
    }

    fn of(kind: u8, key: u64) -> Self {
        let mut bytes = [kind; 9];
        bytes[1..].copy_from_slice(&key.to_le_bytes());
        Self(crc32c::crc32c(&bytes))
    }

    fn and(self, bytes: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.0, bytes))
    }

    /// Puts the checksum and the value, given in parts, in the place of what `out` held.
    pub(super) fn put(self, parts: &[&[u8]], out: &mut Vec<u8>) {
        out.clear();
        self.add(parts, out);
    }

    /// Puts them behind what `out` holds.
    pub(super) fn add(self, parts: &[&[u8]], out: &mut Vec<u8>) {
        let sum = parts.iter().fold(self, |seal, part| seal.and(part));
        out.extend_from_slice(&sum.0.to_le_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }

    /// The value behind its checksum; `None` when the two do not agree.
    pub(super) fn open(self, sealed: &[u8]) -> Option<&[u8]> {
        let (sum, value) = sealed.split_first_chunk::<SEAL_BYTES>()?;
        (self.and(value).0 == u32::from_le_bytes(*sum)).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_under_its_own_key_alone_and_unchanged_alone() {
        let mut sealed = Vec::new();
        Seal::body(7).put(&[b"he", b"llo"], &mut sealed);
        assert_eq!(Seal::body(7).open(&sealed), Some(&b"hello"[..]));
        assert_eq!(Seal::body(8).open(&sealed), None);
        assert_eq!(Seal::envelope(7).open(&sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Seal::body(7).open(&changed), None, "bit {bit}");
        }
        (0..sealed.len()).for_each(|cut| assert_eq!(Seal::body(7).open(&sealed[..cut]), None));
    }
}

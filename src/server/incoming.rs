//! Bytes that came over a connection and are not used yet.
//!
//! Called by `connection`, with what was read from a socket and with what takes it: a shard's
//! [`receive`](crate::broker::Shard::receive). A connection owns a buffer only while something is
//! left over, and never one that is far larger than that; what a packet announces is not believed
//! until it has come. Knows no socket and no packet.

/// Bytes of one read. More would push the packets out of the processor's cache before they are
/// looked at.
const READ_BYTES: usize = 64 * 1024;
/// An incomplete packet up to this size is put in front of the next read; a larger one grows in
/// its connection's own buffer, so that it is not copied again with every read.
const HEADROOM_BYTES: usize = 16 * 1024;

/// The one buffer all connections of a thread are read into, with room in front for what was left
/// over from the read before.
#[derive(Debug)]
pub struct ReadBuffer {
    bytes: Box<[u8]>,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { bytes: vec![0; HEADROOM_BYTES + READ_BYTES].into() }
    }
}

impl ReadBuffer {
    /// Where a read puts its bytes: 64 KiB.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[HEADROOM_BYTES..]
    }

    /// The `count` bytes just read with `front` before them.
    fn behind(&mut self, front: &[u8], count: usize) -> &[u8] {
        let start = HEADROOM_BYTES - front.len();
        self.bytes[start..HEADROOM_BYTES].copy_from_slice(front);
        &self.bytes[start..HEADROOM_BYTES + count]
    }
}

/// What one connection has received and nobody has used: an incomplete packet, or what a client
/// sent that is not listened to at the moment.
#[derive(Debug, Default)]
pub struct Incoming {
    bytes: Vec<u8>,
}

impl From<Vec<u8>> for Incoming {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }
}

impl Incoming {
    /// Bytes that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of memory they take.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives `receive` what waited with the `count` bytes just read into `buffer` behind it, and
    /// keeps what it does not use; it returns how many it used.
    pub fn take_in(
        &mut self,
        buffer: &mut ReadBuffer,
        count: usize,
        receive: impl FnOnce(&[u8]) -> usize,
    ) {
        if self.bytes.len() <= HEADROOM_BYTES {
            let bytes = buffer.behind(&self.bytes, count);
            let used = receive(bytes);
            if !self.bytes.is_empty() || used < bytes.len() {
                self.keep(&bytes[used..]);
            }
        } else {
            self.bytes.extend_from_slice(&buffer.space()[..count]);
            let used = receive(&self.bytes);
            self.drop_front(used);
        }
    }

    /// Gives `receive` what waits, and returns how many bytes it used.
    pub fn offer(&mut self, receive: impl FnOnce(&[u8]) -> usize) -> usize {
        let used = receive(&self.bytes);
        self.drop_front(used);
        used
    }

    /// Keeps the rest of what was read; a buffer that has become far too large is made smaller.
    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() || is_far_larger(self.bytes.capacity(), rest.len()) {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(rest);
    }

    /// As [`Self::keep`], when the rest lies here itself.
    fn drop_front(&mut self, used: usize) {
        self.bytes.drain(..used);
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        } else if is_far_larger(self.bytes.capacity(), self.bytes.len()) {
            self.bytes.shrink_to_fit();
        }
    }
}

fn is_far_larger(capacity: usize, len: usize) -> bool {
    capacity > len.saturating_mul(4).max(HEADROOM_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client announces costs nothing: these five bytes say that 256 MiB follow.
    #[test]
    fn an_announced_packet_takes_the_room_of_what_has_come() {
        let mut buffer = ReadBuffer::default();
        let mut incoming = Incoming::default();
        let announced = [0x30, 0xff, 0xff, 0xff, 0x7f];
        buffer.space()[..5].copy_from_slice(&announced);
        incoming.take_in(&mut buffer, 5, |bytes| {
            assert_eq!(bytes, announced);
            0
        });
        assert_eq!(incoming.len(), 5);
        assert!(incoming.capacity() <= 16, "{} bytes", incoming.capacity());
    }

    #[test]
    fn what_is_not_used_comes_again_in_front_of_what_follows() {
        let mut buffer = ReadBuffer::default();
        let mut incoming = Incoming::default();
        let mut expected = 0;
        // Far beyond the headroom, then nearly all is used at once.
        for _ in 0..10 {
            buffer.space().fill(7);
            incoming.take_in(&mut buffer, 4000, |bytes| {
                expected += 4000;
                assert_eq!(bytes.len(), expected);
                0
            });
        }
        assert_eq!(incoming.offer(|bytes| bytes.len() - 3), 39_997);
        assert_eq!(incoming.len(), 3);
        assert!(incoming.capacity() <= HEADROOM_BYTES, "{} bytes", incoming.capacity());
        incoming.take_in(&mut buffer, 1, <[u8]>::len);
        assert_eq!((incoming.len(), incoming.capacity()), (0, 0), "an idle connection owns none");
    }
}

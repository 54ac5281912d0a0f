//! Bytes waiting for one socket.
//!
//! An outbox owns a buffer only while bytes are pending: an idle connection costs none.

/// Packets that are encoded and not yet taken by the socket, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// Bytes that waited when the socket last took some.
    waited: usize,
}

impl Outbox {
    /// What is to be written next.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The socket took `count` bytes of [`Self::unsent`].
    pub fn sent(&mut self, count: usize) {
        if count > 0 {
            self.waited = self.len();
        }
        self.sent = (self.sent + count).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Bytes that waited when the socket last took some; 0 when it has not since this was asked.
    pub const fn take_waited(&mut self) -> usize {
        std::mem::replace(&mut self.waited, 0)
    }

    /// Bytes not yet taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to encode the next packet; `spare` lends a buffer to an outbox that owns none.
    pub fn buffer(&mut self, spare: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0
            && let Some(buffer) = spare.pop()
        {
            self.bytes = buffer;
        }
        &mut self.bytes
    }

    /// Gives the buffer back when nothing waits.
    pub fn release(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.bytes.is_empty() && self.bytes.capacity() > 0 {
            let buffer = std::mem::take(&mut self.bytes);
            if spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BUFFER_BYTES_MAX {
                spare.push(buffer);
            }
        }
    }

    /// Takes all that is unsent, for a farewell.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.bytes.drain(..self.sent);
        self.sent = 0;
        std::mem::take(&mut self.bytes)
    }
}

/// A batch rarely touches more connections than this at once; more buffers would only lie about.
const SPARE_BUFFERS_MAX: usize = 256;
/// A larger buffer served a burst and goes back to the allocator.
const SPARE_BUFFER_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_whatever_the_socket_takes() {
        let mut spare = Vec::new();
        let mut outbox = Outbox::default();
        outbox.buffer(&mut spare).extend_from_slice(b"abcdef");
        outbox.sent(2);
        outbox.buffer(&mut spare).extend_from_slice(b"gh");
        assert_eq!(outbox.unsent(), b"cdefgh");
        outbox.sent(4);
        assert_eq!(outbox.unsent(), b"gh");
        assert_eq!(outbox.take(), b"gh");
        assert!(outbox.is_empty());
    }

    #[test]
    fn an_empty_outbox_owns_no_buffer() {
        let mut spare = Vec::new();
        let mut outbox = Outbox::default();
        outbox.buffer(&mut spare).extend_from_slice(b"abc");
        outbox.sent(3);
        outbox.release(&mut spare);
        assert_eq!(outbox.bytes.capacity(), 0);
        assert_eq!(spare.len(), 1);
    }
}

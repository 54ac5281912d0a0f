//! The fixed header: cutting a byte stream into whole packets.

use super::DecodeError;

/// The largest packet the standard can express: 5 bytes of fixed header and 268 435 455 bytes.
pub const PACKET_BYTES_MAX: u32 = 268_435_460;

/// One whole packet as it lies in the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Byte 1: packet type (high nibble) and flags (low nibble).
    pub first: u8,
    /// Everything after the fixed header.
    pub body: &'a [u8],
    /// Bytes of the whole packet, fixed header included.
    pub len: usize,
}

impl<'a> Frame<'a> {
    /// Takes the first whole packet from `buffer`; `None` when more bytes are needed.
    ///
    /// # Errors
    /// A malformed Remaining Length, or a packet above `packet_bytes_max`: known from the fixed
    /// header alone, before the body has arrived.
    pub fn split(buffer: &'a [u8], packet_bytes_max: u32) -> Result<Option<Self>, DecodeError> {
        let _ = (buffer, packet_bytes_max);
        todo!()
    }
}

//! The fixed header: cutting a byte stream into whole packets.

use super::DecodeError;
use super::wire::varint;

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
    #[inline]
    pub fn split(buffer: &'a [u8], packet_bytes_max: u32) -> Result<Option<Self>, DecodeError> {
        let Some((&first, after)) = buffer.split_first() else {
            return Ok(None);
        };
        // Most packets are short.
        let (remaining, header) = match after.first() {
            Some(&len) if len < 0x80 => (u32::from(len), 2),
            _ => match varint(after)? {
                Some((len, bytes)) => (len, 1 + bytes),
                None => return Ok(None),
            },
        };
        let bytes = remaining + u32::try_from(header).unwrap_or(5);
        if bytes > packet_bytes_max {
            return Err(DecodeError::PacketTooLarge { bytes, limit: packet_bytes_max });
        }
        let len = header + remaining as usize;
        let body = buffer.get(header..len);
        Ok(body.map(|body| Self { first, body, len }))
    }

    /// What has come of the first packet in `buffer`, to tell from it what can be told: of `body`
    /// there may be a part or nothing.
    #[must_use]
    pub fn begun(buffer: &'a [u8]) -> Self {
        let Some((&first, after)) = buffer.split_first() else {
            return Self { first: 0, body: &[], len: 0 };
        };
        // The length ends with the first byte below 0x80.
        let header = after.iter().take(4).position(|byte| *byte < 0x80).map_or(4, |at| at + 1);
        let body = after.get(header..).unwrap_or_default();
        Self { first, body, len: buffer.len() }
    }

    /// The packet type, 0 to 15.
    #[must_use]
    pub const fn packet_type(&self) -> u8 {
        self.first >> 4
    }

    /// The flags of the fixed header.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.first & 0x0f
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_whole_or_not_there() {
        let bytes = [0x30, 0x05, 0, 1, b'a', 1, 2, 0xc0];
        for cut in 0..7 {
            assert_eq!(Frame::split(&bytes[..cut], 100), Ok(None));
        }
        let frame = Frame::split(&bytes, 100).unwrap().unwrap();
        assert_eq!((frame.first, frame.body, frame.len), (0x30, &bytes[2..7], 7));
    }

    #[test]
    fn a_packet_above_the_limit_is_refused_by_its_header() {
        let announced = [0x30, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(
            Frame::split(&announced, 1000),
            Err(DecodeError::PacketTooLarge { bytes: PACKET_BYTES_MAX, limit: 1000 })
        );
        assert_eq!(Frame::split(&announced, PACKET_BYTES_MAX), Ok(None));
    }

    #[test]
    fn of_a_packet_that_is_not_whole_there_is_a_part() {
        let bytes = [0x10, 0xff, 0xff, 0x7f, 0, 4, b'M'];
        assert_eq!(Frame::begun(&bytes).body, [0, 4, b'M']);
        for cut in 0..=4 {
            assert!(Frame::begun(&bytes[..cut]).body.is_empty());
        }
        assert!(Frame::begun(&[0xff; 5]).body.is_empty());
    }

    #[test]
    fn a_remaining_length_of_five_bytes_is_malformed() {
        let bytes = [0x30, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Frame::split(&bytes, 100), Err(DecodeError::VariableByteIntegerMalformed));
    }
}

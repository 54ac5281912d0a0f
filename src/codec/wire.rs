//! Reading and writing the data types of section 1.5: integers, strings, binary data.

use super::DecodeError;

/// Reads the fields of one packet in order; the bytes are all there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that is left.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.bytes.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, tail) = self.bytes.split_first().ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(*first)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(u16::from_be_bytes(*head))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(u32::from_be_bytes(*head))
    }

    /// A Variable Byte Integer in its shortest form `[MQTT-1.5.5-1]`.
    pub(super) fn varint(&mut self) -> Result<u32, DecodeError> {
        match varint(self.bytes)? {
            Some((value, len)) => {
                self.bytes = &self.bytes[len..];
                Ok(value)
            }
            None => Err(DecodeError::Truncated),
        }
    }

    /// Binary Data.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 Encoded String: well formed `[MQTT-1.5.4-1]` and without U+0000 `[MQTT-1.5.4-2]`;
    /// U+FEFF is a character like others `[MQTT-1.5.4-3]`. It is read so wherever a packet has one:
    /// Client Identifier `[MQTT-3.1.3-4]`, Will Topic `[MQTT-3.1.3-11]`, User Name
    /// `[MQTT-3.1.3-12]`, Topic Name `[MQTT-3.3.2-1]`, Topic Filter `[MQTT-3.8.3-1]`
    /// `[MQTT-3.10.3-1]`, Response Topic `[MQTT-3.3.2-13]`, Content Type `[MQTT-3.3.2-19]`.
    #[inline]
    pub(super) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.binary()?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8Malformed)?;
        // No early exit: a NUL is an error, and the whole is a few vector steps.
        let has_nul = bytes.iter().fold(false, |found, byte| found | (*byte == 0));
        if has_nul { Err(DecodeError::NulInString) } else { Ok(text) }
    }

    /// A UTF-8 String Pair `[MQTT-1.5.7-1]`.
    pub(super) fn pair(&mut self) -> Result<(&'a str, &'a str), DecodeError> {
        Ok((self.string()?, self.string()?))
    }

    /// A Packet Identifier, which is never 0 `[MQTT-2.2.1-3]`.
    pub(super) fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.u16()? {
            0 => Err(DecodeError::PacketIdentifierZero),
            packet_id => Ok(packet_id),
        }
    }

    /// Nothing may follow.
    pub(super) const fn end(self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }
}

/// Reads a Variable Byte Integer: its value and length, `None` when it is not all there.
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            // Not the shortest form: the last byte adds nothing.
            if index > 0 && *byte == 0 {
                return Err(DecodeError::VariableByteIntegerMalformed);
            }
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(DecodeError::VariableByteIntegerMalformed) }
}

/// Bytes of a Variable Byte Integer.
pub(super) const fn varint_len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

#[inline]
pub(super) fn write_varint(out: &mut Vec<u8>, value: usize) {
    debug_assert!(value <= 0x0fff_ffff, "the caller checks");
    let [low, second, third, fourth, ..] = value.to_le_bytes();
    if value <= 0x7f {
        return out.push(low);
    }
    // Seven bits a byte, the lowest first; 0x80 says that more follow.
    let bytes = [
        low | 0x80,
        second << 1 | low >> 7 | 0x80,
        third << 2 | second >> 6 | 0x80,
        fourth << 3 | third >> 5,
    ];
    let len = varint_len(value);
    out.extend_from_slice(&bytes[..len]);
    if let Some(last) = out.last_mut() {
        *last &= 0x7f;
    }
}

/// Longest string or Binary Data, bytes.
pub const STRING_BYTES_MAX: usize = u16::MAX as usize;

/// Writes Binary Data or a string. Everything that came in a packet fits; see [`super::encode`].
pub(super) fn write_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= STRING_BYTES_MAX, "the caller checks");
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&bytes[..usize::from(len)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_at_their_borders() {
        for (value, hex) in [
            (0usize, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 0x01]),
            (2_097_151, &[0xff, 0xff, 0x7f]),
            (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
            (268_435_455, &[0xff, 0xff, 0xff, 0x7f]),
        ] {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            assert_eq!(out, hex);
            assert_eq!(varint_len(value), hex.len());
            assert_eq!(varint(hex), Ok(Some((u32::try_from(value).unwrap(), hex.len()))));
        }
    }

    #[test]
    fn a_fifth_byte_or_a_longer_form_is_malformed() {
        let malformed = Err(DecodeError::VariableByteIntegerMalformed);
        assert_eq!(varint(&[0x80, 0x80, 0x80, 0x80]), malformed);
        assert_eq!(varint(&[0x80, 0x00]), malformed);
        assert_eq!(varint(&[0x80, 0x80]), Ok(None));
    }

    #[test]
    fn strings_are_well_formed_utf_8_without_nul() {
        let string = |bytes: &'static [u8]| Reader::new(bytes).string();
        assert_eq!(string(b"\x00\x02\xc3\xbc"), Ok("\u{fc}"));
        assert_eq!(string(b"\x00\x02\xc3\x28"), Err(DecodeError::Utf8Malformed));
        // A surrogate, U+D800.
        assert_eq!(string(b"\x00\x03\xed\xa0\x80"), Err(DecodeError::Utf8Malformed));
        assert_eq!(string(b"\x00\x03a\x00b"), Err(DecodeError::NulInString));
        // A byte order mark is a character like any other `[MQTT-1.5.4-3]`.
        assert_eq!(string(b"\x00\x03\xef\xbb\xbf"), Ok("\u{feff}"));
        assert_eq!(string(b"\x00\x05abc"), Err(DecodeError::Truncated));
    }
}

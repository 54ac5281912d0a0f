//! Randomness: the seed of hash tables, and Client Identifiers that nobody can guess.

use std::fs::File;
use std::io::{self, Read};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 22 letters of 62 hold 130 bits.
const LETTERS: usize = 22;

/// The kernel's random numbers.
#[derive(Debug)]
pub(super) struct Chance {
    urandom: File,
}

impl Chance {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { urandom: File::open("/dev/urandom")? })
    }

    pub(super) fn seed(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        (&self.urandom).read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A Client Identifier for a client that sent none: 130 bits that nobody else has
    /// `[MQTT-3.2.2-16]`.
    pub(super) fn client_id(&self) -> Box<str> {
        let mut id = String::from("mqttd-");
        let end = id.len() + LETTERS;
        let mut bytes = [0; 2 * LETTERS];
        while id.len() < end {
            let read = (&self.urandom).read_exact(&mut bytes);
            read.expect("urandom(4): once open it gives bytes without end");
            // Above 248 = 4 * 62 the letters would not be equally likely.
            let fair = bytes.iter().filter(|&&byte| byte < 248);
            let letters = fair.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
            id.extend(letters.take(end - id.len()));
        }
        id.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assigned_client_ids_are_letters_and_digits_and_differ() {
        let chance = Chance::open().expect("/dev/urandom");
        let first = chance.client_id();
        let second = chance.client_id();
        assert_ne!(first, second);
        let letters = first.strip_prefix("mqttd-").expect("the prefix");
        assert_eq!(letters.len(), LETTERS);
        assert!(letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

//! A copy of all that is kept.

use serde_json::{Value, json};

use super::call::{AnswerBy, Arguments, Call, Noun, Pages, Permission};
use super::{Admin, Problem, base64};

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "backup",
    doc: "A copy of all that is kept",
    calls: &[Call {
        name: "backup",
        doc: "Copy all that is kept, as it is at one moment, into a file",
        examples: &["backup mqttd.backup"],
        arguments: &[],
        permission: Permission::Operate,
        answer: AnswerBy::Pages(backup),
    }],
};

/// What comes of a copy that is being made, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copied {
    /// So many bytes are written to the copy.
    Written(u64),
    /// The copy is made, and has this size; its bytes follow.
    Made {
        /// Bytes in all.
        bytes: u64,
    },
    /// The next bytes of it.
    Piece(Vec<u8>),
    /// That was all of it.
    End {
        /// Bytes in all.
        bytes: u64,
        /// CRC-32C of them.
        crc32c: u32,
    },
}

/// A copy being made and handed out; `None` behind its end.
pub type Copying = Box<dyn FnMut() -> Result<Option<Copied>, Problem> + Send>;

impl Copied {
    fn row(self) -> Value {
        match self {
            Self::Written(bytes) => json!({ "written_bytes": bytes }),
            Self::Made { bytes } => json!({ "made_bytes": bytes }),
            Self::Piece(bytes) => json!({ "piece": base64::encode(&bytes) }),
            Self::End { bytes, crc32c } => json!({ "end_bytes": bytes, "crc32c": crc32c }),
        }
    }

    /// Reads a row of the call `backup`; `None` when it is none.
    #[must_use]
    pub fn read(row: &Value) -> Option<Self> {
        let number = |name: &str| row[name].as_u64();
        if let Some(text) = row["piece"].as_str() {
            return base64::decode(text).map(Self::Piece);
        }
        if let (Some(bytes), Some(crc32c)) = (number("end_bytes"), number("crc32c")) {
            return Some(Self::End { bytes, crc32c: u32::try_from(crc32c).ok()? });
        }
        let made = number("made_bytes").map(|bytes| Self::Made { bytes });
        made.or_else(|| number("written_bytes").map(Self::Written))
    }
}

fn backup(admin: &Admin, _: &Arguments) -> Result<Pages, Problem> {
    let mut copying = admin.host.backup()?;
    Ok(Box::new(move || Ok(copying()?.map(|copied| vec![copied.row()]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        for copied in [
            Copied::Written(0),
            Copied::Made { bytes: u64::MAX },
            Copied::Piece(vec![0, 0xff, b'\n']),
            Copied::End { bytes: 7, crc32c: u32::MAX },
        ] {
            assert_eq!(Copied::read(&copied.clone().row()), Some(copied));
        }
        assert_eq!(Copied::read(&json!({ "piece": "?" })), None);
        assert_eq!(Copied::read(&json!([])), None);
    }
}

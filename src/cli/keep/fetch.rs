//! The copy of the store that a running broker hands out: taken, counted, and checked.

use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Map, Value};

use super::progress::Progress;
use crate::admin::Copied;
use crate::cli::boot::{Exit, Failure};
use crate::cli::instance::{Alive, from_call};

/// How long the broker may be silent while it copies: the disk may be slow, and busy.
const SILENCE_SECS_MAX: u64 = 300;

/// Writes the copy, and says how many bytes it has. `failed` puts an error of `out` into words.
///
/// # Errors
/// It could not be made, did not come whole, or could not be written.
pub(super) fn fetch<W: Write>(
    alive: &mut Alive,
    out: &mut W,
    failed: impl Fn(&W, &std::io::Error) -> Failure,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let _ = alive.client.set_limit(Some(Duration::from_secs(SILENCE_SECS_MAX)));
    let mut taking = Taking::default();
    let mut failure = None;
    let ended = alive.client.stream("backup", Map::new(), |page| {
        let rows = page.as_array().map(Vec::as_slice).unwrap_or_default();
        for row in rows {
            if let Err(error) = taking.row(row, out, progress) {
                failure = Some(match error {
                    Taken::Strange => strange(),
                    Taken::Unwritten(error) => failed(out, &error),
                });
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    match (failure, ended) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(from_call(error)),
        (None, Ok(_)) if taking.is_whole => Ok(taking.bytes),
        (None, Ok(_)) => Err(strange()),
    }
}

#[derive(Debug, Default)]
struct Taking {
    bytes: u64,
    crc32c: u32,
    size: Option<u64>,
    is_whole: bool,
}

enum Taken {
    Strange,
    Unwritten(std::io::Error),
}

impl Taking {
    fn row(
        &mut self,
        row: &Value,
        out: &mut impl Write,
        progress: &mut Progress,
    ) -> Result<(), Taken> {
        match Copied::read(row) {
            Some(Copied::Written(bytes)) => progress.bytes("the broker makes a copy", bytes, None),
            Some(Copied::Made { bytes }) => self.size = Some(bytes),
            Some(Copied::Piece(piece)) => {
                out.write_all(&piece).map_err(Taken::Unwritten)?;
                self.bytes += piece.len() as u64;
                self.crc32c = crc32c::crc32c_append(self.crc32c, &piece);
                progress.bytes("copied", self.bytes, self.size);
            }
            Some(Copied::End { bytes, crc32c }) => {
                self.is_whole = (bytes, crc32c) == (self.bytes, self.crc32c);
            }
            None => return Err(Taken::Strange),
        }
        Ok(())
    }
}

fn strange() -> Failure {
    Failure::new(Exit::Failed, "protocol", "the copy did not come whole from the broker")
        .hint("try again; after an upgrade: sudo mqttd restart")
}

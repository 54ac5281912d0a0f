//! The lines of a call that takes some: read, handed on in batches, ended by an empty one.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::conversation::{Conversation, aside};
use super::frame;
use crate::admin::{Problem, Taking};

/// Longest line: a message of the largest size in Base64, and what stands around it.
const LINE_BYTES_MAX: usize = 512 << 20;

/// Time for the next bytes to arrive.
const PAUSE_SECS_MAX: u64 = 60;

/// What a batch of lines led to.
enum Step {
    /// More are wanted.
    More(Taking),
    /// The empty line came, and behind it these bytes.
    Finished(Value, Vec<u8>),
}

impl Conversation {
    /// Takes lines until an empty one, and says what came of it.
    pub(super) async fn takes(&mut self, id: u64, mut takes: Taking) -> io::Result<()> {
        self.reply(&frame::Reply::more(id, Value::Null)).await?;
        loop {
            let batch = self.batch().await?;
            let step = match batch {
                Some(batch) => aside(move || work(takes, batch)).await.and_then(|step| step),
                None => {
                    let message = format!("a line has {LINE_BYTES_MAX} bytes at most");
                    Err(Problem::new("request_too_large", message))
                }
            };
            match step {
                Ok(Step::More(rest)) => takes = rest,
                Ok(Step::Finished(value, mut rest)) => {
                    rest.append(&mut self.read);
                    self.read = rest;
                    return self.reply(&frame::Reply::last(id, value)).await;
                }
                Err(problem) => {
                    // The lines under way are no requests: the connection ends.
                    self.reply(&frame::Reply::problem(Some(id), problem)).await?;
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
    }

    /// All whole lines that have come, at least one; `None` when one is too long.
    async fn batch(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.read[searched..].iter().rposition(|&byte| byte == b'\n') {
                let rest = self.read.split_off(searched + at + 1);
                return Ok(Some(std::mem::replace(&mut self.read, rest)));
            }
            searched = self.read.len();
            if searched > LINE_BYTES_MAX {
                return Ok(None);
            }
            let limit = Duration::from_secs(PAUSE_SECS_MAX);
            let read = timeout(limit, self.stream.read_buf(&mut self.read)).await;
            if read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Hands on lines, each of which has its newline.
fn work(mut takes: Taking, mut batch: Vec<u8>) -> Result<Step, Problem> {
    let mut end = 0;
    for line in batch.split_inclusive(|&byte| byte == b'\n') {
        end += line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.is_empty() {
            let value = takes.finish()?;
            return Ok(Step::Finished(value, batch.split_off(end)));
        }
        takes.take(line)?;
    }
    Ok(Step::More(takes))
}

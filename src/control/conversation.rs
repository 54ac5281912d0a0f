//! One control connection: hello, then request and answer in turn.
//!
//! Called by `serve`. A request is answered on a thread that may wait; this task only reads and
//! writes, each under a time limit. What a call means is `admin`'s.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::crowd::Seat;
use super::frame::{self, Cut, Hello, PROTOCOL, REQUEST_BYTES_MAX, Request};
use crate::admin::{Answers, Lines, Pages, Problem, Reply};

/// Time for a whole request to arrive, counted from the answer to the one before.
pub const IDLE_SECS_MAX: u64 = 5;

/// Time for the peer to take one line.
const WRITE_SECS_MAX: u64 = 5;

/// The same for one of many, which the peer may pass on over a slow network.
const PAGE_SECS_MAX: u64 = 120;

/// One connection being served.
pub(super) struct Conversation {
    pub(super) stream: Stream,
    pub(super) answers: Arc<dyn Answers>,
    pub(super) seat: Seat,
    /// Tells when the seat is needed for another, until the first request.
    pub(super) told: oneshot::Receiver<()>,
    /// Bytes read and not yet used.
    pub(super) read: Vec<u8>,
}

impl Conversation {
    /// Speaks until one side ends it.
    pub(super) async fn run(mut self) {
        let _ = self.converse().await; // a peer that left needs no answer
    }

    /// Says why there is no conversation.
    pub(super) async fn refuse(mut stream: Stream, problem: Problem) {
        let mut bytes = frame::line(&hello());
        bytes.extend(frame::line(&frame::Reply::problem(None, problem)));
        let _ = write(&mut stream, &bytes).await;
    }

    async fn converse(&mut self) -> io::Result<()> {
        write(&mut self.stream, &frame::line(&hello())).await?;
        let mut next = self.next_while_idle().await?;
        loop {
            self.seat.busy();
            let line = match next {
                Some(Cut::Line(line)) => line,
                None => return Ok(()),
                Some(Cut::TooLong) => {
                    let problem = Problem::new(
                        "request_too_large",
                        format!("a request has {REQUEST_BYTES_MAX} bytes at most"),
                    );
                    return self.reply(&frame::Reply::problem(None, problem)).await;
                }
            };
            self.take(&line).await?;
            self.told = self.seat.idle();
            next = self.next_while_idle().await?;
        }
    }

    /// What comes next; `None` when nothing does.
    async fn next_while_idle(&mut self) -> io::Result<Option<Cut>> {
        let (limit, stream, read) =
            (Duration::from_secs(IDLE_SECS_MAX), &mut self.stream, &mut self.read);
        tokio::select! {
            _ = &mut self.told => Ok(None),
            next = timeout(limit, next(stream, read)) => next.unwrap_or(Ok(None)),
        }
    }

    /// Answers one line.
    async fn take(&mut self, line: &[u8]) -> io::Result<()> {
        let request = match Request::read(line) {
            Ok(request) => request,
            Err(problem) => return self.reply(&frame::Reply::problem(None, problem)).await,
        };
        let id = request.id;
        let answers = Arc::clone(&self.answers);
        let reply = aside(move || answers.answer(&request.call, request.args))
            .await
            .and_then(|answer| answer);
        match reply {
            Ok(Reply::Value(value)) => self.reply(&frame::Reply::last(id, value)).await,
            Ok(Reply::Pages(pages)) => self.pages(id, pages).await,
            Ok(Reply::Lines(lines)) => self.lines(id, lines).await,
            Ok(Reply::Takes(takes)) => self.takes(id, takes).await,
            Err(problem) => self.reply(&frame::Reply::problem(Some(id), problem)).await,
        }
    }

    async fn pages(&mut self, id: u64, mut pages: Pages) -> io::Result<()> {
        loop {
            let turned = aside(move || {
                let page = pages();
                (page, pages)
            })
            .await;
            let page = match turned {
                Ok((Ok(Some(page)), rest)) => {
                    pages = rest;
                    page
                }
                Ok((Ok(None), _)) => return self.reply(&frame::Reply::last(id, json!([]))).await,
                Ok((Err(problem), _)) | Err(problem) => {
                    return self.reply(&frame::Reply::problem(Some(id), problem)).await;
                }
            };
            let line = frame::line(&frame::Reply::more(id, Value::Array(page)));
            write_within(PAGE_SECS_MAX, &mut self.stream, &line).await?;
        }
    }

    /// A feed ends when the peer leaves or sends another line.
    async fn lines(&mut self, id: u64, mut lines: Lines) -> io::Result<()> {
        loop {
            let told = tokio::select! {
                told = lines.recv() => told,
                more = peek(&mut self.stream, &mut self.read) => {
                    if more? {
                        return self.reply(&frame::Reply::last(id, Value::Null)).await;
                    }
                    continue;
                }
            };
            match told {
                Ok(line) => {
                    let result = json!({ "line": &*line });
                    self.reply(&frame::Reply::more(id, result)).await?;
                }
                Err(RecvError::Lagged(lines)) => {
                    let result = json!({ "skipped": lines });
                    self.reply(&frame::Reply::more(id, result)).await?;
                }
                Err(RecvError::Closed) => {
                    return self.reply(&frame::Reply::last(id, Value::Null)).await;
                }
            }
        }
    }

    pub(super) async fn reply(&mut self, reply: &frame::Reply) -> io::Result<()> {
        write(&mut self.stream, &frame::line(reply)).await
    }
}

/// The next line. Nothing is lost when this is dropped half-way.
async fn next(stream: &mut Stream, read: &mut Vec<u8>) -> io::Result<Option<Cut>> {
    loop {
        let cut = Cut::first(read);
        if cut.is_some() || stream.read_buf(read).await? == 0 {
            return Ok(cut);
        }
    }
}

fn hello() -> Hello {
    Hello { mqttd: env!("CARGO_PKG_VERSION").to_owned(), protocol: PROTOCOL }
}

/// Whether the peer has sent a whole line or too much; an error when it has left.
async fn peek(stream: &mut Stream, read: &mut Vec<u8>) -> io::Result<bool> {
    if stream.read_buf(read).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(read.contains(&b'\n') || read.len() > REQUEST_BYTES_MAX)
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    write_within(WRITE_SECS_MAX, stream, bytes).await
}

async fn write_within(secs: u64, stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    timeout(Duration::from_secs(secs), stream.write_all(bytes))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Runs what may wait on a thread that may.
pub(super) async fn aside<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        Problem::new("internal", "the call did not finish; the log says more")
            .hint("this is a fault of mqttd: please report it")
    })
}

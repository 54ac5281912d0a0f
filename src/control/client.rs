//! The command's end of the control socket: blocking, with a time limit on each step, no runtime.
//!
//! Called by `cli` only. It brings back what the daemon said; what that means for the operator
//! is said elsewhere.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::{Map, Value};
use socket2::{Domain, SockAddr, Socket, Type};

use super::frame::{self, Hello, PROTOCOL, Reply, Request};
use crate::admin::Problem;

/// How long the daemon may take for what is sent to it at a time, and for its last word.
const UPLOAD_SECS_MAX: u64 = 300;

/// Bytes sent at a time.
const UPLOAD_PIECE_BYTES: usize = 128 << 10;

/// A connection to a daemon whose hello has not been read yet.
#[derive(Debug)]
pub struct Dialled {
    stream: UnixStream,
    pid: Option<u32>,
}

/// A connection to a daemon that answers.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    pid: Option<u32>,
    hello: Hello,
    next_id: u64,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No socket file.
    #[error("there is no control socket")]
    Absent,
    /// A socket file, and nobody behind it: the daemon died.
    #[error("nobody answers on the control socket")]
    Dead,
    /// The socket's mode, or a directory's, keeps this user out.
    #[error("not permitted to use the control socket")]
    Permission,
    /// Connected, or waiting to be, and no word came in time.
    #[error("the daemon did not answer in time")]
    NoAnswer,
    /// The daemon refused the conversation.
    #[error("{0}")]
    Refused(Problem),
    /// Daemon and command do not understand each other.
    #[error("the daemon ({daemon}) speaks control protocol {theirs}, this command {PROTOCOL}")]
    Protocol {
        /// Version of the daemon.
        daemon: String,
        /// Its protocol.
        theirs: u32,
    },
    /// Something else.
    #[error("the control socket: {0}")]
    System(io::Error),
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The daemon's word.
    #[error("{0}")]
    Problem(Problem),
    /// The connection ended before the answer did.
    #[error("the daemon went away before it had answered")]
    Lost,
    /// No answer in time.
    #[error("the daemon did not answer in time")]
    NoAnswer,
}

impl Dialled {
    /// Connects to the control socket, waiting `limit` at most.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn dial(path: &Path, limit: Duration) -> Result<Self, ConnectError> {
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // On Linux this also bounds connect(2), which waits while the backlog is full.
            socket.set_write_timeout(Some(limit))?;
            socket.set_read_timeout(Some(limit))?;
            socket.connect(&SockAddr::unix(path)?)?;
            Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
        };
        let stream: UnixStream = connect().map_err(ConnectError::from_system)?;
        let pid = getsockopt(&stream, PeerCredentials)
            .ok()
            .and_then(|peer| u32::try_from(peer.pid()).ok())
            .filter(|&pid| pid != 0);
        Ok(Self { stream, pid })
    }

    /// The process that listens there, by the kernel's word; `None` from another pid namespace.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Reads the daemon's hello.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn greet(self) -> Result<Client, ConnectError> {
        let mut reader = BufReader::new(self.stream);
        let line = read_line(&mut reader).map_err(|error| match error {
            CallError::Lost => ConnectError::Dead,
            CallError::NoAnswer | CallError::Problem(_) => ConnectError::NoAnswer,
        })?;
        let hello: Hello = serde_json::from_str(&line)
            .map_err(|error| ConnectError::System(io::Error::other(error)))?;
        if hello.protocol != PROTOCOL {
            return Err(ConnectError::Protocol { daemon: hello.mqttd, theirs: hello.protocol });
        }
        Ok(Client { reader, pid: self.pid, hello, next_id: 1 })
    }
}

impl Client {
    /// Connects and reads the hello.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, ConnectError> {
        Dialled::dial(path, limit)?.greet()
    }

    /// The process that listens there, by the kernel's word; `None` from another pid namespace.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Version of the daemon.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.hello.mqttd
    }

    /// Changes how long each answer may take; `None` waits for ever.
    ///
    /// # Errors
    /// The system refused.
    pub fn set_limit(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(limit)
    }

    /// Asks and takes a single value; the rows of a list are put together.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call(&mut self, call: &str, args: Map<String, Value>) -> Result<Value, CallError> {
        let mut rows = Vec::new();
        let last = self.stream(call, args, |page| {
            if let Value::Array(page) = page {
                rows.extend(page);
            }
            ControlFlow::Continue(())
        })?;
        match last {
            Some(Value::Array(page)) => {
                rows.extend(page);
                Ok(Value::Array(rows))
            }
            Some(value) => Ok(value),
            None => Ok(Value::Null),
        }
    }

    /// Asks and hands each line that is followed by another to `take`, until it breaks or the
    /// last one came, which is returned (`None` after a break).
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn stream(
        &mut self,
        call: &str,
        args: Map<String, Value>,
        mut take: impl FnMut(Value) -> ControlFlow<()>,
    ) -> Result<Option<Value>, CallError> {
        let id = self.next_id;
        self.next_id += 1;
        let request = Request { id, call: call.to_owned(), args };
        // A daemon that refuses this peer has said so and closed: its word is read below.
        let _ = self.reader.get_mut().write_all(&frame::line(&request));
        loop {
            let reply = self.reply()?;
            let value = reply.result.unwrap_or(Value::Null);
            if !reply.more {
                return Ok(Some(value));
            }
            if take(value).is_break() {
                return Ok(None);
            }
        }
    }

    /// Asks a call that takes lines: `send` writes them, none of them empty. What `send` ran into
    /// is in the inner result; then the daemon was told of no end.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn upload<E: From<io::Error>>(
        &mut self,
        call: &str,
        args: Map<String, Value>,
        send: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Result<Value, E>, CallError> {
        // Its first word is that it is ready.
        if let Some(value) = self.stream(call, args, |_| ControlFlow::Break(()))? {
            return Ok(Ok(value));
        }
        let stream = self.reader.get_ref().try_clone().map_err(|_| CallError::Lost)?;
        let limit = Some(Duration::from_secs(UPLOAD_SECS_MAX));
        if stream.set_write_timeout(limit).and_then(|()| stream.set_read_timeout(limit)).is_err() {
            return Err(CallError::Lost);
        }
        let mut outlet = Outlet { stream, failed: false };
        let mut writer = BufWriter::with_capacity(UPLOAD_PIECE_BYTES, &mut outlet);
        let sent = send(&mut writer)
            .and_then(|()| writer.write_all(b"\n").and_then(|()| writer.flush()).map_err(E::from));
        drop(writer.into_parts()); // what was not sent is not to be
        match sent {
            // What cannot be sent was not wanted: the daemon has said why.
            Err(error) if !outlet.failed => Ok(Err(error)),
            _ => self.last_reply().map(Ok),
        }
    }

    /// The end of an answer whose beginning was read.
    fn last_reply(&mut self) -> Result<Value, CallError> {
        loop {
            let reply = self.reply()?;
            if !reply.more {
                return Ok(reply.result.unwrap_or(Value::Null));
            }
        }
    }

    /// The next line of an answer; its problem, if it tells one.
    fn reply(&mut self) -> Result<Reply, CallError> {
        let line = read_line(&mut self.reader)?;
        let reply: Reply = serde_json::from_str(&line).map_err(|_| CallError::Lost)?;
        if reply.ok {
            return Ok(reply);
        }
        Err(CallError::Problem(reply.error.unwrap_or_else(|| {
            Problem::new("internal", "the daemon reports a failure without a reason")
        })))
    }

    /// Waits until the daemon closes the connection, as it does when it ends; `false` when the
    /// limit passed first.
    pub fn wait_closed(&mut self) -> bool {
        loop {
            match self.reader.fill_buf() {
                Ok([]) => return true,
                Ok(bytes) => {
                    let count = bytes.len();
                    self.reader.consume(count);
                }
                Err(error) => return !is_timeout(&error),
            }
        }
    }
}

/// The way out of an upload; it remembers whether it was barred.
struct Outlet {
    stream: UnixStream,
    failed: bool,
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).inspect_err(|_| self.failed = true)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ConnectError {
    fn from_system(error: io::Error) -> Self {
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
        if is(&[io::ErrorKind::NotFound, io::ErrorKind::NotADirectory]) {
            Self::Absent
        } else if is(&[io::ErrorKind::ConnectionRefused]) {
            Self::Dead
        } else if is(&[io::ErrorKind::PermissionDenied]) {
            Self::Permission
        } else if is_timeout(&error) {
            Self::NoAnswer
        } else {
            Self::System(error)
        }
    }
}

fn read_line(reader: &mut BufReader<UnixStream>) -> Result<String, CallError> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(_) if line.ends_with('\n') => Ok(line),
        Ok(_) => Err(CallError::Lost),
        Err(error) if is_timeout(&error) => Err(CallError::NoAnswer),
        Err(_) => Err(CallError::Lost),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

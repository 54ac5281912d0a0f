//! One connection to a broker: packets both ways, keep alive, leaving.
//!
//! Opened by `connect` and used by `publish` and `subscribe`. It knows what CONNACK granted, and turns topic
//! aliases into topics; what is sent and what comes of it is its users'.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::alias::Aliases;
use super::connect::{Granted, Target};
use super::refusal::{ended, interrupted, strange};
use crate::cli::boot::{Exit, Failure};
use crate::cli::deadline::{Deadline, Woken};
use crate::cli::signals::Signals;
use crate::codec::{
    Disconnect, Frame, PACKET_BYTES_MAX, Packet, Properties, QoS, ReasonCode, Version, decode,
    encode,
};

/// Seconds a broker may take to accept bytes.
const WRITE_SECS_MAX: u64 = 60;

/// Seconds the broker may take to close after DISCONNECT.
const LEAVE_SECS: u64 = 1;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// An accepted connection.
pub(super) struct Connection {
    stream: TcpStream,
    version: Version,
    address: String,
    input: Vec<u8>,
    signals: Signals,
    keep_alive: Option<KeepAlive>,
    /// What CONNACK said.
    granted: Granted,
    aliases: Aliases,
}

struct KeepAlive {
    every: Duration,
    due: Deadline,
    /// A PINGREQ is out and nothing came since.
    asked: bool,
}

/// What ended a wait.
pub(super) enum Came<T> {
    /// A packet, and what was made of it.
    Packet(T),
    /// What was waited for on the other descriptor.
    Other,
    /// The deadline passed.
    Late,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl Connection {
    /// Connects, says CONNECT and waits for CONNACK.
    pub(super) fn open(target: &Target<'_>, signals: Signals) -> Result<Self, Failure> {
        let mut connection = Self {
            stream: dial(target)?,
            version: target.version(),
            address: target.address.to_owned(),
            input: Vec::new(),
            signals,
            keep_alive: None,
            granted: Granted::default(),
            aliases: Aliases::default(),
        };
        target.connect(|packet| {
            if let Packet::Connect(connect) = packet {
                let allowed = connect.properties.topic_alias_maximum();
                connection.aliases.maximum = allowed.unwrap_or(0);
            }
            connection.send(packet)
        })?;
        let deadline = Deadline::after(target.limit);
        let came = connection.next(Some(&deadline), None, |packet| target.accepted(packet))?;
        connection.granted = match came {
            Came::Packet(granted) => granted?,
            Came::Other | Came::Late => return Err(connection.silent()),
            Came::Interrupted => return Err(interrupted()),
        };
        let secs = connection.granted.keep_alive_secs.unwrap_or(target.args.keep_alive);
        connection.keep_alive = (secs > 0).then(|| {
            let every = Duration::from_secs(u64::from(secs)).mul_f32(0.75);
            KeepAlive { every, due: Deadline::after(every), asked: false }
        });
        Ok(connection)
    }

    /// Protocol version of the connection.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// What CONNACK said.
    pub(super) fn granted(&self) -> &Granted {
        &self.granted
    }

    /// What the broker said it does not take; checked before it is sent.
    pub(super) fn check(&self, qos: QoS, retain: bool) -> Result<(), Failure> {
        if qos as u8 > self.granted.qos_max {
            let message = format!("the broker takes QoS {} at most", self.granted.qos_max);
            return Err(Failure::new(Exit::Failed, "qos_not_supported", message));
        }
        if retain && !self.granted.retains {
            let message = "the broker takes no retained messages";
            return Err(Failure::new(Exit::Failed, "retain_not_supported", message));
        }
        Ok(())
    }

    /// Sends a packet.
    pub(super) fn send(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes);
        let packet_bytes_max = self.granted.packet_bytes_max;
        if bytes.len() > packet_bytes_max as usize {
            let message = format!(
                "a packet of {} bytes: the broker takes {packet_bytes_max} at most",
                bytes.len(),
            );
            return Err(Failure::new(Exit::Failed, "packet_too_large", message));
        }
        if self.stream.write_all(&bytes).is_err() {
            return Err(self.parting_word());
        }
        if let Some(keep_alive) = &mut self.keep_alive {
            keep_alive.due = Deadline::after(keep_alive.every);
        }
        Ok(())
    }

    /// Waits for a packet and gives it to `take`, or for the other descriptor, the deadline or a
    /// signal. Keeps the connection alive meanwhile.
    pub(super) fn next<T>(
        &mut self,
        deadline: Option<&Deadline>,
        other: Option<(BorrowedFd<'_>, PollFlags)>,
        take: impl FnOnce(&Packet<'_>) -> T,
    ) -> Result<Came<T>, Failure> {
        loop {
            let bytes = std::mem::take(&mut self.input);
            let split = Frame::split(&bytes, PACKET_BYTES_MAX);
            let Some(frame) = split.map_err(|_| strange(&self.address))? else {
                self.input = bytes;
                if let Some(came) = self.wait(deadline, other)? {
                    return Ok(came);
                }
                continue;
            };
            let len = frame.len;
            let mut packet = decode(frame, self.version).map_err(|_| strange(&self.address))?;
            if let Packet::Publish(publish) = &mut packet {
                self.aliases.name(publish).ok_or_else(|| strange(&self.address))?;
            }
            if let Packet::Disconnect(disconnect) = &packet {
                return Err(ended(disconnect));
            }
            let taken = take(&packet);
            self.input = bytes;
            self.input.drain(..len);
            return Ok(Came::Packet(taken));
        }
    }

    /// Waits once; `None` when there is more to read, or nothing yet.
    fn wait<T>(
        &mut self,
        deadline: Option<&Deadline>,
        other: Option<(BorrowedFd<'_>, PollFlags)>,
    ) -> Result<Option<Came<T>>, Failure> {
        let left = deadline.map(Deadline::left);
        let due = self.keep_alive.as_ref().map(|keep_alive| keep_alive.due.left());
        let soonest = left.into_iter().chain(due).min();
        let mut fds = vec![PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        let signals_at = self.signals.descriptor().map(|fd| {
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
            fds.len() - 1
        });
        let other_at = other.map(|(fd, events)| {
            fds.push(PollFd::new(fd, events));
            fds.len() - 1
        });
        let limit = match soonest {
            // One more, so that it is over when poll returns.
            Some(soonest) => {
                let limit = soonest.saturating_add(Duration::from_millis(1));
                PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let _ = poll(&mut fds, limit); // EINTR: look again
        let is_ready = |at: Option<usize>| {
            at.and_then(|at| fds.get(at)).is_some_and(|fd| fd.any().unwrap_or(false))
        };
        let (readable, signalled, given) =
            (is_ready(Some(0)), is_ready(signals_at), is_ready(other_at));
        if signalled {
            return Ok(Some(Came::Interrupted));
        }
        if readable {
            self.read()?;
            return Ok(None);
        }
        if given {
            return Ok(Some(Came::Other));
        }
        if deadline.is_some_and(Deadline::passed) {
            return Ok(Some(Came::Late));
        }
        self.stay_alive()?;
        Ok(None)
    }

    fn read(&mut self) -> Result<(), Failure> {
        let start = self.input.len();
        self.input.resize(start + READ_BYTES, 0);
        let count = self.stream.read(&mut self.input[start..]);
        self.input.truncate(start + count.as_ref().copied().unwrap_or(0));
        match count {
            Ok(0) => Err(self.closed()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(self.closed()),
            _ => {
                if let Some(keep_alive) = &mut self.keep_alive {
                    keep_alive.asked = false;
                }
                Ok(())
            }
        }
    }

    /// Sends PINGREQ when nothing was sent for long, and notices when nothing comes back.
    fn stay_alive(&mut self) -> Result<(), Failure> {
        match &mut self.keep_alive {
            Some(keep_alive) if keep_alive.due.passed() => {
                if keep_alive.asked {
                    return Err(self.silent());
                }
                keep_alive.asked = true;
                self.send(&Packet::Pingreq)
            }
            _ => Ok(()),
        }
    }

    /// Waits until the broker has taken all that was sent, or says why it did not; `false` when
    /// interrupted. It answers PINGREQ after what came before.
    pub(super) fn taken(&mut self, limit: Duration) -> Result<bool, Failure> {
        self.send(&Packet::Pingreq)?;
        let deadline = Deadline::after(limit);
        loop {
            match self.next(Some(&deadline), None, |packet| *packet == Packet::Pingresp)? {
                Came::Packet(true) => return Ok(true),
                Came::Packet(false) | Came::Other => {}
                Came::Late => return Err(self.silent()),
                Came::Interrupted => return Ok(false),
            }
        }
    }

    /// Says DISCONNECT and waits until the broker has closed, so that all is delivered.
    pub(super) fn leave(mut self) -> Result<(), Failure> {
        self.send(&Packet::Disconnect(Disconnect {
            reason: ReasonCode::Success,
            properties: Properties::EMPTY,
        }))?;
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let deadline = Deadline::after(Duration::from_secs(LEAVE_SECS));
        loop {
            while let Ok(Some(frame)) = Frame::split(&self.input, PACKET_BYTES_MAX) {
                let len = frame.len;
                if let Ok(Packet::Disconnect(disconnect)) = decode(frame, self.version) {
                    return Err(ended(&disconnect)); // it had not taken what came before
                }
                self.input.drain(..len);
            }
            if deadline.wait(Some(self.stream.as_fd()), None) != Woken::Ready {
                return Ok(());
            }
            let start = self.input.len();
            self.input.resize(start + READ_BYTES, 0);
            match self.stream.read(&mut self.input[start..]) {
                Ok(0) => return Ok(()),
                Ok(count) => self.input.truncate(start + count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.input.truncate(start);
                }
                Err(_) => return Err(self.closed()), // reset: not all was read
            }
        }
    }

    /// Writing failed: the broker may have said why before it closed.
    fn parting_word(&mut self) -> Failure {
        let deadline = Deadline::after(Duration::from_secs(1));
        loop {
            match self.next(Some(&deadline), None, |_| ()) {
                Err(failure) => return failure,
                Ok(Came::Packet(())) => {}
                Ok(Came::Other | Came::Late | Came::Interrupted) => return self.closed(),
            }
        }
    }

    fn closed(&self) -> Failure {
        let message = format!("{} closed the connection", self.address);
        Failure::new(Exit::Failed, "connection_closed", message)
            .hint("the broker's log says why: mqttd log tail, journalctl -u mqttd")
    }

    fn silent(&self) -> Failure {
        let message = format!("{} does not answer", self.address);
        Failure::new(Exit::Failed, "no_answer", message)
    }
}

fn dial(target: &Target<'_>) -> Result<TcpStream, Failure> {
    let failed = |error: &io::Error| {
        let message = format!("cannot connect to {}: {error}", target.address);
        let hint = if target.args.host.is_some() {
            "does a broker listen there? --host and --port say where"
        } else {
            "mqttd status shows whether a broker runs here, and where it listens"
        };
        Failure::new(Exit::Failed, "cannot_connect", message).hint(hint)
    };
    let candidates = target.address.to_socket_addrs().map_err(|error| failed(&error))?;
    let mut last = io::Error::other("the name has no address");
    for candidate in candidates {
        match TcpStream::connect_timeout(&candidate, target.limit) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                let limit = Some(Duration::from_secs(WRITE_SECS_MAX));
                stream.set_write_timeout(limit).map_err(|error| failed(&error))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(&last))
}

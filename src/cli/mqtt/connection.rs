//! One connection to a broker: CONNECT, packets both ways, keep alive, leaving.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::SessionWish;
use crate::cli::args::{ConnectArgs, Protocol};
use crate::cli::boot::{Exit, Failure};
use crate::cli::deadline::{Deadline, Woken};
use crate::cli::signals::Signals;
use crate::codec::{
    Connack, Connect, Disconnect, Frame, PACKET_BYTES_MAX, Packet, Properties, PropertiesBuf,
    Property, QoS, ReasonCode, Version, Will, decode, encode,
};

/// Seconds a broker may take to accept bytes.
const WRITE_SECS_MAX: u64 = 60;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Where to and how.
pub(super) struct Target<'a> {
    pub(super) address: &'a str,
    pub(super) args: &'a ConnectArgs,
    pub(super) password: Option<&'a [u8]>,
    pub(super) session: SessionWish,
    pub(super) limit: Duration,
}

/// An accepted connection.
pub(super) struct Connection {
    stream: TcpStream,
    version: Version,
    address: String,
    input: Vec<u8>,
    signals: Signals,
    keep_alive: Option<KeepAlive>,
    packet_bytes_max: u32,
    qos_max: u8,
    retains: bool,
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
    /// The other descriptor has something.
    Input,
    /// The deadline passed.
    Late,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl Connection {
    /// Connects and waits for CONNACK.
    pub(super) fn open(target: &Target<'_>, signals: Signals) -> Result<Self, Failure> {
        let args = target.args;
        let stream = dial(target.address, target.limit)?;
        let mut connection = Self {
            stream,
            version: version(args.protocol),
            address: target.address.to_owned(),
            input: Vec::new(),
            signals,
            keep_alive: None,
            packet_bytes_max: PACKET_BYTES_MAX,
            qos_max: 2,
            retains: true,
        };
        let client_id = client_id(args, connection.version);
        let mut properties = PropertiesBuf::default();
        if target.session == SessionWish::Kept {
            properties.push(Property::SessionExpiryInterval(u32::MAX));
        }
        let will = args.will_topic.as_ref().map(|topic| Will {
            qos: QoS::from_bits(args.will_qos).unwrap_or(QoS::AtMostOnce),
            retain: args.will_retain,
            topic,
            properties: Properties::EMPTY,
            payload: args.will_payload.as_deref().unwrap_or_default().as_bytes(),
        });
        connection.send(&Packet::Connect(Box::new(Connect {
            version: connection.version,
            bridge: false,
            clean_start: target.session == SessionWish::Fleeting,
            keep_alive_secs: args.keep_alive,
            properties: properties.as_properties(),
            client_id: &client_id,
            will,
            username: args.username.as_deref(),
            password: target
                .password
                .filter(|_| connection.version == Version::V5 || args.username.is_some()),
        })))?;
        connection.accepted(target)?;
        Ok(connection)
    }

    fn accepted(&mut self, target: &Target<'_>) -> Result<(), Failure> {
        let deadline = Deadline::after(target.limit);
        let address = self.address.clone();
        let came = self.next(Some(&deadline), None, |packet| {
            let Packet::Connack(connack) = packet else { return Err(strange(&address)) };
            if connack.reason.is_error() {
                return Err(refused(&address, connack, target.args));
            }
            Ok(Granted::read(connack.properties))
        })?;
        let granted = match came {
            Came::Packet(granted) => granted?,
            Came::Input | Came::Late => return Err(self.silent()),
            Came::Interrupted => return Err(interrupted()),
        };
        let keep_alive = granted.keep_alive_secs.unwrap_or(target.args.keep_alive);
        self.packet_bytes_max = granted.packet_bytes_max;
        self.qos_max = granted.qos_max;
        self.retains = granted.retains;
        self.keep_alive = (keep_alive > 0).then(|| {
            let every = Duration::from_secs(u64::from(keep_alive)).mul_f32(0.75);
            KeepAlive { every, due: Deadline::after(every), asked: false }
        });
        Ok(())
    }

    /// Protocol version of the connection.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// What the broker said it does not take; checked before it is sent.
    pub(super) fn check(&self, qos: QoS, retain: bool) -> Result<(), Failure> {
        if qos as u8 > self.qos_max {
            let message = format!("the broker takes QoS {} at most", self.qos_max);
            return Err(Failure::new(Exit::Failed, "qos_not_supported", message));
        }
        if retain && !self.retains {
            let message = "the broker takes no retained messages";
            return Err(Failure::new(Exit::Failed, "retain_not_supported", message));
        }
        Ok(())
    }

    /// Sends a packet.
    pub(super) fn send(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        encode(packet, self.version, &mut bytes);
        if bytes.len() > self.packet_bytes_max as usize {
            let message = format!(
                "a packet of {} bytes: the broker takes {} at most",
                bytes.len(),
                self.packet_bytes_max
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
        input: Option<BorrowedFd<'_>>,
        take: impl FnOnce(&Packet<'_>) -> T,
    ) -> Result<Came<T>, Failure> {
        loop {
            let bytes = std::mem::take(&mut self.input);
            let split = Frame::split(&bytes, PACKET_BYTES_MAX);
            let Some(frame) = split.map_err(|_| strange(&self.address))? else {
                self.input = bytes;
                if let Some(came) = self.wait(deadline, input)? {
                    return Ok(came);
                }
                continue;
            };
            let len = frame.len;
            let packet = decode(frame, self.version).map_err(|_| strange(&self.address))?;
            if let Packet::Disconnect(disconnect) = &packet {
                return Err(ended(disconnect));
            }
            if packet != Packet::Pingresp {
                let taken = take(&packet);
                self.input = bytes;
                self.input.drain(..len);
                return Ok(Came::Packet(taken));
            }
            self.input = bytes;
            self.input.drain(..len);
        }
    }

    /// Waits once; `None` when there is more to read, or nothing yet.
    fn wait<T>(
        &mut self,
        deadline: Option<&Deadline>,
        input: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Came<T>>, Failure> {
        let left = deadline.map(Deadline::left);
        let due = self.keep_alive.as_ref().map(|keep_alive| keep_alive.due.left());
        let soonest = left.into_iter().chain(due).min();
        let mut fds = vec![PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        let signals_at = self.signals.descriptor().map(|fd| {
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
            fds.len() - 1
        });
        let input_at = input.map(|fd| {
            fds.push(PollFd::new(fd, PollFlags::POLLIN));
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
            (is_ready(Some(0)), is_ready(signals_at), is_ready(input_at));
        if signalled {
            return Ok(Some(Came::Interrupted));
        }
        if readable {
            self.read()?;
            return Ok(None);
        }
        if given {
            return Ok(Some(Came::Input));
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

    /// Says DISCONNECT and waits until the broker has closed, so that all is delivered.
    pub(super) fn leave(mut self) -> Result<(), Failure> {
        self.send(&Packet::Disconnect(Disconnect {
            reason: ReasonCode::Success,
            properties: Properties::EMPTY,
        }))?;
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let deadline = Deadline::after(Duration::from_secs(1));
        while deadline.wait(Some(self.stream.as_fd()), None) == Woken::Ready {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Writing failed: the broker may have said why before it closed.
    fn parting_word(&mut self) -> Failure {
        let deadline = Deadline::after(Duration::from_secs(1));
        loop {
            match self.next(Some(&deadline), None, |_| ()) {
                Err(failure) => return failure,
                Ok(Came::Packet(())) => {}
                Ok(Came::Input | Came::Late | Came::Interrupted) => return self.closed(),
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

/// What CONNACK grants.
struct Granted {
    keep_alive_secs: Option<u16>,
    packet_bytes_max: u32,
    qos_max: u8,
    retains: bool,
}

impl Granted {
    fn read(properties: Properties<'_>) -> Self {
        let mut granted = Self {
            keep_alive_secs: properties.server_keep_alive(),
            packet_bytes_max: properties.maximum_packet_size().unwrap_or(PACKET_BYTES_MAX),
            qos_max: 2,
            retains: true,
        };
        for property in properties.iter() {
            if let Property::MaximumQoS(qos) = property {
                granted.qos_max = qos;
            }
            if let Property::RetainAvailable(available) = property {
                granted.retains = available == 1;
            }
        }
        granted
    }
}

fn dial(address: &str, limit: Duration) -> Result<TcpStream, Failure> {
    let failed = |error: &io::Error| {
        let message = format!("cannot connect to {address}: {error}");
        Failure::new(Exit::Failed, "cannot_connect", message)
            .hint("mqttd status shows whether a broker runs here, and where it listens")
    };
    let candidates = address.to_socket_addrs().map_err(|error| failed(&error))?;
    let mut last = io::Error::other("the name has no address");
    for candidate in candidates {
        match TcpStream::connect_timeout(&candidate, limit) {
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

fn version(protocol: Protocol) -> Version {
    match protocol {
        Protocol::V31 => Version::V31,
        Protocol::V311 => Version::V311,
        Protocol::V5 => Version::V5,
    }
}

/// The identifier to connect with. Before 3.1.1 a broker cannot assign one.
fn client_id(args: &ConnectArgs, version: Version) -> String {
    match (&args.client_id, version) {
        (Some(client_id), _) => client_id.clone(),
        (None, Version::V31) => format!("mqttd-{}", std::process::id()),
        (None, Version::V311 | Version::V5) => String::new(),
    }
}

fn refused(address: &str, connack: &Connack<'_>, args: &ConnectArgs) -> Failure {
    let reason = connack.reason;
    let word = connack.properties.reason_string().unwrap_or_default();
    let colon = if word.is_empty() { "" } else { ": " };
    let message = format!("{address} refused the connection: {}{colon}{word}", reason.name());
    let is_forbidden =
        matches!(reason, ReasonCode::NotAuthorized | ReasonCode::BadUserNameOrPassword);
    if !is_forbidden {
        return Failure::new(Exit::Failed, "connection_refused", message);
    }
    let hint = match (reason, &args.username) {
        (ReasonCode::NotAuthorized, None) => "give -u NAME and --password-file FILE",
        _ => "check -u NAME and the password (--password-file FILE or MQTTD_PASSWORD)",
    };
    Failure::new(Exit::Permission, "not_authorized", message).hint(hint)
}

fn ended(disconnect: &Disconnect<'_>) -> Failure {
    let word = disconnect.properties.reason_string().unwrap_or_default();
    let colon = if word.is_empty() { "" } else { ": " };
    let message = format!("the broker ended it: {}{colon}{word}", disconnect.reason.name());
    Failure::new(Exit::Failed, "disconnected", message)
}

fn strange(address: &str) -> Failure {
    let message = format!("{address} does not speak MQTT as this command does");
    Failure::new(Exit::Failed, "protocol", message)
        .hint("is the port right? -V changes the version")
}

fn interrupted() -> Failure {
    Failure::new(Exit::Failed, "interrupted", "interrupted")
}

//! Many connections on one epoll: read all, let the scenario answer, write all.
//!
//! [`Fleet`] knows sockets and packet boundaries; what the packets mean is the scenario's, which is
//! a [`Play`].

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::process;
use crate::wire::{self, Packet};

/// Who connects: the client identifiers are `prefix` and a number.
#[derive(Clone, Debug)]
pub(crate) struct Clients<'a> {
    prefix: &'a str,
    numbers: Range<usize>,
    clean_session: bool,
}

impl<'a> Clients<'a> {
    /// Clients whose sessions end with their connections.
    pub(crate) const fn clean(prefix: &'a str, count: usize) -> Self {
        Self { prefix, numbers: 0..count, clean_session: true }
    }

    /// Clients whose sessions are kept.
    pub(crate) const fn kept(prefix: &'a str, numbers: Range<usize>) -> Self {
        Self { prefix, numbers, clean_session: false }
    }
}

/// Connections opened before the broker must have answered.
const OPENING_MAX: usize = 200;
const READ_BYTES: usize = 256 * 1024;
/// How long a broker may take to answer before a run is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What a scenario does with a packet; answers go into `out`.
pub(crate) trait Play {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, out: &mut Vec<u8>);
}

/// One connection.
struct Link {
    stream: TcpStream,
    /// The beginning of a packet whose rest has not come.
    rest: Vec<u8>,
    out: Vec<u8>,
    sent: usize,
    dirty: bool,
    blocked: bool,
    closed: bool,
}

pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    links: Vec<Link>,
    dirty: VecDeque<usize>,
    buffer: Vec<u8>,
    /// Connections the broker closed.
    pub(crate) lost: u64,
}

impl Fleet {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            links: Vec::new(),
            dirty: VecDeque::new(),
            buffer: vec![0; READ_BYTES],
            lost: 0,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// Opens a connection for each client, each with the subscription that `filter` gives it, and
    /// waits until all are answered.
    pub(crate) fn open(
        &mut self,
        address: SocketAddr,
        clients: Clients<'_>,
        filter: impl Fn(usize) -> Option<(String, u8)>,
    ) -> io::Result<()> {
        self.greet(address, clients, filter, &mut Greeting::default())
    }

    /// Opens a connection for each client whose session waits: what comes meanwhile is `play`'s. How
    /// many sessions were there.
    pub(crate) fn resume(
        &mut self,
        address: SocketAddr,
        clients: Clients<'_>,
        play: &mut dyn Play,
    ) -> io::Result<usize> {
        let mut greeting = Greeting { amid: Some(play), ..Greeting::default() };
        self.greet(address, clients, |_| None, &mut greeting)?;
        Ok(greeting.present)
    }

    fn greet(
        &mut self,
        address: SocketAddr,
        clients: Clients<'_>,
        filter: impl Fn(usize) -> Option<(String, u8)>,
        greeting: &mut Greeting<'_>,
    ) -> io::Result<()> {
        let (mut connacks, mut subacks) = (0, 0);
        let Clients { prefix, numbers, clean_session } = clients;
        let end = numbers.end;
        for number in numbers {
            let at = self.dial(address)?;
            let out = self.out(at);
            wire::connect(out, &format!("{prefix}{number}"), clean_session);
            connacks += 1;
            if let Some((filter, qos)) = filter(number) {
                wire::subscribe(out, &filter, qos);
                subacks += 1;
            }
            if number % OPENING_MAX == OPENING_MAX - 1 || number + 1 == end {
                self.await_greetings(greeting, (connacks, subacks))?;
            }
        }
        Ok(())
    }

    /// Sends DISCONNECT on these connections and waits until the broker has closed them.
    pub(crate) fn leave(&mut self, links: Range<usize>) -> io::Result<()> {
        let before = self.lost;
        for at in links.clone() {
            wire::disconnect(self.out(at));
        }
        self.flush();
        let started = process::now();
        while self.lost < before + links.len() as u64 {
            self.turn(Some(Duration::from_millis(100)), &mut Silence)?;
            self.flush();
            if process::since(started) > PATIENCE {
                return Err(io::Error::other("the broker does not close after DISCONNECT"));
            }
        }
        self.lost = before;
        Ok(())
    }

    fn dial(&mut self, address: SocketAddr) -> io::Result<usize> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let at = self.links.len();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(at), interest)?;
        self.links.push(Link {
            stream,
            rest: Vec::new(),
            out: Vec::new(),
            sent: 0,
            dirty: false,
            blocked: false,
            closed: false,
        });
        Ok(at)
    }

    fn await_greetings(
        &mut self,
        greeting: &mut Greeting<'_>,
        (connacks_due, subacks_due): (usize, usize),
    ) -> io::Result<()> {
        let started = process::now();
        while greeting.connacks < connacks_due || greeting.subacks < subacks_due {
            self.flush();
            self.turn(Some(Duration::from_millis(100)), greeting)?;
            if greeting.refused > 0 {
                return Err(io::Error::other("the broker refused a connection or subscription"));
            }
            if self.lost > 0 || process::since(started) > PATIENCE {
                let Greeting { connacks, subacks, .. } = greeting;
                let what = format!(
                    "{connacks} of {connacks_due} CONNACK, {subacks} of {subacks_due} SUBACK came; \
                     {} closed",
                    self.lost
                );
                return Err(io::Error::other(what));
            }
        }
        Ok(())
    }

    /// Bytes to be written to a connection with the next [`Self::flush`].
    pub(crate) fn out(&mut self, at: usize) -> &mut Vec<u8> {
        let link = &mut self.links[at];
        if !link.dirty {
            link.dirty = true;
            self.dirty.push_back(at);
        }
        &mut link.out
    }

    /// Never reads this connection again.
    pub(crate) fn deafen(&mut self, at: usize) -> io::Result<()> {
        self.poll.registry().deregister(&mut self.links[at].stream)
    }

    /// Waits until something can be read, or for `timeout`, to the microsecond.
    pub(crate) fn await_readable(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut ready = [PollFd::new(self.poll.registry().as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut ready, timeout.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all there is, after waiting for `timeout` at most.
    pub(crate) fn turn(
        &mut self,
        timeout: Option<Duration>,
        play: &mut impl Play,
    ) -> io::Result<()> {
        if timeout != Some(Duration::ZERO) {
            self.await_readable(timeout)?;
        }
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        let ready: Vec<(usize, bool, bool)> = self
            .events
            .iter()
            .map(|event| (event.token().0, event.is_readable(), event.is_writable()))
            .collect();
        for (at, readable, writable) in ready {
            if writable && self.links[at].blocked {
                self.links[at].blocked = false;
                self.out(at);
            }
            if readable {
                self.read(at, play);
            }
        }
        Ok(())
    }

    fn read(&mut self, at: usize, play: &mut impl Play) {
        loop {
            let link = &mut self.links[at];
            if link.closed {
                return;
            }
            let held = link.rest.len();
            if held + READ_BYTES / 2 > self.buffer.len() {
                self.buffer.resize(held + READ_BYTES, 0);
            }
            self.buffer[..held].copy_from_slice(&link.rest);
            let count = match link.stream.read(&mut self.buffer[held..]) {
                Ok(0) => {
                    link.closed = true;
                    self.lost += 1;
                    return;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => {
                    link.closed = true;
                    self.lost += 1;
                    return;
                }
            };
            let short = held + count < self.buffer.len();
            let bytes = &self.buffer[..held + count];
            let mut used = 0;
            let before = link.out.len();
            while let Some((length, packet)) = wire::cut(&bytes[used..]) {
                play.packet(at, &packet, &mut link.out);
                used += length;
            }
            link.rest.clear();
            link.rest.extend_from_slice(&bytes[used..]);
            if link.out.len() > before && !link.dirty {
                link.dirty = true;
                self.dirty.push_back(at);
            }
            // A short read has emptied the socket; epoll tells when there is more.
            if short {
                return;
            }
        }
    }

    /// Writes what waits, as far as the sockets take it.
    pub(crate) fn flush(&mut self) {
        while let Some(at) = self.dirty.pop_front() {
            let link = &mut self.links[at];
            link.dirty = false;
            if link.blocked || link.closed {
                continue;
            }
            match link.stream.write(&link.out[link.sent..]) {
                Ok(count) => link.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {
                    link.closed = true;
                    self.lost += 1;
                    continue;
                }
            }
            if link.sent == link.out.len() {
                link.out.clear();
                link.sent = 0;
            } else {
                link.blocked = true;
            }
        }
    }

    /// Whether a connection still has bytes that its socket did not take.
    pub(crate) fn is_blocked(&self, at: usize) -> bool {
        self.links[at].blocked
    }
}

/// Counts the answers to CONNECT and SUBSCRIBE.
#[derive(Default)]
struct Greeting<'a> {
    connacks: usize,
    present: usize,
    subacks: usize,
    refused: usize,
    /// Gets whatever else comes.
    amid: Option<&'a mut dyn Play>,
}

impl Play for Greeting<'_> {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, out: &mut Vec<u8>) {
        match packet {
            Packet::Connack { code: 0, session_present } => {
                self.connacks += 1;
                self.present += usize::from(*session_present);
            }
            Packet::Suback { code: 0..=2 } => self.subacks += 1,
            Packet::Connack { .. } | Packet::Suback { .. } => self.refused += 1,
            Packet::Publish { .. }
            | Packet::Puback(_)
            | Packet::Pubrec(_)
            | Packet::Pubrel(_)
            | Packet::Pubcomp(_)
            | Packet::Pingresp
            | Packet::Other(_) => match &mut self.amid {
                Some(play) => play.packet(link, packet, out),
                None => self.refused += 1,
            },
        }
    }
}

/// Expects nothing.
pub(crate) struct Silence;

impl Play for Silence {
    fn packet(&mut self, _: usize, _: &Packet<'_>, _: &mut Vec<u8>) {}
}

/// Time until `deadline`, and at most `longest`.
pub(crate) fn until(deadline: Instant, longest: Duration) -> Duration {
    deadline.saturating_duration_since(process::now()).min(longest)
}

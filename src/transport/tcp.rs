//! TCP: opening a listener, reading and writing without waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections the kernel holds for us before `accept`; capped by `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// A peer that vanished without a word, and has no Keep Alive, is noticed after 5 + 5 minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEPALIVE_RETRIES: u32 = 5;

/// Takes an address for a listener that does not wait. Until [`listen`], who connects is refused.
///
/// `SO_REUSEADDR` lets a restart bind again at once. `SO_REUSEPORT` is never set: with it a second
/// instance would silently take half of the clients. An IPv6 address is for IPv6 only, so that
/// `0.0.0.0` and `[::]` can stand side by side.
///
/// # Errors
/// What `socket(2)` or `bind(2)` says; `AddrInUse` when somebody else listens there.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    let listener = TcpListener::from(socket);
    prepare(&listener)?;
    Ok(listener)
}

/// From now on connections are taken; one that listens already goes on.
///
/// # Errors
/// What `listen(2)` says; `AddrInUse` when somebody else has begun to listen there since [`bind`].
pub fn listen(bound: &TcpListener) -> io::Result<()> {
    SockRef::from(bound).listen(BACKLOG)
}

/// Sets what accepted sockets inherit from their listener (Linux hands these options down):
/// `TCP_NODELAY`, as batches are made here and not by the kernel, and keep-alive probes.
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn prepare(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let socket = SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    socket.set_tcp_keepalive(&probes)
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, at least 1. Fewer than there was room for: the socket is dry.
    Bytes(usize),
    /// Nothing there.
    Dry,
    /// The peer closed or reset the connection, or the network failed.
    Ended,
}

/// What one write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The socket took so many bytes, perhaps 0. Fewer than offered: it is full.
    Bytes(usize),
    /// The connection is broken.
    Broken,
}

/// A connected socket that does not wait.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
}

impl Stream {
    /// Takes a socket over; it must be non-blocking already.
    #[must_use]
    pub const fn new(socket: TcpStream) -> Self {
        Self { socket }
    }

    /// One `recv(2)`.
    pub fn receive(&self, buffer: &mut [u8]) -> Received {
        loop {
            return match (&self.socket).read(buffer) {
                Ok(0) => Received::Ended,
                Ok(count) => Received::Bytes(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Received::Dry,
                Err(_) => Received::Ended,
            };
        }
    }

    /// One `send(2)`.
    pub fn send(&self, bytes: &[u8]) -> Sent {
        loop {
            return match (&self.socket).write(bytes) {
                Ok(count) => Sent::Bytes(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Bytes(0),
                Err(_) => Sent::Broken,
            };
        }
    }

    /// Says that nothing more will be sent; the peer can still be read.
    pub fn end_sending(&self) {
        // A connection that is gone already needs no end.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// The socket, to be waited for elsewhere.
    #[must_use]
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(address: &str) -> SocketAddr {
        address.parse().expect("an address")
    }

    fn listening(address: SocketAddr) -> io::Result<TcpListener> {
        let bound = bind(address)?;
        listen(&bound).map(|()| bound)
    }

    #[test]
    fn ipv4_and_ipv6_listen_on_the_same_port() {
        let four = listening(loopback("0.0.0.0:0")).expect("an IPv4 listener");
        let port = four.local_addr().expect("its address").port();
        listening(loopback(&format!("[::]:{port}"))).expect("an IPv6 listener beside it");
    }

    #[test]
    fn a_second_listener_on_the_same_address_is_refused() {
        let first = listening(loopback("127.0.0.1:0")).expect("a listener");
        let address = first.local_addr().expect("its address");
        let refused = bind(address).expect_err("two listeners on one address");
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn who_connects_is_refused_until_it_listens() {
        let bound = bind(loopback("127.0.0.1:0")).expect("an address");
        let address = bound.local_addr().expect("the address");
        let refused = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        for _ in 0..2 {
            listen(&bound).expect("a listener");
            TcpStream::connect(address).expect("it listens");
        }
    }

    #[test]
    fn of_two_that_have_bound_one_listens() {
        let first = bind(loopback("127.0.0.1:0")).expect("an address");
        let address = first.local_addr().expect("the address");
        let second = bind(address).expect("nobody listens there yet");
        listen(&second).expect("the only listener");
        let refused = listen(&first).expect_err("a second listener");
        assert_eq!(refused.kind(), ErrorKind::AddrInUse);
    }

    #[test]
    fn accepted_sockets_inherit_nodelay() {
        let listener = listening(loopback("127.0.0.1:0")).expect("a listener");
        listener.set_nonblocking(false).expect("to wait in accept");
        let address = listener.local_addr().expect("its address");
        let _client = TcpStream::connect(address).expect("a client");
        let (accepted, _) = listener.accept().expect("the client");
        assert!(accepted.nodelay().expect("the option"));
    }
}

//! The first packet of a connection: read, decoded, judged.
//!
//! The buffer grows with the bytes that arrive; a length that is only announced allocates nothing.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::shared::Shared;
use crate::broker::{Admission, Refusal};
use crate::codec::{
    Connack, Connect, DecodeError, Frame, Packet, Properties, Version, decode, encode,
};

/// CONNECT is the first packet, and nothing else may be `[MQTT-3.1.0-1]`.
const CONNECT: u8 = 0x10;
const BUFFER_BYTES: usize = 1024;

/// What came of it.
pub(super) enum Greeting {
    Admitted {
        admission: Box<Admission>,
        /// What came behind the CONNECT.
        rest: Vec<u8>,
    },
    Refused {
        refusal: Refusal,
        client_id: Box<str>,
        connack: Vec<u8>,
    },
    Malformed {
        error: String,
        /// Empty where the standard has no answer.
        connack: Vec<u8>,
    },
    Timeout,
    /// The peer closed before its CONNECT was whole.
    Closed,
}

/// Reads until the first packet is whole, or cannot become one.
pub(super) async fn hear(shared: &Shared, stream: &TcpStream) -> io::Result<Vec<u8>> {
    let packet_bytes_max = connect_bytes_max(shared);
    let mut bytes = Vec::new();
    let mut counted = Counted { shared, bytes: 0 };
    while !is_decided(&bytes, packet_bytes_max) {
        stream.readable().await?;
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len().max(BUFFER_BYTES));
        }
        match stream.try_read_buf(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if counted.grow_to(bytes.len()) => {}
            Ok(_) => return Err(io::ErrorKind::OutOfMemory.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Who has not said who they are may not make the server hold more than a CONNECT needs: five
/// fields of 64 KiB and some properties.
const CONNECT_BYTES_MAX: u32 = 512 * 1024;

fn connect_bytes_max(shared: &Shared) -> u32 {
    shared.commons.limits().packet_bytes_max.min(CONNECT_BYTES_MAX)
}

/// What one connection in the lobby holds, as long as it does, in the bound of incomplete packets.
struct Counted<'s> {
    shared: &'s Shared,
    bytes: usize,
}

impl Counted<'_> {
    /// `false` when there is no room for it.
    fn grow_to(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.shared.partial.changed(before, bytes)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shared.partial.changed(self.bytes, 0);
    }
}

fn is_decided(bytes: &[u8], packet_bytes_max: u32) -> bool {
    let other = bytes.first().is_some_and(|&first| first != CONNECT);
    other || !matches!(Frame::split(bytes, packet_bytes_max), Ok(None))
}

/// Decides who comes in.
pub(super) fn judge(shared: &Shared, heard: io::Result<Vec<u8>>, peer: SocketAddr) -> Greeting {
    let Ok(mut bytes) = heard else {
        return Greeting::Closed;
    };
    if bytes.first() != Some(&CONNECT) {
        let error = format!("the first packet is no CONNECT: {}", guess(&bytes));
        return Greeting::Malformed { error, connack: Vec::new() };
    }
    let frame = match Frame::split(&bytes, connect_bytes_max(shared)) {
        Ok(Some(frame)) => frame,
        Ok(None) => return Greeting::Closed,
        Err(error) => {
            return Greeting::Malformed { error: error.to_string(), connack: Vec::new() };
        }
    };
    let connect = match decode(frame, Version::V5) {
        Ok(Packet::Connect(connect)) => connect,
        Ok(_) => return Greeting::Closed, // The first byte says CONNECT.
        Err(error) => return malformed(error, frame),
    };
    match admission(shared, &connect, peer) {
        Ok(admission) => {
            let len = frame.len;
            bytes.drain(..len);
            bytes.shrink_to_fit();
            Greeting::Admitted { admission: Box::new(admission), rest: bytes }
        }
        Err(refusal) => Greeting::Refused {
            refusal,
            client_id: connect.client_id.into(),
            connack: refusal.connack(connect.version),
        },
    }
}

fn admission(
    shared: &Shared,
    connect: &Connect<'_>,
    peer: SocketAddr,
) -> Result<Admission, Refusal> {
    let live = shared.live();
    if shared.is_stopping() {
        return Err(Refusal::ServerShuttingDown);
    }
    if !live.anonymous.admits(peer.ip()) {
        return Err(Refusal::NotAuthorized);
    }
    // This connection is counted already.
    if shared.connections() > live.connections_max {
        return Err(Refusal::TooManyConnections);
    }
    let assigned = || shared.chance.client_id();
    Admission::new(connect, peer, &shared.commons.limits(), assigned)
}

/// A CONNECT that cannot be read: told to whoever understands the answer.
fn malformed(error: DecodeError, frame: Frame<'_>) -> Greeting {
    let mut connack = Vec::new();
    if let Some(version) = Connect::refusal_version(frame, error) {
        let refused = Connack {
            session_present: false,
            reason: error.reason(),
            properties: Properties::EMPTY,
        };
        encode(&Packet::Connack(refused), version, &mut connack);
    }
    Greeting::Malformed { error: error.to_string(), connack }
}

/// What else may be knocking here.
fn guess(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x16, 3, ..] => "it looks like TLS, and this listener speaks plain MQTT",
        [b'G', b'E', b'T', b' ', ..] => {
            "it looks like HTTP or WebSocket, and this listener speaks plain MQTT"
        }
        [b'P', b'R', b'O', b'X', b'Y', b' ', ..] | [0x0d, 0x0a, 0x0d, 0x0a, ..] => {
            "it looks like the PROXY protocol, which this listener does not speak"
        }
        _ => "it is not MQTT, or the client is out of step",
    }
}

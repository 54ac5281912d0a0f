//! A connection in the lobby: its bytes are read, and [`Introduction`] says what they mean.
//!
//! The buffer grows with the bytes that arrive; a length that is only announced allocates nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;

use super::shared::Shared;
use crate::broker::{
    Admission, Directions, Heard, Introduction, Limits, Methods, Reception, Refusal,
};
use crate::codec::Connect;

const BUFFER_BYTES: usize = 1024;

/// What came of it.
pub(super) enum Greeting {
    Admitted {
        admission: Box<Admission>,
        /// What came behind the last packet.
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
    /// The peer closed or gave up before it was let in.
    Closed,
}

/// Reads and answers until it is decided whether the client comes in.
pub(super) async fn greet(
    shared: &Shared,
    stream: &TcpStream,
    peer: SocketAddr,
    introduction: &mut Introduction,
) -> Greeting {
    let desk = Desk { shared, peer };
    let mut incoming = Incoming { shared, bytes: Vec::new(), counted_bytes: 0 };
    loop {
        let (used, heard) = introduction.hear(&incoming.bytes, &desk);
        let going_on = match heard {
            Heard::More => incoming.read(stream).await,
            Heard::Challenge(bytes) => {
                incoming.bytes.drain(..used);
                shared.counts.packets_received.fetch_add(1, Ordering::Relaxed);
                shared.counts.said(bytes.len());
                write_all(stream, &bytes).await
            }
            Heard::Admitted(admission) => {
                incoming.bytes.drain(..used);
                let mut rest = std::mem::take(&mut incoming.bytes);
                rest.shrink_to_fit();
                return Greeting::Admitted { admission, rest };
            }
            Heard::Refused { refusal, client_id, connack } => {
                return Greeting::Refused { refusal, client_id, connack };
            }
            Heard::Violated { violation, connack } => {
                return Greeting::Malformed { error: violation.to_string(), connack };
            }
            Heard::NoConnect => {
                let guess = guess(&incoming.bytes);
                let error = format!("the first packet is no CONNECT: {guess}");
                return Greeting::Malformed { error, connack: Vec::new() };
            }
            Heard::Goodbye => return Greeting::Closed,
        };
        match going_on {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                shared.partial.count_ended();
                let refusal = Refusal::PartialPacketsFull;
                let (client_id, connack) = introduction.no_room(&incoming.bytes);
                return Greeting::Refused { refusal, client_id, connack };
            }
            Err(_) => return Greeting::Closed,
        }
    }
}

/// What a connection in the lobby has sent and was not looked at; it counts, as long as it does, in
/// the bound of incomplete packets.
struct Incoming<'s> {
    shared: &'s Shared,
    bytes: Vec<u8>,
    counted_bytes: usize,
}

impl Incoming<'_> {
    async fn read(&mut self, stream: &TcpStream) -> io::Result<()> {
        loop {
            stream.readable().await?;
            if self.bytes.len() == self.bytes.capacity() {
                self.bytes.reserve(self.bytes.len().max(BUFFER_BYTES));
            }
            match stream.try_read_buf(&mut self.bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) if self.count(count) => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::OutOfMemory.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// `false` when there is no room for it.
    fn count(&mut self, read: usize) -> bool {
        self.shared.counts.bytes_received.fetch_add(read as u64, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.counted_bytes, self.bytes.len());
        self.shared.partial.changed(before, self.counted_bytes)
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        self.shared.partial.changed(self.counted_bytes, 0);
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the server says of one connection.
struct Desk<'s> {
    shared: &'s Shared,
    peer: SocketAddr,
}

impl Reception for Desk<'_> {
    fn limits(&self) -> Arc<Limits> {
        self.shared.commons.limits()
    }

    fn methods(&self) -> &Methods {
        &self.shared.methods
    }

    fn directions(&self) -> Arc<Directions> {
        self.shared.commons.directions()
    }

    fn client_id(&self) -> Box<str> {
        self.shared.chance.client_id()
    }

    fn admits(&self, connect: &Connect<'_>) -> Result<(), Refusal> {
        let live = self.shared.live();
        if let Some(refusal) = self.shared.closed() {
            return Err(refusal);
        }
        // Who names a method comes in by what it proves.
        let proves = connect.properties.authentication_method().is_some();
        if !proves && !live.anonymous.admits(self.peer.ip()) {
            return Err(Refusal::NotAuthorized);
        }
        // This connection is counted already.
        if self.shared.connections() > live.connections_max {
            return Err(Refusal::TooManyConnections);
        }
        Ok(())
    }
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

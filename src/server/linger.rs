//! The end of a connection to which something is still to be said.
//!
//! Closing a socket whose peer has sent more than was read resets the connection, and the reset
//! eats what was written last: a CONNACK with the reason, a DISCONNECT. So the rest is written,
//! the sending side is closed, and what the peer still sends is thrown away until it closes too,
//! all within a second.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::gate::Seat;
use super::shared::Shared;
use crate::transport::Stream;

const LINGER: Duration = Duration::from_secs(1);

/// Says the rest and closes, on a thread of the lobby. The socket is watched by nobody.
pub(super) fn linger(shared: &Shared, stream: Stream, rest: Vec<u8>, seat: Seat) {
    let Ok(room) = Arc::clone(&shared.lingering).try_acquire_owned() else {
        return; // Too many: closed as it is.
    };
    shared.lobby.spawn(async move {
        if let Ok(stream) = TcpStream::from_std(stream.into_socket()) {
            say_and_close(stream, &rest).await;
        }
        drop(seat);
        drop(room);
    });
}

/// Says the rest and closes.
pub(super) async fn say_and_close(mut stream: TcpStream, rest: &[u8]) {
    // Whatever fails here, the connection ends with it.
    let _ = timeout(LINGER, until_closed(&mut stream, rest)).await;
}

async fn until_closed(stream: &mut TcpStream, rest: &[u8]) -> io::Result<()> {
    stream.write_all(rest).await?;
    stream.shutdown().await?;
    let mut waste = [0; 512];
    while stream.read(&mut waste).await? > 0 {}
    Ok(())
}

//! Threads, sockets, the clock, mailboxes and the lobby.

use std::net::SocketAddr;

use crate::broker::{Commons, Now, Shard, Stats};

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {}

/// One listening socket.
#[derive(Clone, Debug)]
pub struct ListenerView {
    /// Which `[listener.NAME]` it comes from.
    pub name: String,
    /// The address it is bound to.
    pub address: SocketAddr,
    /// Connections now.
    pub connections: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections refused since the start.
    pub refused: u64,
}

impl Server {
    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        todo!()
    }

    /// The home shard of a client.
    #[must_use]
    pub fn home(&self, client_id: &str) -> usize {
        let _ = client_id;
        todo!()
    }

    /// Asks a shard; waits for its lock.
    pub fn ask<R>(&self, shard: usize, question: impl FnOnce(&mut Shard, Now) -> R) -> R {
        let _ = (shard, question);
        todo!()
    }

    /// What the shards share.
    #[must_use]
    pub fn commons(&self) -> &Commons {
        todo!()
    }

    /// The listening sockets.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerView> {
        todo!()
    }

    /// Counters and gauges of all shards and of the server.
    #[must_use]
    pub fn stats(&self) -> Stats {
        todo!()
    }
}

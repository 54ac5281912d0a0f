//! Threads, sockets, the clock, mailboxes and the lobby.

use std::net::SocketAddr;

use crate::broker::{Commons, Now, Shard, Stats};

/// A running server.
#[derive(Clone, Debug)]
pub struct Server(std::convert::Infallible);

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
        match self.0 {}
    }

    /// The home shard of a client.
    #[must_use]
    pub fn home(&self, client_id: &str) -> usize {
        let _ = client_id;
        match self.0 {}
    }

    /// Asks a shard; waits for its lock.
    pub fn ask<R>(&self, shard: usize, question: impl FnOnce(&mut Shard, Now) -> R) -> R {
        let _ = (shard, question);
        match self.0 {}
    }

    /// What the shards share.
    #[must_use]
    pub fn commons(&self) -> &Commons {
        match self.0 {}
    }

    /// The listening sockets.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerView> {
        match self.0 {}
    }

    /// Counters and gauges of all shards and of the server.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match self.0 {}
    }
}

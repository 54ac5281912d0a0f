//! What a server is started with, and what can go wrong then.

use std::io;
use std::net::SocketAddr;

use super::Anonymous;
use crate::broker::{Directions, Limits, Methods};
use crate::store::{Store, StoreError};

/// How a server is to run. [`super::Server::reconfigure`] says which of it can change later.
#[derive(Clone, Debug)]
pub struct Options {
    /// Shards, each with a thread; 0 counts as 1.
    pub shards: usize,
    /// Addresses to listen on. An IPv6 address is for IPv6 only, so that `0.0.0.0` and `[::]` can
    /// stand side by side.
    pub tcp: Vec<SocketAddr>,
    /// Bounds of the broker.
    pub limits: Limits,
    /// Who may come in without credentials.
    pub anonymous: Anonymous,
    /// Methods of enhanced authentication. Who comes in by one has shown credentials, so that
    /// `anonymous` does not ask where it comes from.
    pub methods: Methods,
    /// Network connections at one time, those in the lobby included.
    pub connections_max: u64,
    /// From `accept` to the last byte of CONNECT, or to the end of an enhanced authentication,
    /// seconds `[MQTT31-21]`.
    pub connect_timeout_secs: u64,
    /// Connections that have not sent their CONNECT yet; further ones wait in the kernel's
    /// backlog.
    pub connecting_max: usize,
    /// Where clients are sent, and where answers to them go.
    pub directions: Directions,
    /// Whether nobody is served: those who are connected are sent away, and others refused. So a
    /// server is emptied before it is taken out of service.
    pub draining: bool,
    /// Seconds between two publications of `$SYS`, 0 = none.
    pub sys_interval_secs: u64,
    /// The least time between two syncs of the store, milliseconds: fewer and larger ones.
    pub sync_delay_ms_max: u64,
}

/// A store for what outlives the server, and who is told how reading it goes.
pub struct Keeping<'p> {
    /// Open, and not read yet.
    pub store: Box<dyn Store>,
    /// Is told now and then how many records were read.
    pub progress: &'p mut dyn FnMut(u64),
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread, or what one waits with, could not be made.
    #[error("cannot start the threads of the server: {0}")]
    Threads(#[source] io::Error),
    /// The machine's source of randomness could not be opened.
    #[error("cannot open /dev/urandom: {0}")]
    Chance(#[source] io::Error),
    /// What is kept could not be read.
    #[error(transparent)]
    Store(StoreError),
}

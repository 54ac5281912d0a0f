//! The server over real sockets on the loopback interface.
//!
//! Everything waits on readiness: a read that gets nothing for a minute fails the test.

mod authenticate;
pub(crate) mod double;
mod durable;
mod journal;
mod lobby;
mod operate;
mod peer;
mod redirect;
mod status;
mod traffic;

use std::net::SocketAddr;
use std::time::Duration;

use super::{Anonymous, Inherited, Options, Server};
use crate::broker::{Directions, Durability, Limits, Methods, QueueFull, SharedChoice};

/// What is waited for at most: how slow the machine is says nothing about the server.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn limits() -> Limits {
    Limits {
        packet_bytes_max: 2 << 20,
        receive_maximum: 1000,
        topic_alias_maximum: 10,
        assigned_aliases_max: 10,
        keep_alive_secs_max: u16::MAX,
        topic_levels_max: 128,
        checks_payload_format: false,
        subscriptions_max: 1000,
        inflight_max: 1000,
        queue_messages_max: 1000,
        queue_bytes_max: 8 << 20,
        queue_full: QueueFull::DropNewest,
        store_queue_bytes_max: u64::MAX,
        session_expiry_secs_max: u32::MAX,
        outbox_bytes_max: 64 * 1024,
        retained_messages_max: 1000,
        sessions_max: 100_000,
        memory_bytes_max: 1 << 30,
        shared_choice: SharedChoice::LeastBacklog,
        durability: Durability::default(),
    }
}

fn options(shards: usize) -> Options {
    Options {
        shards,
        tcp: vec!["127.0.0.1:0".parse().expect("an address")],
        limits: limits(),
        anonymous: Anonymous::Private,
        methods: Methods::default(),
        connections_max: 10_000,
        connect_timeout_secs: 30,
        connecting_max: 1000,
        directions: Directions::default(),
        draining: false,
        sys_interval_secs: 0,
        sync_delay_ms_max: 0,
    }
}

/// A server that stops with the test.
struct Running {
    server: Server,
}

impl Running {
    fn new(shards: usize) -> Self {
        Self::with(options(shards))
    }

    fn with(options: Options) -> Self {
        let server = Server::start(options, Inherited::new()).expect("a server");
        Self { server }
    }

    fn address(&self) -> SocketAddr {
        self.server.listeners()[0].address
    }

    fn stat(&self, name: &str) -> u64 {
        self.server.stats().value(name)
    }

    /// Asks again and again until the figure is what it should become.
    fn wait_for_stat(&self, name: &str, value: u64) {
        let limit = super::Clock::instant() + PATIENCE;
        while self.stat(name) != value {
            let now = super::Clock::instant();
            assert!(now < limit, "{name} is {} and not {value}", self.stat(name));
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.stop(Duration::from_secs(5), || ());
    }
}

//! mqttd: an MQTT broker for Debian and Ubuntu.
//!
//! The floors of the house; arrows point down only, and `tests/house.rs` enforces them:
//!
//! ```text
//! 6  daemon · cli         argv, configuration, signals, systemd, privileges
//! 5  control → admin      faces; one vocabulary of questions and commands
//! 4  server               threads, sockets, the clock, mailboxes, lobby
//! 3  store · transport    engines; they do not know each other
//! 2  broker               a shard: routing, sessions, retained messages, wills, timers
//! 1  session              one client's protocol state
//! 0  codec · topic        packets and bytes; names, filters, trie
//! ```
//!
//! A shard is a machine; the server turns its crank. Nothing on the floors 0 to 2 waits, reads a
//! clock, spawns or knows a socket.

pub mod admin;
pub mod broker;
pub mod cli;
pub mod codec;
pub mod control;
pub mod daemon;
pub mod server;
pub mod session;
pub mod store;
pub mod topic;
pub mod transport;

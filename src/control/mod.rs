//! The control socket: how the `mqttd` command talks to the daemon.
//!
//! `daemon` binds a [`Door`] and [`serve`]s it; `cli` uses a [`Client`]. Between them goes one
//! JSON object a line:
//!
//! ```text
//! daemon   {"mqttd":"1.0.0","protocol":1}
//! command  {"id":1,"call":"clients.list","args":{"limit":2}}
//! daemon   {"id":1,"ok":true,"result":[{…},{…}],"more":true}
//! daemon   {"id":1,"ok":true,"result":[]}
//! ```
//!
//! A call that takes lines is answered with `"more":true` first; then the command sends its lines and
//! an empty one, and the daemon says what came of it, or before that why it takes no more.
//!
//! What is asked and answered belongs to `admin`; this room only carries it, and keeps anybody
//! from getting in the way: requests of 64 KiB at most, 5 s to send one, a bounded number of
//! connections of which the longest idle leaves when another comes.

mod client;
mod conversation;
mod crowd;
mod door;
mod frame;
mod peer;
mod place;
mod serve;
mod takes;
#[cfg(test)]
mod tests;

pub use client::{CallError, Client, ConnectError, Dialled};
pub use conversation::IDLE_SECS_MAX;
pub use crowd::CONNECTIONS_MAX;
pub use door::{BindError, Door, PATH_BYTES_MAX};
pub use frame::{Cut, Hello, PROTOCOL, REQUEST_BYTES_MAX, Reply, Request};
pub use place::Place;
pub use serve::{Serving, serve};

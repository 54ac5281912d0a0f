//! The control socket: how the `mqttd` command talks to the daemon.

mod place;

pub use place::Place;

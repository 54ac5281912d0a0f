//! Bytes in, bytes out: listeners and streams. This room does not know MQTT.
//!
//! `server` opens listeners here and reads and writes through [`Stream`]. What a byte layer such
//! as TLS will need lies between [`Stream::receive`] / [`Stream::send`] and the socket, so that
//! nothing above changes. Waiting is not done here: every call returns at once.

mod tcp;

pub use tcp::{Received, Sent, Stream, bind, listen, prepare};

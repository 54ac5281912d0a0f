//! A connection the lobby let in, on its way to its home shard.

use crate::broker::Admission;
use crate::transport::Stream;

use super::gate::Seat;

/// Everything the shard needs of it.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) admission: Admission,
    pub(super) stream: Stream,
    /// What the client sent behind its CONNECT already.
    pub(super) rest: Vec<u8>,
    pub(super) seat: Seat,
}

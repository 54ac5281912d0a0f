//! Who is who in a broker: times, connections, sessions.

/// The time, told by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never goes back; where its zero lies means nothing.
    pub ticks_ms: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
}

/// One network connection of a shard. The slot is reused, the serial never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Index of the client's session in its shard.
    pub slot: u32,
    /// Which connection of that shard.
    pub serial: u32,
}

/// One session of the broker, wherever it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// Its home shard.
    pub shard: u16,
    /// Its place there.
    pub slot: u32,
    /// Which session of that shard: a slot is reused, a serial never is.
    pub serial: u32,
}

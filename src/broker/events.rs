//! What happened, for those who watch: the log now, metrics and hooks later.
//!
//! Events lie in a bounded tray; a watcher can neither slow nor fail a step.

use std::net::SocketAddr;

use super::Refusal;
use crate::codec::Version;
use crate::session::{Denial, DropReason, Violation};

/// Something an operator may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A client is connected.
    Connected {
        /// Client Identifier.
        client_id: Box<str>,
        /// User Name.
        username: Option<Box<str>>,
        /// Address of the peer.
        peer: SocketAddr,
        /// Protocol version.
        version: Version,
        /// Whether an earlier session was resumed.
        session_present: bool,
        /// Keep Alive in force, seconds.
        keep_alive_secs: u16,
    },
    /// A client that had nothing against it was not let in, as the shard cannot serve it.
    Refused {
        /// Client Identifier.
        client_id: Box<str>,
        /// Address of the peer.
        peer: SocketAddr,
        /// Why.
        refusal: Refusal,
    },
    /// A client has proven anew who it is.
    Reauthenticated {
        /// Client Identifier.
        client_id: Box<str>,
        /// User Name from now on.
        username: Option<Box<str>>,
    },
    /// A client's connection ended.
    Disconnected {
        /// Client Identifier.
        client_id: Box<str>,
        /// Address of the peer.
        peer: SocketAddr,
        /// How.
        departure: Departure,
    },
    /// A session ended.
    SessionEnded {
        /// Client Identifier.
        client_id: Box<str>,
        /// Messages that waited and are gone with it.
        queue_messages: usize,
    },
    /// The first message of a connection or an offline time was dropped; later ones only count.
    Dropping {
        /// Client Identifier.
        client_id: Box<str>,
        /// Why.
        reason: DropReason,
    },
    /// The queue of a client is full, and publishers are told so: for the first time in a
    /// connection or an offline time, and nothing was dropped before.
    Refusing {
        /// Client Identifier.
        client_id: Box<str>,
    },
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// DISCONNECT from the client: the Will is discarded.
    Normal,
    /// DISCONNECT 0x04 from the client: the Will is published.
    WithWill,
    /// The peer closed or reset the connection, or the network failed.
    ByPeer,
    /// The client broke the standard.
    Violation(Violation),
    /// The client could not prove anew who it is.
    AuthenticationFailed(Denial),
    /// The same Client Identifier connected again.
    TakenOver,
    /// An operator ended it.
    AdministrativeAction,
    /// Its incomplete packet found no room beside those of others.
    PartialPacketsFull,
    /// The server stops.
    ServerShuttingDown,
    /// The server stops, and named another.
    UseAnotherServer,
    /// The server serves nobody any more, and named another.
    ServerMoved,
}

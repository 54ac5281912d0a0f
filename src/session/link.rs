//! What lives as long as one network connection.

use std::net::SocketAddr;

use super::{Aliases, AssignedAliases, Authentication, Held, Outbox};
use crate::codec::Version;

/// What the client said it can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// Receive Maximum: QoS 1 and 2 messages in flight towards it.
    pub receive_maximum: u16,
    /// Maximum Packet Size, bytes.
    pub packet_bytes_max: u32,
    /// Topic Alias Maximum: the highest alias the server may set.
    pub topic_alias_maximum: u16,
    /// Whether it wants Reason Strings and User Properties on anything but PUBLISH, CONNACK and
    /// DISCONNECT (Request Problem Information).
    pub problem_information: bool,
}

/// One network connection of a session, seen from the protocol.
#[derive(Debug)]
pub struct Link {
    /// Which connection of the shard.
    pub serial: u32,
    /// Protocol version.
    pub version: Version,
    /// Whether the client is a bridge that said so in CONNECT.
    pub bridge: bool,
    /// Address of the peer.
    pub peer: SocketAddr,
    /// What the client can take.
    pub limits: PeerLimits,
    /// The enhanced authentication, when CONNECT named a method.
    pub authentication: Option<Box<Authentication>>,
    /// Keep Alive in force, seconds; 0 = off.
    pub keep_alive_secs: u16,
    /// When the last bytes came, on the clock of `ticks_ms`.
    pub received_ms: u64,
    /// Topic Aliases of the client, which are of this connection alone `[MQTT-3.3.2-7]`.
    pub aliases: Aliases,
    /// Topic Aliases of the server, where the client allows them.
    pub assigned: Option<Box<AssignedAliases>>,
    /// Bytes for the socket.
    pub outbox: Outbox,
    /// Packets that wait for the disk.
    pub held: Option<Box<Held>>,
    /// Packet Identifiers still to be sent again after a resume, last first.
    pub resend: Vec<u16>,
    /// Whether the connection stands in the tray of dirty ones.
    pub dirty: bool,
    /// What of [`Link::held_bytes`] is counted in the memory budget.
    pub counted_bytes: usize,
    /// Application Messages received.
    pub messages_in: u64,
    /// Application Messages sent.
    pub messages_out: u64,
}

impl Link {
    /// Memory of its outbox and its Topic Aliases.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let assigned_bytes = self.assigned.as_ref().map_or(0, |assigned| assigned.bytes());
        self.unsent_bytes() + self.aliases.bytes() + assigned_bytes
    }

    /// Bytes for the socket, those that wait for the disk included.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.outbox.len() + self.held.as_ref().map_or(0, |held| held.len())
    }

    /// Where to encode a packet that waits for the disk.
    pub fn held_buffer(&mut self) -> &mut Vec<u8> {
        self.held.get_or_insert_default().buffer()
    }

    /// Whether messages come behind a SUBACK that waits for the disk.
    #[must_use]
    pub fn holds_messages(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.holds_messages())
    }

    /// Whether nothing may go out yet, not even CONNACK.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_shut())
    }
}

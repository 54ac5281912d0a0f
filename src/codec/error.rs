//! What a peer can get wrong on the wire.

/// Placeholder variant list: one variant per offence, each with its Reason Code and statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The packet is above Maximum Packet Size.
    #[error("packet of {bytes} bytes is above the limit of {limit}")]
    PacketTooLarge {
        /// Size announced by the fixed header.
        bytes: u32,
        /// The limit in force.
        limit: u32,
    },
}

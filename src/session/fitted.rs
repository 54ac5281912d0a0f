//! Packets made to fit what a client takes (section 3.1.2.11.4 of 5.0).
//!
//! Of the packets a server sends, PUBLISH apart, a client's Maximum Packet Size can only be below
//! CONNACK, SUBACK, UNSUBACK, AUTH, and whatever carries properties: an acknowledgement with its
//! Reason Code has 5 bytes, PINGRESP 2, a DISCONNECT with its Reason Code 4, and a client that
//! takes less than 5 bytes cannot be sent the CONNACK it begins with.

use super::PeerLimits;
use crate::codec::{Packet, Properties, PropertiesBuf, Property, Version, encode};

/// Writes a packet at the end of `out` with the first of the property lists with which the client
/// takes it `[MQTT-3.1.2-24]`; `false` when it takes it with none of them.
pub fn encode_fitted<'p>(
    lists: &[Properties<'p>],
    packet: &Packet<'p>,
    version: Version,
    packet_bytes_max: u32,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    lists.iter().any(|properties| {
        encode(&packet.with_properties(*properties), version, out);
        let fits = out.len() - start <= packet_bytes_max as usize;
        if !fits {
            out.truncate(start);
        }
        fits
    })
}

impl PeerLimits {
    /// `required` and a Reason String, where the client wants one `[MQTT-3.1.2-29]`. It is left out
    /// of CONNACK and DISCONNECT too, where it would be allowed: the client said that it has no use
    /// for it.
    #[must_use]
    pub fn with_reason_string(&self, required: &PropertiesBuf, words: &str) -> PropertiesBuf {
        let mut properties = required.clone();
        if self.problem_information && !words.is_empty() {
            properties.push(Property::ReasonString(words));
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Disconnect, ReasonCode};

    #[test]
    fn the_best_list_that_fits_is_taken() {
        let mut words = PropertiesBuf::default();
        words.push(Property::ReasonString("0123456789"));
        let lists = [words.as_properties(), Properties::EMPTY];
        let (reason, properties) = (ReasonCode::QuotaExceeded, Properties::EMPTY);
        let packet = Packet::Disconnect(Disconnect { reason, properties });
        for (packet_bytes_max, expected) in [(17, Some(17)), (16, Some(4)), (4, Some(4)), (3, None)]
        {
            let mut out = vec![7];
            let fits = encode_fitted(&lists, &packet, Version::V5, packet_bytes_max, &mut out);
            assert_eq!(fits.then_some(out.len() - 1), expected, "{packet_bytes_max}");
            assert_eq!(out[0], 7);
        }
    }
}

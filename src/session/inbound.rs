//! PUBLISH, PUBREL and acknowledgements from the client: what they do to the session.

use super::{Mismatch, Session, Violation};
use crate::codec::{QoS, ReasonCode, Version};

impl Session {
    /// Takes note of a PUBLISH; `false` when it is a re-delivery of a QoS 2 message already
    /// received, which is acknowledged again and goes no further `[MQTT-4.3.3-10]`.
    ///
    /// # Errors
    /// More QoS 2 messages without PUBREL than the Receive Maximum told to a 5.0 client. (QoS 1
    /// messages are acknowledged in the step that reads them and never add up.)
    pub fn accept(
        &mut self,
        qos: QoS,
        packet_id: u16,
        receive_maximum: u16,
    ) -> Result<bool, Violation> {
        if let Some(link) = &mut self.link {
            link.messages_in += 1;
        }
        if qos != QoS::ExactlyOnce {
            // Whatever its DUP: a QoS 1 message is a new one `[MQTT-4.3.2-5]`.
            return Ok(true);
        }
        let full = self.received.len() >= usize::from(receive_maximum);
        if full && self.version == Version::V5 && !self.received.contains(packet_id) {
            return Err(Violation::ReceiveMaximumExceeded);
        }
        Ok(self.received.insert(packet_id))
    }

    /// An acknowledgement came before the message was sent again after a resume: it is not sent
    /// again, nor does it count as one that is yet to be `[MQTT-3.3.4-9]`.
    pub fn forget_resend(&mut self, packet_id: u16) {
        if let Some(link) = &mut self.link
            && let Some(index) = link.resend.iter().position(|&waiting| waiting == packet_id)
        {
            link.resend.remove(index);
        }
    }

    /// PUBREL: the reason for PUBCOMP. The identifier is then free for a new message
    /// `[MQTT-4.3.3-12]`; whether the message has expired meanwhile does not matter
    /// `[MQTT-4.3.3-13]`.
    pub fn release(&mut self, packet_id: u16) -> ReasonCode {
        if self.received.release(packet_id) {
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        }
    }

    /// PUBACK, PUBREC or PUBCOMP for an identifier of another kind of exchange is a protocol
    /// error; for one not in use it is forgiven, as it may be the echo of an earlier connection.
    ///
    /// # Errors
    /// The acknowledgement is of the wrong kind.
    pub const fn forgive(result: Result<(), Mismatch>) -> Result<bool, Violation> {
        match result {
            Ok(()) => Ok(true),
            Err(Mismatch::NotFound) => Ok(false),
            Err(Mismatch::WrongKind) => Err(Violation::UnexpectedAcknowledgement),
        }
    }
}

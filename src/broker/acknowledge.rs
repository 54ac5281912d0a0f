//! PUBACK, PUBREC, PUBREL, PUBCOMP from the client.

use super::{ConnectionId, Shard};
use crate::codec::{Acknowledge, Packet, Properties, ReasonCode};
use crate::session::{Inflight, Mismatch, Session, Violation};

impl Shard {
    pub(super) fn puback(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        self.acknowledged(id, ack.packet_id, |inflight| inflight.puback(ack.packet_id))?;
        self.window_moved(id);
        Ok(())
    }

    pub(super) fn pubrec(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        let refused = ack.reason.is_error();
        let pubrec = |inflight: &mut Inflight| inflight.pubrec(ack.packet_id, refused);
        let Some(known) = self.acknowledged(id, ack.packet_id, pubrec)? else {
            return Ok(());
        };
        if refused {
            self.window_moved(id);
            return Ok(());
        }
        // `[MQTT-4.3.3-4]`, without any property `[MQTT-3.6.2-3]`.
        let reason = answer(known);
        let release =
            Acknowledge { packet_id: ack.packet_id, reason, properties: Properties::EMPTY };
        self.desk.send(id.slot, &Packet::Pubrel(release));
        Ok(())
    }

    pub(super) fn pubrel(&mut self, id: ConnectionId, ack: &Acknowledge<'_>) {
        let Some(session) = self.desk.roster.session_mut(id.slot) else {
            return;
        };
        // `[MQTT-4.3.3-11]`, without any property `[MQTT-3.7.2-3]`.
        let reason = session.release(ack.packet_id);
        let complete =
            Acknowledge { packet_id: ack.packet_id, reason, properties: Properties::EMPTY };
        self.desk.send(id.slot, &Packet::Pubcomp(complete));
    }

    pub(super) fn pubcomp(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        self.acknowledged(id, ack.packet_id, |inflight| inflight.pubcomp(ack.packet_id))?;
        self.window_moved(id);
        Ok(())
    }

    /// Moves the window on; says whether the identifier was in use, and nothing for a session that
    /// is gone.
    fn acknowledged(
        &mut self,
        id: ConnectionId,
        packet_id: u16,
        moved: impl FnOnce(&mut Inflight) -> Result<(), Mismatch>,
    ) -> Result<Option<bool>, Violation> {
        let done = self.desk.change(id.slot, |session, _| {
            moved(&mut session.inflight)?;
            session.forget_resend(packet_id);
            Ok(())
        });
        done.map(Session::forgive).transpose()
    }

    /// An acknowledgement made room for what waits.
    fn window_moved(&mut self, id: ConnectionId) {
        let Some(session) = self.desk.roster.session(id.slot) else {
            return;
        };
        let resends = session.link.as_ref().is_some_and(|link| !link.resend.is_empty());
        if resends || !session.queue.is_empty() {
            self.desk.refill(id.slot);
        }
        self.recall_when_drained(id.slot);
    }
}

const fn answer(known: bool) -> ReasonCode {
    if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound }
}

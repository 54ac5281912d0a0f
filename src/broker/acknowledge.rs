//! PUBACK, PUBREC, PUBREL, PUBCOMP from the client.

use super::{ConnectionId, Shard};
use crate::codec::{Acknowledge, Packet, Properties, ReasonCode};
use crate::session::{Bounds, Session, Violation};

impl Shard {
    pub(super) fn puback(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        let puback = |session: &mut Session, _: &Bounds| {
            session.inflight.puback(ack.packet_id)?;
            session.forget_resend(ack.packet_id);
            Ok(())
        };
        let Some(done) = self.desk.change(id.slot, puback) else {
            return Ok(());
        };
        Session::forgive(done)?;
        self.window_moved(id);
        Ok(())
    }

    pub(super) fn pubrec(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        let refused = ack.reason.is_error();
        let pubrec = |session: &mut Session, _: &Bounds| {
            session.inflight.pubrec(ack.packet_id, refused)?;
            session.forget_resend(ack.packet_id);
            Ok(())
        };
        let Some(done) = self.desk.change(id.slot, pubrec) else {
            return Ok(());
        };
        let known = Session::forgive(done)?;
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
        let pubcomp = |session: &mut Session, _: &Bounds| {
            session.inflight.pubcomp(ack.packet_id)?;
            session.forget_resend(ack.packet_id);
            Ok(())
        };
        let Some(done) = self.desk.change(id.slot, pubcomp) else {
            return Ok(());
        };
        Session::forgive(done)?;
        self.window_moved(id);
        Ok(())
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

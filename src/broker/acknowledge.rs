//! PUBACK, PUBREC, PUBREL, PUBCOMP from the client.

use super::{ConnectionId, Shard};
use crate::codec::{Acknowledge, Packet, Properties, ReasonCode};
use crate::session::{Inflight, Kept, Mid, Mismatch, Session, Violation};

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// Whether its identifier was in use.
    is_known: bool,
    /// The name of the message in the journal, when that is concerned.
    mid: Option<Mid>,
}

impl Shard {
    pub(super) fn puback(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        let puback = |inflight: &mut Inflight| inflight.puback(ack.packet_id);
        self.acknowledged(id, ack.packet_id, puback, Kept::settle)?;
        self.window_moved(id);
        Ok(())
    }

    pub(super) fn pubrec(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        let packet_id = ack.packet_id;
        let refused = ack.reason.is_error();
        let pubrec = |inflight: &mut Inflight| inflight.pubrec(packet_id, refused);
        // The message is of no use any more; its exchange goes on.
        let note = if refused { Kept::settle } else { Kept::free };
        let Some(moved) = self.acknowledged(id, packet_id, pubrec, note)? else {
            return Ok(());
        };
        if refused {
            self.window_moved(id);
            return Ok(());
        }
        let sid = self.desk.roster.session(id.slot).and_then(Session::sid);
        if let (Some(sid), Some(mid)) = (sid, moved.mid) {
            self.desk.trays.records.sent(sid, mid, packet_id, true);
        }
        // `[MQTT-4.3.3-4]`, without any property `[MQTT-3.6.2-3]`.
        let reason = answer(moved.is_known);
        let release = Acknowledge { packet_id, reason, properties: Properties::EMPTY };
        // Said again, it may not be on the disk yet that it was said.
        let waits = moved.is_known && sid.is_some();
        self.desk.acknowledge(id.slot, &Packet::Pubrel(release), waits);
        Ok(())
    }

    pub(super) fn pubrel(&mut self, id: ConnectionId, ack: &Acknowledge<'_>) {
        let packet_id = ack.packet_id;
        let Some(session) = self.desk.roster.session_mut(id.slot) else {
            return;
        };
        // `[MQTT-4.3.3-11]`, without any property `[MQTT-3.7.2-3]`.
        let reason = session.release(packet_id);
        let sid = session.sid();
        if let Some(sid) = sid.filter(|_| reason == ReasonCode::Success) {
            self.desk.trays.records.released(sid, packet_id);
        }
        let complete = Acknowledge { packet_id, reason, properties: Properties::EMPTY };
        // Said again, it may not be on the disk yet.
        self.desk.acknowledge(id.slot, &Packet::Pubcomp(complete), sid.is_some());
    }

    pub(super) fn pubcomp(
        &mut self,
        id: ConnectionId,
        ack: &Acknowledge<'_>,
    ) -> Result<(), Violation> {
        let pubcomp = |inflight: &mut Inflight| inflight.pubcomp(ack.packet_id);
        self.acknowledged(id, ack.packet_id, pubcomp, Kept::finish)?;
        self.window_moved(id);
        Ok(())
    }

    /// Moves the window on, and takes note of it for the journal; `None` for a session that is gone.
    fn acknowledged(
        &mut self,
        id: ConnectionId,
        packet_id: u16,
        moved: impl FnOnce(&mut Inflight) -> Result<Option<Mid>, Mismatch>,
        note: impl FnOnce(&mut Kept, Mid),
    ) -> Result<Option<Moved>, Violation> {
        let mut named = None;
        let done = self.desk.change(id.slot, |session, _| {
            named = moved(&mut session.inflight)?;
            session.forget_resend(packet_id);
            if let (Some(kept), Some(mid)) = (&mut session.kept, named) {
                note(kept, mid);
            }
            Ok(())
        });
        let is_known = done.map(Session::forgive).transpose()?;
        Ok(is_known.map(|is_known| Moved { is_known, mid: named }))
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

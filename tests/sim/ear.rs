//! What the broker says to honest clients, judged: each answer in its turn, each PUBLISH for a due
//! (see `pay`), and what is said again in its order.

use mqttd::codec::{
    Acknowledge, Frame, PACKET_BYTES_MAX, Packet, Publish, QoS, ReasonCode, Version, decode,
};

use crate::door::resolved;
use crate::model::{Answer, Due, LARGE_BYTES, Model, Out};

impl Model {
    /// A whole packet left for a client.
    pub(crate) fn said(&mut self, line: usize, bytes: &[u8]) {
        let Some(connection) = self.connections.get(&line) else { return };
        let (version, packet_bytes_max) = (connection.version, connection.packet_bytes_max);
        self.tally.packets_out += 1;
        assert!(bytes.len() <= packet_bytes_max, "line {line}: {} bytes at once", bytes.len());
        let frame = Frame::split(bytes, PACKET_BYTES_MAX).ok().flatten().expect("a whole packet");
        let packet = decode(frame, version);
        let packet = packet.unwrap_or_else(|error| panic!("line {line}: {bytes:x?}: {error}"));
        match &packet {
            Packet::Publish(publish) => self.said_publish(line, publish),
            Packet::Pubrel(ack) => self.said_pubrel(line, ack),
            Packet::Disconnect(_) => assert_eq!(version, Version::V5, "line {line}"),
            Packet::Connack(_)
            | Packet::Puback(_)
            | Packet::Pubrec(_)
            | Packet::Pubcomp(_)
            | Packet::Suback(_)
            | Packet::Unsuback(_)
            | Packet::Pingresp => self.answered(line, &packet),
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::Pingreq
            | Packet::Auth(_) => panic!("a broker says {packet:?}"),
        }
    }

    fn answered(&mut self, line: usize, packet: &Packet<'_>) {
        let connection = self.connection(line);
        let owed = connection.answers.pop_front();
        let owed = owed.unwrap_or_else(|| panic!("line {line}: unasked {packet:?}"));
        let fits = fits(&owed, packet, connection.version);
        // A retained message may find no room (see `Habits::retains_exactly`).
        let is_refused = matches!((&owed, packet), (Answer::Puback(owed, _), Packet::Puback(ack))
            if ack.packet_id == *owed && ack.reason == ReasonCode::QuotaExceeded);
        let fits = fits || is_refused && connection.version == Version::V5 && self.tight;
        assert!(fits, "line {line}: {packet:?} instead of {owed:?}");
    }

    fn said_pubrel(&mut self, line: usize, ack: &Acknowledge<'_>) {
        let connection = self.connection(line);
        if connection.answers.front() == Some(&Answer::Pubrel(ack.packet_id)) {
            connection.answers.pop_front();
            return;
        }
        self.skip_to(line, ack.packet_id);
        let again = self.connection(line).resend.pop_front();
        assert_eq!(again, Some(ack.packet_id), "line {line}: PUBREL");
        let known = self
            .own_session(line)
            .out
            .iter()
            .any(|out| out.packet_id == ack.packet_id && out.released);
        assert!(known, "line {line}: PUBREL {} for nothing", ack.packet_id);
        self.tally.released_again += 1;
    }

    /// What is to be said again and never can be, as it is too large, has expired, or went to another
    /// of its group, is left out.
    fn skip_to(&mut self, line: usize, packet_id: u16) {
        let now_ms = self.now.ticks_ms;
        loop {
            let connection = self.connection(line);
            let Some(&next) = connection.resend.front() else { return };
            if next == packet_id {
                return;
            }
            let session = self.own_session(line);
            let Some(at) = session.out.iter().position(|out| out.packet_id == next) else {
                // It was acknowledged meanwhile.
                self.connection(line).resend.pop_front();
                continue;
            };
            let limited = self.own_session(line).small;
            let out = &self.own_session(line).out[at];
            let message = out.due.as_ref().map(|due| due.message);
            // Another of the group may have got it meanwhile.
            let shared = out.due.as_ref().is_some_and(|due| due.shared);
            let released = out.released;
            let excused = message.is_none_or(|number| {
                let message = &self.messages[number];
                limited && message.payload.len() > LARGE_BYTES
                    || message.expires_ms.is_some_and(|at_ms| at_ms <= now_ms)
            });
            assert!(
                (excused || shared) && !released,
                "line {line}: {packet_id} said again before {next}"
            );
            self.tally.too_large += u64::from(!shared);
            self.connection(line).resend.pop_front();
            self.own_session(line).out.remove(at);
        }
    }

    fn said_publish(&mut self, line: usize, publish: &Publish<'_>) {
        let connection = self.connection(line);
        let topic = match publish.properties.topic_alias() {
            Some(alias) => {
                assert!(alias <= connection.alias_maximum, "line {line}: alias {alias}");
                resolved(&mut connection.aliases_out, alias, publish.topic)
            }
            None => publish.topic.to_owned(),
        };
        let serial = connection.session;
        let (number, ended) = (connection.number, connection.ended);
        let Some(session) = self.session(serial) else {
            assert!(ended, "line {line} has no session");
            return;
        };
        assert_eq!(session.connections, number, "line {line} speaks after another took over");
        match publish.qos {
            QoS::AtMostOnce => self.tally.delivered_0 += 1,
            QoS::AtLeastOnce => self.tally.delivered_1 += 1,
            QoS::ExactlyOnce => self.tally.delivered_2 += 1,
        }
        if publish.qos == QoS::AtMostOnce {
            assert!(!publish.dup, "line {line}: DUP with QoS 0");
            let _ = self.pay(line, publish, &topic);
            return;
        }
        let connection = self.connection(line);
        connection.on_the_way.push(publish.packet_id);
        let window = connection.receive_maximum;
        let on_the_way = connection.on_the_way.len();
        assert!(on_the_way <= usize::from(window), "line {line}: {on_the_way} on the way");
        if publish.dup {
            self.said_again(line, publish, &topic)
        } else {
            self.said_first(line, publish, &topic);
        }
    }

    /// The first delivery in this connection of something that may have been said before.
    fn said_again(&mut self, line: usize, publish: &Publish<'_>, topic: &str) {
        self.tally.delivered_again += 1;
        let packet_id = publish.packet_id;
        if self.own_out(line, packet_id).is_none() {
            // It never left the outbox of the connection before: all that did comes first.
            self.skip_to(line, packet_id);
            assert!(self.connection(line).resend.is_empty(), "line {line}: {publish:?} too early");
            let due = self.pay(line, publish, topic);
            return self.remember(line, publish, due);
        }
        self.skip_to(line, packet_id);
        let next = self.connection(line).resend.pop_front();
        assert_eq!(next, Some(packet_id), "line {line}: said again out of turn: {publish:?}");
        let at = self.own_out(line, packet_id).expect("it is skipped to, not skipped");
        let out = &self.own_session(line).out[at];
        assert!(!out.released && out.qos == publish.qos, "line {line}: {publish:?} after PUBREC");
        if let Some(due) = out.due.clone() {
            let message = &self.messages[due.message];
            let same = message.payload == publish.payload && message.topic == topic;
            assert!(same, "line {line}: {packet_id} meant {message:?} before, now {publish:?}");
            assert_eq!(due.retain, publish.retain, "line {line}: {publish:?}");
        }
    }

    fn said_first(&mut self, line: usize, publish: &Publish<'_>, topic: &str) {
        // All that was on the way before comes first.
        self.skip_to(line, 0);
        let known = self.own_out(line, publish.packet_id);
        assert!(known.is_none(), "line {line}: {} is in use", publish.packet_id);
        let due = self.pay(line, publish, topic);
        self.remember(line, publish, due);
        let connection = self.connection(line);
        if connection.ended {
            let serial = connection.session;
            self.interrupted(serial);
        }
    }

    fn own_out(&mut self, line: usize, packet_id: u16) -> Option<usize> {
        self.own_session(line).out.iter().position(|out| out.packet_id == packet_id)
    }

    fn remember(&mut self, line: usize, publish: &Publish<'_>, due: Option<Due>) {
        let (packet_id, qos) = (publish.packet_id, publish.qos);
        self.own_session(line).out.push(Out { packet_id, released: false, qos, due });
    }
}

fn fits(owed: &Answer, packet: &Packet<'_>, version: Version) -> bool {
    let five = version == Version::V5;
    match (owed, packet) {
        (Answer::Connack { present }, Packet::Connack(connack)) => {
            connack.session_present == *present && connack.reason == ReasonCode::Success
        }
        (Answer::Puback(packet_id, receivers), Packet::Puback(ack))
        | (Answer::Pubrec(packet_id, receivers), Packet::Pubrec(ack)) => {
            let unmatched = five && !receivers && ack.reason == ReasonCode::NoMatchingSubscribers;
            ack.packet_id == *packet_id && (ack.reason == ReasonCode::Success || unmatched)
        }
        (Answer::Pubcomp(packet_id, known), Packet::Pubcomp(ack)) => {
            let known = *known || !five;
            let unknown = ack.reason == ReasonCode::PacketIdentifierNotFound;
            ack.packet_id == *packet_id
                && known == (ack.reason == ReasonCode::Success)
                && known != unknown
        }
        (Answer::Suback(packet_id, reasons), Packet::Suback(suback)) => {
            suback.packet_id == *packet_id && suback.reasons == reasons
        }
        (Answer::Unsuback(packet_id, reasons), Packet::Unsuback(unsuback)) => {
            unsuback.packet_id == *packet_id && unsuback.reasons == reasons
        }
        (Answer::Pingresp, Packet::Pingresp) => true,
        (
            Answer::Connack { .. }
            | Answer::Puback(..)
            | Answer::Pubrec(..)
            | Answer::Pubrel(_)
            | Answer::Pubcomp(..)
            | Answer::Suback(..)
            | Answer::Unsuback(..)
            | Answer::Pingresp,
            _,
        ) => false,
    }
}

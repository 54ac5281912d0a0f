//! What the broker says to honest clients, judged: each answer in its turn, each PUBLISH for a due
//! (see `pay`), and what is said again in its order.

use mqttd::broker::Class;
use mqttd::codec::{
    Acknowledge, Frame, PACKET_BYTES_MAX, Packet, Publish, QoS, ReasonCode, Version, decode,
};

use crate::door::resolved;
use crate::model::{Answer, Due, LARGE_BYTES, Model, Out, Owed};

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
        let is_ping = matches!(packet, Packet::Pingresp);
        let owed = self.next_owed(line, is_ping);
        let Owed { answer: owed, op, message } =
            owed.unwrap_or_else(|| panic!("line {line}: unasked {packet:?}"));
        let tight = self.tight;
        let connection = self.connection(line);
        let fits = fits(&owed, packet, connection.version);
        // A retained message may find no room (see `Habits::retains_exactly`).
        let is_refused = matches!((&owed, packet), (Answer::Puback(owed, _), Packet::Puback(ack))
            if ack.packet_id == *owed && ack.reason == ReasonCode::QuotaExceeded);
        let fits = fits || is_refused && connection.version == Version::V5 && tight;
        assert!(fits, "line {line}: {packet:?} instead of {owed:?}");
        let serial = connection.session;
        if is_ping {
            return;
        }
        if let (Some(message), false) = (message, is_refused) {
            self.messages[message].told = true;
        }
        let begun = matches!(owed, Answer::Connack { .. });
        let ended = self.ghosts.iter_mut().find(|session| session.serial == serial);
        let known = self.sessions.iter_mut().find(|session| session.serial == serial);
        let Some(session) = known.or(ended) else { return };
        session.told = session.told.max(op);
        if let Answer::Pubcomp(packet_id, _) = owed {
            session.releasing.retain(|(one, _)| *one != packet_id);
        }
        if begun {
            self.newest_told.insert(session.client_id.clone(), session.created_unix_ms);
        }
    }

    /// The next answer that is owed; PINGRESP may pass what waits for the disk.
    fn next_owed(&mut self, line: usize, is_ping: bool) -> Option<Owed> {
        let answers = &mut self.connection(line).answers;
        let at = answers.iter().position(|owed| (owed.answer == Answer::Pingresp) == is_ping)?;
        answers.remove(at)
    }

    fn said_pubrel(&mut self, line: usize, ack: &Acknowledge<'_>) {
        let connection = self.connection(line);
        let serial = connection.session;
        let mut answers = connection.answers.iter();
        let next = answers.find(|owed| owed.answer != Answer::Pingresp);
        if next.is_some_and(|owed| owed.answer == Answer::Pubrel(ack.packet_id)) {
            self.next_owed(line, false);
            let session = self.session(serial);
            let out = session.into_iter().flat_map(|session| &mut session.out);
            out.filter(|out| out.packet_id == ack.packet_id && out.released)
                .for_each(|out| out.release_told = true);
            return;
        }
        let again = self.connection(line).release.pop_front();
        assert_eq!(again, Some(ack.packet_id), "line {line}: PUBREL");
        let mut out = self.own_session(line).out.iter_mut();
        let out = out.find(|out| out.packet_id == ack.packet_id && out.released);
        let out =
            out.unwrap_or_else(|| panic!("line {line}: PUBREL {} for nothing", ack.packet_id));
        out.release_told = true;
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
            let session = self.own_session(line);
            let out = session.out.remove(at);
            session.acknowledged.extend(out.due);
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
        let lasts = due.as_ref().is_some_and(|due| {
            let class = self.limits.durability.class(&self.messages[due.message].topic);
            due.lasts && class != Class::Memory
        });
        let (released, release_told) = (false, false);
        let out = Out { packet_id, released, release_told, lasts, qos, due };
        self.own_session(line).out.push(out);
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

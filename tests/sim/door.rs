//! What packets of honest clients do, as the model has it.

use std::collections::BTreeMap;

use mqttd::broker::Limits;
use mqttd::codec::{
    Acknowledge, Connect, Disconnect, Frame, PACKET_BYTES_MAX, Packet, Publish, QoS, ReasonCode,
    RetainHandling, Subscribe, Unsubscribe, Version, decode,
};

use crate::history::History;
use crate::model::{
    Answer, Connection, Due, Message, Model, Owed, Past, Session, Subscription, Will, passed_on,
};
use crate::naive;

impl Model {
    /// CONNECT was let in.
    pub(crate) fn admitted(&mut self, line: usize, client_id: &str, connect: &Connect<'_>) {
        self.tally.connects += 1;
        self.op += 1;
        self.take_over(client_id, connect.clean_start);
        self.publish_overdue_will(client_id);
        let present = self.session_of(client_id).is_some();
        if !present {
            self.begin_session(client_id);
        }
        self.tally.resumed += u64::from(present);
        let (expiry_secs, keep_alive_secs) = granted(connect, &self.limits);
        let properties = connect.properties;
        let small = properties.maximum_packet_size();
        let (version, heard_ms) = (connect.version, self.now.ticks_ms);
        let will = will(connect, client_id);
        let op = self.op;
        let Some(session) = self.session_of(client_id) else { return };
        session.connections += 1;
        session.line = Some(line);
        session.expiry_secs = expiry_secs;
        session.small |= small.is_some();
        let cancelled = session.will.take().is_some();
        session.past.expiry_secs.note(op, expiry_secs);
        session.past.will.note(op, will.clone());
        session.past.away_since_ms.note(op, None);
        session.will = will;
        let (answer, message) =
            (Answer::Connack { present: present && version != Version::V31 }, None);
        let released = |is_released: bool| {
            let out = session.out.iter().filter(move |out| out.released == is_released);
            out.map(|out| out.packet_id).collect()
        };
        let connection = Connection {
            session: session.serial,
            version,
            number: session.connections,
            ended: false,
            answers: [Owed { answer, op, message }].into(),
            aliases_in: Vec::new(),
            aliases_out: Vec::new(),
            alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            receive_maximum: properties.receive_maximum().unwrap_or(u16::MAX),
            packet_bytes_max: small.map_or(usize::MAX, |bytes| bytes as usize),
            keep_alive_secs,
            heard_ms,
            on_the_way: Vec::new(),
            resend: released(false),
            release: released(true),
        };
        self.tally.wills_cancelled += u64::from(cancelled);
        self.connections.insert(line, connection);
    }

    fn take_over(&mut self, client_id: &str, clean_start: bool) {
        let line = self.session_of(client_id).and_then(|session| session.line);
        if let Some(line) = line {
            self.tally.takeovers += 1;
            self.end_connection(line, false);
        }
        let serial = self.session_of(client_id).map(|session| session.serial);
        if let (Some(serial), true) = (serial, clean_start) {
            self.end_session(serial);
        }
    }

    fn begin_session(&mut self, client_id: &str) {
        self.sessions_begun += 1;
        let past = Past {
            expiry_secs: History::new(0),
            will: History::new(None),
            away_since_ms: History::new(None),
            subscriptions: BTreeMap::new(),
        };
        self.sessions.push(Session {
            serial: self.sessions_begun,
            client_id: client_id.to_owned(),
            line: None,
            connections: 0,
            away_since_ms: 0,
            expiry_secs: 0,
            will: None,
            subscriptions: Vec::new(),
            received: Vec::new(),
            releasing: Vec::new(),
            dues: Vec::new(),
            acknowledged: Vec::new(),
            created_unix_ms: self.now.unix_ms,
            told: 0,
            past,
            out: Vec::new(),
            dropped: 0,
            small: false,
        });
    }

    /// The broker took whole packets.
    pub(crate) fn took(&mut self, line: usize, mut bytes: &[u8]) {
        // Any bytes are a sign of life.
        let now_ms = self.now.ticks_ms;
        if let Some(connection) = self.connections.get_mut(&line) {
            connection.heard_ms = now_ms;
        }
        while let Ok(Some(frame)) = Frame::split(bytes, PACKET_BYTES_MAX) {
            bytes = &bytes[frame.len..];
            let Some(connection) = self.connections.get_mut(&line) else { return };
            if connection.ended {
                return;
            }
            let version = connection.version;
            self.tally.packets_in += 1;
            let packet = decode(frame, version).expect("an honest client speaks MQTT");
            self.take(line, &packet);
        }
    }

    fn take(&mut self, line: usize, packet: &Packet<'_>) {
        self.op += 1;
        match packet {
            Packet::Publish(publish) => self.take_publish(line, publish),
            Packet::Puback(ack) => self.acknowledged(line, ack.packet_id, QoS::AtLeastOnce),
            Packet::Pubrec(ack) => self.take_pubrec(line, ack),
            Packet::Pubrel(ack) => self.take_pubrel(line, ack.packet_id),
            Packet::Pubcomp(ack) => self.acknowledged(line, ack.packet_id, QoS::ExactlyOnce),
            Packet::Subscribe(subscribe) => self.take_subscribe(line, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.take_unsubscribe(line, unsubscribe),
            Packet::Pingreq => self.answer(line, Answer::Pingresp),
            Packet::Disconnect(disconnect) => self.take_disconnect(line, disconnect),
            Packet::Connect(_)
            | Packet::Connack(_)
            | Packet::Suback(_)
            | Packet::Unsuback(_)
            | Packet::Pingresp
            | Packet::Auth(_) => panic!("no honest client sends {packet:?}"),
        }
    }

    fn answer(&mut self, line: usize, answer: Answer) {
        self.answer_for(line, answer, None);
    }

    fn answer_for(&mut self, line: usize, answer: Answer, message: Option<usize>) {
        let op = self.op;
        self.connection(line).answers.push_back(Owed { answer, op, message });
    }

    pub(crate) fn connection(&mut self, line: usize) -> &mut Connection {
        self.connections.get_mut(&line).expect("a line that was let in")
    }

    /// The session of a connection that is up.
    pub(crate) fn own_session(&mut self, line: usize) -> &mut Session {
        let serial = self.connection(line).session;
        self.session(serial).expect("a connection has a session")
    }

    fn take_publish(&mut self, line: usize, publish: &Publish<'_>) {
        let now_ms = self.now.ticks_ms;
        let topic = match publish.properties.topic_alias() {
            Some(alias) => resolved(&mut self.connection(line).aliases_in, alias, publish.topic),
            None => publish.topic.to_owned(),
        };
        let number = self.messages.len();
        let session = self.own_session(line);
        let (serial, from) = (session.serial, session.client_id.clone());
        let (qos, packet_id) = (publish.qos, publish.packet_id);
        let known = session.received.iter().find(|(known, _)| *known == packet_id);
        let known = known.filter(|_| qos == QoS::ExactlyOnce).map(|(_, number)| *number);
        if qos == QoS::ExactlyOnce && known.is_none() {
            session.received.push((packet_id, number));
        }
        let expiry_secs = publish.properties.message_expiry_interval();
        let message = Message {
            from,
            topic,
            qos,
            payload: publish.payload.to_vec(),
            properties: passed_on(publish.properties),
            expires_ms: expiry_secs.map(|secs| now_ms + u64::from(secs) * 1000),
            expiry_secs,
            told: false,
        };
        let mut receivers = false;
        if known.is_some() {
            self.tally.republished += 1;
        } else {
            match qos {
                QoS::AtMostOnce => self.tally.published_0 += 1,
                QoS::AtLeastOnce => self.tally.published_1 += 1,
                QoS::ExactlyOnce => self.tally.published_2 += 1,
            }
            receivers = self.publish(serial, message, publish.retain);
        }
        let message = Some(known.unwrap_or(number));
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => {
                self.answer_for(line, Answer::Puback(packet_id, receivers), message);
            }
            QoS::ExactlyOnce => {
                self.answer_for(line, Answer::Pubrec(packet_id, receivers), message);
            }
        }
    }

    /// PUBACK or PUBCOMP.
    fn acknowledged(&mut self, line: usize, packet_id: u16, qos: QoS) {
        let session = self.own_session(line);
        let out = session.out.iter().position(|out| {
            out.packet_id == packet_id
                && out.qos == qos
                && out.released == (qos == QoS::ExactlyOnce)
        });
        let out = out.unwrap_or_else(|| panic!("line {line}: nothing waits under {packet_id}"));
        let out = session.out.remove(out);
        session.acknowledged.extend(out.due);
        self.connection(line).on_the_way.retain(|known| *known != packet_id);
    }

    fn take_pubrec(&mut self, line: usize, ack: &Acknowledge<'_>) {
        let session = self.own_session(line);
        let out = session.out.iter().position(|out| out.packet_id == ack.packet_id);
        let out = out.unwrap_or_else(|| panic!("line {line}: nothing waits under {ack:?}"));
        if ack.reason.is_error() {
            let out = session.out.remove(out);
            session.acknowledged.extend(out.due);
            self.connection(line).on_the_way.retain(|known| *known != ack.packet_id);
            self.tally.refused += 1;
            return;
        }
        session.out[out].released = true;
        let due = session.out[out].due.take();
        session.acknowledged.extend(due);
        self.answer(line, Answer::Pubrel(ack.packet_id));
    }

    fn take_pubrel(&mut self, line: usize, packet_id: u16) {
        let session = self.own_session(line);
        let known = session.received.iter().position(|(one, _)| *one == packet_id);
        if let Some(position) = known {
            let released = session.received.remove(position);
            session.releasing.push(released);
        }
        self.answer(line, Answer::Pubcomp(packet_id, known.is_some()));
    }

    fn take_subscribe(&mut self, line: usize, subscribe: &Subscribe<'_>) {
        let identifier = subscribe.properties.subscription_identifier();
        let subscriptions_max = self.limits.subscriptions_max as usize;
        let version = self.connection(line).version;
        let (mut reasons, mut wants_retained) = (Vec::new(), Vec::new());
        let op = self.op;
        for request in subscribe.requests() {
            let session = self.own_session(line);
            let known = session.subscriptions.iter().position(|one| one.filter == request.filter);
            if known.is_none() && session.subscriptions.len() >= subscriptions_max {
                // Return codes of 3.1 have no refusal: it is told what it asked for.
                reasons.push(match version {
                    Version::V31 => request.options.qos.as_bits(),
                    Version::V311 => ReasonCode::UnspecifiedError.as_byte(),
                    Version::V5 => ReasonCode::QuotaExceeded.as_byte(),
                });
                continue;
            }
            reasons.push(request.options.qos.as_bits());
            let (filter, options) = (request.filter.to_owned(), request.options);
            let subscription = Subscription { filter, options, identifier };
            session.note_subscription(op, &subscription.filter, Some(subscription.clone()));
            match known {
                Some(position) => session.subscriptions[position] = subscription.clone(),
                None => session.subscriptions.push(subscription.clone()),
            }
            let wants = match options.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => known.is_none(),
                RetainHandling::DoNotSend => false,
            };
            self.joined(line, request.filter);
            if wants && naive::share(request.filter).0.is_none() {
                wants_retained.push(subscription);
            }
        }
        for subscription in wants_retained {
            self.owe_retained(line, &subscription);
        }
        self.answer(line, Answer::Suback(subscribe.packet_id, reasons));
    }

    fn owe_retained(&mut self, line: usize, subscription: &Subscription) {
        let now_ms = self.now.ticks_ms;
        for number in self.retained.clone() {
            let message = self.messages[number].clone();
            let expired = message.expires_ms.is_some_and(|at_ms| at_ms <= now_ms);
            if expired || !naive::matches(&subscription.filter, &message.topic) {
                continue;
            }
            let serial = self.connection(line).session;
            let known = self.sessions.iter_mut().find(|session| session.serial == serial);
            let Some(session) = known else { continue };
            let due = Due {
                message: number,
                qos: message.qos.min(subscription.options.qos),
                retain: true,
                identifiers: subscription.identifier.into_iter().collect(),
                any_order: true,
                shared: false,
                optional: self.tight,
                chancy: false,
                born: session.connections,
                lasts: false,
            };
            session.owe(due, &message, &self.messages);
            self.tally.retained += 1;
        }
    }

    fn take_unsubscribe(&mut self, line: usize, unsubscribe: &Unsubscribe<'_>) {
        let version = self.connection(line).version;
        let (mut reasons, op) = (Vec::new(), self.op);
        for filter in unsubscribe.filters() {
            let session = self.own_session(line);
            let serial = session.serial;
            let known = session.subscriptions.iter().position(|one| one.filter == filter);
            if let Some(position) = known {
                session.subscriptions.remove(position);
                session.note_subscription(op, filter, None);
                if let (Some(share), filter) = naive::share(filter) {
                    self.left(serial, Some((share, filter)));
                }
            }
            reasons.push(if known.is_some() { 0 } else { 0x11 });
        }
        if version != Version::V5 {
            reasons.clear();
        }
        self.answer(line, Answer::Unsuback(unsubscribe.packet_id, reasons));
    }

    fn take_disconnect(&mut self, line: usize, disconnect: &Disconnect<'_>) {
        let expiry_secs_max = self.limits.session_expiry_secs_max;
        let op = self.op;
        let session = self.own_session(line);
        if let Some(secs) = disconnect.properties.session_expiry_interval() {
            session.expiry_secs = secs.min(expiry_secs_max);
            session.past.expiry_secs.note(op, session.expiry_secs);
        }
        self.end_connection(line, disconnect.reason == ReasonCode::Success);
    }
}

/// The topic that an alias stands for, which the packet may set.
pub(crate) fn resolved(aliases: &mut Vec<(u16, String)>, alias: u16, topic: &str) -> String {
    if topic.is_empty() {
        let known = aliases.iter().rev().find(|(known, _)| *known == alias);
        return known.unwrap_or_else(|| panic!("alias {alias} was never set")).1.clone();
    }
    aliases.push((alias, topic.to_owned()));
    topic.to_owned()
}

/// Session Expiry Interval and Keep Alive in force, seconds.
fn granted(connect: &Connect<'_>, limits: &Limits) -> (u32, u16) {
    let asked = match connect.version {
        Version::V5 => connect.properties.session_expiry_interval().unwrap_or(0),
        Version::V31 | Version::V311 if connect.clean_start => 0,
        Version::V31 | Version::V311 => u32::MAX,
    };
    (asked.min(limits.session_expiry_secs_max), connect.keep_alive_secs)
}

fn will(connect: &Connect<'_>, client_id: &str) -> Option<Will> {
    let will = connect.will?;
    Some(Will {
        message: Message {
            from: client_id.to_owned(),
            topic: will.topic.to_owned(),
            qos: will.qos,
            payload: will.payload.to_vec(),
            properties: passed_on(will.properties),
            expires_ms: None,
            expiry_secs: None,
            told: false,
        },
        retain: will.retain,
        delay_secs: will.properties.will_delay_interval().unwrap_or(0),
        expiry_secs: will.properties.message_expiry_interval(),
    })
}

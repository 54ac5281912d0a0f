//! Clients that come, go and forget to answer: whatever they do, each QoS 1 message comes at least
//! once, each QoS 2 message once, and all in the order they were published (section 4.3, 4.4, 4.6).
//!
//! The steps are chance's; a failure prints the shortest that fail, and their seed.

use std::collections::{BTreeMap, BTreeSet};

use mqttd::broker::Limits;
use mqttd::codec::{Packet, Publish, QoS, Version};
use proptest::prelude::*;

use crate::kit::packets::{puback, pubcomp, publish_1, publish_2, pubrec, pubrel};
use crate::kit::{Broker, Client, limits, memory_with};

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish {
        from: usize,
        qos: QoS,
    },
    /// Hears all there is, and answers it or not.
    Hear {
        client: usize,
        answers: bool,
    },
    Cut {
        client: usize,
    },
    Resume {
        client: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let qos = || prop::sample::select(&[QoS::AtLeastOnce, QoS::ExactlyOnce][..]);
    let client = || 0..PEOPLE.len();
    prop_oneof![
        4 => (client(), qos()).prop_map(|(from, qos)| Step::Publish { from, qos }),
        3 => (client(), any::<bool>()).prop_map(|(client, answers)| Step::Hear { client, answers }),
        2 => client().prop_map(|client| Step::Cut { client }),
        2 => client().prop_map(|client| Step::Resume { client }),
    ]
}

/// Client Identifier, version, and the QoS it subscribes with.
const PEOPLE: [(&str, Version, QoS); 4] = [
    ("ann", Version::V5, QoS::ExactlyOnce),
    ("bob", Version::V311, QoS::ExactlyOnce),
    ("cid", Version::V311, QoS::AtLeastOnce),
    ("dot", Version::V5, QoS::AtLeastOnce),
];

/// What a client has published and not yet heard the end of.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Publish(QoS, u32),
    Pubrel,
}

/// A client as the standard wants one.
#[derive(Default)]
struct Person {
    client: Option<Client>,
    next_packet_id: u16,
    sent: BTreeMap<u16, Sent>,
    /// QoS 2 messages between PUBLISH and PUBREL.
    received: BTreeSet<u16>,
    /// What it heard that it had not heard before: publisher, QoS and number.
    heard: Vec<(usize, QoS, u32)>,
}

struct World<'b> {
    broker: &'b mut Broker,
    people: Vec<Person>,
    /// Publisher, QoS and number of all messages, in their order.
    published: Vec<(usize, QoS, u32)>,
}

impl<'b> World<'b> {
    fn new(broker: &'b mut Broker) -> Self {
        let people = PEOPLE.iter().map(|_| Person::default()).collect();
        let mut world = Self { broker, people, published: Vec::new() };
        for (number, (client_id, version, qos)) in PEOPLE.iter().enumerate() {
            let client = world.broker.resume(*version, client_id, false);
            world.broker.subscribe(client, &[("t", *qos)]);
            world.people[number].client = Some(client);
        }
        world
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish { from, qos } => self.publish(from, qos),
            Step::Hear { client, answers } => self.hear(client, answers),
            Step::Cut { client } => {
                if let Some(client) = self.people[client].client.take() {
                    self.broker.cut(client);
                }
            }
            Step::Resume { client } => self.resume(client),
        }
    }

    fn publish(&mut self, from: usize, qos: QoS) {
        let number = u32::try_from(self.published.len()).expect("few messages");
        let person = &mut self.people[from];
        let Some(client) = person.client else { return };
        person.next_packet_id += 1;
        let packet_id = person.next_packet_id;
        person.sent.insert(packet_id, Sent::Publish(qos, number));
        self.published.push((from, qos, number));
        self.send(client, from, packet_id, Sent::Publish(qos, number), false);
    }

    fn send(&mut self, client: Client, from: usize, packet_id: u16, sent: Sent, dup: bool) {
        match sent {
            Sent::Publish(qos, number) => {
                let payload = format!("{from} {number} {dup}");
                let publish = match qos {
                    QoS::ExactlyOnce => publish_2(packet_id, "t", payload.as_bytes()),
                    QoS::AtMostOnce | QoS::AtLeastOnce => {
                        publish_1(packet_id, "t", payload.as_bytes())
                    }
                };
                self.broker.send(client, &Packet::Publish(Publish { dup, ..publish }));
            }
            Sent::Pubrel => self.broker.send(client, &pubrel(packet_id)),
        }
    }

    /// Sends again what was not acknowledged: the client's part.
    fn resume(&mut self, number: usize) {
        if self.people[number].client.is_some() {
            return;
        }
        let (client_id, version, _) = PEOPLE[number];
        let client = self.broker.resume(version, client_id, true);
        self.people[number].client = Some(client);
        for (packet_id, sent) in self.people[number].sent.clone() {
            self.send(client, number, packet_id, sent, true);
        }
    }

    fn hear(&mut self, number: usize, answers: bool) {
        let Some(client) = self.people[number].client else { return };
        self.broker.send(client, &Packet::Pingreq);
        loop {
            let person = &mut self.people[number];
            let Some(answer) = self.broker.hear(client, |packet| person.take(packet)) else {
                return;
            };
            if let (true, Some(answer)) = (answers, answer) {
                self.broker.send(client, &answer);
            }
        }
    }

    /// Everybody comes back, hears all and answers all.
    fn settle(&mut self) {
        for _ in 0..2 {
            for number in 0..PEOPLE.len() {
                if let Some(client) = self.people[number].client.take() {
                    self.broker.cut(client);
                }
                self.resume(number);
            }
            for _ in 0..self.published.len() + 10 {
                (0..PEOPLE.len()).for_each(|number| self.hear(number, true));
            }
        }
    }

    fn check(&self) {
        for (person, (client_id, _, granted)) in self.people.iter().zip(&PEOPLE) {
            assert!(person.sent.is_empty(), "{client_id} waits for {:?}", person.sent);
            let wanted: Vec<_> = self
                .published
                .iter()
                .map(|(from, qos, number)| (*from, (*qos).min(*granted), *number))
                .collect();
            for (from, (publisher, ..)) in PEOPLE.iter().enumerate() {
                for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                    let (heard, wanted) = (of(&person.heard, from, qos), of(&wanted, from, qos));
                    assert_eq!(heard, wanted, "{client_id} heard from {publisher}, {qos:?}");
                }
            }
        }
    }
}

/// The numbers of one publisher's messages of one QoS.
fn of(all: &[(usize, QoS, u32)], from: usize, qos: QoS) -> Vec<u32> {
    all.iter().filter(|one| one.0 == from && one.1 == qos).map(|one| one.2).collect()
}

impl Person {
    /// Takes a packet: its answer, if it has one; nothing at all for PINGRESP.
    fn take(&mut self, packet: &Packet<'_>) -> Option<Option<Packet<'static>>> {
        if let Packet::Pingresp = packet {
            return None;
        }
        let answer = if let Packet::Publish(publish) = packet {
            self.take_publish(publish)
        } else if let Packet::Pubrel(ack) = packet {
            self.received.remove(&ack.packet_id);
            Some(pubcomp(ack.packet_id))
        } else if let Packet::Puback(ack) | Packet::Pubcomp(ack) = packet {
            self.sent.remove(&ack.packet_id);
            None
        } else if let Packet::Pubrec(ack) = packet {
            self.sent.insert(ack.packet_id, Sent::Pubrel);
            Some(pubrel(ack.packet_id))
        } else {
            panic!("{packet:?}")
        };
        Some(answer)
    }

    fn take_publish(&mut self, publish: &Publish<'_>) -> Option<Packet<'static>> {
        let text = std::str::from_utf8(publish.payload).expect("text");
        let words: Vec<&str> = text.split(' ').collect();
        let [from, number, sent_again] = words[..] else { panic!("{text:?}") };
        let number = number.parse().expect("a number");
        let message = (from.parse().expect("a number"), publish.qos, number);
        let known = self.heard.contains(&message);
        let packet_id = publish.packet_id;
        let answer = match publish.qos {
            QoS::AtMostOnce => panic!("nobody asked for QoS 0: {publish:?}"),
            QoS::AtLeastOnce => {
                // What its publisher sent again is a new message.
                let may_be_known = publish.dup || sent_again == "true";
                assert!(!known || may_be_known, "twice without DUP: {text}");
                puback(packet_id)
            }
            QoS::ExactlyOnce => {
                let again = !self.received.insert(packet_id);
                assert_eq!(known, again, "{text}: a QoS 2 message comes once");
                assert!(!again || publish.dup, "twice without DUP: {text}");
                pubrec(packet_id)
            }
        };
        if !known {
            self.heard.push(message);
        }
        Some(answer)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// `[MQTT-4.3.3-10]` `[MQTT-4.4.0-1]` `[MQTT-4.6.0-5]` `[MQTT-4.6.0-6]`
    #[test]
    fn nothing_is_lost_or_doubled_or_out_of_order(
        steps in prop::collection::vec(step(), 0..120),
        inflight_max in 1..6u16,
    ) {
        memory_with(&Limits { inflight_max, ..limits() }, |broker| {
            let mut world = World::new(broker);
            steps.iter().for_each(|step| world.take(*step));
            world.settle();
            world.check();
        });
    }
}

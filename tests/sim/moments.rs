//! Single moments that a server cannot bring about on purpose: a slow letter, a socket that takes
//! nothing. What seeds found here stays found.

use mqttd::codec::{
    Connect, Packet, Properties, PropertiesBuf, Property, Publish, QoS, Subscribe,
    SubscriptionOptions, SubscriptionRequest, Version, encode,
};

use crate::chance::Chance;
use crate::host::{Host, Seen};
use crate::plan::wide_limits;
use crate::record::Record;

struct Moment {
    host: Host,
    record: Record,
}

impl Moment {
    fn new() -> Self {
        let mut limits = wide_limits(&mut Chance::new(0));
        limits.outbox_bytes_max = 256;
        limits.queue_messages_max = 1;
        Self { host: Host::new(2, &limits, false), record: Record::new() }
    }

    /// A client of a shard, whose socket takes so many bytes; its line.
    fn client(&mut self, shard: usize, room: usize) -> usize {
        let line = self.host.open(room);
        let named = |number: usize| format!("client-{number}");
        let home = |client_id: &String| self.host.commons.home(client_id) == shard;
        let client_id = (10 * line..).map(named).find(home).expect("a name for each shard");
        self.send(
            line,
            &Packet::Connect(Box::new(Connect {
                version: Version::V5,
                bridge: false,
                clean_start: true,
                keep_alive_secs: 0,
                properties: Properties::EMPTY,
                client_id: &client_id,
                will: None,
                username: None,
                password: None,
            })),
        );
        line
    }

    fn send(&mut self, line: usize, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, Version::V5, &mut bytes);
        self.host.lines[line].up.put(&bytes);
        self.host.arrive(line, usize::MAX, &mut self.record);
        self.settle();
    }

    fn settle(&mut self) {
        for shard in 0..self.host.shards.len() {
            self.host.settle(shard, &mut self.record);
        }
    }

    fn subscribe(&mut self, line: usize, filter: &str) {
        let mut payload = Vec::new();
        let options = SubscriptionOptions::new(QoS::AtLeastOnce);
        SubscriptionRequest { filter, options }.write(&mut payload);
        let subscribe = Subscribe::new(1, Properties::EMPTY, &payload);
        self.send(line, &Packet::Subscribe(subscribe));
    }

    fn publish(&mut self, line: usize, topic: &str, retain: bool, expiry_secs: Option<u32>) {
        let mut properties = PropertiesBuf::default();
        if let Some(secs) = expiry_secs {
            properties.push(Property::MessageExpiryInterval(secs));
        }
        let (dup, qos, packet_id, payload) = (false, QoS::AtMostOnce, 0, &[b'.'; 100][..]);
        let properties = properties.as_properties();
        let publish = Publish { dup, qos, retain, topic, packet_id, properties, payload };
        self.send(line, &Packet::Publish(publish));
    }

    /// PUBLISH packets said on a line since the last question.
    fn heard(&mut self, line: usize) -> usize {
        let seen = std::mem::take(&mut self.host.seen);
        let publish = |seen: &Seen| matches!(seen, Seen::Said { line: of, packet } if *of == line && packet[0] >> 4 == 3);
        seen.iter().filter(|seen| publish(seen)).count()
    }

    fn stats(&self, row: &str) -> u64 {
        self.host.shards.iter().map(|shard| shard.stats().value(row)).sum()
    }
}

/// `[MQTT-3.3.2-5]` holds on the way from one shard to another too.
#[test]
fn what_expires_in_a_letter_is_not_delivered() {
    for (delay_ms, expected) in [(0, 1), (999, 1), (1001, 0), (60_000, 0)] {
        let mut moment = Moment::new();
        let (publisher, subscriber) = (moment.client(0, 10_000), moment.client(1, 10_000));
        moment.subscribe(subscriber, "t");
        moment.publish(publisher, "t", false, Some(1));
        moment.host.now.ticks_ms += delay_ms;
        assert_eq!(moment.host.letters(), [(0, 1)]);
        moment.host.deliver(0, 1);
        moment.settle();
        assert_eq!(moment.heard(subscriber), expected, "after {delay_ms} ms");
        assert_eq!(moment.stats("messages.dropped.expired"), 1 - expected as u64);
    }
}

/// Each retained message that a full queue turns away counts, for the client and in total.
#[test]
fn retained_messages_that_find_the_queue_full_are_counted_one_by_one() {
    let mut moment = Moment::new();
    let (publisher, subscriber) = (moment.client(0, 10_000), moment.client(0, 100));
    for topic in ["t/1", "t/2", "t/3"] {
        moment.publish(publisher, topic, true, None);
    }
    // The socket and the outbox take some, the queue once all.
    for _ in 0..10 {
        moment.subscribe(subscriber, "t/+");
    }
    let counted = moment.stats("messages.dropped.queue_full");
    let views = moment.host.shards[0].clients(None, usize::MAX);
    let of_clients: u64 = views.iter().map(|view| view.messages_dropped).sum();
    assert_eq!(of_clients, counted);
    let waiting = views.iter().map(|view| view.queue_messages as u64).sum::<u64>();
    let sent = moment.stats("messages.sent");
    assert_eq!(sent + waiting + counted, 30);
    assert!(counted > 0, "{views:?}");
}

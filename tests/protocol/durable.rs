//! What waits for the disk, and what the disk is told: one shard whose disk does what the test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{
    Admission, Class, Commons, ConnectionId, Envelope, Event, Limits, Load, Loaded, Lost, Mid, Now,
    Position, Record, Records, Refusal, Restoration, Shard, StoredMessage, Storing,
};
use mqttd::codec::{
    Acknowledge, Connect, Frame, Packet, Properties, Publish, QoS, ReasonCode, Subscribe,
    SubscriptionOptions, SubscriptionRequest, Unsubscribe, Version, Will, decode, encode,
};
use mqttd::store::{MemoryStore, Store};

use crate::kit::limits;

const WILL: Will<'_> = Will {
    qos: QoS::ExactlyOnce,
    retain: false,
    properties: Properties::EMPTY,
    topic: "w",
    payload: b"gone",
};

/// One shard with a disk that does what it is told.
struct World {
    shard: Shard,
    now: Now,
    commons: Arc<Commons>,
    store: MemoryStore,
    /// Messages and how many need them.
    living: BTreeMap<Mid, u32>,
    position: Position,
}

impl World {
    fn new() -> Self {
        Self::with_window(65_535)
    }

    /// With so many messages in flight to one client.
    fn with_window(inflight_max: u16) -> Self {
        let limits = Limits { inflight_max, ..limits() };
        let commons = Commons::new(1, limits, 7);
        commons.set_storing(Storing::Well);
        let shard = Shard::new(0, Arc::clone(&commons));
        let now = Now { ticks_ms: 5, unix_ms: 1_700_000_000_000 };
        let (living, position) = (BTreeMap::new(), Position::default());
        Self { shard, now, commons, store: MemoryStore::new(), living, position }
    }

    /// The broker dies, and another one takes over what was written.
    fn restart(mut self) -> Self {
        let next = Self::new();
        let mut restoration = Restoration::new(Arc::clone(&next.commons), self.now);
        let recovered = self.store.recover(&mut restoration, &mut |_| ()).expect("a sound store");
        next.commons.continue_names(recovered.last_mid, recovered.last_sid);
        let mut next = Self { store: self.store, now: self.now, ..next };
        let restored = restoration.finish().pop().expect("one shard");
        next.shard.restore(restored, next.now);
        next
    }

    fn connect(&mut self, client_id: &str) -> ConnectionId {
        self.connect_with(client_id, None)
    }

    fn connect_with(&mut self, client_id: &str, will: Option<Will<'_>>) -> ConnectionId {
        self.try_connect(client_id, will).expect("room for it")
    }

    fn try_connect(
        &mut self,
        client_id: &str,
        will: Option<Will<'_>>,
    ) -> Result<ConnectionId, Refusal> {
        let connect = Connect {
            version: Version::V311,
            bridge: false,
            clean_start: false,
            keep_alive_secs: 0,
            properties: Properties::EMPTY,
            client_id,
            will,
            username: None,
            password: None,
        };
        let limits = limits();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let admission = Admission::new(&connect, peer, &limits, || "unused".into()).expect("valid");
        self.shard.admit(admission, self.now)
    }

    fn subscribe(&mut self, id: ConnectionId) {
        let mut payload = Vec::new();
        let options = SubscriptionOptions::new(QoS::ExactlyOnce);
        SubscriptionRequest { filter: "#", options }.write(&mut payload);
        self.send(id, &Packet::Subscribe(Subscribe::new(1, Properties::EMPTY, &payload)));
    }

    fn unsubscribe(&mut self, id: ConnectionId) {
        let unsubscribe = Unsubscribe::new(1, Properties::EMPTY, b"\0\x01#");
        self.send(id, &Packet::Unsubscribe(unsubscribe));
    }

    fn publish(&mut self, id: ConnectionId, qos: QoS) {
        self.send_message(id, qos, false);
    }

    fn send_message(&mut self, id: ConnectionId, qos: QoS, retain: bool) {
        let publish = Publish {
            dup: false,
            qos,
            retain,
            topic: "t",
            packet_id: 1,
            properties: Properties::EMPTY,
            payload: b"x",
        };
        self.send(id, &Packet::Publish(publish));
    }

    fn send(&mut self, id: ConnectionId, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, Version::V311, &mut bytes);
        self.shard.receive(id, &bytes, self.now);
    }

    /// Writes what was left, and says so.
    fn commit(&mut self) {
        let records = [self.shard.trays().records.take(Records::default())];
        self.store.commit(&records, Class::Disk).expect("room for it");
        let [records] = records;
        for record in records.iter() {
            match record {
                Record::Message { mid, recipients, .. } => {
                    self.living.insert(mid, recipients);
                }
                Record::Done { mid } => {
                    let left = self.living.get_mut(&mid).expect("a message that is needed");
                    *left -= 1;
                    if *left == 0 {
                        self.living.remove(&mid);
                    }
                }
                Record::Position { cursor, position, .. } => {
                    self.position = Position::open(cursor, position).expect("as it was put");
                }
                Record::RetainedGone { .. }
                | Record::Session { .. }
                | Record::SessionEnded { .. }
                | Record::Subscribed { .. }
                | Record::Unsubscribed { .. }
                | Record::Received { .. }
                | Record::Released { .. }
                | Record::Sent { .. } => {}
            }
        }
        self.shard.durable(records.ticket(), self.now);
        self.shard.posted();
    }

    /// First bytes of the packets that have come out.
    fn heard(&mut self, id: ConnectionId) -> Vec<u8> {
        let mut heads = Vec::new();
        if let Some(outbox) = self.shard.outbox(id) {
            let mut bytes = outbox.unsent();
            while let Some(frame) = Frame::split(bytes, u32::MAX).expect("MQTT") {
                heads.push(bytes[0]);
                bytes = &bytes[frame.len..];
            }
            let all = outbox.len();
            outbox.sent(all);
        }
        self.shard.flushed(id, self.now);
        heads
    }

    /// The identifiers of each PUBLISH that has come out.
    fn identifiers(&mut self, id: ConnectionId) -> Vec<u16> {
        let outbox = self.shard.outbox(id).expect("a connection");
        let (mut bytes, mut identifiers) = (outbox.unsent(), Vec::new());
        while let Some(frame) = Frame::split(bytes, u32::MAX).expect("MQTT") {
            bytes = &bytes[frame.len..];
            if let Ok(Packet::Publish(publish)) = decode(frame, Version::V311) {
                identifiers.push(publish.packet_id);
            }
        }
        self.heard(id);
        identifiers
    }

    /// The identifier of the only PUBLISH that has come out.
    fn publish_heard(&mut self, id: ConnectionId) -> u16 {
        let outbox = self.shard.outbox(id).expect("a connection");
        let frame = Frame::split(outbox.unsent(), u32::MAX).expect("MQTT").expect("a packet");
        let Ok(Packet::Publish(publish)) = decode(frame, Version::V311) else {
            panic!("a PUBLISH");
        };
        let packet_id = publish.packet_id;
        self.heard(id);
        packet_id
    }

    /// The payloads that have come out with QoS 1, which the client acknowledges.
    fn taken(&mut self, id: ConnectionId) -> Vec<u8> {
        let (mut payloads, mut acks) = (Vec::new(), Vec::new());
        let outbox = self.shard.outbox(id).expect("a connection");
        let mut bytes = outbox.unsent();
        while let Some(frame) = Frame::split(bytes, u32::MAX).expect("MQTT") {
            bytes = &bytes[frame.len..];
            if let Ok(Packet::Publish(publish)) = decode(frame, Version::V311) {
                payloads.extend(publish.payload);
                let (packet_id, reason) = (publish.packet_id, ReasonCode::Success);
                acks.push(Acknowledge { packet_id, reason, properties: Properties::EMPTY });
            }
        }
        self.heard(id);
        for ack in acks {
            self.send(id, &Packet::Puback(ack));
        }
        payloads
    }

    /// The disk brings what it was asked for.
    fn answer(&mut self, loads: Vec<Load>) {
        let offset = self.now.unix_ms - self.now.ticks_ms;
        for Load { session, sid, mids } in loads {
            let mut messages = Vec::new();
            for mid in mids {
                let mut message = None;
                let mut read = |envelope: &[u8], body: &[u8]| {
                    let mut to = Envelope::open(envelope).expect("sound").recipients().flatten();
                    let own = to.find(|to| to.sid == sid).expect("it was for the session");
                    let stored = StoredMessage::open(body, offset).expect("sound");
                    message = Some((stored, own.identifiers));
                };
                self.store.load(mid, &mut read).expect("a sound store");
                messages.push((mid, message));
            }
            self.shard.loaded(Loaded { session, messages }, self.now);
        }
    }

    fn loads(&mut self) -> Vec<Load> {
        std::mem::take(&mut self.shard.trays().loads)
    }

    fn pass(&mut self, ms: u64) {
        self.now.ticks_ms += ms;
        self.now.unix_ms += ms;
        self.shard.tick(self.now);
        self.commit();
    }
}

/// `[MQTT-4.3.2-2]`: what is acknowledged is on the disk.
#[test]
fn nothing_is_acknowledged_before_it_is_on_the_disk() {
    let mut world = World::new();
    let receiver = world.connect("receiver");
    assert!(world.heard(receiver).is_empty(), "CONNACK of a session that is to last");
    world.commit();
    assert_eq!(world.heard(receiver), [0x20]);
    world.subscribe(receiver);
    assert!(world.heard(receiver).is_empty(), "SUBACK");
    world.commit();
    assert_eq!(world.heard(receiver), [0x90]);
    let sender = world.connect("sender");
    world.commit();
    world.heard(sender);
    world.publish(sender, QoS::AtLeastOnce);
    world.send(sender, &Packet::Pingreq);
    assert_eq!(world.heard(sender), [0xd0], "PINGRESP does not wait, PUBACK does");
    assert_eq!(world.heard(receiver), [0x32], "the message does not wait");
    world.commit();
    assert_eq!(world.heard(sender), [0x40]);
    world.publish(sender, QoS::ExactlyOnce);
    assert!(world.heard(sender).is_empty(), "PUBREC");
    assert!(world.heard(receiver).is_empty(), "QoS 2 is sent under an identifier that is to last");
    world.publish(sender, QoS::AtMostOnce);
    assert_eq!(world.heard(receiver), [0x30], "QoS 0 passes");
    world.commit();
    assert_eq!(world.heard(sender), [0x50]);
    assert_eq!(world.heard(receiver), [0x34]);
    let ack =
        Acknowledge { packet_id: 1, reason: ReasonCode::Success, properties: Properties::EMPTY };
    world.send(sender, &Packet::Pubrel(ack));
    world.send(receiver, &Packet::Pubrec(Acknowledge { packet_id: 2, ..ack }));
    assert_eq!((world.heard(sender), world.heard(receiver)), (vec![], vec![]));
    world.commit();
    assert_eq!((world.heard(sender), world.heard(receiver)), (vec![0x70], vec![0x62]));
}

/// One message that is never acknowledged does not keep everything behind it.
#[test]
fn what_is_never_acknowledged_keeps_nothing_else() {
    let mut world = World::new();
    let receiver = world.connect("receiver");
    world.subscribe(receiver);
    let sender = world.connect("sender");
    world.commit();
    world.heard(receiver);
    world.publish(sender, QoS::AtLeastOnce);
    world.publish_heard(receiver);
    for round in 0..10 {
        for _ in 0..1500 {
            world.publish(sender, QoS::AtLeastOnce);
            let packet_id = world.publish_heard(receiver);
            let reason = ReasonCode::Success;
            let properties = Properties::EMPTY;
            let ack = Acknowledge { packet_id, reason, properties };
            world.send(receiver, &Packet::Puback(ack));
        }
        world.pass(2000);
        world.pass(2000);
        assert!(world.position.above.len() <= 2, "round {round}: {:?}", world.position.above);
        assert_eq!(world.living.len(), 1, "the one that is not acknowledged");
    }
    // It keeps its place in the order: what came before others is sent again before them.
    let (mid, _) = world.living.pop_first().unwrap();
    assert_eq!(world.position.cursor, mid.get() - 1);
}

/// `[MQTT-3.1.2-8]`: its connection is over since the broker died, and its Will has no delay.
#[test]
fn a_will_that_is_due_after_a_restart_is_published_though_its_client_is_back_first() {
    let mut world = World::new();
    let watcher = world.connect("watcher");
    world.subscribe(watcher);
    world.connect_with("client", Some(WILL));
    world.commit();
    let mut world = world.restart();
    let watcher = world.connect("watcher");
    world.connect("client");
    world.pass(1000);
    assert_eq!(world.heard(watcher), [0x20, 0x34]);
    let mut world = world.restart();
    let watcher = world.connect("watcher");
    world.pass(1000);
    assert_eq!(world.heard(watcher), [0x20, 0x3c], "the same again, and no other");
}

/// A retained message that was on its way is forgotten by a restart, but not by the client, which takes
/// what comes under its identifier for the same once more: the next one comes under another.
#[test]
fn identifiers_begin_elsewhere_after_each_restart() {
    let mut world = World::new();
    let sender = world.connect("sender");
    world.send_message(sender, QoS::ExactlyOnce, true);
    world.commit();
    let mut used = Vec::new();
    for life in 0..4 {
        world = world.restart();
        let receiver = world.connect("receiver");
        world.commit();
        world.subscribe(receiver);
        world.commit();
        let retained = world.identifiers(receiver);
        assert_eq!(retained.len(), 1, "life {life}");
        assert!(!used.contains(&retained[0]), "life {life}: {} of {used:?}", retained[0]);
        used.extend(retained);
    }
}

/// A client that waited for CONNACK in vain comes again: Session Present would promise what a power cut
/// takes away.
#[test]
fn a_session_that_is_not_on_the_disk_is_not_resumed() {
    let mut world = World::new();
    world.connect("client");
    world.commons.set_storing(Storing::Failed);
    world.shard.trays().events.clear();
    assert_eq!(world.try_connect("client", None), Err(Refusal::StoreFailed));
    let [Event::Refused { client_id, refusal, .. }] = &world.shard.trays().events[..] else {
        panic!("{:?}", world.shard.trays().events);
    };
    assert_eq!((&**client_id, *refusal), ("client", Refusal::StoreFailed));
    world.commons.set_storing(Storing::Well);
    world.commit();
    world.commons.set_storing(Storing::Failed);
    let client = world.connect("client");
    assert_eq!(world.heard(client), [0x20]);
}

/// What a restart has read is on the disk: only a Will that is due keeps its client out.
#[test]
fn after_a_restart_a_session_without_a_will_needs_no_disk() {
    let mut world = World::new();
    world.connect("plain");
    world.connect_with("mortal", Some(WILL));
    world.commit();
    let mut world = world.restart();
    world.commons.set_storing(Storing::Failed);
    let plain = world.connect("plain");
    assert_eq!(world.heard(plain), [0x20]);
    assert_eq!(world.try_connect("mortal", None), Err(Refusal::StoreFailed));
}

/// A request that comes again, in a new connection, is answered no sooner than the first: what that
/// one left may still be on its way to the disk.
#[test]
fn a_request_that_comes_again_waits_for_the_disk_too() {
    type Step<'s> = (&'s str, &'s dyn Fn(&mut World, ConnectionId), u8);
    let ack =
        Acknowledge { packet_id: 1, reason: ReasonCode::Success, properties: Properties::EMPTY };
    let steps: [Step<'_>; 5] = [
        ("sender", &|world, id| world.publish(id, QoS::ExactlyOnce), 0x50),
        ("sender", &|world, id| world.send(id, &Packet::Pubrel(ack)), 0x70),
        ("receiver", &|world, id| world.send(id, &Packet::Pubrec(ack)), 0x62),
        ("other", &|world, id| world.subscribe(id), 0x90),
        ("other", &|world, id| world.unsubscribe(id), 0xb0),
    ];
    let mut world = World::new();
    let receiver = world.connect("receiver");
    world.subscribe(receiver);
    world.connect("sender");
    world.connect("other");
    world.commit();
    for (number, (client_id, request, answer)) in steps.into_iter().enumerate() {
        let client = world.connect(client_id);
        world.commit();
        world.heard(client);
        request(&mut world, client);
        assert!(world.heard(client).is_empty(), "{number}: once");
        // Without this CONNACK waits too.
        world.commons.set_storing(Storing::Failed);
        let client = world.connect(client_id);
        let heads = world.heard(client);
        assert_eq!(heads, [0x20], "{number}: a new connection");
        request(&mut world, client);
        let heads = world.heard(client);
        assert!(heads.is_empty(), "{number}: again: {heads:x?}");
        world.commons.set_storing(Storing::Well);
        world.commit();
        let heads = world.heard(client);
        assert!(heads.contains(&answer), "{number}: {heads:x?}");
    }
}

/// `[MQTT-4.6.0-6]`: what was on its way from the disk when its client left, and comes when it is
/// back, does not overtake what waits longer.
#[test]
fn what_comes_late_from_the_disk_overtakes_nothing() {
    let mut world = World::with_window(10);
    let receiver = world.connect("receiver");
    world.subscribe(receiver);
    world.commit();
    world.shard.lost(receiver, Lost::ByPeer, world.now);
    let sender = world.connect("sender");
    for number in 0..200 {
        let publish = Publish {
            dup: false,
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "t",
            packet_id: 1,
            properties: Properties::EMPTY,
            payload: &[number],
        };
        world.send(sender, &Packet::Publish(publish));
        world.commit();
    }
    let receiver = world.connect("receiver");
    world.commit();
    let loads = world.loads();
    world.answer(loads);
    // As much as the window takes is sent, much is in memory, and more was asked for.
    let late = world.loads();
    assert_eq!(late.len(), 1);
    world.shard.lost(receiver, Lost::ByPeer, world.now);
    let receiver = world.connect("receiver");
    world.commit();
    world.answer(late);
    let mut payloads = Vec::new();
    while payloads.len() < 200 {
        let taken = world.taken(receiver);
        let loads = world.loads();
        assert!(!taken.is_empty() || !loads.is_empty(), "nothing comes behind {payloads:?}");
        payloads.extend(taken);
        world.answer(loads);
    }
    assert_eq!(payloads, (0..200).collect::<Vec<u8>>());
}

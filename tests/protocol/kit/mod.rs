//! Dialogues: a broker to talk to, whatever carries the bytes.

pub(crate) mod packets;

mod memory;
mod socket;

use mqttd::broker::{Directions, Durability, Limits, Methods, QueueFull, SharedChoice, Storing};
use mqttd::codec::{
    Connack, Frame, PACKET_BYTES_MAX, Packet, Properties, PropertiesBuf, Property, Publish, QoS,
    ReasonCode, Suback, Version, decode, encode,
};

use memory::Memory;
use packets::{Hello, subscribe_packet};
use socket::Socket;

/// What carries bytes to a broker and back. Connections are numbered by whoever opens them.
trait Wire {
    /// Opens the next connection.
    fn open(&mut self);
    fn send(&mut self, connection: usize, bytes: &[u8]);
    /// The next whole packet, or `None` when the broker closed the connection. Fails the test when
    /// neither comes.
    fn receive(&mut self, connection: usize) -> Option<Vec<u8>>;
    /// Ends a connection as a broken network does; the broker knows of it when this returns.
    fn cut(&mut self, connection: usize);
    /// An operator ends a client's connection.
    fn kick(&mut self, client_id: &str);
    /// Puts directions in force, and sends everybody away or lets them in.
    fn direct(&mut self, directions: &Directions, draining: bool);
    /// Lets time pass.
    fn pass(&mut self, ms: u64);
    /// From now on it stands so with the disk, and so many bytes wait on it.
    fn store(&mut self, storing: Storing, queue_bytes: u64);
}

/// A client's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    connection: usize,
    version: Version,
}

/// A broker and the clients that talk to it.
pub(crate) struct Broker {
    wire: Box<dyn Wire>,
    /// The Maximum Packet Size of each connection's CONNECT: whatever a dialogue is about, no packet
    /// may be larger.
    packet_bytes_max: Vec<u32>,
}

/// Runs a dialogue in every way, with generous limits.
pub(crate) fn both(script: impl Fn(&mut Broker)) {
    both_with(&limits(), script);
}

/// Runs a dialogue in every way.
pub(crate) fn both_with(limits: &Limits, script: impl Fn(&mut Broker)) {
    everywhere(limits, &Methods::default(), script);
}

/// Runs a dialogue in every way, with a broker that knows methods of authentication.
pub(crate) fn both_knowing(methods: &Methods, script: impl Fn(&mut Broker)) {
    everywhere(&limits(), methods, script);
}

fn everywhere(limits: &Limits, methods: &Methods, script: impl Fn(&mut Broker)) {
    memory_everywhere(limits, methods, &script);
    eprintln!("over sockets, 2 shards:");
    script(&mut Broker {
        wire: Box::new(Socket::new(limits, methods)),
        packet_bytes_max: Vec::new(),
    });
}

/// Runs a dialogue that needs time to pass, in memory.
pub(crate) fn in_memory(script: impl Fn(&mut Broker)) {
    memory_with(&limits(), script);
}

/// Runs a dialogue that needs time to pass, in memory.
pub(crate) fn memory_with(limits: &Limits, script: impl Fn(&mut Broker)) {
    memory_everywhere(limits, &Methods::default(), script);
}

/// Runs a dialogue about what the disk does, in memory.
pub(crate) fn keeping_with(limits: &Limits, script: impl Fn(&mut Broker)) {
    in_memories(&[(1, true), (2, true)], limits, &Methods::default(), script);
}

fn memory_everywhere(limits: &Limits, methods: &Methods, script: impl Fn(&mut Broker)) {
    in_memories(&[(1, false), (2, false), (1, true), (2, true)], limits, methods, script);
}

/// With so many shards, and with a disk or without.
fn in_memories(
    kinds: &[(u16, bool)],
    limits: &Limits,
    methods: &Methods,
    script: impl Fn(&mut Broker),
) {
    for &(shards, keeps) in kinds {
        eprintln!(
            "in memory, {shards} shards, {} a store:",
            if keeps { "with" } else { "without" }
        );
        script(&mut Broker {
            wire: Box::new(Memory::new(shards, limits, methods, keeps)),
            packet_bytes_max: Vec::new(),
        });
    }
}

/// Limits that no dialogue meets by accident.
pub(crate) fn limits() -> Limits {
    Limits {
        packet_bytes_max: 1 << 20,
        receive_maximum: 100,
        topic_alias_maximum: 10,
        assigned_aliases_max: 10,
        keep_alive_secs_max: u16::MAX,
        topic_levels_max: 128,
        checks_payload_format: false,
        subscriptions_max: 1000,
        inflight_max: 100,
        queue_messages_max: 1000,
        queue_bytes_max: 8 << 20,
        queue_full: QueueFull::DropNewest,
        store_queue_bytes_max: u64::MAX,
        session_expiry_secs_max: u32::MAX,
        outbox_bytes_max: 256 * 1024,
        retained_messages_max: 1000,
        sessions_max: 1000,
        memory_bytes_max: 1 << 30,
        shared_choice: SharedChoice::LeastBacklog,
        durability: Durability::default(),
    }
}

/// The Maximum Packet Size of a CONNECT, which may have other packets behind it.
fn maximum_packet_size(bytes: &[u8]) -> Option<u32> {
    let frame = Frame::split(bytes, PACKET_BYTES_MAX).ok()??;
    match decode(frame, Version::V5) {
        Ok(Packet::Connect(connect)) => connect.properties.maximum_packet_size(),
        _ => None,
    }
}

impl Broker {
    /// A connection on which nothing was said yet.
    pub(crate) fn open(&mut self, version: Version) -> Client {
        self.wire.open();
        self.packet_bytes_max.push(PACKET_BYTES_MAX);
        Client { connection: self.packet_bytes_max.len() - 1, version }
    }

    /// Connects with a new session that ends with the connection.
    pub(crate) fn connect(&mut self, version: Version, client_id: &str) -> Client {
        self.connect_as(&Hello::new(version, client_id)).0
    }

    /// Connects a persistent session, which must (or must not) be there already.
    pub(crate) fn resume(&mut self, version: Version, client_id: &str, present: bool) -> Client {
        let (client, session_present) = self.connect_as(&Hello::persistent(version, client_id));
        assert_eq!(session_present, present, "Session Present of {client_id}");
        client
    }

    /// Connects and must be let in; says whether a session was present.
    pub(crate) fn connect_as(&mut self, hello: &Hello<'_>) -> (Client, bool) {
        let client = self.open(hello.version);
        self.send(client, &hello.packet());
        let present = self.hear(client, |packet| {
            let Packet::Connack(Connack { session_present, reason: ReasonCode::Success, .. }) =
                packet
            else {
                panic!("instead of a CONNACK that says Success: {packet:?}");
            };
            *session_present
        });
        (client, present)
    }

    pub(crate) fn send(&mut self, client: Client, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode(packet, client.version, &mut bytes);
        self.send_bytes(client, &bytes);
    }

    pub(crate) fn send_bytes(&mut self, client: Client, bytes: &[u8]) {
        if let Some(limit) = maximum_packet_size(bytes) {
            self.packet_bytes_max[client.connection] = limit;
        }
        self.wire.send(client.connection, bytes);
    }

    /// The next packet; its size is one the client takes.
    fn receive(&mut self, client: Client) -> Option<Vec<u8>> {
        let bytes = self.wire.receive(client.connection)?;
        let limit = self.packet_bytes_max[client.connection];
        assert!(bytes.len() <= limit as usize, "{limit} bytes are the most: {bytes:x?}");
        Some(bytes)
    }

    /// The next packet a client hears.
    pub(crate) fn hear<R>(&mut self, client: Client, judge: impl FnOnce(&Packet<'_>) -> R) -> R {
        let bytes = self.receive(client);
        let bytes = bytes.unwrap_or_else(|| panic!("{client:?} is closed"));
        let frame = Frame::split(&bytes, PACKET_BYTES_MAX).ok().flatten().expect("a whole packet");
        judge(&decode(frame, client.version).unwrap_or_else(|error| panic!("{bytes:x?}: {error}")))
    }

    /// The next packet a client hears, as it is on the wire.
    pub(crate) fn hear_bytes(&mut self, client: Client) -> Vec<u8> {
        self.hear_or_end(client).unwrap_or_else(|| panic!("{client:?} is closed"))
    }

    /// The next packet a client hears, as it is on the wire; `None` at the end of the connection.
    pub(crate) fn hear_or_end(&mut self, client: Client) -> Option<Vec<u8>> {
        self.receive(client)
    }

    /// The next packet must be this one.
    pub(crate) fn expect(&mut self, client: Client, expected: &Packet<'_>) {
        self.hear(client, |packet| assert_eq!(packet, expected));
    }

    /// The next packet must be these very bytes.
    pub(crate) fn expect_bytes(&mut self, client: Client, expected: &[u8]) {
        let bytes = self.receive(client);
        assert_eq!(bytes.as_deref(), Some(expected), "{client:?}");
    }

    /// The next packet must be a CONNACK as 5.0 writes it, with this Reason Code.
    pub(crate) fn expect_connack_of_5(&mut self, client: Client, reason: u8) {
        let bytes = self.receive(client).expect("a CONNACK");
        let frame = Frame::split(&bytes, PACKET_BYTES_MAX).ok().flatten().expect("a whole packet");
        let connack = decode(frame, Version::V5);
        let Ok(Packet::Connack(connack)) = connack else { panic!("{bytes:x?}") };
        assert_eq!((connack.reason.as_byte(), connack.session_present), (reason, false));
    }

    /// The next packet must be this PUBLISH but for its Packet Identifier, which is returned.
    pub(crate) fn expect_publish(&mut self, client: Client, expected: &Publish<'_>) -> u16 {
        self.hear(client, |packet| {
            let Packet::Publish(publish) = packet else {
                panic!("instead of {expected:?}: {packet:?}");
            };
            let packet_id = publish.packet_id;
            assert_eq!(packet_id == 0, publish.qos == QoS::AtMostOnce);
            assert_eq!(publish, &Publish { packet_id, ..*expected });
            packet_id
        })
    }

    /// The broker must close the connection, without another word.
    pub(crate) fn expect_closed(&mut self, client: Client) {
        if let Some(bytes) = self.receive(client) {
            panic!("instead of the end: {bytes:x?}");
        }
    }

    /// The broker must end the connection for this reason: a 5.0 client is told.
    pub(crate) fn expect_disconnected(&mut self, client: Client, expected: ReasonCode) {
        if client.version == Version::V5 {
            self.hear(client, |packet| {
                let Packet::Disconnect(disconnect) = packet else {
                    panic!("instead of DISCONNECT: {packet:?}");
                };
                assert_eq!(disconnect.reason, expected);
                assert_eq!(disconnect.properties.session_expiry_interval(), None);
            });
        }
        self.expect_closed(client);
    }

    /// A client that hears nothing: the answer to its PINGREQ is the next packet.
    pub(crate) fn expect_silence(&mut self, client: Client) {
        self.send(client, &Packet::Pingreq);
        self.expect(client, &Packet::Pingresp);
    }

    /// Subscribes; each Topic Filter must be granted its QoS.
    pub(crate) fn subscribe(&mut self, client: Client, filters: &[(&str, QoS)]) {
        let bytes = subscribe_packet(client.version, 77, Properties::EMPTY, filters);
        self.send_bytes(client, &bytes);
        let granted: Vec<u8> = filters.iter().map(|(_, qos)| qos.as_bits()).collect();
        self.expect_suback(client, 77, &granted);
    }

    /// Subscribes with a Subscription Identifier.
    pub(crate) fn subscribe_as(&mut self, client: Client, identifier: u32, filter: &str, qos: QoS) {
        let mut properties = PropertiesBuf::default();
        properties.push(Property::SubscriptionIdentifier(identifier));
        let properties = properties.as_properties();
        let bytes = subscribe_packet(client.version, 78, properties, &[(filter, qos)]);
        self.send_bytes(client, &bytes);
        self.expect_suback(client, 78, &[qos.as_bits()]);
    }

    /// The next packet must be this SUBACK; a refusal may have a Reason String.
    pub(crate) fn expect_suback(&mut self, client: Client, packet_id: u16, reasons: &[u8]) {
        self.hear(client, |packet| {
            let Packet::Suback(suback) = packet else { panic!("instead of SUBACK: {packet:?}") };
            let properties = suback.properties;
            assert_eq!(suback, &Suback { packet_id, properties, reasons });
            let refused = reasons.iter().any(|reason| *reason >= 0x80);
            assert!(refused || properties.is_empty(), "{properties:?}");
        });
    }

    /// An operator ends a client's connection.
    pub(crate) fn kick(&mut self, client_id: &str) {
        self.wire.kick(client_id);
    }

    /// Tells the broker of another server, or where answers go.
    pub(crate) fn direct(&mut self, directions: &Directions) {
        self.wire.direct(directions, false);
    }

    /// Sends everybody away, and refuses those who come.
    pub(crate) fn drain(&mut self, directions: &Directions) {
        self.wire.direct(directions, true);
    }

    /// Says goodbye; the broker closes the connection.
    pub(crate) fn disconnect(&mut self, client: Client) {
        self.send(client, &packets::disconnect(ReasonCode::Success));
        self.expect_closed(client);
    }

    /// Ends the connection as a broken network does.
    pub(crate) fn cut(&mut self, client: Client) {
        self.wire.cut(client.connection);
    }

    /// From now on it stands so with the disk; where there is one alone.
    pub(crate) fn storing(&mut self, storing: Storing) {
        self.wire.store(storing, 0);
    }

    /// So many bytes of messages wait on the disk; where there is one alone.
    pub(crate) fn stored_queue_bytes(&mut self, bytes: u64) {
        self.wire.store(Storing::Well, bytes);
    }

    /// Lets time pass; in memory alone.
    pub(crate) fn pass_secs(&mut self, secs: u64) {
        self.wire.pass(secs * 1000);
    }

    /// Lets the timers catch up: they may be late by one turn of their wheel. In memory alone.
    pub(crate) fn pass_slack(&mut self) {
        self.wire.pass(256);
    }

    /// Lets time pass; in memory alone.
    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.wire.pass(ms);
    }
}

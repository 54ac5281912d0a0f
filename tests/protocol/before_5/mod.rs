//! MQTT 3.1.1, and MQTT 3.1 where it differs: what the dialogues of the other chapters, most of
//! which run over all versions, leave open. Much of it is said byte by byte, as older devices do.
//!
//! `[MQTT3-…]` are the statements of 3.1.1; `[MQTT31-…]` what 3.1 has otherwise, by our own count.

mod connect;
mod headers;
mod publish;
mod retained;
mod session;
mod subscribe;
mod will;

use mqttd::codec::{Packet, QoS, Version};

use crate::kit::packets::{puback, publish_1};
use crate::kit::{Broker, Client};

const BEFORE_5: [Version; 2] = [Version::V31, Version::V311];

/// A CONNECT: flags, a Keep Alive of 0, and the fields of the payload, each behind its length.
fn connect_bytes(version: Version, flags: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut body = match version {
        Version::V31 => b"\x00\x06MQIsdp\x03".to_vec(),
        Version::V311 => b"\x00\x04MQTT\x04".to_vec(),
        Version::V5 => panic!("this speaks of older versions"),
    };
    body.extend([flags, 0, 0]);
    for field in fields {
        body.extend(u16::try_from(field.len()).expect("a short field").to_be_bytes());
        body.extend(*field);
    }
    let mut bytes = vec![0x10, u8::try_from(body.len()).expect("a short packet")];
    bytes.extend(body);
    bytes
}

/// A client that hears everything.
fn watcher(broker: &mut Broker) -> Client {
    let client = broker.connect(Version::V311, "watcher");
    broker.subscribe(client, &[("#", QoS::AtMostOnce)]);
    client
}

/// Publishes with QoS 1 from a client of its own, and waits until the broker has it.
fn publish_from_elsewhere(broker: &mut Broker, topic: &str, payload: &[u8]) {
    let client = broker.connect(Version::V311, "elsewhere");
    broker.send(client, &Packet::Publish(publish_1(1, topic, payload)));
    broker.expect(client, &puback(1));
    broker.disconnect(client);
}

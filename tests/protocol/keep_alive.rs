//! Keep Alive (sections 3.1.2.10, 3.12 and 3.13).

use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{Admission, Commons, ConnectionId, Limits, Now, Shard};
use mqttd::codec::{Frame, Packet, Properties, QoS, ReasonCode, Version, decode, encode};

use crate::kit::packets::{Hello, publish, subscribe_packet, will};
use crate::kit::{both, in_memory, limits};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// `[MQTT-3.12.4-1]`
/// `[MQTT3-3.12.4-1]`
#[test]
fn a_ping_is_answered() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.connect(version, "a");
            broker.send(client, &Packet::Pingreq);
            broker.send(client, &Packet::Pingreq);
            broker.expect(client, &Packet::Pingresp);
            broker.expect(client, &Packet::Pingresp);
        }
    });
}

/// `[MQTT-3.1.2-22]`: after one and a half times the Keep Alive, as if the network had failed.
/// `[MQTT3-3.1.2-24]` `[MQTT31-19]` `[MQTT31-20]`
#[test]
fn a_silent_client_is_disconnected() {
    in_memory(|broker| {
        let watcher = broker.connect(Version::V311, "watcher");
        broker.subscribe(watcher, &[("w", QoS::AtMostOnce)]);
        for version in VERSIONS {
            let hello = Hello {
                keep_alive_secs: 10,
                will: Some(will("w", b"gone")),
                ..Hello::new(version, "a")
            };
            let (client, _) = broker.connect_as(&hello);
            broker.pass_ms(14_999);
            broker.expect_silence(watcher);
            broker.pass_slack();
            broker.expect_disconnected(client, ReasonCode::KeepAliveTimeout);
            broker.expect_publish(watcher, &publish("w", b"gone"));
        }
    });
}

#[test]
fn any_packet_keeps_it_alive() {
    in_memory(|broker| {
        let hello = Hello { keep_alive_secs: 10, ..Hello::new(Version::V5, "a") };
        let (client, _) = broker.connect_as(&hello);
        for _ in 0..10 {
            broker.pass_secs(14);
            broker.send(client, &Packet::Publish(publish("a", b"")));
        }
        broker.pass_secs(14);
        broker.expect_silence(client);
        // What the broker sends does not count.
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        let other = broker.connect(Version::V5, "b");
        broker.pass_secs(14);
        broker.send(other, &Packet::Publish(publish("a", b"")));
        broker.expect_publish(client, &publish("a", b""));
        broker.pass_secs(1);
        broker.pass_slack();
        broker.expect_disconnected(client, ReasonCode::KeepAliveTimeout);
    });
}

#[test]
fn without_keep_alive_a_client_may_be_silent() {
    in_memory(|broker| {
        let client = broker.connect(Version::V311, "a");
        broker.pass_secs(1_000_000);
        broker.expect_silence(client);
    });
}

/// A client that reads slowly is not read from, so that its PINGREQ waits in the network. As long
/// as it takes what it is sent it is there `[MQTT-3.1.2-22]`.
#[test]
fn a_client_that_takes_a_large_message_slowly_is_not_silent() {
    let commons = Commons::new(1, Limits { packet_bytes_max: 8 << 20, ..limits() }, 0);
    let mut shard = Shard::new(0, Arc::clone(&commons));
    let at = |ticks_ms| Now { ticks_ms, unix_ms: 1_700_000_000_000 + ticks_ms };
    let slow = admit(&mut shard, &commons, "slow", at(5));
    let bytes = subscribe_packet(Version::V311, 1, Properties::EMPTY, &[("a", QoS::AtMostOnce)]);
    assert_eq!(shard.receive(slow, &bytes, at(5)), bytes.len());
    let take = |shard: &mut Shard, bytes: usize, now| {
        shard.outbox(slow).expect("it is connected").sent(bytes);
        shard.flushed(slow, now);
    };
    take(&mut shard, usize::MAX, at(5));
    let publisher = admit(&mut shard, &commons, "publisher", at(5));
    let mut bytes = Vec::new();
    encode(&Packet::Publish(publish("a", &vec![0; 4 << 20])), Version::V311, &mut bytes);
    assert_eq!(shard.receive(publisher, &bytes, at(5)), bytes.len());
    take(&mut shard, 1000, at(5));
    // Two minutes with a Keep Alive of 10 seconds.
    let mut ms = 5;
    for _ in 0..120 {
        ms += 1000;
        take(&mut shard, 10_000, at(ms));
        assert!(shard.choked(slow), "it is not read from");
        shard.tick(at(ms));
        assert!(shard.outbox(slow).is_some(), "at {ms} ms");
    }
    // It takes nothing any more.
    for _ in 0..16 {
        ms += 1000;
        shard.tick(at(ms));
    }
    assert!(shard.outbox(slow).is_none());
}

/// With a Keep Alive of 10 seconds.
fn admit(shard: &mut Shard, commons: &Commons, client_id: &str, now: Now) -> ConnectionId {
    let mut bytes = Vec::new();
    let hello = Hello { keep_alive_secs: 10, ..Hello::new(Version::V311, client_id) };
    encode(&hello.packet(), Version::V311, &mut bytes);
    let frame = Frame::split(&bytes, 100).expect("a packet").expect("all of it");
    let Ok(Packet::Connect(connect)) = decode(frame, Version::V5) else { panic!("a CONNECT") };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1024));
    let admission = Admission::new(&connect, peer, &commons.limits(), Box::default);
    shard.admit(admission.expect("nothing is wrong with it"), now).expect("there is room")
}

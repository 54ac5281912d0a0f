//! Keep Alive (sections 3.1.2.10, 3.12 and 3.13).

use mqttd::codec::{Packet, QoS, ReasonCode, Version};

use crate::kit::packets::{Hello, publish, will};
use crate::kit::{both, in_memory};

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
/// `[MQTT3-3.1.2-24]` `[MQTT31-20]`
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

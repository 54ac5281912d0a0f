//! Wills (section 3.1.2.5).

use mqttd::codec::{
    Disconnect, Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version,
    Will,
};

use crate::kit::packets::{Hello, disconnect, publish, publish_1, retained, will};
use crate::kit::{Broker, Client, both, in_memory};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn watcher(broker: &mut Broker) -> Client {
    let client = broker.connect(Version::V311, "watcher");
    broker.subscribe(client, &[("#", QoS::ExactlyOnce)]);
    client
}

fn connect_with(broker: &mut Broker, version: Version, will: Will<'_>) -> Client {
    broker.connect_as(&Hello { will: Some(will), ..Hello::new(version, "mortal") }).0
}

/// A 5.0 client whose session stays for `expiry_secs` and whose Will waits for `delay_secs`.
fn connect_delayed(broker: &mut Broker, expiry_secs: u32, delay_secs: u32) -> (Client, bool) {
    let (mut properties, mut of_will) = (PropertiesBuf::default(), PropertiesBuf::default());
    properties.push(Property::SessionExpiryInterval(expiry_secs));
    of_will.push(Property::WillDelayInterval(delay_secs));
    let will = Will { properties: of_will.as_properties(), ..will("w", b"gone") };
    broker.connect_as(&Hello {
        will: Some(will),
        clean_start: false,
        properties: properties.as_properties(),
        ..Hello::new(Version::V5, "mortal")
    })
}

/// `[MQTT-3.1.2-7]` `[MQTT-3.1.2-8]` `[MQTT-3.1.2-14]`
/// `[MQTT3-3.1.2-8]`
#[test]
fn it_is_published_when_the_network_fails() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in VERSIONS {
            let client = connect_with(broker, version, will("w", b"gone"));
            broker.cut(client);
            broker.expect_publish(watcher, &publish("w", b"gone"));
        }
        broker.expect_silence(watcher);
        // It was no retained message.
        let late = broker.connect(Version::V5, "late");
        broker.subscribe(late, &[("#", QoS::AtMostOnce)]);
        broker.expect_silence(late);
    });
}

/// `[MQTT-3.1.2-10]` `[MQTT-3.14.4-3]`
/// `[MQTT3-3.14.4-3]` `[MQTT3-3.1.2-10]`
#[test]
fn a_normal_disconnect_discards_it() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in VERSIONS {
            let client = connect_with(broker, version, will("w", b"gone"));
            broker.disconnect(client);
        }
        broker.expect_silence(watcher);
    });
}

/// `[MQTT-3.1.2-10]` `[MQTT-3.14.4-3]`: for good, though it would have had to wait, and the session
/// goes on and ends later.
#[test]
fn a_normal_disconnect_discards_one_with_a_delay() {
    in_memory(|broker| {
        let watcher = watcher(broker);
        let (client, _) = connect_delayed(broker, 100, 10);
        broker.disconnect(client);
        broker.pass_secs(50);
        broker.expect_silence(watcher);
        broker.pass_secs(1000);
        broker.expect_silence(watcher);
    });
}

/// `[MQTT-3.1.2-8]` `[MQTT-4.13.2-1]`: DISCONNECT with any other reason than 0x00 does not.
#[test]
fn a_disconnect_with_a_reason_publishes_it() {
    both(|broker| {
        let watcher = watcher(broker);
        for reason in [ReasonCode::DisconnectWithWillMessage, ReasonCode::UnspecifiedError] {
            let client = connect_with(broker, Version::V5, will("w", b"gone"));
            broker.send(client, &disconnect(reason));
            broker.expect_closed(client);
            broker.expect_publish(watcher, &publish("w", b"gone"));
        }
    });
}

#[test]
fn a_breach_of_the_standard_publishes_it() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in VERSIONS {
            let client = connect_with(broker, version, will("w", b"gone"));
            broker.send_bytes(client, b"\x00\x00");
            broker.expect_disconnected(client, ReasonCode::MalformedPacket);
            broker.expect_publish(watcher, &publish("w", b"gone"));
        }
    });
}

#[test]
fn its_qos_and_properties_are_kept() {
    both(|broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("w", QoS::ExactlyOnce)]);
        let mut list = PropertiesBuf::default();
        list.push(Property::ContentType("text"));
        list.push(Property::UserProperty(("k", "v")));
        let properties = list.as_properties();
        let will = Will { qos: QoS::AtLeastOnce, properties, ..will("w", b"gone") };
        let client = connect_with(broker, Version::V5, will);
        broker.cut(client);
        broker.expect_publish(watcher, &Publish { properties, ..publish_1(0, "w", b"gone") });
    });
}

/// `[MQTT-3.1.2-15]`
/// `[MQTT3-3.1.2-17]`
#[test]
fn it_may_be_retained() {
    both(|broker| {
        for version in VERSIONS {
            let client = connect_with(broker, version, Will { retain: true, ..will("w", b"gone") });
            broker.cut(client);
            let watcher = broker.connect(version, "watcher");
            broker.subscribe(watcher, &[("w", QoS::AtMostOnce)]);
            broker.expect_publish(watcher, &retained(publish("w", b"gone")));
            broker.disconnect(watcher);
        }
    });
}

/// `[MQTT-3.1.4-3]`: to the old connection a takeover is an end like others.
#[test]
fn a_takeover_publishes_it() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in VERSIONS {
            let first = connect_with(broker, version, will("w", b"gone"));
            let second = broker.connect(version, "mortal");
            broker.expect_disconnected(first, ReasonCode::SessionTakenOver);
            broker.expect_publish(watcher, &publish("w", b"gone"));
            broker.disconnect(second);
        }
        broker.expect_silence(watcher);
    });
}

/// A session that stays keeps no Will of an earlier connection.
#[test]
fn a_new_connection_has_its_own() {
    both(|broker| {
        let watcher = watcher(broker);
        let hello = Hello::persistent(Version::V311, "mortal");
        let with_will = Hello { will: Some(will("w", b"gone")), ..hello.clone() };
        let (client, _) = broker.connect_as(&with_will);
        broker.disconnect(client);
        let (client, present) = broker.connect_as(&hello);
        assert!(present);
        broker.cut(client);
        broker.expect_silence(watcher);
    });
}

/// `[MQTT-3.1.2-8]` `[MQTT-3.1.2-10]`: once, though the session goes on, and ends later.
#[test]
fn its_delay_is_waited_for() {
    in_memory(|broker| {
        let watcher = watcher(broker);
        let (client, _) = connect_delayed(broker, 100, 10);
        broker.cut(client);
        broker.pass_ms(9_999);
        broker.expect_silence(watcher);
        broker.pass_slack();
        broker.expect_publish(watcher, &publish("w", b"gone"));
        broker.pass_secs(1000);
        broker.expect_silence(watcher);
    });
}

/// `[MQTT-3.1.3-9]`
#[test]
fn who_comes_back_in_time_is_not_mourned() {
    in_memory(|broker| {
        let watcher = watcher(broker);
        let (client, _) = connect_delayed(broker, 100, 10);
        broker.cut(client);
        broker.pass_secs(9);
        let (_client, present) = connect_delayed(broker, 100, 10);
        assert!(present);
        broker.pass_secs(50);
        broker.expect_silence(watcher);
    });
}

/// `[MQTT-3.1.3-9]` `[MQTT-3.1.2-8]`: nor who takes over its own connection, unless it begins anew.
#[test]
fn a_takeover_in_time_is_not_mourned() {
    in_memory(|broker| {
        let watcher = watcher(broker);
        let (first, _) = connect_delayed(broker, 100, 10);
        let (second, present) = connect_delayed(broker, 100, 10);
        assert!(present);
        broker.expect_disconnected(first, ReasonCode::SessionTakenOver);
        broker.pass_secs(50);
        broker.expect_silence(watcher);
        let third = broker.connect(Version::V5, "mortal");
        broker.expect_disconnected(second, ReasonCode::SessionTakenOver);
        broker.expect_publish(watcher, &publish("w", b"gone"));
        broker.disconnect(third);
        broker.expect_silence(watcher);
    });
}

/// `[MQTT-3.1.3-9]`: nor who comes back without a Will, when he leaves again.
#[test]
fn who_comes_back_without_a_will_leaves_none() {
    in_memory(|broker| {
        let watcher = watcher(broker);
        let (client, _) = connect_delayed(broker, 100, 10);
        broker.cut(client);
        let client = broker.resume(Version::V5, "mortal", true);
        broker.cut(client);
        broker.pass_secs(1000);
        broker.expect_silence(watcher);
    });
}

/// The end of the session does not wait for the delay `[MQTT-3.1.2-8]`.
#[test]
fn the_end_of_the_session_publishes_it() {
    in_memory(|broker| {
        let watcher = watcher(broker);
        let (client, _) = connect_delayed(broker, 5, 60);
        broker.cut(client);
        broker.pass_ms(4_999);
        broker.expect_silence(watcher);
        broker.pass_slack();
        broker.expect_publish(watcher, &publish("w", b"gone"));
        // A clean start ends the session too.
        let (client, present) = connect_delayed(broker, 100, 60);
        assert!(!present);
        broker.cut(client);
        broker.connect(Version::V5, "mortal");
        broker.expect_publish(watcher, &publish("w", b"gone"));
        // And a session that ends with its connection.
        let (client, _) = connect_delayed(broker, 0, 60);
        broker.cut(client);
        broker.expect_publish(watcher, &publish("w", b"gone"));
        broker.expect_silence(watcher);
    });
}

/// A DISCONNECT may end the session at once, and with it the delay.
#[test]
fn a_disconnect_may_shorten_the_session() {
    in_memory(|broker| {
        let watcher = watcher(broker);
        let (client, _) = connect_delayed(broker, 100, 60);
        let now = Packet::Disconnect(Disconnect {
            reason: ReasonCode::DisconnectWithWillMessage,
            properties: Properties::from_checked(b"\x11\x00\x00\x00\x00"),
        });
        broker.send(client, &now);
        broker.expect_closed(client);
        broker.expect_publish(watcher, &publish("w", b"gone"));
    });
}

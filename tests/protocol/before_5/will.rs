//! Wills (section 3.1.2.5).

use mqttd::codec::{QoS, Version, Will};

use super::{BEFORE_5, watcher};
use crate::kit::packets::{Hello, publish, publish_1, publish_2, retained, will};
use crate::kit::{Broker, Client, both};

fn connect_with(broker: &mut Broker, version: Version, will: Option<Will<'_>>) -> Client {
    broker.connect_as(&Hello { will, ..Hello::persistent(version, "mortal") }).0
}

/// A Will is of one connection: it is published once, and a later connection without one has none.
///
/// `[MQTT3-3.1.2-8]` `[MQTT3-3.1.2-10]` `[MQTT3-3.1.2-12]` `[MQTT31-19]`
#[test]
fn it_is_published_once_and_is_gone() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in BEFORE_5 {
            let client = connect_with(broker, version, Some(will("w", b"gone")));
            broker.cut(client);
            broker.expect_publish(watcher, &publish("w", b"gone"));
            let client = connect_with(broker, version, None);
            broker.cut(client);
            broker.expect_silence(watcher);
        }
    });
}

/// `[MQTT3-3.1.2-16]` `[MQTT3-3.1.2-17]` `[MQTT3-3.1.2-9]`: retained or not, and with its QoS.
#[test]
fn it_is_retained_only_if_it_asks_for_it() {
    both(|broker| {
        for version in BEFORE_5 {
            let subscriber = broker.connect(version, "subscriber");
            broker.subscribe(subscriber, &[("w", QoS::ExactlyOnce)]);
            for (qos, message) in [
                (QoS::AtMostOnce, publish("w", b"gone")),
                (QoS::AtLeastOnce, publish_1(0, "w", b"gone")),
                (QoS::ExactlyOnce, publish_2(0, "w", b"gone")),
            ] {
                for retain in [false, true] {
                    let will = Will { qos, retain, ..will("w", b"gone") };
                    let client = connect_with(broker, version, Some(will));
                    broker.cut(client);
                    broker.expect_publish(subscriber, &message);
                    let late = broker.connect(version, "late");
                    broker.subscribe(late, &[("w", QoS::ExactlyOnce)]);
                    if retain {
                        broker.expect_publish(late, &retained(message));
                    }
                    broker.expect_silence(late);
                    broker.disconnect(late);
                }
                let will = Will { retain: true, ..will("w", b"") };
                let client = connect_with(broker, version, Some(will));
                broker.cut(client);
                broker.expect_publish(subscriber, &publish("w", b""));
            }
            broker.disconnect(subscriber);
        }
    });
}

/// DISCONNECT discards it; anything else that ends the connection does not.
///
/// `[MQTT3-3.14.4-3]` `[MQTT3-3.1.2-8]` `[MQTT3-3.1.2-10]` `[MQTT31-19]`
#[test]
fn only_disconnect_discards_it() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in BEFORE_5 {
            let client = connect_with(broker, version, Some(will("w", b"gone")));
            broker.send_bytes(client, b"\xe0\x00");
            broker.expect_closed(client);
            broker.expect_silence(watcher);
            // A breach, a malformed DISCONNECT, a takeover.
            for bytes in [&b"\x00\x00"[..], b"\xe0\x01\x00", b"\xe1\x00"] {
                let client = connect_with(broker, version, Some(will("w", b"gone")));
                broker.send_bytes(client, bytes);
                broker.expect_closed(client);
                broker.expect_publish(watcher, &publish("w", b"gone"));
            }
            let client = connect_with(broker, version, Some(will("w", b"gone")));
            let next = connect_with(broker, version, None);
            broker.expect_closed(client);
            broker.expect_publish(watcher, &publish("w", b"gone"));
            broker.disconnect(next);
            broker.expect_silence(watcher);
        }
    });
}

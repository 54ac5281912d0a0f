//! Retained messages (section 3.3.1.3).

use mqttd::codec::{Packet, Publish, QoS, Version};

use super::BEFORE_5;
use crate::kit::packets::{
    puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, retained,
};
use crate::kit::{Broker, Client, both};

/// Publishes a message to be retained, through all acknowledgements.
fn retain(broker: &mut Broker, client: Client, message: Publish<'_>) {
    let packet_id = message.packet_id;
    broker.send(client, &Packet::Publish(retained(message)));
    match message.qos {
        QoS::AtMostOnce => broker.expect_silence(client),
        QoS::AtLeastOnce => broker.expect(client, &puback(packet_id)),
        QoS::ExactlyOnce => {
            broker.expect(client, &pubrec(packet_id));
            broker.send(client, &pubrel(packet_id));
            broker.expect(client, &pubcomp(packet_id));
        }
    }
}

/// What a new subscriber to `a` with QoS 2 gets.
fn expect_kept(broker: &mut Broker, version: Version, expected: Option<&Publish<'_>>) {
    let client = broker.connect(version, "new");
    broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
    if let Some(expected) = expected {
        broker.expect_publish(client, expected);
    }
    broker.expect_silence(client);
    broker.disconnect(client);
}

/// It is kept with its QoS, and the last one counts whatever its QoS is.
///
/// `[MQTT3-3.3.1-5]` `[MQTT3-3.3.1-6]` `[MQTT3-3.3.1-7]` `[MQTT3-3.3.1-8]` `[MQTT31-14]`
#[test]
fn the_last_one_is_kept_with_its_qos() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            for message in [
                publish_1(1, "a", b"1"),
                publish_2(2, "a", b"2"),
                publish("a", b"0"),
                publish_1(3, "a", b"1 again"),
            ] {
                retain(broker, client, message);
                expect_kept(broker, version, Some(&retained(message)));
            }
        }
    });
}

/// The empty message is passed on like any other, and leaves nothing behind.
///
/// `[MQTT3-3.3.1-9]` `[MQTT3-3.3.1-10]` `[MQTT3-3.3.1-11]` `[MQTT31-14]`
#[test]
fn an_empty_one_is_passed_on_and_removes_what_was_kept() {
    both(|broker| {
        for version in BEFORE_5 {
            let watcher = broker.connect(version, "watcher");
            broker.subscribe(watcher, &[("a", QoS::ExactlyOnce)]);
            let client = broker.connect(version, "a");
            for empty in [publish("a", b""), publish_1(2, "a", b""), publish_2(3, "a", b"")] {
                retain(broker, client, publish_1(1, "a", b"x"));
                retain(broker, client, empty);
                broker.expect_publish(watcher, &publish_1(0, "a", b"x"));
                broker.expect_publish(watcher, &empty);
                expect_kept(broker, version, None);
            }
            broker.disconnect(watcher);
        }
    });
}

/// `[MQTT3-3.3.1-12]`
#[test]
fn without_the_flag_nothing_is_kept_or_removed() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.send(client, &Packet::Publish(publish_1(1, "a", b"passing")));
            broker.expect(client, &puback(1));
            expect_kept(broker, version, None);
            retain(broker, client, publish_1(1, "a", b"stays"));
            for payload in [&b"passing"[..], b""] {
                broker.send(client, &Packet::Publish(publish_1(1, "a", payload)));
                broker.expect(client, &puback(1));
                expect_kept(broker, version, Some(&retained(publish_1(0, "a", b"stays"))));
            }
            retain(broker, client, publish_1(1, "a", b""));
        }
    });
}

/// It is nobody's: neither the end of the session that published it nor a clean one removes it.
///
/// `[MQTT3-3.1.2-7]`
#[test]
fn it_is_no_part_of_a_session() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            retain(broker, client, publish_1(1, "a", b"x"));
            broker.disconnect(client);
            let client = broker.connect(version, "a");
            expect_kept(broker, version, Some(&retained(publish_1(0, "a", b"x"))));
            broker.cut(client);
            expect_kept(broker, version, Some(&retained(publish_1(0, "a", b"x"))));
            let client = broker.connect(version, "a");
            retain(broker, client, publish_1(1, "a", b""));
        }
    });
}

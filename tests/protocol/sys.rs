//! `$SYS` (section 4.7.2): the broker's own topics, to which clients may listen.

use mqttd::codec::{Acknowledge, Connack, Packet, Publish, QoS, ReasonCode, Version};

use crate::kit::both;
use crate::kit::packets::{
    Hello, puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, retained, will,
};

const OWN: &str = "$SYS/broker/uptime";

/// A 5.0 client is told so; before, there is no way to tell. Nobody gets the message, and it is
/// not retained. `[MQTT3-3.3.5-2]` `[MQTT31-12]`
#[test]
fn clients_may_not_publish_to_it() {
    both(|broker| {
        let listener = broker.connect(Version::V5, "listener");
        broker.subscribe(listener, &[("$SYS/#", QoS::ExactlyOnce), ("mark", QoS::AtMostOnce)]);
        let is_refusal = |ack: &Acknowledge<'_>, packet_id| {
            assert_eq!((ack.packet_id, ack.reason), (packet_id, ReasonCode::NotAuthorized));
            assert!(ack.properties.reason_string().is_some_and(|words| words.contains("$SYS")));
        };
        let client = broker.connect(Version::V5, "5");
        broker.send(client, &Packet::Publish(retained(publish(OWN, b"x"))));
        broker.send(client, &Packet::Publish(retained(publish_1(1, OWN, b"x"))));
        broker.hear(client, |packet| {
            let Packet::Puback(ack) = packet else { panic!("{packet:?}") };
            is_refusal(ack, 1);
        });
        broker.send(client, &Packet::Publish(retained(publish_2(2, OWN, b"x"))));
        broker.hear(client, |packet| {
            let Packet::Pubrec(ack) = packet else { panic!("{packet:?}") };
            is_refusal(ack, 2);
        });
        // The exchange has ended: the identifier is free.
        broker.send(client, &Packet::Publish(publish_2(2, "elsewhere", b"x")));
        broker.hear(client, |packet| {
            let Packet::Pubrec(ack) = packet else { panic!("{packet:?}") };
            assert_eq!((ack.packet_id, ack.reason), (2, ReasonCode::NoMatchingSubscribers));
        });

        for version in [Version::V31, Version::V311] {
            let client = broker.connect(version, "3");
            broker.send(client, &Packet::Publish(retained(publish(OWN, b"x"))));
            broker.send(client, &Packet::Publish(retained(publish_1(1, OWN, b"x"))));
            broker.expect(client, &puback(1));
            broker.send(client, &Packet::Publish(retained(publish_2(2, OWN, b"x"))));
            broker.expect(client, &pubrec(2));
            broker.send(client, &pubrel(2));
            broker.expect(client, &pubcomp(2));
            broker.disconnect(client);
        }

        broker.send(client, &Packet::Publish(publish("mark", b"")));
        broker.expect_publish(listener, &publish("mark", b""));
        broker.subscribe(client, &[("$SYS/#", QoS::AtMostOnce)]);
        broker.expect_silence(client);
    });
}

/// A Will is a message like any other.
#[test]
fn no_will_goes_there() {
    both(|broker| {
        for version in [Version::V311, Version::V5] {
            let client = broker.open(version);
            let hello = Hello { will: Some(will(OWN, b"x")), ..Hello::new(version, "a") };
            broker.send(client, &hello.packet());
            broker.hear(client, |packet| {
                let Packet::Connack(Connack { reason, .. }) = packet else { panic!("{packet:?}") };
                assert_eq!(*reason, ReasonCode::NotAuthorized);
            });
            broker.expect_closed(client);
        }
    });
}

/// Bridges of mosquitto tell there, retained and by their Will, whether they are connected.
#[test]
fn bridges_tell_their_state_there() {
    both(|broker| {
        let topic = "$SYS/broker/connection/site/state";
        let bridge = broker.open(Version::V311);
        let gone = retained_will(topic);
        let hello = Hello { will: Some(gone), ..Hello::new(Version::V311, "bridge") };
        broker.send(bridge, &hello.packet());
        broker.hear(bridge, |packet| assert!(matches!(packet, Packet::Connack(_))));
        broker.send(bridge, &Packet::Publish(retained(publish_1(1, topic, b"1"))));
        broker.expect(bridge, &puback(1));
        let listener = broker.connect(Version::V5, "listener");
        broker.subscribe(listener, &[("$SYS/broker/connection/#", QoS::AtMostOnce)]);
        broker.expect_publish(listener, &retained(publish(topic, b"1")));
        broker.cut(bridge);
        broker.expect_publish(listener, &Publish { ..publish(topic, b"0") });
    });
}

const fn retained_will(topic: &str) -> mqttd::codec::Will<'_> {
    mqttd::codec::Will { retain: true, ..will(topic, b"0") }
}

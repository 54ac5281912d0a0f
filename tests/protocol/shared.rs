//! Shared Subscriptions (section 4.8.2).

use mqttd::codec::{Packet, Publish, QoS, Version};

use crate::kit::packets::{puback, publish, publish_1, retained, unsuback, unsubscribe_packet};
use crate::kit::{Broker, Client, both};

/// How many of the messages published until now a client has got.
fn count(broker: &mut Broker, client: Client) -> usize {
    broker.send(client, &Packet::Pingreq);
    let mut count = 0;
    while broker.hear(client, |packet| matches!(packet, Packet::Publish(_))) {
        count += 1;
    }
    count
}

/// Publishes `messages` with QoS 1, and waits until the broker has them.
fn publish_many(broker: &mut Broker, client: Client, messages: u16) {
    for packet_id in 1..=messages {
        broker.send(client, &Packet::Publish(publish_1(packet_id, "a", b"x")));
        broker.expect(client, &puback(packet_id));
    }
}

/// A message goes to one member of each group, and to everybody who is in none.
#[test]
fn one_of_each_group_gets_a_message() {
    both(|broker| {
        let mut members = Vec::new();
        for (client_id, filter) in
            [("a", "$share/g/a"), ("b", "$share/g/a"), ("c", "$share/h/a"), ("d", "a")]
        {
            let client = broker.connect(Version::V5, client_id);
            broker.subscribe(client, &[(filter, QoS::AtMostOnce), ("mark", QoS::AtMostOnce)]);
            members.push(client);
        }
        let publisher = broker.connect(Version::V311, "publisher");
        for _ in 0..30 {
            publish_many(broker, publisher, 1);
            // In turn, so that what crosses shards has arrived.
            broker.expect_publish(members[3], &publish("a", b"x"));
            broker.expect_publish(members[2], &publish("a", b"x"));
        }
        broker.send(publisher, &Packet::Publish(publish("mark", b"")));
        let (a, b) = (up_to_mark(broker, members[0]), up_to_mark(broker, members[1]));
        assert_eq!(a + b, 30, "{a} and {b}");
        assert!(a >= 10 && b >= 10, "{a} and {b}");
    });
}

/// How many messages a client gets before the one to `mark`.
fn up_to_mark(broker: &mut Broker, client: Client) -> usize {
    let mut count = 0;
    loop {
        let is_mark = broker.hear(client, |packet| {
            let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
            publish.topic == "mark"
        });
        if is_mark {
            return count;
        }
        count += 1;
    }
}

/// `[MQTT-4.8.2-3]`
#[test]
fn each_member_has_its_own_qos() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("$share/g/a", QoS::AtMostOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        publish_many(broker, publisher, 1);
        broker.expect_publish(client, &publish("a", b"x"));
        broker.subscribe(client, &[("$share/g/a", QoS::ExactlyOnce)]);
        publish_many(broker, publisher, 1);
        broker.expect_publish(client, &publish_1(0, "a", b"x"));
    });
}

/// Before 5.0 the standard has none, but clients use them.
#[test]
fn clients_before_5_have_them_too() {
    both(|broker| {
        let client = broker.connect(Version::V311, "a");
        broker.subscribe(client, &[("$share/g/a/+", QoS::AtMostOnce)]);
        broker.send(client, &Packet::Publish(publish("a/b", b"x")));
        broker.expect_publish(client, &publish("a/b", b"x"));
    });
}

/// Retained messages are not sent to a Shared Subscription.
#[test]
fn they_get_no_retained_messages() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.send(client, &Packet::Publish(retained(publish("a", b"x"))));
        broker.subscribe(client, &[("$share/g/a", QoS::AtMostOnce)]);
        broker.expect_silence(client);
        broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
        broker.expect_publish(client, &retained(publish("a", b"x")));
    });
}

/// Who is away is passed over while somebody is there.
#[test]
fn who_is_away_is_passed_over() {
    both(|broker| {
        let away = broker.resume(Version::V5, "away", false);
        broker.subscribe(away, &[("$share/g/a", QoS::AtLeastOnce)]);
        broker.disconnect(away);
        let here = broker.connect(Version::V5, "here");
        broker.subscribe(here, &[("$share/g/a", QoS::AtLeastOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        for _ in 0..10 {
            publish_many(broker, publisher, 1);
            let packet_id = broker.expect_publish(here, &publish_1(0, "a", b"x"));
            broker.send(here, &puback(packet_id));
        }
        broker.disconnect(here);
        // Nobody is there: somebody keeps it.
        publish_many(broker, publisher, 1);
        let away = broker.resume(Version::V5, "away", true);
        broker.hear(away, |packet| {
            let Packet::Publish(message) = packet else { panic!("{packet:?}") };
            assert_eq!((message.topic, message.payload), ("a", &b"x"[..]));
        });
        broker.expect_silence(away);
    });
}

/// `[MQTT-3.10.4-1]`
#[test]
fn a_group_is_left_by_its_whole_name() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("$share/g/a", QoS::AtMostOnce), ("a", QoS::AtMostOnce)]);
        let filters = ["$share/h/a", "$share/g/a"];
        broker.send_bytes(client, &unsubscribe_packet(Version::V5, 1, &filters));
        broker.expect(client, &unsuback(Version::V5, 1, &[0x11, 0]));
        broker.send(client, &Packet::Publish(publish("a", b"x")));
        broker.expect_publish(client, &publish("a", b"x"));
        assert_eq!(count(broker, client), 0);
    });
}

/// Not shared and shared subscriptions of one client are apart.
#[test]
fn a_client_may_be_in_a_group_and_beside_it() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        broker.subscribe(client, &[("$share/g/a", QoS::AtMostOnce), ("a", QoS::AtMostOnce)]);
        let other = broker.connect(Version::V5, "b");
        broker.send(other, &Packet::Publish(Publish { ..publish("a", b"x") }));
        broker.expect_publish(client, &publish("a", b"x"));
        broker.expect_publish(client, &publish("a", b"x"));
        assert_eq!(count(broker, client), 0);
    });
}

//! Sessions that outlive their connections (sections 3.1.2.4, 3.1.2.11 and 4.1).

use mqttd::codec::{Disconnect, Packet, Properties, Publish, QoS, ReasonCode, Version};

use crate::kit::packets::{
    Hello, puback, pubcomp, publish, publish_1, publish_2, pubrec, pubrel, unsuback,
    unsubscribe_packet,
};
use crate::kit::{Broker, both, in_memory};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// Publishes with QoS 1 from a client of its own, and waits until the broker has it.
fn publish_from_elsewhere(broker: &mut Broker, topic: &str, payload: &[u8]) {
    let client = broker.connect(Version::V311, "elsewhere");
    broker.send(client, &Packet::Publish(publish_1(1, topic, payload)));
    broker.expect(client, &puback(1));
    broker.disconnect(client);
}

/// 3.1 has no Session Present.
fn is_told(version: Version) -> bool {
    version != Version::V31
}

/// `[MQTT-3.1.2-5]` `[MQTT-3.1.2-23]` `[MQTT-3.2.2-3]`
#[test]
fn a_session_is_resumed_with_its_subscriptions() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.resume(version, "a", false);
            broker.subscribe(client, &[("a/#", QoS::AtLeastOnce)]);
            broker.disconnect(client);
            publish_from_elsewhere(broker, "a/b", b"meanwhile");
            let client = broker.resume(version, "a", is_told(version));
            let packet_id = broker.expect_publish(client, &publish_1(0, "a/b", b"meanwhile"));
            broker.send(client, &puback(packet_id));
            publish_from_elsewhere(broker, "a/c", b"now");
            broker.expect_publish(client, &publish_1(0, "a/c", b"now"));
            broker.cut(client);
            let client = broker.connect(version, "a");
            broker.disconnect(client);
        }
    });
}

/// Nothing is left of what was: neither what waited, nor the subscription, nor the Packet
/// Identifier of a message that was not released.
///
/// `[MQTT-3.1.2-4]` `[MQTT-3.1.4-4]` `[MQTT-3.2.2-2]`
/// `[MQTT3-3.1.2-6]`
#[test]
fn a_clean_start_begins_anew() {
    both(|broker| {
        let watcher = broker.connect(Version::V311, "watcher");
        broker.subscribe(watcher, &[("b", QoS::AtMostOnce)]);
        for version in VERSIONS {
            let client = broker.resume(version, "a", false);
            broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
            broker.send(client, &Packet::Publish(publish_2(7, "b", b"old")));
            broker.expect(client, &pubrec(7));
            broker.expect_publish(watcher, &publish("b", b"old"));
            broker.disconnect(client);
            publish_from_elsewhere(broker, "a", b"waits");
            let (client, present) = broker.connect_as(&Hello::new(version, "a"));
            assert!(!present);
            broker.expect_silence(client);
            publish_from_elsewhere(broker, "a", b"no longer wanted");
            broker.expect_silence(client);
            broker.send(client, &Packet::Publish(publish_2(7, "b", b"new")));
            broker.expect(client, &pubrec(7));
            broker.expect_publish(watcher, &publish("b", b"new"));
            broker.disconnect(client);
            // It was of the connection: nothing is left.
            let client = broker.resume(version, "a", false);
            broker.expect_silence(client);
            broker.disconnect(client);
            let client = broker.connect(version, "a");
            broker.disconnect(client);
        }
    });
}

fn publish_unmatched_is_fine(broker: &mut Broker) {
    let client = broker.connect(Version::V311, "elsewhere");
    broker.send(client, &Packet::Publish(publish("a", b"lost")));
    broker.expect_silence(client);
    broker.disconnect(client);
}

/// A message of QoS 0 is not kept for who is away.
#[test]
fn qos_0_does_not_wait() {
    both(|broker| {
        let client = broker.resume(Version::V311, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        broker.disconnect(client);
        publish_unmatched_is_fine(broker);
        let client = broker.resume(Version::V311, "a", true);
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.4.0-1]` `[MQTT-3.3.1-1]` `[MQTT-4.3.3-4]`: with DUP and the identifiers they had, in
/// their order.
/// `[MQTT-4.6.0-1]`
/// `[MQTT3-4.4.0-1]` `[MQTT3-3.3.1-1]` `[MQTT3-4.6.0-1]`
#[test]
fn what_was_not_acknowledged_is_sent_again() {
    both(|broker| {
        for version in VERSIONS {
            let client = broker.resume(version, "a", false);
            broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
            publish_from_elsewhere(broker, "a", b"1");
            let other = broker.connect(version, "b");
            broker.send(other, &Packet::Publish(publish_2(1, "a", b"2")));
            broker.expect(other, &pubrec(1));
            let first = broker.expect_publish(client, &publish_1(0, "a", b"1"));
            let second = broker.expect_publish(client, &publish_2(0, "a", b"2"));
            broker.cut(client);
            publish_from_elsewhere(broker, "a", b"3");
            let client = broker.resume(version, "a", is_told(version));
            let again = |publish| Packet::Publish(Publish { dup: true, ..publish });
            broker.expect(client, &again(publish_1(first, "a", b"1")));
            broker.expect(client, &again(publish_2(second, "a", b"2")));
            let third = broker.expect_publish(client, &publish_1(0, "a", b"3"));
            broker.send(client, &puback(first));
            broker.send(client, &puback(third));
            broker.send(client, &pubrec(second));
            broker.expect(client, &pubrel(second));
            broker.cut(client);
            // `[MQTT-4.3.3-6]`: after PUBREC it is PUBREL that is sent again.
            let client = broker.resume(version, "a", is_told(version));
            broker.expect(client, &pubrel(second));
            broker.send(client, &pubcomp(second));
            broker.expect_silence(client);
            broker.disconnect(client);
            let client = broker.connect(version, "a");
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-4.3.3-10]`: also over a new connection.
#[test]
fn a_qos_2_message_is_once_also_over_connections() {
    both(|broker| {
        let watcher = broker.connect(Version::V311, "watcher");
        broker.subscribe(watcher, &[("a", QoS::AtMostOnce)]);
        for version in VERSIONS {
            let client = broker.resume(version, "a", false);
            broker.send(client, &Packet::Publish(publish_2(7, "a", b"once")));
            broker.expect(client, &pubrec(7));
            broker.expect_publish(watcher, &publish("a", b"once"));
            broker.cut(client);
            let client = broker.resume(version, "a", is_told(version));
            let again = Publish { dup: true, ..publish_2(7, "a", b"once") };
            broker.send(client, &Packet::Publish(again));
            broker.expect(client, &pubrec(7));
            broker.send(client, &pubrel(7));
            broker.expect(client, &pubcomp(7));
            broker.expect_silence(watcher);
            broker.disconnect(client);
            let client = broker.connect(version, "a");
            broker.disconnect(client);
        }
    });
}

/// What waits comes in its order, however much it is.
#[test]
fn a_queue_keeps_its_order() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        broker.disconnect(client);
        let texts: Vec<String> = (1..=300).map(|number| number.to_string()).collect();
        let publisher = broker.connect(Version::V311, "publisher");
        let mut bytes = Vec::new();
        for (text, packet_id) in texts.iter().zip(1..) {
            publish_1(packet_id, "a", text.as_bytes()).encode(Version::V311, &mut bytes);
        }
        broker.send_bytes(publisher, &bytes);
        (1..=300).for_each(|packet_id| broker.expect(publisher, &puback(packet_id)));
        let client = broker.resume(Version::V5, "a", true);
        for text in &texts {
            let packet_id = broker.expect_publish(client, &publish_1(0, "a", text.as_bytes()));
            broker.send(client, &puback(packet_id));
        }
        broker.expect_silence(client);
    });
}

/// An unsubscribed filter stays so over a resume.
#[test]
fn what_was_unsubscribed_stays_so() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce), ("b", QoS::AtLeastOnce)]);
        broker.send_bytes(client, &unsubscribe_packet(Version::V5, 1, &["a"]));
        broker.expect(client, &unsuback(Version::V5, 1, &[0]));
        broker.disconnect(client);
        let client = broker.resume(Version::V5, "a", true);
        broker.send(client, &Packet::Publish(publish("a", b"no")));
        broker.send(client, &Packet::Publish(publish("b", b"yes")));
        broker.expect_publish(client, &publish("b", b"yes"));
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.1.0-2]`
#[test]
fn a_5_0_session_ends_when_it_expires() {
    in_memory(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.disconnect(client);
        broker.pass_secs(3_599);
        let client = broker.resume(Version::V5, "a", true);
        broker.disconnect(client);
        broker.pass_secs(3_600);
        broker.pass_slack();
        broker.resume(Version::V5, "a", false);
    });
}

/// `[MQTT-4.1.0-1]`: its interval does not run while it is connected, however long that is.
#[test]
fn a_5_0_session_stays_while_it_is_connected() {
    in_memory(|broker| {
        // A minute: the time that an earlier absence would have been over comes soon.
        let properties = Properties::from_checked(b"\x11\x00\x00\x00\x3c");
        let hello = Hello { properties, ..Hello::persistent(Version::V5, "a") };
        let (client, _) = broker.connect_as(&hello);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        broker.disconnect(client);
        broker.pass_secs(10);
        let (client, present) = broker.connect_as(&hello);
        assert!(present);
        broker.pass_secs(10_000);
        publish_from_elsewhere(broker, "a", b"x");
        let packet_id = broker.expect_publish(client, &publish_1(0, "a", b"x"));
        broker.send(client, &puback(packet_id));
        broker.expect_silence(client);
        broker.disconnect(client);
        broker.pass_secs(59);
        let (client, present) = broker.connect_as(&hello);
        assert!(present);
        publish_from_elsewhere(broker, "a", b"y");
        broker.expect_publish(client, &publish_1(0, "a", b"y"));
    });
}

/// `[MQTT-3.1.2-23]`: all ones are no interval, but for ever.
#[test]
fn a_5_0_session_may_stay_for_ever() {
    in_memory(|broker| {
        let properties = Properties::from_checked(b"\x11\xff\xff\xff\xff");
        let hello = Hello { properties, clean_start: false, ..Hello::new(Version::V5, "a") };
        let (client, _) = broker.connect_as(&hello);
        broker.cut(client);
        // More than the 136 years that the longest interval is.
        broker.pass_secs(5_000_000_000);
        let (_client, present) = broker.connect_as(&hello);
        assert!(present);
    });
}

/// `[MQTT-3.1.2-23]`: a DISCONNECT that asks for an interval where there was none is an offence; the
/// Will is published, and the session has ended.
#[test]
fn a_session_that_ends_with_its_connection_cannot_be_kept_at_the_end() {
    both(|broker| {
        let watcher = broker.connect(Version::V5, "watcher");
        broker.subscribe(watcher, &[("w", QoS::AtMostOnce)]);
        let will = Some(crate::kit::packets::will("w", b"gone"));
        let hello = Hello { will, clean_start: false, ..Hello::new(Version::V5, "a") };
        for secs in [b"\x11\x00\x00\x00\x01", b"\x11\xff\xff\xff\xff"] {
            let (client, present) = broker.connect_as(&hello);
            assert!(!present);
            let properties = Properties::from_checked(secs);
            let reason = ReasonCode::Success;
            broker.send(client, &Packet::Disconnect(Disconnect { reason, properties }));
            broker.expect_disconnected(client, ReasonCode::ProtocolError);
            broker.expect_publish(watcher, &publish("w", b"gone"));
        }
        // 0 where there was 0 is no change.
        let (client, present) = broker.connect_as(&hello);
        assert!(!present);
        let properties = Properties::from_checked(b"\x11\x00\x00\x00\x00");
        let reason = ReasonCode::Success;
        broker.send(client, &Packet::Disconnect(Disconnect { reason, properties }));
        broker.expect_closed(client);
        broker.expect_silence(watcher);
    });
}

/// Without Session Expiry Interval a 5.0 session ends with its connection.
#[test]
fn a_5_0_session_ends_with_its_connection_unless_it_says_otherwise() {
    both(|broker| {
        let hello = Hello { clean_start: false, ..Hello::new(Version::V5, "a") };
        for _ in 0..2 {
            let (client, present) = broker.connect_as(&hello);
            assert!(!present);
            broker.cut(client);
        }
    });
}

/// `[MQTT-3.1.2-23]` `[MQTT-4.1.0-2]`
#[test]
fn a_disconnect_may_change_the_expiry() {
    in_memory(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        let ten_secs = Packet::Disconnect(Disconnect {
            reason: ReasonCode::Success,
            properties: Properties::from_checked(b"\x11\x00\x00\x00\x0a"),
        });
        broker.send(client, &ten_secs);
        broker.expect_closed(client);
        broker.pass_secs(10);
        broker.pass_slack();
        broker.resume(Version::V5, "a", false);
        // But not from 0: that is a Protocol Error.
        let client = broker.connect(Version::V5, "b");
        broker.send(client, &ten_secs);
        broker.expect_disconnected(client, ReasonCode::ProtocolError);
    });
}

/// `[MQTT-3.3.2-5]` `[MQTT-3.3.2-6]`
#[test]
fn messages_that_wait_grow_old() {
    in_memory(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        broker.disconnect(client);
        let publisher = broker.connect(Version::V5, "publisher");
        let secs = |list: &'static [u8]| Properties::from_checked(list);
        for (packet_id, payload, list) in
            [(1, b"short", &b"\x02\x00\x00\x00\x05"[..]), (2, b"longr", b"\x02\x00\x00\x00\x3c")]
        {
            let message = publish_1(packet_id, "a", payload);
            broker.send(publisher, &Packet::Publish(Publish { properties: secs(list), ..message }));
            broker.expect(publisher, &puback(packet_id));
        }
        broker.pass_secs(20);
        let client = broker.resume(Version::V5, "a", true);
        let properties = secs(b"\x02\x00\x00\x00\x28");
        broker.expect_publish(client, &Publish { properties, ..publish_1(0, "a", b"longr") });
        broker.expect_silence(client);
    });
}

/// A session may change its version from one connection to the next.
#[test]
fn a_session_speaks_the_version_of_its_connection() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        broker.disconnect(client);
        publish_from_elsewhere(broker, "a", b"x");
        let client = broker.resume(Version::V311, "a", true);
        broker.expect_publish(client, &publish_1(0, "a", b"x"));
        broker.cut(client);
        let client = broker.resume(Version::V5, "a", true);
        broker.hear(client, |packet| {
            assert!(matches!(packet, Packet::Publish(Publish { dup: true, .. })), "{packet:?}");
        });
    });
}

/// `[MQTT-3.3.4-9]`: also for what is sent again.
#[test]
fn what_is_sent_again_keeps_to_the_new_receive_maximum() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        for payload in [b"1", b"2", b"3"] {
            publish_from_elsewhere(broker, "a", payload);
        }
        let ids: Vec<u16> = [b"1", b"2", b"3"]
            .iter()
            .map(|payload| broker.expect_publish(client, &publish_1(0, "a", *payload)))
            .collect();
        broker.cut(client);
        // A session of an hour, and a Receive Maximum of 1.
        let properties = Properties::from_checked(b"\x11\x00\x00\x0e\x10\x21\x00\x01");
        let hello = Hello { properties, ..Hello::persistent(Version::V5, "a") };
        let (client, present) = broker.connect_as(&hello);
        assert!(present);
        for (packet_id, payload) in ids.iter().zip([b"1", b"2", b"3"]) {
            let again = Publish { dup: true, ..publish_1(*packet_id, "a", payload) };
            broker.expect(client, &Packet::Publish(again));
            broker.expect_silence(client);
            broker.send(client, &puback(*packet_id));
        }
        broker.expect_silence(client);
    });
}

/// `[MQTT-3.3.4-9]`: an acknowledgement of the earlier connection, for what was not sent again yet,
/// makes no room.
#[test]
fn a_late_acknowledgement_makes_no_room_in_the_new_receive_maximum() {
    both(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        let payloads = [b"1", b"2", b"3", b"4"];
        for payload in payloads {
            publish_from_elsewhere(broker, "a", payload);
        }
        let ids = payloads.map(|it| broker.expect_publish(client, &publish_1(0, "a", it)));
        broker.cut(client);
        // A session of an hour, and a Receive Maximum of 2.
        let properties = Properties::from_checked(b"\x11\x00\x00\x0e\x10\x21\x00\x02");
        let hello = Hello { properties, ..Hello::persistent(Version::V5, "a") };
        let (client, _) = broker.connect_as(&hello);
        let again = |at: usize| Publish { dup: true, ..publish_1(ids[at], "a", payloads[at]) };
        broker.expect(client, &Packet::Publish(again(0)));
        broker.expect(client, &Packet::Publish(again(1)));
        broker.send(client, &puback(ids[3]));
        broker.expect_silence(client);
        broker.send(client, &puback(ids[0]));
        broker.expect(client, &Packet::Publish(again(2)));
        broker.send(client, &puback(ids[1]));
        broker.send(client, &puback(ids[2]));
        broker.expect_silence(client);
    });
}

/// `[MQTT-4.3.3-7]`: what was sent once does not expire.
#[test]
fn what_is_sent_again_does_not_expire() {
    in_memory(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
        let publisher = broker.connect(Version::V5, "publisher");
        let properties = Properties::from_checked(b"\x02\x00\x00\x00\x05");
        let message = Publish { properties, ..publish_2(1, "a", b"x") };
        broker.send(publisher, &Packet::Publish(message));
        broker.expect(publisher, &pubrec(1));
        let packet_id = broker.expect_publish(client, &message);
        broker.cut(client);
        broker.pass_secs(100);
        let client = broker.resume(Version::V5, "a", true);
        broker.hear(client, |packet| {
            let Packet::Publish(again) = packet else { panic!("{packet:?}") };
            assert!(again.dup);
            assert_eq!((again.packet_id, again.payload), (packet_id, &b"x"[..]));
        });
    });
}

/// `[MQTT-3.3.2-6]`, to the last second.
#[test]
fn a_message_that_waited_comes_with_the_time_left() {
    in_memory(|broker| {
        let client = broker.resume(Version::V5, "a", false);
        broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
        broker.disconnect(client);
        let publisher = broker.connect(Version::V5, "publisher");
        let properties = Properties::from_checked(b"\x02\x00\x00\x00\x0a");
        let message = Publish { properties, ..publish_1(1, "a", b"x") };
        broker.send(publisher, &Packet::Publish(message));
        broker.expect(publisher, &puback(1));
        broker.pass_ms(9_999);
        let client = broker.resume(Version::V5, "a", true);
        let properties = Properties::from_checked(b"\x02\x00\x00\x00\x01");
        broker.expect_publish(client, &Publish { properties, ..publish_1(0, "a", b"x") });
    });
}

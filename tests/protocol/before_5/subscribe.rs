//! SUBSCRIBE, UNSUBSCRIBE and their answers (sections 3.8 to 3.11 and 4.7).

use mqttd::broker::Limits;
use mqttd::codec::{Packet, Properties, QoS, Version};

use super::{BEFORE_5, publish_from_elsewhere, watcher};
use crate::kit::packets::{
    puback, publish, publish_1, retained, subscribe_packet, unsubscribe_packet,
};
use crate::kit::{both, both_with, limits};

/// 3.1.1 says 0x80 for each filter it does not take. 3.1 cannot say it: the client is told the QoS
/// it asked for, and gets nothing.
///
/// `[MQTT3-3.9.3-2]` `[MQTT3-3.8.4-5]` `[MQTT3-3.9.3-1]` `[MQTT31-17]`
#[test]
fn a_filter_that_is_not_taken() {
    both_with(&Limits { topic_levels_max: 2, subscriptions_max: 2, ..limits() }, |broker| {
        for (version, refused) in [(Version::V31, [1, 2]), (Version::V311, [0x80, 0x80])] {
            let client = broker.connect(version, "a");
            let filters = [
                ("a", QoS::ExactlyOnce),
                ("x/y/z", QoS::AtLeastOnce),
                ("b", QoS::AtMostOnce),
                ("c", QoS::ExactlyOnce),
            ];
            let bytes = subscribe_packet(version, 0x0203, Properties::EMPTY, &filters);
            broker.send_bytes(client, &bytes);
            let answer = [0x90, 6, 2, 3, 2, refused[0], 0, refused[1]];
            broker.expect_bytes(client, &answer);
            publish_from_elsewhere(broker, "c", b"no");
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// `[MQTT3-3.8.1-1]` `[MQTT3-3.8.3-3]` `[MQTT3-3.8.3-4]` `[MQTT3-3.10.1-1]` `[MQTT3-3.10.3-2]`
/// `[MQTT3-4.8.0-1]`
#[test]
fn what_is_malformed_ends_the_connection() {
    both(|broker| {
        for version in BEFORE_5 {
            for bytes in [
                &b"\x82\x02\x00\x01"[..],
                b"\xa2\x02\x00\x01",
                b"\x80\x06\x00\x01\x00\x01a\x00",
                b"\xa0\x05\x00\x01\x00\x01a",
                // QoS 3, and each of the bits that are reserved.
                b"\x82\x06\x00\x01\x00\x01a\x03",
                b"\x82\x06\x00\x01\x00\x01a\x04",
                b"\x82\x06\x00\x01\x00\x01a\x08",
                b"\x82\x06\x00\x01\x00\x01a\x10",
                b"\x82\x06\x00\x01\x00\x01a\x20",
                b"\x82\x06\x00\x01\x00\x01a\x40",
                b"\x82\x06\x00\x01\x00\x01a\x80",
                // A filter without QoS, and one that is cut off.
                b"\x82\x05\x00\x01\x00\x01a",
                b"\x82\x06\x00\x01\x00\x05a\x00",
                b"\xa2\x05\x00\x01\x00\x05a",
            ] {
                let client = broker.connect(version, "a");
                broker.send_bytes(client, bytes);
                broker.expect_closed(client);
            }
        }
    });
}

/// A misplaced wildcard is a breach; 0x80 is for what could be.
///
/// `[MQTT3-4.7.1-2]` `[MQTT3-4.7.1-3]` `[MQTT3-4.7.3-1]` `[MQTT3-4.8.0-1]` `[MQTT31-18]`
#[test]
fn an_impossible_filter_ends_the_connection() {
    both(|broker| {
        for version in BEFORE_5 {
            for filter in ["a/#/b", "#/", "a#", "##", "a+", "+a", "a/b+/c", "a/++", ""] {
                let filters = [("ok", QoS::AtMostOnce), (filter, QoS::AtMostOnce)];
                let client = broker.connect(version, "a");
                let bytes = subscribe_packet(version, 3, Properties::EMPTY, &filters);
                broker.send_bytes(client, &bytes);
                broker.expect_closed(client);
                let client = broker.connect(version, "a");
                broker.send_bytes(client, &unsubscribe_packet(version, 3, &[filter]));
                broker.expect_closed(client);
            }
            let client = broker.connect(version, "a");
            for filter in ["#", "+", "a/#", "+/#", "/", "/+/", "a/+/b", "$a/#"] {
                broker.subscribe(client, &[(filter, QoS::AtMostOnce)]);
            }
            broker.disconnect(client);
        }
    });
}

/// A second subscription to the same filter takes the place of the first: its QoS counts, and what
/// is retained comes again.
///
/// `[MQTT3-3.8.4-3]` `[MQTT31-14]`
#[test]
fn the_same_filter_again_replaces_the_subscription() {
    both(|broker| {
        for version in BEFORE_5 {
            let other = broker.connect(version, "b");
            broker.send(other, &Packet::Publish(retained(publish_1(1, "a", b"kept"))));
            broker.expect(other, &puback(1));
            let client = broker.connect(version, "a");
            for qos in [QoS::AtLeastOnce, QoS::AtMostOnce, QoS::AtLeastOnce] {
                broker.subscribe(client, &[("a", qos)]);
                let lower = |message| mqttd::codec::Publish { qos, ..message };
                broker.expect_publish(client, &lower(retained(publish("a", b"kept"))));
                broker.send(other, &Packet::Publish(publish_1(1, "a", b"x")));
                broker.expect(other, &puback(1));
                broker.expect_publish(client, &lower(publish("a", b"x")));
                broker.expect_silence(client);
            }
            broker.disconnect(client);
            broker.send(other, &Packet::Publish(retained(publish_1(1, "a", b""))));
            broker.expect(other, &puback(1));
        }
    });
}

/// What waits for the client, and what is in flight to it, stays when its subscription is replaced.
///
/// `[MQTT3-3.8.4-3]`
#[test]
fn a_replaced_subscription_loses_nothing() {
    both_with(&Limits { inflight_max: 1, ..limits() }, |broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.subscribe(client, &[("a", QoS::AtLeastOnce)]);
            for payload in [b"1", b"2", b"3"] {
                publish_from_elsewhere(broker, "a", payload);
            }
            let mut packet_id = broker.expect_publish(client, &publish_1(0, "a", b"1"));
            broker.expect_silence(client);
            broker.subscribe(client, &[("a", QoS::ExactlyOnce)]);
            publish_from_elsewhere(broker, "a", b"4");
            for payload in [b"2", b"3", b"4"] {
                broker.send(client, &puback(packet_id));
                packet_id = broker.expect_publish(client, &publish_1(0, "a", payload));
            }
            broker.send(client, &puback(packet_id));
            broker.expect_silence(client);
            broker.disconnect(client);
        }
    });
}

/// Several filters in one packet are as many packets, with one answer.
///
/// `[MQTT3-3.8.4-4]` `[MQTT3-3.8.4-5]` `[MQTT3-3.10.4-6]` `[MQTT3-3.10.4-1]`
#[test]
fn several_filters_are_as_many_packets() {
    both(|broker| {
        for version in BEFORE_5 {
            let other = broker.connect(version, "b");
            broker.send(other, &Packet::Publish(retained(publish("a/b", b"kept"))));
            broker.expect_silence(other);
            let client = broker.connect(version, "a");
            // The third takes the place of the first.
            broker.subscribe(
                client,
                &[
                    ("a/b", QoS::AtMostOnce),
                    ("a/+", QoS::AtMostOnce),
                    ("a/b", QoS::AtLeastOnce),
                    ("b", QoS::AtMostOnce),
                ],
            );
            for _ in 0..3 {
                broker.expect_publish(client, &retained(publish("a/b", b"kept")));
            }
            broker.send(other, &Packet::Publish(publish_1(1, "a/b", b"x")));
            broker.expect(other, &puback(1));
            broker.expect_publish(client, &publish_1(0, "a/b", b"x"));
            // Filters, not what they match: `a/#` and `+/b` are none of these.
            let filters = ["a/b", "a/#", "+/b", "a/b"];
            broker.send_bytes(client, &unsubscribe_packet(version, 0x0102, &filters));
            broker.expect_bytes(client, b"\xb0\x02\x01\x02");
            broker.send(other, &Packet::Publish(publish_1(1, "a/b", b"y")));
            broker.expect(other, &puback(1));
            broker.expect_publish(client, &publish("a/b", b"y"));
            broker.send_bytes(client, &unsubscribe_packet(version, 3, &["a/+", "b"]));
            broker.expect_bytes(client, b"\xb0\x02\x00\x03");
            broker.send(other, &Packet::Publish(publish("a/b", b"z")));
            broker.send(other, &Packet::Publish(publish("b", b"z")));
            broker.expect_silence(other);
            broker.expect_silence(client);
            broker.send(other, &Packet::Publish(retained(publish("a/b", b""))));
            broker.expect_silence(other);
            broker.disconnect(client);
        }
    });
}

/// `[MQTT3-3.10.4-5]` `[MQTT3-3.10.4-4]` `[MQTT3-2.3.1-7]`
#[test]
fn an_unsubscribe_of_nothing_is_answered() {
    both(|broker| {
        for version in BEFORE_5 {
            let client = broker.connect(version, "a");
            broker.send_bytes(client, &unsubscribe_packet(version, 0xfffe, &["a"]));
            broker.expect_bytes(client, b"\xb0\x02\xff\xfe");
            broker.subscribe(client, &[("a", QoS::AtMostOnce)]);
            broker.send_bytes(client, &unsubscribe_packet(version, 0x00ff, &["A", "+"]));
            broker.expect_bytes(client, b"\xb0\x02\x00\xff");
            broker.send(client, &Packet::Publish(publish("a", b"x")));
            broker.expect_publish(client, &publish("a", b"x"));
        }
    });
}

/// `[MQTT3-4.7.1-1]` `[MQTT3-3.3.2-2]`: it would match nothing, or everything.
#[test]
fn a_topic_name_with_wildcards_ends_the_connection() {
    both(|broker| {
        let watcher = watcher(broker);
        for version in BEFORE_5 {
            for topic in ["#", "+", "a/#", "a/+/b", "a+", "#a"] {
                let client = broker.connect(version, "a");
                broker.send(client, &Packet::Publish(publish_1(1, topic, b"x")));
                broker.expect_closed(client);
            }
        }
        broker.expect_silence(watcher);
    });
}

//! Another server for the clients (sections 3.2.2.3.16, 3.14.2.2.5 and 4.11), and topics for
//! answers (sections 3.1.2.11.6 and 3.2.2.3.15).

use mqttd::broker::Directions;
use mqttd::codec::{Packet, Properties, PropertiesBuf, Property, ReasonCode, Version};

use crate::kit::both;
use crate::kit::packets::Hello;

fn other_server(moved: bool) -> Directions {
    let server_reference = Some("other.example:1884".into());
    Directions { server_reference, moved, ..Directions::default() }
}

/// Section 4.11
#[test]
fn clients_are_sent_to_the_other_server() {
    both(|broker| {
        for (moved, expected) in
            [(false, ReasonCode::UseAnotherServer), (true, ReasonCode::ServerMoved)]
        {
            let directions = other_server(moved);
            let client = broker.connect(Version::V5, "a");
            let older = broker.connect(Version::V311, "older");
            broker.drain(&directions);
            broker.hear(client, |packet| {
                let Packet::Disconnect(disconnect) = packet else { panic!("{packet:?}") };
                assert_eq!(disconnect.reason, expected);
                let reference = disconnect.properties.server_reference();
                assert_eq!(reference, Some("other.example:1884"));
                assert!(disconnect.properties.reason_string().is_some());
            });
            broker.expect_closed(client);
            broker.expect_closed(older);
            // Those who come now are told at once.
            let client = broker.open(Version::V5);
            broker.send(client, &Hello::new(Version::V5, "a").packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!((connack.reason, connack.session_present), (expected, false));
                let reference = connack.properties.server_reference();
                assert_eq!(reference, Some("other.example:1884"));
            });
            broker.expect_closed(client);
            for version in [Version::V31, Version::V311] {
                let older = broker.open(version);
                broker.send(older, &Hello::new(version, "older").packet());
                broker.hear(older, |packet| {
                    let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                    assert_eq!(connack.reason, ReasonCode::ServerUnavailable);
                });
                broker.expect_closed(older);
            }
            // Until it serves again.
            broker.direct(&directions);
            let client = broker.connect(Version::V5, "a");
            broker.disconnect(client);
        }
    });
}

/// `[MQTT-3.1.2-24]`: what does not fit is left out, the reason string first.
#[test]
fn a_server_reference_keeps_to_the_clients_maximum() {
    both(|broker| {
        // 3 of the packet, 1 of the properties' length, 3 and 18 of the Server Reference.
        for (limit, reference, string) in [(200, true, true), (26, true, false), (24, false, false)]
        {
            let mut list = PropertiesBuf::default();
            list.push(Property::MaximumPacketSize(limit));
            let properties = list.as_properties();
            let hello = Hello { properties, ..Hello::new(Version::V5, "a") };
            let (client, _) = broker.connect_as(&hello);
            broker.drain(&other_server(false));
            broker.hear(client, |packet| {
                let Packet::Disconnect(disconnect) = packet else { panic!("{packet:?}") };
                assert_eq!(disconnect.reason, ReasonCode::UseAnotherServer);
                assert_eq!(disconnect.properties.server_reference().is_some(), reference);
                assert_eq!(disconnect.properties.reason_string().is_some(), string);
            });
            let client = broker.open(Version::V5);
            broker.send(client, &hello.packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.reason, ReasonCode::UseAnotherServer);
                assert_eq!(connack.properties.reason_string().is_some(), string);
            });
            broker.direct(&Directions::default());
        }
    });
}

/// Without another server, it is shutting down.
#[test]
fn a_server_that_shuts_down_says_so() {
    both(|broker| {
        let client = broker.connect(Version::V5, "a");
        let older = broker.connect(Version::V311, "older");
        broker.drain(&Directions::default());
        broker.expect_disconnected(client, ReasonCode::ServerShuttingDown);
        broker.expect_closed(older);
        for version in [Version::V311, Version::V5] {
            let late = broker.open(version);
            broker.send(late, &Hello::new(version, "late").packet());
            broker.hear(late, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.reason, ReasonCode::ServerUnavailable);
            });
            broker.expect_closed(late);
        }
    });
}

/// `[MQTT-3.1.2-28]`
#[test]
fn response_information_is_for_who_requests_it() {
    both(|broker| {
        let template = Directions {
            response_information: Some("answers/{client_id}/".into()),
            ..Directions::default()
        };
        for (directions, list, expected) in [
            (&template, &b"\x19\x01"[..], Some("answers/a/")),
            (&template, b"\x19\x00", None),
            (&template, b"", None),
            (&Directions::default(), b"\x19\x01", None),
        ] {
            broker.direct(directions);
            let client = broker.open(Version::V5);
            let properties = Properties::from_checked(list);
            broker.send(client, &Hello { properties, ..Hello::new(Version::V5, "a") }.packet());
            broker.hear(client, |packet| {
                let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
                assert_eq!(connack.reason, ReasonCode::Success);
                assert_eq!(connack.properties.response_information(), expected);
            });
            broker.disconnect(client);
        }
    });
}

/// Optional, so that it keeps nobody out `[MQTT-3.1.2-24]`.
#[test]
fn response_information_is_left_out_where_it_does_not_fit() {
    both(|broker| {
        let response_information = Some("a-long-prefix-of-answers/".repeat(4).into());
        broker.direct(&Directions { response_information, ..Directions::default() });
        // Request Response Information, and a Maximum Packet Size of 100 bytes.
        let properties = Properties::from_checked(b"\x19\x01\x27\x00\x00\x00\x64");
        let client = broker.open(Version::V5);
        broker.send(client, &Hello { properties, ..Hello::new(Version::V5, "a") }.packet());
        broker.hear(client, |packet| {
            let Packet::Connack(connack) = packet else { panic!("{packet:?}") };
            assert_eq!(connack.reason, ReasonCode::Success);
            assert_eq!(connack.properties.response_information(), None);
        });
        broker.expect_silence(client);
    });
}

//! MQTT 5.0.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, DisconnectReasonCode, Filter, LastWill, LastWillProperties, Packet,
    PubAckReason, PubRecReason, Publish, PublishProperties, RetainForwardRule, SubscribeProperties,
    SubscribeReasonCode, UnsubAckReason,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use serde_json::{Map, Value, json};

use crate::{Asked, CAPACITY, PACKET_BYTES_MAX, Waiting, base64, bytes, list, number, say, text};

pub(crate) async fn run(given: Value, mut asked: Asked) {
    let (client, mut events) = AsyncClient::new(options(&given), CAPACITY);
    let mut waiting = Waiting::default();
    let mut connecting = Some(given["id"].clone());
    let name = text(&given, "name");
    loop {
        tokio::select! {
            event = events.poll() => match event {
                Ok(event) => {
                    if let Event::Incoming(Packet::ConnAck(connack)) = &event {
                        let granted = connack.properties.as_ref();
                        say(json!({ "id": connecting.take(), "ok": {
                            "session_present": connack.session_present,
                            "properties": {
                                "assigned_client_identifier":
                                    granted.and_then(|granted| granted.assigned_client_identifier.clone()),
                                "server_keep_alive": granted.and_then(|granted| granted.server_keep_alive),
                            },
                        }}));
                    }
                    if happened(&name, event, &mut waiting) {
                        return say(json!({ "name": name, "ended": { "reason": 0 } }));
                    }
                }
                Err(error) => {
                    if let Some(id) = connecting {
                        return say(json!({ "id": id, "error": error.to_string() }));
                    }
                    return say(json!({ "name": name, "ended": ended(&error) }));
                }
            },
            given = asked.recv() => {
                let Some(given) = given else { return };
                if given["do"] == "abort" {
                    drop::<EventLoop>(events);
                    return say(json!({ "id": given["id"], "ok": {} }));
                }
                waiting.asked(&given);
                ask(&client, &given).await;
            }
        }
    }
}

fn options(given: &Value) -> MqttOptions {
    let port = u16::try_from(number(given, "port")).unwrap();
    let mut options = MqttOptions::new(text(given, "client_id"), text(given, "host"), port);
    options.set_keep_alive(Duration::from_secs(number(given, "keep_alive")));
    options.set_clean_start(given["clean"] == true);
    let wanted = &given["properties"];
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = word(wanted, "session_expiry_interval");
    properties.receive_maximum = word(wanted, "receive_maximum");
    properties.topic_alias_max = word(wanted, "topic_alias_maximum");
    properties.max_packet_size =
        word(wanted, "maximum_packet_size").or(u32::try_from(PACKET_BYTES_MAX).ok());
    properties.user_properties = pairs(wanted);
    options.set_connect_properties(properties);
    let will = &given["will"];
    if will.is_object() {
        let (topic, payload) = (text(will, "topic"), bytes(will, "payload"));
        let wanted = &will["properties"];
        let properties = LastWillProperties {
            delay_interval: word(wanted, "will_delay_interval"),
            payload_format_indicator: word(wanted, "payload_format_indicator"),
            message_expiry_interval: word(wanted, "message_expiry_interval"),
            content_type: string(wanted, "content_type"),
            response_topic: string(wanted, "response_topic"),
            correlation_data: data(wanted, "correlation_data"),
            user_properties: pairs(wanted),
        };
        let retain = will["retain"] == true;
        options.set_last_will(LastWill::new(topic, payload, qos(will), retain, Some(properties)));
    }
    options
}

async fn ask(client: &AsyncClient, given: &Value) {
    let wanted = &given["properties"];
    let asked = match given["do"].as_str() {
        Some("publish") => {
            let properties = PublishProperties {
                payload_format_indicator: word(wanted, "payload_format_indicator"),
                message_expiry_interval: word(wanted, "message_expiry_interval"),
                topic_alias: word(wanted, "topic_alias"),
                response_topic: string(wanted, "response_topic"),
                correlation_data: data(wanted, "correlation_data"),
                user_properties: pairs(wanted),
                subscription_identifiers: Vec::new(),
                content_type: string(wanted, "content_type"),
            };
            let (topic, payload) = (text(given, "topic"), bytes(given, "payload"));
            let retain = given["retain"] == true;
            client.publish_with_properties(topic, qos(given), retain, payload, properties).await
        }
        Some("subscribe") => {
            let properties = SubscribeProperties {
                id: word::<u32>(wanted, "subscription_identifier").map(|id| id as usize),
                user_properties: pairs(wanted),
            };
            let filters: Vec<Filter> = list(&given["filters"]).iter().map(filter).collect();
            client.subscribe_many_with_properties(filters, properties).await
        }
        Some("unsubscribe") => client.unsubscribe(given["filters"][0].as_str().unwrap()).await,
        _ => client.disconnect().await,
    };
    if let Err(error) = asked {
        say(json!({ "id": given["id"], "error": error.to_string() }));
    }
}

fn filter(each: &Value) -> Filter {
    let mut filter = Filter::new(text(each, "filter"), qos(each));
    filter.nolocal = each["no_local"] == true;
    filter.preserve_retain = each["retain_as_published"] == true;
    filter.retain_forward_rule = match number(each, "retain_handling") {
        0 => RetainForwardRule::OnEverySubscribe,
        1 => RetainForwardRule::OnNewSubscribe,
        _ => RetainForwardRule::Never,
    };
    filter
}

/// Tells of an event; true when it was the last.
fn happened(name: &str, event: Event, waiting: &mut Waiting) -> bool {
    match event {
        Event::Outgoing(Outgoing::Publish(id)) => waiting.published(id),
        Event::Outgoing(Outgoing::Subscribe(id) | Outgoing::Unsubscribe(id)) => waiting.left(id),
        Event::Outgoing(Outgoing::Disconnect) => {
            waiting.left(0);
            waiting.answered(0, json!({}));
            return true;
        }
        Event::Incoming(Packet::PubAck(ack)) => {
            let reason = match ack.reason {
                PubAckReason::Success => 0,
                PubAckReason::NoMatchingSubscribers => 0x10,
                _ => 0x80,
            };
            waiting.answered(ack.pkid, json!({ "reason": reason }));
        }
        Event::Incoming(Packet::PubRec(ack)) => match ack.reason {
            PubRecReason::Success | PubRecReason::NoMatchingSubscribers => {}
            _ => waiting.answered(ack.pkid, json!({ "reason": 0x80 })),
        },
        Event::Incoming(Packet::PubComp(ack)) => waiting.answered(ack.pkid, json!({ "reason": 0 })),
        Event::Incoming(Packet::SubAck(ack)) => {
            let code = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                _ => 0x80,
            };
            let reasons: Vec<u8> = ack.return_codes.iter().map(code).collect();
            waiting.answered(ack.pkid, json!({ "reasons": reasons }));
        }
        Event::Incoming(Packet::UnsubAck(ack)) => {
            let code = |reason: &UnsubAckReason| match reason {
                UnsubAckReason::Success => 0,
                UnsubAckReason::NoSubscriptionExisted => 0x11,
                _ => 0x80,
            };
            let reasons: Vec<u8> = ack.reasons.iter().map(code).collect();
            waiting.answered(ack.pkid, json!({ "reasons": reasons }));
        }
        Event::Incoming(Packet::Publish(publish)) => {
            say(json!({ "name": name, "message": message(&publish) }));
        }
        _ => {}
    }
    false
}

fn message(publish: &Publish) -> Value {
    let mut shown = Map::new();
    if let Some(properties) = &publish.properties {
        let mut show = |name: &str, value: Value| {
            if !value.is_null() && value != json!([]) {
                shown.insert(name.to_owned(), value);
            }
        };
        show("payload_format_indicator", json!(properties.payload_format_indicator));
        show("message_expiry_interval", json!(properties.message_expiry_interval));
        show("content_type", json!(properties.content_type));
        show("response_topic", json!(properties.response_topic));
        show("correlation_data", json!(properties.correlation_data.as_deref().map(base64)));
        show("user_properties", json!(properties.user_properties));
        show("subscription_identifiers", json!(properties.subscription_identifiers));
    }
    json!({
        "topic": String::from_utf8_lossy(&publish.topic),
        "payload": base64(&publish.payload),
        "qos": publish.qos as u8,
        "retain": publish.retain,
        "dup": publish.dup,
        "properties": shown,
    })
}

fn ended(error: &ConnectionError) -> Value {
    if let ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) =
        error
    {
        let reason = match reason_code {
            DisconnectReasonCode::SessionTakenOver => 0x8e,
            DisconnectReasonCode::AdministrativeAction => 0x98,
            DisconnectReasonCode::ServerShuttingDown => 0x8b,
            _ => 0x80,
        };
        json!({ "reason": reason, "reason_string": reason_string })
    } else {
        json!({ "reason": 0, "reason_string": error.to_string() })
    }
}

fn qos(given: &Value) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number(given, "qos") as usize]
}

fn word<T: TryFrom<u64>>(given: &Value, name: &str) -> Option<T> {
    given[name].as_u64().and_then(|number| T::try_from(number).ok())
}

fn string(given: &Value, name: &str) -> Option<String> {
    given[name].as_str().map(str::to_owned)
}

fn data(given: &Value, name: &str) -> Option<Bytes> {
    given[name].is_string().then(|| bytes(given, name).into())
}

fn pairs(given: &Value) -> Vec<(String, String)> {
    let pairs = list(&given["user_properties"]).iter();
    pairs
        .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()))
        .collect()
}

//! MQTT 3.1.1.

use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet, QoS, SubscribeFilter,
    SubscribeReasonCode,
};
use serde_json::{Value, json};

use crate::{Asked, CAPACITY, PACKET_BYTES_MAX, Waiting, base64, bytes, list, number, say, text};

pub(crate) async fn run(given: Value, mut asked: Asked) {
    let port = u16::try_from(number(&given, "port")).unwrap();
    let mut options = MqttOptions::new(text(&given, "client_id"), text(&given, "host"), port);
    options.set_keep_alive(Duration::from_secs(number(&given, "keep_alive")));
    options.set_clean_session(given["clean"] == true);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    let will = &given["will"];
    if will.is_object() {
        let (topic, payload) = (text(will, "topic"), bytes(will, "payload"));
        options.set_last_will(LastWill::new(topic, payload, qos(will), will["retain"] == true));
    }
    let (client, mut events) = AsyncClient::new(options, CAPACITY);
    let mut waiting = Waiting::default();
    let mut connecting = Some(given["id"].clone());
    let name = text(&given, "name");
    loop {
        tokio::select! {
            event = events.poll() => match event {
                Ok(event) => {
                    if let Event::Incoming(Packet::ConnAck(connack)) = &event {
                        let answer = json!({ "session_present": connack.session_present });
                        say(json!({ "id": connecting.take(), "ok": answer }));
                    }
                    if happened(&name, event, &mut waiting) {
                        // The library hands DISCONNECT over before it says so.
                        return say(json!({ "name": name, "ended": { "reason": 0 } }));
                    }
                }
                Err(error) => {
                    if let Some(id) = connecting {
                        return say(json!({ "id": id, "error": error.to_string() }));
                    }
                    return say(json!({ "name": name, "ended": { "reason": 0 } }));
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

async fn ask(client: &AsyncClient, given: &Value) {
    let asked = match given["do"].as_str() {
        Some("publish") => {
            let (topic, payload) = (text(given, "topic"), bytes(given, "payload"));
            client.publish(topic, qos(given), given["retain"] == true, payload).await
        }
        Some("subscribe") => {
            let filters = list(&given["filters"]).iter();
            let filters = filters.map(|each| SubscribeFilter::new(text(each, "filter"), qos(each)));
            client.subscribe_many(filters.collect::<Vec<_>>()).await
        }
        Some("unsubscribe") => client.unsubscribe(given["filters"][0].as_str().unwrap()).await,
        _ => client.disconnect().await,
    };
    if let Err(error) = asked {
        say(json!({ "id": given["id"], "error": error.to_string() }));
    }
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
        Event::Incoming(Packet::PubAck(ack)) => waiting.answered(ack.pkid, json!({ "reason": 0 })),
        Event::Incoming(Packet::PubComp(ack)) => waiting.answered(ack.pkid, json!({ "reason": 0 })),
        Event::Incoming(Packet::SubAck(ack)) => {
            let code = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                SubscribeReasonCode::Failure => 0x80,
            };
            let reasons: Vec<u8> = ack.return_codes.iter().map(code).collect();
            waiting.answered(ack.pkid, json!({ "reasons": reasons }));
        }
        Event::Incoming(Packet::UnsubAck(ack)) => {
            waiting.answered(ack.pkid, json!({ "reasons": [] }))
        }
        Event::Incoming(Packet::Publish(publish)) => say(json!({ "name": name, "message": {
            "topic": publish.topic,
            "payload": base64(&publish.payload),
            "qos": publish.qos as u8,
            "retain": publish.retain,
            "dup": publish.dup,
            "properties": {},
        }})),
        _ => {}
    }
    false
}

fn qos(given: &Value) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number(given, "qos") as usize]
}

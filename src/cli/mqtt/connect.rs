//! CONNECT as the options say it, and what CONNACK grants.

use std::time::Duration;

use super::args::{ConnectArgs, Protocol};
use super::properties::{self, Of};
use super::refusal::{refused, strange, usage};
use crate::cli::boot::{Exit, Failure};
use crate::codec::{
    Connect, PACKET_BYTES_MAX, Packet, PropertiesBuf, Property, QoS, STRING_BYTES_MAX, Version,
    Will,
};
use crate::topic::TopicName;

/// Where to and how.
pub(super) struct Target<'a> {
    /// `HOST:PORT`.
    pub(super) address: &'a str,
    pub(super) args: &'a ConnectArgs,
    pub(super) password: Option<&'a [u8]>,
    /// How long CONNACK may take.
    pub(super) limit: Duration,
}

/// What CONNACK grants; what it leaves out is granted in full.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) keep_alive_secs: Option<u16>,
    pub(super) packet_bytes_max: u32,
    pub(super) qos_max: u8,
    pub(super) retains: bool,
    pub(super) topic_alias_maximum: u16,
}

impl Default for Granted {
    fn default() -> Self {
        Self {
            keep_alive_secs: None,
            packet_bytes_max: PACKET_BYTES_MAX,
            qos_max: 2,
            retains: true,
            topic_alias_maximum: 0,
        }
    }
}

/// What is wrong with the options without asking anybody.
pub(super) fn check(args: &ConnectArgs) -> Result<(), Failure> {
    only_in_5(
        args,
        &[
            ("--session-expiry", args.session_expiry.is_some()),
            ("--connect-property", !args.connect_properties.is_empty()),
            ("--will-property", !args.will_properties.is_empty()),
        ],
    )?;
    if let Some(topic) = &args.will_topic
        && let Err(error) = TopicName::parse(topic)
    {
        let message = format!("{topic:?} is no topic name: {error}");
        return Err(Failure::new(Exit::Usage, "bad_topic", message));
    }
    let has_password = args.password_file.is_some() || args.ask_password;
    if has_password && args.username.is_none() && args.protocol != Protocol::V5 {
        let message = "before MQTT 5.0 there is no password without a user name";
        return Err(usage(message, "give -u NAME as well"));
    }
    let texts = [
        ("--id", &args.client_id),
        ("--username", &args.username),
        ("--will-payload", &args.will_payload),
    ];
    for (option, text) in texts {
        if text.as_ref().is_some_and(|text| text.len() > STRING_BYTES_MAX) {
            return Err(usage(format!("{option} is longer than 65535 bytes"), "make it shorter"));
        }
    }
    properties::add(&args.connect_properties, Of::Connection, &mut PropertiesBuf::default())?;
    properties::add(&args.will_properties, Of::Will, &mut PropertiesBuf::default())
}

/// Refuses what only MQTT 5.0 has when another version is spoken: options with whether they were
/// given.
pub(super) fn only_in_5(args: &ConnectArgs, given: &[(&str, bool)]) -> Result<(), Failure> {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) if args.protocol != Protocol::V5 => {
            let message = format!("{option} needs MQTT 5.0");
            Err(usage(message, "leave out -V, or say -V 5"))
        }
        Some(_) | None => Ok(()),
    }
}

impl Target<'_> {
    /// The version to speak.
    pub(super) fn version(&self) -> Version {
        match self.args.protocol {
            Protocol::V31 => Version::V31,
            Protocol::V311 => Version::V311,
            Protocol::V5 => Version::V5,
        }
    }

    /// Builds CONNECT and hands it to `send`.
    pub(super) fn connect(
        &self,
        send: impl FnOnce(&Packet<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (args, version) = (self.args, self.version());
        let client_id = client_id(args, version);
        let mut list = PropertiesBuf::default();
        let for_ever = args.keep_session.then_some(u32::MAX);
        if let Some(secs) = args.session_expiry.or(for_ever) {
            list.push(Property::SessionExpiryInterval(secs));
        }
        properties::add(&args.connect_properties, Of::Connection, &mut list)?;
        let mut of_will = PropertiesBuf::default();
        properties::add(&args.will_properties, Of::Will, &mut of_will)?;
        let will = args.will_topic.as_ref().map(|topic| Will {
            qos: QoS::from_bits(args.will_qos).unwrap_or(QoS::AtMostOnce),
            retain: args.will_retain,
            topic,
            properties: of_will.as_properties(),
            payload: args.will_payload.as_deref().unwrap_or_default().as_bytes(),
        });
        let may_have_password = version == Version::V5 || args.username.is_some();
        send(&Packet::Connect(Box::new(Connect {
            version,
            bridge: false,
            clean_start: !args.keep_session,
            keep_alive_secs: args.keep_alive,
            properties: list.as_properties(),
            client_id: &client_id,
            will,
            username: args.username.as_deref(),
            password: self.password.filter(|_| may_have_password),
        })))
    }

    /// Reads the first packet that comes.
    pub(super) fn accepted(&self, packet: &Packet<'_>) -> Result<Granted, Failure> {
        let Packet::Connack(connack) = packet else { return Err(strange(self.address)) };
        if connack.reason.is_error() {
            return Err(refused(self.address, connack, self.args));
        }
        let (properties, all) = (connack.properties, Granted::default());
        Ok(Granted {
            keep_alive_secs: properties.server_keep_alive(),
            packet_bytes_max: properties.maximum_packet_size().unwrap_or(all.packet_bytes_max),
            qos_max: properties.maximum_qos().unwrap_or(all.qos_max),
            retains: properties.retain_available().unwrap_or(all.retains),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
        })
    }
}

/// The identifier to connect with. Before 3.1.1 a broker cannot assign one.
fn client_id(args: &ConnectArgs, version: Version) -> String {
    match (&args.client_id, version) {
        (Some(client_id), _) => client_id.clone(),
        (None, Version::V31) => format!("mqttd-{}", std::process::id()),
        (None, Version::V311 | Version::V5) => String::new(),
    }
}

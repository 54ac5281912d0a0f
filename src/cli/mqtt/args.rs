//! The options of `pub` and `sub`, with the words of their help.
//!
//! Read by clap; called by nobody but the command line. What options mean together is checked
//! where they are used.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, ValueHint};

/// Where and how to connect.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(in crate::cli) struct ConnectArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,

    /// Host name or address of the broker
    #[arg(short = 'h', long, value_name = "HOST", value_hint = ValueHint::Hostname)]
    pub(super) host: Option<String>,

    /// Port of the broker [default: 1883]
    #[arg(short = 'p', long, value_name = "PORT")]
    pub(super) port: Option<u16>,

    /// Protocol version
    #[arg(
        short = 'V',
        long = "protocol",
        visible_alias = "mqtt-version",
        value_name = "VERSION",
        default_value = "5"
    )]
    pub(super) protocol: Protocol,

    /// Client Identifier [default: the broker assigns one]
    #[arg(short = 'i', long = "id", value_name = "ID")]
    pub(super) client_id: Option<String>,

    /// User Name; the password comes from --password-file, --ask-password or MQTTD_PASSWORD
    #[arg(short = 'u', long, value_name = "NAME")]
    pub(super) username: Option<String>,

    /// File whose first line is the password
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
          conflicts_with = "ask_password")]
    pub(super) password_file: Option<PathBuf>,

    /// Ask for the password on the terminal
    #[arg(long)]
    pub(super) ask_password: bool,

    /// Keep Alive, seconds; 0: none
    #[arg(short = 'k', long, value_name = "SECS", default_value_t = 60)]
    pub(super) keep_alive: u16,

    /// Go on with the session, and keep it: messages wait in the broker while this client is away
    #[arg(short = 'c', long, requires = "client_id")]
    pub(super) keep_session: bool,

    /// Seconds that the session outlives the connection (MQTT 5.0) [default: 0; with -c for ever]
    #[arg(short = 'x', long, value_name = "SECS", requires = "client_id")]
    pub(super) session_expiry: Option<u32>,

    /// Property of the connection (MQTT 5.0, repeatable)
    ///
    /// Names: receive-maximum, maximum-packet-size, topic-alias-maximum,
    /// request-response-information, request-problem-information; any other name becomes a User
    /// Property.
    #[arg(long = "connect-property", value_name = "NAME=VALUE")]
    pub(super) connect_properties: Vec<String>,

    /// Topic of a Will, sent by the broker when this connection breaks
    #[arg(long, value_name = "TOPIC")]
    pub(super) will_topic: Option<String>,

    /// Payload of the Will
    #[arg(long, value_name = "TEXT", requires = "will_topic")]
    pub(super) will_payload: Option<String>,

    /// QoS of the Will
    #[arg(long, value_name = "QOS", requires = "will_topic", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(super) will_qos: u8,

    /// Let the Will be retained
    #[arg(long, requires = "will_topic")]
    pub(super) will_retain: bool,

    /// Property of the Will (MQTT 5.0, repeatable)
    ///
    /// Names: will-delay-interval, and those of a message (`pub --property`).
    #[arg(long = "will-property", value_name = "NAME=VALUE", requires = "will_topic")]
    pub(super) will_properties: Vec<String>,
}

/// Options of `pub`.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct PubArgs {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,

    /// Topic Name to publish to
    #[arg(short = 't', long, value_name = "TOPIC")]
    pub(super) topic: String,

    /// Payload
    #[arg(short = 'm', long, value_name = "TEXT", group = "payload", allow_hyphen_values = true)]
    pub(super) message: Option<String>,

    /// Payload: the content of a file
    #[arg(short = 'f', long, value_name = "FILE", group = "payload", value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,

    /// Payload: all of standard input as one message (the default)
    #[arg(short = 's', long, group = "payload")]
    pub(super) stdin: bool,

    /// Payload: each line of standard input as a message of its own
    #[arg(short = 'l', long, group = "payload")]
    pub(super) lines: bool,

    /// Payload: nothing; with --retain this deletes the retained message of the topic
    #[arg(short = 'n', long, group = "payload")]
    pub(super) empty: bool,

    /// Quality of Service
    #[arg(short = 'q', long, value_name = "QOS", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(super) qos: u8,

    /// Let the broker retain the message
    #[arg(short = 'r', long)]
    pub(super) retain: bool,

    /// Property of the message, e.g. content-type=text/plain (MQTT 5.0, repeatable)
    ///
    /// Names: content-type, response-topic, correlation-data, message-expiry-interval (seconds),
    /// payload-format-indicator (1: the payload is UTF-8), topic-alias; any other name becomes a
    /// User Property.
    #[arg(short = 'D', long = "property", value_name = "NAME=VALUE")]
    pub(super) properties: Vec<String>,

    /// User Property of the message, whatever its name (MQTT 5.0, repeatable)
    #[arg(short = 'U', long = "user-property", value_name = "NAME=VALUE")]
    pub(super) user_properties: Vec<String>,
}

/// Options of `sub`.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct SubArgs {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,

    /// Topic Filter to subscribe to (repeatable)
    #[arg(
        short = 't',
        long = "topic",
        value_name = "FILTER",
        required_unless_present = "unsubscribe"
    )]
    pub(super) filters: Vec<String>,

    /// Topic Filter to unsubscribe from first, of a kept session (repeatable)
    #[arg(short = 'U', long, value_name = "FILTER")]
    pub(super) unsubscribe: Vec<String>,

    /// Maximum QoS
    #[arg(short = 'q', long, value_name = "QOS", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(super) qos: u8,

    /// Leave after this many messages
    #[arg(short = 'C', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// Leave after this many seconds without a message; exit code 1 when none or too few came
    #[arg(short = 'W', long, value_name = "SECS",
          value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(super) wait: Option<u64>,

    /// Leave once subscribed; with --keep-session the messages wait from now on
    #[arg(short = 'E', long, conflicts_with_all = ["count", "wait", "retained_only"])]
    pub(super) exit_after_subscribe: bool,

    /// No retained messages
    #[arg(short = 'R', long, conflicts_with_all = ["retained_only", "retain_handling"])]
    pub(super) no_retained: bool,

    /// Retained messages only: leave when no more came for a second, or for --wait
    #[arg(long, conflicts_with = "retain_as_published")]
    pub(super) retained_only: bool,

    /// When retained messages are sent (MQTT 5.0)
    #[arg(long, value_name = "WHEN", default_value = "always")]
    pub(super) retain_handling: Retained,

    /// Show the retain flag as the publisher set it (MQTT 5.0)
    #[arg(long)]
    pub(super) retain_as_published: bool,

    /// Not what this client publishes itself (MQTT 5.0)
    #[arg(long)]
    pub(super) no_local: bool,

    /// Subscription Identifier, which comes back with each message (MQTT 5.0)
    #[arg(long, visible_alias = "subscription-identifier", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=268_435_455))]
    pub(super) subscription_id: Option<u32>,

    /// Print the topic before the payload, and properties of MQTT 5.0 below it
    #[arg(short = 'v', long)]
    pub(super) verbose: bool,

    /// Print no newline after a message
    #[arg(short = 'N', long)]
    pub(super) no_newline: bool,

    /// How a message is printed
    ///
    /// %t topic, %p payload, %x payload in hexadecimal, %l payload length, %q QoS, %r retain flag, %d
    /// DUP flag, %U time in seconds since 1970, %I the same for people, %j a JSON object; of MQTT
    /// 5.0: %C content type, %D correlation data, %E message expiry interval, %F payload format
    /// indicator, %P user properties, %R response topic, %S subscription identifiers; %% a percent
    /// sign; \n and \t are known.
    #[arg(short = 'F', long, value_name = "FORMAT", conflicts_with = "verbose")]
    pub(super) format: Option<String>,
}

/// A protocol version as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Protocol {
    /// MQTT 3.1
    #[value(name = "3.1", alias = "31", alias = "mqttv31")]
    V31,
    /// MQTT 3.1.1
    #[value(name = "3.1.1", alias = "311", alias = "4", alias = "mqttv311")]
    V311,
    /// MQTT 5.0
    #[value(name = "5", alias = "5.0", alias = "mqttv5")]
    V5,
}

/// Retain Handling as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Retained {
    /// With each subscribing
    #[value(alias = "0")]
    Always,
    /// Only if the subscription is new to the session
    #[value(alias = "1")]
    New,
    /// Not at all
    #[value(alias = "2")]
    Never,
}

pub(in crate::cli) const PUB_EXAMPLES: &str = "\
Examples:
  mqttd pub -t house/door -m open
  mqttd pub -t house/plan -q 1 -r -f plan.json -D content-type=application/json
  uptime | mqttd pub -t house/uptime
  tail -F /var/log/syslog | mqttd pub -t log -l
  mqttd pub -h broker.example -u ann --ask-password -t a/b -m hello";

pub(in crate::cli) const SUB_EXAMPLES: &str = "\
Examples:
  mqttd sub -t 'house/#' -v
  mqttd sub -t alarms -q 2 -c -i pager
  mqttd sub -t house/door --count 1
  mqttd sub -t 'house/#' --retained-only -v
  mqttd sub -t 'house/#' --json | jq -r .result.payload";

//! `pub`: one message, or one a line, each waited for until the broker has it.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

use serde_json::json;

use super::connection::{Came, Connection};
use super::{SessionWish, connect};
use crate::cli::args::PubArgs;
use crate::cli::boot::{Exit, Failure};
use crate::cli::deadline::Deadline;
use crate::cli::report::Report;
use crate::cli::signals::Signals;
use crate::cli::verbs::Errand;
use crate::codec::{
    Acknowledge, Packet, PropertiesBuf, Property, Publish, QoS, ReasonCode, Version,
};
use crate::topic::TopicName;

/// Seconds for an acknowledgement.
const ACKNOWLEDGE_SECS: u64 = 30;

/// Longest line of `--lines`, bytes: the largest payload MQTT has.
const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Publishes what the options say.
pub(crate) fn publish(errand: &Errand<'_>, args: &PubArgs) -> Result<Report, Failure> {
    if let Err(error) = TopicName::parse(&args.topic) {
        let message = format!("{:?} is no topic name: {error}", args.topic);
        return Err(Failure::new(Exit::Usage, "bad_topic", message));
    }
    let properties = properties(args)?;
    let payload = if args.lines { None } else { Some(payload(args)?) };
    let connection = connect(errand, &args.connect, SessionWish::Fleeting, Signals::leaving())?;
    let mut sender = Sender {
        qos: QoS::from_bits(args.qos).unwrap_or(QoS::AtMostOnce),
        args,
        properties,
        connection,
        limit_secs: errand.limit(ACKNOWLEDGE_SECS).as_secs(),
        packet_id: 0,
        messages: 0,
        bytes: 0,
    };
    sender.connection.check(sender.qos, args.retain)?;
    let finished = match payload {
        Some(payload) => sender.send(&payload)?,
        None => sender.send_lines()?,
    };
    let result = json!({
        "topic": args.topic,
        "qos": args.qos,
        "retain": args.retain,
        "messages": sender.messages,
        "bytes": sender.bytes,
    });
    sender.connection.leave()?;
    if !finished {
        return Err(Failure::new(Exit::Failed, "interrupted", "interrupted"));
    }
    Ok(Report { changed: true, result: Some(result), ..Report::default() })
}

struct Sender<'a> {
    args: &'a PubArgs,
    qos: QoS,
    properties: PropertiesBuf,
    connection: Connection,
    limit_secs: u64,
    packet_id: u16,
    messages: u64,
    bytes: usize,
}

impl Sender<'_> {
    /// Sends one message and waits until the broker has it; `false` when interrupted.
    fn send(&mut self, payload: &[u8]) -> Result<bool, Failure> {
        self.packet_id = match self.qos {
            QoS::AtMostOnce => 0,
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.packet_id.checked_add(1).unwrap_or(1),
        };
        let empty = PropertiesBuf::default();
        let is_v5 = self.connection.version() == Version::V5;
        let properties = if is_v5 { &self.properties } else { &empty };
        self.connection.send(&Packet::Publish(Publish {
            dup: false,
            qos: self.qos,
            retain: self.args.retain,
            topic: &self.args.topic,
            packet_id: self.packet_id,
            properties: properties.as_properties(),
            payload,
        }))?;
        let taken =
            match self.qos {
                QoS::AtMostOnce => true,
                QoS::AtLeastOnce => self.acknowledged(|packet| {
                    if let Packet::Puback(ack) = packet { Some(*ack) } else { None }
                })?,
                QoS::ExactlyOnce => self.exactly_once()?,
            };
        if taken {
            self.messages += 1;
            self.bytes += payload.len();
        }
        Ok(taken)
    }

    fn exactly_once(&mut self) -> Result<bool, Failure> {
        let received =
            self.acknowledged(
                |packet| if let Packet::Pubrec(ack) = packet { Some(*ack) } else { None },
            )?;
        if !received {
            return Ok(false);
        }
        self.connection.send(&Packet::Pubrel(Acknowledge {
            packet_id: self.packet_id,
            reason: ReasonCode::Success,
            properties: crate::codec::Properties::EMPTY,
        }))?;
        self.acknowledged(
            |packet| if let Packet::Pubcomp(ack) = packet { Some(*ack) } else { None },
        )
    }

    /// Waits for the acknowledgement `pick` finds; `false` when interrupted.
    fn acknowledged(
        &mut self,
        pick: for<'p> fn(&Packet<'p>) -> Option<Acknowledge<'p>>,
    ) -> Result<bool, Failure> {
        let deadline = Deadline::after(std::time::Duration::from_secs(self.limit_secs));
        let wanted = self.packet_id;
        loop {
            let came = self.connection.next(Some(&deadline), None, |packet| {
                let ack = pick(packet).filter(|ack| ack.packet_id == wanted)?;
                let word = ack.properties.reason_string().unwrap_or_default().to_owned();
                Some((ack.reason, word))
            })?;
            match came {
                Came::Packet(Some((reason, word))) if reason.is_error() => {
                    let colon = if word.is_empty() { "" } else { ": " };
                    let name = reason.name();
                    let message = format!("the broker refused the message: {name}{colon}{word}");
                    return Err(Failure::new(Exit::Failed, "publish_refused", message));
                }
                Came::Packet(Some(_)) => return Ok(true),
                Came::Packet(None) | Came::Input => {}
                Came::Interrupted => return Ok(false),
                Came::Late => {
                    let message = format!("no acknowledgement within {} s", self.limit_secs);
                    return Err(Failure::new(Exit::Failed, "no_answer", message));
                }
            }
        }
    }

    /// Sends each line of stdin as a message; `false` when interrupted.
    fn send_lines(&mut self) -> Result<bool, Failure> {
        let mut stdin = stdin()?;
        let mut waiting = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            let came = self.connection.next(None, Some(stdin.as_fd()), |_| ())?;
            match came {
                Came::Packet(()) | Came::Late => continue,
                Came::Interrupted => return Ok(false),
                Came::Input => {}
            }
            let count = stdin.read(&mut piece).map_err(|error| unreadable("stdin", &error))?;
            waiting.extend_from_slice(&piece[..count]);
            while let Some(end) = waiting.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                if !self.send(&line[..end])? {
                    return Ok(false);
                }
            }
            if count == 0 {
                return if waiting.is_empty() { Ok(true) } else { self.send(&waiting) };
            }
            if waiting.len() > LINE_BYTES_MAX {
                let message = "a line is longer than any MQTT payload";
                return Err(Failure::new(Exit::Failed, "packet_too_large", message));
            }
        }
    }
}

/// The payload of a single message.
fn payload(args: &PubArgs) -> Result<Vec<u8>, Failure> {
    match (&args.message, &args.file) {
        (Some(message), _) => Ok(message.clone().into_bytes()),
        (None, Some(file)) => {
            std::fs::read(file).map_err(|error| unreadable(&file.display().to_string(), &error))
        }
        (None, None) if args.empty => Ok(Vec::new()),
        (None, None) => {
            let mut bytes = Vec::new();
            let mut stdin = stdin()?;
            stdin.read_to_end(&mut bytes).map_err(|error| unreadable("stdin", &error))?;
            Ok(bytes)
        }
    }
}

/// Standard input without a buffer, so that poll(2) tells the truth about it.
fn stdin() -> Result<File, Failure> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned();
    stdin.map(File::from).map_err(|error| unreadable("stdin", &error))
}

fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "unreadable", format!("cannot read {what}: {error}"))
}

fn properties(args: &PubArgs) -> Result<PropertiesBuf, Failure> {
    let mut properties = PropertiesBuf::default();
    for given in &args.properties {
        let wrong = |what: &str| {
            Failure::new(Exit::Usage, "bad_property", format!("{given:?}: {what}"))
                .hint("-D NAME=VALUE, e.g. -D content-type=text/plain")
        };
        let (name, value) = given.split_once('=').ok_or_else(|| wrong("not NAME=VALUE"))?;
        properties.push(match name {
            "content-type" => Property::ContentType(value),
            "response-topic" => Property::ResponseTopic(value),
            "correlation-data" => Property::CorrelationData(value.as_bytes()),
            "message-expiry-interval" => {
                Property::MessageExpiryInterval(value.parse().map_err(|_| wrong("no seconds"))?)
            }
            "payload-format-indicator" => match value {
                "0" => Property::PayloadFormatIndicator(0),
                "1" => Property::PayloadFormatIndicator(1),
                _ => return Err(wrong("0 or 1")),
            },
            name => Property::UserProperty((name, value)),
        });
        if value.len() > usize::from(u16::MAX) || name.len() > usize::from(u16::MAX) {
            return Err(wrong("longer than 65535 bytes"));
        }
    }
    Ok(properties)
}

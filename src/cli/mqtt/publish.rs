//! `pub`: one message, or one a line, each waited for until the broker has it.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::PollFlags;
use serde_json::{Value, json};

use super::args::PubArgs;
use super::connect::{self, only_in_5};
use super::connection::{Came, Connection};
use super::properties::{self, Of};
use super::refusal::{interrupted, reason};
use crate::cli::boot::{Exit, Failure};
use crate::cli::deadline::Deadline;
use crate::cli::report::{Report, Voice, complain};
use crate::cli::verbs::Errand;
use crate::codec::{Acknowledge, Packet, PropertiesBuf, Publish, QoS, ReasonCode, Version};
use crate::topic::TopicName;

/// Seconds for an acknowledgement.
const ACKNOWLEDGE_SECS: u64 = 30;

/// Longest line of `--lines`, bytes: the largest payload MQTT has.
const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Publishes what the options say.
pub(crate) fn publish(errand: &Errand<'_>, args: &PubArgs) -> Result<Report, Failure> {
    let alias = check(args)?;
    let payload = if args.lines { None } else { Some(payload(args, errand.voice)?) };
    let mut properties = PropertiesBuf::default();
    properties::add(&args.properties, Of::Message, &mut properties)?;
    properties::add_user(&args.user_properties, &mut properties)?;
    let connection = super::connect(errand, &args.connect)?;
    let qos = QoS::from_bits(args.qos).unwrap_or(QoS::AtMostOnce);
    connection.check(qos, args.retain)?;
    let alias_max = connection.granted().topic_alias_maximum;
    if alias.is_some_and(|alias| alias > alias_max) {
        let message = format!("the broker takes topic aliases up to {alias_max}");
        return Err(Failure::new(Exit::Failed, "publish_refused", message));
    }
    let mut sender = Sender {
        args,
        voice: errand.voice,
        qos,
        properties,
        has_alias: alias.is_some(),
        connection,
        limit_secs: errand.limit(ACKNOWLEDGE_SECS).as_secs(),
        packet_id: 0,
        messages: 0,
        bytes: 0,
        reason: ReasonCode::Success,
    };
    let finished = match payload {
        Some(payload) => sender.send(&payload)?,
        None => sender.send_lines()?,
    };
    // Nothing else tells what became of QoS 0.
    let finished = finished
        && (sender.qos != QoS::AtMostOnce
            || sender.connection.taken(Duration::from_secs(sender.limit_secs))?);
    let result = sender.result();
    sender.connection.leave()?;
    if !finished {
        return Err(interrupted());
    }
    Ok(Report { changed: true, result: Some(result), ..Report::default() })
}

/// What is wrong with the options without asking anybody; the topic alias, if one is given.
fn check(args: &PubArgs) -> Result<Option<u16>, Failure> {
    if let Err(error) = TopicName::parse(&args.topic) {
        let message = format!("{:?} is no topic name: {error}", args.topic);
        return Err(Failure::new(Exit::Usage, "bad_topic", message));
    }
    only_in_5(
        &args.connect,
        &[
            ("--property", !args.properties.is_empty()),
            ("--user-property", !args.user_properties.is_empty()),
        ],
    )?;
    connect::check(&args.connect)?;
    let mut list = PropertiesBuf::default();
    properties::add(&args.properties, Of::Message, &mut list)?;
    properties::add_user(&args.user_properties, &mut list)?;
    Ok(list.as_properties().topic_alias())
}

struct Sender<'a> {
    args: &'a PubArgs,
    voice: Voice,
    qos: QoS,
    properties: PropertiesBuf,
    /// The properties name a topic alias: only the first message needs the topic.
    has_alias: bool,
    connection: Connection,
    limit_secs: u64,
    packet_id: u16,
    messages: u64,
    bytes: usize,
    /// What the broker said of the last message.
    reason: ReasonCode,
}

impl Sender<'_> {
    /// For programs.
    fn result(&self) -> Value {
        let mut result = json!({
            "topic": self.args.topic,
            "qos": self.args.qos,
            "retain": self.args.retain,
            "messages": self.messages,
            "bytes": self.bytes,
        });
        if self.qos != QoS::AtMostOnce && self.connection.version() == Version::V5 {
            result["reason"] = self.reason.name().into();
        }
        result
    }

    /// Sends one message and waits until the broker has it; `false` when interrupted.
    fn send(&mut self, payload: &[u8]) -> Result<bool, Failure> {
        self.packet_id = match self.qos {
            QoS::AtMostOnce => 0,
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.packet_id.checked_add(1).unwrap_or(1),
        };
        let is_known = self.has_alias && self.messages > 0;
        self.connection.send(&Packet::Publish(Publish {
            dup: false,
            qos: self.qos,
            retain: self.args.retain,
            topic: if is_known { "" } else { &self.args.topic },
            packet_id: self.packet_id,
            properties: self.properties.as_properties(),
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
        let deadline = Deadline::after(Duration::from_secs(self.limit_secs));
        let wanted = self.packet_id;
        loop {
            let came = self.connection.next(Some(&deadline), None, |packet| {
                let ack = pick(packet).filter(|ack| ack.packet_id == wanted)?;
                Some((ack.reason, reason(ack.reason, ack.properties)))
            })?;
            match came {
                Came::Packet(Some((reason, why))) if reason.is_error() => {
                    let message = format!("the broker refused the message: {why}");
                    return Err(Failure::new(Exit::Failed, "publish_refused", message));
                }
                Came::Packet(Some((reason, _))) => {
                    // The last answer of a QoS 2 message says nothing of subscribers.
                    if reason != ReasonCode::Success || self.qos == QoS::AtLeastOnce {
                        self.reason = reason;
                    }
                    return Ok(true);
                }
                Came::Packet(None) | Came::Other => {}
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
        tell_terminal(self.voice, &stdin, "messages, one a line");
        let mut waiting = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            let came =
                self.connection.next(None, Some((stdin.as_fd(), PollFlags::POLLIN)), |_| ())?;
            match came {
                Came::Packet(()) | Came::Late => continue,
                Came::Interrupted => return Ok(false),
                Came::Other => {}
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
fn payload(args: &PubArgs, voice: Voice) -> Result<Vec<u8>, Failure> {
    match (&args.message, &args.file) {
        (Some(message), _) => Ok(message.clone().into_bytes()),
        (None, Some(file)) => {
            std::fs::read(file).map_err(|error| unreadable(&file.display().to_string(), &error))
        }
        (None, None) if args.empty => Ok(Vec::new()),
        (None, None) => {
            let mut bytes = Vec::new();
            let mut stdin = stdin()?;
            tell_terminal(voice, &stdin, "the message");
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

/// Somebody who sits there should know what is waited for.
fn tell_terminal(voice: Voice, stdin: &File, what: &str) {
    if !voice.quiet && stdin.is_terminal() {
        complain(&format!("mqttd: reading {what}, up to Ctrl-D\n"));
    }
}

fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "unreadable", format!("cannot read {what}: {error}"))
}

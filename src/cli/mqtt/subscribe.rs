//! `sub`: what arrives, one after the other, acknowledged when it is printed.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::PollFlags;

use super::args::{Retained, SubArgs};
use super::connect::{self, only_in_5};
use super::connection::{Came, Connection};
use super::message::Look;
use super::object::object;
use super::refusal::{reason, usage};
use crate::cli::boot::{Boot, Exit, Failure};
use crate::cli::deadline::Deadline;
use crate::cli::report::{Report, Voice, complain, print_bytes};
use crate::cli::verbs::Errand;
use crate::codec::{
    Acknowledge, Packet, Properties, PropertiesBuf, Property, Publish, QoS, ReasonCode,
    RetainHandling, Subscribe, SubscriptionOptions, SubscriptionRequest, Unsubscribe, Version,
};
use crate::topic::TopicFilter;

/// The packet identifiers of the one SUBSCRIBE and the one UNSUBSCRIBE.
const SUBSCRIBE_ID: u16 = 1;
const UNSUBSCRIBE_ID: u16 = 2;

/// Seconds for SUBACK and UNSUBACK.
const ACKNOWLEDGE_SECS: u64 = 30;

/// Seconds without a further retained message after which there is none.
const RETAINED_SECS: u64 = 1;

/// Subscribes and prints until Ctrl-C, `--count` or `--wait` end it.
pub(crate) fn subscribe(errand: &Errand<'_>, args: &SubArgs) -> Result<Report, Failure> {
    check(args)?;
    let connection = super::connect(errand, &args.connect)?;
    let mut receiver = Receiver {
        args,
        boot: errand.boot,
        voice: errand.voice,
        look: Look::new(args),
        connection,
        unreleased: BTreeSet::new(),
        awaited: 0,
        messages: 0,
    };
    receiver.ask()?;
    let end = receiver.receive(errand.limit(ACKNOWLEDGE_SECS))?;
    let messages = receiver.messages;
    let left = receiver.connection.leave();
    match end {
        End::NobodyReads => {}
        End::Silence => short(args, messages)?,
        End::Enough | End::Interrupted => left?,
    }
    Ok(Report { spoken: messages > 0 || !errand.voice.json, ..Report::default() })
}

/// What is wrong with the options without asking anybody.
fn check(args: &SubArgs) -> Result<(), Failure> {
    for filter in args.filters.iter().chain(&args.unsubscribe) {
        if let Err(error) = TopicFilter::parse(filter) {
            let message = format!("{filter:?} is no topic filter: {error}");
            return Err(Failure::new(Exit::Usage, "bad_filter", message));
        }
        if args.no_local && filter.starts_with("$share/") {
            let message = "a shared subscription cannot be --no-local";
            return Err(usage(message, "leave out one of them")); // `[MQTT-3.8.3-4]`
        }
    }
    if !args.unsubscribe.is_empty() && !args.connect.keep_session {
        let message = "without --keep-session there is nothing to unsubscribe from";
        return Err(usage(message, "give -c and -i ID as well"));
    }
    only_in_5(
        &args.connect,
        &[
            ("--no-local", args.no_local),
            ("--retain-as-published", args.retain_as_published),
            ("--retain-handling", args.retain_handling != Retained::Always),
            ("--subscription-id", args.subscription_id.is_some()),
        ],
    )?;
    connect::check(&args.connect)
}

/// Silence ended it: whether that is as wanted.
fn short(args: &SubArgs, messages: u64) -> Result<(), Failure> {
    let message = match args.count {
        _ if messages == 0 && args.retained_only => "there is no retained message".to_owned(),
        _ if messages == 0 => "no message came in time".to_owned(),
        Some(count) => format!("{messages} of {count} messages came in time"),
        None => return Ok(()),
    };
    Err(Failure::new(Exit::Failed, "no_message", message))
}

/// Why receiving ended.
enum End {
    Enough,
    Silence,
    Interrupted,
    NobodyReads,
}

struct Receiver<'a> {
    args: &'a SubArgs,
    boot: &'a dyn Boot,
    voice: Voice,
    look: Look,
    connection: Connection,
    /// QoS 2 messages printed whose PUBREL has not come.
    unreleased: BTreeSet<u16>,
    /// Answers to SUBSCRIBE and UNSUBSCRIBE that have not come.
    awaited: u8,
    messages: u64,
}

/// What is to be done about a packet.
enum Step {
    Nothing,
    Granted { reasons: Vec<u8>, why: String },
    Unsubscribed,
    Message { print: Option<Vec<u8>>, retain: bool, qos: QoS, packet_id: u16 },
    Released(u16),
}

impl Receiver<'_> {
    fn ask(&mut self) -> Result<(), Failure> {
        let mut payload = Vec::new();
        for filter in &self.args.unsubscribe {
            Unsubscribe::write_filter(filter, &mut payload);
        }
        if !payload.is_empty() {
            let unsubscribe = Unsubscribe::new(UNSUBSCRIBE_ID, Properties::EMPTY, &payload);
            self.connection.send(&Packet::Unsubscribe(unsubscribe))?;
            self.awaited += 1;
        }
        if self.args.filters.is_empty() {
            return Ok(());
        }
        let is_v5 = self.connection.version() == Version::V5;
        let options = SubscriptionOptions {
            qos: QoS::from_bits(self.args.qos).unwrap_or(QoS::AtMostOnce),
            no_local: self.args.no_local,
            retain_as_published: self.args.retain_as_published,
            retain_handling: match self.args.retain_handling {
                _ if is_v5 && self.args.no_retained => RetainHandling::DoNotSend,
                Retained::Always => RetainHandling::Send,
                Retained::New => RetainHandling::SendIfNew,
                Retained::Never => RetainHandling::DoNotSend,
            },
        };
        payload.clear();
        for filter in &self.args.filters {
            SubscriptionRequest { filter, options }.write(&mut payload);
        }
        let mut list = PropertiesBuf::default();
        if let Some(identifier) = self.args.subscription_id {
            list.push(Property::SubscriptionIdentifier(identifier));
        }
        let subscribe = Subscribe::new(SUBSCRIBE_ID, list.as_properties(), &payload);
        self.connection.send(&Packet::Subscribe(subscribe))?;
        self.awaited += 1;
        Ok(())
    }

    /// Receives until something ends it; answers to what was asked have `limit`.
    fn receive(&mut self, limit: Duration) -> Result<End, Failure> {
        let retained_secs = self.args.retained_only.then_some(RETAINED_SECS);
        let patience = self.args.wait.or(retained_secs).map(Duration::from_secs);
        let answered_by = Deadline::after(limit);
        let mut silence = patience.map(Deadline::after);
        loop {
            if self.is_done() {
                return Ok(End::Enough);
            }
            let is_waiting = self.awaited > 0;
            let deadline = if is_waiting { Some(&answered_by) } else { silence.as_ref() };
            let step = match self.next(deadline)? {
                Came::Packet(step) => step,
                Came::Other => return Ok(End::NobodyReads),
                Came::Late if is_waiting => {
                    let message = format!("no SUBACK within {} s", limit.as_secs());
                    return Err(Failure::new(Exit::Failed, "no_answer", message));
                }
                Came::Late => return Ok(End::Silence),
                Came::Interrupted => return Ok(End::Interrupted),
            };
            let is_answer = matches!(step, Step::Granted { .. } | Step::Unsubscribed);
            let is_shown = matches!(step, Step::Message { print: Some(_), .. });
            if let Some(end) = self.take(step)? {
                return Ok(end);
            }
            if is_answer || is_shown {
                silence = patience.map(Deadline::after);
            }
        }
    }

    fn is_done(&self) -> bool {
        let has_enough = self.args.count.is_some_and(|count| self.messages >= count);
        let is_only_asking = self.args.exit_after_subscribe || self.args.filters.is_empty();
        self.awaited == 0 && (has_enough || is_only_asking)
    }

    fn next(&mut self, deadline: Option<&Deadline>) -> Result<Came<Step>, Failure> {
        let (unreleased, args) = (&self.unreleased, self.args);
        let is_v5 = self.connection.version() == Version::V5;
        let (look, voice, boot) = (&self.look, self.voice, self.boot);
        // A pipe tells that its reader left, whether or not there is something to print.
        let stdout = io::stdout();
        let nobody_reads = Some((stdout.as_fd(), PollFlags::empty()));
        self.connection.next(deadline, nobody_reads, |packet| {
            step(packet, unreleased, |publish| {
                // 5.0 was asked not to send them; there the flag may be the publisher's.
                let is_unwanted = args.no_retained && publish.retain && !is_v5;
                let is_wanted = !is_unwanted && (publish.retain || !args.retained_only);
                is_wanted.then(|| shown(voice, look, publish, boot.unix_ms()))
            })
        })
    }

    /// Does what a packet asks for; the reason to end, if it is one.
    fn take(&mut self, step: Step) -> Result<Option<End>, Failure> {
        match step {
            Step::Nothing => {}
            Step::Unsubscribed => self.awaited -= 1,
            Step::Granted { reasons, why } => self.granted(&reasons, &why)?,
            Step::Released(packet_id) => {
                self.unreleased.remove(&packet_id);
                self.acknowledge(packet_id, Packet::Pubcomp)?;
            }
            Step::Message { retain: false, .. } if self.args.retained_only => {
                return Ok(Some(End::Silence)); // not acknowledged: it is for somebody else
            }
            // Left in the broker for the next time: enough is enough.
            Step::Message { .. } if self.args.count.is_some_and(|count| self.messages >= count) => {
            }
            Step::Message { print, qos, packet_id, .. } => {
                if let Some(bytes) = print
                    && !self.print(&bytes)?
                {
                    return Ok(Some(End::NobodyReads));
                }
                match qos {
                    QoS::AtMostOnce => {}
                    QoS::AtLeastOnce => self.acknowledge(packet_id, Packet::Puback)?,
                    QoS::ExactlyOnce => {
                        self.unreleased.insert(packet_id);
                        self.acknowledge(packet_id, Packet::Pubrec)?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Prints a message; `false` when nobody reads any more.
    fn print(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let said = if self.voice.quiet && !self.voice.json { Ok(()) } else { print_bytes(bytes) };
        match said {
            Ok(()) => {
                self.messages += 1;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                let message = format!("cannot write to standard output: {error}");
                Err(Failure::new(Exit::Failed, "output", message))
            }
        }
    }

    /// SUBACK came.
    fn granted(&mut self, reasons: &[u8], why: &str) -> Result<(), Failure> {
        self.awaited -= 1;
        for (filter, &byte) in self.args.filters.iter().zip(reasons) {
            if byte >= 0x80 {
                let message = format!("the broker refused to subscribe to {filter:?}: {why}");
                return Err(Failure::new(Exit::Failed, "subscribe_refused", message));
            }
            if byte < self.args.qos && !self.voice.quiet {
                complain(&format!("mqttd: the broker grants QoS {byte} for {filter:?}\n"));
            }
        }
        Ok(())
    }

    fn acknowledge(
        &mut self,
        packet_id: u16,
        packet: fn(Acknowledge<'static>) -> Packet<'static>,
    ) -> Result<(), Failure> {
        let (reason, properties) = (ReasonCode::Success, Properties::EMPTY);
        self.connection.send(&packet(Acknowledge { packet_id, reason, properties }))
    }
}

/// What a packet asks for; `show` gives what is to be printed of a message, if it is wanted.
fn step(
    packet: &Packet<'_>,
    unreleased: &BTreeSet<u16>,
    show: impl FnOnce(&Publish<'_>) -> Option<Vec<u8>>,
) -> Step {
    if let Packet::Publish(publish) = packet {
        let is_repeated =
            publish.qos == QoS::ExactlyOnce && unreleased.contains(&publish.packet_id);
        let print = if is_repeated { None } else { show(publish) };
        let Publish { retain, qos, packet_id, .. } = *publish;
        Step::Message { print, retain, qos, packet_id }
    } else if let Packet::Pubrel(ack) = packet {
        Step::Released(ack.packet_id)
    } else if let Packet::Suback(suback) = packet {
        let refused = suback.reasons.iter().copied().find(|byte| *byte >= 0x80);
        let code = refused.and_then(ReasonCode::from_byte).unwrap_or(ReasonCode::UnspecifiedError);
        let why = reason(code, suback.properties);
        Step::Granted { reasons: suback.reasons.to_vec(), why }
    } else if let Packet::Unsuback(_) = packet {
        Step::Unsubscribed
    } else {
        Step::Nothing
    }
}

fn shown(voice: Voice, look: &Look, publish: &Publish<'_>, received_unix_ms: u64) -> Vec<u8> {
    if voice.json {
        let result = Some(object(publish, received_unix_ms));
        Voice::object("sub", &Report { result, ..Report::default() }).into_bytes()
    } else {
        look.show(publish, received_unix_ms)
    }
}

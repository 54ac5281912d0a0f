//! `sub`: what arrives, one after the other, acknowledged when it is printed.

use std::collections::BTreeSet;
use std::io;

use super::connection::{Came, Connection};
use super::message::{Look, object};
use super::{SessionWish, connect};
use crate::cli::args::SubArgs;
use crate::cli::boot::{Exit, Failure};
use crate::cli::deadline::Deadline;
use crate::cli::report::{Report, Voice, print_bytes};
use crate::cli::signals::Signals;
use crate::cli::verbs::Errand;
use crate::codec::{
    Acknowledge, Packet, Properties, Publish, QoS, ReasonCode, RetainHandling, Subscribe,
    SubscriptionOptions, SubscriptionRequest, Version,
};
use crate::topic::TopicFilter;

/// The packet identifier of the one SUBSCRIBE.
const SUBSCRIBE_ID: u16 = 1;

/// Subscribes and prints until Ctrl-C, `--count` or `--wait` end it.
pub(crate) fn subscribe(errand: &Errand<'_>, args: &SubArgs) -> Result<Report, Failure> {
    for filter in &args.filters {
        if let Err(error) = TopicFilter::parse(filter) {
            let message = format!("{filter:?} is no topic filter: {error}");
            return Err(Failure::new(Exit::Usage, "bad_filter", message));
        }
    }
    let session = if args.keep_session { SessionWish::Kept } else { SessionWish::Fleeting };
    let connection = connect(errand, &args.connect, session, Signals::leaving())?;
    let mut receiver = Receiver {
        args,
        voice: errand.voice,
        look: Look::new(args),
        connection,
        unreleased: BTreeSet::new(),
        granted: false,
        messages: 0,
    };
    receiver.ask()?;
    let end = receiver.receive()?;
    let nothing_came = receiver.messages == 0;
    let left = receiver.connection.leave();
    match end {
        End::NobodyReads => return Ok(Report { spoken: true, ..Report::default() }),
        End::Silence if nothing_came => {
            let message = "no message came in time";
            return Err(Failure::new(Exit::Failed, "no_message", message));
        }
        End::Silence | End::Enough | End::Interrupted => left?,
    }
    Ok(Report { spoken: !nothing_came, ..Report::default() })
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
    voice: Voice,
    look: Look,
    connection: Connection,
    /// QoS 2 messages printed whose PUBREL has not come.
    unreleased: BTreeSet<u16>,
    granted: bool,
    messages: u64,
}

/// What is to be done about a packet.
enum Step {
    Nothing,
    Granted(Vec<u8>),
    Message { print: Option<Vec<u8>>, qos: QoS, packet_id: u16 },
    Released(u16),
}

impl Receiver<'_> {
    fn ask(&mut self) -> Result<(), Failure> {
        let is_v5 = self.connection.version() == Version::V5;
        let retain_handling = if is_v5 && self.args.no_retained {
            RetainHandling::DoNotSend
        } else {
            RetainHandling::Send
        };
        let mut payload = Vec::new();
        for filter in &self.args.filters {
            SubscriptionRequest {
                filter,
                options: SubscriptionOptions {
                    qos: QoS::from_bits(self.args.qos).unwrap_or(QoS::AtMostOnce),
                    no_local: false,
                    retain_as_published: false,
                    retain_handling,
                },
            }
            .write(&mut payload);
        }
        let subscribe = Subscribe::new(SUBSCRIBE_ID, Properties::EMPTY, &payload);
        self.connection.send(&Packet::Subscribe(subscribe))
    }

    fn receive(&mut self) -> Result<End, Failure> {
        let patience = self.args.wait.map(std::time::Duration::from_secs);
        let mut silence = patience.map(Deadline::after);
        loop {
            if self.granted && self.args.count.is_some_and(|count| self.messages >= count) {
                return Ok(End::Enough);
            }
            let (unreleased, no_retained) = (&self.unreleased, self.args.no_retained);
            let (look, voice) = (&self.look, self.voice);
            let came = self.connection.next(silence.as_ref(), None, |packet| {
                step(packet, unreleased, no_retained, |publish| shown(voice, look, publish))
            })?;
            let step = match came {
                Came::Packet(step) => step,
                Came::Input => continue,
                Came::Late => return Ok(End::Silence),
                Came::Interrupted => return Ok(End::Interrupted),
            };
            match step {
                Step::Nothing => {}
                Step::Granted(reasons) => self.granted_by(&reasons)?,
                Step::Released(packet_id) => {
                    self.unreleased.remove(&packet_id);
                    self.acknowledge(packet_id, Packet::Pubcomp)?;
                }
                Step::Message { print, qos, packet_id } => {
                    if let Some(bytes) = print {
                        silence = patience.map(Deadline::after);
                        if !self.print(&bytes)? {
                            return Ok(End::NobodyReads);
                        }
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
        }
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

    fn granted_by(&mut self, reasons: &[u8]) -> Result<(), Failure> {
        self.granted = true;
        for (filter, &byte) in self.args.filters.iter().zip(reasons) {
            if byte >= 0x80 {
                let name = ReasonCode::from_byte(byte).map_or("refused", ReasonCode::name);
                let message = format!("the broker refused to subscribe to {filter:?}: {name}");
                return Err(Failure::new(Exit::Failed, "subscribe_refused", message));
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

fn step(
    packet: &Packet<'_>,
    unreleased: &BTreeSet<u16>,
    no_retained: bool,
    shown: impl FnOnce(&Publish<'_>) -> Vec<u8>,
) -> Step {
    if let Packet::Publish(publish) = packet {
        let is_repeated =
            publish.qos == QoS::ExactlyOnce && unreleased.contains(&publish.packet_id);
        let is_unwanted = no_retained && publish.retain;
        let print = (!is_repeated && !is_unwanted).then(|| shown(publish));
        Step::Message { print, qos: publish.qos, packet_id: publish.packet_id }
    } else if let Packet::Pubrel(ack) = packet {
        Step::Released(ack.packet_id)
    } else if let Packet::Suback(suback) = packet {
        Step::Granted(suback.reasons.to_vec())
    } else {
        Step::Nothing
    }
}

fn shown(voice: Voice, look: &Look, publish: &Publish<'_>) -> Vec<u8> {
    if voice.json {
        let report = Report { result: Some(object(publish)), ..Report::default() };
        Voice::object("sub", &report).into_bytes()
    } else {
        look.show(publish)
    }
}

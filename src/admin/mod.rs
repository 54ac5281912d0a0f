//! One vocabulary of questions and commands; each noun is one file that defines its calls once.
//!
//! The faces (`control`, and over it the command and the console) take names, words, arguments
//! and permissions from [`NOUNS`] and hand requests to [`Answers::answer`]. Nothing here knows a
//! socket or a screen.

mod backup;
pub mod base64;
mod broker;
mod call;
mod clients;
pub mod exchange;
mod host;
mod import;
mod listeners;
mod log;
mod publish;
mod queue;
mod retained;
mod sessions;
mod stats;
mod subscriptions;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::broker::Now;
use crate::server::Server;

pub use backup::{Copied, Copying};
pub use broker::{Status, StoreStatus};
pub use call::{
    AnswerBy, Answers, Argument, Arguments, Call, Completion, Kind, Lines, Noun, Pages, Permission,
    Reply, Takes, Taking,
};
pub use clients::Client;
pub use host::{About, Host, Problem, Recovered, Reloaded};
pub use import::Imported;
pub use listeners::Listener;
pub use queue::Waiting;
pub use retained::Retained;
pub use sessions::Session;
pub use subscriptions::Subscription;

/// The whole vocabulary, in the order of help texts.
pub const NOUNS: &[Noun] = &[
    broker::NOUN,
    clients::NOUN,
    sessions::NOUN,
    queue::NOUN,
    subscriptions::NOUN,
    retained::NOUN,
    listeners::NOUN,
    stats::NOUN,
    log::NOUN,
    publish::NOUN,
    backup::NOUN,
    import::NOUN,
];

/// What answers every call: the broker, and the process around it.
#[derive(Clone)]
pub struct Admin {
    server: Server,
    host: Arc<dyn Host>,
}

impl Admin {
    /// Of a running broker and the process it lives in.
    #[must_use]
    pub fn new(server: Server, host: Arc<dyn Host>) -> Self {
        Self { server, host }
    }

    /// The time, as the shards have it.
    fn now(&self) -> Now {
        self.server.ask(0, |_, now| now)
    }
}

impl Answers for Admin {
    fn answer(&self, call: &str, arguments: Map<String, Value>) -> Result<Reply, Problem> {
        let mut calls = NOUNS.iter().flat_map(|noun| noun.calls);
        let Some(call) = calls.find(|known| known.name == call) else {
            let version = env!("CARGO_PKG_VERSION");
            return Err(Problem::new(
                "unknown_call",
                format!("the running broker ({version}) knows no call {call:?}"),
            )
            .hint("after an upgrade: `sudo mqttd restart` brings the new version"));
        };
        let arguments = Arguments::check(call, arguments)?;
        match call.answer {
            AnswerBy::Value(answer) => answer(self, &arguments).map(Reply::Value),
            AnswerBy::Pages(answer) => answer(self, &arguments).map(Reply::Pages),
            AnswerBy::Lines(answer) => answer(self, &arguments).map(Reply::Lines),
            AnswerBy::Takes(answer) => answer(self, &arguments).map(Reply::Takes),
        }
    }
}

#[cfg(test)]
mod tests;

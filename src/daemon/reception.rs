//! The control socket's answers: while the start takes its time, how far it is; then those of the
//! broker.
//!
//! So `mqttd ping` and `mqttd status` say what goes on, and `mqttd stop` ends it.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::host::Wish;
use super::restoring::Restoring;
use crate::admin::{Admin, Answers, Problem, Reply};

/// Who answers.
pub(super) struct Reception {
    restoring: Arc<Restoring>,
    wishes: UnboundedSender<Wish>,
    admin: OnceLock<Admin>,
}

impl Reception {
    pub(super) fn new(restoring: Arc<Restoring>, wishes: UnboundedSender<Wish>) -> Self {
        Self { restoring, wishes, admin: OnceLock::new() }
    }

    /// The broker is up and answers itself from now on.
    pub(super) fn open(&self, admin: Admin) {
        let _ = self.admin.set(admin); // it is done once
    }
}

impl Answers for Reception {
    fn answer(&self, call: &str, arguments: Map<String, Value>) -> Result<Reply, Problem> {
        if let Some(admin) = self.admin.get() {
            return admin.answer(call, arguments);
        }
        if call == "stop" {
            let _ = self.wishes.send(Wish::Stop); // nobody listens when it ends already
            return Ok(Reply::Value(json!("stopping")));
        }
        let line = self.restoring.line();
        Err(Problem::new("starting", format!("the broker is starting, {line}")))
    }
}

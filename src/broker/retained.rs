//! Retained messages: at most one a Topic Name.

use std::sync::Arc;

use super::RetainedView;
use crate::session::Message;
use crate::topic::Index;

/// A retained message.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    pub(super) message: Arc<Message>,
    pub(super) stored_unix_ms: u64,
}

/// All retained messages.
#[derive(Debug, Default)]
pub(super) struct RetainedStore {
    index: Index<Retained>,
    bytes: u64,
}

impl RetainedStore {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes of all messages, bookkeeping included.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn contains(&self, topic: &str) -> bool {
        self.index.value(topic).is_some()
    }

    /// Replaces the message of a topic `[MQTT-3.3.1-5]`.
    pub(super) fn store(&mut self, message: Arc<Message>, stored_unix_ms: u64) {
        self.bytes += message.weight();
        let retained = Retained { message: Arc::clone(&message), stored_unix_ms };
        if let Some(replaced) = self.index.insert(message.topic(), retained) {
            self.bytes -= replaced.message.weight();
        }
    }

    /// Forgets the message of a topic `[MQTT-3.3.1-6]`.
    pub(super) fn forget(&mut self, topic: &str) -> bool {
        let removed = self.index.remove(topic);
        if let Some(removed) = &removed {
            self.bytes -= removed.message.weight();
        }
        removed.is_some()
    }

    /// Those whose topic matches `filter` and which have not expired, in topic order.
    pub(super) fn find(&self, filter: &str, ticks_ms: u64, max: usize) -> Vec<Retained> {
        let mut found = Vec::new();
        self.index.matches(filter, |retained| {
            if retained.message.expires_ms().is_none_or(|at| at > ticks_ms) {
                found.push(retained.clone());
            }
            found.len() < max
        });
        found
    }
}

impl Retained {
    pub(super) fn view(&self, unix_less_ticks_ms: u64) -> RetainedView {
        RetainedView {
            topic: self.message.topic().into(),
            qos: self.message.qos(),
            payload: self.message.payload().to_vec(),
            stored_unix_ms: self.stored_unix_ms,
            expires_unix_ms: self.message.expires_ms().map(|at| at + unix_less_ticks_ms),
        }
    }
}

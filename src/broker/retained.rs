//! Retained messages: at most one a Topic Name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::RetainedView;
use super::status::is_reserved;
use crate::session::{Message, Mid};
use crate::topic::Index;

/// A retained message.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    pub(super) message: Arc<Message>,
    pub(super) stored_unix_ms: u64,
    /// Its name in the journal, if it is there.
    mid: Option<Mid>,
}

/// The retained messages a filter matches.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) retained: Vec<Retained>,
    /// How many were looked at for them.
    pub(super) looked_at: usize,
}

/// All retained messages: they belong to no session `[MQTT3-3.1.2-7]`.
#[derive(Debug, Default)]
pub(super) struct RetainedStore {
    index: Index<Retained>,
    bytes: u64,
    /// Messages of the broker's own status, and their bytes.
    status_len: usize,
    status_bytes: u64,
    /// When those expire that do, earliest first.
    expiries: BTreeSet<(u64, Box<str>)>,
}

impl RetainedStore {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Number of messages without those of the broker's own status.
    pub(super) fn clients_len(&self) -> usize {
        self.len() - self.status_len
    }

    /// Bytes of all messages, bookkeeping included.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes without those of the broker's own status.
    pub(super) const fn clients_bytes(&self) -> u64 {
        self.bytes - self.status_bytes
    }

    /// Bytes of the message of a topic.
    pub(super) fn weight(&self, topic: &str) -> Option<u64> {
        self.index.value(topic).map(|retained| retained.message.weight())
    }

    /// The name of the message of a topic in the journal.
    pub(super) fn mid(&self, topic: &str) -> Option<Mid> {
        self.index.value(topic).and_then(|retained| retained.mid)
    }

    /// Replaces the message of a topic `[MQTT-3.3.1-5]`.
    pub(super) fn store(&mut self, message: Arc<Message>, stored_unix_ms: u64, mid: Option<Mid>) {
        self.bytes += message.weight();
        if is_reserved(message.topic()) {
            self.status_len += 1;
            self.status_bytes += message.weight();
        }
        if let Some(at_ms) = message.expires_ms() {
            self.expiries.insert((at_ms, message.topic().into()));
        }
        let retained = Retained { message: Arc::clone(&message), stored_unix_ms, mid };
        if let Some(replaced) = self.index.insert(message.topic(), retained) {
            self.gone(&replaced.message, message.expires_ms());
        }
    }

    /// Forgets the message of a topic `[MQTT-3.3.1-6]` `[MQTT31-14]`.
    pub(super) fn forget(&mut self, topic: &str) -> bool {
        let removed = self.index.remove(topic);
        if let Some(removed) = &removed {
            self.gone(&removed.message, None);
        }
        removed.is_some()
    }

    /// Forgets what has expired. Nobody gets an expired message in any case; this gives its memory
    /// back, and is called where new messages come in.
    /// Says of which topics.
    pub(super) fn forget_expired(&mut self, ticks_ms: u64) -> Vec<Box<str>> {
        let mut topics = Vec::new();
        while let Some((at_ms, _)) = self.expiries.first()
            && *at_ms <= ticks_ms
        {
            let Some((_, topic)) = self.expiries.pop_first() else { break };
            self.forget(&topic);
            topics.push(topic);
        }
        topics
    }

    /// A message has left the index; `successor_ms` is when the one in its place expires.
    fn gone(&mut self, message: &Message, successor_ms: Option<u64>) {
        self.bytes -= message.weight();
        if is_reserved(message.topic()) {
            self.status_len -= 1;
            self.status_bytes -= message.weight();
        }
        if let Some(at_ms) = message.expires_ms()
            && successor_ms != Some(at_ms)
        {
            self.expiries.remove(&(at_ms, message.topic().into()));
        }
    }

    /// Those whose topic matches `filter` and which have not expired, in topic order.
    pub(super) fn find(&self, filter: &str, ticks_ms: u64, max: usize) -> Found {
        let mut found = Vec::new();
        let looked_at = self.index.matches(filter, |retained| {
            if retained.message.expires_ms().is_none_or(|at| at > ticks_ms) {
                found.push(retained.clone());
            }
            found.len() < max
        });
        Found { retained: found, looked_at }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Properties, QoS};
    use crate::session::Content;

    fn message(topic: &str, expires_ms: Option<u64>) -> Arc<Message> {
        let properties = Properties::EMPTY;
        let content = Content { topic, properties, payload: b"x", expires_ms };
        Arc::new(Message::new(&content, QoS::AtMostOnce, true))
    }

    #[test]
    fn an_expired_message_gives_its_memory_back_and_a_newer_one_stays() {
        let mut store = RetainedStore::default();
        store.store(message("gone", Some(10)), 0, None);
        store.store(message("renewed", Some(10)), 0, None);
        store.store(message("renewed", Some(30)), 0, None);
        store.store(message("same time", Some(10)), 0, None);
        store.store(message("same time", Some(10)), 0, None);
        store.store(message("for ever", None), 0, None);
        store.forget_expired(20);
        let found = store.find("#", 20, 9).retained;
        let topics: Vec<_> = found.iter().map(|one| one.message.topic()).collect();
        assert_eq!(topics, ["for ever", "renewed"]);
        assert_eq!(store.len(), 2);
        assert!(store.forget("for ever") && store.forget("renewed"));
        assert_eq!((store.bytes(), store.expiries.len()), (0, 0));
    }
}

//! One line about the broker, for `systemctl status`.

use crate::broker::Storing;
use crate::server::Server;

/// Turns counters into a rate.
#[derive(Debug, Default)]
pub(super) struct Rate {
    messages: u64,
    ticks_ms: u64,
}

impl Rate {
    /// Messages a second since the last call.
    pub(super) fn messages_per_sec(&mut self, server: &Server, ticks_ms: u64) -> u64 {
        let messages = server.stats().value("messages.received");
        let elapsed_ms = ticks_ms.saturating_sub(self.ticks_ms).max(1);
        let new = messages.saturating_sub(self.messages);
        *self = Self { messages, ticks_ms };
        new.saturating_mul(1000) / elapsed_ms
    }
}

/// How far the start is.
pub(super) fn reading(records: u64) -> String {
    let digits = records.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    format!("reading the store: {grouped} records")
}

/// Where it listens and how many clients it has.
pub(super) fn line(server: &Server) -> String {
    let listeners = server.listeners();
    let addresses: Vec<_> = listeners.iter().map(|l| l.address.to_string()).collect();
    let clients = server.stats().value("clients.connected");
    let trouble = match server.commons().storing() {
        Storing::Off | Storing::Well => "",
        Storing::Full => "; THE STORE IS FULL",
        Storing::Failed => "; THE STORE HAS FAILED",
    };
    format!("Serving MQTT on {}; {clients} clients{trouble}", addresses.join(", "))
}

//! One line about the broker, for `systemctl status`.

use crate::broker::Storing;
use crate::cli::grouped;
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

/// How far the start is: records read, about how many there are, seconds since it began.
pub(super) fn restoring(read: u64, about: u64, secs: u64) -> String {
    match (grouped(read), grouped(rounded(about))) {
        _ if read == 0 => format!("restoring: looking at the store, {secs} s"),
        (read_text, about_text) if read <= about => {
            format!("restoring: {read_text} of about {about_text} records, {secs} s")
        }
        (read_text, _) => format!("restoring: {read_text} records, {secs} s"),
    }
}

/// As exact as an estimate is: three digits.
fn rounded(number: u64) -> u64 {
    let step = 10_u64.pow(number.max(1).ilog10().saturating_sub(2));
    number.saturating_add(step / 2) / step * step
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_says_how_far_it_is_as_well_as_it_knows() {
        assert_eq!(restoring(0, 0, 0), "restoring: looking at the store, 0 s");
        assert_eq!(restoring(0, 7, 1), "restoring: looking at the store, 1 s");
        assert_eq!(
            restoring(420_000, 2_000_000, 3),
            "restoring: 420 000 of about 2 000 000 records, 3 s"
        );
        assert_eq!(restoring(7, 9, 3), "restoring: 7 of about 9 records, 3 s");
        assert_eq!(restoring(7, 2_019_932, 3), "restoring: 7 of about 2 020 000 records, 3 s");
        assert_eq!(restoring(2_000_001, 2_000_000, 9), "restoring: 2 000 001 records, 9 s");
    }
}

//! systemd's journal, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): priorities and
//! fields arrive as such.
//!
//! Called on the log's own thread. `tracing-journald` speaks the same protocol, but sends from the
//! thread of the event, which waits when the journal is stalled; here that thread may be a shard.

use std::io;
use std::os::unix::net::UnixDatagram;

use tracing::Level;

use super::line;
use super::record::Record;
use super::writer::Sink;

pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// The journal as a place for lines.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// Opens the way to the journal.
    pub(super) fn open() -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        Ok(Self { socket })
    }
}

impl Sink for Journal {
    fn write(&mut self, record: &Record, _line: &str) -> io::Result<()> {
        let entry = entry(record);
        if self.socket.send(&entry).is_ok() {
            return Ok(());
        }
        // The journal was restarted, or the entry is too large for a datagram.
        *self = Self::open()?;
        self.socket.send(&entry).map(drop)
    }
}

fn entry(record: &Record) -> Vec<u8> {
    let mut entry = Vec::new();
    field(&mut entry, "MESSAGE", &line::sentence(record));
    field(&mut entry, "PRIORITY", priority(record.level));
    field(&mut entry, "SYSLOG_IDENTIFIER", "mqttd");
    for (name, value) in &record.fields {
        field(&mut entry, &format!("MQTT_{}", field_name(name)), value);
    }
    entry
}

/// `NAME=value`, or with a length before it a value of several lines.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

fn field_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(allowed).collect()
}

/// syslog(3)'s numbers.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p39_an_entry_has_priority_and_fields() {
        let record = Record {
            unix_ms: 0,
            level: Level::WARN,
            message: "client refused".to_owned(),
            fields: vec![("client_id", "a\nPRIORITY=0".to_owned()), ("peer", "[::1]:5".to_owned())],
        };
        let mut expected = Vec::new();
        expected.extend_from_slice(
            b"MESSAGE=client refused client_id=\"a\\nPRIORITY=0\" peer=[::1]:5\n\
              PRIORITY=4\nSYSLOG_IDENTIFIER=mqttd\nMQTT_CLIENT_ID\n",
        );
        expected.extend_from_slice(&12_u64.to_le_bytes());
        expected.extend_from_slice(b"a\nPRIORITY=0\nMQTT_PEER=[::1]:5\n");
        assert_eq!(entry(&record), expected);
    }
}

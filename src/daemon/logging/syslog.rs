//! syslog(3) through `/dev/log`.
//!
//! Called on the log's own thread: sending waits while syslogd is stalled. After a restart of
//! syslogd the old connection never works again, so each failure makes a new one.

use std::io;
use std::path::{Path, PathBuf};

use syslog::{Facility, Formatter3164, Logger, LoggerBackend};
use tracing::Level;

use super::record::Record;
use super::writer::Sink;
use super::{LogFormat, line};

const SOCKET: &str = "/dev/log";

/// syslog as a place for lines.
pub(super) struct Syslog {
    socket: PathBuf,
    format: LogFormat,
    logger: Option<Logger<LoggerBackend, Formatter3164>>,
}

/// Whether somebody seems to listen.
pub(super) fn is_there() -> bool {
    Path::new(SOCKET).exists()
}

impl Syslog {
    /// Connects with the first line. Made in the process that logs: lines carry its pid.
    pub(super) fn new(format: LogFormat) -> Self {
        Self { socket: SOCKET.into(), format, logger: None }
    }

    fn connect(&self) -> io::Result<Logger<LoggerBackend, Formatter3164>> {
        let formatter = Formatter3164 {
            facility: Facility::LOG_DAEMON,
            hostname: None,
            process: "mqttd".to_owned(),
            pid: std::process::id(),
        };
        syslog::unix_custom(formatter, &self.socket).map_err(io::Error::other)
    }

    fn send(&mut self, level: Level, text: &str) -> io::Result<()> {
        let mut logger = match self.logger.take() {
            Some(logger) => logger,
            None => self.connect()?,
        };
        let sent = match level {
            Level::ERROR => logger.err(text),
            Level::WARN => logger.warning(text),
            Level::INFO => logger.info(text),
            Level::DEBUG | Level::TRACE => logger.debug(text),
        };
        sent.map_err(io::Error::other)?;
        self.logger = Some(logger); // after an error it is gone
        Ok(())
    }
}

impl Sink for Syslog {
    fn write(&mut self, record: &Record, line: &str) -> io::Result<()> {
        let sentence;
        let text = match self.format {
            LogFormat::Json => line,
            LogFormat::Human => {
                sentence = line::sentence(record); // syslog adds time and level
                &sentence
            }
        };
        let was_connected = self.logger.is_some();
        match self.send(record.level, text) {
            Err(_) if was_connected => self.send(record.level, text),
            sent => sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn record(message: &str) -> Record {
        Record {
            unix_ms: 0,
            level: Level::WARN,
            message: message.to_owned(),
            fields: vec![("client_id", "a\n<0>all is lost".to_owned())],
        }
    }

    fn received(syslogd: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let count = syslogd.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn p61_a_restart_of_syslogd_loses_nothing_afterwards_and_no_line_is_forged() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("log");
        let mut syslog = Syslog { socket: socket.clone(), ..Syslog::new(LogFormat::Human) };
        assert!(syslog.write(&record("zero"), "").is_err(), "nobody is there yet");
        for message in ["one", "two"] {
            let syslogd = UnixDatagram::bind(&socket).unwrap();
            syslog.write(&record(message), "").unwrap();
            let line = received(&syslogd);
            // 28: facility daemon (3) * 8 + warning (4), RFC 3164 section 4.1.1.
            assert!(line.starts_with("<28>"), "{line}");
            let words = format!("mqttd[{}]: {message}", std::process::id());
            assert!(line.contains(&words), "{line}");
            assert!(line.ends_with(" client_id=\"a\\n<0>all is lost\""), "{line}");
            std::fs::remove_file(&socket).unwrap();
        }
    }
}

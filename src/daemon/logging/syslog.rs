//! syslog(3) through `/dev/log`.
//!
//! Called on the log's own thread: sending waits while syslogd is stalled. After a restart of
//! syslogd the old connection never works again, so each failure makes a new one.

use std::io;
use std::path::Path;

use syslog::{Facility, Formatter3164, Logger, LoggerBackend};
use tracing::Level;

use super::record::Record;
use super::writer::Sink;
use super::{LogFormat, line};

/// syslog as a place for lines.
pub(super) struct Syslog {
    format: LogFormat,
    logger: Option<Logger<LoggerBackend, Formatter3164>>,
}

/// Whether somebody seems to listen.
pub(super) fn is_there() -> bool {
    Path::new("/dev/log").exists()
}

impl Syslog {
    /// Connects with the first line. Made in the process that logs: lines carry its pid.
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, logger: None }
    }

    fn send(&mut self, level: Level, text: &str) -> io::Result<()> {
        let mut logger = match self.logger.take() {
            Some(logger) => logger,
            None => connect()?,
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

fn connect() -> io::Result<Logger<LoggerBackend, Formatter3164>> {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: "mqttd".to_owned(),
        pid: std::process::id(),
    };
    syslog::unix(formatter).map_err(io::Error::other)
}

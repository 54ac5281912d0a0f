//! The log: events of `tracing` become lines in the journal, syslog, a file or on stderr.
//!
//! [`Logging::start`] is called once, after the fork. No thread that logs ever waits for the
//! place where the log goes; see `writer`.

mod file;
mod journal;
mod line;
mod record;
mod syslog;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::broadcast;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use self::file::LogFile;
use self::journal::Journal;
use self::record::Record;
use self::syslog::Syslog;
use self::writer::{Queue, Sink, Stderr};
use super::config::{LogConfig, LogFormat, LogLevel, LogTarget};
use super::{Mode, failure};
use crate::cli::{Failure, stderr_is_journal};
use crate::control::Place;
use crate::server::clock::Clock;

/// Lines a slow watcher may be behind before it loses some.
const WATCHED_LINES: usize = 1024;

/// How long a stalled log may hold up the end of the process.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// The running log.
#[derive(Debug)]
pub(super) struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
    watchers: broadcast::Sender<Arc<str>>,
    queue: Queue,
    _thread: JoinHandle<()>,
}

impl Logging {
    /// Opens the place where the log goes and catches all events from now on.
    ///
    /// # Errors
    /// The place cannot be opened; the problem names it.
    pub(super) fn start(config: &LogConfig, place: &Place, mode: Mode) -> Result<Self, Failure> {
        let target = target(config.target, place, mode);
        let sink = open(target, config, &place.log_dir)?;
        let (watchers, _) = broadcast::channel(WATCHED_LINES);
        let (queue, thread) = writer::start(sink, config.format, watchers.clone())
            .map_err(|error| failure::system("start the thread of the log", &error))?;
        let (filter, level) = reload::Layer::new(filter(config.level));
        let capture = Capture(queue.clone());
        // A second broker in one process keeps the first one's log; only tests do that.
        let _ = tracing_subscriber::registry().with(filter).with(capture).try_init();
        std::panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            let payload = panic.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let what = text.or_else(|| payload.downcast_ref::<&str>().copied());
            tracing::error!(
                at,
                what = what.unwrap_or("unknown"),
                "internal error; please report it"
            );
        }));
        Ok(Self { level, watchers, queue, _thread: thread })
    }

    /// Logs events of this importance and above from now on.
    pub(super) fn set_level(&self, level: LogLevel) {
        let _ = self.level.modify(|now| *now = filter(level));
    }

    /// What is logged now.
    pub(super) fn level(&self) -> String {
        let level = self.level.clone_current().unwrap_or(LevelFilter::INFO);
        level.to_string()
    }

    /// The lines from now on.
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<str>> {
        self.watchers.subscribe()
    }

    /// Waits until everything is written, not longer than a stalled log deserves.
    pub(super) fn flush(&self) {
        self.queue.flush(FLUSH_PATIENCE);
    }
}

/// Where `auto` leads; `None` when only watchers are to see the log.
fn target(wanted: LogTarget, place: &Place, mode: Mode) -> Option<LogTarget> {
    match (wanted, mode) {
        (LogTarget::Auto | LogTarget::Stderr, Mode::Console) => None, // it would run over the prompt
        (LogTarget::Auto, Mode::Foreground) if journal_is_there() => Some(LogTarget::Journal),
        (LogTarget::Auto, Mode::Foreground) => Some(LogTarget::Stderr),
        (LogTarget::Auto, Mode::Daemon) if place.home.is_none() && syslog::is_there() => {
            Some(LogTarget::Syslog)
        }
        (LogTarget::Auto, Mode::Daemon) => Some(LogTarget::File),
        (LogTarget::Stderr, Mode::Daemon) => Some(LogTarget::File), // a daemon has no stderr
        (wanted, _) => Some(wanted),
    }
}

fn journal_is_there() -> bool {
    stderr_is_journal() && Path::new(journal::SOCKET).exists()
}

fn open(
    target: Option<LogTarget>,
    config: &LogConfig,
    log_dir: &Path,
) -> Result<Option<Box<dyn Sink>>, Failure> {
    let Some(target) = target else {
        return Ok(None);
    };
    let failed = |what: &str, path: &Path| {
        let what = what.to_owned();
        let path = path.to_owned();
        move |error: io::Error| failure::with_file(&what, &path, &error)
    };
    Ok(Some(match target {
        LogTarget::Auto | LogTarget::Stderr => Box::new(Stderr),
        LogTarget::Journal => {
            Box::new(Journal::open().map_err(failed("log to", Path::new(journal::SOCKET)))?)
        }
        LogTarget::Syslog => Box::new(Syslog::new(config.format)),
        LogTarget::File => {
            let path = log_dir.join(&config.file);
            let file = LogFile::open(path.clone(), config.file_bytes_max, config.files_max);
            Box::new(file.map_err(failed("log to", &path))?)
        }
    }))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Catches events where they happen.
struct Capture(Queue);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.post(Record::of(event, Clock::now().unix_ms));
    }
}

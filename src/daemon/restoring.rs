//! How far the start is: counted by the thread that restores what was kept, told by the one that
//! waits for it, and to be asked by operators meanwhile.
//!
//! Whoever waits for the start waits longer with each word. So there is none while the thread does
//! nothing, as on a disk that does not answer: then those who wait give up in the end.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use super::readiness::{Readiness, Report};
use super::status;
use super::systemd::Systemd;
use crate::server::clock::Clock;

/// Between two words to whoever waits for the start.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(250);
/// Between two lines of the log.
const LOG_MS: u64 = 5000;
/// What is told the service manager to wait for the next word.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far it is.
#[derive(Debug)]
pub(super) struct Restoring {
    began_ms: u64,
    read: AtomicU64,
    about: AtomicU64,
    /// The thread that does it; 0 before it has begun.
    thread: AtomicI32,
}

impl Restoring {
    /// It begins now.
    pub(super) fn begin() -> Self {
        Self {
            began_ms: Clock::now().ticks_ms,
            read: AtomicU64::new(0),
            about: AtomicU64::new(0),
            thread: AtomicI32::new(0),
        }
    }

    /// The calling thread does it.
    pub(super) fn here(&self) {
        self.thread.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
    }

    /// About so many records are to be read.
    pub(super) fn expect(&self, records: u64) {
        self.about.store(records, Ordering::Relaxed);
    }

    /// So many records are read.
    pub(super) fn count(&self, records: u64) {
        self.read.store(records, Ordering::Relaxed);
    }

    /// In words.
    pub(super) fn line(&self) -> String {
        let secs = Clock::now().ticks_ms.saturating_sub(self.began_ms) / 1000;
        status::restoring(self.records(), self.about.load(Ordering::Relaxed), secs)
    }

    fn records(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The time the thread had a processor; `None` where the system does not tell.
    fn worked_ns(&self) -> Option<u64> {
        let thread = self.thread.load(Ordering::Relaxed);
        let told = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        told.split_whitespace().next()?.parse().ok()
    }
}

/// Tells whoever waits for the start.
pub(super) struct Telling<'r> {
    readiness: &'r mut Readiness,
    pub(super) systemd: Systemd,
    pub(super) restoring: Arc<Restoring>,
    worked_ns: u64,
    logged_ms: u64,
}

impl<'r> Telling<'r> {
    pub(super) fn new(
        readiness: &'r mut Readiness,
        systemd: Systemd,
        restoring: Arc<Restoring>,
    ) -> Self {
        systemd.extend(PATIENCE);
        let logged_ms = restoring.began_ms;
        Self { readiness, systemd, restoring, worked_ns: 0, logged_ms }
    }

    /// To be called every [`TELL_EVERY`].
    pub(super) fn tell(&mut self) {
        if !self.goes_on() {
            return;
        }
        let line = self.restoring.line();
        self.systemd.goes_on(&line, PATIENCE);
        self.readiness.say(&Report::Restoring(line));
        let now_ms = Clock::now().ticks_ms;
        if now_ms >= self.logged_ms + LOG_MS {
            self.logged_ms = now_ms;
            tracing::info!(records = self.restoring.records(), "restoring what was kept");
        }
    }

    fn goes_on(&mut self) -> bool {
        let Some(worked_ns) = self.restoring.worked_ns() else { return true };
        std::mem::replace(&mut self.worked_ns, worked_ns) != worked_ns
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn who_waits_is_told_as_long_as_the_thread_works_and_no_longer() {
        let restoring = Arc::new(Restoring::begin());
        let (told, heard) = mpsc::channel();
        let mut readiness = Readiness::here(move |report| {
            if let Report::Restoring(line) = report {
                told.send(line.clone()).unwrap();
            }
        });
        let systemd = Systemd::from_environment(false);
        let mut telling = Telling::new(&mut readiness, systemd, Arc::clone(&restoring));
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        let worker = Arc::clone(&restoring);
        let thread = thread::spawn(move || {
            worker.here();
            worker.expect(2_000_000);
            for records in asked {
                worker.count(records);
                answer.send(()).unwrap();
            }
        });
        for (records, text) in [(420_000, "420 000"), (1_000_000, "1 000 000")] {
            ask.send(records).unwrap();
            answered.recv().unwrap();
            telling.tell();
            let line = heard.try_recv().unwrap();
            let begin = format!("restoring: {text} of about 2 000 000 records, ");
            assert!(line.starts_with(&begin), "{line}");
            // Once it waits, as for a disk that does not answer, nothing more is said.
            while heard.try_recv().is_ok() || restoring.worked_ns() != Some(telling.worked_ns) {
                telling.tell();
            }
            telling.tell();
            assert!(heard.try_recv().is_err());
        }
        drop(ask);
        thread.join().unwrap();
    }
}

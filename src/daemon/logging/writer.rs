//! The log's own thread: takes records from a bounded queue, renders each once, and gives it to
//! the place where the log goes and to those who watch.
//!
//! Whoever logs never waits: when the queue is full the record is lost and counted, and the count
//! is logged as soon as there is room again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::poll::poll;
use tokio::sync::broadcast;
use tracing::Level;

use super::record::Record;
use super::{LogFormat, line};

/// Records that wait for the thread.
const QUEUE: usize = 8192;

/// Pause before a full queue is looked at again.
const FULL_PAUSE_MS: u8 = 5;

/// A place where lines go.
pub(super) trait Sink: Send {
    /// Writes one event; `line` is its rendered line without line feed.
    fn write(&mut self, record: &Record, line: &str) -> io::Result<()>;
}

/// Standard error.
#[derive(Debug)]
pub(super) struct Stderr;

impl Sink for Stderr {
    fn write(&mut self, _: &Record, line: &str) -> io::Result<()> {
        io::stderr().write_all(format!("{line}\n").as_bytes())
    }
}

enum Note {
    Record(Record),
    Flush(SyncSender<()>),
}

/// The queue's entrance.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    sender: SyncSender<Note>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    /// Hands a record over, or counts it as lost.
    pub(super) fn post(&self, record: Record) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Note::Record(record)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was posted is written, at most so long.
    pub(super) fn flush(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        let mut pauses = patience.as_millis() / u128::from(FULL_PAUSE_MS);
        let mut note = Note::Flush(done);
        while let Err(TrySendError::Full(back)) = self.sender.try_send(note) {
            if pauses == 0 {
                return;
            }
            pauses -= 1;
            note = back;
            let _ = poll(&mut [], FULL_PAUSE_MS); // the thread is at it
        }
        let _: Result<(), RecvTimeoutError> = written.recv_timeout(patience);
    }
}

/// Starts the thread. `sink` is `None` when only watchers see the log.
pub(super) fn start(
    sink: Option<Box<dyn Sink>>,
    format: LogFormat,
    watchers: broadcast::Sender<Arc<str>>,
) -> io::Result<(Queue, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let writer =
        Writer { sink, format, watchers, lost: Arc::clone(&lost), unwritten: 0, why: None };
    let thread =
        Builder::new().name("mqttd-log".to_owned()).spawn(move || writer.run(&receiver))?;
    Ok((Queue { sender, lost }, thread))
}

struct Writer {
    sink: Option<Box<dyn Sink>>,
    format: LogFormat,
    watchers: broadcast::Sender<Arc<str>>,
    lost: Arc<AtomicU64>,
    /// Lines that the sink did not take since the last that it took.
    unwritten: u64,
    why: Option<String>,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Note>) {
        while let Ok(note) = receiver.recv() {
            match note {
                Note::Record(record) => {
                    self.write(&record);
                    self.tell_lost(record.unix_ms);
                }
                Note::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn write(&mut self, record: &Record) {
        let line = match self.format {
            LogFormat::Human => line::human(record),
            LogFormat::Json => line::json(record),
        };
        if let Some(sink) = &mut self.sink
            && let Err(error) = sink.write(record, &line)
        {
            self.unwritten += 1;
            self.why = Some(error.to_string());
        }
        if self.watchers.receiver_count() > 0 {
            let _ = self.watchers.send(line.into());
        }
    }

    /// Says how many lines are missing, once lines can be written again.
    fn tell_lost(&mut self, unix_ms: u64) {
        let overflowed = self.lost.swap(0, Ordering::Relaxed);
        if overflowed == 0 && self.unwritten == 0 {
            return;
        }
        let before = self.unwritten;
        let why =
            self.why.clone().unwrap_or_else(|| "more was logged than could be written".into());
        self.write(&Record {
            unix_ms,
            level: Level::WARN,
            message: "log lines are missing here".to_owned(),
            fields: vec![("lines", (overflowed + before).to_string()), ("reason", why)],
        });
        if self.unwritten == before {
            self.unwritten = 0;
            self.why = None;
        } else {
            self.unwritten = before;
            self.lost.fetch_add(overflowed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::Sender;

    use super::*;

    fn record(message: &str) -> Record {
        Record { unix_ms: 0, level: Level::INFO, message: message.to_owned(), fields: Vec::new() }
    }

    /// Takes a line only when the test lets it.
    struct Stalled {
        permits: Mutex<Receiver<bool>>,
        lines: Sender<String>,
    }

    impl Sink for Stalled {
        fn write(&mut self, record: &Record, _: &str) -> io::Result<()> {
            let permit = self.permits.lock().unwrap().recv().unwrap_or(true);
            if !permit {
                return Err(io::Error::other("disk full"));
            }
            let _ = self.lines.send(line::sentence(record));
            Ok(())
        }
    }

    fn stalled() -> (Sender<bool>, Receiver<String>, Queue) {
        let (permit, permits) = std::sync::mpsc::channel();
        let (lines, written) = std::sync::mpsc::channel();
        let sink = Stalled { permits: Mutex::new(permits), lines };
        let (watchers, _) = broadcast::channel(1);
        let (queue, _) = start(Some(Box::new(sink)), LogFormat::Human, watchers).unwrap();
        (permit, written, queue)
    }

    #[test]
    fn p61_a_stalled_place_loses_lines_and_never_stops_who_logs() {
        let (permit, written, queue) = stalled();
        for number in 0..QUEUE + 100 {
            queue.post(record(&number.to_string())); // would hang here if it waited
        }
        drop(permit);
        queue.flush(Duration::from_secs(60));
        let lines: Vec<_> = written.try_iter().collect();
        let missing = lines.iter().find(|line| line.contains("log lines are missing here"));
        assert!(missing.unwrap().contains("reason=\"more was logged"), "{missing:?}");
        assert!(lines.len() > QUEUE);
    }

    #[test]
    fn p56_a_full_disk_is_told_when_there_is_room_again() {
        let (permit, written, queue) = stalled();
        for allowed in [true, false, false, false, true, true] {
            permit.send(allowed).unwrap();
        }
        drop(permit);
        for message in ["one", "two", "three", "four"] {
            queue.post(record(message));
        }
        queue.flush(Duration::from_secs(60));
        let lines: Vec<_> = written.try_iter().collect();
        // "two" fails and so does its report; "three" fails, its report of two is written.
        assert_eq!(
            lines,
            ["one", "log lines are missing here lines=2 reason=\"disk full\"", "four"]
        );
    }

    #[test]
    fn watchers_see_lines_that_go_nowhere_else() {
        let (watchers, mut watching) = broadcast::channel(4);
        let (queue, _) = start(None, LogFormat::Human, watchers).unwrap();
        queue.post(record("hello"));
        queue.flush(Duration::from_secs(60));
        assert!(watching.try_recv().unwrap().ends_with("INFO hello"));
    }
}

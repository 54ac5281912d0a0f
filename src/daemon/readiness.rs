//! What a daemon tells the command that started it: one JSON object a line over a pipe.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use crate::admin::Problem;
use crate::cli::{Exit, Failure};

/// Longest line taken from the pipe.
const LINE_BYTES_MAX: usize = 1 << 20;

/// How it goes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// The daemon's process id; comes first.
    Pid(u32),
    /// It goes on; the command waits longer.
    Progress,
    /// What was kept is being restored, this far; the same.
    Restoring(String),
    /// All listeners and the control socket accept.
    Ready,
    /// It did not start.
    Failed(Told),
}

/// A failure on its way through the pipe.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    exit: u8,
    problem: Problem,
    details: Vec<String>,
}

impl Report {
    /// It did not start.
    pub(super) fn failed(failure: &Failure) -> Self {
        Self::Failed(Told {
            exit: failure.exit as u8,
            problem: failure.problem.clone(),
            details: failure.details.clone(),
        })
    }
}

impl From<Told> for Failure {
    fn from(told: Told) -> Self {
        let known = [Exit::Usage, Exit::Permission, Exit::Config, Exit::Data];
        let exit = known.into_iter().find(|exit| *exit as u8 == told.exit);
        Self { exit: exit.unwrap_or(Exit::Failed), problem: told.problem, details: told.details }
    }
}

/// The daemon's end.
pub(super) struct Readiness {
    ear: Ear,
}

/// Who is told.
enum Ear {
    Pipe(PipeWriter),
    Here(Box<dyn FnMut(&Report) + Send>),
    Nobody,
}

impl Readiness {
    /// Over a pipe.
    pub(super) const fn new(pipe: PipeWriter) -> Self {
        Self { ear: Ear::Pipe(pipe) }
    }

    /// To somebody in this process.
    pub(super) fn here(told: impl FnMut(&Report) + Send + 'static) -> Self {
        Self { ear: Ear::Here(Box::new(told)) }
    }

    /// To nobody: the log says it.
    pub(super) const fn unheard() -> Self {
        Self { ear: Ear::Nobody }
    }

    /// Tells it; the last word closes the pipe. That nobody listens any more changes nothing.
    pub(super) fn say(&mut self, report: &Report) {
        match &mut self.ear {
            Ear::Pipe(pipe) => {
                if let Ok(mut line) = serde_json::to_vec(report) {
                    line.push(b'\n');
                    let _ = pipe.write_all(&line);
                }
            }
            Ear::Here(told) => told(report),
            Ear::Nobody => {}
        }
        if matches!(report, Report::Ready | Report::Failed(_)) {
            self.ear = Ear::Nobody;
        }
    }
}

/// The command's end.
#[derive(Debug)]
pub(super) struct Reports {
    pipe: PipeReader,
    read: Vec<u8>,
}

impl Reports {
    /// Over a pipe.
    pub(super) fn new(pipe: PipeReader) -> Self {
        let read = Vec::new();
        Self { pipe, read }
    }

    /// The next report; `None` when the daemon has closed its end.
    ///
    /// # Errors
    /// `TimedOut`: nothing for `wait`. `InvalidData`: not a report.
    pub(super) fn next(&mut self, wait: Duration) -> io::Result<Option<Report>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.read.len() > LINE_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => {}
                Err(nix::Error::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            let mut piece = [0; 4096];
            match self.pipe.read(&mut piece)? {
                0 => return Ok(None),
                count => self.read.extend_from_slice(&piece[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_arrives_as_it_was() {
        let (reader, writer) = io::pipe().unwrap();
        let mut readiness = Readiness::new(writer);
        let failure = Failure::new(Exit::Config, "config_invalid", "a\nb")
            .hint("do this")
            .details(vec!["more".to_owned()]);
        readiness.say(&Report::Pid(7));
        readiness.say(&Report::failed(&failure));
        let mut reports = Reports::new(reader);
        let wait = Duration::from_secs(60);
        assert!(matches!(reports.next(wait).unwrap(), Some(Report::Pid(7))));
        let Some(Report::Failed(told)) = reports.next(wait).unwrap() else {
            panic!("a failure was told");
        };
        assert_eq!(Failure::from(told), failure);
        assert!(reports.next(wait).unwrap().is_none(), "the last word closes the pipe");
    }

    #[test]
    fn silence_is_noticed() {
        let (reader, _writer) = io::pipe().unwrap();
        let error = Reports::new(reader).next(Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}

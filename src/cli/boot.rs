//! What the command needs from the process that holds a broker: the only way from here to a boot.
//!
//! `daemon` implements [`Boot`], `main.rs` hands it to [`super::run`]. Nothing here boots, forks,
//! reads a configuration or a store, or opens a port.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admin::Problem;
use crate::admin::exchange::{Entry, Totals};
use crate::control::Place;

/// Boots brokers and looks at what a boot would need.
///
/// Every method takes absolute paths only and prints nothing; what is to be told comes back.
pub trait Boot {
    /// Runs the broker in this process until a signal or a `stop` over the control socket ends it.
    /// Blocks. Logs go where the configuration says (stderr by default).
    ///
    /// # Errors
    /// Why it did not start, or what made it stop other than a request.
    fn foreground(&self, place: &Place, options: &BootOptions) -> Result<(), Failure>;

    /// Boots the broker in this process, on threads of its own, and returns when every listener
    /// and the control socket accept. Nothing is written to the terminal afterwards: the console
    /// talks to it through the control socket and shows the log from there. `meanwhile` is told
    /// what takes long.
    ///
    /// # Errors
    /// Why it did not start; nothing is left running.
    fn console(
        &self,
        place: &Place,
        options: &BootOptions,
        meanwhile: &mut dyn FnMut(&str),
    ) -> Result<Box<dyn Running>, Failure>;

    /// Starts a broker in the background and returns when every listener and the control socket
    /// accept. Called before this process has a second thread. The new process keeps none of the
    /// caller's descriptors, has a session of its own and `/` as its directory.
    ///
    /// `wait` is extended while the child reports progress, which `meanwhile` is told; when it is
    /// over, the child is stopped.
    ///
    /// # Errors
    /// The child's own reason; nothing is left running.
    fn spawn(
        &self,
        place: &Place,
        options: &BootOptions,
        wait: Duration,
        meanwhile: &mut dyn FnMut(&str),
    ) -> Result<Spawned, Failure>;

    /// Reads the configuration of `place` and checks it: syntax, keys, values, files it names.
    ///
    /// # Errors
    /// With [`Exit::Config`]; the first error is the problem, the others are in `details`.
    fn check_config(&self, place: &Place) -> Result<Checked, Failure>;

    /// Why a start would fail now, as seen with this caller's rights: a configuration error, a
    /// port in use with the program and pid that hold it, a directory not accessible. `None` when
    /// nothing speaks against it. Used to explain a failure that another process (systemd) met.
    fn diagnose(&self, place: &Place) -> Option<Failure>;

    /// The time, in milliseconds since 1970.
    fn unix_ms(&self) -> u64;

    /// Reads what is kept and hands out what is selected as the lines of an export, the first and
    /// the last included. The copy or the store is left as it is.
    ///
    /// # Errors
    /// It cannot be read, or `take` could not go on.
    fn read_kept(
        &self,
        kept: &Kept<'_>,
        selection: &Selection,
        take: &mut dyn FnMut(Entry) -> io::Result<()>,
    ) -> Result<(), TakeError>;

    /// Puts a copy in the place of the store of an instance that does not run; the store that was
    /// there is kept beside it. `progress` is told how many bytes are copied.
    ///
    /// # Errors
    /// The instance runs, or the copy is not sound or cannot be written; then nothing has changed.
    fn restore(
        &self,
        place: &Place,
        file: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Restored, Failure>;

    /// Reads all of the store of an instance that does not run. `progress` is told how many records
    /// were read.
    ///
    /// # Errors
    /// It runs, or the store is damaged or cannot be read.
    fn check_store(&self, place: &Place, progress: &mut dyn FnMut(u64)) -> Result<Sound, Failure>;

    /// Makes a sound store of a damaged one of an instance that does not run; the damaged one is
    /// kept beside it. `progress` is told how many records were read.
    ///
    /// # Errors
    /// It runs, or the store cannot be read or written at all.
    fn repair_store(
        &self,
        place: &Place,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Repaired, Failure>;
}

/// Where something is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept<'p> {
    /// In a file that is a copy of a store.
    Copy(PathBuf),
    /// The same, and the file loses its name as soon as it is open.
    Passing(PathBuf),
    /// In the store of an instance that does not run.
    Store(&'p Place),
}

/// What of it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Retained messages.
    pub retained: bool,
    /// Sessions with their subscriptions.
    pub sessions: bool,
    /// Messages that wait for sessions.
    pub queues: bool,
    /// Sessions of this client, and messages for it, only.
    pub client_id: Option<String>,
}

/// Why reading what is kept ended.
#[derive(Debug)]
pub enum TakeError {
    /// It could not be read.
    Kept(Failure),
    /// Who took it could not go on.
    Taker(io::Error),
}

/// What [`Boot::restore`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What is in the store now.
    pub totals: Totals,
    /// The store that was there before, if there was one.
    pub aside: Option<PathBuf>,
}

/// A store without damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub totals: Totals,
    /// Bytes of a commit that nobody was told of and that a start will cut off.
    pub torn_bytes: u64,
}

/// What [`Boot::repair_store`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Where the store is.
    pub path: PathBuf,
    /// What is in it now.
    pub totals: Totals,
    /// What is lost, one line each.
    pub lost: Vec<String>,
    /// The store as it was, if it had to be changed.
    pub aside: Option<PathBuf>,
}

/// A broker that runs in this process.
pub trait Running: Send {
    /// Process id shown to the operator; this process.
    fn pid(&self) -> u32;

    /// Stops it in order and returns when it is gone. Blocks.
    ///
    /// # Errors
    /// What could not be ended in order.
    fn stop(self: Box<Self>) -> Result<(), Failure>;
}

/// What the command line adds to the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootOptions {
    /// `--user NAME`: the user to run as instead of the configured one; `root` allows staying root.
    pub user: Option<String>,
}

/// What [`Boot::spawn`] found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spawned {
    /// A new daemon accepts connections.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// Another process holds the lock of this instance; it may still be starting.
    AlreadyRunning {
        /// Its process id, if known.
        pid: Option<u32>,
    },
}

/// A configuration without errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The files read, in order of precedence (the last wins).
    pub files: Vec<String>,
    /// What is valid and still looks wrong, one line each.
    pub warnings: Vec<String>,
    /// The effective configuration as TOML, defaults included, secrets replaced by `***`.
    pub dump: String,
}

/// An error that ends the command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Failure {
    /// Exit code of the process.
    pub exit: Exit,
    /// What happened and the way out.
    pub problem: Problem,
    /// More lines for the operator: further configuration errors, the daemon's last log lines.
    pub details: Vec<String>,
}

/// Exit codes of `mqttd` (mqttd(8), "Exit status"; the numbers are those of LSB init scripts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or already so.
    Done = 0,
    /// Failed. From `status` and `ping`: dead, but its pid file is left.
    Failed = 1,
    /// Wrong use of the command line.
    Usage = 2,
    /// From `status` and `ping`: not running.
    Stopped = 3,
    /// Not permitted. From `status` and `ping`: unknown.
    Permission = 4,
    /// The configuration is invalid or missing.
    Config = 6,
    /// Not running, and the verb needs a running daemon.
    NotRunning = 7,
    /// The store cannot be used, and trying again does not mend that (sysexits.h, `EX_DATAERR`, as
    /// 8 to 149 are not a program's own with LSB).
    Data = 65,
}

impl Exit {
    /// The exit code of a process of this command; `None` when a signal ended it.
    #[must_use]
    pub fn from_code(code: Option<i32>) -> Self {
        let all = [
            Self::Done,
            Self::Failed,
            Self::Usage,
            Self::Stopped,
            Self::Permission,
            Self::Config,
            Self::NotRunning,
            Self::Data,
        ];
        let known = all.into_iter().find(|&exit| Some(exit as i32) == code);
        known.unwrap_or(Self::Failed)
    }
}

impl Failure {
    /// A failure without hint or details.
    #[must_use]
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            problem: Problem { code: code.to_owned(), message: message.into(), hint: None },
            details: Vec::new(),
        }
    }

    /// The same with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    /// The same with more lines.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

//! The instance a verb is about: where it is, whether it lives, who it is.
//!
//! The control socket is the truth; pid file and lock only tell a dead instance from none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Map, Value};

use super::args::Globals;
use super::boot::{Exit, Failure};
use super::report::{Seen, State};
use crate::admin::{About, Problem};
use crate::control::{CallError, Client, ConnectError, Dialled, Place};

/// How long the daemon may take to say hello when nobody asked for more patience.
pub(super) const ANSWER_SECS: u64 = 5;

/// Pause between two looks,
const LOOK_MS: u64 = 20;
/// and at an instance that says that its start takes long, which is not to be held up by them.
const EARLY_MS: u64 = 100;

/// What a look at an instance found.
pub(super) enum Instance {
    /// It answers.
    Running(Box<Alive>),
    /// It took the connection, or has it waiting, and says nothing.
    Hung(Option<Dialled>),
    /// It answers that it is starting; or it exists and has no control socket, as at the very
    /// beginning and the end.
    Starting(Option<Box<Early>>),
    /// It died and left its files.
    Dead,
    /// There is none.
    Stopped,
    /// Kept out by file modes or by the daemon.
    Forbidden(Problem),
    /// The daemon speaks another protocol, or the socket is none.
    Strange(Problem),
}

/// An instance that answers.
pub(super) struct Alive {
    pub(super) client: Client,
    pub(super) about: About,
}

/// An instance that answers, and is not up yet.
pub(super) struct Early {
    pub(super) client: Client,
    /// What it says instead of an answer.
    problem: Problem,
}

/// The places the options name; relative paths count from the current directory.
pub(super) fn place(globals: &Globals) -> Result<Place, Failure> {
    let mut place = match &globals.home {
        Some(home) => {
            let home = absolute(home)?;
            Place::under(&home.canonicalize().unwrap_or(home))
        }
        None => Place::system(),
    };
    if let Some(config) = &globals.config {
        place.config_file = absolute(config)?;
        place.config_optional = false;
    }
    Ok(place)
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if path.as_os_str().is_empty() {
        return Err(Failure::new(Exit::Usage, "usage", "an empty path"));
    }
    std::path::absolute(path).map_err(|error| {
        let message = format!("where is {}? {error}", path.display());
        Failure::new(Exit::Failed, "no_directory", message)
    })
}

/// Looks at the instance, waiting `limit` for each of its answers.
pub(super) fn look(place: &Place, limit: Duration) -> Instance {
    let dialled = match Dialled::dial(&place.socket(), limit) {
        Ok(dialled) => dialled,
        Err(error) => return unreached(place, error),
    };
    let mut client = match dialled.greet() {
        Ok(client) => client,
        Err(ConnectError::NoAnswer) => return hung(place, limit),
        Err(error) => return unreached(place, error),
    };
    match client.call("about", Map::new()) {
        Ok(about) => match serde_json::from_value(about) {
            Ok(about) => Instance::Running(Box::new(Alive { client, about })),
            Err(error) => Instance::Strange(Problem::new(
                "protocol",
                format!("the daemon's answer is not understood: {error}"),
            )),
        },
        Err(CallError::Problem(problem)) if problem.code == "permission_denied" => {
            Instance::Forbidden(problem)
        }
        Err(CallError::Problem(problem)) if problem.code == "starting" => {
            Instance::Starting(Some(Box::new(Early { client, problem })))
        }
        Err(CallError::Problem(problem)) => Instance::Strange(problem),
        Err(CallError::Lost) => leftovers(place),
        Err(CallError::NoAnswer) => hung(place, limit),
    }
}

/// It was there and says no more, from the first word on or from a later one: who it is, its socket
/// tells.
fn hung(place: &Place, limit: Duration) -> Instance {
    Instance::Hung(Dialled::dial(&place.socket(), limit).ok())
}

fn unreached(place: &Place, error: ConnectError) -> Instance {
    let socket = place.socket();
    let socket = socket.display();
    match error {
        ConnectError::Absent | ConnectError::Dead => leftovers(place),
        ConnectError::Permission => Instance::Forbidden(
            Problem::new("permission_denied", format!("not permitted to use {socket}"))
                .hint(forbidden_hint(place)),
        ),
        ConnectError::Refused(problem) => Instance::Forbidden(problem),
        ConnectError::NoAnswer => Instance::Hung(None),
        ConnectError::Protocol { .. } => Instance::Strange(
            Problem::new("protocol", error.to_string())
                .hint("after an upgrade: `sudo mqttd restart` lets both have one version"),
        ),
        ConnectError::System(error) => {
            Instance::Strange(Problem::new("control_socket", format!("{socket}: {error}")))
        }
    }
}

fn forbidden_hint(place: &Place) -> String {
    if place.home.is_some() {
        "use the account that runs this instance, or sudo".to_owned()
    } else {
        "use sudo, or join the operators: sudo adduser $USER mqttd (and log in again)".to_owned()
    }
}

/// Nobody answers: is an instance starting, did one die, or is there none?
fn leftovers(place: &Place) -> Instance {
    if is_locked(&place.lock()) {
        return Instance::Starting(None);
    }
    let left = |path: &Path| path.symlink_metadata().is_ok();
    if left(&place.socket()) || left(&place.pid_file()) {
        Instance::Dead
    } else if let Err(error) = place.run_dir.symlink_metadata()
        && error.kind() == std::io::ErrorKind::PermissionDenied
    {
        let message = format!("not permitted to look into {}", place.run_dir.display());
        Instance::Forbidden(Problem::new("permission_denied", message).hint(forbidden_hint(place)))
    } else {
        Instance::Stopped
    }
}

/// Whether somebody holds the lock. The kernel tells only by lending it for a moment; a start
/// that stumbles over that looks again.
fn is_locked(lock: &Path) -> bool {
    let Ok(file) = std::fs::File::open(lock) else {
        return false;
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(lent) => {
            drop(lent);
            false
        }
        Err((_, errno)) => errno == nix::errno::Errno::EWOULDBLOCK,
    }
}

impl Instance {
    /// When to look again.
    pub(super) const fn pause(&self) -> Duration {
        Duration::from_millis(if matches!(self, Self::Starting(Some(_))) {
            EARLY_MS
        } else {
            LOOK_MS
        })
    }

    /// What `--json` says about it.
    pub(super) fn seen(&self) -> Seen {
        let state = match self {
            Self::Running(alive) => return alive.seen(),
            Self::Hung(dialled) => {
                return Seen {
                    state: State::Hung,
                    pid: dialled.as_ref().and_then(Dialled::pid),
                    ..Seen::default()
                };
            }
            Self::Starting(Some(early)) => return early.seen(),
            Self::Starting(None) => State::Starting,
            Self::Dead => State::Dead,
            Self::Stopped => State::Stopped,
            Self::Forbidden(_) | Self::Strange(_) => State::Unknown,
        };
        Seen { state, ..Seen::default() }
    }

    /// The instance that answers, for verbs that need one.
    pub(super) fn alive(self) -> Result<Box<Alive>, Failure> {
        match self {
            Self::Running(alive) => Ok(alive),
            Self::Dead | Self::Stopped => {
                Err(Failure::new(Exit::NotRunning, "not_running", "the broker is not running"))
            }
            Self::Starting(Some(early)) => {
                Err(Failure { exit: Exit::NotRunning, problem: early.problem, details: Vec::new() })
            }
            Self::Starting(None) => Err(Failure::new(
                Exit::NotRunning,
                "starting",
                "the broker does not answer yet: it is starting or ending",
            )),
            Self::Hung(_) => Err(no_answer()),
            Self::Forbidden(problem) => {
                Err(Failure { exit: Exit::Permission, problem, details: Vec::new() })
            }
            Self::Strange(problem) => {
                Err(Failure { exit: Exit::Failed, problem, details: Vec::new() })
            }
        }
    }

    /// As `status` and `ping` see it: their failure with the LSB's codes.
    pub(super) fn for_status(self) -> Result<Box<Alive>, Failure> {
        match self {
            Self::Dead => Err(Failure::new(
                Exit::Failed,
                "dead",
                "the broker is not running: it died and left its pid file",
            )
            .hint("mqttd start cleans up")),
            Self::Stopped => {
                Err(Failure::new(Exit::Stopped, "not_running", "the broker is not running"))
            }
            Self::Running(_)
            | Self::Hung(_)
            | Self::Starting(_)
            | Self::Forbidden(_)
            | Self::Strange(_) => {
                self.alive().map_err(|failure| Failure { exit: Exit::Permission, ..failure })
            }
        }
    }
}

impl Early {
    /// What `--json` says about it.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            state: State::Starting,
            pid: self.client.pid(),
            managed_by: None,
            version: Some(self.client.version().to_owned()),
        }
    }

    /// How far it is.
    pub(super) fn says(&self) -> &str {
        &self.problem.message
    }
}

impl Alive {
    /// What `--json` says about it.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            state: State::Running,
            pid: self.client.pid().or(Some(self.about.pid)),
            managed_by: Some(self.about.managed_by.clone()),
            version: Some(self.about.version.clone()),
        }
    }

    /// Asks it.
    pub(super) fn call(&mut self, call: &str, args: Map<String, Value>) -> Result<Value, Failure> {
        self.client.call(call, args).map_err(from_call)
    }

    /// How an operator would say who runs it.
    pub(super) fn by(&self) -> String {
        run_by(&self.about.managed_by)
    }
}

/// `managed_by` in the words of an operator.
pub(super) fn run_by(managed_by: &str) -> String {
    match managed_by {
        "daemon" => "started by hand".to_owned(),
        "foreground" => "in the foreground".to_owned(),
        "console" => "in a console".to_owned(),
        "container" => "the container's first process".to_owned(),
        other => match other.strip_prefix("systemd:") {
            Some(unit) => format!("managed by systemd ({unit})"),
            None => other.to_owned(),
        },
    }
}

/// A call without result as the end of the command.
pub(super) fn from_call(error: CallError) -> Failure {
    match error {
        CallError::Problem(problem) => {
            Failure { exit: exit_of(&problem.code), problem, details: Vec::new() }
        }
        CallError::Lost => Failure::new(Exit::Failed, "lost", error.to_string()),
        CallError::NoAnswer => no_answer(),
    }
}

fn no_answer() -> Failure {
    Failure::new(Exit::Failed, "no_answer", "the broker is there and does not answer")
        .hint("try a longer --timeout; mqttd stop ends it if it hangs")
}

/// The exit code that goes with the code of a problem.
fn exit_of(code: &str) -> Exit {
    match code {
        "permission_denied" => Exit::Permission,
        "unknown_argument" | "missing_argument" | "bad_argument" => Exit::Usage,
        _ if code.starts_with("config") => Exit::Config,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A daemon that says so much to whoever comes, and then nothing more.
    fn silent_after(said: &'static str) -> (tempfile::TempDir, Place) {
        let home = tempfile::tempdir().unwrap();
        let place = Place::under(home.path());
        std::fs::create_dir(&place.run_dir).unwrap();
        let listener = UnixListener::bind(place.socket()).unwrap();
        std::thread::spawn(move || {
            let mut heard = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.write_all(said.as_bytes());
                heard.push(stream);
            }
        });
        (home, place)
    }

    #[test]
    fn p48_who_hangs_after_any_word_is_known_by_its_socket() {
        for said in ["", "{\"mqttd\":\"1.0.0\",\"protocol\":1}\n"] {
            let (_home, place) = silent_after(said);
            let found = look(&place, Duration::from_millis(200)).seen();
            assert_eq!((found.state, found.pid), (State::Hung, Some(std::process::id())), "{said}");
        }
    }

    #[test]
    fn who_is_starting_says_how_far_it_is() {
        let said = "{\"mqttd\":\"1.0.0\",\"protocol\":1}\n{\"id\":1,\"ok\":false,\"error\":\
                    {\"code\":\"starting\",\"message\":\"the broker is starting, so far\",\
                    \"hint\":null}}\n";
        let (_home, place) = silent_after(said);
        let found = look(&place, Duration::from_secs(10));
        let seen = found.seen();
        assert_eq!((seen.state, seen.pid), (State::Starting, Some(std::process::id())));
        let failure = found.for_status().err().unwrap();
        assert_eq!((failure.exit, &*failure.problem.code), (Exit::Permission, "starting"));
        assert_eq!(failure.problem.message, "the broker is starting, so far");
    }
}

//! The broker under test: the real program in a directory of its own, started and killed.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use mqttd::server::clock::Clock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::PidfdFlags;
use serde_json::Value;

use crate::chance::Chance;

/// How long a start may take, also of a debug build on a busy machine.
const START_MS: u64 = 120_000;

/// What becomes of the environment of the broker.
pub(crate) type Surroundings = Vec<(String, String)>;

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) home: PathBuf,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    child: Option<Child>,
    pid: Option<u32>,
    pub(crate) surroundings: Surroundings,
    /// Run the program by these words, such as `strace`.
    pub(crate) before: Vec<String>,
}

pub(crate) fn ticks_ms() -> u64 {
    Clock::now().ticks_ms
}

/// Waits some time, which nothing shortens.
pub(crate) fn wait_ms(ms: u64) {
    let timeout = u16::try_from(ms).unwrap_or(u16::MAX);
    let _ = poll(&mut [], timeout);
}

/// The program: what cargo built, or another one that was named.
fn program() -> PathBuf {
    let named = std::env::var_os("MQTTD_CRASH_PROGRAM");
    named.map_or_else(|| env!("CARGO_BIN_EXE_mqttd").into(), PathBuf::from)
}

impl Broker {
    /// In `home`, which exists, with more lines for its configuration.
    pub(crate) fn new(home: &Path, more: &str, chance: &mut Chance) -> Self {
        // An address of its own keeps its port while it is down.
        let host = Ipv4Addr::new(127, chance.byte(), chance.byte(), chance.byte().max(2));
        let address = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap();
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
        let config = format!(
            "[listener.tcp]\naddress = [\"{address}\"]\n[session]\nqueue_messages_max = 1000000\n\
             queue_bytes_max = \"4GiB\"\n{more}"
        );
        fs::write(home.join("mqttd.toml"), config).unwrap();
        let (program, surroundings) = (program(), Vec::new());
        let home = home.to_owned();
        Self { home, address, program, child: None, pid: None, surroundings, before: Vec::new() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = if let Some((first, rest)) = self.before.split_first() {
            let mut command = Command::new(first);
            command.args(rest).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.args(words).arg("--home").arg(&self.home).stdin(Stdio::null());
        if matches!(words[0], "foreground" | "start") {
            if nix::unistd::geteuid().is_root() {
                command.args(["--user", "root"]);
            }
            command.envs(self.surroundings.iter().cloned());
        }
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
        command
    }

    /// Runs a verb: its exit code and output.
    pub(crate) fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--home").arg(&self.home).stdin(Stdio::null());
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    }

    pub(crate) fn json(&self, verb: &str) -> Value {
        let mut words: Vec<&str> = verb.split(' ').collect();
        words.push("--json");
        let (code, out) = self.run(&words);
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{verb}: {code:?}: {out}"))
    }

    /// Starts it in the foreground, and does not wait.
    pub(crate) fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.home.join("stderr"));
        let log = log.unwrap();
        let mut command = self.command(&["foreground"]);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.pid = Some(child.id());
        self.child = Some(child);
    }

    /// Starts it as a daemon: `mqttd start`.
    pub(crate) fn detach(&mut self) {
        let done = self.command(&["start"]).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{done:?}\n{}", self.log());
        self.pid = self.json("status")["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    }

    /// Waits until clients can connect.
    pub(crate) fn ready(&mut self) {
        let until_ms = ticks_ms() + START_MS;
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.ended() {
                panic!("the broker ended at its start: {status}\n{}", self.log());
            }
            assert!(ticks_ms() < until_ms, "the broker does not start\n{}", self.log());
            wait_ms(2);
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// `kill -9` of what runs behind `before`, which ends by itself when it has said all it saw.
    pub(crate) fn kill_traced(&mut self) {
        let pid = self.json("status")["pid"].as_i64().unwrap();
        kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        self.pid = None;
        self.child.take().unwrap().wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Sends it a signal, and waits until all of its threads are gone.
    fn end(&mut self, signal: Signal) {
        let Some(pid) = self.pid.take() else { return };
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        let process = rustix::process::Pid::from_raw(pid.as_raw()).unwrap();
        let fd = rustix::process::pidfd_open(process, PidfdFlags::empty());
        if kill(pid, signal).is_ok() {
            let mut fds = [PollFd::new(fd.as_ref().unwrap().as_fd(), PollFlags::POLLIN)];
            let ended = poll(&mut fds, PollTimeout::from(60_000u16)).unwrap();
            assert_eq!(ended, 1, "the broker does not end\n{}", self.log());
        }
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// How it has ended by itself, if it was started in the foreground.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().unwrap())
    }

    pub(crate) fn runs(&self) -> bool {
        self.pid.is_some()
    }

    /// What it has said lately.
    pub(crate) fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.home.join(name)).unwrap_or_default();
        let all = read("stderr") + &read("log/mqttd.log");
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Waits until its log has these words: a thread of its own writes it.
    pub(crate) fn says(&self, words: &str) {
        let until_ms = ticks_ms() + 60_000;
        while !self.whole_log().contains(words) {
            assert!(ticks_ms() < until_ms, "it does not say {words:?}\n{}", self.log());
            wait_ms(10);
        }
    }

    /// All that it has said.
    pub(crate) fn whole_log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.home.join(name)).unwrap_or_default();
        read("stderr") + &read("log/mqttd.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.runs() {
            self.kill();
        }
    }
}

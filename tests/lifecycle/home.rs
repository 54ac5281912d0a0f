//! An instance in a directory of its own, and the command to work with it.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use mqttd::server::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;

/// What is waited for at most: how slow the machine is says nothing about the broker.
pub(crate) const PATIENCE_MS: u64 = 90_000;

/// The directory of an instance; its daemon ends with it.
pub(crate) struct Home {
    dir: TempDir,
    pub(crate) path: PathBuf,
    user: &'static str,
    /// Who runs the commands, if not the test's user.
    uid: Option<u32>,
    program: PathBuf,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// On a port that the kernel chooses.
    pub(crate) fn new() -> Self {
        Self::with("[listener.tcp]\naddress = [\"127.0.0.1:0\"]\n")
    }

    /// With a configuration.
    pub(crate) fn with(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("my broker");
        fs::create_dir(&path).unwrap();
        let program = env!("CARGO_BIN_EXE_mqttd").into();
        let home = Self { dir, path, user: "root", uid: None, program };
        home.configure(config);
        home
    }

    /// The same, run as another user when the test is root.
    pub(crate) fn run_by(mut self, user: &'static str) -> Self {
        self.user = user;
        self
    }

    /// Commands are run by this user from now on, to whom the directory belongs.
    pub(crate) fn belong_to(&mut self, uid: u32) {
        // Where the program was built, this user may have no way.
        let program = self.dir.path().join("mqttd");
        // By another process: a test beside this one that starts a program at this moment would have
        // the copy open for writing for a moment, and then it cannot be run.
        let copied = Command::new("cp").arg(&self.program).arg(&program).status().unwrap();
        assert!(copied.success());
        for path in [&self.path, &program, &self.path.join("mqttd.toml")] {
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        }
        self.program = program;
        self.uid = Some(uid);
    }

    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.path.join("mqttd.toml"), config).unwrap();
    }

    /// `mqttd VERB… --home HOME`; for verbs that boot, as root with `--user`.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(line.split(' ')).arg("--home").arg(&self.path);
        let boots = ["start", "restart", "foreground", "console"];
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid).current_dir("/");
        } else if is_root() && boots.iter().any(|verb| line.starts_with(verb)) {
            command.args(["--user", self.user]);
        }
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Done {
        Done::of(self.command(line).output().unwrap())
    }

    /// The reply of a verb with `--json`.
    pub(crate) fn json(&self, line: &str) -> Value {
        let done = self.run(&format!("{line} --json"));
        serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("no JSON: {done:?}"))
    }

    /// Starts a daemon; its pid.
    pub(crate) fn start(&self) -> u32 {
        let done = self.run("start");
        assert_eq!(done.code, Some(0), "{done:?}\n{}", self.log());
        self.pid()
    }

    /// The pid the daemon itself tells.
    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.json("status")["pid"].as_u64().unwrap()).unwrap()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let listeners = self.json("listeners list");
        let address = listeners["result"][0]["address"].as_str();
        address.unwrap_or_else(|| panic!("no address: {listeners}")).parse().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).unwrap()
    }

    /// The log, once it has these words: a thread of its own writes it.
    pub(crate) fn logged(&self, words: &str) -> String {
        let until_ms = Clock::now().ticks_ms + PATIENCE_MS;
        loop {
            let log = self.log();
            if log.contains(words) {
                return log;
            }
            assert!(Clock::now().ticks_ms < until_ms, "{words:?} is not in the log: {log}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path.join("log/mqttd.log")).unwrap_or_default()
    }

    /// The run directory's file.
    pub(crate) fn run_file(&self, name: &str) -> PathBuf {
        self.path.join("run").join(name)
    }

    /// Processes whose command line names this directory.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let path = self.path.to_str().unwrap();
        let pids = fs::read_dir("/proc").unwrap();
        pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(path)
            })
            .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.run_file("mqttd.sock").exists() {
            self.run("stop --timeout 20");
        }
    }
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The end of a child whose output is piped.
    pub(crate) fn wait(mut child: Child) -> Self {
        let text = |stream: Option<&mut dyn Read>| {
            let mut text = String::new();
            stream.map(|stream| stream.read_to_string(&mut text).unwrap());
            text
        };
        let out = text(child.stdout.as_mut().map(|s| s as &mut dyn Read));
        let err = text(child.stderr.as_mut().map(|s| s as &mut dyn Read));
        Self { code: child.wait().unwrap().code(), out, err }
    }
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A line of `/proc/PID/status`.
pub(crate) fn status_line(pid: u32, name: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

/// Sends a signal to a process of this test.
pub(crate) fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

/// What the descriptors of a process lead to.
pub(crate) fn descriptors(pid: u32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let link = |path: &Path| fs::read_link(path).map(|to| to.display().to_string()).ok();
    files.filter_map(|file| link(&file.ok()?.path())).collect()
}

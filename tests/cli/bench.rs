//! Running the command and looking at what it said.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The binary under test.
pub(crate) const MQTTD: &str = env!("CARGO_BIN_EXE_mqttd");

/// A directory for one instance; whatever runs there is stopped when it is dropped.
pub(crate) struct Home {
    dir: tempfile::TempDir,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// A home without a configuration.
    pub(crate) fn bare() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A home whose broker listens on a free port of the loopback.
    pub(crate) fn new() -> Self {
        let home = Self::bare();
        home.configure("");
        home
    }

    /// Writes the configuration: a listener on a free port, and `more`.
    pub(crate) fn configure(&self, more: &str) {
        let tcp = "[listener.tcp]\naddress = [\"127.0.0.1:0\"]\n";
        std::fs::write(self.path().join("mqttd.toml"), format!("{tcp}{more}\n")).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("run/mqttd.sock")
    }

    /// The command, about this instance.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(MQTTD);
        command.env("MQTTD_NO_SYSTEMD", "1").env("HOME", self.path()).env_remove("XDG_STATE_HOME");
        command.stdin(Stdio::null()).arg("--home").arg(self.path()).args(words.split_whitespace());
        if nix::unistd::geteuid().is_root() && boots(words) {
            command.args(["--user", "root"]); // the directory is root's
        }
        command
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        Ran::of(self.command(words).output().unwrap())
    }

    /// Runs with `--json`.
    pub(crate) fn json(&self, words: &str) -> (Option<i32>, Value) {
        let ran = Ran::of(self.command(words).arg("--json").output().unwrap());
        (ran.code, ran.object())
    }

    /// Runs with something on stdin.
    pub(crate) fn feed(&self, words: &str, input: &str) -> Ran {
        let mut child = self.piped(words);
        // A command that leaves before it has read all is fine.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Runs beside the test.
    pub(crate) fn piped(&self, words: &str) -> Child {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Starts the broker.
    pub(crate) fn start(&self) {
        self.run("start").ok();
    }

    /// Process id of the running broker.
    pub(crate) fn pid(&self) -> u32 {
        let (_, object) = self.json("ping");
        u32::try_from(object["pid"].as_u64().unwrap()).unwrap()
    }
}

fn boots(words: &str) -> bool {
    let verb = words.split_whitespace().find(|word| !word.starts_with('-'));
    matches!(verb, Some("start" | "restart" | "console" | "foreground"))
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.command("stop --timeout 5").output();
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// It ended with this code, and nobody panicked.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        let mut lines = self.out.lines();
        let object = serde_json::from_str(lines.next().unwrap_or_default());
        let object: Value = object.unwrap_or_else(|error| {
            panic!("no object ({error}): {:?}, stderr {:?}", self.out, self.err)
        });
        assert_eq!(lines.next(), None, "one object and nothing else");
        schema(&object);
        object
    }
}

/// The schema every verb's object obeys.
#[track_caller]
pub(crate) fn schema(object: &Value) {
    let map = object.as_object().expect("an object");
    for key in ["ok", "action", "changed", "state", "pid", "managed_by", "version", "error"] {
        assert!(map.contains_key(key), "no {key}: {object}");
    }
    assert!(object["ok"].is_boolean() && object["changed"].is_boolean(), "{object}");
    assert!(object["action"].is_string() && object["version"].is_string(), "{object}");
    let states = ["running", "starting", "hung", "dead", "stopped", "unknown"];
    assert!(states.contains(&object["state"].as_str().unwrap()), "{object}");
    assert!(object["pid"].is_null() || object["pid"].is_u64(), "{object}");
    if object["ok"] == true {
        assert!(object["error"].is_null(), "{object}");
    } else {
        assert!(object["error"]["code"].is_string(), "{object}");
        assert!(object["error"]["message"].is_string(), "{object}");
    }
}

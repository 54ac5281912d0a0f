//! The console as a script; at a terminal it is the same lines with a prompt.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::bench::{Home, MQTTD};
use crate::double::double;

#[test]
fn p60_a_script_stops_at_the_first_failing_line_with_its_code() {
    let double = double();
    let ran = double.home.feed("console", "# a comment\n\nping\nmqttd ping\nreload\nping\n");
    let ran = ran.exits(6);
    assert_eq!(ran.out, "pong\npong\n");
    assert!(ran.err.contains("no such key"), "{}", ran.err);
    double.home.feed("console", "nosuch\nping\n").exits(2);
    double.home.feed("console", "clients show 'x\n").exits(2);
    double.home.feed("console", "pub -t a\nping\n").exits(2);
    let ran = double.home.feed("console", "ping\nexit\nnosuch\n").ok();
    assert_eq!(ran.out, "pong\n");
    double.home.run("ping").ok();
}

#[test]
fn help_is_there_and_other_instances_are_not() {
    let double = double();
    let ran = double.home.feed("console", "help\nhelp clients kick\n").ok();
    assert!(ran.out.contains("subscriptions") && ran.out.contains("CLIENT_ID"), "{}", ran.out);
    assert!(!ran.out.contains("  start "), "{}", ran.out);
    double.home.feed("console", "ping --home /tmp\n").exits(2);
}

#[test]
fn p60_a_console_boots_a_broker_and_ends_it() {
    let home = Home::new();
    let ran = home.feed("console", "ping\nclients\n").ok();
    assert_eq!(ran.out, "pong\nno clients\n");
    assert!(ran.err.contains("booted by this console"), "{}", ran.err);
    home.run("status").exits(3);
}

#[test]
fn p60_leaving_an_attached_console_stops_nothing() {
    let home = Home::new();
    home.start();
    let pid = home.pid();
    home.feed("console", "status\n").ok();
    assert_eq!(home.pid(), pid);
}

/// A console on a terminal of its own, made by script(1).
pub(crate) struct Terminal {
    child: std::process::Child,
    /// What was read and not waited for.
    shown: String,
}

impl Terminal {
    /// Opens it and waits for the prompt; `None` where there is no script(1).
    pub(crate) fn open(home: &Home) -> Option<Self> {
        let line = format!("exec '{MQTTD}' --home '{}' console", home.path().display());
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("HOME", home.path()).env("TERM", "xterm");
        command.env("MQTTD_NO_SYSTEMD", "1").env_remove("XDG_STATE_HOME");
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = pipes.spawn().ok()?;
        let mut terminal = Self { child, shown: String::new() };
        terminal.until("mqttd> ");
        Some(terminal)
    }

    /// Types, and reads until `wanted` is shown.
    pub(crate) fn types(&mut self, keys: &str, wanted: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
        self.until(wanted);
    }

    /// Reads until `wanted` is shown; what comes after it stays for the next time.
    pub(crate) fn until(&mut self, wanted: &str) {
        let stdout = self.child.stdout.as_mut().unwrap();
        loop {
            if let Some(at) = self.shown.find(wanted) {
                self.shown.drain(..at + wanted.len());
                return;
            }
            let mut piece = [0; 4096];
            let count = stdout.read(&mut piece).unwrap();
            assert!(count > 0, "{wanted:?} never came: {:?}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    }

    /// It has ended, and well.
    pub(crate) fn ends(&mut self) {
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn p60_a_terminal_has_tab_live_log_and_a_history_of_its_own() {
    let double = double();
    let Some(mut terminal) = Terminal::open(&double.home) else {
        eprintln!("skipped: no script(1) to make a terminal");
        return;
    };
    terminal.types("pi\t", "ping ");
    terminal.types("\r", "pong");
    terminal.until("mqttd> ");
    terminal.types("clients ki\t", "clients kick ");
    terminal.types("client-12\x03", "leaves"); // Ctrl-C drops the line
    terminal.until("mqttd> ");
    while double.feed.receiver_count() == 0 {
        std::thread::yield_now();
    }
    double.feed.send("a line of the log".into()).unwrap();
    terminal.until("a line of the log");
    terminal.types("nosuch\r", "unrecognized");
    terminal.until("mqttd> ");
    terminal.types("\x04", "\n");
    terminal.ends();
    let history = double.home.path().join(".local/state/mqttd/history");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = std::fs::read_to_string(&history).unwrap();
    assert!(lines.contains("ping") && lines.contains("nosuch"), "{lines}");
    double.home.run("ping").ok();
}

//! Under a service manager: the test listens where systemd would (sd_notify(3)).

use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::home::{Done, Home, PATIENCE_MS, descriptors, signal};

/// The test as service systemd.
pub(crate) struct Listening {
    pub(crate) home: Home,
    socket: UnixDatagram,
}

impl Listening {
    pub(crate) fn new(config: &str) -> Self {
        let home = Home::with(config);
        let socket = UnixDatagram::bind(home.path.join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(PATIENCE_MS))).unwrap();
        Self { home, socket }
    }

    pub(crate) fn foreground(&self) -> Command {
        let mut command = self.home.command("foreground");
        command.env("NOTIFY_SOCKET", self.home.path.join("notify"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Reads messages until one has the line; all their text.
    pub(crate) fn heard(&self, line: &str) -> String {
        let mut heard = String::new();
        loop {
            let mut bytes = [0; 4096];
            let count = self.socket.recv(&mut bytes);
            let count = count.unwrap_or_else(|e| panic!("no {line} but {e}: {heard}"));
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            heard += &format!("{}\n", text.trim_end());
            if text.lines().any(|said| said.starts_with(line)) {
                return heard;
            }
        }
    }

    pub(crate) fn end(&self, child: Child) {
        signal(child.id(), Signal::SIGTERM);
        self.heard("STOPPING=1");
        assert_eq!(Done::wait(child).code, Some(0));
    }
}

const ANY_PORT: &str = "[listener.tcp]\naddress = [\"127.0.0.1:0\"]\n";

#[test]
fn p27_it_is_ready_when_clients_can_connect() {
    let systemd = Listening::new(ANY_PORT);
    let child = systemd.foreground().spawn().unwrap();
    let heard = systemd.heard("READY=1");
    systemd.home.connect();
    assert!(heard.contains("STATUS=Serving MQTT on 127.0.0.1:"), "p35: {heard}");
    assert!(systemd.home.json("status")["managed_by"].as_str().unwrap().starts_with("systemd"));
    systemd.end(child);
}

#[test]
fn p31_the_watchdog_hears_from_the_shards() {
    let systemd = Listening::new(ANY_PORT);
    let child = systemd.foreground().env("WATCHDOG_USEC", "400000").spawn().unwrap();
    for _ in 0..3 {
        systemd.heard("WATCHDOG=1");
    }
    systemd.end(child);
}

#[test]
fn p33_a_reload_is_told() {
    let systemd = Listening::new(ANY_PORT);
    let child = systemd.foreground().spawn().unwrap();
    systemd.heard("READY=1");
    for config in [ANY_PORT, "nonsense"] {
        systemd.home.configure(config);
        signal(child.id(), Signal::SIGHUP);
        assert!(systemd.heard("RELOADING=1").contains("MONOTONIC_USEC="));
        systemd.heard("READY=1");
    }
    systemd.end(child);
}

#[test]
fn p38_a_listening_socket_is_kept_and_taken_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // An address of its own, so that no test beside this one is given the port when it is free.
    let stale = TcpListener::bind("127.0.38.1:0").unwrap();
    let stale_address = stale.local_addr().unwrap();
    let socket = format!("/proc/self/fd/{}", listener.as_raw_fd());
    let socket = std::fs::read_link(socket).unwrap().display().to_string();
    let systemd = Listening::new(&format!("[listener.tcp]\naddress = [\"{address}\"]\n"));
    // systemd passes descriptors from 3 on; the shell moves them there.
    let command = systemd.foreground();
    let script = "exec 3<&0 4<&1 0</dev/null 1>/dev/null; LISTEN_PID=$$ exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    shell.env("NOTIFY_SOCKET", systemd.home.path.join("notify"));
    shell.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "tcp-kept:tcp-stale");
    shell.stdin(OwnedFd::from(listener)).stdout(OwnedFd::from(stale)).stderr(Stdio::null());
    let child = shell.spawn().unwrap();
    drop(shell); // and with it this process's copies
    let heard = systemd.heard("READY=1");
    assert!(heard.contains("FDSTOREREMOVE=1\nFDNAME=tcp-stale"), "{heard}");
    let name = format!("FDSTORE=1\nFDNAME=tcp-{}", address.to_string().replace(':', "_"));
    assert!(heard.contains(&name), "{heard}");
    assert_eq!(systemd.home.address(), address);
    systemd.home.connect();
    assert!(descriptors(child.id()).contains(&socket), "it listens on what it was given");
    // The other is closed. A process that another test has just forked has it until it runs its own
    // program.
    while TcpStream::connect(stale_address).is_ok() {}
    systemd.end(child);
}

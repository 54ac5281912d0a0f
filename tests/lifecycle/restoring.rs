//! A start that takes long: what the terminal, scripts, systemd and operators are told, and that nobody
//! is let in before its end.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use crate::home::{Done, Home, signal};
use crate::service::Listening;
use crate::store::{expect_messages, leave_messages};

/// A disk that takes its time: the file beside the database is a pipe out of which come frames that
/// belong to nothing, until it is let go.
struct Slow {
    feeder: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Slow {
    /// For the next start of a broker that has stopped in order.
    fn disk(home: &Home) -> Self {
        let path = home.path.join("data/mqttd.db-wal");
        assert!(!path.exists(), "it has stopped in order");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let pipe = options.open(&path).unwrap();
        let (let_go, told) = mpsc::channel();
        let feeder = std::thread::spawn(move || {
            feed(pipe, &told, || fs::remove_file(&path).unwrap());
        });
        Self { feeder: Some((let_go, feeder)) }
    }

    /// It reads to the end at once.
    fn let_go(&mut self) {
        if let Some((let_go, feeder)) = self.feeder.take() {
            drop(let_go);
            feeder.join().unwrap();
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// The pipe ends when the last who could write to it has closed it, and it must not be found by name
/// then.
fn feed(mut pipe: File, told: &Receiver<()>, end: impl FnOnce()) {
    pipe.write_all(&header()).unwrap();
    while told.recv_timeout(Duration::from_millis(10)) == Err(mpsc::RecvTimeoutError::Timeout) {
        let _ = pipe.write(&[0; 65536]); // no more than there is room for
    }
    end();
}

/// The header of a file without commits, as SQLite's documentation describes it.
fn header() -> Vec<u8> {
    let words = [0x377f_0682_u32, 3_007_000, 4096, 0, 1, 1];
    let mut sums = [0_u32; 2];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    for pair in bytes.chunks(8) {
        let word = |at: usize| u32::from_le_bytes(pair[at..at + 4].try_into().unwrap());
        sums[0] = sums[0].wrapping_add(word(0)).wrapping_add(sums[1]);
        sums[1] = sums[1].wrapping_add(word(4)).wrapping_add(sums[0]);
    }
    bytes.into_iter().chain(sums.iter().flat_map(|sum| sum.to_be_bytes())).collect()
}

/// An address that no test beside this one is given.
fn free(ip: &str) -> SocketAddr {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

fn configured(address: SocketAddr) -> String {
    format!("[listener.tcp]\naddress = [\"{address}\"]\n")
}

/// A broker that was stopped with three messages for a client that is away.
fn with_messages(address: SocketAddr) -> Home {
    let home = Home::with(&configured(address));
    home.start();
    leave_messages(&home);
    assert_eq!(home.run("stop").code, Some(0));
    home
}

/// Waits until the broker says that it is starting; its pid.
fn until_starting(home: &Home) -> u64 {
    loop {
        let status = home.json("status");
        assert_ne!(status["state"], "running", "{status}");
        match status["pid"].as_u64() {
            Some(pid) if status["state"] == "starting" => return pid,
            _ => {} // not yet there, or the machine is too busy to answer
        }
    }
}

fn refused(address: SocketAddr) -> bool {
    let error = TcpStream::connect(address).expect_err("nobody listens yet");
    error.kind() == ErrorKind::ConnectionRefused
}

fn piped(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

const RESTORED: &str =
    "restored 2 sessions, 1 subscription, 3 waiting messages and 0 retained messages in ";

#[test]
fn p42_a_terminal_shows_how_far_a_long_start_is_in_one_line() {
    let address = free("127.0.42.11");
    let home = with_messages(address);
    let mut slow = Slow::disk(&home);
    let start = home.command("start");
    let words = [start.get_program()].into_iter().chain(start.get_args());
    let line: String = words.map(|word| format!("'{}' ", word.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
    let Ok(mut child) = script.stdout(Stdio::piped()).spawn() else {
        eprintln!("skipped: no script(1) to make a terminal");
        return;
    };
    let mut terminal = child.stdout.take().unwrap();
    let mut shown = String::new();
    while shown.matches("\rrestoring: looking at the store, ").count() < 2 {
        let mut piece = [0; 1024];
        let count = terminal.read(&mut piece).unwrap();
        assert!(count > 0, "{shown:?}");
        shown += &String::from_utf8_lossy(&piece[..count]);
    }
    assert!(!shown.contains('\n'), "one line: {shown:?}");
    assert!(refused(address));
    slow.let_go();
    let mut rest = String::new();
    terminal.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\r\x1b[Kmqttd "), "the line is gone in the end: {rest:?}");
    assert!(rest.contains(RESTORED), "{rest:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    expect_messages(&home);
}

#[test]
fn p42_a_script_is_told_now_and_then_and_operators_when_they_ask() {
    let address = free("127.0.42.12");
    let home = with_messages(address);
    let mut slow = Slow::disk(&home);
    let mut first = piped(home.command("start"));
    let pid = until_starting(&home);
    let doing = "is starting, restoring: looking at the store, ";
    let done = home.run("status");
    assert!(done.code == Some(4) && done.out.starts_with(&format!("mqttd {doing}")), "{done:?}");
    for (verb, code) in [("ping", 4), ("ping --wait 0", 4), ("clients list", 7), ("reload", 7)] {
        let done = home.run(verb);
        assert!(done.code == Some(code) && done.err.contains(doing), "{done:?}");
    }
    assert_eq!(home.json("ping")["error"]["code"], "starting");
    let second = piped(home.command("start"));
    let quiet = piped(home.command("start --quiet"));
    assert!(refused(address));
    let mut said = BufReader::new(first.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("mqttd: restoring: looking at the store, "), "{line:?}");
    slow.let_go();
    let done = Done::wait(first);
    assert!(done.code == Some(0) && done.out.contains(RESTORED), "{done:?}");
    let done = Done::wait(second);
    assert!(done.code == Some(0) && done.out.contains("already running"), "{done:?}");
    let done = Done::wait(quiet);
    assert!(done.code == Some(0) && done.out.is_empty() && done.err.is_empty(), "{done:?}");
    assert_eq!(u64::from(home.pid()), pid);
    assert!(home.run("status").out.contains(&RESTORED["restored ".len()..]));
    expect_messages(&home);
}

#[test]
fn p48_a_broker_that_is_starting_can_be_stopped() {
    let home = with_messages(free("127.0.48.1"));
    let mut slow = Slow::disk(&home);
    let start = piped(home.command("start"));
    until_starting(&home);
    let done = home.run("stop");
    assert!(done.code == Some(0) && done.err.is_empty(), "{done:?}");
    let done = Done::wait(start);
    let told = "mqttd: the broker was stopped while it was starting\n";
    assert_eq!((done.code, &*done.err), (Some(1), told));
    assert_eq!(home.run("status").code, Some(3), "no file says that it died");
    assert!(home.processes().is_empty());
    slow.let_go();
    home.start();
    expect_messages(&home);
}

#[test]
fn p62_a_port_that_is_taken_during_a_long_start_is_told_with_its_holder() {
    let address = free("127.0.62.1");
    let home = with_messages(address);
    let mut slow = Slow::disk(&home);
    let start = piped(home.command("start"));
    until_starting(&home);
    let taken = TcpListener::bind(address).unwrap();
    slow.let_go();
    let done = Done::wait(start);
    let told = format!("mqttd: cannot listen on {address}: address already in use (");
    let holder = format!("pid {})", std::process::id());
    assert_eq!(done.code, Some(1));
    assert!(done.err.starts_with(&told) && done.err.contains(&holder), "{done:?}");
    assert_eq!(home.run("status").code, Some(3));
    drop(taken);
    home.start();
    expect_messages(&home);
}

#[test]
fn p35_systemd_is_told_how_far_a_long_start_is_and_to_wait_longer() {
    let address = free("127.0.35.1");
    let systemd = Listening::new(&configured(address));
    systemd.home.start();
    leave_messages(&systemd.home);
    assert_eq!(systemd.home.run("stop").code, Some(0));
    let mut slow = Slow::disk(&systemd.home);
    let child = systemd.foreground().spawn().unwrap();
    for _ in 0..2 {
        systemd.heard("STATUS=restoring: looking at the store, ");
        systemd.heard("EXTEND_TIMEOUT_USEC=60000000");
    }
    assert!(refused(address));
    slow.let_go();
    assert!(!systemd.heard("READY=1").contains("STOPPING"));
    expect_messages(&systemd.home);
    systemd.end(child);
    let slow = Slow::disk(&systemd.home);
    let child = systemd.foreground().spawn().unwrap();
    systemd.heard("STATUS=restoring: looking at the store, ");
    signal(child.id(), Signal::SIGTERM);
    assert!(!systemd.heard("STOPPING=1").contains("READY=1"));
    assert_eq!(Done::wait(child).code, Some(0));
    drop(slow);
}

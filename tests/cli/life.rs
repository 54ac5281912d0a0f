//! Starting, stopping and looking at a real broker, by hand.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{Home, Ran};

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

fn address(home: &Home) -> String {
    let (_, object) = home.json("listeners");
    object["result"][0]["address"].as_str().unwrap().to_owned()
}

#[test]
fn p42_start_returns_when_clients_can_connect() {
    let home = Home::new();
    let ran = home.run("start").ok();
    assert!(ran.out.contains("is running (pid "), "{}", ran.out);
    TcpStream::connect(address(&home)).unwrap();
    assert_eq!(home.run("ping").ok().out, "pong\n");
    assert!(home.run("status").ok().out.contains("clients"));
}

#[test]
fn p47_start_when_running_and_stop_when_stopped_change_nothing() {
    let home = Home::new();
    let (code, object) = home.json("start");
    assert_eq!((code, &object["changed"]), (Some(0), &true.into()));
    let (code, object) = home.json("start");
    assert_eq!((code, &object["changed"]), (Some(0), &false.into()));
    assert_eq!(object["managed_by"], "daemon");
    let (code, object) = home.json("stop");
    assert_eq!((code, &object["changed"]), (Some(0), &true.into()));
    let (code, object) = home.json("stop");
    assert_eq!((code, &object["changed"]), (Some(0), &false.into()));
    assert_eq!(object["state"], "stopped");
}

#[test]
fn p43_many_starts_make_one_daemon() {
    let home = Home::new();
    let starts: Vec<_> = (0..20).map(|_| home.piped("start --json")).collect();
    let mut pids = Vec::new();
    let mut changed = 0;
    for start in starts {
        let object = Ran::of(start.wait_with_output().unwrap()).ok().object();
        pids.push(object["pid"].as_u64().unwrap());
        changed += usize::from(object["changed"] == true);
    }
    pids.dedup();
    assert_eq!((pids.len(), changed), (1, 1), "{pids:?}");
}

#[test]
fn p44_start_in_a_pipe_returns_at_once() {
    let home = Home::new();
    // output() reads until every copy of the pipe is closed.
    home.run("start").ok();
    let pid = home.pid();
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    for fd in fds.flatten() {
        let target = std::fs::read_link(fd.path()).unwrap_or_default();
        assert!(!target.to_string_lossy().starts_with("pipe:"), "{target:?}");
    }
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
}

#[test]
fn p45_a_killed_daemon_is_dead_and_the_next_start_works() {
    let home = Home::new();
    home.start();
    signal(home.pid(), Signal::SIGKILL);
    // The lock goes with the process: until then it is starting or hung, then dead.
    while home.run("status").code != Some(1) {}
    let ran = home.run("ping").exits(1);
    assert!(ran.err.contains("died"), "{}", ran.err);
    home.run("start").ok();
    home.run("ping").ok();
}

#[test]
fn p45_a_foreign_pid_is_never_signalled() {
    let home = Home::bare();
    let mut sleeper = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::create_dir(home.path().join("run")).unwrap();
    std::fs::write(home.path().join("run/mqttd.pid"), format!("{}\n", sleeper.id())).unwrap();
    let (code, object) = home.json("stop");
    assert_eq!((code, &object["changed"]), (Some(0), &false.into()));
    assert!(sleeper.try_wait().unwrap().is_none());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn p48_a_hung_daemon_is_killed_and_that_is_said() {
    let home = Home::new();
    home.start();
    let pid = home.pid();
    signal(pid, Signal::SIGSTOP);
    let ran = home.run("stop --timeout 1").ok();
    assert!(ran.err.contains("killed (SIGKILL)"), "{}", ran.err);
    assert!(!std::path::Path::new(&format!("/proc/{pid}/fd/0")).exists());
}

#[test]
fn p49_restart_with_a_broken_configuration_leaves_the_old_one() {
    let home = Home::new();
    home.start();
    let pid = home.pid();
    home.configure("nonsense = 1");
    let ran = home.run("restart").exits(6);
    assert!(ran.err.contains("mqttd.toml"), "{}", ran.err);
    home.run("check-config").exits(6);
    home.run("reload").exits(6);
    assert_eq!(home.pid(), pid);
    home.configure("");
    home.run("restart").ok();
    assert_ne!(home.pid(), pid);
}

#[test]
fn p46_a_socket_of_others_is_a_matter_of_permission() {
    let home = Home::new();
    home.start();
    if nix::unistd::geteuid().is_root() {
        let mut command = home.command("status");
        use std::os::unix::process::CommandExt;
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let ran = Ran::of(command.uid(65534).gid(65534).output().unwrap());
        ran.exits(4);
        let mut command = home.command("stop");
        let ran = Ran::of(command.uid(65534).gid(65534).output().unwrap());
        assert!(ran.exits(4).err.contains("hint: "));
        home.run("ping").ok();
    } else {
        std::fs::set_permissions(home.socket(), std::fs::Permissions::from_mode(0o0)).unwrap();
        home.run("status").exits(4);
        std::fs::set_permissions(home.socket(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn p62_a_port_in_use_is_told_with_its_holder() {
    let home = Home::bare();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("[listener.tcp]\naddress = [\"{address}\"]\n");
    std::fs::write(home.path().join("mqttd.toml"), config).unwrap();
    let ran = home.run("start").exits(1);
    let pid = format!("pid {}", std::process::id());
    assert!(ran.err.contains(&address.to_string()) && ran.err.contains(&pid), "{}", ran.err);
    home.run("status").exits(3);
}

#[test]
fn p60_foreground_stops_at_sigterm_with_0() {
    let home = Home::new();
    let mut command = home.command("foreground");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    home.run("ping --wait 90").ok();
    let (_, object) = home.json("ping");
    assert_eq!(object["managed_by"], "foreground");
    signal(child.id(), Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    home.run("ping").exits(3);
}

#[test]
fn p54_ping_is_quick() {
    let home = Home::new();
    home.start();
    for _ in 0..5 {
        home.run("ping").ok();
    }
}

#[test]
fn ping_waits() {
    let home = Home::new();
    let waiting = home.piped("ping --wait 90");
    home.start();
    assert_eq!(Ran::of(waiting.wait_with_output().unwrap()).ok().out, "pong\n");
}

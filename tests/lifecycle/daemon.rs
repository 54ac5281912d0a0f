//! `mqttd start` without systemd: the daemon and what it leaves behind.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::home::{Done, Home, descriptors, is_root, signal, status_line};

/// The number Debian gives the user nobody.
const NOBODY: u32 = 65_534;

#[test]
fn p42_a_start_returns_when_clients_can_connect() {
    let home = Home::new();
    for _ in 0..5 {
        home.start();
        home.connect();
        assert_eq!(home.run("stop").code, Some(0));
    }
}

#[test]
fn p42_a_failed_start_tells_the_reason_and_leaves_no_process() {
    // An address of its own, so that no test beside this one is given the port when it is free.
    let taken = TcpListener::bind("127.0.42.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let home = Home::with(&format!("[listener.tcp]\naddress = [\"{address}\"]\n"));
    let done = home.run("start");
    assert_eq!(done.code, Some(1), "{done:?}");
    let first = done.err.lines().next().unwrap();
    let holder = format!("pid {})", std::process::id());
    assert!(first.starts_with(&format!("mqttd: cannot listen on {address}: ")), "{done:?}");
    assert!(first.ends_with(&holder), "p62: the holder is named: {done:?}");
    assert!(done.err.contains("change [listener.tcp] address in "), "{done:?}");
    assert!(done.out.is_empty(), "{done:?}");
    assert!(home.processes().is_empty());
    assert_eq!(home.json("start")["error"]["code"], "address_in_use");
    drop(taken);
    // A process that another test has just forked listens there too until it runs its own program.
    while TcpStream::connect(address).is_ok() {}
    home.start();
}

#[test]
fn p43_of_twenty_starts_at_once_one_makes_the_daemon() {
    let home = Home::new();
    let children: Vec<_> = (0..20)
        .map(|_| {
            let mut command = home.command("start");
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let done: Vec<_> = children.into_iter().map(Done::wait).collect();
    assert!(done.iter().all(|done| done.code == Some(0)), "{done:?}");
    let already = done.iter().filter(|done| done.out.contains("already running")).count();
    assert_eq!(already, 19, "{done:?}");
    assert_eq!(home.processes(), [home.pid()]);
    home.connect();
}

#[test]
fn p44_a_start_keeps_nothing_of_its_caller() {
    let home = Home::new();
    // The shell holds a pipe open as 9; $(…) would wait for it.
    let script = "cd \"$1\"; out=$(\"$2\" start --home . $3 9>&1); echo \"rc=$? $out\"";
    let user = if is_root() { "--user=root" } else { "--quiet" };
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&home.path)
        .args([env!("CARGO_BIN_EXE_mqttd"), user])
        .output()
        .unwrap();
    let done = Done::of(output);
    assert!(done.out.starts_with("rc=0"), "{done:?}");
    let pid = home.pid();
    let known =
        ["/dev/null", "/dev/urandom", "socket:", "anon_inode:", home.path.to_str().unwrap()];
    for to in descriptors(pid) {
        assert!(known.iter().any(|known| to.starts_with(known)), "{to} is open in the daemon");
    }
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd.to_str(), Some("/"));
    let session = nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid.try_into().unwrap())));
    assert_ne!(session.unwrap(), nix::unistd::getsid(None).unwrap());
    assert_ne!(status_line(pid, "PPid"), [std::process::id().to_string()]);
}

#[test]
fn p45_after_kill_9_status_tells_and_a_start_works() {
    let home = Home::new();
    let pid = home.start();
    signal(pid, Signal::SIGKILL);
    // 0 and 4 while the kernel takes it apart: the socket goes before the lock.
    let gone = |done: &Done| !matches!(done.code, Some(0 | 4));
    let done = std::iter::repeat_with(|| home.run("status")).find(gone).unwrap();
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(home.run_file("mqttd.sock").exists());
    let again = home.start();
    assert_ne!(again, pid);
    let written = fs::read_to_string(home.run_file("mqttd.pid")).unwrap();
    assert_eq!(written.trim(), again.to_string());
}

#[test]
fn p45_a_stranger_named_by_stale_files_is_never_signalled() {
    let home = Home::new();
    home.start();
    assert_eq!(home.run("stop").code, Some(0));
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    for name in ["mqttd.pid", "mqttd.lock"] {
        fs::write(home.run_file(name), format!("{}\n", stranger.id())).unwrap();
    }
    assert_eq!(home.run("status").code, Some(1));
    let done = home.run("stop");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(stranger.try_wait().unwrap().is_none(), "it still sleeps");
    home.start();
    assert_eq!(home.run("stop").code, Some(0));
    assert!(stranger.try_wait().unwrap().is_none(), "it still sleeps");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn p46_a_bad_configuration_is_6_and_shows_all_errors() {
    let home = Home::with("[limits]\nreceive_maxium = 5\n[log]\nlevel = 3\n");
    for verb in ["start", "foreground", "check-config"] {
        let done = home.run(verb);
        assert_eq!(done.code, Some(6), "{verb}: {done:?}");
        assert!(done.err.contains("mqttd.toml:2:1: limits.receive_maxium: "), "{done:?}");
        assert!(done.err.contains("did you mean limits.receive_maximum?"), "{done:?}");
        assert!(done.err.contains("mqttd.toml:4:9: log.level: "), "{done:?}");
    }
    assert!(home.processes().is_empty());
}

#[test]
fn p47_what_is_so_already_is_no_error() {
    let home = Home::new();
    let pid = home.start();
    let again = home.json("start");
    assert_eq!((again["ok"].as_bool(), again["changed"].as_bool()), (Some(true), Some(false)));
    assert_eq!(home.pid(), pid);
    assert_eq!(home.json("stop")["changed"], true);
    assert_eq!(home.json("stop")["changed"], false);
    // Nothing that would say otherwise is left.
    assert!(!home.run_file("mqttd.sock").exists());
    assert!(!home.run_file("mqttd.pid").exists());
    assert_eq!(home.run("status").code, Some(3));
}

#[test]
fn p49_a_restart_with_a_bad_configuration_leaves_the_broker_alone() {
    let home = Home::new();
    let pid = home.start();
    let good = fs::read_to_string(home.path.join("mqttd.toml")).unwrap();
    home.configure("nonsense");
    assert_eq!(home.run("restart").code, Some(6));
    assert_eq!(home.run("reload").code, Some(6));
    assert_eq!(home.pid(), pid);
    home.configure(&good);
    assert_eq!(home.run("restart").code, Some(0));
    assert_ne!(home.pid(), pid);
}

#[test]
fn p33_a_reload_applies_what_can_change_and_keeps_clients() {
    let home = Home::new();
    home.start();
    let _client = home.connect();
    let base = fs::read_to_string(home.path.join("mqttd.toml")).unwrap();
    home.configure(&format!("anonymous = \"never\"\n{base}[server]\nshards = 1\n"));
    let reloaded = home.json("reload");
    assert_eq!(reloaded["result"]["applied"], serde_json::json!(["anonymous"]), "{reloaded}");
    assert_eq!(reloaded["result"]["needs_restart"], serde_json::json!(["server.shards"]));
    // A thread of its own writes the log, and has written it when the broker has stopped.
    assert_eq!(home.run("stop").code, Some(0));
    assert!(home.log().contains("in part applied=anonymous needs_restart=server.shards"));
}

#[test]
fn p48_a_hung_daemon_is_killed_after_its_time() {
    let home = Home::new();
    let pid = home.start();
    signal(pid, Signal::SIGSTOP);
    let done = home.run("stop --timeout 1");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(format!("{}{}", done.out, done.err).contains("killed"), "{done:?}");
    home.start();
}

#[test]
fn p51_a_plain_user_runs_a_broker_of_its_own() {
    let mut home = Home::new();
    if is_root() {
        home.belong_to(NOBODY);
    }
    let pid = home.start();
    home.connect();
    assert_eq!(fs::metadata(home.run_file("mqttd.sock")).unwrap().mode() & 0o777, 0o600);
    if is_root() {
        assert!(status_line(pid, "Uid").iter().all(|id| *id == NOBODY.to_string()));
    }
    assert_eq!(home.run("stop").code, Some(0));
    if is_root() {
        fs::set_permissions(home.path.join("data"), fs::Permissions::from_mode(0o000)).unwrap();
        let done = home.run("start");
        assert_eq!(done.code, Some(4), "{done:?}");
        assert!(done.err.contains("nobody:nogroup, mode 0000; this is user nobody)"), "{done:?}");
        fs::set_permissions(home.path.join("data"), fs::Permissions::from_mode(0o750)).unwrap();
    }
    home.configure("[listener.tcp]\naddress = [\"127.0.0.1:1\"]\n");
    let done = home.run("start");
    let may = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if may.trim() == "1024" {
        assert_eq!(done.code, Some(4), "{done:?}");
        assert!(done.err.contains("cannot listen on 127.0.0.1:1: "), "{done:?}");
    }
}

#[test]
fn p61_a_client_cannot_forge_a_line_of_the_log() {
    let home = Home::new();
    home.start();
    let client_id = "evil\n2026-01-01T00:00:00.000Z ERROR all is lost";
    let mut connect = vec![0x10, u8::try_from(12 + client_id.len()).unwrap()];
    connect.extend_from_slice(b"\x00\x04MQTT\x04\x02\x00\x3c\x00");
    connect.push(u8::try_from(client_id.len()).unwrap());
    connect.extend_from_slice(client_id.as_bytes());
    let mut client = home.connect();
    client.write_all(&connect).unwrap();
    let mut answer = [0; 4];
    // CONNACK or the end of the connection: either way it is logged.
    let _ = client.read(&mut answer).unwrap();
    assert_eq!(home.run("stop").code, Some(0));
    let log = home.log();
    assert!(log.contains(r"evil\n2026-01-01"), "the client is in the log: {log}");
    assert!(!log.contains("\n2026-01-01"), "{log}");
}

#[test]
fn p53_root_by_hand_becomes_the_user_and_leaves_nothing_of_its_own() {
    let nobody = nix::unistd::User::from_name("nobody").unwrap();
    let (true, Some(nobody)) = (is_root(), nobody) else {
        return; // only root can become another user
    };
    let home = Home::new().run_by("nobody");
    let pid = home.start();
    home.connect();
    let uid = nobody.uid.to_string();
    assert!(status_line(pid, "Uid").iter().all(|id| *id == uid));
    assert!(status_line(pid, "Groups").iter().all(|id| *id == nobody.gid.to_string()));
    let capabilities = status_line(pid, "CapEff");
    assert_eq!(capabilities, ["0000000000000000"]);
    for room in ["data", "run", "log"] {
        let directory = home.path.join(room);
        let inside = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        for path in inside.chain([directory.clone()]) {
            // What is gone meanwhile is not left.
            let owner = fs::symlink_metadata(&path).map(|metadata| metadata.uid());
            let is_nobodys = owner.is_ok_and(|owner| owner == nobody.uid.as_raw());
            assert!(is_nobodys || !path.exists(), "{}", path.display());
        }
    }
    assert_eq!(fs::metadata(home.path.join("data")).unwrap().mode() & 0o777, 0o750);
    assert_eq!(fs::metadata(home.run_file("mqttd.sock")).unwrap().mode() & 0o777, 0o660);
}

#[test]
fn p53_root_without_such_a_user_is_refused() {
    if !is_root() {
        return; // only root is asked to become somebody else
    }
    let home = Home::new().run_by("no-such-user");
    let done = home.run("start");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("there is no user \"no-such-user\""), "{done:?}");
    assert!(done.err.contains("--user root"), "{done:?}");
}

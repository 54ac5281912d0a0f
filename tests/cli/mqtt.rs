//! `pub` and `sub` against a real broker.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::{Home, Ran, schema};

/// Starts `sub` and returns when the broker has its subscription.
pub(crate) fn subscribed(home: &Home, words: &str, filter: &str) -> Child {
    let count = || {
        let ran = home.run(&format!("subscriptions list --filter {filter} --json"));
        ran.object()["result"].as_array().map_or(0, Vec::len)
    };
    // Others may have subscribed to it before.
    let before = count();
    let child = home.piped(words);
    while count() <= before {}
    child
}

#[test]
fn messages_of_all_versions_and_qualities_arrive() {
    let home = Home::new();
    home.start();
    for version in ["3.1", "3.1.1", "5"] {
        for qos in 0..=2 {
            let topic = format!("t/{version}/{qos}");
            let sub = format!("sub -V {version} -q {qos} -t {topic} --count 1");
            let child = subscribed(&home, &sub, &topic);
            home.run(&format!("pub -V {version} -q {qos} -t {topic} -m hello")).ok();
            let ran = Ran::of(child.wait_with_output().unwrap()).ok();
            assert_eq!(ran.out, "hello\n", "{version} {qos}");
        }
    }
}

#[test]
fn payloads_from_stdin_files_lines_and_none() {
    let home = Home::new();
    home.start();
    let child = subscribed(&home, "sub -t p/# -v --count 5", "p/");
    home.feed("pub -t p/stdin -q 1", "a b\nc").ok();
    home.feed("pub -t p/lines -l -q 2", "one\ntwo").ok();
    let file = home.path().join("payload");
    std::fs::write(&file, "from a file").unwrap();
    home.run(&format!("pub -t p/file -q 1 -f {}", file.display())).ok();
    home.run("pub -t p/none -q 1 -n").ok();
    let ran = Ran::of(child.wait_with_output().unwrap()).ok();
    let expected = "p/stdin a b\nc\np/lines one\np/lines two\np/file from a file\np/none \n";
    assert_eq!(ran.out, expected);
}

#[test]
fn retained_messages_wills_and_properties() {
    let home = Home::new();
    home.start();
    home.run("pub -t r/x -r -q 1 -m kept -D content-type=text/plain -D k=v").ok();
    let ran = home.run("sub -t r/# --count 1 --json").ok();
    let object = ran.object();
    assert_eq!(object["result"]["payload"], "kept");
    assert_eq!(object["result"]["retain"], true);
    assert_eq!(object["result"]["properties"]["content_type"], "text/plain");
    assert_eq!(home.run("sub -t r/x -C 1 -F %t=%p/%r").ok().out, "r/x=kept/1\n");
    assert!(home.run("topics").ok().out.contains("r/x"));
    home.run("topics show r/x").ok();
    home.run("topics delete r/x").ok();
    assert_eq!(home.run("topics").ok().out, "no retained messages\n");
    let ran = home.run("sub -t r/x --retained-only").exits(1);
    assert!(ran.err.contains("no retained message"), "{}", ran.err);
    let ran = home.run("sub -t r/x -W 1").exits(1);
    assert!(ran.err.contains("no message came"), "{}", ran.err);

    let watcher = subscribed(&home, "sub -t w/will -C 1", "w/will");
    let words = "sub -t other -i dying --will-topic w/will --will-payload gone";
    let mut dying = subscribed(&home, words, "other");
    dying.kill().unwrap();
    dying.wait().unwrap();
    assert_eq!(Ran::of(watcher.wait_with_output().unwrap()).ok().out, "gone\n");
}

#[test]
fn a_kept_session_collects_messages() {
    let home = Home::new();
    home.start();
    let child = subscribed(&home, "sub -t s/x -q 1 -c -i keeper", "s/x");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap()).ok();
    assert!(ran.out.is_empty(), "Ctrl-C leaves in order");
    while home.json("sessions show keeper").1["result"]["connected"] == true {}
    home.run("pub -t s/x -q 1 -m waited").ok();
    assert_eq!(home.run("sub -t s/x -q 1 -c -i keeper -C 1").ok().out, "waited\n");
    assert!(home.run("clients show keeper").ok().out.contains("expire"));
}

#[test]
fn p55_each_message_is_one_object_a_line() {
    let home = Home::new();
    home.start();
    let child = subscribed(&home, "sub -t j/# --count 2 --json", "j/");
    home.run("pub -t j/1 -m a -q 1").ok();
    home.run("publish j/2 b").ok();
    let ran = Ran::of(child.wait_with_output().unwrap()).ok();
    let objects: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    objects.iter().for_each(schema);
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[1]["result"]["topic"], "j/2");
}

#[test]
fn an_operator_sees_and_ends_clients() {
    let home = Home::new();
    home.start();
    let child = subscribed(&home, "sub -t k/x -i victim", "k/x");
    assert!(home.run("clients").ok().out.contains("victim"));
    assert!(home.run("clients show victim").ok().out.contains("connected from 127.0.0.1"));
    assert!(home.run("subscriptions list victim").ok().out.contains("k/x"));
    home.run("clients kick victim").ok();
    let ran = Ran::of(child.wait_with_output().unwrap()).exits(1);
    assert!(ran.err.contains("Administrative action"), "{}", ran.err);
    home.run("clients show victim").exits(1);
    assert!(home.run("stats messages").ok().out.contains("messages.received"));
}

#[test]
fn nobody_there_is_told_with_the_way_out() {
    let home = Home::bare();
    // An address of its own, so that no test beside this one is given the port.
    let free = std::net::TcpListener::bind("127.0.99.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let ran = home.run(&format!("pub -h 127.0.99.1 -p {port} -t a -m b")).exits(1);
    assert!(ran.err.contains("cannot connect") && ran.err.contains("hint: "), "{}", ran.err);
    // Without a host the instance of --home is meant, never another broker of this machine.
    home.run("pub -t a -m b").exits(7);
}

#[test]
fn a_reader_that_leaves_ends_sub_quietly() {
    let home = Home::new();
    home.start();
    let mut command = home.command("sub -t q/x");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while home.run("subscriptions list --filter q/x").ok().out == "no subscriptions\n" {}
    home.run("pub -t q/x -m x -q 1").ok();
    assert_eq!(lines.next().unwrap().unwrap(), "x");
    drop(lines); // nothing more has to come
    child.wait().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

/// Connects a client that says nothing after CONNECT, and waits for CONNACK.
fn connected(address: &str, client_id: &str) -> std::net::TcpStream {
    use mqttd::codec::{Connect, Packet, Properties, Version, encode};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let connect = Packet::Connect(Box::new(Connect {
        version: Version::V311,
        bridge: false,
        clean_start: true,
        keep_alive_secs: 0,
        properties: Properties::EMPTY,
        client_id,
        will: None,
        username: None,
        password: None,
    }));
    let mut bytes = Vec::new();
    encode(&connect, Version::V311, &mut bytes);
    stream.write_all(&bytes).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream
}

#[test]
fn a_list_over_all_shards_is_whole_and_in_order() {
    let home = Home::new();
    home.configure("[server]\nshards = 3");
    home.start();
    let (_, object) = home.json("listeners");
    let address = object["result"][0]["address"].as_str().unwrap();
    let mut expected: Vec<_> = (0..1000).map(|number| format!("c{number}")).collect();
    let _crowd: Vec<_> = expected.iter().map(|id| connected(address, id)).collect();
    expected.sort();
    let (_, object) = home.json("clients");
    let rows = object["result"].as_array().unwrap();
    let found: Vec<_> = rows.iter().map(|row| row["client_id"].as_str().unwrap()).collect();
    assert_eq!(found, expected);
    let (_, object) = home.json("clients list --filter C99 --limit 5");
    let rows = object["result"].as_array().unwrap();
    let found: Vec<_> = rows.iter().map(|row| row["client_id"].as_str().unwrap()).collect();
    assert_eq!(found, ["c99", "c990", "c991", "c992", "c993"]);
    let (_, object) = home.json("status");
    assert_eq!(object["result"]["clients_connected"], 1000);
}

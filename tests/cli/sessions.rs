//! Sessions and what waits in them, as an operator looks at them and ends them.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::bench::{Home, Ran};
use crate::console::Terminal;
use crate::mqtt::subscribed;

/// A broker with a session whose client is away.
fn with_session(client_id: &str, filter: &str) -> Home {
    let home = Home::new();
    home.start();
    leave_session(&home, client_id, filter, "");
    home
}

fn leave_session(home: &Home, client_id: &str, filter: &str, more: &str) {
    home.run(&format!("sub -i {client_id} -c -x 3600 -q 2 -t {filter} -E {more}")).ok();
    // It has ended when the broker has yet to read its DISCONNECT.
    while show(home, client_id)["connected"] == true {}
}

fn rows(home: &Home, words: &str) -> Vec<Value> {
    let (code, object) = home.json(words);
    assert_eq!(code, Some(0), "{object}");
    object["result"].as_array().unwrap().clone()
}

fn show(home: &Home, client_id: &str) -> Value {
    let (code, object) = home.json(&format!("sessions show {client_id}"));
    assert_eq!(code, Some(0), "{object}");
    object["result"].clone()
}

#[test]
fn sessions_are_listed_connected_or_away_and_page_by_page() {
    let home = with_session("b", "x/#");
    leave_session(&home, "d", "y/#", "--will-topic w --will-payload gone");
    let mut connected = subscribed(&home, "sub -i c -t z/#", "z/");
    let names = |words: &str| {
        let rows = rows(&home, words);
        rows.iter().map(|row| row["client_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("sessions list"), ["b", "c", "d"]);
    assert_eq!(names("sessions list --offline"), ["b", "d"]);
    assert_eq!(names("sessions list --limit 1"), ["b"]);
    assert_eq!(names("sessions list --limit 1 --after b"), ["c"]);
    assert_eq!(names("sessions list --offline --after bb"), ["d"]);
    let ran = home.run("sessions").ok();
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[0].starts_with("CLIENT  AWAY SINCE "), "{lines:?}");
    assert!(lines[2].starts_with("c       (connected) ") && lines[2].contains("with the"));
    let away = show(&home, "b");
    assert_eq!(away["connected"], false);
    assert_eq!(away["expiry_interval_secs"], 3600);
    let lasts = away["expires_unix_ms"].as_u64().unwrap();
    assert_eq!(lasts - away["disconnected_unix_ms"].as_u64().unwrap(), 3_600_000);
    let there = show(&home, "c");
    assert_eq!(
        (&there["connected"], &there["expires_unix_ms"]),
        (&Value::Bool(true), &Value::Null)
    );
    connected.kill().unwrap();
    connected.wait().unwrap();
}

#[test]
fn what_was_acknowledged_just_before_a_stop_does_not_come_again() {
    let home = with_session("keeper", "k/#");
    for payload in ["one", "two", "three"] {
        home.run(&format!("pub -t k/x -q 1 -m {payload}")).ok();
    }
    let words = "sub -i keeper -c -x 3600 -q 2 -t k/# -C 3";
    assert_eq!(home.run(words).ok().out, "one\ntwo\nthree\n");
    while show(&home, "keeper")["connected"] == true {}
    home.run("stop").ok();
    home.start();
    assert!(rows(&home, "queue keeper").is_empty());
}

#[test]
fn what_waits_is_shown_in_order_and_cannot_paint_the_terminal() {
    let home = with_session("attic", "q/#");
    home.run("pub -t q/one -q 1 -m first").ok();
    home.run("pub -t q/two -q 2 -r -m second -D message-expiry-interval=600").ok();
    home.feed("pub -t q/three -q 1", "\u{1b}[2J\u{7}").ok();
    let binary = home.path().join("binary");
    std::fs::write(&binary, [0xff, 0x00, 0x1b]).unwrap();
    home.run(&format!("pub -t q/four -q 1 -f {}", binary.display())).ok();
    let session = show(&home, "attic");
    assert_eq!((&session["queue_messages"], &session["inflight"]), (&4.into(), &0.into()));
    assert_eq!(session["queue_disk_messages"], 4, "its client is away");
    let waiting = rows(&home, "queue attic --payload");
    let column = |name: &str| waiting.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("topic"), ["q/one", "q/two", "q/three", "q/four"]);
    assert_eq!(column("qos"), [1, 2, 1, 1]);
    assert_eq!(column("payload_bytes"), [5, 6, 5, 3]);
    assert_eq!(column("stage"), ["queued"; 4]);
    assert_eq!(waiting[0]["payload"], "first");
    assert_eq!(waiting[3]["payload_base64"], "/wAb");
    let since = waiting[1]["accepted_unix_ms"].as_u64().unwrap();
    let left = waiting[1]["expires_unix_ms"].as_u64().unwrap() - since;
    assert!((599_000..=601_000).contains(&left), "{left}");
    assert!(waiting[0]["expires_unix_ms"].is_null());
    assert_eq!(rows(&home, "queue attic --limit 2").len(), 2);
    assert!(rows(&home, "queue attic")[0].get("payload").is_none());
    let text = home.run("queue attic --payload").ok().out;
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[2J\\u{7}"), "{text:?}");
    assert!(text.contains("base64:/wAb") && text.contains("never"), "{text}");
    let ran = home.run("queue nobody").exits(1);
    assert!(ran.err.contains("there is no client \"nobody\""), "{}", ran.err);
}

#[test]
fn an_unacknowledged_message_is_shown_as_sent() {
    let home = with_session("slow", "s/#");
    home.run("pub -t s/a -q 1 -m 1").ok();
    home.run("pub -t s/b -q 1 -m 2").ok();
    // Connects, is sent the messages, and goes without acknowledging one.
    let address = home.json("listeners list").1["result"][0]["address"].clone();
    let mut socket = std::net::TcpStream::connect(address.as_str().unwrap()).unwrap();
    let connect = b"\x10\x10\x00\x04MQTT\x04\x00\x00\x3c\x00\x04slow";
    std::io::Write::write_all(&mut socket, connect).unwrap();
    let mut read = [0; 4 + 2 * 10]; // CONNACK, two PUBLISH
    std::io::Read::read_exact(&mut socket, &mut read).unwrap();
    drop(socket);
    while show(&home, "slow")["connected"] == true {}
    let waiting = rows(&home, "queue slow --payload");
    assert_eq!((&waiting[0]["stage"], &waiting[0]["payload"]), (&"sent".into(), &"1".into()));
    assert_eq!(waiting[0]["packet_id"], 1);
    assert_eq!((&waiting[1]["packet_id"], &waiting[1]["payload"]), (&2.into(), &"2".into()));
}

#[test]
fn a_deleted_session_is_gone_with_what_waited() {
    let home = with_session("attic", "q/#");
    home.run("pub -t q/one -q 1 -m first").ok();
    let ran = home.run("sessions delete attic").ok(); // nobody to ask
    assert_eq!(ran.out, "deleted the session of attic\n");
    assert_eq!(home.run("sessions").ok().out, "no sessions\n");
    assert_eq!(home.run("subscriptions").ok().out, "no subscriptions\n");
    home.run("sessions delete attic --yes").exits(1);
    leave_session(&home, "attic", "q/#", "");
    assert_eq!(home.run("queue attic").ok().out, "nothing waits\n");
}

#[test]
fn deleting_a_session_ends_its_connection_with_a_reason() {
    let home = Home::new();
    home.start();
    let child = subscribed(&home, "sub -V 5 -i here -c -x 3600 -t h/#", "h/");
    let (code, object) = home.json("sessions delete here");
    assert_eq!(code, Some(0), "{object}");
    assert_eq!((&object["changed"], &object["result"]["deleted"]), (&true.into(), &true.into()));
    let ran = Ran::of(child.wait_with_output().unwrap()).exits(1);
    assert!(ran.err.contains("Administrative action"), "{}", ran.err);
    assert_eq!(home.run("sessions").ok().out, "no sessions\n");
}

#[test]
fn at_a_terminal_a_person_is_asked_first() {
    let home = with_session("attic", "q/#");
    let Some(mut terminal) = Terminal::open(&home) else {
        eprintln!("skipped: no script(1) to make a terminal");
        return;
    };
    terminal.types("sessions delete attic\r", "sessions delete attic: this cannot be undone");
    terminal.until("[y/N] ");
    terminal.types("n\r", "nothing was changed");
    terminal.until("mqttd> ");
    assert_eq!(show(&home, "attic")["client_id"], "attic");
    terminal.types("sessions delete attic\r", "[y/N] ");
    terminal.types("\x03", "nothing was changed"); // Ctrl-C
    terminal.until("mqttd> ");
    terminal.types("sessions delete attic\r", "[y/N] ");
    terminal.types("yes\r", "deleted the session of attic");
    terminal.until("mqttd> ");
    terminal.types("\x04", "\n");
    terminal.ends();
    home.run("sessions show attic").exits(1);
}

/// Whatever a script's standard input is, as long as it is no terminal, nobody is asked.
#[test]
fn without_a_terminal_nobody_is_asked() {
    let home = with_session("attic", "q/#");
    let mut command: Command = home.command("sessions delete attic");
    let ran = Ran::of(command.stdin(Stdio::piped()).output().unwrap()).ok();
    assert!(ran.err.is_empty(), "{}", ran.err);
}

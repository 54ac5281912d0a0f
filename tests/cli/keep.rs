//! Backup, restore, export, import, and the work on a stopped store: with real brokers.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::Value;

use crate::bench::{Home, MQTTD};
use crate::wire::{Wire, publish};

/// The lines of an export without the first, which says when it was written.
fn lines(home: &Home, words: &str) -> Vec<String> {
    let ran = home.run(&format!("export {words}")).ok();
    assert!(ran.err.is_empty(), "{}", ran.err);
    let mut lines = ran.out.lines().map(str::to_owned);
    let first = lines.next().unwrap();
    assert!(first.starts_with("{\"export\":{\"format\":1,"), "{first}");
    lines.collect()
}

/// Two exports are the same; the first line that differs is named.
#[track_caller]
fn same(left: &[String], right: &[String]) {
    for (number, (left, right)) in left.iter().zip(right).enumerate() {
        assert_eq!(left, right, "line {number}");
    }
    assert_eq!(left.len(), right.len(), "{:?} {:?}", left.last(), right.last());
}

fn away(home: &Home, client_id: &str, filter: &str, more: &str) {
    home.run(&format!("sub -i {client_id} -c -x 3600 -q 2 -t {filter} -E {more}")).ok();
    // It has ended when the broker has yet to read its DISCONNECT.
    while show(home, client_id)["connected"] == true {}
}

/// A broker that keeps one of everything.
fn with_everything() -> Home {
    let home = Home::new();
    home.start();
    away(&home, "attic", "q/#", "--will-topic w --will-payload gone --will-qos 1");
    away(&home, "cellar", "q/+", "");
    away(&home, "one", "$share/g/q/#", "");
    home.run("pub -t q/text -q 1 -m text").ok();
    home.run("pub -t q/kept -q 2 -r -m kept -D content-type=a/b -U k=2 -U k=1").ok();
    home.run("pub -t q/expires -q 1 -r -m soon -D message-expiry-interval=3000").ok();
    home.feed("pub -t r/control -q 1 -r -s", "\u{1b}[2J\n").ok();
    let binary = home.path().join("binary");
    std::fs::write(&binary, [0xff, 0, 0xc3]).unwrap();
    home.run(&format!("pub -t q/binary -q 1 -f {}", binary.display())).ok();
    home.run(&format!("pub -t r/binary -q 0 -r -f {}", binary.display())).ok();
    while home.run("topics show r/binary").code != Some(0) {} // nothing is acknowledged with QoS 0
    // Not kept: a session that ends, QoS 0, a retained message that was deleted.
    home.run("pub -t q/zero -q 0 -m lost").ok();
    home.run("pub -t r/gone -q 1 -r -m gone").ok();
    home.run("pub -t r/gone -q 1 -r -n").ok();
    half_done(&home);
    home
}

/// Leaves QoS 2 exchanges in every state.
fn half_done(home: &Home) {
    let (mut client, present) = Wire::resume(home, "half");
    assert!(!present);
    client.subscribe("h/#", 2);
    for number in 1..=3 {
        home.run(&format!("pub -t h/{number} -q 2 -m {number}")).ok();
        let (first, body) = client.receive();
        assert_eq!((first, body[6]), (0x34, number)); // the identifier lies behind "\0\x03h/1\0"
    }
    client.acknowledge(0x50, 1);
    assert_eq!(client.receive(), (0x62, vec![0, 1]));
    client.acknowledge(0x50, 3);
    assert_eq!(client.receive(), (0x62, vec![0, 3]));
    client.acknowledge(0x70, 3);
    client.stream.write_all(&publish("nobody", b"x", 4, 77)).unwrap();
    assert_eq!(client.receive(), (0x50, vec![0, 77]));
    drop(client);
    while show(home, "half")["connected"] == true {}
}

/// The client of [`half_done`] goes on where it was.
fn go_on(home: &Home) {
    let (mut client, present) = Wire::resume(home, "half");
    assert!(present);
    let mut heard = [client.receive(), client.receive()];
    heard.sort();
    let dup = [&b"\0\x03h/2\0\x02"[..], b"2"].concat();
    assert_eq!(heard, [(0x3c, dup), (0x62, vec![0, 1])]);
    client.acknowledge(0x62, 77);
    assert_eq!(client.receive(), (0x70, vec![0, 77]));
}

fn show(home: &Home, client_id: &str) -> Value {
    home.json(&format!("sessions show {client_id}")).1["result"].clone()
}

#[test]
fn a_backup_restored_elsewhere_is_the_same_and_goes_on() {
    let home = with_everything();
    let before = lines(&home, "");
    let file = home.path().join("my backup");
    let mut command = home.command("backup");
    let done = command.arg(&file).output().unwrap();
    assert!(done.status.success() && done.stdout.starts_with(b"backed up into "), "{done:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let left: Vec<_> = std::fs::read_dir(home.path().join("data")).unwrap().flatten().collect();
    let names: Vec<_> = left.iter().map(std::fs::DirEntry::file_name).collect();
    assert!(names.iter().all(|name| {
        ["LOCK", "mqttd.db", "mqttd.db-boot", "mqttd.db-wal"].iter().any(|it| name == it)
    }));
    let copy = home.path().join("copy");
    std::fs::copy(&file, &copy).unwrap();
    let from_file = format!("--from {}", copy.display());
    same(&lines(&home, &from_file), &before);
    // Elsewhere, where nothing was before.
    let other = Home::new();
    let ran = other.run(&format!("restore {}", copy.display())).ok();
    assert!(
        ran.out.starts_with("restored 4 retained messages, 4 sessions, 5 waiting"),
        "{}",
        ran.out
    );
    same(&lines(&other, ""), &before);
    other.run("store check").ok();
    other.start();
    same(&lines(&other, ""), &before);
    go_on(&other);
    let ran = other.run("sub -i attic -c -x 3600 -q 2 -t q/# -F %p; -C 4").ok();
    assert!(ran.out.starts_with("text;"), "{}", ran.out);
    assert!(ran.out.contains("\nkept;\nsoon;\n"), "{}", ran.out);
}

#[test]
fn an_export_taken_in_by_another_broker_is_the_same_and_goes_on() {
    let home = with_everything();
    let before = lines(&home, "");
    let file = home.path().join("everything.jsonl");
    let ran = home.run(&format!("export {}", file.display())).ok();
    assert!(
        ran.out.starts_with("exported 4 retained messages, 4 sessions, 5 waiting"),
        "{}",
        ran.out
    );
    let other = Home::new();
    other.configure("[server]\nshards = 3\n");
    other.start();
    let (code, object) = other.json(&format!("import {}", file.display()));
    assert_eq!(code, Some(0), "{object}");
    assert_eq!(object["result"]["taken"]["messages"], 5, "{object}");
    assert_eq!(object["result"]["left_alone"]["sessions"], 0, "{object}");
    same(&lines(&other, ""), &before);
    // It is all there already.
    let ran = other.run(&format!("import {}", file.display())).ok();
    assert!(ran.out.starts_with("taken in: 0 retained messages, 0 sessions, 0 "), "{}", ran.out);
    assert!(ran.err.contains("left alone"), "{}", ran.err);
    same(&lines(&other, ""), &before);
    // After a kill, too: import returns when all is on the disk.
    let pid = i32::try_from(other.pid()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    while other.run("status").code != Some(1) {}
    other.start();
    same(&lines(&other, ""), &before);
    go_on(&other);
    // From standard input, in the place of what is there.
    let text = std::fs::read_to_string(&file).unwrap();
    other.feed("import - --replace", &text).ok();
    same(&lines(&other, ""), &before);
}

#[test]
fn parts_are_chosen() {
    let home = with_everything();
    let kinds = |words: &str| {
        let mut kinds = BTreeMap::new();
        for line in lines(&home, words) {
            let line: Value = serde_json::from_str(&line).unwrap();
            let kind = line.as_object().unwrap().keys().next().unwrap().clone();
            *kinds.entry(kind).or_insert(0) += 1;
        }
        kinds.remove("end");
        kinds.into_iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>()
    };
    assert_eq!(kinds("--retained"), ["retained 4"]);
    assert_eq!(kinds("--sessions"), ["session 4"]);
    assert_eq!(kinds("--queues"), ["message 5"]);
    assert_eq!(kinds("--client half"), ["message 1", "session 1"]);
    assert_eq!(kinds("--client attic --queues"), ["message 4"]);
    let file = home.path().join("b");
    home.run(&format!("backup {}", file.display())).ok();
    let before = lines(&home, "");
    // One client's session, that was deleted by mistake.
    home.run("sessions delete attic").ok();
    home.run("topics delete q/kept").ok();
    let ran = home.run(&format!("restore {} --client attic", file.display())).ok();
    assert!(ran.out.contains("0 retained messages, 1 session, 4 waiting"), "{}", ran.out);
    let ran = home.run(&format!("restore {} --retained", file.display())).ok();
    assert!(ran.out.contains("1 retained message,"), "{}", ran.out);
    same(&sorted(lines(&home, "--retained --sessions")), &only(&before, &["retained", "session"]));
    // The retained message that came back went to those who subscribe to it.
    let ran = home.run("queue cellar --json").ok().object();
    assert_eq!(ran["result"].as_array().unwrap().len(), 5);
    let ran = home.run(&format!("restore {} --sessions --replace", file.display())).ok();
    assert!(ran.out.contains("0 retained messages, 4 sessions, 5 waiting"), "{}", ran.out);
    same(&sorted(lines(&home, "--sessions --queues")), &only(&before, &["session", "message"]));
    let ran = home.run(&format!("restore {} --client nobody", file.display())).exits(1);
    assert!(ran.err.contains("has no session of \"nobody\""), "{}", ran.err);
}

/// The lines of some kinds, with their totals, sorted.
fn only(lines: &[String], kinds: &[&str]) -> Vec<String> {
    let is_of = |line: &&String| kinds.iter().any(|kind| line.starts_with(&format!("{{\"{kind}")));
    let mut chosen: Vec<_> = lines.iter().filter(is_of).cloned().collect();
    let count = |kind: &str| {
        let is_of = |line: &&String| line.starts_with(&format!("{{\"{kind}"));
        chosen.iter().filter(is_of).count()
    };
    let (retained, sessions) = (count("retained"), count("session"));
    let messages = count("message");
    chosen.push(format!(
        "{{\"end\":{{\"retained\":{retained},\"sessions\":{sessions},\"messages\":{messages}}}}}"
    ));
    sorted(chosen)
}

/// In no order: what is taken in anew comes last.
fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn what_is_in_the_way_is_named_with_the_way_out() {
    let home = with_everything();
    let at = |name: &str| home.path().join(name);
    let run = |words: &str, name: &Path| home.run(&format!("{words} {}", name.display()));
    let (backup, export) = (at("backup"), at("export"));
    run("backup", &backup).ok();
    run("export", &export).ok();
    for (verb, file) in [("backup", &backup), ("export", &export)] {
        let ran = run(verb, file).exits(1);
        assert!(ran.err.contains("is there already\nhint: choose another name"), "{}", ran.err);
    }
    run("backup", &at("no/such/directory")).exits(1);
    let ran = run("restore", &backup).exits(1);
    assert!(ran.err.contains("the broker is running (pid "), "{}", ran.err);
    assert!(ran.err.contains("hint: mqttd stop"), "{}", ran.err);
    home.run("store check").exits(1);
    let ran = run("import", &backup).exits(1);
    assert!(ran.err.contains("is a backup") && ran.err.contains("mqttd restore"), "{}", ran.err);
    let ran = run("restore --retained", &export).exits(1);
    assert!(ran.err.contains("is not a backup") && ran.err.contains("mqttd import"), "{}", ran.err);
    let ran = run("import", &at("nowhere")).exits(1);
    assert!(ran.err.contains("No such file"), "{}", ran.err);
    home.run("export --json").exits(2);
    home.run("backup - --json").exits(2);
    run("restore --replace", &backup).exits(2);
    home.run("stop").ok();
    run("backup", &at("another")).exits(7);
    run("import", &export).exits(7);
    run("restore --retained", &backup).exits(7);
    assert!(!at("another").exists() && !at("another.part").exists());
}

#[test]
fn a_file_that_is_not_sound_changes_nothing() {
    let home = with_everything();
    let file = home.path().join("backup");
    home.run(&format!("backup {}", file.display())).ok();
    let sound = std::fs::read(&file).unwrap();
    let before = lines(&home, "");
    home.run("stop").ok();
    let refused = |bytes: &[u8], words: &str| {
        let damaged = home.path().join("damaged");
        std::fs::write(&damaged, bytes).unwrap();
        let ran = home.run(&format!("restore {}", damaged.display())).exits(1);
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
        same(&lines(&home, ""), &before);
        let data = home.path().join("data");
        let names = std::fs::read_dir(data).unwrap().flatten().map(|entry| entry.file_name());
        assert!(names.into_iter().all(|name| name == "LOCK" || name == "mqttd.db"), "{words}");
    };
    refused(b"", "is not a backup");
    refused(b"{}\n", "is not a backup");
    refused(&sound[..sound.len() - 4096], "is damaged");
    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes()); // user_version
    refused(&newer, "has format 99");
    // Each page with data: a flipped bit there is found, or makes no difference.
    let mut found = 0;
    let damaged = home.path().join("flipped");
    for page in 0..sound.len() / 4096 {
        let mut flipped = sound.clone();
        flipped[page * 4096 + 4090] ^= 4; // in use where the page has anything
        std::fs::write(&damaged, &flipped).unwrap();
        let ran = home.run(&format!("export --from {}", damaged.display()));
        if ran.code == Some(0) {
            assert_eq!(ran.out.lines().skip(1).collect::<Vec<_>>(), before, "page {page}");
        } else {
            assert!(ran.err.contains("damaged"), "page {page}: {}", ran.err);
            found += 1;
        }
    }
    assert!(found >= 3, "{found}");
}

#[test]
fn a_line_that_cannot_be_taken_in_is_named_before_any_is() {
    let home = Home::new();
    home.start();
    let good = r#"{"retained":{"topic":"a","payload":"x"}}"#;
    for (text, words) in [
        (format!("{good}\n{{\"retained\":{{\"topic\":\"a/#\",\"payload\":\"x\"}}}}\n"), ":2: "),
        (format!("{good}\n\n\nnonsense\n"), ":4: "),
        (
            format!("{{\"export\":{{\"format\":1,\"mqttd\":\"1\",\"unix_ms\":1}}}}\n{good}\n"),
            "cut short",
        ),
        ("{\"export\":{\"format\":7,\"mqttd\":\"9\",\"unix_ms\":1}}\n".to_owned(), "format 7"),
    ] {
        let file = home.path().join("lines");
        std::fs::write(&file, text).unwrap();
        let ran = home.run(&format!("import {}", file.display())).exits(1);
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
        assert_eq!(home.run("topics").ok().out, "no retained messages\n");
    }
    let ran = home.feed("import -", "nonsense\n").exits(1);
    assert!(ran.err.contains("-:1: "), "{}", ran.err);
    // What is written by hand needs no first and no last line.
    home.feed("import -", &format!("\n{good}")).ok();
    assert!(home.run("topics show a").ok().out.contains("\nx"));
}

#[test]
fn a_restored_store_keeps_what_was_there_aside_each_time() {
    let home = with_everything();
    let file = home.path().join("backup");
    home.run(&format!("backup {}", file.display())).ok();
    let pid = i32::try_from(home.pid()).unwrap();
    home.run("pub -t r/last -q 1 -r -m last").ok();
    let last = lines(&home, "");
    // What is in the file beside the database must not be lost with it.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    while home.run("status").code != Some(1) {}
    for name in ["mqttd.db.before-restore", "mqttd.db.before-restore-2"] {
        let (code, object) = home.json(&format!("restore {}", file.display()));
        assert_eq!(code, Some(0), "{object}");
        let aside = home.path().join("data").join(name);
        assert_eq!(object["result"]["aside"], aside.to_str().unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.path().join("data/mqttd.db")), 0o640);
        assert!(!home.path().join("data/mqttd.db-wal").exists());
    }
    let aside = home.path().join("data/mqttd.db.before-restore");
    same(&lines(&home, &format!("--from {}", aside.display())), &last);
    assert!(!lines(&home, "").iter().any(|line| line.contains("r/last")));
    home.start();
}

/// One topic's publisher: retained, QoS 1, each message one more than the one before.
struct Load {
    acknowledged: AtomicU64,
    sent: AtomicU64,
}

/// Publishers of a load.
const PUBLISHERS: usize = 4;

/// Messages a publisher has under way.
const WINDOW: u64 = 40;

fn publish_on(home: &Home, number: usize, load: &Load, begun: &Barrier, over: &AtomicBool) {
    let (mut wire, _) = Wire::resume(home, &format!("publisher-{number}"));
    let topic = format!("load/{number}");
    begun.wait();
    while !over.load(Ordering::SeqCst) {
        let acknowledged = load.acknowledged.load(Ordering::SeqCst);
        while load.sent.load(Ordering::SeqCst) < acknowledged + WINDOW {
            let next = load.sent.fetch_add(1, Ordering::SeqCst) + 1;
            let packet_id = u16::try_from(next % 60_000 + 1).unwrap();
            let packet = publish(&topic, next.to_string().as_bytes(), 3, packet_id);
            wire.stream.write_all(&packet).unwrap();
        }
        let (first, _) = wire.receive();
        assert_eq!(first, 0x40);
        load.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

/// The last message of each publisher: as the retained one, and in each queue, which has them all.
fn seen(lines: &[String]) -> ([u64; PUBLISHERS], BTreeMap<String, [u64; PUBLISHERS]>) {
    let mut last = [0; PUBLISHERS];
    let mut queues: BTreeMap<String, [u64; PUBLISHERS]> = BTreeMap::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap();
        let of = |entry: &Value| {
            let topic = entry["topic"].as_str().unwrap();
            let publisher: usize = topic.strip_prefix("load/").unwrap().parse().unwrap();
            (publisher, entry["payload"].as_str().unwrap().parse::<u64>().unwrap())
        };
        if let Some(retained) = line.get("retained") {
            let (publisher, number) = of(retained);
            last[publisher] = number;
        } else if let Some(message) = line.get("message") {
            let (publisher, number) = of(message);
            for to in message["to"].as_array().unwrap() {
                let queue = queues.entry(to["client_id"].as_str().unwrap().to_owned());
                let seen = &mut queue.or_default()[publisher];
                assert_eq!(number, *seen + 1, "each follows the one before: {line}");
                *seen = number;
            }
        }
    }
    (last, queues)
}

/// What was restored is one moment: of each publisher all up to some message, in every queue and as
/// retained message alike; nothing that was acknowledged before is missing, and nothing is there
/// that came after.
#[test]
fn a_backup_under_load_is_the_state_of_one_moment() {
    let home = Home::new();
    home.configure(
        "[session]\nqueue_messages_max = 10000000\nqueue_bytes_max = \"4GiB\"\n[server]\nshards = 2\n",
    );
    home.start();
    for client_id in ["a", "b", "c"] {
        away(&home, client_id, "load/#", "");
    }
    let loads: Vec<_> = (0..PUBLISHERS)
        .map(|_| Load { acknowledged: AtomicU64::new(0), sent: AtomicU64::new(0) })
        .collect();
    let (loads, over) = (Arc::new(loads), AtomicBool::new(false));
    let begun = Barrier::new(PUBLISHERS + 1);
    let file = home.path().join("backup");
    let least = |loads: &[Load]| {
        loads.iter().map(|load| load.acknowledged.load(Ordering::SeqCst)).collect::<Vec<_>>()
    };
    let (before, after) = thread::scope(|scope| {
        for number in 0..PUBLISHERS {
            let (home, load, begun, over) = (&home, &loads[number], &begun, &over);
            scope.spawn(move || publish_on(home, number, load, begun, over));
        }
        begun.wait();
        while least(&loads).iter().any(|&acknowledged| acknowledged < 300) {
            thread::yield_now();
        }
        let before = least(&loads);
        home.run(&format!("backup {}", file.display())).ok();
        let after: Vec<_> = loads.iter().map(|load| load.sent.load(Ordering::SeqCst)).collect();
        let then = least(&loads);
        while least(&loads).iter().zip(&then).any(|(now, then)| *now < then + 100) {
            thread::yield_now();
        }
        over.store(true, Ordering::SeqCst);
        (before, after)
    });
    let from_file = format!("--from {}", file.display());
    let of_file = lines(&home, &from_file);
    let other = Home::new();
    other.run(&format!("restore {}", file.display())).ok();
    other.start();
    // Who was connected is away now; all else is as it was.
    let all_else = |lines: &[String]| {
        let is_publisher = |line: &&String| line.contains("\"client_id\":\"publisher-");
        lines.iter().filter(|line| !is_publisher(line)).cloned().collect::<Vec<_>>()
    };
    same(&all_else(&lines(&other, "")), &all_else(&of_file));
    let (last, queues) = seen(&of_file);
    assert_eq!(queues.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    for publisher in 0..PUBLISHERS {
        let (least, most) = (before[publisher], after[publisher]);
        let last = last[publisher];
        assert!((least..=most).contains(&last), "{least} <= {last} <= {most}");
        for (client_id, seen) in &queues {
            assert_eq!(seen[publisher], last, "{client_id}, publisher {publisher}");
        }
    }
}

#[test]
fn a_backup_goes_through_a_pipe() {
    let home = with_everything();
    let file = home.path().join("piped");
    let line = format!(
        "'{MQTTD}' --home '{}' backup - | cat >'{}'",
        home.path().display(),
        file.display()
    );
    let status = std::process::Command::new("sh").args(["-c", &line]).status().unwrap();
    assert!(status.success());
    same(&lines(&home, &format!("--from {}", file.display())), &lines(&home, ""));
}

/// Flips a bit in a page of the stopped broker's store that holds this text.
fn damage(home: &Home, text: &str) {
    let path = home.path().join("data/mqttd.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_store_is_refused_checked_and_repaired() {
    let home = with_everything();
    home.run("pub -t q/spoilt -q 1 -m spoilt-by-the-disk").ok();
    let before = lines(&home, "");
    home.run("stop").ok();
    let (code, object) = home.json("store check");
    assert_eq!(code, Some(0), "{object}");
    assert_eq!(object["result"]["kept"]["sessions"], 4, "{object}");
    let ran = home.run("store repair").ok(); // nothing to do
    assert!(ran.out.contains("nothing was changed"), "{}", ran.out);
    damage(&home, "spoilt-by-the-disk");
    let ran = home.run("store check").exits(65);
    assert!(
        ran.err.contains("is damaged") && ran.err.contains("mqttd store repair"),
        "{}",
        ran.err
    );
    let (code, object) = home.json("store repair");
    assert_eq!((code, &object["changed"]), (Some(0), &true.into()), "{object}");
    assert_eq!(object["result"]["lost"].as_array().unwrap().len(), 1, "{object}");
    let aside = object["result"]["aside"].as_str().unwrap();
    assert!(Path::new(aside).exists(), "{aside}");
    home.run("store check").ok();
    home.start();
    let after = lines(&home, "");
    let is_kept = |line: &&String| !line.contains("q/spoilt") && !line.starts_with("{\"end\"");
    let kept = |lines: &[String]| lines.iter().filter(is_kept).cloned().collect::<Vec<_>>();
    same(&kept(&after), &kept(&before));
    assert!(!after.iter().any(|line| line.contains("q/spoilt")));
}

/// The broker could not open what root left there.
#[test]
fn what_root_restores_belongs_to_the_owner_of_the_data() {
    use std::os::unix::fs::{MetadataExt, chown};
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root restores for others");
        return;
    }
    let home = with_everything();
    let file = home.path().join("backup");
    home.run(&format!("backup {}", file.display())).ok();
    let other = Home::new();
    let (data, run) = (other.path().join("data"), other.path().join("run"));
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(&run).unwrap();
    chown(&data, Some(4321), Some(4322)).unwrap();
    for _ in 0..2 {
        other.run(&format!("restore {}", file.display())).ok();
        other.run("store check").ok();
        other.run("store repair").ok();
        other.run("export --retained").ok();
    }
    let names = |dir: &Path| std::fs::read_dir(dir).unwrap().flatten().collect::<Vec<_>>();
    for entry in names(&data).into_iter().chain(names(&run)) {
        let metadata = entry.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (4321, 4322), "{entry:?}");
    }
}

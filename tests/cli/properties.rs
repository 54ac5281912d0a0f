//! What MQTT 5.0 has beyond a topic and a payload, as `pub` and `sub` say and show it.

use std::io::{BufRead, BufReader};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::bench::{Home, Ran};
use crate::mqtt::subscribed;

/// Every property a publisher may give.
const ALL: &str = "-D content-type=text/plain -D response-topic=r/ü -D correlation-data=c1 \
    -D message-expiry-interval=500 -D payload-format-indicator=1 -D topic-alias=3 \
    -D größe=5½ -D k=2 -D k=1 -U content-type=mine";

#[test]
fn properties_of_all_kinds_are_printed_for_programs_and_for_people() {
    let home = Home::new();
    home.start();
    let words = "sub -t v/# -C 1 -q 2 --subscription-id 7";
    let for_programs = subscribed(&home, &format!("{words} --json"), "v/");
    let for_people = subscribed(&home, &format!("{words} -v -i people"), "v/");
    home.run(&format!("pub -t v/x -q 2 -m hello {ALL}")).ok();
    let object = Ran::of(for_programs.wait_with_output().unwrap()).ok().object();
    let expected = json!({
        "content_type": "text/plain", "response_topic": "r/ü", "correlation_data": "c1",
        "message_expiry_interval": 500, "payload_format_indicator": 1,
        "subscription_identifiers": [7],
        "user_properties": [["größe", "5½"], ["k", "2"], ["k", "1"], ["content-type", "mine"]],
    });
    let result = &object["result"];
    assert_eq!(result["properties"], expected);
    assert_eq!((&result["qos"], &result["dup"]), (&json!(2), &json!(false)));
    assert!(result["received_unix_ms"].as_u64().unwrap() > 1_700_000_000_000, "{result}");
    let text = Ran::of(for_people.wait_with_output().unwrap()).ok().out;
    assert!(text.starts_with("v/x hello\n"), "{text}");
    for line in [
        "content-type: text/plain",
        "response-topic: r/ü",
        "correlation-data: c1",
        "message-expiry-interval: 500",
        "payload-format-indicator: 1",
        "subscription-identifier: 7",
    ] {
        assert!(text.contains(&format!("\n  {line}\n")), "{text}");
    }
    let in_order = "  user größe: 5½\n  user k: 2\n  user k: 1\n  user content-type: mine\n";
    assert!(text.contains(in_order), "{text}");
}

#[test]
fn what_is_no_text_comes_in_base64() {
    let home = Home::new();
    home.start();
    let file = home.path().join("binary");
    std::fs::write(&file, [0xff, 0x00, 0x0a]).unwrap();
    home.run(&format!("pub -t b -r -q 1 -f {}", file.display())).ok();
    let object = home.run("sub -t b -C 1 --json").ok().object();
    assert_eq!(object["result"]["payload_base64"], "/wAK");
    assert!(object["result"].get("payload").is_none(), "{object}");
    assert_eq!(home.run("sub -t b -C 1 -F %x -N").ok().out, "ff000a");
}

#[test]
fn what_only_5_has_is_refused_in_other_versions() {
    let home = Home::new();
    home.start();
    for words in [
        "pub -t a -m b -D k=v",
        "pub -t a -m b -U k=v",
        "pub -t a -m b --connect-property receive-maximum=1",
        "pub -t a -m b --will-topic w --will-property will-delay-interval=1",
        "sub -t a -i x -x 5",
        "sub -t a --no-local",
        "sub -t a --retain-as-published",
        "sub -t a --retain-handling never",
        "sub -t a --subscription-id 1",
    ] {
        for version in ["3.1", "3.1.1"] {
            let ran = home.run(&format!("{words} -V {version}")).exits(2);
            assert!(ran.err.contains("needs MQTT 5.0"), "{words}: {}", ran.err);
        }
    }
    for words in [
        "pub -t a -m b -D receive-maximum=1",
        "pub -t a -m b -D topic-alias=0",
        "pub -t a -m b -D nonsense",
        "sub -t a --connect-property session-expiry-interval=5",
    ] {
        let (code, object) = home.json(words);
        assert_eq!((code, &object["error"]["code"]), (Some(2), &json!("bad_property")), "{words}");
    }
    home.run("pub -t a -m b -D topic-alias=65535").exits(1);
}

#[test]
fn retained_messages_as_wanted() {
    let home = Home::new();
    home.start();
    home.feed("pub -t k/1 -r -l -q 1", "old\nkept").ok();
    home.run("pub -t k/2 -r -q 1 -m two").ok();
    assert_eq!(home.run("sub -t k/# --retained-only -F %t=%p").ok().out, "k/1=kept\nk/2=two\n");
    for words in ["-R", "-R -V 3.1.1", "--retain-handling never"] {
        let ran = home.run(&format!("sub -t k/# -W 1 {words}")).exits(1);
        assert_eq!(ran.out, "", "{words}");
    }
    let ran = home.run("sub -t k/# -W 1 -C 3").exits(1);
    assert_eq!(ran.out, "kept\ntwo\n");
    assert!(ran.err.contains("2 of 3 messages"), "{}", ran.err);
    let published = subscribed(&home, "sub -t n/x -q 1 -F %r -C 2 --retain-as-published", "n/x");
    home.run("pub -t n/x -r -q 1 -m a").ok();
    home.run("pub -t n/x -q 1 -m a").ok();
    assert_eq!(Ran::of(published.wait_with_output().unwrap()).ok().out, "1\n0\n");
}

#[test]
fn a_session_lasts_as_long_as_wanted_and_gives_up_a_filter() {
    let home = Home::new();
    home.start();
    home.run("sub -c -i keeper -x 300 -t s/a -t s/b -q 1 -E").ok();
    let (_, object) = home.json("clients show keeper");
    assert_eq!(object["result"]["session_expiry_interval_secs"], 300);
    home.run("sub -c -i keeper -x 300 -U s/a").ok();
    home.run("pub -t s/a -q 1 -m unwanted").ok();
    home.run("pub -t s/b -q 1 -m first").ok();
    home.run("pub -t s/b -q 1 -m second").ok();
    // What comes after the last one wanted waits for the next time.
    for expected in ["first\n", "second\n"] {
        assert_eq!(home.run("sub -c -i keeper -t s/b -q 1 -C 1").ok().out, expected);
    }
    home.run("sub -U s/a").exits(2);
}

#[test]
fn a_will_has_properties() {
    let home = Home::new();
    home.start();
    let watcher = subscribed(&home, "sub -t w/x -C 1 --json", "w/x");
    let words = "sub -t other -i dying --will-topic w/x --will-payload gone \
        --will-property content-type=text/plain --will-property will-delay-interval=0 \
        --will-property k=v";
    let mut dying = subscribed(&home, words, "other");
    dying.kill().unwrap();
    dying.wait().unwrap();
    let object = Ran::of(watcher.wait_with_output().unwrap()).ok().object();
    let expected = json!({ "content_type": "text/plain", "user_properties": [["k", "v"]] });
    assert_eq!(object["result"]["properties"], expected);
}

#[test]
fn aliases_of_the_broker_are_topics_again() {
    let home = Home::new();
    home.start();
    let words = "sub -t al/# -q 1 -C 6 -F %t --connect-property topic-alias-maximum=2";
    let child = subscribed(&home, words, "al/");
    let topics = ["al/1", "al/2", "al/1", "al/3", "al/1", "al/3"];
    for topic in topics {
        home.run(&format!("pub -t {topic} -q 1 -m x")).ok();
    }
    let shown = Ran::of(child.wait_with_output().unwrap()).ok().out;
    assert_eq!(shown.lines().collect::<Vec<_>>(), topics);
}

#[test]
fn a_publisher_learns_that_nobody_listens_and_that_it_was_too_much() {
    let home = Home::new();
    home.configure("[limits]\npacket_bytes_max = 4096");
    home.start();
    let (code, object) = home.json("pub -t nobody -q 1 -m x");
    let reason = &object["result"]["reason"];
    assert_eq!((code, reason), (Some(0), &json!("No matching subscribers")));
    let file = home.path().join("large");
    std::fs::write(&file, [0; 5000]).unwrap();
    for version in ["3.1", "3.1.1", "5"] {
        for qos in 0..=2 {
            let words = format!("pub -V {version} -q {qos} -t large -f {}", file.display());
            home.run(&words).exits(1); // also where nothing is acknowledged
        }
    }
}

#[test]
fn ctrl_c_ends_a_stream_of_messages_in_order() {
    let home = Home::new();
    home.start();
    let mut child = subscribed(&home, "sub -t c/x", "c/x");
    home.run("pub -t c/x -q 1 -m one").ok();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "one");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert!(lines.next().is_none());
    let ran = Ran::of(child.wait_with_output().unwrap()).ok();
    assert_eq!(ran.err, "");
}

//! The command line itself: usage, help, output that cannot be written, odd surroundings.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::bench::{Home, MQTTD, Ran};

fn run(words: &[&str]) -> Ran {
    Ran::of(Command::new(MQTTD).args(words).stdin(Stdio::null()).output().unwrap())
}

/// All command lines of the tree, without arguments.
fn verbs() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let path: Vec<_> = path.iter().cloned().chain([verb.get_name().to_owned()]).collect();
            walk(verb, &path, found);
            found.push(path);
        }
    }
    let mut found = Vec::new();
    walk(&mqttd::cli::command(), &[], &mut found);
    found
}

#[test]
fn the_tree_of_commands_is_sound() {
    mqttd::cli::command().debug_assert();
}

#[test]
fn without_a_verb_help_is_printed_and_that_is_wrong_use() {
    let ran = run(&[]).exits(2);
    assert!(ran.out.is_empty() && ran.err.contains("Usage: mqttd"), "{}", ran.err);
}

#[test]
fn each_verb_has_help_with_examples() {
    for verb in verbs() {
        let words: Vec<_> = ["help"].into_iter().chain(verb.iter().map(String::as_str)).collect();
        let ran = run(&words).ok();
        let is_noun =
            verb.len() == 1 && verbs().iter().any(|other| other.len() == 2 && other[0] == verb[0]);
        assert!(is_noun || ran.out.contains("Examples:\n  "), "{verb:?}: {}", ran.out);
    }
}

#[test]
fn p46_a_bad_flag_is_wrong_use() {
    for words in [&["ping", "--bogus"][..], &["nosuch"], &["clients", "show"], &["pub"]] {
        let ran = run(words).exits(2);
        assert!(ran.out.is_empty() && !ran.err.is_empty());
        let with_json: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let object = run(&with_json).exits(2).object();
        assert_eq!(object["error"]["code"], "usage");
    }
}

/// Without a broker, each verb gives one object of the one schema.
#[test]
fn p55_each_verb_prints_one_object() {
    let home = Home::bare();
    for verb in verbs() {
        let name = verb.join(" ");
        if matches!(name.as_str(), "start" | "restart" | "console" | "foreground" | "log" | "store")
        {
            continue; // they would boot, or need a verb
        }
        let arguments = match name.as_str() {
            "pub" => " -t a -m b",
            "sub" => " -t a",
            "publish" => " a b",
            "clients show" | "clients kick" | "topics show" | "topics delete" | "sessions show"
            | "sessions delete" | "queue" => " x",
            "backup" | "restore" | "import" | "export" => " /nowhere/x",
            _ => "",
        };
        let (code, object) = home.json(&format!("{name}{arguments}"));
        let expected = match name.as_str() {
            "ping" | "status" => 3,
            "stop" | "version" | "check-config" => 0,
            // Of a broker that is stopped, of which nothing is kept yet.
            "restore" | "export" | "store check" | "store repair" => 1,
            _ => 7,
        };
        assert_eq!(code, Some(expected), "{name}: {object}");
        assert_eq!(object["ok"], code == Some(0), "{name}");
        let state = object["state"].as_str().unwrap();
        assert_eq!(state, "stopped", "{name}");
    }
}

#[test]
fn errors_are_on_stderr_with_the_way_out() {
    let home = Home::bare();
    let ran = home.run("clients list").exits(7);
    assert!(ran.out.is_empty());
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines[0], "mqttd: the broker is not running");
    assert!(lines[1].starts_with("hint: mqttd --home ") && lines.len() == 2, "{lines:?}");
}

#[test]
fn p56_output_that_cannot_be_written_is_told_or_quiet_but_no_panic() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for words in [&["version"][..], &["help"], &["version", "--json"]] {
        let output = Command::new(MQTTD).args(words).stdout(full()).output().unwrap();
        let ran = Ran::of(output).exits(1);
        assert!(ran.err.contains("cannot write to standard output"), "{}", ran.err);
    }
    let output = Command::new(MQTTD).arg("nosuch").stderr(full()).output().unwrap();
    Ran::of(output).exits(2);
}

#[test]
fn p56_a_closed_pipe_is_quiet() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(MQTTD).arg("version").stdout(writer).output().unwrap();
    let ran = Ran::of(output).ok();
    assert!(ran.err.is_empty(), "{}", ran.err);
}

#[test]
fn p56_no_home_no_path_no_terminal() {
    let home = Home::bare();
    let mut command = home.command("status");
    let ran = Ran::of(command.env_clear().env("MQTTD_NO_SYSTEMD", "1").output().unwrap());
    assert_eq!(ran.exits(3).out, "mqttd is not running\n");
}

#[test]
fn p51_relative_paths_and_spaces() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("a broker");
    std::fs::create_dir_all(home.join("run")).unwrap();
    std::fs::write(home.join("run/mqttd.pid"), "1\n").unwrap();
    let mut command = Command::new(MQTTD);
    command.current_dir(dir.path()).args(["--home", "a broker", "status"]);
    let ran = Ran::of(command.output().unwrap()).exits(1);
    assert!(ran.out.contains("left its pid file"), "{}", ran.out);
}

/// Codes given to `Failure::new` and `Problem::new` in the sources.
fn codes_in(dir: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            codes_in(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            for start in ["Failure::new(", "Problem::new(", " failed("] {
                for after in source.split(start).skip(1) {
                    let mut parts = after.split('"');
                    let before = parts.next().unwrap().trim();
                    let is_first = before.is_empty()
                        || (before.starts_with("Exit::") && before.matches(',').count() == 1);
                    let code = parts.next().unwrap_or_default();
                    if is_first && !code.contains(' ') {
                        found.push((code.to_owned(), path.display().to_string()));
                    }
                }
            }
        }
    }
}

#[test]
fn p62_each_code_of_an_error_is_in_the_list() {
    let mut found = Vec::new();
    codes_in(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let listed = |code: &str| mqttd::cli::CODES.iter().any(|(known, _)| *known == code);
    let missing: Vec<_> = found.iter().filter(|(code, _)| !listed(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(mqttd::cli::CODES.is_sorted());
}

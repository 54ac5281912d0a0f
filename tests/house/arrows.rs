//! Which room may name which: the arrows of the house.

use crate::source::{Crate, Offence};

/// A room, its floor, and the rooms it may name besides itself.
const ROOMS: &[(&str, u8, &[&str])] = &[
    ("codec", 0, &[]),
    ("topic", 0, &[]),
    ("session", 1, &["codec", "topic"]),
    ("broker", 2, &["session", "codec", "topic"]),
    ("transport", 3, &[]),
    ("store", 3, &["broker", "codec", "topic"]),
    ("auth", 3, &["broker", "codec", "topic"]),
    ("server", 4, &["codec", "topic", "session", "broker", "store", "auth", "transport"]),
    ("admin", 5, &["server", "broker", "codec", "topic"]),
    ("control", 5, &["admin"]),
    ("http", 5, &["admin"]),
    ("cli", 6, &["admin", "control", "codec", "topic"]),
    (
        "daemon",
        6,
        &[
            "cli",
            "http",
            "control",
            "admin",
            "server",
            "store",
            "auth",
            "transport",
            "broker",
            "session",
            "codec",
            "topic",
        ],
    ),
    ("main", 6, &["cli", "daemon", "control", "admin"]),
    ("lib", 6, &[]),
];

/// Rooms named that may not be.
pub(crate) fn offences(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        let room = source.room();
        let Some((_, floor, may)) = ROOMS.iter().find(|(name, ..)| *name == room) else {
            offences.push(Offence::new(source, 1, format!("`{room}` is no room of the house")));
            return;
        };
        for named in source.paths() {
            let [first, target, ..] = named.path.as_slice() else {
                continue;
            };
            let is_room = ROOMS.iter().any(|(name, ..)| name == target);
            let through_the_root = first == "crate" && target == "*";
            if first != "crate" || target == room || !(is_room || through_the_root) {
                continue;
            }
            if !may.contains(&target.as_str()) {
                let may = if may.is_empty() { "no other room".to_owned() } else { may.join(", ") };
                let path = named.text();
                let what = format!("names `{path}`; `{room}` (floor {floor}) may name {may}");
                offences.push(Offence::new(source, named.line, what));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<String> {
        offences(&Crate::of(&[(file, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_upward_use_is_found() {
        let found = found("src/session/queue.rs", "\nuse crate::broker::Shard;");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("src/session/queue.rs:2: names `crate::broker::Shard`"));
    }

    #[test]
    fn a_path_in_an_expression_a_macro_or_a_group_is_found() {
        for text in [
            "fn f() { crate::server::start(); }",
            "fn f() { println!(\"{}\", crate::server::X); }",
            "use crate::{codec, server::{self as s}};",
            "fn f() { super::super::server::start(); }",
            "use mqttd::server;",
            "use crate::*;",
        ] {
            assert_eq!(found("src/broker/mail.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn siblings_do_not_know_each_other() {
        assert_eq!(found("src/codec/wire.rs", "use crate::topic::Trie;").len(), 1);
        assert_eq!(found("src/store/mod.rs", "use crate::auth::Acl;").len(), 1);
        assert_eq!(found("src/store/mod.rs", "use crate::session::Queue;").len(), 1);
        assert_eq!(found("src/transport/tcp.rs", "use crate::codec::Frame;").len(), 1);
        assert_eq!(found("src/http/mod.rs", "use crate::broker::Stats;").len(), 1);
    }

    #[test]
    fn the_command_boots_nothing_itself() {
        assert_eq!(found("src/cli/mod.rs", "use crate::server::Server;").len(), 1);
        assert_eq!(found("src/cli/mod.rs", "use crate::daemon::boot;").len(), 1);
        assert_eq!(found("src/main.rs", "fn main() { mqttd::server::run() }").len(), 1);
        assert!(found("src/main.rs", "fn main() { mqttd::cli::run(mqttd::daemon::X) }").is_empty());
    }

    #[test]
    fn a_room_without_a_floor_is_found() {
        assert_eq!(found("src/misplaced/mod.rs", "").len(), 1);
    }

    #[test]
    fn downward_arrows_and_tests_are_free() {
        let text = "use crate::codec::QoS; use super::Now; \
                    #[cfg(test)] mod tests { use crate::server::Server; }";
        assert!(found("src/broker/mail.rs", text).is_empty());
    }
}

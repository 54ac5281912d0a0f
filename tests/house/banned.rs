//! What may not be named or written in certain places: waiting, sockets, files, threads, locks,
//! clocks, chance, mutable statics, `unwrap`, `#[allow]`.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use crate::source::{Crate, Named, Offence, Source, is_punct, root};

/// Libraries that only compute.
const PLAIN: &[&str] = &["bytes", "foldhash", "thiserror"];

/// Offences of the floors 0 to 2 by the paths they name.
fn below(house: &Crate, wrong: impl Fn(&Source, &Named) -> bool, what: &str) -> Vec<Offence> {
    house.each(|source, offences| {
        if !source.only_computes() {
            return;
        }
        for named in source.paths().iter().filter(|named| wrong(source, named)) {
            let text = named.text();
            offences.push(Offence::new(source, named.line, format!("names `{text}`: {what}")));
        }
    })
}

fn any(named: &Named, prefixes: &[&[&str]]) -> bool {
    prefixes.iter().any(|prefix| named.starts_with(prefix))
}

/// Libraries of Cargo.toml other than [`PLAIN`] ones.
pub(crate) fn crates(house: &Crate) -> Vec<Offence> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let dependencies = manifest["dependencies"].as_table().expect("a table of dependencies");
    let libraries: Vec<String> = dependencies.keys().map(|name| name.replace('-', "_")).collect();
    let wrong = |_: &Source, named: &Named| {
        let first = named.path[0].as_str();
        let used = named.path.len() > 1 && libraries.iter().any(|library| library == first);
        used && !PLAIN.contains(&first)
    };
    below(house, wrong, &format!("only std and {} here", PLAIN.join(", ")))
}

pub(crate) fn waiting(house: &Crate) -> Vec<Offence> {
    let wrong = |_: &Source, named: &Named| {
        let first = named.path[0].as_str();
        matches!(first, "async" | "await" | "tokio" | "futures")
            || any(named, &[&["std", "future"], &["std", "task"], &["core", "future"]])
    };
    below(house, wrong, "a step never waits")
}

pub(crate) fn sockets(house: &Crate) -> Vec<Offence> {
    const ADDRESSES: &[&str] =
        &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"];
    let wrong = |_: &Source, named: &Named| {
        let address = named.path.get(2).is_some_and(|name| ADDRESSES.contains(&name.as_str()));
        let net = any(named, &[&["std", "net"], &["core", "net"]]);
        let other = [&["std", "os"][..], &["mio"], &["socket2"], &["nix"], &["interprocess"]];
        (net && !address) || any(named, &other)
    };
    below(house, wrong, "no sockets here")
}

pub(crate) fn files(house: &Crate) -> Vec<Offence> {
    let places = [&["std", "fs"][..], &["std", "io"], &["std", "env"], &["std", "process"]];
    below(house, |_, named| any(named, &places), "no input or output here")
}

pub(crate) fn threads(house: &Crate) -> Vec<Offence> {
    let wrong = |_: &Source, named: &Named| {
        any(named, &[&["std", "thread"], &["thread_local"], &["rayon"], &["crossbeam"]])
    };
    below(house, wrong, "no threads here")
}

pub(crate) fn locks(house: &Crate) -> Vec<Offence> {
    let wrong = |source: &Source, named: &Named| {
        let shared = named.path.get(2).is_some_and(|name| {
            matches!(name.as_str(), "Arc" | "Weak" | "atomic") // counted or single words: no lock
        });
        let sync = named.starts_with(&["std", "sync"]) && !shared;
        let lock = sync || any(named, &[&["parking_lot"], &["spin"], &["arc_swap"]]);
        lock && source.file != "src/broker/commons.rs"
    };
    below(house, wrong, "no locks here")
}

pub(crate) fn time(house: &Crate) -> Vec<Offence> {
    let wrong = |_: &Source, named: &Named| {
        let duration = named.path.get(2).is_some_and(|name| name == "Duration");
        let std = any(named, &[&["std", "time"], &["core", "time"]]);
        (std && !duration) || any(named, &[&["chrono"], &["time"], &["jiff"]]) && !std
    };
    below(house, wrong, "no clocks here")
}

pub(crate) fn chance(house: &Crate) -> Vec<Offence> {
    let wrong = |_: &Source, named: &Named| {
        let path: Vec<&str> = named.path.iter().map(String::as_str).collect();
        let seeded_by_chance = path.contains(&"RandomState")
            || matches!(
                path.as_slice(),
                [.., "HashMap" | "HashSet", "new" | "with_capacity" | "from" | "from_iter"]
            );
        seeded_by_chance || any(named, &[&["rand"], &["getrandom"], &["fastrand"], &["uuid"]])
    };
    below(house, wrong, "no chance here")
}

/// Sockets and HTTP in admin.
pub(crate) fn faces(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        if source.room() != "admin" {
            return;
        }
        for named in source.paths() {
            let address = named.path.get(2).is_some_and(|name| name.contains("Addr"));
            let net = any(&named, &[&["std", "net"], &["std", "os"], &["tokio", "net"]]);
            let face = [
                &["mio"][..],
                &["socket2"],
                &["interprocess"],
                &["http"],
                &["axum"],
                &["hyper"],
                &["tower"],
                &["tower_http"],
            ];
            if (net && !address) || any(&named, &face) {
                let what = format!("names `{}`: no sockets, no HTTP in admin", named.text());
                offences.push(Offence::new(source, named.line, what));
            }
        }
    })
}

/// Readings of a clock outside server/clock.rs, tests included.
pub(crate) fn clock_readings(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        if source.file == "src/server/clock.rs" {
            return;
        }
        for named in source.paths_everywhere() {
            let reads = matches!(
                named.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
                [.., "Instant" | "SystemTime" | "Utc" | "Local", "now"]
                    | [.., "clock_gettime" | "gettimeofday"]
            );
            if reads {
                let what = format!("`{}` reads a clock", named.text());
                offences.push(Offence::new(source, named.line, what));
            }
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            let code = line.split("//").next().unwrap_or(line);
            if code.contains(".elapsed()") {
                offences.push(Offence::new(source, number, "`.elapsed()` reads a clock"));
            }
        }
    })
}

/// `unwrap` and `unwrap_err` outside tests.
pub(crate) fn unwraps(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        for named in source.paths() {
            if matches!(named.path.last().map(String::as_str), Some("unwrap" | "unwrap_err")) {
                let what = format!("`{}` outside tests", named.text());
                offences.push(Offence::new(source, named.line, what));
            }
        }
    })
}

/// Statics that can change: `static mut`, inner mutability, `thread_local!`.
pub(crate) fn statics(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        let mut statics = Statics::default();
        statics.visit_file(source.syntax());
        for (line, what) in statics.found {
            if !source.is_test(line) {
                offences.push(Offence::new(source, line, what));
            }
        }
    })
}

#[derive(Default)]
struct Statics {
    found: Vec<(usize, String)>,
}

impl<'ast> Visit<'ast> for Statics {
    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let mut types = Types::default();
        types.visit_type(&item.ty);
        let cell = types.names.iter().find(|name| {
            let cells = ["Mutex", "RwLock", "Cell", "RefCell", "OnceLock", "OnceCell"];
            cells.contains(&name.as_str()) || name.starts_with("Atomic")
        });
        let line = item.ident.span().start().line;
        if matches!(item.mutability, syn::StaticMutability::Mut(_)) {
            self.found.push((line, format!("`static mut {}`", item.ident)));
        } else if let Some(cell) = cell {
            self.found.push((line, format!("static `{}` can change: {cell}", item.ident)));
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|last| last.ident == "thread_local") {
            let line = call.path.segments[0].ident.span().start().line;
            self.found.push((line, "`thread_local!` state".to_owned()));
        }
    }
}

#[derive(Default)]
struct Types {
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for Types {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.names.push(segment.ident.to_string());
        syn::visit::visit_path_segment(self, segment);
    }
}

/// `#[allow(…)]`, also inside `cfg_attr`.
pub(crate) fn allows(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        let mut lines = Vec::new();
        attributes_that_allow(source.tokens(), false, &mut lines);
        for line in lines {
            offences.push(Offence::new(source, line, "an attribute that allows a lint"));
        }
    })
}

fn attributes_that_allow(tokens: TokenStream, inside: bool, lines: &mut Vec<usize>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let before = at.checked_sub(1).and_then(|at| tokens.get(at));
                let mark = is_punct(before, '#')
                    || (is_punct(before, '!')
                        && is_punct(at.checked_sub(2).and_then(|at| tokens.get(at)), '#'));
                attributes_that_allow(group.stream(), inside || mark, lines);
            }
            TokenTree::Ident(ident) if inside && ident == "allow" => {
                lines.push(ident.span().start().line);
            }
            _ => {}
        }
    }
}

/// `todo!` and `unimplemented!`, tests included.
pub(crate) fn stubs(house: &Crate) -> Vec<Offence> {
    house.each(|source, offences| {
        let mut lines = Vec::new();
        stub_calls(source.tokens(), &mut lines);
        for line in lines {
            offences.push(Offence::new(source, line, "a body that is not written yet"));
        }
    })
}

fn stub_calls(tokens: TokenStream, lines: &mut Vec<usize>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => stub_calls(group.stream(), lines),
            TokenTree::Ident(ident)
                if (ident == "todo" || ident == "unimplemented")
                    && is_punct(tokens.get(at + 1), '!') =>
            {
                lines.push(ident.span().start().line);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Crate) -> Vec<Offence>;

    fn count(rule: Rule, file: &str, text: &str) -> usize {
        rule(&Crate::of(&[(file, text)])).len()
    }

    #[test]
    fn each_banned_thing_is_found_below_and_free_above() {
        let cases: &[(Rule, &str)] = &[
            (crates, "use serde_json::Value;"),
            (waiting, "async fn f() {}"),
            (waiting, "use tokio::sync::mpsc;"),
            (sockets, "use std::net::TcpStream;"),
            (sockets, "use std::net; fn f(s: net::UdpSocket) {}"),
            (sockets, "use std::os::fd::OwnedFd;"),
            (files, "fn f() { std::fs::read(\"x\").ok(); }"),
            (files, "use std::{io, str};"),
            (threads, "fn f() { std::thread::spawn(|| ()); }"),
            (threads, "use std::thread::*;"),
            (locks, "use std::sync::{Arc, Mutex};"),
            (locks, "use std::sync; struct S { a: sync::RwLock<u8> }"),
            (time, "use std::time::{Duration, Instant};"),
            (chance, "use std::collections::hash_map::RandomState;"),
            (
                chance,
                "use std::collections::HashMap; fn f() { HashMap::<u8, u8>::default(); \
                      let m: HashMap<u8, u8> = HashMap::new(); }",
            ),
        ];
        for (rule, text) in cases {
            assert!(count(*rule, "src/broker/mail.rs", text) > 0, "{text}");
            assert_eq!(count(*rule, "src/server/lobby.rs", text), 0, "{text}");
            let tests = format!("#[cfg(test)] mod tests {{ {text} }}");
            assert_eq!(count(*rule, "src/broker/mail.rs", &tests), 0, "{text}");
        }
    }

    #[test]
    fn values_are_no_offence() {
        let text = "use std::net::SocketAddr; use std::sync::{Arc, atomic::AtomicU64}; \
                    use std::time::Duration; use foldhash::fast::FixedState; \
                    /// Uses tokio::net and std::fs in words only.\nfn f() { \"std::fs\"; }";
        for rule in [crates, waiting, sockets, files, threads, locks, time, chance] {
            assert_eq!(count(rule, "src/broker/mail.rs", text), 0);
        }
    }

    #[test]
    fn the_commons_may_lock() {
        let text = "use std::sync::RwLock;";
        assert_eq!(count(locks, "src/broker/commons.rs", text), 0);
        assert_eq!(count(locks, "src/session/commons.rs", text), 1);
    }

    #[test]
    fn admin_stays_without_a_face() {
        assert_eq!(count(faces, "src/admin/mod.rs", "use axum::Router;"), 1);
        assert_eq!(count(faces, "src/admin/mod.rs", "use tokio::net::UnixStream;"), 1);
        assert_eq!(count(faces, "src/admin/mod.rs", "use std::net::SocketAddr;"), 0);
    }

    #[test]
    fn a_clock_is_read_in_one_file() {
        for text in [
            "fn f() { std::time::Instant::now(); }",
            "use std::time; fn f() { time::SystemTime::now(); }",
            "use std::time::Instant as I; fn f() { I::now(); }",
            "fn f(t: T) { t.elapsed(); }",
            "#[cfg(test)] mod tests { fn f() { std::time::Instant::now(); } }",
        ] {
            assert_eq!(count(clock_readings, "src/daemon/log.rs", text), 1, "{text}");
            assert_eq!(count(clock_readings, "src/server/clock.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn statics_that_change_are_found() {
        for text in [
            "static mut X: u8 = 0;",
            "static X: AtomicU64 = AtomicU64::new(0);",
            "static X: Mutex<Vec<u8>> = Mutex::new(Vec::new());",
            "fn f() { static X: std::sync::OnceLock<u8> = std::sync::OnceLock::new(); }",
            "thread_local! { static X: u8 = 0; }",
        ] {
            assert_eq!(count(statics, "src/daemon/mod.rs", text), 1, "{text}");
        }
        assert_eq!(count(statics, "src/cli/mod.rs", "static X: &[u8] = b\"x\";"), 0);
    }

    #[test]
    fn unwrap_is_for_tests() {
        assert_eq!(count(unwraps, "src/cli/mod.rs", "fn f() { g().unwrap(); }"), 1);
        assert_eq!(count(unwraps, "src/cli/mod.rs", "fn f() { g().map(Option::unwrap); }"), 1);
        assert_eq!(count(unwraps, "src/cli/mod.rs", "fn f() { g().unwrap_or(1); }"), 0);
        assert_eq!(count(unwraps, "src/cli/mod.rs", "#[test] fn f() { g().unwrap(); }"), 0);
    }

    #[test]
    fn allow_is_found_wherever_it_hides() {
        for text in [
            "#![allow(dead_code)]",
            "#[allow(dead_code)] fn f() {}",
            "#[cfg_attr(test, allow(dead_code))] fn f() {}",
            "#[cfg(test)] mod tests { #[allow(dead_code)] fn f() {} }",
        ] {
            assert_eq!(count(allows, "src/cli/mod.rs", text), 1, "{text}");
        }
        let text = "#[expect(dead_code, reason = \"x\")] fn allow() {}";
        assert_eq!(count(allows, "src/cli/mod.rs", text), 0);
    }

    #[test]
    fn a_stub_is_found() {
        for text in ["fn f() { todo!() }", "fn f() { g(|| core::unimplemented!(\"x\")); }"] {
            assert_eq!(count(stubs, "src/cli/mod.rs", text), 1, "{text}");
        }
        assert_eq!(count(stubs, "src/cli/mod.rs", "fn f(todo: bool) -> bool { !todo }"), 0);
    }

    #[test]
    fn tests_in_a_file_of_their_own_are_tests() {
        let house = Crate::of(&[
            ("src/cli/mod.rs", "#[cfg(test)] mod tests;"),
            ("src/cli/tests.rs", "fn f() { g().unwrap(); }"),
        ]);
        assert!(unwraps(&house).is_empty());
    }
}

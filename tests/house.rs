//! The walls of the house, checked on the sources themselves.
//!
//! Every rule of the house (ARCHITECTURE.md, "Walls") is one test here; `cargo test --test house`
//! runs them. An offence is told as file, line, what was found, and why the wall stands. Each rule
//! is itself proven on a bad snippet, at the bottom of the file that holds it.
//!
//! A wall that must move is moved here, in a commit of its own that gives the reason. What this
//! test does not do: judge behaviour, or repeat what the compiler and clippy already enforce.

#![expect(clippy::wildcard_enum_match_arm, reason = "syntax has more forms than a rule looks at")]

#[path = "house/arrows.rs"]
mod arrows;
#[path = "house/banned.rs"]
mod banned;
#[path = "house/hash_order.rs"]
mod hash_order;
#[path = "house/leftovers.rs"]
mod leftovers;
#[path = "house/naming.rs"]
mod naming;
#[path = "house/size.rs"]
mod size;
#[path = "house/source.rs"]
mod source;

use source::{Crate, Offence};

/// Fails with every offence, and with the reason why the wall stands.
fn stands(offences: Vec<Offence>, why: &str) {
    let lines: Vec<String> = offences.iter().map(|offence| format!("  {offence}")).collect();
    assert!(lines.is_empty(), "\n{}\nwhy the wall stands: {why}\n", lines.join("\n"));
}

#[test]
fn arrows_point_down() {
    stands(
        arrows::offences(&Crate::sources()),
        "a floor may know only what lies below it, so that each room can be read, tested and \
         replaced without the ones above; the table is in tests/house/arrows.rs",
    );
}

#[test]
fn floors_0_to_2_use_only_plain_libraries() {
    stands(
        banned::crates(&Crate::sources()),
        "codec, topic, session and broker are machines that only compute; a library that waits, \
         spawns or opens things has no place in them",
    );
}

#[test]
fn floors_0_to_2_have_no_async() {
    stands(
        banned::waiting(&Crate::sources()),
        "a step never waits: everything that waits lives in server and above",
    );
}

#[test]
fn floors_0_to_2_have_no_sockets() {
    stands(
        banned::sockets(&Crate::sources()),
        "a shard knows no socket: bytes come in as slices and leave through trays, so that the \
         same code runs in a simulation (addresses are plain values and may be named)",
    );
}

#[test]
fn floors_0_to_2_have_no_files() {
    stands(
        banned::files(&Crate::sources()),
        "a shard does no input or output: what must survive leaves it as a record",
    );
}

#[test]
fn floors_0_to_2_have_no_threads() {
    stands(
        banned::threads(&Crate::sources()),
        "a shard has one owner and never spawns: threads belong to server",
    );
}

#[test]
fn floors_0_to_2_have_no_locks() {
    stands(
        banned::locks(&Crate::sources()),
        "a shard is owned, not shared; the one shared state is broker/commons.rs",
    );
}

#[test]
fn floors_0_to_2_read_no_clock() {
    stands(
        banned::time(&Crate::sources()),
        "a shard is told the time: only so can a simulation give it any",
    );
}

#[test]
fn floors_0_to_2_have_no_chance() {
    stands(
        banned::chance(&Crate::sources()),
        "the same input gives the same output: seeds come in from outside, and hash maps have \
         hashers with a seed that was given to them",
    );
}

#[test]
fn floors_0_to_2_do_not_iterate_hash_maps() {
    stands(
        hash_order::offences(&Crate::sources()),
        "what a shard does must not depend on a hasher's order: iterate a BTreeMap or a Vec, or \
         keep the order in a list beside the map",
    );
}

#[test]
fn admin_knows_neither_sockets_nor_http() {
    stands(
        banned::faces(&Crate::sources()),
        "admin is the vocabulary; control and http are its faces, and only they know how an \
         operator is reached",
    );
}

#[test]
fn only_the_server_clock_reads_a_clock() {
    stands(
        banned::clock_readings(&Crate::sources()),
        "one file reads the clock, server/clock.rs; all others take the time from it, so that \
         there is one notion of now",
    );
}

#[test]
fn no_mutable_statics() {
    stands(
        banned::statics(&Crate::sources()),
        "state that belongs to nobody can be tested by nobody: give it an owner",
    );
}

#[test]
fn no_unwrap_outside_tests() {
    stands(
        banned::unwraps(&Crate::sources()),
        "handle the error, or say with expect why there cannot be one",
    );
}

#[test]
fn no_allow_attributes() {
    stands(
        banned::allows(&Crate::everything()),
        "a lint is obeyed; where it cannot be, #[expect(…, reason = \"…\")] says why and falls \
         away with its cause",
    );
}

#[test]
fn every_body_is_written() {
    stands(
        banned::stubs(&Crate::everything()),
        "what is in the tree works; what does not work yet is not in the tree",
    );
}

#[test]
fn every_file_says_what_it_is() {
    stands(
        size::headers(&Crate::everything()),
        "a file begins with //!: what it is, who calls it, what it deliberately does not do",
    );
}

#[test]
fn functions_are_short() {
    stands(size::functions(&Crate::sources()), "a function fits on a screen: 70 lines of code");
}

#[test]
fn files_are_short() {
    stands(
        size::files(&Crate::sources()),
        "a file is one thought: 500 lines of code, comments, blank lines and tests not counted",
    );
}

#[test]
fn names_are_the_words_of_the_standard() {
    stands(
        naming::vague(&Crate::sources()),
        "such a name says nothing about what the thing is; the standard has a word for it, or \
         the thing is two things",
    );
}

#[test]
fn versions_are_values() {
    stands(
        naming::versions(&Crate::sources()),
        "MQTT 3.1, 3.1.1 and 5.0 differ in values, not in modules: one path for all of them",
    );
}

#[test]
fn every_library_has_its_reason() {
    let read = |file: &str| std::fs::read_to_string(source::root().join(file)).expect(file);
    stands(
        leftovers::unexplained(&read("Cargo.toml"), &read("docs/dependencies.md")),
        "a library is code we answer for: its line says why it is here, and what replaces it",
    );
}

#[test]
fn nothing_is_left_over() {
    stands(
        leftovers::words(&leftovers::texts()),
        "what is still to be done stands in the list of work, not in the text; and a path of the \
         machine where it was written means nothing to whoever reads it",
    );
}

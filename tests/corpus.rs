//! The inputs that fuzzing found, once more: each committed corpus through the body of its target,
//! so that neither can rot. `scripts/fuzz` searches for more (docs/testing.md, "Fuzzing").
//!
//! What this does not do: search.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "public for the targets in fuzz/fuzz_targets")]
mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};

/// A corpus is to be read through in a moment, and to weigh little.
const FILES_MAX: usize = 200;
const BYTES_MAX: usize = 300 * 1024;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Runs a target with each input of its corpus; a failing test names the input last.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = fuzz_folder().join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    inputs.sort();
    let mut bytes = 0;
    for input in &inputs {
        let content = fs::read(input).expect("readable");
        bytes += content.len();
        eprintln!("{}", input.display());
        run(&content);
    }
    let files = inputs.len();
    assert!((1..=FILES_MAX).contains(&files), "{files} inputs, more than {FILES_MAX} or none");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes of inputs, more than {BYTES_MAX}");
}

macro_rules! targets {
    ($($target:ident)+) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),+];

        $(
            #[test]
            fn $target() {
                replay(stringify!($target), fuzz::$target::run);
            }
        )+
    };
}

targets! { config control decode filters round_trip shard }

/// A target that is not replayed here, or not built there, is no target.
#[test]
fn every_target_is_built_and_replayed() {
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).expect("fuzz/Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let names = manifest["bin"].as_array().expect("[[bin]]").iter();
    let mut built: Vec<&str> = names.map(|bin| bin["name"].as_str().expect("a name")).collect();
    built.sort_unstable();
    assert_eq!(built, TARGETS);
    let sources = fs::read_dir(fuzz_folder().join("fuzz_targets")).expect("fuzz_targets");
    assert_eq!(sources.count(), TARGETS.len());
}

//! What the fuzz targets do with their bytes, one module a target, each with a `run`.
//!
//! Called by `fuzz_targets/` under libFuzzer, and by `tests/corpus.rs` with the committed corpora,
//! so that they stay worth their place. A broken promise is a panic. Nothing here reads a clock or
//! chance: the same bytes do the same in every run.

pub mod config;
pub mod control;
pub mod decode;
pub mod filters;
pub mod round_trip;
pub mod shard;
mod tape;

use mqttd::codec::Version;

/// All versions of the protocol.
const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

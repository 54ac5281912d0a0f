//! The `mqttd` command as a user has it: the built binary, run in directories of its own.
//!
//! `double` stands in for a daemon where an answer must be exact or a fault provoked; everything
//! else runs the real broker with `--home` and ephemeral ports. The tests wait on what the command
//! says, never on time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/console.rs"]
mod console;
#[path = "cli/double.rs"]
mod double;
#[path = "cli/keep.rs"]
mod keep;
#[path = "cli/life.rs"]
mod life;
#[path = "cli/mqtt.rs"]
mod mqtt;
#[path = "cli/operate.rs"]
mod operate;
#[path = "cli/properties.rs"]
mod properties;
#[path = "cli/sessions.rs"]
mod sessions;
#[path = "cli/wire.rs"]
mod wire;
#[path = "cli/words.rs"]
mod words;

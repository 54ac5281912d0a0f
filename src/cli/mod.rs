//! The `mqttd` command.

mod boot;

use std::process::ExitCode;

pub use boot::{Boot, BootOptions, Checked, Exit, Failure, Running, Spawned};

/// Reads argv, acts, and returns the exit code.
#[must_use]
pub fn run(_boot: &dyn Boot) -> ExitCode {
    ExitCode::SUCCESS
}

//! The `mqttd` command.

use std::process::ExitCode;

/// Reads argv, acts, and returns the exit code.
#[must_use]
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}

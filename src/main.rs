//! The one binary: argv in, exit code out. Everything else is in the library.

use std::process::ExitCode;
use std::time::Duration;

use mqttd::cli::{Boot, BootOptions, Checked, Exit, Failure, Running, Spawned};
use mqttd::control::Place;

fn main() -> ExitCode {
    mqttd::cli::run(&Unbootable)
}

/// Stands where the daemon will: the verbs that talk to a running broker work without it.
struct Unbootable;

impl Unbootable {
    fn failure() -> Failure {
        Failure::new(Exit::Failed, "not_available", "this build has no daemon yet")
    }
}

impl Boot for Unbootable {
    fn foreground(&self, _: &Place, _: &BootOptions) -> Result<(), Failure> {
        Err(Self::failure())
    }
    fn console(&self, _: &Place, _: &BootOptions) -> Result<Box<dyn Running>, Failure> {
        Err(Self::failure())
    }
    fn spawn(&self, _: &Place, _: &BootOptions, _: Duration) -> Result<Spawned, Failure> {
        Err(Self::failure())
    }
    fn check_config(&self, _: &Place) -> Result<Checked, Failure> {
        Err(Self::failure())
    }
    fn diagnose(&self, _: &Place) -> Option<Failure> {
        None
    }
}

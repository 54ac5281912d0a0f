//! The verbs, each a function from an errand to a report. Nothing here prints.

mod ask;
mod check;
mod restart;
mod start;
mod status;
mod stop;

use std::time::Duration;

use super::boot::{Boot, BootOptions, Failure};
use super::instance::{self, ANSWER_SECS, Alive, Instance};
use super::report::Voice;
use super::systemd::{self, InCharge};
use crate::control::Place;

pub(super) use ask::ask;
pub(super) use check::{check_config, reload};
pub(super) use restart::restart;
pub(super) use start::start;
pub(super) use status::{ping, status, version};
pub(super) use stop::stop;

/// What a verb is sent out with.
pub(super) struct Errand<'a> {
    pub(super) boot: &'a dyn Boot,
    pub(super) place: Place,
    pub(super) voice: Voice,
    /// `--timeout`.
    pub(super) timeout: Option<Duration>,
    /// `--no-systemd`, or its word in the environment.
    pub(super) by_hand: bool,
    /// What booting is to be told.
    pub(super) options: BootOptions,
}

impl Errand<'_> {
    /// How long to wait for one answer.
    pub(super) fn answer_limit(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(ANSWER_SECS))
    }

    /// How long the whole verb may take.
    pub(super) fn limit(&self, default_secs: u64) -> Duration {
        self.timeout.unwrap_or_else(|| Duration::from_secs(default_secs))
    }

    pub(super) fn look(&self) -> Instance {
        instance::look(&self.place, self.answer_limit())
    }

    /// The running instance, for verbs that need one.
    pub(super) fn alive(&self) -> Result<Box<Alive>, Failure> {
        self.look().alive().map_err(|failure| match failure.problem.code.as_str() {
            "not_running" => failure.hint(self.start_hint()),
            "starting" => failure.hint("mqttd ping --wait 30"),
            _ => failure,
        })
    }

    /// The command that starts the instance this errand is about.
    fn start_hint(&self) -> String {
        match &self.place.home {
            Some(home) => format!("mqttd --home {} start", home.display()),
            None if nix::unistd::geteuid().is_root() => "mqttd start".to_owned(),
            None => "sudo mqttd start; or a broker of your own: mqttd --home DIR start".to_owned(),
        }
    }

    /// Who starts and stops the instance this errand is about.
    pub(super) fn in_charge(&self) -> InCharge {
        let installed = Place::system();
        let is_installed = self.place.home.is_none()
            && self.place.config_file == installed.config_file
            && self.options.user.is_none();
        systemd::in_charge(self.by_hand || !is_installed)
    }
}

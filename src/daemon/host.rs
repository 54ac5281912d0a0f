//! The process as the operator's vocabulary sees it: [`Host`].
//!
//! Its methods are called on the threads that answer operators. What concerns the whole process,
//! the main thread does: it is told by a [`Wish`].

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, mpsc};

use super::config::{self, Config, Loaded, LogLevel};
use super::logging::Logging;
use super::systemd::Systemd;
use super::{backup, failure, machine, status};
use crate::admin::{About, Copying, Host, Problem, Reloaded};
use crate::broker::{Limits, Methods};
use crate::control::Place;
use crate::server::clock::Clock;
use crate::server::{Anonymous, Options, Server};

/// What the main thread is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Stop in order.
    Stop,
}

/// The process around the broker.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) place: Place,
    pub(super) managed_by: String,
    pub(super) server: Server,
    pub(super) logging: Arc<Logging>,
    pub(super) systemd: Systemd,
    /// Whose turn it is to copy the store.
    pub(super) backups: backup::Turn,
    pub(super) wishes: mpsc::UnboundedSender<Wish>,
    pub(super) started_unix_ms: u64,
    pub(super) started_ticks_ms: u64,
    /// What is in force.
    pub(super) loaded: Mutex<Loaded>,
}

impl Instance {
    /// The configuration in force.
    pub(super) fn config(&self) -> Config {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).config.clone()
    }
}

impl Host for Instance {
    fn about(&self) -> About {
        let now = Clock::now();
        let digest = config::load(&self.place).map(|loaded| loaded.digest).ok();
        let in_force = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            managed_by: self.managed_by.clone(),
            uptime_secs: now.ticks_ms.saturating_sub(self.started_ticks_ms) / 1000,
            started_unix_ms: self.started_unix_ms,
            config_file: self.place.config_file.display().to_string(),
            config_changed: digest != Some(in_force.digest),
            data_dir: self.place.data_dir.display().to_string(),
            open_files_max: machine::open_files_max(),
            connections_max: machine::connections_in_force(in_force.config.connections_max),
            resident_bytes: machine::resident_bytes(),
            recovered: self.server.recovery().map(Into::into),
        }
    }

    fn reload(&self) -> Result<Reloaded, Problem> {
        let mut in_force = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        self.systemd.reloading();
        let outcome = config::load(&self.place).map(|new| {
            let reloaded = config::diff(&in_force, &new);
            *in_force = in_force.reloaded(new);
            self.server.reconfigure(&options(&in_force.config, &self.place, Vec::new()));
            self.logging.set_level(in_force.config.log.level);
            reloaded
        });
        self.systemd.ready(&status::line(&self.server));
        match outcome {
            Ok(reloaded) => {
                tell(&reloaded);
                Ok(reloaded)
            }
            Err(errors) => {
                for error in &errors {
                    tracing::error!("configuration not reloaded: {error}");
                }
                let failure = failure::configuration(&errors);
                let mut problem = failure.problem;
                if !failure.details.is_empty() {
                    let more = failure.details.len();
                    problem.message += &format!(" (and {more} more: mqttd check-config)");
                }
                Err(problem)
            }
        }
    }

    fn backup(&self) -> Result<Copying, Problem> {
        backup::begin(&self.server, &self.place.data_dir, &self.backups)
    }

    fn stop(&self) {
        let _ = self.wishes.send(Wish::Stop); // nobody listens when it stops already
    }

    fn log_level(&self) -> String {
        self.logging.level()
    }

    fn set_log_level(&self, level: &str) -> Result<(), Problem> {
        let Some(level) = LogLevel::named(level) else {
            return Err(Problem {
                code: "bad_argument".to_owned(),
                message: format!("{level:?} is not a level of the log"),
                hint: Some(format!("one of {}", LogLevel::WORDS.join(", "))),
            });
        };
        self.logging.set_level(level);
        tracing::info!(level = level.word(), "log level changed");
        Ok(())
    }

    fn watch_log(&self) -> broadcast::Receiver<Arc<str>> {
        self.logging.watch()
    }
}

/// What a reload did, in the log.
fn tell(reloaded: &Reloaded) {
    let applied = reloaded.applied.join(",");
    match (&reloaded.applied[..], &reloaded.needs_restart[..]) {
        ([], []) => tracing::info!("configuration reloaded: nothing has changed"),
        (_, []) => tracing::info!(applied, "configuration reloaded"),
        (_, waiting) => {
            let needs_restart = waiting.join(",");
            tracing::warn!(applied, needs_restart, "configuration reloaded, in part");
        }
    }
}

impl From<config::Anonymous> for Anonymous {
    fn from(configured: config::Anonymous) -> Self {
        match configured {
            config::Anonymous::Private => Self::Private,
            config::Anonymous::Never => Self::Never,
            config::Anonymous::Always => Self::Always,
        }
    }
}

/// The configuration as the server takes it.
pub(super) fn options(config: &Config, place: &Place, tcp: Vec<std::net::SocketAddr>) -> Options {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Options {
        shards: if config.shards == 0 { cores } else { config.shards },
        tcp,
        limits: Limits {
            durability: config.store.classes(),
            store_queue_bytes_max: config
                .store
                .queue_bytes_max
                .unwrap_or_else(|| machine::disk_share_bytes(&place.data_dir)),
            ..config.limits.clone()
        },
        anonymous: config.anonymous.into(),
        methods: Methods::default(),
        connections_max: machine::connections_in_force(config.connections_max),
        connect_timeout_secs: config.connect_timeout_secs,
        connecting_max: config.connecting_max,
        directions: config.directions.clone(),
        draining: config.draining,
        sys_interval_secs: config.sys_interval_secs,
        sync_delay_ms_max: config.store.sync_delay_ms_max,
    }
}

//! Where an instance lives: its configuration, data, run directory and control socket.

use std::path::{Path, PathBuf};

/// The places of one instance; all paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `--home`, when given.
    pub home: Option<PathBuf>,
    /// The main configuration file.
    pub config_file: PathBuf,
    /// Whether the configuration file may be absent (only with `--home` and no `--config`).
    pub config_optional: bool,
    /// Data directory.
    pub data_dir: PathBuf,
    /// Run directory: control socket, lock, pid file.
    pub run_dir: PathBuf,
    /// Log directory.
    pub log_dir: PathBuf,
}

impl Place {
    /// The installed instance: `/etc/mqttd/mqttd.toml`, `/var/lib/mqttd`, `/run/mqttd`,
    /// `/var/log/mqttd`.
    #[must_use]
    pub fn system() -> Self {
        Self {
            home: None,
            config_file: "/etc/mqttd/mqttd.toml".into(),
            config_optional: false,
            data_dir: "/var/lib/mqttd".into(),
            run_dir: "/run/mqttd".into(),
            log_dir: "/var/log/mqttd".into(),
        }
    }

    /// Everything under one directory (absolute): `DIR/mqttd.toml`, `DIR/data`, `DIR/run`,
    /// `DIR/log`.
    #[must_use]
    pub fn under(home: &Path) -> Self {
        Self {
            home: Some(home.to_owned()),
            config_file: home.join("mqttd.toml"),
            config_optional: true,
            data_dir: home.join("data"),
            run_dir: home.join("run"),
            log_dir: home.join("log"),
        }
    }

    /// The file of what outlives the process.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.data_dir.join("mqttd.db")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("mqttd.sock")
    }

    /// The lock that means "an instance exists"; never unlinked.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.run_dir.join("mqttd.lock")
    }

    /// The pid file: information only.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.run_dir.join("mqttd.pid")
    }
}

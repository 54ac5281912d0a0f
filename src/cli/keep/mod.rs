//! The verbs about what the broker keeps: `backup`, `restore`, `export`, `import`, `store`.
//!
//! A running broker hands out a copy of its store, and takes lines of an export in; a store of a
//! broker that does not run, and every file with a copy, is read and written through [`Boot`]. Files
//! the user names are opened by this process, with the user's rights.
//!
//! [`Boot`]: crate::cli::boot::Boot

mod backup;
mod export;
mod fetch;
mod import;
mod progress;
mod restore;
mod store;
mod target;

use std::path::Path;

use clap::{Args, Subcommand, ValueHint};

use super::boot::{Exit, Failure, Selection};

pub(super) use backup::backup;
pub(super) use export::export;
pub(super) use import::import;
pub(super) use restore::restore;
pub(super) use store::store;

/// `mqttd restore`.
#[derive(Args, Clone, Debug)]
pub(super) struct RestoreArgs {
    /// A file that `mqttd backup` wrote
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: std::path::PathBuf,

    /// Only the retained messages, into the running broker
    #[arg(long)]
    retained: bool,

    /// Only the sessions, with what waits for them, into the running broker
    #[arg(long)]
    sessions: bool,

    /// Only the session of this client, into the running broker
    #[arg(long, value_name = "ID")]
    client: Option<String>,

    /// Of parts: take the place of what is there, which is left alone otherwise
    #[arg(long)]
    replace: bool,
}

/// `mqttd export`.
#[derive(Args, Clone, Debug)]
pub(super) struct ExportArgs {
    /// Where to write; a new file [default: standard output]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<std::path::PathBuf>,

    /// Retained messages
    #[arg(long)]
    retained: bool,

    /// Sessions with their subscriptions
    #[arg(long)]
    sessions: bool,

    /// Messages that wait for sessions
    #[arg(long)]
    queues: bool,

    /// Sessions and messages of this client only
    #[arg(long, value_name = "ID")]
    client: Option<String>,

    /// Read this file, which `mqttd backup` wrote, instead of what the broker keeps
    #[arg(long, value_name = "BACKUP", value_hint = ValueHint::FilePath)]
    from: Option<std::path::PathBuf>,
}

/// `mqttd import`.
#[derive(Args, Clone, Debug)]
pub(super) struct ImportArgs {
    /// A file that `mqttd export` wrote; `-` for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: std::path::PathBuf,

    /// Take the place of what is there, which is left alone otherwise
    #[arg(long)]
    replace: bool,
}

/// `mqttd store`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum StoreVerb {
    /// Read all that is kept and say whether it is sound
    ///
    /// Changes nothing. The broker must not run. Exit code 65 when something is damaged.
    #[command(after_long_help = "Examples:\n  sudo mqttd store check")]
    Check,

    /// Keep what is sound of a damaged store, and say what is lost
    ///
    /// The broker must not run. The store as it was is kept beside the new one, as
    /// mqttd.db.damaged-1. A store that is sound is left as it is.
    #[command(
        after_long_help = "Examples:\n  sudo mqttd store repair\n  sudo mqttd store repair --yes"
    )]
    Repair {
        /// Do it without asking
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

impl RestoreArgs {
    /// What is to go into the running broker; `None` when all is to take the place of the store.
    fn selection(&self) -> Option<Selection> {
        let sessions = self.sessions || self.client.is_some();
        (self.retained || sessions).then(|| Selection {
            retained: self.retained,
            sessions,
            queues: sessions,
            client_id: self.client.clone(),
        })
    }
}

impl ExportArgs {
    fn selection(&self) -> Selection {
        let Self { retained, sessions, queues, client, .. } = self;
        let all = !(*retained || *sessions || *queues);
        Selection {
            retained: *retained || (all && client.is_none()),
            sessions: *sessions || all,
            queues: *queues || all,
            client_id: client.clone(),
        }
    }
}

/// The failure of a file that the user named.
fn with_file(what: &str, file: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    let message = format!("cannot {what} {}: {error}", file.display());
    let kind = error.kind();
    if kind == ErrorKind::PermissionDenied {
        return Failure::new(Exit::Permission, "permission_denied", message)
            .hint("use sudo, or a place that is yours");
    }
    if kind == ErrorKind::AlreadyExists {
        let message = format!("{} is there already", file.display());
        return Failure::new(Exit::Failed, "file_exists", message)
            .hint("choose another name, or remove it first");
    }
    if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return Failure::new(Exit::Failed, "no_space", message)
            .hint("make room there, or choose another place");
    }
    let code = if what == "read" { "unreadable" } else { "unwritable" };
    Failure::new(Exit::Failed, code, message)
}

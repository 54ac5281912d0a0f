//! The process: configuration, life cycle, rights, logging, signals, systemd.
//!
//! `main` hands [`Daemon`] to the command, which boots brokers through it. Everything here waits,
//! reads the environment, or asks the system; what is served, the floors below know.

mod backup;
mod boot;
pub mod config;
mod detach;
mod export;
mod failure;
mod holder;
mod host;
mod keep;
mod life;
mod listen;
mod lock;
mod logging;
mod machine;
mod offline;
mod owner;
mod privilege;
mod readiness;
mod reception;
mod restoring;
mod status;
mod surroundings;
mod systemd;
mod wait;

pub use boot::Daemon;
pub use holder::port_holder;

/// In what way a broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As the process that somebody waits for: a terminal, systemd, a container.
    Foreground,
    /// On other threads of a process with a prompt, which no log line may disturb.
    Console,
    /// On its own, detached from the command that started it.
    Daemon,
}

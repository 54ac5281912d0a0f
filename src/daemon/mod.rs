//! The process: configuration, privileges, logging, signals, systemd.

pub mod config;
mod machine;

//! The process: configuration, privileges, logging, signals, systemd.

//! The life of a broker as an operator meets it: the real program, its exit codes, its messages,
//! its files and processes. Each test has a directory of its own (with a space in its name), uses
//! ports that the kernel chooses, and waits on readiness only.

#![cfg(test)]

mod daemon;
mod foreground;
mod home;
mod restoring;
mod service;
mod store;

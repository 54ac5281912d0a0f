//! What is acknowledged is on the disk: the real program, killed at random moments under load, its disk
//! robbed of what was not synced, filled up, and broken; judged from outside by what its clients were
//! told.
//!
//! `cargo test --test crash` is the short form, `scripts/crash` the long one. `MQTTD_CRASH_ROUNDS` and
//! `MQTTD_CRASH_SEED` choose how many rounds and which; `MQTTD_CRASH_PROGRAM` another binary.
//! docs/durability.md says what is promised and how this looks at it.
//!
//! * `cast` is who plays, `client` a client, `link` and `wire` its connection;
//! * `ledger` and `registers` are the judges of messages and of what is retained; `histories` tries
//!   them on made-up histories;
//! * `disk` is a disk that forgets, by the log of `shim.c`;
//! * `broker` starts and kills; `play` lets the cast play; `rounds` are kills and power cuts, `faults`
//!   disks that are full or broken, `strace` the order of system calls.

#![cfg(test)]

mod broker;
mod cast;
#[path = "../sim/chance.rs"]
mod chance;
mod client;
mod disk;
mod faults;
mod histories;
mod ledger;
mod link;
mod play;
mod registers;
mod rounds;
mod strace;
mod wire;

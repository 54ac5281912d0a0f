//! One vocabulary of questions and commands; each noun is one file that defines its calls once.

mod host;

pub use host::{About, Host, Problem, Reloaded};

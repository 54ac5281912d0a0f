//! One vocabulary of questions and commands; each noun is one file that defines its calls once.
//!
//! The faces (`control`, and over it the command and the console) take names, words, arguments
//! and permissions from the tables here and hand requests to [`Answers::answer`]. Nothing here
//! knows a socket or a screen.

mod call;
mod host;

pub use call::{
    AnswerBy, Answers, Argument, Arguments, Call, Completion, Kind, Lines, Pages, Permission, Reply,
};
pub use host::{About, Host, Problem, Reloaded};

/// The operator's desk: what answers every call.
pub struct Admin {}

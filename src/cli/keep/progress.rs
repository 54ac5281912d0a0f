//! How far a long work is, for whoever waits for it.

use crate::cli::meanwhile::Meanwhile;
use crate::cli::render::bytes;
use crate::cli::report::Voice;

/// Things between two words.
const STEP: u64 = 1000;

/// One line that is written over and over, and gone in the end.
#[derive(Debug)]
pub(super) struct Progress {
    line: Meanwhile,
    last: String,
}

impl Progress {
    pub(super) fn new(voice: Voice) -> Self {
        Self { line: Meanwhile::new(voice), last: String::new() }
    }

    /// So many bytes are done, of so many if that is known.
    pub(super) fn bytes(&mut self, doing: &str, done: u64, of: Option<u64>) {
        let of = of.map_or_else(String::new, |of| format!(" of {}", bytes(of)));
        self.say(format!("{doing}: {}{of}", bytes(done)));
    }

    /// So many things are done.
    pub(super) fn count(&mut self, doing: &str, done: u64) {
        if done.is_multiple_of(STEP) {
            self.say(format!("{doing}: {done}"));
        }
    }

    fn say(&mut self, line: String) {
        if line != self.last {
            self.line.say(&line);
            self.last = line;
        }
    }
}

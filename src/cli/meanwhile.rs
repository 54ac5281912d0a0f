//! What goes on while a verb waits: one line of a terminal, written over and gone in the end.
//!
//! Called by the verbs that start a broker. Where nobody watches (no terminal, `--json`, `--quiet`)
//! nothing is written.

use std::io::{self, IsTerminal};

use super::report::{Voice, complain};

/// The line.
#[derive(Debug)]
pub(super) struct Meanwhile {
    watched: bool,
    shown: bool,
}

impl Meanwhile {
    pub(super) fn new(voice: Voice) -> Self {
        let watched = !voice.json && !voice.quiet && io::stderr().is_terminal();
        Self { watched, shown: false }
    }

    /// Puts this in the line.
    pub(super) fn say(&mut self, text: &str) {
        if self.watched {
            complain(&format!("\r{text}\x1b[K"));
            self.shown = true;
        }
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        if self.shown {
            complain("\r\x1b[K");
        }
    }
}

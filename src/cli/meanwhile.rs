//! What goes on while a verb waits: one line of a terminal, written over and gone in the end; of a
//! long start also a line now and then where there is no terminal.
//!
//! Called by the verbs that start a broker or copy what it keeps. With `--json` and `--quiet` nothing is
//! written.

use std::io::{self, IsTerminal};
use std::time::Duration;

use super::deadline::Deadline;
use super::report::{Voice, complain, remark};

/// A start that is over sooner needs no line where there is no terminal,
const FIRST_SECS: u64 = 2;
/// and after that one is enough for so long.
const NEXT_SECS: u64 = 10;

/// The line.
#[derive(Debug)]
pub(super) struct Meanwhile {
    place: Place,
    shown: bool,
}

/// Where it goes.
#[derive(Debug)]
enum Place {
    Terminal,
    /// Whole lines, the next one not before that.
    Lines(Deadline),
    Nowhere,
}

impl Meanwhile {
    /// At a terminal only.
    pub(super) fn new(voice: Voice) -> Self {
        let watched = !voice.json && !voice.quiet && io::stderr().is_terminal();
        Self { place: if watched { Place::Terminal } else { Place::Nowhere }, shown: false }
    }

    /// Of a start: in a script or its log, who looks wants to know why it takes so long.
    pub(super) fn of_start(voice: Voice) -> Self {
        let mut line = Self::new(voice);
        if matches!(line.place, Place::Nowhere) && !voice.json && !voice.quiet {
            line.place = Place::Lines(Deadline::after(Duration::from_secs(FIRST_SECS)));
        }
        line
    }

    /// Puts this in the line.
    pub(super) fn say(&mut self, text: &str) {
        match &mut self.place {
            Place::Terminal => {
                complain(&format!("\r{text}\x1b[K"));
                self.shown = true;
            }
            Place::Lines(next) if next.passed() => {
                remark(&format!("mqttd: {text}\n"));
                *next = Deadline::after(Duration::from_secs(NEXT_SECS));
            }
            Place::Lines(_) | Place::Nowhere => {}
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

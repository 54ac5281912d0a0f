//! Asking a person before something is gone for good.
//!
//! Only where there is a person: with input from elsewhere than a terminal, a command does what it
//! says. Called by the verbs that destroy.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::boot::{Exit, Failure};
use super::signals::Signals;

/// Asks on the terminal, if standard input is one.
///
/// # Errors
/// The answer is not yes, or there is none.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    let signals = Signals::interrupt();
    let answer = ask(question, &signals).map_err(|error| {
        let message = format!("cannot ask whether to go on: {error}");
        Failure::new(Exit::Failed, "terminal", message).hint("--yes does it without asking")
    })?;
    if answer.is_some_and(|answer| is_yes(&answer)) {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "not_confirmed", "nothing was changed"))
}

fn ask(question: &str, signals: &Signals) -> io::Result<Option<Vec<u8>>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(format!("{question} [y/N] ").as_bytes())?;
    let answer = line(&mut terminal, signals)?;
    if answer.is_none() {
        terminal.write_all(b"\n")?; // nobody typed one
    }
    Ok(answer)
}

fn is_yes(answer: &[u8]) -> bool {
    let answer = answer.trim_ascii().to_ascii_lowercase();
    matches!(&answer[..], b"y" | b"yes")
}

/// A line typed on a terminal; `None` after Ctrl-C or Ctrl-D.
pub(super) fn line(terminal: &mut File, signals: &Signals) -> io::Result<Option<Vec<u8>>> {
    let mut typed = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        fds.extend(signals.descriptor().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let _ = poll(&mut fds, PollTimeout::NONE); // EINTR: look again
        if fds.get(1).is_some_and(|fd| fd.any().unwrap_or(false)) {
            return Ok(None);
        }
        if !fds[0].any().unwrap_or(false) {
            continue;
        }
        let mut piece = [0; 256];
        let count = terminal.read(&mut piece)?;
        typed.extend_from_slice(&piece[..count]);
        if typed.contains(&b'\n') {
            return Ok(Some(first_line(&typed).to_vec()));
        }
        if count == 0 {
            return Ok(None);
        }
    }
}

/// What stands before the first end of a line.
pub(super) fn first_line(content: &[u8]) -> &[u8] {
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, yes) in
            [("y", true), ("Yes ", true), ("", false), ("n", false), ("yeah", false), ("no", false)]
        {
            assert_eq!(is_yes(answer.as_bytes()), yes, "{answer:?}");
        }
    }

    #[test]
    fn the_first_line_is_the_answer() {
        assert_eq!(first_line(b"secret\r\nmore"), b"secret");
        assert_eq!(first_line(b"secret"), b"secret");
        assert_eq!(first_line(b""), b"");
    }
}

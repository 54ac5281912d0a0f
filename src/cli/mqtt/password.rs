//! The password: from a file, the terminal or the environment, never from argv, which everybody on
//! the machine can read.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::args::ConnectArgs;
use super::refusal::interrupted;
use crate::cli::boot::{Exit, Failure};
use crate::cli::confirm::{first_line, line};
use crate::cli::signals::Signals;

/// The password that the options name, if any.
pub(super) fn password(args: &ConnectArgs, signals: &Signals) -> Result<Option<Vec<u8>>, Failure> {
    if let Some(file) = &args.password_file {
        from_file(file).map(Some)
    } else if args.ask_password {
        let prompt = match &args.username {
            Some(name) => format!("Password of {name}: "),
            None => "Password: ".to_owned(),
        };
        asked(&prompt, signals).map(Some)
    } else {
        Ok(std::env::var_os("MQTTD_PASSWORD").map(OsStringExt::into_vec))
    }
}

/// The first line of a file.
fn from_file(file: &Path) -> Result<Vec<u8>, Failure> {
    let content = fs::read(file).map_err(|error| {
        let message = format!("cannot read the password from {}: {error}", file.display());
        Failure::new(Exit::Failed, "password_file", message)
    })?;
    Ok(first_line(&content).to_vec())
}

/// Asks on the terminal of the process, whatever stdin is; nothing typed is shown.
fn asked(prompt: &str, signals: &Signals) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot ask for the password: {error}");
        Failure::new(Exit::Failed, "terminal", message)
            .hint("without a terminal: --password-file FILE or MQTTD_PASSWORD")
    };
    let mut terminal =
        OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
    let silence = Silence::begin(&terminal).map_err(failed)?;
    terminal.write_all(prompt.as_bytes()).map_err(failed)?;
    let answer = line(&mut terminal, signals);
    drop(silence);
    let _ = terminal.write_all(b"\n"); // the one typed was not shown
    answer.map_err(failed)?.ok_or_else(interrupted)
}

/// While it exists, the terminal shows nothing of what is typed.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn begin(terminal: &File) -> std::io::Result<Self> {
        let terminal = terminal.try_clone()?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

//! The live log above the prompt: a thread that reads the feed and prints.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::ExternalPrinter;
use serde_json::Map;

use super::Booted;
use crate::cli::boot::Exit;
use crate::cli::deadline::Deadline;
use crate::cli::render::feed_line;
use crate::cli::report::complain;
use crate::control::{Client, Place};

/// Pause between two tries to reach a daemon that went away.
const PAUSE_MS: u64 = 500;

/// The switch of the log.
#[derive(Clone, Debug)]
pub(super) struct Switch(Arc<AtomicBool>);

impl Switch {
    /// Shows the log or stops showing it.
    pub(super) fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

/// Begins to show the log of the instance. When a broker of this process is stopped by something
/// else than the prompt, this ends it and the process.
pub(super) fn show(
    place: &Place,
    printer: impl ExternalPrinter + Send + 'static,
    booted: Option<Booted>,
) -> Switch {
    let switch = Switch(Arc::new(AtomicBool::new(true)));
    let live = Live {
        place: place.clone(),
        switch: switch.clone(),
        printer,
        terminal: tcgetattr(std::io::stdin()).ok(),
    };
    // Without the thread there is no live log; everything else works.
    let _ =
        std::thread::Builder::new().name("mqttd-log".to_owned()).spawn(move || live.run(booted));
    switch
}

struct Live<P> {
    place: Place,
    switch: Switch,
    printer: P,
    /// The terminal before the prompt changed it.
    terminal: Option<Termios>,
}

impl<P: ExternalPrinter> Live<P> {
    fn run(mut self, booted: Option<Booted>) {
        let mut away = false;
        loop {
            let limit = Duration::from_secs(crate::cli::instance::ANSWER_SECS);
            if let Ok(client) = Client::connect(&self.place.socket(), limit) {
                if away {
                    self.print("mqttd is back");
                }
                self.follow(client);
                if let Some(booted) = booted {
                    return self.end(&booted);
                }
                away = true;
                self.print("mqttd has gone away");
            }
            Deadline::after(Duration::from_millis(PAUSE_MS)).wait(None, None);
        }
    }

    fn follow(&mut self, mut client: Client) {
        let _ = client.set_limit(None);
        let _ = client.stream("log.tail", Map::new(), |line| {
            if self.switch.0.load(Ordering::Relaxed) {
                self.print(&feed_line(&line));
            }
            ControlFlow::Continue(())
        });
    }

    fn print(&mut self, line: &str) {
        let _ = self.printer.print(format!("{line}\n"));
    }

    /// The broker of this process stops. When not the prompt has stopped it, the prompt still waits
    /// for a line: gives the terminal back as it was and ends the process.
    fn end(self, booted: &Booted) {
        let Some(running) = booted.take() else { return };
        let stopped = running.stop();
        if let Some(before) = &self.terminal {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
        }
        complain("\nmqttd: the broker has stopped\n");
        let exit = stopped.err().map_or(Exit::Done, |failure| failure.exit);
        std::process::exit(exit as i32)
    }
}

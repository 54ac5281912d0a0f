//! What the command needs of this room: [`Boot`].

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use super::config::{self, Loaded};
use super::detach::{Side, detach};
use super::host::Wish;
use super::life::{Preparation, Ready, live, prepare, prepare_here};
use super::privilege::Account;
use super::readiness::{Readiness, Report};
use super::{Mode, failure, listen, offline};
use crate::admin::exchange::Entry;
use crate::cli::{
    Boot, BootOptions, Checked, Exit, Failure, Kept, Repaired, Restored, Running, Selection, Sound,
    Spawned, TakeError,
};
use crate::control::Place;
use crate::server::clock::Clock;

/// Boots brokers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Daemon;

impl Boot for Daemon {
    fn foreground(&self, place: &Place, options: &BootOptions) -> Result<(), Failure> {
        let prepared = prepare_here(place, options)?;
        live(prepared, Mode::Foreground, Readiness::unheard(), |_| {})
    }

    fn console(
        &self,
        place: &Place,
        options: &BootOptions,
        meanwhile: &mut dyn FnMut(&str),
    ) -> Result<Box<dyn Running>, Failure> {
        let prepared = prepare_here(place, options)?;
        let (told, heard) = mpsc::channel();
        let (ready, restoring) = (told.clone(), told.clone());
        let readiness = Readiness::here(move |report| {
            if let Report::Restoring(line) = report {
                let _ = restoring.send(Heard::Restoring(line.clone()));
            }
        });
        let thread = std::thread::Builder::new().name("mqttd-main".to_owned()).spawn(move || {
            let on_ready = move |running| {
                let _ = ready.send(Heard::Over(Ok(running)));
            };
            if let Err(failure) = live(prepared, Mode::Console, readiness, on_ready) {
                let _ = told.send(Heard::Over(Err(failure)));
            }
        });
        let thread = thread.map_err(|error| failure::system("start a thread", &error))?;
        let running = here(&heard, meanwhile)?;
        Ok(Box::new(InThisProcess { running, thread }))
    }

    fn spawn(
        &self,
        place: &Place,
        options: &BootOptions,
        wait: Duration,
        meanwhile: &mut dyn FnMut(&str),
    ) -> Result<Spawned, Failure> {
        let prepared = match prepare(place, options)? {
            Preparation::Done(prepared) => *prepared,
            Preparation::Held(pid) => return Ok(Spawned::AlreadyRunning { pid }),
        };
        match detach(&prepared.locks, wait, meanwhile)? {
            Side::Command(pid) => Ok(Spawned::Started { pid }),
            Side::Daemon(readiness) => {
                let exit = match live(prepared, Mode::Daemon, readiness, |_| {}) {
                    Ok(()) => Exit::Done,
                    Err(failure) => failure.exit,
                };
                std::process::exit(exit as i32)
            }
        }
    }

    fn check_config(&self, place: &Place) -> Result<Checked, Failure> {
        let loaded = load(place)?;
        let unreadable = config::unreadable_by_service(&loaded, place);
        if !unreadable.is_empty() {
            return Err(failure::configuration(&unreadable));
        }
        Ok(Checked {
            files: loaded.files.iter().map(|file| file.display().to_string()).collect(),
            warnings: config::warnings(&loaded, place),
            dump: config::dump(&loaded),
        })
    }

    fn diagnose(&self, place: &Place) -> Option<Failure> {
        let tried = load(place).and_then(|loaded| {
            Account::wanted(None, &loaded.config.user)?;
            listen::try_out(&loaded.config.tcp, place)
        });
        tried.err()
    }

    fn unix_ms(&self) -> u64 {
        Clock::now().unix_ms
    }

    fn read_kept(
        &self,
        kept: &Kept<'_>,
        selection: &Selection,
        take: &mut dyn FnMut(Entry) -> io::Result<()>,
    ) -> Result<(), TakeError> {
        offline::read_kept(kept, selection, take)
    }

    fn restore(
        &self,
        place: &Place,
        file: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Restored, Failure> {
        offline::restore(place, file, progress)
    }

    fn check_store(&self, place: &Place, progress: &mut dyn FnMut(u64)) -> Result<Sound, Failure> {
        offline::check(place, progress)
    }

    fn repair_store(
        &self,
        place: &Place,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Repaired, Failure> {
        offline::repair(place, progress)
    }
}

fn load(place: &Place) -> Result<Loaded, Failure> {
    config::load(place).map_err(|errors| failure::configuration(&errors))
}

/// What is heard of a start on another thread.
enum Heard {
    /// What was kept is being restored, this far.
    Restoring(String),
    /// How it went.
    Over(Result<Ready, Failure>),
}

/// How the start on the other thread went.
fn here(heard: &Receiver<Heard>, meanwhile: &mut dyn FnMut(&str)) -> Result<Ready, Failure> {
    loop {
        match heard.recv() {
            Ok(Heard::Restoring(line)) => meanwhile(&line),
            Ok(Heard::Over(outcome)) => return outcome,
            Err(_) => {
                let message = "the broker ended before it was ready";
                return Err(Failure::new(Exit::Failed, "died", message));
            }
        }
    }
}

/// A broker on other threads of this process.
#[derive(Debug)]
struct InThisProcess {
    running: Ready,
    thread: JoinHandle<()>,
}

impl Running for InThisProcess {
    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn stop(self: Box<Self>) -> Result<(), Failure> {
        let _ = self.running.wishes.send(Wish::Stop); // it may have stopped by itself
        self.thread.join().map_err(|_| {
            Failure::new(Exit::Failed, "internal", "the broker's main thread failed")
                .hint("its log says more")
        })
    }
}

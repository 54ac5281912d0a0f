//! The main thread's waiting: signals, wishes of operators, and what is due every few seconds.

use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::host::{Instance, Wish};
use super::restoring::TELL_EVERY;
use super::status::{self, Rate};
use super::{Mode, surroundings};
use crate::admin::Host;
use crate::server::clock::Clock;

/// How often the status line is renewed, if it changed.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Why it ends when no signal came.
const WISH: &str = "an operator asked for it";

/// The signals this process listens to.
#[derive(Debug)]
pub(super) struct Watch {
    terminate: Signal,
    hang_up: Signal,
    /// Not in the console, where Ctrl-C is a key of the prompt.
    interrupt: Option<Signal>,
    /// Only as the first process of a container, where every orphan becomes ours.
    child: Option<Signal>,
}

impl Watch {
    /// From now on the signals are ours.
    pub(super) fn start(runtime: &Runtime, mode: Mode) -> io::Result<Self> {
        let _inside = runtime.enter();
        let when = |wanted: bool, kind| wanted.then(|| signal(kind)).transpose();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: when(mode != Mode::Console, SignalKind::interrupt())?,
            child: when(surroundings::is_pid_1(), SignalKind::child())?,
        })
    }

    /// Waits until the broker is up, and has somebody told meanwhile. An error says what asked for
    /// the end before.
    pub(super) async fn until_up<T>(
        &mut self,
        up: impl Future<Output = T>,
        wishes: &mut UnboundedReceiver<Wish>,
        mut tell: impl FnMut(),
    ) -> Result<T, &'static str> {
        let mut up = pin!(up);
        let mut due = timer(TELL_EVERY);
        due.tick().await; // the first comes at once
        loop {
            tokio::select! {
                up = &mut up => return Ok(up),
                _ = self.terminate.recv() => return Err("SIGTERM"),
                () = received(&mut self.interrupt) => return Err("SIGINT"),
                _ = wishes.recv() => return Err(WISH),
                () = received(&mut self.child) => reap(),
                _ = due.tick() => tell(),
            }
        }
    }

    /// Serves signals and timers until something asks for the end; says what.
    pub(super) async fn wait(
        &mut self,
        instance: &std::sync::Arc<Instance>,
        wishes: &mut UnboundedReceiver<Wish>,
    ) -> &'static str {
        let mut watchdog = instance.systemd.watchdog().map(|every| timer(every / 4));
        let tells_status = instance.managed_by.starts_with("systemd");
        let mut status = tells_status.then(|| timer(STATUS_EVERY));
        let mut told = Told::default();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                () = received(&mut self.interrupt) => return "SIGINT",
                wish = wishes.recv() => match wish {
                    Some(Wish::Stop) | None => return WISH,
                },
                _ = self.hang_up.recv() => {
                    let instance = std::sync::Arc::clone(instance);
                    // Its outcome is in the log.
                    let _ = tokio::task::spawn_blocking(move || instance.reload().is_ok()).await;
                }
                () = received(&mut self.child) => reap(),
                () = due(&mut watchdog) => {
                    if instance.server.heartbeat() {
                        instance.systemd.alive();
                    }
                }
                () = due(&mut status) => told.renew(instance),
            }
        }
    }

    /// Waits for the orderly end. When the signal comes a second time, `hurry` is called: clients
    /// are not waited for any more, only the disk; at the third time it is not either.
    pub(super) async fn unless_hurried(&mut self, end: impl Future, hurry: impl Fn()) {
        let mut end = pin!(end);
        for _ in 0..2 {
            let signal = tokio::select! {
                _ = &mut end => return,
                _ = self.terminate.recv() => "SIGTERM",
                () = received(&mut self.interrupt) => "SIGINT",
            };
            tracing::warn!("hurried by {signal}");
            hurry();
        }
    }
}

/// The status line as systemd has it.
#[derive(Debug, Default)]
struct Told {
    line: String,
    rate: Rate,
}

impl Told {
    fn renew(&mut self, instance: &Instance) {
        let now = Clock::now().ticks_ms;
        let per_sec = self.rate.messages_per_sec(&instance.server, now);
        let line = format!("{}; {per_sec} messages/s", status::line(&instance.server));
        if line != self.line {
            instance.systemd.status(&line);
            self.line = line;
        }
    }
}

fn timer(every: Duration) -> Interval {
    let mut timer = interval(every.max(Duration::from_millis(1)));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

async fn due(timer: &mut Option<Interval>) {
    match timer {
        Some(timer) => {
            timer.tick().await;
        }
        None => pending().await,
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

/// Takes note of the end of all children that have ended.
fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

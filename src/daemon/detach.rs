//! `mqttd start` by hand: a process of its own that outlives the command, and the pipe over which
//! it says that it is ready, or why not.
//!
//! Called on the only thread of the command. `daemonize` forks and detaches, nothing else: locks,
//! rights, readiness and the pid file are ours.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use daemonize::{Daemonize, Outcome};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::failure;
use super::lock::Locks;
use super::readiness::{Readiness, Report, Reports};
use crate::cli::{Exit, Failure};

/// How long a child that took too long may take to end in order.
const TERMINATION_PATIENCE: Duration = Duration::from_secs(3);

/// What the caller is after the fork.
pub(super) enum Side {
    /// The command: the child's pid; it accepts connections.
    Command(u32),
    /// The daemon; tells the command how it goes.
    Daemon(Readiness),
}

/// Forks. The command's side returns when the daemon is ready, and after `wait` without a word
/// from it ends it. `meanwhile` is told what the daemon does that takes long.
///
/// # Errors
/// On the command's side: the daemon's own reason; nothing is left running.
pub(super) fn detach(
    locks: &Locks,
    wait: Duration,
    meanwhile: &mut dyn FnMut(&str),
) -> Result<Side, Failure> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        let message = "a process with several threads cannot be copied";
        return Err(Failure::new(Exit::Failed, "internal", message));
    }
    // The daemon, an orphan once detached, becomes a child of this process again while this
    // process lives: its pid cannot be another's, and its end is seen.
    prctl::set_child_subreaper(true).map_err(|e| failure::system("adopt the daemon", &e.into()))?;
    let (reports, readiness) = io::pipe().map_err(|e| failure::system("make a pipe", &e))?;
    let _ = io::stdout().flush(); // else both sides would write what is buffered
    let daemonize = Daemonize::new().working_directory("/").umask(0o027);
    match daemonize.execute() {
        Outcome::Parent(Err(error)) => {
            Err(failure::system("start a process", &io::Error::other(error)))
        }
        Outcome::Parent(Ok(_)) => {
            drop(readiness);
            await_ready(&mut Reports::new(reports), wait, meanwhile).map(Side::Command)
        }
        Outcome::Child(detached) => {
            drop(reports);
            let mut kept: Vec<i32> = locks.files().iter().map(AsRawFd::as_raw_fd).collect();
            kept.push(readiness.as_raw_fd());
            let mut readiness = Readiness::new(readiness);
            let closed = close_others(&kept);
            readiness.say(&Report::Pid(std::process::id()));
            let failed = match (detached, closed) {
                (Err(error), _) => Some(io::Error::other(error)),
                (_, Err(error)) => Some(error),
                (Ok(_), Ok(())) => None,
            };
            if let Some(error) = failed {
                let failure = failure::system("leave the terminal", &error);
                readiness.say(&Report::failed(&failure));
                std::process::exit(failure.exit as i32);
            }
            Ok(Side::Daemon(readiness))
        }
    }
}

/// Closes what the caller left open: pipes of `$(…)`, ssh and debconf would never end.
///
/// Nothing of this process uses those descriptors any more: the daemon's side never returns to the
/// command that opened them.
fn close_others(kept: &[i32]) -> io::Result<()> {
    let names: Vec<_> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .collect();
    for fd in names {
        if fd > 2 && !kept.contains(&fd) {
            let _ = nix::unistd::close(fd); // the one that read the directory is closed already
        }
    }
    Ok(())
}

fn await_ready(
    reports: &mut Reports,
    wait: Duration,
    meanwhile: &mut dyn FnMut(&str),
) -> Result<u32, Failure> {
    let mut pid = None;
    loop {
        match reports.next(wait) {
            Ok(Some(Report::Pid(number))) => pid = Some(number),
            Ok(Some(Report::Progress)) => {}
            Ok(Some(Report::Restoring(line))) => meanwhile(&line),
            Ok(Some(Report::Ready)) => match pid {
                Some(pid) => return Ok(pid),
                None => return Err(died(None)),
            },
            Ok(Some(Report::Failed(told))) => {
                reap(pid);
                return Err(told.into());
            }
            Ok(None) => return Err(died(reap(pid))),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                end(pid, reports);
                let message = format!("the broker was not ready after {} s", wait.as_secs());
                return Err(Failure::new(Exit::Failed, "timeout", message).hint(
                    "it was stopped; its log says what it was doing, --timeout gives it longer",
                ));
            }
            Err(error) => {
                end(pid, reports);
                return Err(failure::system("hear from the daemon", &error));
            }
        }
    }
}

/// Ends a child that is not wanted any more: first politely. Its end closes the pipe.
fn end(pid: Option<u32>, reports: &mut Reports) {
    let Some(pid) = pid.and_then(as_pid) else {
        return;
    };
    let _ = kill(pid, Signal::SIGTERM);
    while let Ok(Some(_)) = reports.next(TERMINATION_PATIENCE) {}
    let _ = kill(pid, Signal::SIGKILL); // it is our child: until waited for, the pid is its own
    let _ = waitpid(pid, None);
}

fn reap(pid: Option<u32>) -> Option<ExitStatus> {
    match waitpid(pid.and_then(as_pid)?, None).ok()? {
        WaitStatus::Exited(_, code) => Some(ExitStatus::from_raw(code << 8)),
        WaitStatus::Signaled(_, signal, _) => Some(ExitStatus::from_raw(signal as i32)),
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => None,
    }
}

fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().map(Pid::from_raw)
}

fn died(status: Option<ExitStatus>) -> Failure {
    let how = status.map_or_else(|| "without a word".to_owned(), |status| status.to_string());
    Failure::new(Exit::Failed, "died", format!("the broker ended before it was ready ({how})"))
        .hint("`mqttd foreground` shows what it says")
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A child in place of the daemon: it has the pipe, and has told its pid.
    fn child(program: &str) -> (Child, Reports) {
        let (reports, readiness) = io::pipe().unwrap();
        let copy = readiness.try_clone().unwrap();
        let child = Command::new("sh").args(["-c", program]).stdout(copy).spawn().unwrap();
        Readiness::new(readiness).say(&Report::Pid(child.id()));
        (child, Reports::new(reports))
    }

    #[test]
    fn p42_a_daemon_that_is_not_ready_in_time_is_ended() {
        // The second does not heed SIGTERM.
        for program in ["exec sleep 60", "trap '' TERM; sleep 60; sleep 60"] {
            let (mut child, mut reports) = child(program);
            let timely = await_ready(&mut reports, Duration::from_millis(50), &mut |_| ());
            assert_eq!(timely.unwrap_err().problem.code, "timeout");
            assert!(child.try_wait().is_err(), "it has ended and was waited for");
        }
    }

    #[test]
    fn a_daemon_that_restores_a_large_store_is_waited_for() {
        let line = |turn| format!("echo '{{\"restoring\":\"turn {turn}\"}}'; sleep 1.1; ");
        let program: String = (1..=4).map(line).collect();
        let (mut child, mut reports) = child(&(program + "echo '\"ready\"'"));
        let mut told = Vec::new();
        let mut meanwhile = |text: &str| told.push(text.to_owned());
        // Less than it takes, more than between two words.
        let pid = await_ready(&mut reports, Duration::from_secs(4), &mut meanwhile);
        assert_eq!(pid.unwrap(), child.id());
        assert_eq!(told.len(), 4);
        assert_eq!(told[3], "turn 4");
        child.wait().unwrap();
    }

    #[test]
    fn a_daemon_that_dies_without_a_word_is_told_with_its_end() {
        let (_child, mut reports) = child("kill -KILL $$");
        let failure = await_ready(&mut reports, Duration::from_secs(60), &mut |_| ()).unwrap_err();
        assert_eq!(failure.problem.code, "died");
        assert!(failure.problem.message.contains("SIGKILL"), "{failure}");
    }
}

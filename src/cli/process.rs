//! Another process, held by a descriptor: waiting for its end and signalling it cannot hit a
//! stranger that got its number (pidfd_open(2)).

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::deadline::{Deadline, Woken};

/// A process that existed when it was opened.
#[derive(Debug)]
pub(super) struct Process {
    descriptor: OwnedFd,
}

impl Process {
    /// Takes hold of a process; `None` when there is none of that number.
    pub(super) fn open(pid: u32) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Self { descriptor })
    }

    /// Waits for its end; `false` when time was up first.
    pub(super) fn wait(&self, deadline: &Deadline) -> bool {
        loop {
            match deadline.wait(Some(self.descriptor.as_fd()), None) {
                Woken::Ready => return true,
                Woken::Late => return false,
                Woken::Step => {}
            }
        }
    }

    /// Asks it to end (SIGTERM).
    pub(super) fn terminate(&self) -> std::io::Result<()> {
        Ok(pidfd_send_signal(&self.descriptor, Signal::TERM)?)
    }

    /// Ends it (SIGKILL).
    pub(super) fn kill(&self) -> std::io::Result<()> {
        Ok(pidfd_send_signal(&self.descriptor, Signal::KILL)?)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_is_waited_for_and_killed_by_its_descriptor() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        assert!(!process.wait(&Deadline::after(Duration::from_millis(10))));
        process.kill().unwrap();
        assert!(process.wait(&Deadline::after(Duration::from_secs(20))));
        child.wait().unwrap();
        assert!(process.terminate().is_err(), "it is gone");
    }
}

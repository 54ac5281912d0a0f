//! Ctrl-C and SIGTERM as something poll(2) waits for.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals kept from ending the process while this exists.
#[derive(Debug)]
pub(super) struct Signals {
    descriptor: Option<SignalFd>,
    before: SigSet,
}

impl Signals {
    /// From now on what asks this process to leave is only seen here.
    pub(super) fn leaving() -> Self {
        Self::hold(&[Signal::SIGINT, Signal::SIGTERM])
    }

    /// Ctrl-C is not for the threads begun while this exists.
    pub(super) fn interrupt() -> Self {
        Self::hold(&[Signal::SIGINT])
    }

    fn hold(signals: &[Signal]) -> Self {
        let mut held = SigSet::empty();
        held.extend(signals.iter().copied());
        let mut before = SigSet::empty();
        let blocked = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&held), Some(&mut before));
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = blocked.and_then(|()| SignalFd::with_flags(&held, flags)).ok();
        let signals = Self { descriptor, before };
        while signals.take() {} // of a time when nothing listened
        signals
    }

    /// Readable once a signal came; `None` where the system gives no such descriptor.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(AsFd::as_fd)
    }

    /// Takes a signal that came.
    fn take(&self) -> bool {
        self.descriptor
            .as_ref()
            .is_some_and(|descriptor| matches!(descriptor.read_signal(), Ok(Some(_))))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        while self.take() {} // what was asked has been done
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

//! Ctrl-C and SIGTERM as something poll(2) waits for.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that ask to leave, kept from ending the process while this exists.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: Option<SignalFd>,
    before: SigSet,
}

impl Signals {
    /// From now on they are only seen here. To be called before there are other threads.
    pub(crate) fn block() -> Self {
        let mut leave = SigSet::empty();
        leave.extend([Signal::SIGINT, Signal::SIGTERM]);
        let mut before = SigSet::empty();
        let blocked = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&leave), Some(&mut before));
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = blocked.and_then(|()| SignalFd::with_flags(&leave, flags)).ok();
        Self { descriptor, before }
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

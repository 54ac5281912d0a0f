//! The service manager: what it is told, and the listening sockets it keeps over a restart.
//!
//! Called by `life`. Without `$NOTIFY_SOCKET` everything here does nothing. What cannot be told is
//! not told: the broker never fails because systemd does not listen.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The way to the service manager.
#[derive(Clone, Copy, Debug)]
pub(super) struct Systemd {
    listens: bool,
}

impl Systemd {
    /// As the environment says; `heeded` is false for processes it did not start itself.
    pub(super) fn from_environment(heeded: bool) -> Self {
        let listens = heeded && std::env::var_os("NOTIFY_SOCKET").is_some();
        Self { listens }
    }

    /// All listeners accept.
    pub(super) fn ready(self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The line of `systemctl status`.
    pub(super) fn status(self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// The start has failed; the line stays until the next one.
    pub(super) fn failed(self, why: &str) {
        self.status(why);
    }

    /// The configuration is being read again; [`Self::ready`] follows. The time lets a unit with
    /// `Type=notify-reload` know which reload is meant.
    pub(super) fn reloading(self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.tell(&[NotifyState::Reloading, now]);
        }
    }

    /// The end has begun.
    pub(super) fn stopping(self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("Stopping")]);
    }

    /// The start goes on, and takes longer than the unit's time limit foresees.
    pub(super) fn goes_on(self, status: &str, patience: Duration) {
        self.status(status);
        self.extend(patience);
    }

    /// Something goes on that takes longer than the unit's time limits foresee.
    pub(super) fn extend(self, by: Duration) {
        let usec = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        self.tell(&[NotifyState::ExtendTimeoutUsec(usec)]);
    }

    /// How often [`Self::alive`] is expected, if it is.
    pub(super) fn watchdog(self) -> Option<Duration> {
        self.listens.then(sd_notify::watchdog_enabled).flatten()
    }

    /// Every shard has just turned.
    pub(super) fn alive(self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// Gives a listening socket into its keeping: it comes back after a restart, and nobody is
    /// refused in between. `systemctl stop` closes it.
    pub(super) fn keep(self, listener: &TcpListener) {
        if let Ok(address) = listener.local_addr()
            && self.listens
        {
            let name = kept_name(address);
            let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
            let _ = sd_notify::notify_with_fds(&state, &[listener.as_fd()]);
        }
    }

    /// Takes back the sockets that listen where `addresses` say; the others are closed, here and in
    /// its keeping.
    pub(super) fn kept(self, addresses: &[SocketAddr]) -> Vec<TcpListener> {
        if !self.listens {
            return Vec::new();
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut descriptors = ListenFd::from_env();
        let mut kept = Vec::new();
        for index in 0..descriptors.len() {
            let name = names.next().unwrap_or_default();
            let listener = descriptors.take_tcp_listener(index).ok().flatten();
            let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
            match (listener, address) {
                (Some(listener), Some(address)) if addresses.contains(&address) => {
                    kept.push(listener);
                }
                _ => self.tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]),
            }
        }
        kept
    }

    fn tell(self, state: &[NotifyState<'_>]) {
        if self.listens {
            let _ = sd_notify::notify(state);
        }
    }
}

/// A name for the store, which takes no colon (sd_notify(3), `FDNAME=`).
fn kept_name(address: SocketAddr) -> String {
    format!("tcp-{address}").replace(':', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p38_each_kept_socket_has_a_name_of_its_own() {
        let name = |address: &str| kept_name(address.parse().unwrap());
        assert_eq!(name("0.0.0.0:1883"), "tcp-0.0.0.0_1883");
        assert_ne!(name("[::]:1883"), name("[::1]:1883"));
        assert!(!name("[::]:1883").contains(':'));
    }
}

//! One listening socket and what is counted of it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Inherited, Options, StartError};
use crate::transport;

/// A listener, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerView {
    /// Which `[listener.NAME]` it comes from: `tcp`.
    pub name: String,
    /// Where it listens, with the port the kernel chose for port 0.
    pub address: SocketAddr,
    /// Connections that came this way and are up, those in the lobby included.
    pub connections: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Of those, the ones that were not let in.
    pub refused: u64,
}

#[derive(Debug)]
pub(super) struct Gate {
    address: SocketAddr,
    /// `None` once the server stops.
    socket: Mutex<Option<TcpListener>>,
    connections: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// The place of one connection among those that may be up; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<Gate>);

/// Takes all addresses or none; nobody listens yet. An inherited socket is used where its address is
/// wanted.
pub(super) fn open_all(
    options: &Options,
    inherited: Inherited,
) -> Result<Vec<Arc<Gate>>, StartError> {
    let mut inherited = inherited;
    let mut gates = Vec::new();
    for &address in &options.tcp {
        let failed = |source| StartError::Listen { address, source };
        let same = |socket: &TcpListener| socket.local_addr().is_ok_and(|local| local == address);
        let socket = match inherited.iter().position(same) {
            Some(position) => {
                let socket = inherited.swap_remove(position);
                transport::prepare(&socket).map_err(failed)?;
                socket
            }
            None => transport::bind(address).map_err(failed)?,
        };
        gates.push(Arc::new(Gate::new(socket).map_err(failed)?));
    }
    Ok(gates)
}

impl Gate {
    fn new(socket: TcpListener) -> io::Result<Self> {
        Ok(Self {
            address: socket.local_addr()?,
            socket: Mutex::new(Some(socket)),
            connections: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// From now on clients can connect.
    pub(super) fn listen(&self) -> Result<(), StartError> {
        let failed = |source| StartError::Listen { address: self.address, source };
        self.lock().as_ref().map_or(Ok(()), |socket| transport::listen(socket).map_err(failed))
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket once more, under another descriptor; `None` when the gate is closed.
    pub(super) fn socket(&self) -> Option<io::Result<TcpListener>> {
        self.lock().as_ref().map(TcpListener::try_clone)
    }

    pub(super) fn descriptor(&self) -> Option<OwnedFd> {
        self.socket().and_then(Result::ok).map(OwnedFd::from)
    }

    pub(super) fn close(&self) {
        self.lock().take();
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn view(&self) -> ListenerView {
        ListenerView {
            name: "tcp".to_owned(),
            address: self.address,
            connections: self.connections(),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// For a connection just accepted.
    pub(super) fn take(gate: &Arc<Gate>) -> Self {
        gate.accepted.fetch_add(1, Ordering::Relaxed);
        gate.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(gate))
    }

    /// The connection is not let in.
    pub(super) fn count_refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

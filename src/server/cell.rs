//! A shard's place in the server: the one lock it lies behind, its mailbox, and the bell that
//! wakes its thread.
//!
//! No thread ever holds two shards. A thread that finds a shard free steps it; one that finds it
//! taken leaves mail, and whoever holds the shard looks into the mailbox after letting go.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use mio::{Poll, Waker};

use super::arrival::Arrival;
use super::hall::Hall;
use super::mailbox::{Mail, Mailbox};
use super::shard;
use crate::broker::{Commons, Shard};

#[derive(Debug)]
pub(super) struct Cell {
    /// Held while waiting for `hall`, so that a busy thread that lets go and comes back at once
    /// stands in line behind whoever waited.
    line: Mutex<()>,
    hall: Mutex<Hall>,
    pub(super) mailbox: Mailbox,
    waker: Waker,
    /// Whether the thread has turned since [`Self::take_turned`].
    turned: AtomicBool,
}

impl Cell {
    /// The cell of shard `number`, whose thread will wait with `poll`.
    pub(super) fn new(number: u16, commons: Arc<Commons>, poll: &Poll) -> io::Result<Self> {
        let hall = Hall::new(number, Shard::new(number, commons), poll.registry().try_clone()?);
        Ok(Self {
            line: Mutex::new(()),
            hall: Mutex::new(hall),
            mailbox: Mailbox::default(),
            waker: Waker::new(poll.registry(), shard::WAKER)?,
            turned: AtomicBool::new(true),
        })
    }

    /// Takes the shard, and waits for it as long as one batch lasts.
    pub(super) fn enter(&self) -> MutexGuard<'_, Hall> {
        let _line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        self.hall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the shard if nobody holds it.
    pub(super) fn try_enter(&self) -> Option<MutexGuard<'_, Hall>> {
        match self.hall.try_lock() {
            Ok(hall) => Some(hall),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether a step ended in a panic. The shard is not stepped any more; the watchdog sees it.
    pub(super) fn is_broken(&self) -> bool {
        self.hall.is_poisoned()
    }

    /// Throws away what nobody will read.
    pub(super) fn discard_mail(&self) {
        let mut mail = Vec::new();
        self.mailbox.empty_into(&mut mail);
    }

    /// Puts a new connection into the mailbox.
    pub(super) fn post(&self, arrival: Arrival) {
        self.mailbox.post(Mail::Arrival(Box::new(arrival)));
    }

    /// Wakes the thread.
    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            // An eventfd that is open takes every write.
            tracing::error!(target: "mqttd", %error, "a shard's thread cannot be woken");
        }
    }

    pub(super) fn note_turn(&self) {
        self.turned.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_turned(&self) -> bool {
        self.turned.swap(false, Ordering::Relaxed)
    }
}

/// Reads all mail of a shard that is held.
pub(super) fn read_mail(cell: &Cell, hall: &mut Hall, mut read: impl FnMut(&mut Hall, Mail)) {
    let mut mail = std::mem::take(&mut hall.mail);
    cell.mailbox.empty_into(&mut mail);
    for item in mail.drain(..) {
        read(hall, item);
    }
    hall.mail = mail;
}

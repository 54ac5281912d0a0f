//! Counts the bytes that SQLite writes, by the headers of the frames it leaves beside the database.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::{FRAME_BYTES, FRAME_HEADER_BYTES, HEADER_BYTES};
use crate::store::schema::PAGE_BYTES;

/// Follows the frames of one store.
#[derive(Debug)]
pub(in crate::store) struct Meter {
    path: PathBuf,
    file: Option<File>,
    salt: [u8; 8],
    /// Frames seen since the file was begun anew.
    frames: u64,
    /// Pages that are not in the database yet.
    pages: HashSet<u32, foldhash::fast::FixedState>,
    bytes: u64,
}

impl Meter {
    /// Follows the file at `path`; what it holds already does not count.
    pub(in crate::store) fn new(path: PathBuf) -> Self {
        let mut meter =
            Self { path, file: None, salt: [0; 8], frames: 0, pages: HashSet::default(), bytes: 0 };
        meter.advance();
        meter.bytes = 0;
        meter
    }

    /// Bytes written so far.
    pub(in crate::store) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Frames in the file.
    pub(in crate::store) const fn frames(&self) -> u64 {
        self.frames
    }

    /// Pages that are not in the database yet.
    pub(in crate::store) fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// Counts the frames that were written since the last call. What cannot be read is not counted.
    pub(in crate::store) fn advance(&mut self) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &self.file else { return };
        let mut header = [0; HEADER_BYTES];
        if file.read_exact_at(&mut header, 0).is_err() {
            return;
        }
        if header[16..24] != self.salt {
            self.salt.copy_from_slice(&header[16..24]);
            self.frames = 0;
            self.bytes += HEADER_BYTES as u64;
        }
        let mut frame = [0; FRAME_HEADER_BYTES];
        loop {
            let at = HEADER_BYTES as u64 + self.frames * FRAME_BYTES;
            if file.read_exact_at(&mut frame, at).is_err() || frame[8..16] != self.salt {
                return;
            }
            self.frames += 1;
            self.bytes += FRAME_BYTES;
            self.pages.insert(super::word(&frame, 0));
        }
    }

    /// All pages were moved to the database.
    pub(in crate::store) fn moved(&mut self) {
        self.bytes += self.pages() * PAGE_BYTES;
        self.pages.clear();
    }

    /// The file was removed, or another one is in its place.
    pub(in crate::store) fn reopen(&mut self) {
        self.file = None;
        self.advance();
    }
}

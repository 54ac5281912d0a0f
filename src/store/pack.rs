//! Writing messages to the log: into strips, in the order of names.
//!
//! Most messages come in that order. They fill the last strip up to a page, and new ones behind it. One that comes late, because another shard was slower, goes into a row of its own
//! where two rows leave room for it, and otherwise into the row around it, which is written anew.

use rusqlite::{CachedStatement, Connection};

use super::census::Census;
use super::placement::{Gap, Thin};
use super::recover::blob;
use super::seal::Seal;
use super::sqlite::{LOG, RETAINED};
use super::strip::{Fresh, Messages, Packed, STRIP_BYTES, STRIP_BYTES_MAX, Torn};

/// The last row of the log as long as it may take more.
#[derive(Debug, Default)]
pub(super) struct Open {
    key: u64,
    strip: Vec<u8>,
}

impl Open {
    pub(super) const fn key(&self) -> u64 {
        self.key
    }
}

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// Messages, and whether each is the first of its row.
    pub(super) places: Vec<(u64, bool)>,
    pub(super) open: Option<Open>,
}

/// A message that goes into a strip: new, or from the row that is written anew.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Fresh(Fresh<'a>),
    /// The body, when it stands apart.
    Packed(Packed<'a>, &'a [u8]),
}

impl Piece<'_> {
    const fn mid(&self) -> u64 {
        match self {
            Self::Fresh(fresh) => fresh.mid,
            Self::Packed(packed, _) => packed.mid,
        }
    }

    const fn bytes(&self) -> usize {
        match self {
            Self::Fresh(fresh) => fresh.packed_bytes(),
            Self::Packed(packed, _) => packed.whole.len(),
        }
    }

    /// Bytes up to which a strip takes it.
    const fn strip_bytes(&self) -> usize {
        if self.bytes() * 3 > STRIP_BYTES { STRIP_BYTES_MAX } else { STRIP_BYTES }
    }

    const fn is_large(&self) -> bool {
        match self {
            Self::Fresh(fresh) => fresh.is_large(),
            Self::Packed(_, apart) => !apart.is_empty(),
        }
    }
}

/// Writes messages to the log.
pub(super) struct Packer<'a> {
    census: &'a Census,
    connection: &'a Connection,
    put: CachedStatement<'a>,
    strip: Vec<u8>,
    apart: Vec<u8>,
    placed: Placed,
}

impl<'a> Packer<'a> {
    pub(super) fn new(connection: &'a Connection, census: &'a Census) -> rusqlite::Result<Self> {
        let put = connection.prepare_cached("REPLACE INTO log VALUES (?1, ?2, ?3)")?;
        let (strip, apart, placed) = (Vec::new(), Vec::new(), Placed::default());
        Ok(Self { census, connection, put, strip, apart, placed })
    }

    /// Writes messages, in order; `open` is the last row, where that is known.
    pub(super) fn write(
        mut self,
        mut messages: &[Fresh<'_>],
        mut open: Option<Open>,
    ) -> rusqlite::Result<Placed> {
        while let Some(first) = messages.first() {
            let gap = self.census.gap(first.mid);
            let is_last = gap.behind.is_none();
            let count = gap.behind.map_or(messages.len(), |behind| {
                messages.partition_point(|message| message.mid < behind)
            });
            let (group, rest) = messages.split_at(count);
            messages = rest;
            let last = open.take_if(|_| is_last).filter(|open| gap.before == Some(open.key));
            self.group(gap, group, last)?;
        }
        if self.placed.open.is_none() {
            self.placed.open = open;
        }
        Ok(self.placed)
    }

    /// Writes messages between two rows.
    fn group(&mut self, gap: Gap, group: &[Fresh<'_>], open: Option<Open>) -> rusqlite::Result<()> {
        let is_last = gap.behind.is_none();
        match (gap.before, open) {
            (Some(key), _) if gap.is_inside => self.between(key, group, is_last),
            (_, Some(open)) => self.behind(open, group),
            _ => self.pieces(group.iter().map(|fresh| Piece::Fresh(*fresh)), is_last),
        }
    }

    /// Adds to the last row as much as it takes, and new rows behind it.
    fn behind(&mut self, open: Open, group: &[Fresh<'_>]) -> rusqlite::Result<()> {
        let Open { key, strip } = open;
        let mut bytes = strip.len();
        let fits = group.iter().take_while(|message| {
            bytes += message.packed_bytes();
            bytes <= STRIP_BYTES
        });
        let (taken, rest) = group.split_at(fits.count());
        if !taken.is_empty() {
            self.strip = strip;
            for message in taken {
                message.pack(&mut self.strip, &mut self.apart);
                self.placed.places.push((message.mid, false));
            }
            self.put(key, rest.is_empty())?;
        }
        self.pieces(rest.iter().map(|fresh| Piece::Fresh(*fresh)), true)
    }

    /// Writes a row anew, with messages that belong between its own.
    fn between(&mut self, key: u64, group: &[Fresh<'_>], is_last: bool) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut statement = connection.prepare_cached(LOG)?;
        let mut rows = statement.query([key.cast_signed()])?;
        let Some(row) = rows.next()? else { return Err(damaged()) };
        let (strip, apart) = (blob(row, 0)?.to_vec(), blob(row, 1)?.to_vec());
        drop(rows);
        let old = Messages::of(&strip, !apart.is_empty());
        let old: Vec<_> = old.collect::<Result<_, Torn>>().map_err(|Torn| damaged())?;
        let mut pieces: Vec<_> = group.iter().map(|fresh| Piece::Fresh(*fresh)).collect();
        let is_new = |mid| group.binary_search_by_key(&mid, |fresh| fresh.mid).is_ok();
        let old = old.into_iter().filter(|old| !is_new(old.mid));
        pieces.extend(old.map(|old| Piece::Packed(old, &apart)));
        pieces.sort_unstable_by_key(Piece::mid);
        self.pieces(pieces.into_iter(), is_last)
    }

    /// Fills rows with messages.
    fn pieces<'b>(
        &mut self,
        pieces: impl Iterator<Item = Piece<'b>>,
        is_last: bool,
    ) -> rusqlite::Result<()> {
        let mut key = None;
        self.strip.clear();
        for piece in pieces {
            let is_full =
                self.strip.len() + piece.bytes() > piece.strip_bytes() || piece.is_large();
            if let Some(full) = key.take_if(|_| is_full) {
                self.put(full, false)?;
                self.strip.clear();
            }
            let is_head = key.is_none();
            let first = *key.get_or_insert_with(|| piece.mid());
            self.placed.places.push((piece.mid(), is_head));
            match piece {
                Piece::Fresh(fresh) => fresh.pack(&mut self.strip, &mut self.apart),
                Piece::Packed(packed, apart) => {
                    self.strip.extend_from_slice(packed.whole);
                    self.apart.extend_from_slice(apart);
                }
            }
            if !self.apart.is_empty() {
                self.put(first, false)?;
                self.strip.clear();
                self.apart.clear();
                key = None;
            }
        }
        match key {
            Some(key) => self.put(key, is_last),
            None => Ok(()),
        }
    }

    /// Writes a row; with `is_last` it may be the one that takes more.
    fn put(&mut self, key: u64, is_last: bool) -> rusqlite::Result<()> {
        self.put.execute((key.cast_signed(), &self.strip, &self.apart))?;
        if is_last && self.strip.len() < STRIP_BYTES {
            self.placed.open = Some(Open { key, strip: std::mem::take(&mut self.strip) });
        }
        Ok(())
    }
}

/// A message that is retained no more, and that somebody waits for.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) mid: u64,
    envelope: Vec<u8>,
    body: Vec<u8>,
}

impl Moved {
    /// Takes it out of its table; `None` when it is damaged, and stays.
    pub(super) fn take(connection: &Connection, mid: u64) -> rusqlite::Result<Option<Self>> {
        let key = [mid.cast_signed()];
        let moved = {
            let mut statement = connection.prepare_cached(RETAINED)?;
            let mut rows = statement.query(key)?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let envelope = Seal::envelope(mid).open(blob(row, 0)?);
            let sound = envelope.zip(Seal::body(mid).open(blob(row, 1)?));
            sound.map(|(envelope, body)| (envelope.to_vec(), body.to_vec()))
        };
        let Some((envelope, body)) = moved else { return Ok(None) };
        super::commit::run(connection, "DELETE FROM retained WHERE mid = ?1", key)?;
        Ok(Some(Self { mid, envelope, body }))
    }

    pub(super) fn fresh(&self) -> Fresh<'_> {
        Fresh { mid: self.mid, envelope: &self.envelope, body: &self.body }
    }
}

/// Writes a row anew with its living messages; the key is then that of the first of them.
pub(super) fn thin_out(connection: &Connection, thin: &Thin) -> rusqlite::Result<()> {
    let key = thin.run.first.cast_signed();
    let strip = {
        let mut statement = connection.prepare_cached("SELECT strip FROM log WHERE mid = ?")?;
        let mut rows = statement.query([key])?;
        let Some(row) = rows.next()? else { return Err(damaged()) };
        let mut strip = Vec::new();
        for message in Messages::of(blob(row, 0)?, false) {
            let message = message.map_err(|Torn| damaged())?;
            if thin.living.binary_search(&message.mid).is_ok() {
                strip.extend_from_slice(message.whole);
            }
        }
        strip
    };
    super::commit::run(connection, "DELETE FROM log WHERE mid = ?", [key])?;
    let first = thin.living.first().copied().unwrap_or(thin.run.first).cast_signed();
    super::commit::run(connection, "INSERT INTO log VALUES (?1, ?2, x'')", (first, &strip))
}

/// What SQLite says of a row that it finds damaged itself.
fn damaged() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some("a row of the log is damaged".to_owned()))
}

//! Writing a batch: one transaction, or none at all when nothing of it needs writing.

use rusqlite::{CachedStatement, Connection};

use super::books::{Books, Marks, Shelf, Tomb};
use super::pack::{Moved, Open, Packer, Placed};
use super::seal::Seal;
use super::sqlite::SqliteStore;
use super::strip::Fresh;
use super::sweep::Slice;
use super::{StoreError, wal};
use crate::broker::{Class, Position, Record, Records};

/// What a batch came to.
#[derive(Debug, Default)]
struct Written {
    /// Whether there was a transaction.
    transaction: bool,
    records: u64,
    spared: u64,
    tombs: Vec<Tomb>,
    marks: Marks,
    moved: Vec<Moved>,
    placed: Placed,
}

impl SqliteStore {
    /// Keeps a batch. On a full disk the pages beside the database are moved into it, which makes
    /// their place free, and the batch is tried once more.
    pub(super) fn keep(&mut self, batch: &[Records], class: Class) -> Result<(), StoreError> {
        if let Some(error) = self.ailing.take() {
            return Err(error);
        }
        match self.try_to_keep(batch, class) {
            Err(StoreError::Full { .. }) if self.move_pages().is_ok() => {
                self.try_to_keep(batch, class)
            }
            kept => kept,
        }
    }

    fn try_to_keep(&mut self, batch: &[Records], class: Class) -> Result<(), StoreError> {
        self.wait_for(class)?;
        self.strip_read.key = None;
        let slice = self.retained_slice();
        self.books.take_in(batch);
        let slice = self.with_log(slice);
        let open = self.open.take();
        let written = Writer::new(&self.connection, &self.books, &slice).write(batch, open, class);
        match written {
            Ok(written) => {
                self.books.settle(written.marks, written.tombs);
                self.moved(&written.moved, written.placed);
                self.counts.records += written.records;
                self.counts.spared += written.spared;
                if written.transaction {
                    self.swept(slice);
                    self.count_commit(class);
                    self.move_pages_when_many();
                }
                Ok(())
            }
            Err(error) => {
                self.books.undo();
                self.roll_back();
                self.sweep.doubtful = slice;
                self.meter.advance();
                Err(StoreError::of_sqlite("cannot write", &wal::beside(&self.path), &error))
            }
        }
    }

    /// Sets whether a commit waits for the disk.
    pub(super) fn wait_for(&mut self, class: Class) -> Result<(), StoreError> {
        let waits = |class| class == Class::Disk;
        if waits(class) != waits(self.class) {
            // NORMAL still waits where pages are moved into the database.
            let setting = if waits(class) { "FULL" } else { "NORMAL" };
            let set = self.connection.pragma_update(None, "synchronous", setting);
            set.map_err(|error| self.failed(&error))?;
            self.class = class;
        }
        Ok(())
    }

    pub(super) fn count_commit(&mut self, class: Class) {
        self.meter.advance();
        self.counts.commits += 1;
        self.counts.syncs += u64::from(class == Class::Disk);
    }

    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            // What cannot be rolled back was never completed, and SQLite cuts it off itself.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// What was committed is kept, whatever becomes of this: a disk that failed is told next time.
    pub(super) fn move_pages_when_many(&mut self) {
        let many = self.meter.frames() >= u64::from(self.options.checkpoint_pages);
        if many && self.meter.pages() > 0 {
            self.ailing = self.move_pages().err().filter(|error| {
                // The pages stay where they are; a commit that finds no place says so.
                !matches!(error, StoreError::Full { .. })
            });
        }
    }

    /// Moves all pages beside the database into it.
    pub(super) fn move_pages(&mut self) -> Result<(), StoreError> {
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")
    }

    pub(super) fn checkpoint(&mut self, pragma: &str) -> Result<(), StoreError> {
        if self.is_copied() {
            return Ok(());
        }
        let moved = self.connection.query_row(pragma, [], |row| {
            let (blocked, frames, moved): (bool, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(!blocked && frames == moved)
        });
        if moved.map_err(|error| StoreError::of_sqlite("cannot write", &self.path, &error))? {
            self.meter.moved();
        }
        Ok(())
    }
}

/// Writes records; begins a transaction with the first that needs one.
pub(super) struct Writer<'a> {
    connection: &'a Connection,
    books: &'a Books,
    /// What the transaction removes before it writes, so that pages are used again at once.
    slice: &'a Slice,
    /// Messages for the log.
    log: Vec<Fresh<'a>>,
    retained: Option<CachedStatement<'a>>,
    envelope: Vec<u8>,
    /// A sealed value.
    value: Vec<u8>,
    written: Written,
}

// What is said of a session that is not known is left out.
const PUT_SESSION: &str = "REPLACE INTO session VALUES (?1, ?2)";
const PUT_SUBSCRIPTION: &str = "REPLACE INTO subscription SELECT ?1, ?2, ?3
    WHERE EXISTS (SELECT 1 FROM session WHERE session.sid = ?1)";
const PUT_POSITION: &str = "REPLACE INTO position SELECT ?1, ?2
    WHERE EXISTS (SELECT 1 FROM session WHERE session.sid = ?1)";
const PUT_RECEIVED: &str = "REPLACE INTO received SELECT ?1, ?2, ?3
    WHERE EXISTS (SELECT 1 FROM session WHERE session.sid = ?1)";
const PUT_SENT: &str = "REPLACE INTO sent SELECT ?1, ?2, ?3
    WHERE EXISTS (SELECT 1 FROM session WHERE session.sid = ?1)";
const END_SESSION: [&str; 5] = [
    "DELETE FROM session WHERE sid = ?1",
    "DELETE FROM position WHERE sid = ?1",
    "DELETE FROM subscription WHERE sid = ?1",
    "DELETE FROM received WHERE sid = ?1",
    "DELETE FROM sent WHERE sid = ?1",
];

impl<'a> Writer<'a> {
    fn new(connection: &'a Connection, books: &'a Books, slice: &'a Slice) -> Self {
        let written = Written { marks: books.raised_marks(), ..Written::default() };
        Self {
            connection,
            books,
            slice,
            log: Vec::new(),
            retained: None,
            envelope: Vec::new(),
            value: Vec::new(),
            written,
        }
    }

    fn write(
        mut self,
        batch: &'a [Records],
        open: Option<Open>,
        class: Class,
    ) -> rusqlite::Result<Written> {
        for record in batch.iter().flat_map(Records::iter) {
            self.written.records += 1;
            self.record(record)?;
        }
        self.marks()?;
        self.pack(open)?;
        if self.written.transaction {
            commit(self.connection, class)?;
        }
        Ok(self.written)
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        if !self.written.transaction {
            self.written.transaction = true;
            begin(self.connection)?;
            self.written.moved = self.slice.remove(self.connection)?;
        }
        Ok(())
    }

    fn record(&mut self, record: Record<'a>) -> rusqlite::Result<()> {
        match record {
            Record::Message { mid, recipients, retained, envelope, body } => {
                let mid = mid.get();
                match self.books.shelf(mid, retained) {
                    Some(Shelf::Log) => {
                        self.log.push(Fresh { mid, envelope, body });
                        self.begin()
                    }
                    Some(Shelf::Retained) => {
                        let envelope = if recipients == 0 { None } else { Some(envelope) };
                        self.retained(mid, envelope, body)
                    }
                    None => {
                        self.written.spared += u64::from(recipients > 0);
                        Ok(())
                    }
                }
            }
            Record::Done { .. } => Ok(()),
            Record::RetainedGone { mid, topic } => self.retained_gone(mid.get(), topic),
            Record::Session { sid, state } => {
                let sid = sid.get();
                Seal::session(sid).put(&[state], &mut self.value);
                self.begin()?;
                run(self.connection, PUT_SESSION, (sid.cast_signed(), &self.value))
            }
            Record::SessionEnded { sid } => {
                self.begin()?;
                let sid = sid.get().cast_signed();
                END_SESSION.iter().try_for_each(|sql| run(self.connection, sql, [sid]))
            }
            Record::Subscribed { sid, filter, options } => {
                let (sid, filter) = (sid.get(), filter.as_bytes());
                Seal::subscription(sid, filter).put(&[options], &mut self.value);
                self.begin()?;
                run(self.connection, PUT_SUBSCRIPTION, (sid.cast_signed(), filter, &self.value))
            }
            Record::Unsubscribed { sid, filter } => {
                self.begin()?;
                let sql = "DELETE FROM subscription WHERE sid = ?1 AND filter = ?2";
                run(self.connection, sql, (sid.get().cast_signed(), filter.as_bytes()))
            }
            Record::Received { sid, packet_id } => {
                let sid = sid.get();
                Seal::received(sid, packet_id).put(&[], &mut self.value);
                self.begin()?;
                run(self.connection, PUT_RECEIVED, (sid.cast_signed(), packet_id, &self.value))
            }
            Record::Released { sid, packet_id } => {
                self.begin()?;
                let sql = "DELETE FROM received WHERE sid = ?1 AND packet_id = ?2";
                run(self.connection, sql, (sid.get().cast_signed(), packet_id))
            }
            Record::Sent { sid, mid, packet_id, released } => {
                let (sid, mid) = (sid.get(), mid.get());
                let [low, high] = packet_id.to_le_bytes();
                let state = [low, high, u8::from(released)];
                Seal::sent(sid, mid).put(&[&state], &mut self.value);
                self.begin()?;
                let key = (sid.cast_signed(), mid.cast_signed());
                run(self.connection, PUT_SENT, (key.0, key.1, &self.value))
            }
            Record::Position { sid, cursor, position } => {
                self.position(sid.get(), cursor, position)
            }
        }
    }

    fn retained(&mut self, mid: u64, envelope: Option<&[u8]>, body: &[u8]) -> rusqlite::Result<()> {
        self.begin()?;
        match envelope {
            Some(envelope) => Seal::envelope(mid).put(&[envelope], &mut self.envelope),
            None => self.envelope.clear(),
        }
        Seal::body(mid).put(&[body], &mut self.value);
        let statement = match &mut self.retained {
            Some(statement) => statement,
            none => {
                let put = "REPLACE INTO retained VALUES (?1, ?2, ?3)";
                none.insert(self.connection.prepare_cached(put)?)
            }
        };
        statement.execute((mid.cast_signed(), &self.envelope, &self.value))?;
        Ok(())
    }

    /// Writes what goes to the log, in the order of names, which shards do not keep among them.
    fn pack(&mut self, open: Option<Open>) -> rusqlite::Result<()> {
        let moved = std::mem::take(&mut self.written.moved);
        let mut messages = std::mem::take(&mut self.log);
        messages.extend(moved.iter().map(Moved::fresh));
        if !messages.is_sorted_by_key(|message| message.mid) {
            messages.sort_by_key(|message| message.mid);
        }
        // Of two of a name the later one is meant, as with two rows of a key.
        messages.dedup_by(|later, earlier| {
            let is_again = later.mid == earlier.mid;
            if is_again {
                *earlier = *later;
            }
            is_again
        });
        let census = self.books.census(Shelf::Log);
        self.written.placed = Packer::new(self.connection, census)?.write(&messages, open)?;
        self.written.moved = moved;
        Ok(())
    }

    fn retained_gone(&mut self, mid: u64, topic: &str) -> rusqlite::Result<()> {
        let key = self.books.topics.key(topic);
        if !self.books.is_gone(mid, key) {
            return Ok(());
        }
        let seq = self.books.next_seq + self.written.tombs.len() as u64;
        let parts: [&[u8]; 2] = [&mid.to_le_bytes(), topic.as_bytes()];
        Seal::gone(seq).put(&parts, &mut self.value);
        self.begin()?;
        run(
            self.connection,
            "REPLACE INTO gone VALUES (?1, ?2)",
            (seq.cast_signed(), &self.value),
        )?;
        let bytes = self.value.len() as u64;
        self.written.tombs.push(Tomb { seq, mid, topic: key, bytes });
        Ok(())
    }

    fn position(&mut self, sid: u64, cursor: u64, position: &[u8]) -> rusqlite::Result<()> {
        Seal::position(sid).put(&[&cursor.to_le_bytes(), position], &mut self.value);
        self.begin()?;
        run(self.connection, PUT_POSITION, (sid.cast_signed(), &self.value))?;
        // Names beyond the largest that a row can have are those of no message.
        let cursor = i64::try_from(cursor).unwrap_or(i64::MAX);
        let sql = "DELETE FROM sent WHERE sid = ?1 AND mid <= ?2";
        run(self.connection, sql, (sid.cast_signed(), cursor))?;
        let Some(position) = Position::open(cursor.cast_unsigned(), position) else {
            return Ok(());
        };
        // One message that is never acknowledged holds the cursor, and nothing else.
        position.above.iter().try_for_each(|done| {
            let (first, last) = (done.first.get().cast_signed(), done.last.get().cast_signed());
            let sql = "DELETE FROM sent WHERE sid = ?1 AND mid BETWEEN ?2 AND ?3";
            run(self.connection, sql, (sid.cast_signed(), first, last))
        })
    }

    /// Raises the marks that the batch reached.
    fn marks(&mut self) -> rusqlite::Result<()> {
        let (old, new) = (self.books.marks, self.written.marks);
        for (name, old, new) in [("mid", old.mid, new.mid), ("sid", old.sid, new.sid)] {
            if new > old {
                Seal::meta(name).put(&[&new.to_le_bytes()], &mut self.value);
                self.begin()?;
                run(self.connection, "REPLACE INTO meta VALUES (?1, ?2)", (name, &self.value))?;
            }
        }
        Ok(())
    }
}

/// Runs a statement that gives nothing.
pub(super) fn run(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "BEGIN IMMEDIATE", [])
}

/// Ends a transaction; one that does not wait for the disk says so.
pub(super) fn commit(connection: &Connection, class: Class) -> rusqlite::Result<()> {
    if class != Class::Disk {
        let sql = "INSERT INTO soft VALUES (1, 1) ON CONFLICT DO UPDATE SET count = count + 1";
        run(connection, sql, [])?;
    }
    run(connection, "COMMIT", [])
}

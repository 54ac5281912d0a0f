//! Reading everything back at a start, and the books with it.

use rusqlite::{Connection, Row};

use super::books::{Books, Marks, Shelf, Tomb};
use super::seal::{SEAL_BYTES, Seal};
use super::sqlite::{LOG, RETAINED, SqliteStore};
use super::strip::{Messages, Packed};
use super::topics::Claim;
use super::{Recovered, StoreError};
use crate::broker::{Damaged, Mid, Restore, Sid, StoredMessage, Waiting};

/// Records between two reports of progress.
const PROGRESS_RECORDS: u64 = 10_000;

impl SqliteStore {
    pub(super) fn read_all(
        &mut self,
        into: &mut dyn Restore,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Recovered, StoreError> {
        progress(0);
        let checked = self.check_tables().and_then(|()| read(&self.connection, into, progress));
        match checked {
            Ok((books, recovered)) => {
                self.books = books;
                self.knows_all = true;
                if recovered.damaged > 0 {
                    // It is said once.
                    let forget = "DELETE FROM meta WHERE name = 'damaged'";
                    self.connection.execute(forget, []).map_err(|error| self.failed(&error))?;
                }
                Ok(Recovered { torn_bytes: self.torn_bytes, ..recovered })
            }
            Err(stop) => Err(self.stopped(stop)),
        }
    }
}

/// Bytes of a database up to which all of it is checked at a start: reading a large one takes long,
/// and most of it are the messages.
const CHECK_BYTES_MAX: u64 = 512 << 20;
/// What is checked of a larger one.
const CHECKED: [&str; 8] =
    ["session", "subscription", "position", "received", "sent", "gone", "retained", "meta"];

impl SqliteStore {
    /// A checksum tells of a row that was changed, not of one that no page names any more.
    fn check_tables(&self) -> Result<(), Stop> {
        let bytes = self.path.metadata().map_or(0, |metadata| metadata.len());
        if bytes <= CHECK_BYTES_MAX {
            return check(&self.connection);
        }
        CHECKED.iter().try_for_each(|table| {
            let pragma = format!("PRAGMA quick_check('{table}')");
            self.connection
                .query_row(&pragma, [], |row| row.get(0))
                .map_err(Stop::from)
                .and_then(said)
        })
    }
}

/// That SQLite found nothing.
fn said(found: String) -> Result<(), Stop> {
    if found == "ok" { Ok(()) } else { Err(Stop::Damaged(found.replace('\n', " "))) }
}

/// Reads everything, and says what the books are.
pub(super) fn read(
    connection: &Connection,
    into: &mut dyn Restore,
    progress: &mut dyn FnMut(u64),
) -> Result<(Books, Recovered), Stop> {
    let mut reading = Reading {
        connection,
        books: Books::default(),
        into,
        progress,
        records: 0,
        recovered: Recovered::default(),
        addressed: Vec::new(),
    };
    reading.run()?;
    Ok((reading.books, reading.recovered))
}

/// Whether the tables hang together: no page is lost, missing or twice in use, all rows are in order.
pub(super) fn check(connection: &Connection) -> Result<(), Stop> {
    said(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?)
}

/// Why reading ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Sqlite(rusqlite::Error),
    Damaged(String),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Stop {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

/// Turns `None` and [`Damaged`] into the name of what is damaged.
trait OrDamaged<T> {
    fn or_damaged(self, what: impl FnOnce() -> String) -> Result<T, Stop>;
}

impl<T> OrDamaged<T> for Option<T> {
    fn or_damaged(self, what: impl FnOnce() -> String) -> Result<T, Stop> {
        self.ok_or_else(|| Stop::Damaged(what()))
    }
}

impl<T> OrDamaged<T> for Result<T, Damaged> {
    fn or_damaged(self, what: impl FnOnce() -> String) -> Result<T, Stop> {
        self.map_err(|Damaged| Stop::Damaged(what()))
    }
}

struct Reading<'a> {
    connection: &'a Connection,
    books: Books,
    into: &'a mut dyn Restore,
    progress: &'a mut dyn FnMut(u64),
    records: u64,
    recovered: Recovered,
    /// Messages on the shelf of retained ones that have recipients.
    addressed: Vec<u64>,
}

impl Reading<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        self.marks()?;
        self.sessions()?;
        self.subscriptions()?;
        self.positions()?;
        self.received()?;
        self.sent()?;
        self.tombs()?;
        self.retained()?;
        self.messages()?;
        self.recovered.retained = self.books.retained().claimed;
        self.recovered.messages = self.books.log().waiting + self.books.retained().waiting;
        (self.progress)(self.records);
        Ok(())
    }

    fn count(&mut self) {
        self.records += 1;
        if self.records.is_multiple_of(PROGRESS_RECORDS) {
            (self.progress)(self.records);
        }
    }

    fn each(
        &mut self,
        sql: &str,
        mut take: impl FnMut(&mut Self, &Row<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let connection = self.connection;
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(self, row)?;
            self.count();
        }
        Ok(())
    }

    fn marks(&mut self) -> Result<(), Stop> {
        (self.books.marks, self.recovered.damaged) = read_marks(self.connection)?;
        self.books.last_mid = self.books.marks.mid;
        self.recovered.last_mid = self.books.marks.mid;
        self.recovered.last_sid = self.books.marks.sid;
        Ok(())
    }

    fn sessions(&mut self) -> Result<(), Stop> {
        self.each("SELECT sid, state FROM session ORDER BY sid", |this, row| {
            let (sid, sealed) = (number(row, 0)?, blob(row, 1)?);
            let what = || format!("session {sid}");
            let state = Seal::session(sid).open(sealed).or_damaged(what)?;
            let name = Sid::new(sid).or_damaged(what)?;
            this.recovered.sessions += 1;
            this.into.session(name, state).or_damaged(what)
        })
    }

    fn subscriptions(&mut self) -> Result<(), Stop> {
        let sql = "SELECT sid, filter, options FROM subscription ORDER BY sid, filter";
        self.each(sql, |this, row| {
            let (sid, filter, sealed) = (number(row, 0)?, blob(row, 1)?, blob(row, 2)?);
            let what = || {
                let filter = String::from_utf8_lossy(filter);
                format!("the subscription of session {sid} to {filter}")
            };
            let options = Seal::subscription(sid, filter).open(sealed).or_damaged(what)?;
            let name = Sid::new(sid).or_damaged(what)?;
            let filter = std::str::from_utf8(filter).ok().or_damaged(what)?;
            this.recovered.subscriptions += 1;
            this.into.subscription(name, filter, options).or_damaged(what)
        })
    }

    fn positions(&mut self) -> Result<(), Stop> {
        self.each("SELECT sid, state FROM position ORDER BY sid", |this, row| {
            let (sid, sealed) = (number(row, 0)?, blob(row, 1)?);
            let what = || format!("the position of session {sid}");
            let state = Seal::position(sid).open(sealed).or_damaged(what)?;
            let (cursor, position) = state.split_first_chunk().or_damaged(what)?;
            let name = Sid::new(sid).or_damaged(what)?;
            let cursor = u64::from_le_bytes(*cursor);
            this.into.position(name, cursor, position).or_damaged(what)
        })
    }

    fn received(&mut self) -> Result<(), Stop> {
        let sql = "SELECT sid, packet_id, seal FROM received ORDER BY sid, packet_id";
        self.each(sql, |this, row| {
            let (sid, packet_id, seal) = (number(row, 0)?, row.get::<_, u16>(1)?, blob(row, 2)?);
            let what = || format!("packet {packet_id} received of session {sid}");
            Seal::received(sid, packet_id).open(seal).or_damaged(what)?;
            this.into.received(Sid::new(sid).or_damaged(what)?, packet_id);
            Ok(())
        })
    }

    fn sent(&mut self) -> Result<(), Stop> {
        self.each("SELECT sid, mid, state FROM sent ORDER BY sid, mid", |this, row| {
            let (sid, mid, sealed) = (number(row, 0)?, number(row, 1)?, blob(row, 2)?);
            let what = || format!("message {mid} sent to session {sid}");
            let state = Seal::sent(sid, mid).open(sealed).or_damaged(what)?;
            let [low, high, released] = *state else { return None.or_damaged(what) };
            let packet_id = u16::from_le_bytes([low, high]);
            let (name, mid) = (Sid::new(sid).or_damaged(what)?, Mid::new(mid).or_damaged(what)?);
            this.into.sent(name, mid, packet_id, released != 0);
            Ok(())
        })
    }

    fn tombs(&mut self) -> Result<(), Stop> {
        self.each("SELECT seq, topic FROM gone ORDER BY seq", |this, row| {
            let (seq, sealed) = (number(row, 0)?, blob(row, 1)?);
            let what = || format!("note {seq} of a topic without retained message");
            let (mid, topic) = open_tomb(seq, sealed).or_damaged(what)?;
            let topic = this.books.topics.key(topic);
            this.books.bury(Tomb { seq, mid, topic, bytes: sealed.len() as u64 });
            Ok(())
        })
    }

    /// In the order of names, so that a later one takes the place of an earlier one.
    fn retained(&mut self) -> Result<(), Stop> {
        let sql = "SELECT mid, length(envelope), body FROM retained ORDER BY mid";
        self.each(sql, |this, row| {
            let (mid, envelope_bytes, sealed) = (number(row, 0)?, number(row, 1)?, blob(row, 2)?);
            let what = || format!("retained message {mid}");
            let body = Seal::body(mid).open(sealed).or_damaged(what)?;
            let topic = StoredMessage::topic(body).or_damaged(what)?;
            let name = Mid::new(mid).or_damaged(what)?;
            let bytes = envelope_bytes.saturating_sub(SEAL_BYTES as u64) + body.len() as u64;
            this.books.found_retained(mid, topic, bytes);
            if envelope_bytes > 0 {
                this.addressed.push(mid);
            }
            if this.books.census(Shelf::Retained).is_live(mid) {
                this.into.retained(name, body).or_damaged(what)?;
            }
            Ok(())
        })
    }

    fn messages(&mut self) -> Result<(), Stop> {
        let mut addressed = std::mem::take(&mut self.addressed).into_iter().peekable();
        let sql = "SELECT mid, strip, length(body) FROM log ORDER BY mid";
        self.each(sql, |this, row| {
            let (key, strip, apart_bytes) = (number(row, 0)?, blob(row, 1)?, number(row, 2)?);
            let mut last = None;
            for message in Messages::of(strip, apart_bytes > 0) {
                let what = || match last {
                    Some(last) => format!("a message behind {last}"),
                    None => format!("message {key}"),
                };
                let message = message.ok().filter(|message| last.is_some() || message.mid == key);
                let message = message.or_damaged(what)?;
                while let Some(earlier) = addressed.next_if(|earlier| *earlier <= message.mid) {
                    if earlier < message.mid {
                        this.addressed_retained(earlier)?;
                    }
                }
                this.queued(key, &message)?;
                if last.replace(message.mid).is_some() {
                    // The first counts with its row.
                    this.count();
                }
            }
            last.map(drop).or_damaged(|| format!("message {key}"))
        })?;
        addressed.try_for_each(|mid| self.addressed_retained(mid))
    }

    /// A message of the log, from the row of that key.
    fn queued(&mut self, key: u64, message: &Packed<'_>) -> Result<(), Stop> {
        let mid = message.mid;
        let waiting = self.message(mid, message.envelope)?;
        if waiting.wants_body {
            let connection = self.connection;
            let mut statement = connection.prepare_cached(LOG)?;
            let mut rows = statement.query([key.cast_signed()])?;
            let what = || format!("message {mid}");
            let apart = blob(rows.next()?.or_damaged(what)?, 1)?;
            self.body(mid, message.body(apart))?;
        }
        let census = self.books.census_mut(Shelf::Log);
        census.put(mid, waiting.recipients, false, message.bytes());
        census.place(mid, mid == key);
        Ok(())
    }

    fn addressed_retained(&mut self, mid: u64) -> Result<(), Stop> {
        let connection = self.connection;
        let mut statement = connection.prepare_cached(RETAINED)?;
        let mut rows = statement.query([mid.cast_signed()])?;
        if let Some(row) = rows.next()? {
            let envelope = Seal::envelope(mid).open(blob(row, 0)?);
            let waiting = self.message(mid, envelope.or_damaged(|| format!("message {mid}"))?)?;
            if waiting.wants_body {
                self.body(mid, Seal::body(mid).open(blob(row, 1)?))?;
            }
            self.books.census_mut(Shelf::Retained).expect(mid, waiting.recipients);
        }
        Ok(())
    }

    /// Hands a message over; returns how many wait for it.
    fn message(&mut self, mid: u64, envelope: &[u8]) -> Result<Waiting, Stop> {
        let what = || format!("message {mid}");
        let name = Mid::new(mid).or_damaged(what)?;
        self.into.message(name, envelope).or_damaged(what)
    }

    fn body(&mut self, mid: u64, body: Option<&[u8]>) -> Result<(), Stop> {
        let what = || format!("message {mid}");
        let (name, body) = (Mid::new(mid).or_damaged(what)?, body.or_damaged(what)?);
        self.into.body(name, body).or_damaged(what)
    }
}

impl Books {
    /// A row of the shelf of retained messages: it is the retained one of its topic until a later
    /// one is found.
    fn found_retained(&mut self, mid: u64, topic: &str, bytes: u64) {
        let topic = self.topics.key(topic);
        let before = self.topics.advance(topic, Claim::Held(mid));
        if let Ok(Some(Claim::Held(earlier))) = before {
            self.census_mut(Shelf::Retained).claim(earlier, false);
        }
        self.census_mut(Shelf::Retained).put(mid, 0, before.is_ok(), bytes);
    }
}

/// A name or a length.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    Ok(row.get_ref(column)?.as_blob()?)
}

pub(super) fn open_tomb(seq: u64, sealed: &[u8]) -> Option<(u64, &str)> {
    let (mid, topic) = Seal::gone(seq).open(sealed)?.split_first_chunk()?;
    Some((u64::from_le_bytes(*mid), std::str::from_utf8(topic).ok()?))
}

impl SqliteStore {
    /// What a commit has to know before anything is recovered: names that are taken.
    pub(super) fn read_bounds(&mut self) -> Result<(), StoreError> {
        let (marks, _) = read_marks(&self.connection).map_err(|stop| self.stopped(stop))?;
        let next = "SELECT coalesce(max(seq) + 1, 0) FROM gone";
        let next = self.connection.query_row(next, [], |row| number(row, 0));
        self.books.next_seq = next.map_err(|error| self.failed(&error))?;
        (self.books.marks, self.books.last_mid) = (marks, marks.mid);
        Ok(())
    }

    fn stopped(&self, stop: Stop) -> StoreError {
        match stop {
            Stop::Sqlite(error) => StoreError::of_sqlite("cannot read", &self.path, &error),
            Stop::Damaged(what) => self.damaged(what),
        }
    }
}

/// The bounds of names, and how much the last repair left out.
fn read_marks(connection: &Connection) -> Result<(Marks, u64), Stop> {
    let (mut marks, mut damaged) = (Marks::default(), 0);
    let mut statement = connection.prepare("SELECT name, number FROM meta")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let what = || format!("the number {name}");
        let mark = Seal::meta(&name).open(blob(row, 1)?).or_damaged(what)?;
        let mark = u64::from_le_bytes(*mark.first_chunk().or_damaged(what)?);
        match name.as_str() {
            "mid" => marks.mid = mark,
            "sid" => marks.sid = mark,
            "damaged" => damaged = mark,
            _ => {}
        }
    }
    Ok((marks, damaged))
}

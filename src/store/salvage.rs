//! Reading what can be read of a damaged database, row by row, into a new one.
//!
//! Called by `repair`. A row whose checksum is wrong is left out and named; where pages cannot be
//! read at all, reading goes on at the next key that can.

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Row, params_from_iter};

use super::recover::{blob, number, open_tomb};
use super::seal::{SEAL_BYTES, Seal};
use super::strip::{Messages, Packed, Torn};
use super::wal;
use crate::broker::{SessionState, StoredMessage};

/// Records between two reports of progress, and in one transaction.
const STEP_RECORDS: u64 = 10_000;
/// Names of one kind that are listed.
const NAMES_MAX: usize = 20;
/// Names of messages and sessions begin so far behind those that were found, when the bound that was
/// noted is damaged.
const LEAP: u64 = 1 << 32;

/// What is not kept.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Where commits beside the database are damaged.
    pub(super) beside: Option<wal::Lost>,
    /// Whether the tables hung together.
    pub(super) is_well_formed: bool,
    kinds: Vec<Lost>,
    no_bounds: bool,
}

/// What is lost of one kind.
#[derive(Debug)]
struct Lost {
    kind: Kind,
    rows: u64,
    names: Vec<String>,
    /// Places where an unknown number of rows cannot be read.
    gaps: u64,
}

impl Lost {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.rows += 1;
        if self.names.len() < NAMES_MAX {
            self.names.push(name());
        }
    }
}

impl Losses {
    pub(super) fn are_none(&self) -> bool {
        self.beside.is_none() && self.is_well_formed && self.kinds.is_empty() && !self.no_bounds
    }

    /// Rows that are left out.
    fn rows(&self) -> u64 {
        self.kinds.iter().map(|lost| lost.rows + lost.gaps).sum()
    }

    /// One line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(lost) = &self.beside {
            let behind = lost.commits.map_or_else(String::new, |commits| {
                format!(" and of the {commits} commits behind it what is on the damaged pages")
            });
            let at = lost.offset;
            lines.push(format!("of the file -wal the commit that is damaged at byte {at}{behind}"));
        }
        for Lost { kind, rows, names, gaps } in &self.kinds {
            let what = kind.plural();
            if *rows > 0 {
                let more = if *rows > names.len() as u64 { ", …" } else { "" };
                lines.push(format!("{rows} {what}: {}{more}", names.join(", ")));
            }
            if *gaps > 0 {
                let places = if *gaps == 1 { "place" } else { "places" };
                lines.push(format!("an unknown number of {what}, at {gaps} unreadable {places}"));
            }
        }
        if self.no_bounds {
            lines.push("the bounds of names; new ones begin far behind those found".to_owned());
        }
        if !self.is_well_formed && self.rows() == 0 {
            lines.push("whatever was only on pages that the tables no longer name".to_owned());
        }
        lines
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Session,
    Subscription,
    Position,
    Received,
    Sent,
    Gone,
    Retained,
    Message,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Session,
        Self::Subscription,
        Self::Position,
        Self::Received,
        Self::Sent,
        Self::Gone,
        Self::Retained,
        Self::Message,
    ];

    /// Table, key that is a number, all columns, and how many.
    const fn table(self) -> (&'static str, &'static str, &'static str, usize) {
        match self {
            Self::Session => ("session", "sid", "sid, state", 2),
            Self::Subscription => ("subscription", "sid", "sid, filter, options", 3),
            Self::Position => ("position", "sid", "sid, state", 2),
            Self::Received => ("received", "sid", "sid, packet_id, seal", 3),
            Self::Sent => ("sent", "sid", "sid, mid, state", 3),
            Self::Gone => ("gone", "seq", "seq, topic", 2),
            Self::Retained => ("retained", "mid", "mid, envelope, body", 3),
            Self::Message => ("log", "mid", "mid, strip, body", 3),
        }
    }

    const fn plural(self) -> &'static str {
        match self {
            Self::Session => "sessions",
            Self::Subscription => "subscriptions",
            Self::Position => "positions of sessions, which get some messages once more",
            Self::Received => "identifiers of QoS 2 messages from clients",
            Self::Sent => "identifiers of QoS 2 messages to clients",
            Self::Gone => "notes of topics that were cleared, whose messages may be back",
            Self::Retained => "retained messages",
            Self::Message => "queued messages",
        }
    }

    fn is_sound(self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let key = number(row, 0)?;
        Ok(match self {
            Self::Session => Seal::session(key).open(blob(row, 1)?).is_some(),
            Self::Subscription => {
                Seal::subscription(key, blob(row, 1)?).open(blob(row, 2)?).is_some()
            }
            Self::Position => Seal::position(key).open(blob(row, 1)?).is_some(),
            Self::Received => Seal::received(key, row.get(1)?).open(blob(row, 2)?).is_some(),
            Self::Sent => Seal::sent(key, number(row, 1)?).open(blob(row, 2)?).is_some(),
            Self::Gone => open_tomb(key, blob(row, 1)?).is_some(),
            Self::Retained => {
                let envelope = blob(row, 1)?;
                (envelope.is_empty() || Seal::envelope(key).open(envelope).is_some())
                    && Seal::body(key).open(blob(row, 2)?).is_some()
            }
            Self::Message => {
                let (strip, apart) = (blob(row, 1)?, blob(row, 2)?);
                let mut messages = Messages::of(strip, !apart.is_empty()).peekable();
                let begins = matches!(messages.peek(), Some(Ok(first)) if first.mid == key);
                let is_sound = |found: Result<Packed<'_>, Torn>| {
                    found.is_ok_and(|message| message.body(apart).is_some())
                };
                begins && messages.all(is_sound)
            }
        })
    }

    /// What a damaged row was, as far as that can be told.
    fn name(self, row: &Row<'_>) -> String {
        let key = number(row, 0).unwrap_or(0);
        let unsealed = |column| {
            let sealed = blob(row, column).unwrap_or_default();
            sealed.get(SEAL_BYTES..).unwrap_or_default()
        };
        match self {
            Self::Session => match SessionState::open(unsealed(1)) {
                Some(state) => state.client_id.to_owned(),
                None => format!("session {key}"),
            },
            Self::Subscription => {
                let filter = String::from_utf8_lossy(blob(row, 1).unwrap_or_default());
                format!("{filter} of session {key}")
            }
            Self::Position | Self::Received | Self::Sent => format!("session {key}"),
            Self::Gone => {
                let topic = unsealed(1).get(8..).unwrap_or_default();
                String::from_utf8_lossy(topic).into_owned()
            }
            Self::Retained => named(key, unsealed(2)),
            Self::Message => key.to_string(),
        }
    }
}

/// What a damaged message was.
fn named(mid: u64, body: &[u8]) -> String {
    match StoredMessage::topic(body) {
        Some(topic) => format!("{mid} on {topic}"),
        None => mid.to_string(),
    }
}

/// Copies all that is sound from `old` to `new`, which is empty. Errors are those of `new`.
pub(super) fn salvage(
    old: &Connection,
    new: &Connection,
    progress: &mut dyn FnMut(u64),
) -> rusqlite::Result<Losses> {
    new.execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 4000; BEGIN")?;
    let mut salvage = Salvage {
        old,
        new,
        progress,
        records: 0,
        highest: [0; 2],
        losses: Losses { is_well_formed: true, ..Losses::default() },
    };
    Kind::ALL.iter().try_for_each(|kind| salvage.table(*kind))?;
    salvage.bounds()?;
    new.execute_batch("COMMIT")?;
    Ok(salvage.losses)
}

struct Salvage<'a> {
    old: &'a Connection,
    new: &'a Connection,
    progress: &'a mut dyn FnMut(u64),
    records: u64,
    /// Names of messages and of sessions that were found.
    highest: [u64; 2],
    losses: Losses,
}

impl Salvage<'_> {
    fn table(&mut self, kind: Kind) -> rusqlite::Result<()> {
        let mut lost = Lost { kind, rows: 0, names: Vec::new(), gaps: 0 };
        let mut from = Some(0);
        while let Some(key) = from {
            let (last, ended) = self.rows(kind, key, &mut lost)?;
            from = if ended { None } else { self.next_readable(kind, last.max(key)) };
            lost.gaps += u64::from(!ended);
        }
        if lost.rows + lost.gaps > 0 {
            self.losses.kinds.push(lost);
        }
        Ok(())
    }

    /// Copies rows from a key on; returns the last key, and whether that was the last row.
    fn rows(&mut self, kind: Kind, from: i64, lost: &mut Lost) -> rusqlite::Result<(i64, bool)> {
        let (table, key, columns, count) = kind.table();
        let select = format!("SELECT {columns} FROM {table} WHERE {key} >= ?1 ORDER BY {key}");
        let old = self.old;
        let mut last = from.saturating_sub(1);
        let Ok(mut statement) = old.prepare(&select) else { return Ok((last, false)) };
        let Ok(mut rows) = statement.query([from]) else { return Ok((last, false)) };
        let marks = vec!["?"; count].join(", ");
        let mut insert =
            self.new.prepare_cached(&format!("REPLACE INTO {table} VALUES ({marks})"))?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok((last, true)),
                Err(_) => return Ok((last, false)),
            };
            last = number(row, 0).map_or(last, u64::cast_signed);
            if kind.is_sound(row).unwrap_or(false) {
                let values = (0..count).map(|column| row.get_ref(column));
                let values: Vec<_> = values.collect::<Result<_, _>>()?;
                insert.execute(params_from_iter(values.into_iter().map(ToSqlOutput::Borrowed)))?;
                self.note(kind, row);
            } else if kind == Kind::Message {
                self.strip(row, lost)?;
            } else {
                lost.add(|| kind.name(row));
                self.bury(kind, row)?;
            }
            self.step()?;
        }
    }

    /// Copies the messages of a damaged row that are sound.
    fn strip(&mut self, row: &Row<'_>, lost: &mut Lost) -> rusqlite::Result<()> {
        let (strip, apart) = (blob(row, 1).unwrap_or_default(), blob(row, 2).unwrap_or_default());
        let mut messages = Messages::of(strip, !apart.is_empty());
        let (mut first, mut kept) = (None, Vec::new());
        loop {
            let name = messages.next_name();
            match messages.next() {
                None => break,
                Some(Ok(message)) => match message.body(apart) {
                    Some(_) => {
                        first = first.or(Some(message.mid));
                        kept.extend_from_slice(message.whole);
                        self.highest[0] = self.highest[0].max(message.mid);
                    }
                    None => lost.add(|| named(message.mid, message.damaged_body())),
                },
                Some(Err(Torn)) => {
                    messages.resume();
                    lost.add(|| {
                        name.map_or_else(|| "of unknown name".to_owned(), |it| it.to_string())
                    });
                }
            }
        }
        if let Some(first) = first {
            let put = "REPLACE INTO log VALUES (?1, ?2, ?3)";
            self.new.execute(put, (first.cast_signed(), &kept, apart))?;
        } else if strip.is_empty() {
            lost.add(|| number(row, 0).unwrap_or(0).to_string());
        }
        Ok(())
    }

    fn step(&mut self) -> rusqlite::Result<()> {
        self.records += 1;
        if self.records.is_multiple_of(STEP_RECORDS) {
            (self.progress)(self.records);
            self.new.execute_batch("COMMIT; BEGIN")?;
        }
        Ok(())
    }

    /// The names in a sound row.
    fn note(&mut self, kind: Kind, row: &Row<'_>) {
        let key = number(row, 0).unwrap_or(0);
        let cursor = || {
            let state = Seal::position(key).open(blob(row, 1).ok()?)?;
            state.first_chunk().map(|cursor| u64::from_le_bytes(*cursor))
        };
        let last = || {
            let strip = blob(row, 1).unwrap_or_default();
            let apart = blob(row, 2).is_ok_and(|apart| !apart.is_empty());
            Messages::of(strip, apart).map_while(Result::ok).last().map_or(key, |last| last.mid)
        };
        let (mid, sid) = match kind {
            Kind::Retained => (key, 0),
            Kind::Message => (last(), 0),
            Kind::Session => (0, key),
            Kind::Position => (cursor().unwrap_or(0), 0),
            Kind::Sent => (number(row, 1).unwrap_or(0), 0),
            Kind::Gone => {
                let sealed = blob(row, 1).unwrap_or_default();
                (open_tomb(key, sealed).map_or(0, |(mid, _)| mid), 0)
            }
            Kind::Subscription | Kind::Received => (0, 0),
        };
        self.highest = [self.highest[0].max(mid), self.highest[1].max(sid)];
    }

    /// When a retained message is lost, earlier ones of its topic that may still be there must not
    /// be back.
    fn bury(&self, kind: Kind, row: &Row<'_>) -> rusqlite::Result<()> {
        let (Kind::Retained, Ok(mid), Ok(body)) = (kind, number(row, 0), blob(row, 2)) else {
            return Ok(());
        };
        let body = body.get(SEAL_BYTES..).unwrap_or_default();
        let Some(topic) = StoredMessage::topic(body) else { return Ok(()) };
        let next = "SELECT coalesce(max(seq) + 1, 0) FROM gone";
        let seq = self.new.query_row(next, [], |row| number(row, 0))?;
        let mut sealed = Vec::new();
        Seal::gone(seq).put(&[&mid.to_le_bytes(), topic.as_bytes()], &mut sealed);
        self.new.execute("INSERT INTO gone VALUES (?1, ?2)", (seq.cast_signed(), &sealed))?;
        Ok(())
    }

    /// The first key behind an unreadable place: searched for in steps that double, then halve.
    fn next_readable(&self, kind: Kind, last: i64) -> Option<i64> {
        let (table, key, ..) = kind.table();
        let sql = format!("SELECT {key} FROM {table} WHERE {key} >= ?1 ORDER BY {key} LIMIT 1");
        let probe = |from: i64| -> Result<Option<i64>, ()> {
            let mut statement = self.old.prepare_cached(&sql).map_err(drop)?;
            let mut rows = statement.query([from]).map_err(drop)?;
            let row = rows.next().map_err(drop)?;
            row.map(|row| row.get(0)).transpose().map_err(drop)
        };
        let (mut unreadable, mut step) = (0, 1_i64);
        let mut found = loop {
            let from = last.checked_add(step)?;
            match probe(from) {
                Ok(found) => break found,
                Err(()) => unreadable = step,
            }
            step = step.checked_mul(2)?;
        };
        while step - unreadable > 1 {
            let middle = unreadable + (step - unreadable) / 2;
            match probe(last + middle) {
                Ok(earlier) => (found, step) = (earlier.or(found), middle),
                Err(()) => unreadable = middle,
            }
        }
        found
    }

    /// The bounds of names, and how much is lost, for the next start to say.
    fn bounds(&mut self) -> rusqlite::Result<()> {
        let lost = self.losses.rows() + u64::from(self.losses.beside.is_some());
        let mut numbers = vec![("damaged", lost)];
        for (name, highest) in [("mid", self.highest[0]), ("sid", self.highest[1])] {
            let noted = self.bound(name);
            self.losses.no_bounds |= noted.is_none() && highest > 0;
            let bound = noted.unwrap_or_else(|| highest.saturating_add(LEAP));
            numbers.push((name, bound.max(highest)));
        }
        for (name, number) in numbers {
            let mut sealed = Vec::new();
            Seal::meta(name).put(&[&number.to_le_bytes()], &mut sealed);
            self.new.execute("REPLACE INTO meta VALUES (?1, ?2)", (name, &sealed))?;
        }
        Ok(())
    }

    fn bound(&self, name: &str) -> Option<u64> {
        let sql = "SELECT number FROM meta WHERE name = ?1";
        let sealed: Vec<u8> = self.old.query_row(sql, [name], |row| row.get(0)).ok()?;
        let bound = Seal::meta(name).open(&sealed)?;
        bound.first_chunk().map(|bound| u64::from_le_bytes(*bound))
    }
}

//! About how much a start will read, for whoever waits for it.
//!
//! Called by `daemon` before it hands the store over. Counting takes a walk through the whole file,
//! which would be read twice then; a look at a few places of each table is enough for a figure that is
//! shown as it is meant.

use rusqlite::Connection;

use super::recover::{blob, number};
use super::sqlite::SqliteStore;
use super::strip::Messages;

/// Tables that a recovery reads, each with the column that it is in the order of.
const TABLES: [(&str, &str); 8] = [
    ("session", "sid"),
    ("subscription", "sid"),
    ("position", "sid"),
    ("received", "sid"),
    ("sent", "sid"),
    ("gone", "seq"),
    ("retained", "mid"),
    ("log", "mid"),
];
/// Places looked at, and rows at each.
const PLACES: u64 = 32;
const ROWS: u64 = 32;

impl SqliteStore {
    /// About how many records [`super::Store::recover`] will read. Tables that cannot be looked at
    /// count as empty: what is wrong with them, the recovery says.
    #[must_use]
    pub fn records_about(&self) -> u64 {
        let counts = TABLES.map(|(table, name)| {
            let rows = rows_about(&self.connection, table, name)?;
            if table == "log" { messages_about(&self.connection, rows) } else { Ok(rows) }
        });
        counts.into_iter().filter_map(rusqlite::Result::ok).sum()
    }
}

/// Rows of the log have some messages each; those at the beginning stand for all.
fn messages_about(connection: &Connection, rows: u64) -> rusqlite::Result<u64> {
    let sql = format!("SELECT strip, length(body) FROM log ORDER BY mid LIMIT {ROWS}");
    let mut look = connection.prepare(&sql)?;
    let counts = look.query_map([], |row| {
        let stands_apart = number(row, 1)? > 0;
        Ok(Messages::of(blob(row, 0)?, stands_apart).map_while(Result::ok).count() as u64)
    })?;
    let counts: Vec<u64> = counts.collect::<rusqlite::Result<_>>()?;
    let messages: u64 = counts.iter().sum();
    Ok(rows * messages / (counts.len() as u64).max(1))
}

/// The names of a table are parted into stretches of one length; each is taken to be as dense as what
/// is seen from its middle on.
fn rows_about(connection: &Connection, table: &str, name: &str) -> rusqlite::Result<u64> {
    let few = format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {ROWS})");
    let few = connection.query_row(&few, [], |row| number(row, 0))?;
    if few < ROWS {
        return Ok(few);
    }
    let ends =
        format!("SELECT (SELECT min({name}) FROM {table}), (SELECT max({name}) FROM {table})");
    let ends = connection.query_row(&ends, [], |row| Ok((number(row, 0)?, number(row, 1)?)));
    let (first, last) = ends?;
    let mut look = connection.prepare(&format!(
        "SELECT max({name}), count(*) FROM
         (SELECT {name} FROM {table} WHERE {name} >= ? ORDER BY {name} LIMIT {ROWS})"
    ))?;
    let stretch = (last - first) / PLACES + 1;
    let mut rows = 0;
    for place in 0..PLACES {
        let from = (first + place * stretch + stretch / 2).min(last);
        let seen = look.query_row([from.cast_signed()], |row| {
            Ok((number(row, 0)?, number(row, 1)?)) // there is one at least, the last of all
        });
        let (until, count) = seen?;
        let until = if count < ROWS { last } else { until };
        let here = u128::from(count) * u128::from(stretch) / u128::from(until - from + 1);
        rows += u64::try_from(here).unwrap_or(u64::MAX);
    }
    Ok(rows)
}

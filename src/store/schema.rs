//! The file: how it is opened, what its tables are, and what tells it from other files.
//!
//! Settings and tables are chosen by measurement; the reasons are in `docs/store.md`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// The only page size in use.
pub(super) const PAGE_LEN: usize = 4096;
/// As `PAGE_LEN`.
pub(super) const PAGE_BYTES: u64 = PAGE_LEN as u64;
/// `application_id`: the first letters of "mqttd".
const KIND: i64 = 0x6d71_7474;
/// `user_version`: the latest format this program knows.
pub(super) const FORMAT: i64 = 1;
/// Of the file, and of the one beside it: its group may read it, whatever the umask of a service says.
pub(super) const MODE: u32 = 0o640;
/// The page of table `soft`: the first behind that of the schema and the map of pages.
pub(super) const SOFT_PAGE: u32 = 3;

/// `soft` is written by every commit that does not wait for the disk, and by no other, so that its
/// page tells the two apart in the file beside the database.
const TABLES: &str = "
    CREATE TABLE soft (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
    CREATE TABLE log (mid INTEGER PRIMARY KEY, strip BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE retained (mid INTEGER PRIMARY KEY, envelope BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE gone (seq INTEGER PRIMARY KEY, topic BLOB NOT NULL);
    CREATE TABLE session (sid INTEGER PRIMARY KEY, state BLOB NOT NULL);
    CREATE TABLE position (sid INTEGER PRIMARY KEY, state BLOB NOT NULL);
    CREATE TABLE subscription (
        sid INTEGER NOT NULL, filter BLOB NOT NULL, options BLOB NOT NULL,
        PRIMARY KEY (sid, filter)) WITHOUT ROWID;
    CREATE TABLE received (
        sid INTEGER NOT NULL, packet_id INTEGER NOT NULL, seal BLOB NOT NULL,
        PRIMARY KEY (sid, packet_id)) WITHOUT ROWID;
    CREATE TABLE sent (
        sid INTEGER NOT NULL, mid INTEGER NOT NULL, state BLOB NOT NULL,
        PRIMARY KEY (sid, mid)) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, number BLOB NOT NULL) WITHOUT ROWID;
";

/// How a store uses the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Memory for pages of the database.
    pub cache_bytes: u64,
    /// Pages beside the database above which they are moved into it. Fewer make shorter pauses, as a
    /// slow card wants them; more make fewer bytes.
    pub checkpoint_pages: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 8 << 20, checkpoint_pages: 4000 }
    }
}

/// The file, locked against other processes for as long as this lives.
///
/// It must outlive the connection: the system drops SQLite's own locks with the first descriptor of
/// the file that is closed.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let existed = path.exists();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file =
        options.open(path).map_err(|error| StoreError::failed("cannot open", path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => {
            return Err(StoreError::failed("cannot lock", path, &error));
        }
    }
    if !existed {
        file.set_permissions(Permissions::from_mode(MODE))
            .map_err(|error| StoreError::failed("cannot open", path, &error))?;
        sync_directory_of(path).map_err(|error| StoreError::failed("cannot sync", path, &error))?;
    }
    Ok(file)
}

/// Makes sure that a file is found by its name after a power cut.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Opens the database at `path`, and makes it one when the file is empty.
pub(super) fn connect(path: &Path, options: Options) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::of_sqlite("cannot open", path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri(path), flags).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    let cache_kib = options.cache_bytes / 1024;
    let settings = format!(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA page_size = {PAGE_BYTES};
         PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA cache_size = -{cache_kib};
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;"
    );
    connection.execute_batch(&settings).map_err(failed)?;
    is_store(&connection, path)?;
    let is_new = is_empty(&connection).map_err(failed)?;
    let settings = "PRAGMA journal_mode = WAL;
                    PRAGMA synchronous = FULL;
                    PRAGMA wal_autocheckpoint = 0;
                    PRAGMA journal_size_limit = 67108864;";
    connection.execute_batch(settings).map_err(failed)?;
    if is_new {
        create(&connection).map_err(failed)?;
    }
    let soft = "SELECT rootpage FROM sqlite_schema WHERE name = 'soft'";
    let page: u32 = connection.query_row(soft, [], |row| row.get(0)).map_err(failed)?;
    if page != SOFT_PAGE {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    Ok(connection)
}

/// Opens a copy of a database, which is to stay as it is.
pub(super) fn connect_to_copy(path: &Path) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::of_sqlite("cannot read", path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut uri = uri(path).into_os_string();
    uri.push("&immutable=1");
    let connection = Connection::open_with_flags(uri, flags).map_err(failed)?;
    let settings = "PRAGMA mmap_size = 0;
                    PRAGMA cell_size_check = ON;
                    PRAGMA trusted_schema = OFF;";
    connection.execute_batch(settings).map_err(failed)?;
    is_store(&connection, path)?;
    Ok(connection)
}

/// That a database is one of this program, and in a format it knows; an empty one may become one.
fn is_store(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |pragma: &str| {
        let number = connection.pragma_query_value(None, pragma, |row| row.get(0));
        number.map_err(|error| StoreError::of_sqlite("cannot open", path, &error))
    };
    let (kind, format): (i64, i64) = (number("application_id")?, number("user_version")?);
    let is_new = is_empty(connection);
    let is_new = is_new.map_err(|error| StoreError::of_sqlite("cannot open", path, &error))?;
    if kind != KIND && !is_new {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if format > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    Ok(())
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         PRAGMA application_id = {KIND};
         PRAGMA user_version = {FORMAT};
         {TABLES}
         COMMIT;"
    ))
}

/// `psow=0`: a page that is written may take its neighbours in the same block with it when the power
/// is cut, so SQLite fills its commits up to whole blocks.
fn uri(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                uri.push(char::from(*byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?psow=0");
    OsStr::new(&uri).into()
}

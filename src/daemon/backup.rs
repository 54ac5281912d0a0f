//! A copy of the store for an operator: made beside the store, handed out through the control
//! socket, and gone with the connection.
//!
//! The daemon may write nowhere but below its data directory, and an operator may not read there:
//! so the bytes travel, and the file they end in is the operator's own. The copy loses its name as
//! soon as it is made, so that nothing is left of it whatever happens.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::failure;
use crate::admin::{Copied, Copying, Problem};
use crate::server::Server;

/// Bytes handed out at a time.
const PIECE_BYTES: usize = 192 << 10;

/// Progress that may wait for its reader.
const TOLD_MAX: usize = 16;

/// How long to wait for what is to be written anyhow.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// The name of the copy while it is made.
const NAME: &str = "mqttd.db.backup";

/// Lets one copy be made at a time.
#[derive(Debug, Default)]
pub(super) struct Turn(Arc<AtomicBool>);

/// It is this copy's turn.
struct Taken(Arc<AtomicBool>);

impl Turn {
    fn take(&self) -> Option<Taken> {
        let taken = self.0.swap(true, Ordering::AcqRel);
        (!taken).then(|| Taken(Arc::clone(&self.0)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

enum Told {
    Written(u64),
    Made(Result<File, Problem>),
}

/// Begins a copy in `data_dir`.
pub(super) fn begin(server: &Server, data_dir: &Path, turn: &Turn) -> Result<Copying, Problem> {
    let Some(taken) = turn.take() else {
        return Err(Problem::new("busy", "another backup is being made").hint("try again"));
    };
    let path = data_dir.join(NAME);
    let (server, (sender, told)) = (server.clone(), sync_channel(TOLD_MAX));
    let make = move || {
        let made = make(&server, &path, &sender);
        let _ = sender.send(Told::Made(made)); // nobody waits for it any more
        drop(taken);
    };
    std::thread::Builder::new()
        .name("mqttd-backup".to_owned())
        .spawn(make)
        .map_err(|error| failure::system("start a thread for the backup", &error).problem)?;
    let mut stage = Stage::Made(told);
    Ok(Box::new(move || stage.next()))
}

/// Makes the copy and takes its name away.
fn make(server: &Server, path: &Path, told: &SyncSender<Told>) -> Result<File, Problem> {
    let failed = |what: &'static str| {
        let path = path.to_owned();
        move |error: io::Error| failure::with_file(what, &path, &error).problem
    };
    remove(path).map_err(failed("remove"))?; // of a life that ended within a backup
    let mut progress = |bytes| {
        let _ = told.try_send(Told::Written(bytes)); // a slow reader misses some
    };
    // What clients have acknowledged lately too: it is not written at once otherwise.
    for shard in 0..server.shards() {
        server.ask(shard, |shard, now| shard.tell_positions(now));
    }
    server.flush(FLUSH_LIMIT);
    let copied = server.backup(path, &mut progress);
    if let Err(error) = copied {
        let _ = remove(path);
        return Err(failure::store(&error).problem);
    }
    let file = File::open(path);
    remove(path).map_err(failed("remove"))?;
    file.map_err(failed("read"))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// How far it is.
enum Stage {
    /// The copy is being made.
    Made(Receiver<Told>),
    /// It is being handed out.
    Read {
        file: File,
        bytes: u64,
        crc32c: u32,
    },
    Over,
}

impl Stage {
    fn next(&mut self) -> Result<Option<Copied>, Problem> {
        match self {
            Self::Made(told) => {
                let file = match told.recv() {
                    Ok(Told::Written(bytes)) => return Ok(Some(Copied::Written(bytes))),
                    Ok(Told::Made(file)) => file?,
                    Err(_) => return Err(Problem::new("internal", "the backup was not finished")),
                };
                let size = file.metadata().map_err(unreadable)?.len();
                *self = Self::Read { file, bytes: 0, crc32c: 0 };
                Ok(Some(Copied::Made { bytes: size }))
            }
            Self::Read { file, bytes, crc32c } => {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                file.take(PIECE_BYTES as u64).read_to_end(&mut piece).map_err(unreadable)?;
                if piece.is_empty() {
                    let end = Copied::End { bytes: *bytes, crc32c: *crc32c };
                    *self = Self::Over;
                    return Ok(Some(end));
                }
                *bytes += piece.len() as u64;
                *crc32c = crc32c::crc32c_append(*crc32c, &piece);
                Ok(Some(Copied::Piece(piece)))
            }
            Self::Over => Ok(None),
        }
    }
}

fn unreadable(error: io::Error) -> Problem {
    failure::system("read the copy", &error).problem
}

//! Starting: addresses first, so that one that is taken is told at once, then what is kept, then
//! threads, and the listeners last: who can connect is served.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mio::Poll;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::cell::Cell;
use super::chance::Chance;
use super::gate::{self, Gate};
use super::journal::{self, Journal, Keeper};
use super::recover::recover;
use super::shared::{Parts, Shared};
use super::status::Status;
use super::{Inherited, Keeping, Options, Server, StartError, lobby, shard, status, stop};
use crate::broker::Commons;

/// Threads of the lobby: it waits more than it works.
const LOBBY_THREADS: usize = 2;

/// What has to be ended when the server stops.
#[derive(Debug)]
pub(super) struct Threads {
    pub(super) lobby: Runtime,
    pub(super) accepting: Vec<JoinHandle<()>>,
    /// Says "disconnected" when the last shard's thread has ended.
    pub(super) shards_ended: Receiver<()>,
    /// The same for the thread of the journal.
    pub(super) journal_ended: Receiver<()>,
}

pub(super) fn start(
    options: &Options,
    inherited: Inherited,
    keeping: Option<Keeping<'_>>,
) -> Result<Server, StartError> {
    let gates = gate::open_all(options, inherited)?;
    let chance = Chance::open().map_err(StartError::Chance)?;
    let seed = chance.seed().map_err(StartError::Chance)?;
    let shards = options.shards.clamp(1, usize::from(u16::MAX));
    let commons = Commons::new(shards, options.limits.clone(), seed);
    commons.set_directions(options.directions.clone());
    let (cells, polls) = cells(&commons).map_err(StartError::Threads)?;
    let recovered = keeping
        .map(|keeping| recover(keeping, &commons, &cells))
        .transpose()
        .map_err(StartError::Store)?;
    let recovery = recovered.as_ref().map(|(_, recovery)| *recovery);
    let keeper = recovered.map(|(store, _)| Keeper::new(store));
    let journal = keeper.is_some().then(|| Journal::new(options.sync_delay_ms_max));
    let lobby = runtime().map_err(StartError::Threads)?;
    let handle = lobby.handle().clone();
    let parts = Parts { cells, commons, chance, gates, lobby: handle, journal, recovery };
    let shared = Arc::new(Shared::new(options, parts));
    let (alive, shards_ended) = mpsc::channel();
    let (journal_alive, journal_ended) = mpsc::channel();
    let threads = Threads { lobby, accepting: Vec::new(), shards_ended, journal_ended };
    let threads = Arc::new(Mutex::new(Some(threads)));
    let server = Server { shared, threads };
    let started = spawn_journal(&server.shared, keeper, journal_alive)
        .and_then(|()| spawn_shards(&server.shared, polls, &alive))
        .map_err(StartError::Threads);
    drop(alive);
    let started = started.and_then(|()| {
        start_status(&server);
        accept_all(&server)
    });
    if let Err(error) = started {
        stop::stop(&server, Duration::ZERO, || ());
        return Err(error);
    }
    Ok(server)
}

fn cells(commons: &Arc<Commons>) -> io::Result<(Vec<Cell>, Vec<Poll>)> {
    let mut cells = Vec::new();
    let mut polls = Vec::new();
    for number in 0..u16::try_from(commons.shards()).unwrap_or(u16::MAX) {
        let poll = Poll::new()?;
        cells.push(Cell::new(number, Arc::clone(commons), &poll)?);
        polls.push(poll);
    }
    Ok((cells, polls))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(LOBBY_THREADS)
        .thread_name("mqttd-lobby")
        .enable_all()
        .build()
}

fn spawn_journal(
    shared: &Arc<Shared>,
    keeper: Option<Keeper>,
    alive: mpsc::Sender<()>,
) -> io::Result<()> {
    let Some(keeper) = keeper else { return Ok(()) };
    let shared = Arc::clone(shared);
    let run = move || {
        if let Some(journal) = &shared.journal {
            journal::run(&shared, journal, keeper);
        }
        drop(alive);
    };
    thread::Builder::new().name("mqttd-journal".to_owned()).spawn(run).map(drop)
}

fn spawn_shards(
    shared: &Arc<Shared>,
    polls: Vec<Poll>,
    alive: &mpsc::Sender<()>,
) -> io::Result<()> {
    for (number, poll) in polls.into_iter().enumerate() {
        let shared = Arc::clone(shared);
        let alive = alive.clone();
        thread::Builder::new().name(format!("mqttd-shard-{number}")).spawn(move || {
            shard::run(&shared, number, poll);
            drop(alive);
        })?;
    }
    Ok(())
}

/// The first client finds the status there.
fn start_status(server: &Server) {
    let shared = &server.shared;
    let mut status = Status::new();
    let interval_secs = shared.sys_interval_secs.subscribe();
    let secs = *interval_secs.borrow();
    if secs > 0 {
        status.turn(shared);
    }
    shared.lobby.spawn(status::run(Arc::clone(shared), status, interval_secs, secs));
}

/// MQTT over TCP `[MQTT-4.2-1]`.
fn accept_all(server: &Server) -> Result<(), StartError> {
    let mut threads = stop::lock(&server.threads);
    let Some(threads) = threads.as_mut() else { return Ok(()) };
    let _inside = threads.lobby.enter();
    server.shared.gates.iter().try_for_each(|gate| gate.listen())?;
    for gate in &server.shared.gates {
        let address = gate.address();
        let failed = |source| StartError::Listen { address, source };
        let listener = listener(gate).map_err(failed)?;
        let shared = Arc::clone(&server.shared);
        let accepting = lobby::accept(shared, Arc::clone(gate), listener);
        threads.accepting.push(threads.lobby.spawn(accepting));
    }
    Ok(())
}

fn listener(gate: &Gate) -> io::Result<TcpListener> {
    let socket = gate.socket().unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))?;
    TcpListener::from_std(socket)
}

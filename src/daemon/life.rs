//! The life of a broker in this process: configuration, lock, ports, rights, log, control socket,
//! server, ready; then signals and wishes until the orderly end.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::config::{self, Config, Loaded};
use super::host::{Instance, Wish, options};
use super::keep;
use super::lock::{Attempt, Locks};
use super::logging::Logging;
use super::privilege::{self, Account};
use super::readiness::{Readiness, Report};
use super::reception::Reception;
use super::restoring::{Restoring, Telling};
use super::systemd::Systemd;
use super::{Mode, backup, failure, listen, machine, status, surroundings, wait};
use crate::admin::{Admin, Answers, Host};
use crate::cli::{BootOptions, Failure};
use crate::control::{Door, Place, serve};
use crate::server::clock::Clock;
use crate::server::{Keeping, Server, StartError};

/// Time for the control socket's threads to end; a work that was hurried away may still hold one.
const CONTROL_END: Duration = Duration::from_secs(1);

/// What the operator's side needs of a broker that is ready.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    /// Asks for the orderly end.
    pub(super) wishes: mpsc::UnboundedSender<Wish>,
}

/// All that is done before the fork, so that it can be refused in words.
#[derive(Debug)]
pub(super) struct Prepared {
    place: Place,
    loaded: Loaded,
    account: Option<Account>,
    pub(super) locks: Locks,
}

/// Configuration, user, directories, locks.
pub(super) enum Preparation {
    /// This process has the instance.
    Done(Box<Prepared>),
    /// Another process has it.
    Held(Option<u32>),
}

/// Reads the configuration and takes the locks.
pub(super) fn prepare(place: &Place, options: &BootOptions) -> Result<Preparation, Failure> {
    let loaded = config::load(place).map_err(|errors| failure::configuration(&errors))?;
    let account = Account::wanted(options.user.as_deref(), &loaded.config.user)?;
    privilege::directories(place, account.as_ref())?;
    Ok(match Locks::take(place, account.as_ref())? {
        Attempt::Held(pid) => Preparation::Held(pid),
        Attempt::Taken(locks) => {
            Preparation::Done(Box::new(Prepared { place: place.clone(), loaded, account, locks }))
        }
    })
}

/// The same for a broker in this process, where another one in its place is an error.
pub(super) fn prepare_here(place: &Place, options: &BootOptions) -> Result<Prepared, Failure> {
    match prepare(place, options)? {
        Preparation::Done(prepared) => Ok(*prepared),
        Preparation::Held(pid) => Err(failure::already_running(pid, place)),
    }
}

/// Runs the broker. `readiness` is told how the start goes, `on_ready` is called when it is over.
/// Blocks until the orderly end.
///
/// # Errors
/// Why it did not start; `readiness` was told as well.
pub(super) fn live(
    prepared: Prepared,
    mode: Mode,
    mut readiness: Readiness,
    on_ready: impl FnOnce(Ready),
) -> Result<(), Failure> {
    match start(prepared, mode, &mut readiness) {
        Ok(Some(running)) => {
            readiness.say(&Report::Ready);
            on_ready(Ready { wishes: running.instance.wishes.clone() });
            running.run();
            Ok(())
        }
        Ok(None) => {
            readiness.say(&Report::failed(&failure::ended_early()));
            Ok(())
        }
        Err(failure) => {
            readiness.say(&Report::failed(&failure));
            Err(failure)
        }
    }
}

/// A broker that is up.
struct Running {
    instance: Arc<Instance>,
    serving: crate::control::Serving,
    runtime: Runtime,
    wishes: mpsc::UnboundedReceiver<Wish>,
    watch: wait::Watch,
    _locks: Locks,
}

/// `None`: somebody asked for the end before it was up.
fn start(
    prepared: Prepared,
    mode: Mode,
    readiness: &mut Readiness,
) -> Result<Option<Running>, Failure> {
    let systemd = Systemd::from_environment(mode == Mode::Foreground);
    machine::raise_open_files();
    let config = &prepared.loaded.config;
    let listeners = listen::bind(&config.tcp, &prepared.place, systemd)?;
    if let Some(account) = &prepared.account {
        account.become_it()?;
    }
    let logging = Arc::new(Logging::start(&config.log, &prepared.place, mode)?);
    readiness.say(&Report::Progress);
    let restoring = Arc::new(Restoring::begin());
    let telling = Telling::new(readiness, systemd, restoring);
    serve_all(prepared, mode, telling, listeners, Arc::clone(&logging)).inspect_err(|failure| {
        systemd.failed(&failure::sentence(failure));
        // In the foreground the command says it on the same stderr.
        if mode != Mode::Foreground {
            tracing::error!("{}", failure::sentence(failure));
            logging.flush();
        }
    })
}

/// The rest of the start, when there is a log.
fn serve_all(
    prepared: Prepared,
    mode: Mode,
    mut telling: Telling<'_>,
    listeners: Vec<TcpListener>,
    logging: Arc<Logging>,
) -> Result<Option<Running>, Failure> {
    let systemd = telling.systemd;
    let Prepared { place, loaded, account, mut locks } = prepared;
    let now = Clock::now();
    let (runtime, mut watch) = begin_waiting(mode)?;
    let (sender, mut wishes) = mpsc::unbounded_channel();
    let reception = Arc::new(Reception::new(Arc::clone(&telling.restoring), sender.clone()));
    let door = open_door(&place, account.as_ref())?;
    let serving = serve(door, Arc::clone(&reception) as Arc<dyn Answers>, runtime.handle())
        .map_err(|error| failure::system("serve the control socket", &error))?;
    locks.sign().map_err(|error| failure::with_file("write", &place.lock(), &error))?;
    let to_keep: Vec<_> = listeners.iter().filter_map(|it| it.try_clone().ok()).collect();
    let up = begin_server(&loaded, listeners, &place, &telling.restoring)?;
    let server = match runtime.block_on(watch.until_up(up, &mut wishes, || telling.tell())) {
        Ok(server) => server.map_err(|_| failure::fault("the start has failed"))??,
        Err(why) => {
            end_early(why, systemd, serving, runtime, &logging);
            return Ok(None);
        }
    };
    let instance = Arc::new(Instance {
        managed_by: surroundings::managed_by(mode),
        place,
        server: server.clone(),
        logging,
        systemd,
        backups: backup::Turn::default(),
        wishes: sender,
        started_unix_ms: now.unix_ms,
        started_ticks_ms: now.ticks_ms,
        loaded: Mutex::new(loaded),
    });
    write_pid_file(&instance.place)?;
    let host: Arc<dyn Host> = instance.clone();
    reception.open(Admin::new(server, host));
    tell_start(&instance);
    // Not before: after a start that failed, clients would wait at a port that nobody serves.
    to_keep.iter().for_each(|listener| systemd.keep(listener));
    instance.systemd.ready(&status::line(&instance.server));
    Ok(Some(Running { instance, serving, runtime, wishes, watch, _locks: locks }))
}

/// The threads of the control socket, and the signals, which are ours from now on.
fn begin_waiting(mode: Mode) -> Result<(Runtime, wait::Watch), Failure> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("mqttd-control")
        .enable_all()
        .build()
        .map_err(|error| failure::system("start the threads of the control socket", &error))?;
    let watch = wait::Watch::start(&runtime, mode)
        .map_err(|error| failure::system("wait for signals", &error))?;
    Ok((runtime, watch))
}

/// Starts the server on a thread of its own, as restoring what was kept may take long.
fn begin_server(
    loaded: &Loaded,
    listeners: Vec<TcpListener>,
    place: &Place,
    restoring: &Arc<Restoring>,
) -> Result<oneshot::Receiver<Result<Server, Failure>>, Failure> {
    let (config, place, restoring) = (loaded.config.clone(), place.clone(), Arc::clone(restoring));
    let (told, up) = oneshot::channel();
    let run = move || {
        restoring.here();
        let _ = told.send(start_server(&config, listeners, &place, &restoring));
    };
    let thread = thread::Builder::new().name("mqttd-start".to_owned()).spawn(run);
    thread.map(|_| up).map_err(|error| failure::system("start a thread", &error))
}

fn start_server(
    config: &Config,
    listeners: Vec<TcpListener>,
    place: &Place,
    restoring: &Restoring,
) -> Result<Server, Failure> {
    // Port 0 has become a number.
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>();
    let addresses =
        addresses.map_err(|error| failure::system("see the address of a port", &error))?;
    let store = keep::open(place, &config.store)?;
    restoring.expect(store.records_about());
    let keeping =
        Keeping { store: Box::new(store), progress: &mut |records| restoring.count(records) };
    let started = Server::start_keeping(options(config, place, addresses), listeners, keeping);
    started.map_err(|error| match error {
        StartError::Listen { address, source } => failure::listen(address, &source, place),
        StartError::Threads(source) => failure::system("start the threads of the server", &source),
        StartError::Chance(source) => failure::system("open /dev/urandom", &source),
        StartError::Store(error) => failure::store(&error),
    })
}

/// The end of a start that is not wanted any more. Nothing was acknowledged yet, so that the thread
/// that reads the store ends with the process.
fn end_early(
    why: &str,
    systemd: Systemd,
    serving: crate::control::Serving,
    runtime: Runtime,
    logging: &Logging,
) {
    systemd.stopping();
    serving.shutdown();
    // Waits for its threads: one of them removes the control socket.
    runtime.shutdown_timeout(CONTROL_END);
    tracing::info!(reason = why, "stopped while starting");
    logging.flush();
}

/// Members of the daemon's group are operators, except where a plain user runs a broker of its own.
fn open_door(place: &Place, account: Option<&Account>) -> Result<Door, Failure> {
    let private = place.home.is_some() && account.is_none();
    let operators = (!private).then(|| nix::unistd::getgid().as_raw());
    Door::bind(&place.socket(), operators).map_err(|error| {
        Failure::new(crate::cli::Exit::Failed, "control_socket", error.to_string())
    })
}

/// By renaming a new file: an old one may belong to somebody else.
fn write_pid_file(place: &Place) -> Result<(), Failure> {
    let path = place.pid_file();
    let new = place.run_dir.join("mqttd.pid.new");
    let written = fs::remove_file(&new)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .and_then(|()| fs::write(&new, format!("{}\n", std::process::id())))
        .and_then(|()| fs::rename(&new, &path));
    written.map_err(|error| failure::with_file("write", &path, &error))
}

/// The first lines of the log.
fn tell_start(instance: &Instance) {
    let loaded = instance.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        managed_by = instance.managed_by,
        shards = instance.server.shards(),
        open_files = machine::open_files_max(),
        "mqttd is running"
    );
    for listener in instance.server.listeners() {
        tracing::info!(listener = listener.name, address = %listener.address, "listening");
    }
    for warning in config::warnings(&loaded, &instance.place) {
        tracing::warn!("{warning}");
    }
}

impl Running {
    /// Waits for the end and carries it out.
    fn run(mut self) {
        let why = self.runtime.block_on(self.watch.wait(&self.instance, &mut self.wishes));
        tracing::info!(reason = why, "stopping");
        self.instance.systemd.stopping();
        let timeout = Duration::from_secs(self.instance.config().stop_timeout_secs);
        let instance = Arc::clone(&self.instance);
        let stopping = self.runtime.spawn_blocking(move || {
            instance.server.stop(timeout, || instance.systemd.extend(timeout));
        });
        let hurry = || self.instance.server.hurry();
        self.runtime.block_on(self.watch.unless_hurried(stopping, hurry));
        self.serving.shutdown();
        // Waits for its threads: one of them removes the control socket.
        self.runtime.shutdown_timeout(CONTROL_END);
        let _ = fs::remove_file(self.instance.place.pid_file());
        tracing::info!("mqttd has stopped");
        self.instance.logging.flush();
    }
}

//! Clock, limits of this process, and what `/proc` says of the broker's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The one reading of the clock in the generator.
#[expect(clippy::disallowed_methods, reason = "a program of its own, without the server's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn since(start: Instant) -> Duration {
    now().saturating_duration_since(start)
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// As many open files as allowed, and timers that fire when they are due.
pub(crate) fn prepare() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        eprintln!("load: open files stay limited: {error}");
    }
    if let Err(error) = prctl::set_timerslack(1_000) {
        eprintln!("load: timers stay coarse: {error}");
    }
}

/// Seconds since 1970, as other programs print them.
#[expect(clippy::disallowed_methods, reason = "a program of its own, without the server's clock")]
pub(crate) fn unix_secs() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The broker's process, when it was named.
pub(crate) struct Broker {
    pid: Option<u64>,
}

/// Memory of a process, KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// Without what is mapped of files.
    pub(crate) anonymous: u64,
    pub(crate) peak: u64,
}

/// What a broker has used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    /// User and system time.
    pub(crate) cpu_secs: f64,
    /// Bytes sent towards the disk.
    pub(crate) written_bytes: u64,
    /// Time on a processor, by name of thread.
    pub(crate) threads_cpu_ns: BTreeMap<String, u64>,
}

impl Spent {
    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let threads = self.threads_cpu_ns.iter().map(|(name, ns)| {
            let before = before.threads_cpu_ns.get(name).copied().unwrap_or(0);
            (name.clone(), ns.saturating_sub(before))
        });
        Self {
            cpu_secs: self.cpu_secs - before.cpu_secs,
            written_bytes: self.written_bytes.saturating_sub(before.written_bytes),
            threads_cpu_ns: threads.collect(),
        }
    }
}

impl Broker {
    pub(crate) const fn new(pid: Option<u64>) -> Self {
        Self { pid }
    }

    /// User and system time so far, seconds; 0 without `--pid`.
    pub(crate) fn cpu_secs(&self) -> f64 {
        self.pid.map_or(0.0, |pid| cpu_secs(&pid.to_string()))
    }

    pub(crate) fn memory(&self) -> Memory {
        let Some(pid) = self.pid else {
            return Memory::default();
        };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Memory { resident: field("VmRSS:"), anonymous: field("RssAnon:"), peak: field("VmHWM:") }
    }

    pub(crate) fn spent(&self) -> Spent {
        Spent {
            cpu_secs: self.cpu_secs(),
            written_bytes: self.written_bytes(),
            threads_cpu_ns: self.threads_cpu_ns(),
        }
    }

    /// Bytes it has sent towards the disk so far: `write_bytes` of `/proc/PID/io` (proc_pid_io(5)),
    /// pages it made dirty.
    fn written_bytes(&self) -> u64 {
        let Some(pid) = self.pid else {
            return 0;
        };
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
    }

    /// Time on a processor so far, nanoseconds, by name of thread.
    fn threads_cpu_ns(&self) -> BTreeMap<String, u64> {
        let mut threads = BTreeMap::new();
        let tasks = self.pid.and_then(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).ok());
        for task in tasks.into_iter().flatten().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file));
            let (Ok(name), Ok(spent)) = (read("comm"), read("schedstat")) else {
                continue;
            };
            let spent = spent.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
            *threads.entry(name.trim_end().to_owned()).or_default() += spent.unwrap_or(0);
        }
        threads
    }
}

/// The generator's own.
pub(crate) fn own_cpu_secs() -> f64 {
    cpu_secs("self")
}

/// utime and stime of `/proc/PID/stat` (proc_pid_stat(5)), in seconds; ticks are 1/100 s for every
/// Linux user space (USER_HZ).
fn cpu_secs(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command in parentheses may hold anything; the fields after it are numbers.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

//! systemd: whether it is in charge of the instance, and asking it to start and stop.
//!
//! Only through `systemctl` and `journalctl`, as an administrator would.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::unistd::geteuid;

use super::boot::{Exit, Failure};
use super::deadline::Deadline;
use super::process::Process;

/// The unit the package installs.
pub(super) const UNIT: &str = "mqttd.service";

/// How the daemon's status begins while its start takes long.
const GOES_ON: &str = "restoring: ";

/// How it begins afterwards.
const SERVING: &str = "Serving";

/// And in the end.
const STOPPING: &str = "Stopping";

/// Between two looks at it.
const LOOK: Duration = Duration::from_secs(1);

/// Who starts and stops the installed instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InCharge {
    /// systemd, and this user may ask it.
    Systemd,
    /// systemd, and this user may not ask it.
    SystemdOfRoot,
    /// Nobody: by hand.
    Nobody,
}

/// Who is in charge of the installed instance; `by_hand` when the user wants it so.
pub(super) fn in_charge(by_hand: bool) -> InCharge {
    if by_hand || !is_booted() || !is_installed() || is_inside_unit() {
        InCharge::Nobody
    } else if geteuid().is_root() {
        InCharge::Systemd
    } else {
        InCharge::SystemdOfRoot
    }
}

/// Whether the machine runs systemd (sd_booted(3)).
fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn is_installed() -> bool {
    [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ]
    .iter()
    .any(|dir| Path::new(dir).join(UNIT).symlink_metadata().is_ok())
}

/// Whether this process belongs to the unit: then asking systemd would wait for ourselves.
fn is_inside_unit() -> bool {
    std::fs::read_to_string("/proc/self/cgroup")
        .is_ok_and(|groups| groups.lines().any(|line| line.split('/').any(|part| part == UNIT)))
}

/// Runs `systemctl VERB mqttd.service` and waits until systemd has done it.
///
/// The failure has systemd's words; the daemon's own are to be added by the caller.
pub(super) fn systemctl(verb: &str, limit: Duration) -> Result<(), Failure> {
    watched(verb, limit, &mut || false)
}

/// The same for a verb that starts the unit: as long as the daemon says that it goes on, in the
/// status line of the unit, the wait is extended and `meanwhile` told.
pub(super) fn begin(
    verb: &str,
    limit: Duration,
    meanwhile: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let mut last = String::new();
    watched(verb, limit, &mut || {
        let status = property("StatusText");
        let goes_on = status.starts_with(GOES_ON) && status != last;
        if goes_on {
            meanwhile(&status);
            last = status;
        }
        goes_on
    })
}

fn watched(verb: &str, limit: Duration, goes_on: &mut dyn FnMut() -> bool) -> Result<(), Failure> {
    let mut command = Command::new(tool("systemctl"));
    command.args(["--no-ask-password", verb, UNIT]);
    let (done, said) = run(command, Some((limit, goes_on))).map_err(|error| {
        Failure::new(Exit::Failed, "systemd", format!("cannot run systemctl: {error}"))
            .hint("`--no-systemd` does without")
    })?;
    match done {
        Some(true) => Ok(()),
        Some(false) => {
            let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().unwrap_or("systemctl failed without a word");
            Err(Failure::new(Exit::Failed, "systemd", format!("systemctl {verb} mqttd: {first}")))
        }
        None => Err(Failure::new(
            Exit::Failed,
            "timeout",
            format!("systemd has not finished to {verb} mqttd within {} s", limit.as_secs()),
        )
        .hint("systemctl status mqttd shows how far it is")),
    }
}

/// A property of the unit, e.g. `ActiveState`; empty when systemd does not tell.
pub(super) fn property(name: &str) -> String {
    let mut command = Command::new(tool("systemctl"));
    command.args(["show", "--property", name, "--value", UNIT]);
    read(command).trim().to_owned()
}

/// What the daemon said of the start that failed; `None` when it said nothing, or failed later.
pub(super) fn last_sentence() -> Option<String> {
    let status = property("StatusText");
    let is_other = [GOES_ON, SERVING, STOPPING].iter().any(|begin| status.starts_with(begin));
    (!status.is_empty() && !is_other).then_some(status)
}

/// What the daemon itself last wrote to the journal in the unit's last run, at most `count` lines.
pub(super) fn last_words(count: usize) -> Vec<String> {
    let invocation = property("InvocationID");
    let mut command = Command::new(tool("journalctl"));
    command.args(["--quiet", "--no-pager", "--output=cat"]);
    command.arg(format!("--lines={count}"));
    if invocation.is_empty() {
        command.arg(format!("--unit={UNIT}"));
    } else {
        command.arg(format!("_SYSTEMD_INVOCATION_ID={invocation}"));
    }
    read(command).lines().map(str::to_owned).collect()
}

/// The program by its usual place, so that an empty PATH does not matter.
fn tool(name: &str) -> std::path::PathBuf {
    ["/usr/bin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| name.into())
}

fn read(command: Command) -> String {
    run(command, None).map(|(_, said)| said).unwrap_or_default()
}

/// A limit that begins anew when a look, now and then, says so.
type Patience<'p> = (Duration, &'p mut dyn FnMut() -> bool);

/// Runs a command; whether it succeeded (`None`: not finished in time) and what it said: on
/// stdout without a limit, on stderr with one.
fn run(
    mut command: Command,
    limit: Option<Patience<'_>>,
) -> std::io::Result<(Option<bool>, String)> {
    command.env("SYSTEMD_COLORS", "0").env("SYSTEMD_PAGER", "").stdin(Stdio::null());
    let mut said = String::new();
    let Some((limit, goes_on)) = limit else {
        let output = command.stderr(Stdio::null()).output()?;
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        return Ok((Some(output.status.success()), said));
    };
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let finished = match Process::open(child.id()) {
        Some(process) => ends(&process, limit, goes_on),
        None => true,
    };
    if !finished {
        let _ = child.kill(); // of systemctl only: systemd goes on
    }
    let status = child.wait()?;
    if let Some(mut stderr) = child.stderr.take() {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes)?;
        said.push_str(&String::from_utf8_lossy(&bytes));
    }
    Ok((finished.then_some(status.success()), said))
}

/// Waits for the end of a process.
fn ends(process: &Process, limit: Duration, goes_on: &mut dyn FnMut() -> bool) -> bool {
    let mut deadline = Deadline::after(limit);
    loop {
        if process.wait(&Deadline::after(LOOK.min(deadline.left()))) {
            return true;
        }
        if goes_on() {
            deadline = Deadline::after(limit);
        } else if deadline.passed() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_that_it_goes_on_is_waited_for_longer() {
        let sleep = |secs| {
            let mut command = Command::new("sleep");
            command.arg(secs);
            command
        };
        let limit = Duration::from_millis(1500);
        let mut looks = 0;
        let mut goes_on = || {
            looks += 1;
            true
        };
        assert_eq!(run(sleep("3"), Some((limit, &mut goes_on))).unwrap().0, Some(true));
        assert_eq!(run(sleep("600"), Some((limit, &mut || false))).unwrap().0, None);
        assert!(looks >= 2);
    }
}

//! Who is in charge of this process, as far as it can see: systemd, a container, or a person.

use std::fs;

use super::Mode;

/// `systemd:mqttd.service`, `container`, `daemon`, `foreground` or `console`.
pub(super) fn managed_by(mode: Mode) -> String {
    let under_systemd = mode == Mode::Foreground && std::env::var_os("NOTIFY_SOCKET").is_some();
    match mode {
        Mode::Foreground if under_systemd => match unit_of("self") {
            Some(unit) => format!("systemd:{unit}"),
            None => "systemd".to_owned(),
        },
        Mode::Foreground if is_pid_1() => "container".to_owned(),
        Mode::Foreground => "foreground".to_owned(),
        Mode::Console => "console".to_owned(),
        Mode::Daemon => "daemon".to_owned(),
    }
}

/// Whether this is the first process of a container: orphans become its children.
pub(super) fn is_pid_1() -> bool {
    std::process::id() == 1
}

/// The service a process belongs to, by its control group; `pid` is a number or `self`.
pub(super) fn unit_of(pid: &str) -> Option<String> {
    unit_in(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

fn unit_in(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let unit = path.rsplit('/').find(|part| part.ends_with(".service"))?;
    (!unit.starts_with("user@")).then(|| unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_the_last_service_of_the_path() {
        for (cgroup, unit) in [
            ("0::/system.slice/mqttd.service\n", Some("mqttd.service")),
            ("0::/system.slice/mqttd.service/main\n", Some("mqttd.service")),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            ("0::/user.slice/user-1.slice/user@1.service/app.slice/a.scope\n", None),
            ("0::/\n", None),
            ("12:cpu:/system.slice/x.service\n", None),
        ] {
            assert_eq!(unit_in(cgroup).as_deref(), unit, "{cgroup}");
        }
    }
}

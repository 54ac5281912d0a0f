//! `mqttd status` as text: how the broker is doing, on aligned lines.

use super::instance::run_by;
use super::render::{bytes, counted, grouped, lines, moment, span};
use super::table::printable;
use crate::admin::{Recovered, Status, StoreStatus};

/// The answer of `status`, without the last newline.
pub(super) fn shown(status: Status) -> String {
    let about = &status.about;
    let mut rows = vec![
        (
            "process",
            format!(
                "pid {}, up {}, {}",
                about.pid,
                span(about.uptime_secs),
                run_by(&about.managed_by)
            ),
        ),
        (
            "configuration",
            format!(
                "{}{}",
                about.config_file,
                if about.config_changed {
                    " (changed since it was read: mqttd reload)"
                } else {
                    ""
                }
            ),
        ),
        ("data", about.data_dir.clone()),
    ];
    for (number, listener) in status.listeners.iter().enumerate() {
        let title = if number == 0 { "listeners" } else { "" };
        rows.push((title, format!("{} {}", listener.name, listener.address)));
    }
    rows.extend(figures(&status));
    rows.extend(status.store.as_ref().map(|store| ("store", kept(store))));
    rows.extend(status.store.as_ref().and_then(way_out).map(|way_out| ("", way_out)));
    let restored = about.recovered.as_ref().and_then(restored);
    rows.extend(restored.map(|restored| ("restored", restored)));
    rows.extend([("open files", format!("{} at most", about.open_files_max))]);
    let mut title = format!("mqttd {} is running", about.version);
    if let Some(store) = status.store.as_ref().filter(|store| store.state != "well") {
        title.push_str(&format!(", and its store is {}", printable(&store.state)));
    }
    let rows = lines(rows.iter().map(|(name, value)| (*name, value.clone())));
    let rows: Vec<_> = rows.lines().map(|line| format!("  {line}")).collect();
    format!("{title}\n{}", rows.join("\n"))
}

/// Clients, messages, memory.
fn figures(status: &Status) -> [(&'static str, String); 3] {
    [
        (
            "clients",
            format!(
                "{} connected of {} possible; {}; {}",
                status.clients_connected,
                status.about.connections_max,
                counted(status.sessions, "session"),
                counted(status.subscriptions, "subscription")
            ),
        ),
        (
            "messages",
            format!(
                "{} received, {} sent, {} dropped; {} retained",
                status.messages_received,
                status.messages_sent,
                status.messages_dropped,
                status.retained_messages
            ),
        ),
        (
            "memory",
            format!(
                "{} resident; {} of {} for messages",
                bytes(status.about.resident_bytes),
                bytes(status.memory_used_bytes),
                bytes(status.memory_limit_bytes)
            ),
        ),
    ]
}

/// What outlives the process: what is wrong with it, or how large it is and how it wears the disk.
fn kept(store: &StoreStatus) -> String {
    if store.state != "well" {
        let reason = store.reason.as_deref().unwrap_or("the disk does not do what it should");
        return format!(
            "{} since {}: {}; what is to be kept is not acknowledged ({} wait)",
            printable(&store.state).to_uppercase(),
            moment(store.since_unix_ms),
            printable(reason),
            bytes(store.waiting_bytes)
        );
    }
    let (size, messages) = (bytes(store.file_bytes), counted(store.messages, "message"));
    let mut text = format!("{size}, {messages}");
    match store.written_per_day_bytes {
        Some(per_day) => text += &format!(", {} written per day", bytes(per_day)),
        None if store.written_bytes > 0 => {
            text += &format!(", {} written", bytes(store.written_bytes));
        }
        None => {}
    }
    if let Some(committed_unix_ms) = store.committed_unix_ms {
        text += &format!(
            "; last commit {}, half of them within {} and 99 of 100 within {}",
            moment(committed_unix_ms),
            millis(store.commit_p50_us),
            millis(store.commit_p99_us)
        );
    }
    text
}

/// What was there at the start, and what was not; `None` when there was nothing.
pub(super) fn restored(recovered: &Recovered) -> Option<String> {
    let Recovered { sessions, subscriptions, retained, messages, torn_bytes, damaged, took_ms } =
        *recovered;
    if recovered.is_empty() {
        return None;
    }
    let plural = |count, what| {
        if count == 1 { format!("1 {what}") } else { format!("{} {what}s", grouped(count)) }
    };
    let took = if took_ms < 1000 {
        format!("{took_ms} ms")
    } else {
        format!("{}.{} s", took_ms / 1000, took_ms % 1000 / 100)
    };
    let mut text = format!(
        "{}, {}, {} and {} in {took}",
        plural(sessions, "session"),
        plural(subscriptions, "subscription"),
        plural(messages, "waiting message"),
        plural(retained, "retained message"),
    );
    if torn_bytes > 0 {
        text += &format!(
            "; {} bytes of a write that nobody was told of were cut off",
            grouped(torn_bytes)
        );
    }
    if damaged > 0 {
        text += &format!("; {} left out by the repair", plural(damaged, "damaged record"));
    }
    Some(text)
}

/// What ends the trouble.
fn way_out(store: &StoreStatus) -> Option<String> {
    let way_out = match store.state.as_str() {
        "full" => "make space on that disk: what waits is then kept and acknowledged by itself",
        "failed" => "look at the disk (journalctl -k); it is tried again and again by itself",
        _ => return None,
    };
    Some(way_out.to_owned())
}

/// Microseconds as `0.4 ms` or `12 ms`.
fn millis(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{} ms", us / 1000, us % 1000 / 100)
    } else {
        format!("{} ms", us / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> StoreStatus {
        StoreStatus {
            state: "well".to_owned(),
            since_unix_ms: 0,
            reason: None,
            file_bytes: 12 << 20,
            live_bytes: 1,
            messages: 1,
            written_bytes: 1 << 20,
            written_per_day_bytes: Some(34 << 20),
            commits: 1,
            syncs: 1,
            waiting_bytes: 0,
            committed_unix_ms: Some(1_790_000_000_000),
            commit_p50_us: 450,
            commit_p99_us: 30_700,
        }
    }

    #[test]
    fn what_a_start_found_is_one_line_and_nothing_is_none() {
        let nothing = Recovered { took_ms: 3, ..Recovered::default() };
        assert_eq!(restored(&nothing), None);
        let much = Recovered {
            sessions: 10_000,
            subscriptions: 1,
            retained: 1_000_000,
            messages: 2,
            took_ms: 4_512,
            ..nothing
        };
        assert_eq!(
            restored(&much).unwrap(),
            "10 000 sessions, 1 subscription, 2 waiting messages and 1 000 000 retained messages \
             in 4.5 s"
        );
        let cut = Recovered { torn_bytes: 4120, damaged: 1, ..nothing };
        assert_eq!(
            restored(&cut).unwrap(),
            "0 sessions, 0 subscriptions, 0 waiting messages and 0 retained messages in 3 ms; \
             4 120 bytes of a write that nobody was told of were cut off; 1 damaged record left \
             out by the repair"
        );
    }

    #[test]
    fn a_store_is_a_size_and_a_rate_and_its_trouble_comes_first() {
        assert_eq!(
            kept(&well()),
            "12.0 MiB, 1 message, 34.0 MiB written per day; last commit 2026-09-21 14:13:20Z, half of \
             them within 0.4 ms and 99 of 100 within 30 ms"
        );
        let fresh = StoreStatus { written_per_day_bytes: None, committed_unix_ms: None, ..well() };
        assert_eq!(kept(&fresh), "12.0 MiB, 1 message, 1.0 MiB written");
        let full = StoreStatus {
            state: "full".to_owned(),
            reason: Some("no space is left for mqttd.db".to_owned()),
            ..well()
        };
        assert_eq!(
            kept(&full),
            "FULL since 1970-01-01 00:00:00Z: no space is left for mqttd.db; what is to be kept is \
             not acknowledged (0 B wait)"
        );
    }
}

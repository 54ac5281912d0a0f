//! Answers of the daemon as text for people: tables for lists, aligned lines for one thing.
//!
//! An answer that is not understood (a newer daemon) is shown as it came.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::table::{Table, printable, terminal_width};
use crate::admin::{Client, Listener, Reloaded, Retained, Session, Subscription, Waiting};

/// An answer as text, without the last newline.
pub(super) fn reply(call: &str, value: &Value) -> String {
    let text = match call {
        "status" => read(value, super::status::shown),
        "reload" => read(value, reloaded),
        "clients.list" => read(value, clients),
        "clients.show" => read(value, client),
        "clients.kick" => {
            value["client_id"].as_str().map(|client_id| format!("kicked {}", printable(client_id)))
        }
        "sessions.list" => read(value, all_sessions),
        "sessions.show" => read(value, session),
        "sessions.delete" => value["client_id"]
            .as_str()
            .map(|client_id| format!("deleted the session of {}", printable(client_id))),
        "queue" => read(value, queue),
        "subscriptions.list" => read(value, subscriptions),
        "topics.list" => read(value, topics),
        "topics.show" => read(value, topic),
        "topics.delete" => {
            value["topic"].as_str().map(|topic| format!("deleted {}", printable(topic)))
        }
        "listeners.list" => read(value, listeners),
        "log.level" => value["level"].as_str().map(str::to_owned),
        "publish" => value["matched"]
            .as_u64()
            .map(|matched| format!("published, {} matched", counted(matched, "session"))),
        "stats" => value
            .as_object()
            .map(|rows| lines(rows.iter().map(|(name, value)| (name.as_str(), value.to_string())))),
        _ => value.as_str().map(printable),
    };
    text.unwrap_or_else(|| serde_json::to_string_pretty(value).unwrap_or_default())
}

/// One line of a feed.
pub(super) fn feed_line(value: &Value) -> String {
    match (value["line"].as_str(), value["skipped"].as_u64()) {
        (Some(line), _) => line.split('\n').map(printable).collect::<Vec<_>>().join("\n"),
        (None, Some(skipped)) => format!("… {skipped} lines skipped: they came too fast"),
        (None, None) => value.to_string(),
    }
}

fn read<T: DeserializeOwned>(value: &Value, show: impl FnOnce(T) -> String) -> Option<String> {
    T::deserialize(value).ok().map(show)
}

/// Names and values under each other.
pub(super) fn lines<'a>(rows: impl Iterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| format!("{name:width$}  {value}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn reloaded(reloaded: Reloaded) -> String {
    let mut said = Vec::new();
    if !reloaded.applied.is_empty() {
        said.push(format!("in force now: {}", reloaded.applied.join(", ")));
    }
    if !reloaded.needs_restart.is_empty() {
        said.push(format!("needs a restart: {}", reloaded.needs_restart.join(", ")));
    }
    if said.is_empty() {
        said.push("nothing has changed".to_owned());
    }
    said.join("\n")
}

fn clients(rows: Vec<Client>) -> String {
    if rows.is_empty() {
        return "no clients".to_owned();
    }
    let titles =
        ["client", "peer", "protocol", "user", ">subs", ">queued", ">in", ">out", ">dropped"];
    let mut table = Table::new(&titles);
    for client in rows {
        let peer = match (client.connected, client.peer) {
            (true, Some(peer)) => peer,
            (true, None) => "connected".to_owned(),
            (false, _) => "(away)".to_owned(),
        };
        table.row(vec![
            client.client_id,
            peer,
            client.protocol,
            client.username.unwrap_or_default(),
            client.subscriptions.to_string(),
            client.queue_messages.to_string(),
            client.messages_in.to_string(),
            client.messages_out.to_string(),
            client.messages_dropped.to_string(),
        ]);
    }
    table.render(terminal_width())
}

fn client(client: Client) -> String {
    let expiry = match client.session_expiry_interval_secs {
        0 => "ends with the connection".to_owned(),
        u32::MAX => "never expires".to_owned(),
        secs => format!("expires {} after the connection", span(u64::from(secs))),
    };
    let keep_alive = match client.keep_alive_secs {
        0 => "off".to_owned(),
        secs => format!("{secs} s"),
    };
    let peer = match (client.connected, &client.peer) {
        (true, Some(peer)) => {
            format!("connected from {peer} since {}", moment(client.connected_unix_ms))
        }
        (true, None) => format!("connected since {}", moment(client.connected_unix_ms)),
        (false, _) => match client.disconnected_unix_ms {
            Some(when) => format!("away since {}", moment(when)),
            None => "away".to_owned(),
        },
    };
    let rows = [
        ("client", printable(&client.client_id)),
        ("user", client.username.as_deref().map_or_else(|| "-".to_owned(), printable)),
        ("connection", peer),
        ("protocol", format!("MQTT {}", client.protocol)),
        ("keep alive", keep_alive),
        ("session", format!("since {}, {expiry}", moment(client.created_unix_ms))),
        ("clean start", yes_or_no(client.clean_start)),
        ("will", yes_or_no(client.will)),
        ("subscriptions", client.subscriptions.to_string()),
        (
            "queue",
            format!(
                "{} messages, {}; {} in flight, {} awaiting PUBREL",
                client.queue_messages,
                bytes(client.queue_bytes),
                client.inflight,
                client.awaiting_pubrel
            ),
        ),
        (
            "messages",
            format!(
                "{} received, {} sent, {} dropped",
                client.messages_in, client.messages_out, client.messages_dropped
            ),
        ),
    ];
    lines(rows.iter().map(|(name, value)| (*name, value.clone())))
}

fn all_sessions(rows: Vec<Session>) -> String {
    if rows.is_empty() {
        return "no sessions".to_owned();
    }
    let titles =
        ["client", "away since", "expires", ">subs", ">queued", ">bytes", ">inflight", ">dropped"];
    let mut table = Table::new(&titles);
    for session in rows {
        table.row(vec![
            session.client_id.clone(),
            away_since(&session),
            session_end(&session),
            session.subscriptions.to_string(),
            session.queue_messages.to_string(),
            session.queue_bytes.to_string(),
            session.inflight.to_string(),
            session.messages_dropped.to_string(),
        ]);
    }
    table.render(terminal_width())
}

fn session(session: Session) -> String {
    let rows = [
        ("client", printable(&session.client_id)),
        ("user", session.username.as_deref().map_or_else(|| "-".to_owned(), printable)),
        ("protocol", format!("MQTT {}", session.protocol)),
        ("began", moment(session.created_unix_ms)),
        ("last connected", moment(session.connected_unix_ms)),
        ("away since", away_since(&session)),
        ("expires", session_end(&session)),
        ("subscriptions", session.subscriptions.to_string()),
        (
            "queue",
            format!(
                "{} messages, {}; of those on disk only: {}, {}",
                session.queue_messages,
                bytes(session.queue_bytes),
                session.queue_disk_messages,
                bytes(session.queue_disk_bytes)
            ),
        ),
        (
            "under way",
            format!(
                "{} sent and not acknowledged, {} received and awaiting PUBREL",
                session.inflight, session.awaiting_pubrel
            ),
        ),
        ("will", yes_or_no(session.will)),
        ("dropped", session.messages_dropped.to_string()),
    ];
    lines(rows.iter().map(|(name, value)| (*name, value.clone())))
}

fn away_since(session: &Session) -> String {
    match session.disconnected_unix_ms {
        Some(unix_ms) if !session.connected => moment(unix_ms),
        _ => "(connected)".to_owned(),
    }
}

fn session_end(session: &Session) -> String {
    match (session.expires_unix_ms, session.expiry_interval_secs) {
        (Some(unix_ms), _) => moment(unix_ms),
        (None, 0) => "with the connection".to_owned(),
        (None, u32::MAX) => "never".to_owned(),
        (None, secs) => format!("{} after it", span(u64::from(secs))),
    }
}

/// Letters of a payload in a table; `mqttd queue --json` has all of it.
const PAYLOAD_LETTERS: usize = 200;

fn queue(rows: Vec<Waiting>) -> String {
    if rows.is_empty() {
        return "nothing waits".to_owned();
    }
    let has_payload = |row: &Waiting| row.payload.is_some() || row.payload_base64.is_some();
    let mut titles = vec!["stage", "topic", ">qos", "retain", ">bytes", "since", "expires"];
    let with_payload = rows.iter().any(has_payload);
    titles.extend(with_payload.then_some("payload"));
    let mut table = Table::new(&titles);
    for row in rows {
        let payload = match (row.payload, row.payload_base64) {
            (Some(text), _) => shortened(text),
            (None, Some(base64)) => format!("base64:{}", shortened(base64)),
            (None, None) => String::new(),
        };
        let mut cells = vec![
            row.stage,
            row.topic.unwrap_or_else(|| "(not kept)".to_owned()),
            row.qos.to_string(),
            yes_or_no(row.retain),
            row.payload_bytes.map_or_else(String::new, |bytes| bytes.to_string()),
            row.accepted_unix_ms.map_or_else(String::new, moment),
            row.expires_unix_ms.map_or_else(|| "never".to_owned(), moment),
        ];
        cells.extend(with_payload.then_some(payload));
        table.row(cells);
    }
    table.render(terminal_width())
}

fn shortened(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(PAYLOAD_LETTERS) {
        text.truncate(at);
        text.push('…');
    }
    text
}

fn subscriptions(rows: Vec<Subscription>) -> String {
    if rows.is_empty() {
        return "no subscriptions".to_owned();
    }
    let mut table = Table::new(&["client", "filter", ">qos", "options"]);
    for row in rows {
        let mut options = Vec::new();
        options.extend(row.no_local.then(|| "no local".to_owned()));
        options.extend(row.retain_as_published.then(|| "retain as published".to_owned()));
        options.extend(
            (row.retain_handling != 0).then(|| format!("retain handling {}", row.retain_handling)),
        );
        options.extend(row.identifier.map(|identifier| format!("id {identifier}")));
        table.row(vec![row.client_id, row.filter, row.qos.to_string(), options.join(", ")]);
    }
    table.render(terminal_width())
}

fn topics(rows: Vec<Retained>) -> String {
    if rows.is_empty() {
        return "no retained messages".to_owned();
    }
    let mut table = Table::new(&["topic", ">qos", ">bytes", "stored"]);
    for row in rows {
        table.row(vec![
            row.topic,
            row.qos.to_string(),
            row.payload_bytes.to_string(),
            moment(row.stored_unix_ms),
        ]);
    }
    table.render(terminal_width())
}

fn topic(row: Retained) -> String {
    let payload = match (&row.payload, &row.payload_hex) {
        (Some(text), _) => text.split('\n').map(printable).collect::<Vec<_>>().join("\n"),
        (None, Some(hex)) => format!("{hex} (hexadecimal)"),
        (None, None) => String::new(),
    };
    let rows = [
        ("topic", printable(&row.topic)),
        ("qos", row.qos.to_string()),
        ("stored", moment(row.stored_unix_ms)),
        ("expires", row.expires_unix_ms.map_or_else(|| "never".to_owned(), moment)),
        ("payload", format!("{} bytes", row.payload_bytes)),
    ];
    let head = lines(rows.iter().map(|(name, value)| (*name, value.clone())));
    format!("{head}\n\n{payload}")
}

fn listeners(rows: Vec<Listener>) -> String {
    if rows.is_empty() {
        return "no listeners".to_owned();
    }
    let mut table = Table::new(&["name", "address", ">connections", ">accepted", ">refused"]);
    for row in rows {
        table.row(vec![
            row.name,
            row.address,
            row.connections.to_string(),
            row.accepted.to_string(),
            row.refused.to_string(),
        ]);
    }
    table.render(terminal_width())
}

/// A number in groups of three digits: `1 000 000`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 session`, `2 sessions`.
pub(super) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn yes_or_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

/// A span of time in its two largest units.
pub(super) fn span(secs: u64) -> String {
    let (days, hours) = (secs / 86_400, secs / 3_600 % 24);
    let (minutes, seconds) = (secs / 60 % 60, secs % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (1, _, _) => format!("1 day {hours} h"),
        _ => format!("{days} days {hours} h"),
    }
}

/// A size with a binary unit.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut size = count as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"KiB");
    while size >= 1024.0 {
        match units.next() {
            Some(next) => {
                size /= 1024.0;
                unit = next;
            }
            None => break,
        }
    }
    format!("{size:.1} {unit}")
}

/// A moment in UTC, to the second: `2026-11-24 16:30:05Z`.
pub(super) fn moment(unix_ms: u64) -> String {
    let secs = unix_ms / 1000;
    let (mut days, of_day) = (secs / 86_400, secs % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length || year > 9999 {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!(
        "{year}-{month:02}-{:02} {:02}:{:02}:{:02}Z",
        days + 1,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_utc() {
        assert_eq!(moment(0), "1970-01-01 00:00:00Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(moment(1_735_689_599_999), "2024-12-31 23:59:59Z");
        assert_eq!(moment(1_790_000_000_000), "2026-09-21 14:13:20Z");
    }

    #[test]
    fn spans_and_sizes_are_short() {
        assert_eq!(span(59), "59 s");
        assert_eq!(span(3_725), "1 h 2 min");
        assert_eq!(span(200_000), "2 days 7 h");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }

    #[test]
    fn an_answer_of_another_shape_is_shown_as_it_came() {
        let shown = reply("clients.list", &json!([{"client": "x"}]));
        assert!(shown.contains("\"client\": \"x\""), "{shown}");
        assert_eq!(reply("new.call", &json!("done")), "done");
    }

    #[test]
    fn empty_lists_say_so() {
        assert_eq!(reply("clients.list", &json!([])), "no clients");
        assert_eq!(reply("topics.list", &json!([])), "no retained messages");
        assert_eq!(
            reply("reload", &json!({"applied": [], "needs_restart": []})),
            "nothing has changed"
        );
    }

    #[test]
    fn the_log_keeps_its_lines_and_loses_its_escapes() {
        assert_eq!(feed_line(&json!({"line": "a\u{1b}[2J"})), "a\\u{1b}[2J");
        assert!(feed_line(&json!({"skipped": 7})).contains("7 lines"));
    }
}

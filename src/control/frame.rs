//! The frames of the control socket: one JSON object a line, both ways.
//!
//! The daemon speaks first ([`Hello`]); then requests and replies alternate. A list or a feed is
//! several replies to one request, all but the last with `"more":true`. Known to both ends;
//! nothing here reads or writes a socket.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::admin::Problem;

/// Version of the protocol; raised when an older command could misunderstand a newer daemon. New
/// calls, arguments and fields do not raise it.
pub const PROTOCOL: u32 = 1;

/// Longest request, bytes, the newline not counted.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What the daemon says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the daemon.
    pub mqttd: String,
    /// [`PROTOCOL`] of the daemon.
    pub protocol: u32,
}

/// What a peer sent where a request was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A line, its newline taken off.
    Line(Vec<u8>),
    /// More than [`REQUEST_BYTES_MAX`] bytes.
    TooLong,
}

impl Cut {
    /// Takes the first line off what a peer has sent; `None` while more of it may come.
    #[must_use]
    pub fn first(sent: &mut Vec<u8>) -> Option<Self> {
        let Some(end) = sent.iter().position(|&byte| byte == b'\n') else {
            return (sent.len() > REQUEST_BYTES_MAX).then_some(Self::TooLong);
        };
        let mut line: Vec<u8> = sent.drain(..=end).collect();
        line.pop();
        Some(if line.len() <= REQUEST_BYTES_MAX { Self::Line(line) } else { Self::TooLong })
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Comes back with each reply; 0 when left out.
    #[serde(default)]
    pub id: u64,
    /// Name of the call, e.g. `clients.list`.
    pub call: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Map<String, Value>,
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Of the request; `None` when the request could not be read.
    pub id: Option<u64>,
    /// Whether it went well.
    pub ok: bool,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What went wrong, when not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// Whether another line follows for the same request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// It is no request; the problem says so to whoever sent it.
    pub fn read(line: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(line).map_err(|error| {
            Problem::new("bad_request", format!("not a request: {error}"))
                .hint(r#"a request is one line: {"id":1,"call":"ping","args":{}}"#)
        })
    }
}

impl Reply {
    /// The last or only line of a good answer.
    #[must_use]
    pub fn last(id: u64, result: Value) -> Self {
        Self { id: Some(id), ok: true, result: Some(result), error: None, more: false }
    }

    /// A line of a good answer that is followed by another.
    #[must_use]
    pub fn more(id: u64, result: Value) -> Self {
        Self { more: true, ..Self::last(id, result) }
    }

    /// An answer that says what went wrong.
    #[must_use]
    pub fn problem(id: Option<u64>, problem: Problem) -> Self {
        Self { id, ok: false, result: None, error: Some(problem), more: false }
    }
}

/// A frame as its line, newline included.
#[must_use]
pub(super) fn line<F: Serialize>(frame: &F) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(frame).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_cut_off_one_by_one_and_too_long_ones_at_once() {
        let mut sent = b"one\n\ntw".to_vec();
        assert_eq!(Cut::first(&mut sent), Some(Cut::Line(b"one".to_vec())));
        assert_eq!(Cut::first(&mut sent), Some(Cut::Line(Vec::new())));
        assert_eq!(Cut::first(&mut sent), None);
        sent.resize(REQUEST_BYTES_MAX, b' ');
        assert_eq!(Cut::first(&mut sent), None);
        sent.push(b' ');
        assert_eq!(Cut::first(&mut sent), Some(Cut::TooLong), "however much more would come");
        sent.push(b'\n');
        assert_eq!(Cut::first(&mut sent), Some(Cut::TooLong));
    }

    #[test]
    fn a_request_needs_only_its_call() {
        let request: Request = serde_json::from_str(r#"{"call":"ping"}"#).unwrap();
        assert_eq!((request.id, request.args.len()), (0, 0));
    }

    #[test]
    fn lines_of_a_list_say_whether_more_follows() {
        let first = String::from_utf8(line(&Reply::more(7, json!([1])))).unwrap();
        assert_eq!(first, "{\"id\":7,\"ok\":true,\"result\":[1],\"more\":true}\n");
        let last = String::from_utf8(line(&Reply::last(7, json!([2])))).unwrap();
        assert_eq!(last, "{\"id\":7,\"ok\":true,\"result\":[2]}\n");
    }

    #[test]
    fn fields_of_a_newer_daemon_are_passed_over() {
        let hello: Hello =
            serde_json::from_str(r#"{"mqttd":"9.0.0","protocol":1,"color":"blue"}"#).unwrap();
        assert_eq!(hello.protocol, 1);
    }
}

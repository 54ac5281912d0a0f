//! The socket against a double of the broker: limits, crowds, feeds, versions.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use super::*;
use crate::admin::{Answers, Problem, Reply as Answer, Takes};

const LIMIT: Duration = Duration::from_secs(60);

/// Answers `ping`, `rows` (250 in pages of 100), `sum`, `feed` and `echo`.
struct Double {
    feed: broadcast::Sender<Arc<str>>,
}

impl Answers for Double {
    fn answer(&self, call: &str, arguments: Map<String, Value>) -> Result<Answer, Problem> {
        match call {
            "ping" => Ok(Answer::Value(json!("pong"))),
            "echo" => Ok(Answer::Value(Value::Object(arguments))),
            "panic" => panic!("wanted by the test"),
            "rows" => {
                let mut next = 0;
                Ok(Answer::Pages(Box::new(move || {
                    let page: Vec<_> = (next..250.min(next + 100)).map(Value::from).collect();
                    next += 100;
                    Ok((!page.is_empty()).then_some(page))
                })))
            }
            "sum" => Ok(Answer::Takes(Box::new(Sum(0)))),
            "feed" => Ok(Answer::Lines(self.feed.subscribe())),
            _ => Err(Problem::new("unknown_call", format!("no call {call:?}"))),
        }
    }
}

/// Adds up the numbers it takes, up to 1000.
struct Sum(u64);

impl Takes for Sum {
    fn take(&mut self, line: &[u8]) -> Result<(), Problem> {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let number: Option<u64> = text.trim().parse().ok();
        self.0 += number.ok_or_else(|| Problem::new("bad_argument", "no number"))?;
        if self.0 > 1000 { Err(Problem::new("bad_argument", "too much")) } else { Ok(()) }
    }

    fn finish(self: Box<Self>) -> Result<Value, Problem> {
        Ok(json!(self.0))
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    feed: broadcast::Sender<Arc<str>>,
    serving: Option<Serving>,
    _runtime: tokio::runtime::Runtime,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mqttd.sock");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (feed, _) = broadcast::channel(16);
    let door = Door::bind(&socket, None).unwrap();
    let double = Arc::new(Double { feed: feed.clone() });
    let serving = serve(door, double, runtime.handle()).unwrap();
    Fixture { _dir: dir, socket, feed, serving: Some(serving), _runtime: runtime }
}

impl Fixture {
    fn client(&self) -> Client {
        Client::connect(&self.socket, LIMIT).unwrap()
    }

    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }
}

#[test]
fn hello_then_answers_in_turn() {
    let fixture = fixture();
    let mut client = fixture.client();
    assert_eq!(client.pid(), Some(std::process::id()));
    assert_eq!(client.version(), env!("CARGO_PKG_VERSION"));
    assert_eq!(client.call("ping", Map::new()).unwrap(), json!("pong"));
    let mut args = Map::new();
    args.insert("a".into(), json!("ü\n"));
    assert_eq!(client.call("echo", args).unwrap(), json!({"a": "ü\n"}));
}

#[test]
fn an_unknown_call_is_a_problem_and_not_the_end() {
    let fixture = fixture();
    let mut client = fixture.client();
    let Err(CallError::Problem(problem)) = client.call("new.call", Map::new()) else {
        panic!("no problem");
    };
    assert_eq!(problem.code, "unknown_call");
    assert_eq!(client.call("ping", Map::new()).unwrap(), json!("pong"));
}

#[test]
fn a_call_that_panics_harms_nobody() {
    let fixture = fixture();
    let mut client = fixture.client();
    let Err(CallError::Problem(problem)) = client.call("panic", Map::new()) else {
        panic!("no problem");
    };
    assert_eq!(problem.code, "internal");
    assert_eq!(client.call("ping", Map::new()).unwrap(), json!("pong"));
}

#[test]
fn a_list_comes_in_pages_and_whole() {
    let fixture = fixture();
    let mut client = fixture.client();
    let mut pages = 0;
    let last = client
        .stream("rows", Map::new(), |_| {
            pages += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((pages, last), (3, Some(json!([]))));
    let rows = client.call("rows", Map::new()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 250);
}

#[test]
fn a_call_takes_lines_of_any_length_and_the_conversation_goes_on() {
    let fixture = fixture();
    let mut client = fixture.client();
    let sum = client.upload("sum", Map::new(), |lines| {
        lines.write_all(b"1\n2\n")?;
        let long = format!("{}3\n", " ".repeat(3 * REQUEST_BYTES_MAX));
        lines.write_all(long.as_bytes())
    });
    assert_eq!(sum.unwrap().unwrap(), json!(6));
    assert_eq!(client.call("ping", Map::new()).unwrap(), json!("pong"));
    // A call that takes none answers at once.
    let pong = client.upload("ping", Map::new(), |_| -> io::Result<()> { panic!("not asked") });
    assert_eq!(pong.unwrap().unwrap(), json!("pong"));
}

#[test]
fn what_follows_the_empty_line_is_the_next_request() {
    let fixture = fixture();
    let mut stream = fixture.raw();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().skip(1);
    stream.write_all(b"{\"call\":\"sum\"}\n4\n5\n\n{\"call\":\"ping\"}\n").unwrap();
    let mut results = Vec::new();
    for _ in 0..3 {
        let reply: Reply = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        results.push((reply.more, reply.result));
    }
    assert!(results[0].0);
    assert_eq!(results[1..], [(false, Some(json!(9))), (false, Some(json!("pong")))]);
}

#[test]
fn lines_that_are_not_wanted_end_the_conversation_with_the_reason() {
    let fixture = fixture();
    let Err(CallError::Problem(problem)) = fixture.client().upload("sum", Map::new(), |lines| {
        loop {
            lines.write_all(b"400\n")?;
        }
    }) as Result<io::Result<Value>, _>
    else {
        panic!("no problem");
    };
    assert_eq!(problem.message, "too much");
    // The sender's own fault is told to nobody, and nothing is finished.
    let failed = fixture.client().upload("sum", Map::new(), |lines| {
        lines.write_all(b"1\n")?;
        Err(io::Error::other("no such file"))
    });
    assert_eq!(failed.unwrap().unwrap_err().to_string(), "no such file");
}

#[test]
fn a_feed_goes_on_until_the_next_line() {
    let fixture = fixture();
    let mut stream = fixture.raw();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let _hello = lines.next();
    stream.write_all(b"{\"call\":\"feed\"}\n").unwrap();
    while fixture.feed.receiver_count() == 0 {
        std::thread::yield_now();
    }
    fixture.feed.send("one".into()).unwrap();
    assert_eq!(
        lines.next().unwrap().unwrap(),
        r#"{"id":0,"ok":true,"result":{"line":"one"},"more":true}"#
    );
    stream.write_all(b"{\"id\":2,\"call\":\"ping\"}\n").unwrap();
    let end: Reply = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(!end.more && end.id == Some(0));
    let pong: Reply = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((pong.id, pong.result), (Some(2), Some(json!("pong"))));
}

#[test]
fn garbage_is_answered_and_too_much_ends_the_conversation() {
    let fixture = fixture();
    let mut stream = fixture.raw();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    for garbage in [&b"\xff\xfe\n"[..], b"\n", b"[]\n", b"{}\n", b"{\"call\":1}\n"] {
        stream.write_all(garbage).unwrap();
        line.clear();
        reader.read_line(&mut line).unwrap();
        let reply: Reply = serde_json::from_str(&line).unwrap();
        assert_eq!((reply.ok, reply.error.unwrap().code.as_str()), (false, "bad_request"));
    }
    let _ = stream.write_all(&vec![b'x'; REQUEST_BYTES_MAX + 2]);
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest); // a reset after the answer is fine too
    if !rest.is_empty() {
        assert!(String::from_utf8_lossy(&rest).contains("request_too_large"));
    }
}

#[test]
fn p58_idle_partial_and_oversized_connections_do_not_stop_ping() {
    let fixture = fixture();
    let mut crowd = Vec::new();
    for number in 0..500 {
        let mut stream = fixture.raw();
        let _ = match number % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"{\"call\":\"pi"),
            _ => stream.set_nonblocking(true).and_then(|()| {
                let sent = stream.write(&vec![b'y'; 2 * REQUEST_BYTES_MAX]);
                sent.map(drop)
            }),
        };
        crowd.push(stream);
        if number % 50 == 0 {
            assert_eq!(fixture.client().call("ping", Map::new()).unwrap(), json!("pong"));
        }
    }
    assert_eq!(fixture.client().call("ping", Map::new()).unwrap(), json!("pong"));
}

#[test]
fn a_connection_waiting_for_lines_outlives_a_crowd() {
    let fixture = fixture();
    let mut stream = fixture.raw();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let _hello = lines.next();
    stream.write_all(b"{\"call\":\"feed\"}\n").unwrap();
    while fixture.feed.receiver_count() == 0 {
        std::thread::yield_now();
    }
    let _crowd: Vec<_> = (0..2 * CONNECTIONS_MAX).map(|_| fixture.raw()).collect();
    fixture.client().call("ping", Map::new()).unwrap();
    fixture.feed.send("still here".into()).unwrap();
    assert!(lines.next().unwrap().unwrap().contains("still here"));
}

#[test]
fn silence_ends_a_conversation() {
    let fixture = fixture();
    let mut stream = fixture.raw();
    stream.write_all(b"{\"call\":").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said.lines().count(), 1, "hello, and the end after {IDLE_SECS_MAX} s");
}

#[test]
fn shutdown_closes_and_removes_the_file() {
    let mut fixture = fixture();
    let mut client = fixture.client();
    fixture.serving.take().unwrap().shutdown();
    assert!(client.wait_closed());
    while fixture.socket.exists() {
        std::thread::yield_now();
    }
    assert!(matches!(Client::connect(&fixture.socket, LIMIT), Err(ConnectError::Absent)));
}

#[test]
fn a_daemon_of_another_protocol_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let daemon = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"{\"mqttd\":\"9.0.0\",\"protocol\":9}\n").unwrap();
    });
    let error = Client::connect(&socket, LIMIT).unwrap_err().to_string();
    assert!(error.contains("9.0.0") && error.contains("protocol 9"), "{error}");
    daemon.join().unwrap();
}

#[test]
fn a_daemon_that_hangs_is_told_from_one_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let soon = Duration::from_millis(50);
    let dialled = Dialled::dial(&socket, soon).unwrap();
    assert_eq!(dialled.pid(), Some(std::process::id()));
    assert!(matches!(dialled.greet(), Err(ConnectError::NoAnswer)));
    drop(listener);
    assert!(matches!(Client::connect(&socket, soon), Err(ConnectError::Dead)));
}

//! What waits for one client.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::base64;
use super::call::{AnswerBy, Argument, Arguments, Call, Completion, Kind, Noun, Pages, Permission};
use super::clients::{absent, pages};
use super::{Admin, Problem};
use crate::broker::{Stage, WaitingView};
use crate::server::Server;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "queue",
    doc: "Messages that wait for a client",
    calls: &[Call {
        name: "queue",
        doc: "List what waits for a client, in the order it gets it",
        examples: &["queue attic-sensor", "queue attic-sensor --limit 10 --payload"],
        arguments: &[
            Argument::required("client_id", Kind::Text, "Client Identifier")
                .completed(Completion::ClientId),
            Argument::option(
                "limit",
                Kind::Number(1, u64::MAX),
                "At most this many [default: all]",
            ),
            Argument::option("payload", Kind::Flag, "The payloads too"),
        ],
        permission: Permission::Read,
        answer: AnswerBy::Pages(list),
    }],
};

/// Messages read from the store at once: each may be large.
const READ_AT_ONCE: usize = 16;

/// One message that waits for a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// `queued`; `sent`: PUBACK or PUBREC has not come; `released`: PUBCOMP has not come.
    pub stage: String,
    /// Packet Identifier, once it was sent.
    pub packet_id: Option<u16>,
    /// The effective QoS.
    pub qos: u8,
    /// The RETAIN flag it goes out with.
    pub retain: bool,
    /// Topic Name; `None` as everything below where the message is not kept: after PUBREL, and once
    /// it was sent to a client whose session ends with the connection.
    pub topic: Option<String>,
    /// Bytes of the payload.
    pub payload_bytes: Option<usize>,
    /// When the broker accepted it, milliseconds since 1970.
    pub accepted_unix_ms: Option<u64>,
    /// When it expires, milliseconds since 1970; `None` for never.
    pub expires_unix_ms: Option<u64>,
    /// The payload, when it was asked for and is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The payload in Base64, when it was asked for and is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
}

impl Waiting {
    fn new(view: &WaitingView, with_payload: bool) -> Self {
        let message = view.message.as_deref();
        let stage = match view.stage {
            Stage::Queued => "queued",
            Stage::Sent => "sent",
            Stage::Released => "released",
        };
        let payload = message.filter(|_| with_payload).map(|message| message.payload());
        let text = payload.map(std::str::from_utf8);
        Self {
            stage: stage.to_owned(),
            packet_id: view.packet_id,
            qos: view.qos as u8,
            retain: view.retain,
            topic: message.map(|message| message.topic().to_owned()),
            payload_bytes: message.map(|message| message.payload().len()),
            accepted_unix_ms: message
                .map(|message| message.accepted_unix_ms())
                .filter(|&unix_ms| unix_ms > 0),
            expires_unix_ms: view.expires_unix_ms,
            payload: text.and_then(Result::ok).map(str::to_owned),
            payload_base64: payload
                .filter(|_| text.is_some_and(|text| text.is_err()))
                .map(base64::encode),
        }
    }
}

fn list(admin: &Admin, arguments: &Arguments) -> Result<Pages, Problem> {
    let client_id = arguments.text("client_id").unwrap_or_default();
    let limit = arguments.number("limit").unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let with_payload = arguments.flag("payload");
    let home = admin.server.home(client_id);
    // One look at the shard, so that what is shown stood there at one moment. Contents that are in
    // memory are shared, not copied; the others are read from the store when their turn comes.
    let Some(waiting) = admin.server.ask(home, |shard, now| shard.waiting(client_id, limit, now))
    else {
        return Err(absent(client_id));
    };
    let (server, mut waiting) = (admin.server.clone(), waiting.into_iter());
    let some = std::iter::from_fn(move || {
        let some: Vec<_> = waiting.by_ref().take(READ_AT_ONCE).collect();
        (!some.is_empty()).then_some(some)
    });
    let rows = some
        .flat_map(move |some| with_contents(&server, some))
        .map(move |view| json!(Waiting::new(&view, with_payload)));
    Ok(pages(rows))
}

/// Puts in what is in the store only. What the client has acknowledged meanwhile is left out.
fn with_contents(server: &Server, mut some: Vec<WaitingView>) -> Vec<WaitingView> {
    let is_parked = |view: &WaitingView| view.message.is_none() && view.mid.is_some();
    let parked = some.iter().filter(|view| is_parked(view));
    let mids: Vec<_> = parked.filter_map(|view| view.mid).collect();
    if mids.is_empty() {
        return some;
    }
    let mut stored = server.stored(&mids).into_iter();
    some.retain_mut(|view| {
        if is_parked(view) {
            view.message = stored.next().flatten().map(|stored| stored.message);
            return view.message.is_some();
        }
        true
    });
    some
}

//! Listeners: where clients connect.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{AnswerBy, Arguments, Call, Noun, Permission};
use super::{Admin, Problem};
use crate::server::ListenerView;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "listeners",
    doc: "Listeners: where clients connect",
    calls: &[Call {
        name: "listeners.list",
        doc: "List listeners with their connections",
        examples: &["listeners"],
        arguments: &[],
        permission: Permission::Read,
        answer: AnswerBy::Value(list),
    }],
};

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Which `[listener.NAME]` it comes from.
    pub name: String,
    /// The address it is bound to, `HOST:PORT`.
    pub address: String,
    /// Connections now.
    pub connections: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections refused since the start, whatever the reason.
    pub refused: u64,
}

impl From<ListenerView> for Listener {
    fn from(view: ListenerView) -> Self {
        Self {
            name: view.name.to_string(),
            address: view.address.to_string(),
            connections: view.connections,
            accepted: view.accepted,
            refused: view.refused,
        }
    }
}

/// The listeners of the server.
pub(super) fn listeners(admin: &Admin) -> Vec<Listener> {
    let views = admin.server.listeners();
    views.into_iter().map(Listener::from).collect()
}

fn list(admin: &Admin, _: &Arguments) -> Result<Value, Problem> {
    Ok(json!(listeners(admin)))
}

//! Subscriptions: who wants what.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::{AnswerBy, Argument, Arguments, Call, Completion, Kind, Noun, Pages, Permission};
use super::clients::{Walk, absent, pages};
use super::{Admin, Problem};
use crate::broker::SubscriptionView;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "subscriptions",
    doc: "Subscriptions: who wants what",
    calls: &[Call {
        name: "subscriptions.list",
        doc: "List subscriptions, of one client or of all",
        examples: &[
            "subscriptions list",
            "subscriptions list attic-sensor",
            "subscriptions list --filter alarms/",
        ],
        arguments: &[
            Argument::optional("client_id", Kind::Text, "Client Identifier [default: all]")
                .completed(Completion::ClientId),
            Argument::option(
                "filter",
                Kind::Text,
                "Only subscriptions whose topic filter contains this text",
            ),
            Argument::option(
                "limit",
                Kind::Number(1, u64::MAX),
                "At most this many [default: all]",
            ),
        ],
        permission: Permission::Read,
        answer: AnswerBy::Pages(list),
    }],
};

/// One subscription, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Who.
    pub client_id: String,
    /// Topic Filter as subscribed, `$share/…` included.
    pub filter: String,
    /// Maximum QoS.
    pub qos: u8,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Retain Handling: 0, 1 or 2.
    pub retain_handling: u8,
    /// Subscription Identifier.
    pub identifier: Option<u32>,
}

impl From<SubscriptionView> for Subscription {
    fn from(view: SubscriptionView) -> Self {
        Self {
            client_id: view.client_id.into(),
            filter: view.filter.into(),
            qos: view.options.qos as u8,
            no_local: view.options.no_local,
            retain_as_published: view.options.retain_as_published,
            retain_handling: view.options.retain_handling as u8,
            identifier: view.identifier,
        }
    }
}

fn list(admin: &Admin, arguments: &Arguments) -> Result<Pages, Problem> {
    let server = admin.server.clone();
    let of_client = move |client_id: &str| {
        let home = server.home(client_id);
        server.ask(home, |shard, _| shard.subscriptions(client_id))
    };
    let rows: Box<dyn Iterator<Item = SubscriptionView> + Send> = match arguments.text("client_id")
    {
        Some(client_id) => {
            let home = admin.server.home(client_id);
            let known = |shard: &mut crate::broker::Shard| shard.client(client_id).is_some();
            if !admin.server.ask(home, |shard, _| known(shard)) {
                return Err(absent(client_id));
            }
            Box::new(of_client(client_id).into_iter())
        }
        None => Box::new(
            Walk::new(&admin.server)
                .filter(|client| client.subscriptions > 0)
                .flat_map(move |client| of_client(&client.client_id)),
        ),
    };
    let filter = arguments.text("filter").unwrap_or_default().to_owned();
    let limit = arguments.number("limit").unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows = rows
        .filter(move |view| view.filter.contains(&filter))
        .take(limit)
        .map(|view| json!(Subscription::from(view)));
    Ok(pages(rows))
}

//! Who wants what: Topic Filter → subscribers, over all shards.

use std::sync::Arc;

use super::SessionId;
use super::groups::{Groups, Left};
use super::journal::Class;
use super::share::{Group, Member, Presence};
use crate::codec::QoS;
use crate::session::{Identifiers, ShareId, Sid, Subscription};
use crate::topic::{TopicFilter, Trie};

/// One subscription as the routes keep it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) session: SessionId,
    /// Its name in the journal, if it outlives its connection.
    pub(super) sid: Option<Sid>,
    pub(super) qos: QoS,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    /// Subscription Identifier, 0 = none.
    pub(super) identifier: u32,
}

#[derive(Debug)]
enum Route {
    Session(Subscriber),
    Shared(ShareId),
}

/// The subscriptions of all sessions.
#[derive(Debug)]
pub(super) struct Routes {
    trie: Trie<Route>,
    groups: Groups,
    subscriptions: usize,
}

/// One session that gets a message, overlapping subscriptions merged.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    pub(super) session: SessionId,
    /// Its name in the journal, if it outlives its connection.
    pub(super) sid: Option<Sid>,
    /// The highest of the subscriptions' `[MQTT-3.3.4-2]`.
    pub(super) qos: QoS,
    pub(super) hears: Hears,
    pub(super) retain_as_published: bool,
    /// Those of all subscriptions that have one `[MQTT-3.3.4-4]`.
    pub(super) identifiers: Identifiers,
}

/// Whose messages a receiver gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hears {
    All,
    /// Not its own: every subscription that matched has No Local, or `Own` stands beside it.
    Others,
    /// Only its own, with the subscriptions that do not have No Local; beside `Others`.
    Own,
}

/// All who get the messages of one Topic Name.
#[derive(Debug, Default)]
pub(super) struct Matched {
    pub(super) receivers: Vec<Receiver>,
    pub(super) groups: Vec<Arc<Group>>,
    /// How long its messages last.
    pub(super) class: Class,
    /// Whether some of them are to outlive their connections.
    pub(super) may_last: bool,
}

impl Subscriber {
    pub(super) fn new(session: SessionId, sid: Option<Sid>, subscription: &Subscription) -> Self {
        let options = subscription.options;
        Self {
            session,
            sid,
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            identifier: subscription.identifier.unwrap_or(0),
        }
    }
}

impl Receiver {
    /// A receiver for a single subscription.
    pub(super) fn of(subscriber: &Subscriber) -> Self {
        let identifier = [subscriber.identifier];
        let known = if subscriber.identifier == 0 { &[][..] } else { &identifier[..] };
        Self {
            session: subscriber.session,
            sid: subscriber.sid,
            qos: subscriber.qos,
            hears: if subscriber.no_local { Hears::Others } else { Hears::All },
            retain_as_published: subscriber.retain_as_published,
            identifiers: Identifiers::new(known),
        }
    }

    /// The receiver for all subscriptions of one session that matched. For the session's own
    /// messages those with No Local do not count; where the others differ, they are a receiver of
    /// their own.
    fn merge(subscribers: &[Subscriber], receivers: &mut Vec<Self>) {
        if let [subscriber] = subscribers {
            return receivers.push(Self::of(subscriber));
        }
        let local: Vec<Subscriber> =
            subscribers.iter().filter(|subscriber| !subscriber.no_local).copied().collect();
        let hears = if local.len() == subscribers.len() { Hears::All } else { Hears::Others };
        receivers.push(Self::merged(subscribers, hears));
        if hears == Hears::Others && !local.is_empty() {
            receivers.push(Self::merged(&local, Hears::Own));
        }
    }

    fn merged(subscribers: &[Subscriber], hears: Hears) -> Self {
        let first = &subscribers[0];
        let identifiers: Vec<u32> = subscribers
            .iter()
            .map(|subscriber| subscriber.identifier)
            .filter(|&identifier| identifier != 0)
            .collect();
        Self {
            session: first.session,
            sid: first.sid,
            qos: subscribers.iter().map(|subscriber| subscriber.qos).max().unwrap_or(first.qos),
            hears,
            retain_as_published: subscribers.iter().any(|one| one.retain_as_published),
            identifiers: Identifiers::new(&identifiers),
        }
    }
}

impl Routes {
    pub(super) fn new(hash_seed: u64) -> Self {
        Self { trie: Trie::with_seed(hash_seed), groups: Groups::default(), subscriptions: 0 }
    }

    /// Number of subscriptions.
    pub(super) const fn len(&self) -> usize {
        self.subscriptions
    }

    pub(super) const fn groups(&self) -> &Groups {
        &self.groups
    }

    /// `known`: the session has this subscription already, which is replaced in one step, so that
    /// no message is missed between `[MQTT-3.8.4-4]` `[MQTT3-3.8.4-3]`. (A new one is not searched for: a hundred
    /// thousand sessions may share a filter.) `presence` is given for a Shared Subscription.
    pub(super) fn subscribe(
        &mut self,
        filter: TopicFilter<'_>,
        subscriber: Subscriber,
        presence: Option<&Arc<Presence>>,
        known: bool,
    ) {
        match (filter.share(), presence) {
            (Some(_), Some(presence)) => {
                let presence = Arc::clone(presence);
                let member = Member { subscriber, presence };
                if let Some(new) = self.groups.join(filter.as_str(), member) {
                    self.trie.values_mut(filter.filter()).push(Route::Shared(new));
                }
            }
            _ if known => replace_session(self.trie.values_mut(filter.filter()), subscriber),
            _ => self.trie.values_mut(filter.filter()).push(Route::Session(subscriber)),
        }
        self.subscriptions += usize::from(!known);
    }

    pub(super) fn unsubscribe(&mut self, filter: TopicFilter<'_>, session: SessionId) {
        let removed = match filter.share() {
            None => self.trie.edit(filter.filter(), |routes| remove_session(routes, session)),
            Some(_) => match self.groups.leave(filter.as_str(), session) {
                Left::NotMember => None,
                Left::Others => Some(true),
                Left::Nobody(id) => self.trie.edit(filter.filter(), |routes| {
                    routes.retain(|route| !matches!(route, Route::Shared(known) if *known == id));
                    true
                }),
            },
        };
        self.subscriptions -= usize::from(removed == Some(true));
    }

    /// Everybody with a filter that matches `topic` `[MQTT-3.3.2-3]` `[MQTT-4.5.0-1]`, each session
    /// once (twice where No Local divides it).
    pub(super) fn find(&self, topic: &str) -> Matched {
        let mut subscribers: Vec<Subscriber> = Vec::new();
        let mut groups = Vec::new();
        self.trie.matches(topic, |routes| {
            for route in routes {
                match route {
                    Route::Session(subscriber) => subscribers.push(*subscriber),
                    Route::Shared(id) => groups.extend(self.groups.by_id(*id).cloned()),
                }
            }
        });
        subscribers.sort_by_key(|subscriber| subscriber.session);
        let same = |a: &Subscriber, b: &Subscriber| a.session == b.session;
        let mut receivers = Vec::new();
        subscribers.chunk_by(same).for_each(|chunk| Receiver::merge(chunk, &mut receivers));
        let may_last = receivers.iter().any(|receiver| receiver.sid.is_some())
            || groups.iter().any(|group: &Arc<Group>| group.may_last());
        Matched { receivers, groups, class: Class::Memory, may_last }
    }
}

fn replace_session(routes: &mut Vec<Route>, subscriber: Subscriber) {
    let known = routes.iter_mut().find(
        |route| matches!(route, Route::Session(known) if known.session == subscriber.session),
    );
    match known {
        Some(route) => *route = Route::Session(subscriber),
        None => routes.push(Route::Session(subscriber)),
    }
}

fn remove_session(routes: &mut Vec<Route>, session: SessionId) -> bool {
    let found = routes
        .iter()
        .position(|route| matches!(route, Route::Session(known) if known.session == session));
    found.map(|position| routes.swap_remove(position)).is_some()
}

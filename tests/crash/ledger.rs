//! What must be true of messages, sessions and subscriptions, from what the clients have sent and
//! been told. It judges only what is certain; what lies between a request and its answer is open.
//!
//! A *stream* is one publisher's messages on one topic with one QoS, numbered from 1. What holds for each
//! session and stream:
//!
//! * a message is **due** when a subscription was acknowledged before it was first sent, none of the
//!   requests since then may have ended it, and its own acknowledgement has come;
//! * first deliveries come in the order of the numbers, and what is due is never overtaken;
//! * what comes again was of QoS 1, and within a connection again only as its publisher may have sent
//!   it again;
//! * what no subscription can have asked for does not come.
//!
//! A Shared Subscription's group is a session of its own, of which the last but order holds.

use std::collections::{BTreeMap, BTreeSet};

/// A session, by its place in the cast.
pub(crate) type Who = usize;

/// One publisher's messages on one topic with one QoS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stream {
    pub(crate) publisher: Who,
    /// The place of the topic in [`Ledger::topics`].
    pub(crate) topic: usize,
    pub(crate) qos: u8,
}

/// What is believed of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    Sure,
    Maybe,
}

/// What is believed of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Exists {
    #[default]
    No,
    Maybe,
    Yes,
}

/// A message on its way to a session.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    must: bool,
    acknowledged: bool,
    since_ms: u64,
    /// It may come behind later ones.
    late: bool,
}

impl Expected {
    const fn due(self) -> bool {
        self.must && self.acknowledged
    }
}

/// A stream as a session hears it.
#[derive(Debug, Default)]
struct Heard {
    expected: BTreeMap<u32, Expected>,
    /// What came, and whether with QoS 2.
    came: BTreeMap<u32, bool>,
    /// What did not come before a later one did, and whether it had to.
    skipped: BTreeMap<u32, bool>,
    /// The last number of this connection.
    last_here: u32,
}

#[derive(Debug, Default)]
struct Session {
    name: String,
    exists: Exists,
    connected: bool,
    /// Shortest and longest expiry it may have.
    expiry_secs: (u32, u32),
    asked: Option<Asked>,
    /// When its connection ended, at the earliest and latest.
    lost_ms: (u64, u64),
    subscriptions: BTreeMap<String, Belief>,
    heard: BTreeMap<Stream, Heard>,
}

/// A CONNECT without answer.
#[derive(Clone, Copy, Debug)]
struct Asked {
    clean_start: bool,
    expiry_secs: u32,
    present: Option<bool>,
}

/// A Shared Subscription.
#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<Who, Belief>,
    expected: BTreeMap<(Stream, u32), Expected>,
    /// What came, and whether with QoS 2.
    came: BTreeMap<(Stream, u32), bool>,
}

/// A stream as it is sent.
#[derive(Debug, Default)]
struct Flow {
    last: u32,
    /// Without acknowledgement.
    open: BTreeSet<u32>,
    /// Of those: given up by the publisher, and perhaps still under way.
    abandoned: BTreeSet<u32>,
    /// Sent more than once by the publisher.
    again: BTreeSet<u32>,
}

/// How many of what were judged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: u64,
    /// PUBACK and first PUBREC.
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) delivered: u64,
    pub(crate) repeated: u64,
    pub(crate) resumed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) topics: Vec<String>,
    sessions: Vec<Session>,
    groups: BTreeMap<String, Group>,
    flows: BTreeMap<Stream, Flow>,
    crashed_ms: Option<u64>,
    now_ms: u64,
    /// Everything that is not as it must be.
    pub(crate) findings: Vec<String>,
    pub(crate) tally: Tally,
}

/// How far clocks may be apart.
const SLACK_MS: u64 = 3000;

/// Whether a filter without `$share` matches a topic.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// The filter inside `$share/NAME/FILTER`.
fn shared(filter: &str) -> Option<&str> {
    filter.strip_prefix("$share/")?.split_once('/').map(|(_, filter)| filter)
}

impl Session {
    fn belief(&self, topic: &str) -> Option<Belief> {
        let mut belief = None;
        for (filter, is) in &self.subscriptions {
            if matches(filter, topic) {
                if *is == Belief::Sure {
                    return Some(Belief::Sure);
                }
                belief = Some(Belief::Maybe);
            }
        }
        belief
    }

    /// Nothing on a topic that no sure subscription matches must come any more.
    fn release(&mut self, topics: &[String]) {
        let subscriptions = &self.subscriptions;
        let sure = |topic: &str| {
            subscriptions.iter().any(|(filter, is)| *is == Belief::Sure && matches(filter, topic))
        };
        for (stream, heard) in &mut self.heard {
            if !sure(&topics[stream.topic]) {
                heard.expected.values_mut().for_each(|expected| expected.must = false);
            }
        }
    }

    fn end(&mut self) {
        self.exists = Exists::No;
        self.subscriptions.clear();
        self.heard.clear();
    }
}

impl Ledger {
    pub(crate) fn new(topics: &[&str], sessions: &[&str]) -> Self {
        let named = |name: &&str| Session { name: (*name).into(), ..Session::default() };
        Self {
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            sessions: sessions.iter().map(named).collect(),
            ..Self::default()
        }
    }

    pub(crate) const fn at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    pub(crate) fn find(&mut self, who: Who, what: &str) {
        let line = format!("{} ms, {}: {what}", self.now_ms, self.sessions[who].name);
        self.findings.push(line);
    }

    fn described(&self, stream: Stream, number: u32) -> String {
        let publisher = &self.sessions[stream.publisher].name;
        format!("{publisher}'s {number} on {} (QoS {})", self.topics[stream.topic], stream.qos)
    }

    // ---- sessions

    /// What a CONNACK must say of the session that is there.
    fn foretold(&self, who: Who) -> Option<bool> {
        let session = &self.sessions[who];
        let (least_secs, most_secs) = session.expiry_secs;
        let end = |from_ms: u64, secs: u32| {
            if secs == u32::MAX { u64::MAX } else { from_ms + u64::from(secs) * 1000 }
        };
        match session.exists {
            Exists::No => Some(false),
            _ if self.now_ms > end(session.lost_ms.1, most_secs).saturating_add(SLACK_MS) => {
                Some(false)
            }
            Exists::Maybe => None,
            Exists::Yes if session.connected => Some(true),
            Exists::Yes => {
                (self.now_ms + SLACK_MS < end(session.lost_ms.0, least_secs)).then_some(true)
            }
        }
    }

    /// CONNECT goes out; `expiry_secs` is 0 for a session that ends with its connection.
    pub(crate) fn connect_sent(&mut self, who: Who, clean_start: bool, expiry_secs: u32) {
        let foretold = self.foretold(who);
        let session = &mut self.sessions[who];
        let present = if clean_start { Some(false) } else { foretold };
        session.asked = Some(Asked { clean_start, expiry_secs, present });
        if clean_start || foretold != Some(true) {
            session.exists = Exists::Maybe;
            session.subscriptions.values_mut().for_each(|is| *is = Belief::Maybe);
            session.release(&self.topics);
            self.groups.values_mut().for_each(|group| group.doubt(who));
        }
        let (least, most) = session.expiry_secs;
        session.expiry_secs = (least.min(expiry_secs), most.max(expiry_secs));
    }

    /// CONNACK came and accepts. Whether the client has to forget its session.
    pub(crate) fn connected(&mut self, who: Who, present: bool) -> bool {
        let Some(asked) = self.sessions[who].asked.take() else {
            self.find(who, "CONNACK without CONNECT");
            return !present;
        };
        match asked.present {
            Some(true) if !present => self.find(who, "the acknowledged session is gone"),
            Some(false) if present && asked.clean_start => {
                self.find(who, "a session is present in spite of Clean Start");
            }
            Some(false) if present => self.find(who, "a session is present that has ended"),
            Some(true) => self.tally.resumed += 1,
            _ => {}
        }
        let session = &mut self.sessions[who];
        if !present {
            session.end();
            self.groups.values_mut().for_each(|group| group.leave(who));
        }
        session.exists = Exists::Yes;
        session.connected = true;
        session.expiry_secs = (asked.expiry_secs, asked.expiry_secs);
        session.heard.values_mut().for_each(|heard| heard.last_here = 0);
        !present
    }

    /// The connection is over.
    pub(crate) fn lost(&mut self, who: Who) {
        let session = &mut self.sessions[who];
        if session.asked.take().is_some() {
            // Whether CONNECT arrived, and began the time anew, is open.
            session.lost_ms.1 = self.now_ms;
        } else {
            session.lost_ms = (self.now_ms, self.now_ms);
        }
        session.connected = false;
        if session.expiry_secs.1 == 0 {
            session.end();
            self.groups.values_mut().for_each(|group| group.leave(who));
        }
    }

    /// The broker was killed; after [`Self::lost`] of all that were connected.
    pub(crate) fn crashed(&mut self) {
        self.crashed_ms = self.crashed_ms.or(Some(self.now_ms));
        for flow in self.flows.values_mut() {
            let abandoned = std::mem::take(&mut flow.abandoned);
            flow.open.retain(|number| !abandoned.contains(number));
        }
    }

    /// The broker serves again: it may have noticed only now who was lost just before.
    pub(crate) fn restarted(&mut self) {
        let Some(crashed_ms) = self.crashed_ms.take() else { return };
        for session in &mut self.sessions {
            if session.lost_ms.1 + SLACK_MS > crashed_ms {
                session.lost_ms.1 = self.now_ms;
            }
        }
    }

    // ---- subscriptions

    pub(crate) fn subscribe_sent(&mut self, who: Who, filter: &str) {
        if shared(filter).is_some() {
            let group = self.groups.entry(filter.to_owned()).or_default();
            group.members.entry(who).or_insert(Belief::Maybe);
            return;
        }
        let session = &mut self.sessions[who];
        session.subscriptions.entry(filter.to_owned()).or_insert(Belief::Maybe);
        for (stream, flow) in &self.flows {
            if !matches(filter, &self.topics[stream.topic]) || flow.open.is_empty() {
                continue;
            }
            let heard = session.heard.entry(*stream).or_default();
            let since_ms = self.now_ms;
            for number in flow.open.iter().filter(|number| !heard.came.contains_key(number)) {
                let new = Expected { since_ms, ..Expected::default() };
                heard.expected.entry(*number).or_insert(new);
            }
        }
    }

    /// SUBACK came for the only request about this filter.
    pub(crate) fn subscribed(&mut self, who: Who, filter: &str) {
        if shared(filter).is_some() {
            let group = self.groups.entry(filter.to_owned()).or_default();
            group.members.insert(who, Belief::Sure);
        } else {
            self.sessions[who].subscriptions.insert(filter.to_owned(), Belief::Sure);
        }
    }

    pub(crate) fn unsubscribe_sent(&mut self, who: Who, filter: &str) {
        let session = &mut self.sessions[who];
        if let Some(is) = session.subscriptions.get_mut(filter) {
            *is = Belief::Maybe;
        }
        session.release(&self.topics);
    }

    /// UNSUBACK came.
    pub(crate) fn unsubscribed(&mut self, who: Who, filter: &str) {
        self.sessions[who].subscriptions.remove(filter);
    }

    pub(crate) fn is_subscribed(&self, who: Who, filter: &str) -> bool {
        if let Some(group) = self.groups.get(filter) {
            return group.members.get(&who) == Some(&Belief::Sure);
        }
        self.sessions[who].subscriptions.get(filter) == Some(&Belief::Sure)
    }

    // ---- messages out

    /// A new message goes out: its number.
    pub(crate) fn publish_sent(&mut self, stream: Stream) -> u32 {
        let flow = self.flows.entry(stream).or_default();
        flow.last += 1;
        let number = flow.last;
        flow.open.insert(number);
        let topic = &self.topics[stream.topic];
        let since_ms = self.now_ms;
        for session in &mut self.sessions {
            if let Some(belief) = session.belief(topic) {
                let heard = session.heard.entry(stream).or_default();
                let must = belief == Belief::Sure;
                heard.expected.insert(number, Expected { must, since_ms, ..Expected::default() });
            }
        }
        for (filter, group) in &mut self.groups {
            if shared(filter).is_some_and(|filter| matches(filter, topic)) {
                let must = group.members.values().any(|is| *is == Belief::Sure);
                let new = Expected { must, since_ms, ..Expected::default() };
                group.expected.insert((stream, number), new);
            }
        }
        number
    }

    /// It goes out again, in a new connection.
    pub(crate) fn sent_again(&mut self, stream: Stream, number: u32) {
        self.flows.entry(stream).or_default().again.insert(number);
    }

    /// It is acknowledged: the broker has it for ever.
    pub(crate) fn acknowledged(&mut self, stream: Stream, number: u32) {
        let flow = self.flows.entry(stream).or_default();
        if !flow.open.remove(&number) {
            return;
        }
        self.tally.acknowledged += 1;
        let mut overtaken = Vec::new();
        for (who, session) in self.sessions.iter_mut().enumerate() {
            let Some(heard) = session.heard.get_mut(&stream) else { continue };
            if let Some(expected) = heard.expected.get_mut(&number) {
                expected.acknowledged = true;
            } else if heard.skipped.get(&number) == Some(&true) {
                overtaken.push(who);
            }
        }
        for who in overtaken {
            let what =
                format!("{} is acknowledged, and was overtaken", self.described(stream, number));
            self.find(who, &what);
        }
        for group in self.groups.values_mut() {
            if let Some(expected) = group.expected.get_mut(&(stream, number)) {
                expected.acknowledged = true;
            }
        }
    }

    /// The publisher will not send it again, and never learns what became of it.
    pub(crate) fn abandoned(&mut self, stream: Stream, number: u32) {
        let flow = self.flows.entry(stream).or_default();
        if flow.open.contains(&number) {
            flow.abandoned.insert(number);
        }
        self.doubt(stream, number);
    }

    /// The broker refused it.
    pub(crate) fn refused(&mut self, stream: Stream, number: u32) {
        self.tally.refused += 1;
        self.withdrawn(stream, number);
    }

    /// The broker may have refused it, and its publisher has not heard so: when it sends it again,
    /// others that it sent later were first.
    pub(crate) fn perhaps_refused(&mut self, stream: Stream, number: u32) {
        for session in &mut self.sessions {
            let Some(heard) = session.heard.get_mut(&stream) else { continue };
            if let Some(must) = heard.skipped.remove(&number) {
                let since_ms = self.now_ms;
                let expected = Expected { must, since_ms, ..Expected::default() };
                heard.expected.insert(number, expected);
            }
            if let Some(expected) = heard.expected.get_mut(&number) {
                expected.late = true;
            }
        }
    }

    /// It is not judged, or must not come.
    pub(crate) fn withdrawn(&mut self, stream: Stream, number: u32) {
        self.flows.entry(stream).or_default().open.remove(&number);
        for session in &mut self.sessions {
            if let Some(heard) = session.heard.get_mut(&stream) {
                heard.expected.remove(&number);
            }
        }
        for group in self.groups.values_mut() {
            group.expected.remove(&(stream, number));
        }
    }

    fn doubt(&mut self, stream: Stream, number: u32) {
        for session in &mut self.sessions {
            let heard = session.heard.get_mut(&stream);
            let Some(heard) = heard else { continue };
            if let Some(expected) = heard.expected.get_mut(&number) {
                expected.must = false;
            } else if let Some(must) = heard.skipped.get_mut(&number) {
                *must = false;
            }
        }
        for group in self.groups.values_mut() {
            if let Some(expected) = group.expected.get_mut(&(stream, number)) {
                expected.must = false;
            }
        }
    }

    // ---- messages in

    /// A message came, which the client had not already under the same Packet Identifier.
    pub(crate) fn delivered(&mut self, who: Who, stream: Stream, number: u32, qos: u8) {
        self.tally.delivered += 1;
        if qos > stream.qos {
            let what = format!("{} came with QoS {qos}", self.described(stream, number));
            self.find(who, &what);
        }
        let topic = &self.topics[stream.topic];
        let group = self.groups.iter_mut().find(|(filter, group)| {
            group.members.contains_key(&who)
                && shared(filter).is_some_and(|filter| matches(filter, topic))
        });
        let verdict = if let Some((_, group)) = group {
            group.hear(stream, number, qos)
        } else {
            let heard = self.sessions[who].heard.entry(stream).or_default();
            let once = self.flows.get(&stream).is_some_and(|flow| !flow.again.contains(&number));
            heard.hear(number, qos, once)
        };
        match verdict {
            Verdict::Fine => {}
            Verdict::Repeated => self.tally.repeated += 1,
            Verdict::Overtook(numbers) => {
                for missing in numbers {
                    let missing = self.described(stream, missing);
                    self.find(who, &format!("{missing} is lost, or overtaken by {number}"));
                }
            }
            Verdict::Wrong(why) => {
                let what = format!("{} {why}", self.described(stream, number));
                self.find(who, &what);
            }
        }
    }

    // ---- the end

    /// Messages that are due and have not come.
    pub(crate) fn outstanding(&self) -> usize {
        let heard = self.sessions.iter().flat_map(|session| session.heard.values());
        let due = heard.flat_map(|heard| heard.expected.values()).filter(|is| is.due()).count();
        let groups = self.groups.values().flat_map(|group| group.expected.values());
        due + groups.filter(|is| is.due()).count()
    }

    /// All had the time to come: what is due now is lost.
    pub(crate) fn settle(&mut self) {
        let mut lost = Vec::new();
        for (who, session) in self.sessions.iter().enumerate() {
            for (stream, heard) in &session.heard {
                let due = heard.expected.iter().filter(|(_, is)| is.due());
                lost.extend(due.map(|(number, is)| (who, *stream, *number, *is)));
            }
        }
        for (who, stream, number, is) in lost {
            let what =
                format!("{}, sent at {} ms, is lost", self.described(stream, number), is.since_ms);
            self.find(who, &what);
            let heard = self.sessions[who].heard.entry(stream).or_default();
            heard.expected.remove(&number);
        }
        let mut lost = Vec::new();
        for (filter, group) in &mut self.groups {
            group.expected.retain(|(stream, number), is| {
                if is.due() {
                    lost.push((filter.clone(), *stream, *number));
                }
                self.flows.get(stream).is_some_and(|flow| flow.open.contains(number))
            });
        }
        for (filter, stream, number) in lost {
            let what = format!("{filter}: {} is lost", self.described(stream, number));
            self.findings.push(what);
        }
    }
}

impl Group {
    fn leave(&mut self, who: Who) {
        self.members.remove(&who);
    }

    fn doubt(&mut self, who: Who) {
        if let Some(is) = self.members.get_mut(&who) {
            *is = Belief::Maybe;
        }
    }

    fn hear(&mut self, stream: Stream, number: u32, qos: u8) -> Verdict {
        self.expected.remove(&(stream, number));
        let exactly = self.came.entry((stream, number)).or_insert(false);
        let twice = qos == 2 && *exactly;
        *exactly |= qos == 2;
        if twice { Verdict::Wrong("of QoS 2 came twice to one group") } else { Verdict::Fine }
    }
}

enum Verdict {
    Fine,
    Repeated,
    Overtook(Vec<u32>),
    Wrong(&'static str),
}

impl Heard {
    /// `once`: its publisher has sent it once.
    fn hear(&mut self, number: u32, qos: u8, once: bool) -> Verdict {
        let backwards = once && number <= self.last_here;
        let again = number == self.last_here;
        self.last_here = self.last_here.max(number);
        let before = self.came.get(&number).copied();
        self.came.insert(number, qos == 2 || before == Some(true));
        if before.is_none() {
            if self.expected.remove(&number).is_none() {
                let skipped = self.skipped.remove(&number);
                if skipped == Some(false) && !once {
                    // Sent again by its publisher: now the subscription is there.
                    return Verdict::Fine;
                }
                let late = skipped.is_some();
                return Verdict::Wrong(if late {
                    "came late: a later one had come before"
                } else {
                    "came, and nothing had asked for it"
                });
            }
            let overtaken = self.skip(number);
            if !overtaken.is_empty() {
                return Verdict::Overtook(overtaken);
            }
        } else if qos == 2 && before == Some(true) {
            return Verdict::Wrong("of QoS 2 came twice");
        }
        if backwards && again {
            return Verdict::Wrong("came twice in one connection");
        } else if backwards {
            return Verdict::Wrong("was sent again out of order");
        }
        if before.is_none() { Verdict::Fine } else { Verdict::Repeated }
    }

    /// What should have come before this one: says what of it is due.
    fn skip(&mut self, number: u32) -> Vec<u32> {
        let smaller: Vec<u32> = self.expected.range(..number).map(|(number, _)| *number).collect();
        let mut overtaken = Vec::new();
        for number in smaller {
            let is = self.expected[&number];
            if is.late {
                continue;
            }
            // An unacknowledged one that need not come may be sent again by its publisher.
            if is.must || is.acknowledged {
                self.expected.remove(&number);
                self.skipped.insert(number, is.must);
            }
            if is.due() {
                overtaken.push(number);
            }
        }
        overtaken
    }
}

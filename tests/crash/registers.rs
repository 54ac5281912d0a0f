//! Retained messages as registers: which values a topic may have, from what was written and read.
//!
//! A write takes from its first sending to its acknowledgement; one that is never acknowledged may
//! have happened or not. A value may be read unless another acknowledged write began after it was over,
//! and was over itself before the reading began. What was read once is there from then on.

use std::collections::BTreeMap;

/// What is retained: whose message, with which number and QoS, or none.
pub(crate) type Value = Option<(usize, u32, u8)>;

#[derive(Clone, Copy, Debug)]
struct Write {
    name: u64,
    value: Value,
    began: u64,
    /// When it was over; open as long as it may still happen.
    ended: Option<u64>,
    acknowledged: bool,
}

/// All retained topics.
#[derive(Debug)]
pub(crate) struct Registers {
    topics: BTreeMap<String, Vec<Write>>,
    /// Counts everything that happens.
    moment: u64,
}

impl Registers {
    pub(crate) fn new(topics: impl Iterator<Item = String>) -> Self {
        let none = Write { name: 0, value: None, began: 0, ended: Some(0), acknowledged: true };
        Self { topics: topics.map(|topic| (topic, vec![none])).collect(), moment: 0 }
    }

    /// Counts on: what was before is before, what comes is after.
    pub(crate) const fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// A write goes out: its name.
    pub(crate) fn began(&mut self, topic: &str, value: Value) -> u64 {
        let name = self.tick();
        if let Some(writes) = self.topics.get_mut(topic) {
            writes.push(Write { name, value, began: name, ended: None, acknowledged: false });
        }
        name
    }

    /// It is over: acknowledged, or given up (`acknowledged` is false) and no longer under way.
    pub(crate) fn ended(&mut self, topic: &str, name: u64, acknowledged: bool) {
        let moment = self.tick();
        let writes = self.topics.get_mut(topic).into_iter().flatten();
        for write in writes.filter(|write| write.name == name && write.ended.is_none()) {
            write.ended = Some(moment);
            write.acknowledged = acknowledged;
        }
    }

    /// The topics that must be read as set.
    pub(crate) fn set(&self) -> usize {
        let moment = self.moment;
        let may_be_none = |writes: &Vec<Write>| {
            writes.iter().any(|write| write.value.is_none() && possible(writes, write, moment))
        };
        self.topics.values().filter(|writes| !may_be_none(writes)).count()
    }

    /// A reader that asked at moment `asked` was told this of all topics: what cannot be.
    pub(crate) fn read(&mut self, asked: u64, told: &BTreeMap<String, Value>) -> Vec<String> {
        let mut findings = Vec::new();
        for topic in told.keys().filter(|topic| !self.topics.contains_key(*topic)) {
            findings.push(format!("{topic} is retained, which nobody did"));
        }
        for (topic, writes) in &mut self.topics {
            let value = told.get(topic).copied().flatten();
            let read = writes
                .iter()
                .rev()
                .find(|write| write.value == value && possible(writes, write, asked))
                .copied();
            if let Some(read) = read {
                // What may have happened since the reader asked stays.
                let later = |write: &Write| write.ended.is_none_or(|ended| ended > asked);
                writes.retain(|write| write.name == read.name || later(write));
                for write in writes.iter_mut().filter(|write| write.name == read.name) {
                    write.acknowledged |= write.ended.is_some();
                }
            } else {
                let may = writes.iter().filter(|write| possible(writes, write, asked));
                let may: Vec<Value> = may.map(|write| write.value).collect();
                findings.push(format!("{topic} has {value:?}, which must be one of {may:?}"));
                writes.retain(|write| write.ended.is_none());
                let ended = Some(self.moment);
                writes.push(Write { name: 0, value, began: 0, ended, acknowledged: true });
            }
        }
        findings
    }
}

fn possible(writes: &[Write], write: &Write, asked: u64) -> bool {
    let Some(over) = write.ended else { return true };
    let replaced = |other: &Write| {
        other.acknowledged && other.began > over && other.ended.is_some_and(|ended| ended < asked)
    };
    !writes.iter().any(replaced)
}

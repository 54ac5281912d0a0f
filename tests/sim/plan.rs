//! What a seed means: how many shards and clients, which limits, how long.

use std::collections::BTreeMap;

use mqttd::broker::{Class, Durability, Limits, QueueFull, SharedChoice};
use mqttd::codec::Version;

use crate::chance::Chance;
use crate::honest::{Habits, Heard};
pub(crate) use crate::schedule::Plan;

const VERSIONS: &[Version] =
    &[Version::V31, Version::V311, Version::V311, Version::V5, Version::V5];

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        // The schedule draws from the seed itself.
        let mut chance = Chance::new(seed ^ 0x7065_6f70_6c65);
        let tight = chance.once_in(6);
        let mut clients: Vec<Habits> =
            (0..3 + chance.below(4)).map(|_| habits(&mut chance, true, tight)).collect();
        let mut limits = if tight { tight_limits(&mut chance) } else { wide_limits(&mut chance) };
        let busy = !tight && chance.once_in(8);
        if busy {
            limits.receive_maximum = u16::MAX;
            clients.iter_mut().for_each(|habits| habits.busy = true);
        }
        if chance.once_in(4) {
            limits.session_expiry_secs_max = u32::MAX;
        }
        if chance.once_in(3) {
            let default = chance.pick(&[Class::Disk, Class::Disk, Class::Os, Class::Memory]);
            let exceptions = [("t/b", Class::Os), ("$x/#", Class::Memory), ("w/+", Class::Disk)];
            limits.durability = Durability::new(default, exceptions);
        }
        Self {
            seed,
            shards: chance.pick(&[1, 2, 4]),
            limits,
            busy,
            tight,
            clients,
            crooks: chance.below(4),
            steps: if busy { 600 } else { 1500 },
            keeps: !chance.once_in(6),
            calm: false,
        }
    }

    /// A plan without races: the same script of clients for any number of shards.
    pub(crate) fn calm(seed: u64, shards: u16) -> Self {
        let mut chance = Chance::new(seed ^ 0x7065_6f70_6c65);
        let clients = (0..5).map(|_| habits(&mut chance, false, false)).collect();
        let (limits, steps) = (wide_limits(&mut chance), 1000);
        Self {
            seed,
            shards,
            limits,
            tight: false,
            clients,
            busy: false,
            crooks: 0,
            steps,
            keeps: true,
            calm: true,
        }
    }
}

fn habits(chance: &mut Chance, wild: bool, tight: bool) -> Habits {
    let version = chance.pick(VERSIONS);
    let persistent = !chance.once_in(4);
    Habits {
        version,
        persistent,
        anonymous: wild && !persistent && version != Version::V31 && chance.once_in(3),
        shares: wild && chance.once_in(2),
        small: wild && version == Version::V5,
        timed: wild,
        retains_exactly: version != Version::V5 || !tight,
        busy: false,
    }
}

/// Limits that nobody meets.
pub(crate) fn wide_limits(chance: &mut Chance) -> Limits {
    Limits {
        packet_bytes_max: 64 * 1024,
        receive_maximum: chance.pick(&[5, 50, u16::MAX]),
        topic_alias_maximum: chance.pick(&[0, 2, 10]),
        assigned_aliases_max: chance.pick(&[0, 2, 100]),
        keep_alive_secs_max: u16::MAX,
        topic_levels_max: 128,
        checks_payload_format: chance.once_in(2),
        subscriptions_max: 1000,
        inflight_max: chance.pick(&[1, 4, 100]),
        queue_messages_max: 1_000_000,
        queue_bytes_max: 1 << 30,
        queue_full: QueueFull::DropNewest,
        store_queue_bytes_max: u64::MAX,
        session_expiry_secs_max: 600,
        outbox_bytes_max: chance.pick(&[100, 2000, 256 * 1024]),
        retained_messages_max: 1000,
        sessions_max: 1000,
        memory_bytes_max: 1 << 32,
        durability: Durability::default(),
        shared_choice: chance.pick(&[
            SharedChoice::LeastBacklog,
            SharedChoice::RoundRobin,
            SharedChoice::Sticky,
            SharedChoice::HashPublisher,
        ]),
    }
}

/// Limits that everybody meets.
fn tight_limits(chance: &mut Chance) -> Limits {
    Limits {
        subscriptions_max: 5,
        queue_messages_max: chance.pick(&[1, 5, 20]),
        queue_full: chance.pick(&[QueueFull::DropNewest, QueueFull::DropOldest]),
        queue_bytes_max: chance.pick(&[1000, 10_000]),
        retained_messages_max: chance.pick(&[2, 1000]),
        memory_bytes_max: chance.pick(&[4000, 50_000, 1 << 32]),
        ..wide_limits(chance)
    }
}

/// What a client heard, by publisher and topic: in order, repetitions of QoS 1 left out.
pub(crate) fn by_publisher(heard: &[Heard]) -> BTreeMap<(String, String), Vec<Heard>> {
    let mut all: BTreeMap<_, Vec<Heard>> = BTreeMap::new();
    for one in heard {
        let text = String::from_utf8_lossy(&one.payload);
        let words: Vec<&str> = text.split(' ').collect();
        let from = words[..words.len() - 1].join(" ");
        all.entry((from, one.topic.clone())).or_default().push(one.clone());
    }
    all
}

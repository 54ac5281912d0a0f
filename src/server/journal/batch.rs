//! Records that wait to be written, in the order in which their shards left them.

use std::collections::BTreeMap;

use crate::broker::{Class, Mid, Record, Records};

/// What shards left, one [`Records`] a visit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    records: Vec<Records>,
    /// Where each of `records` comes from, and what it weighs.
    origins: Vec<Origin>,
    bytes: u64,
    urgent: Option<Class>,
}

#[derive(Clone, Copy, Debug)]
struct Origin {
    shard: u16,
    bytes: u64,
}

/// A piece of a batch that is written.
#[derive(Debug)]
pub(super) struct Kept {
    /// Whose.
    pub(super) shard: u16,
    /// Bytes that it held.
    pub(super) bytes: u64,
    /// Its records.
    pub(super) records: Records,
}

impl Batch {
    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What somebody waits for.
    pub(super) const fn urgent(&self) -> Option<Class> {
        self.urgent
    }

    /// What the store takes.
    pub(super) fn records(&self) -> &[Records] {
        &self.records
    }

    /// Number of records.
    pub(super) fn len(&self) -> usize {
        self.records.iter().map(Records::len).sum()
    }

    /// What a shard left behind the rest; returns the bytes it adds.
    pub(super) fn push(&mut self, shard: u16, records: Records) -> u64 {
        let bytes = records.weight() as u64;
        self.bytes += bytes;
        self.urgent = self.urgent.max(records.urgent());
        self.origins.push(Origin { shard, bytes });
        self.records.push(records);
        bytes
    }

    /// Moves all of `other` behind the rest.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.records.append(&mut other.records);
        self.origins.append(&mut other.origins);
        self.bytes += std::mem::take(&mut other.bytes);
        self.urgent = self.urgent.max(other.urgent.take());
    }

    /// How many pieces from the front weigh `bytes_max` at most, one at least.
    pub(super) fn pieces_within(&self, bytes_max: u64) -> usize {
        let mut sum = 0;
        let fits = self.origins.iter().take_while(|origin| {
            sum += origin.bytes;
            sum <= bytes_max
        });
        fits.count().max(1).min(self.origins.len())
    }

    /// Takes so many pieces off the front.
    pub(super) fn take_front(&mut self, pieces: usize) -> impl Iterator<Item = Kept> + '_ {
        let taken: u64 = self.origins[..pieces].iter().map(|origin| origin.bytes).sum();
        self.bytes -= taken;
        self.urgent = self.records[pieces..].iter().filter_map(Records::urgent).max();
        let origins = self.origins.drain(..pieces);
        origins.zip(self.records.drain(..pieces)).map(|(Origin { shard, bytes }, records)| Kept {
            shard,
            bytes,
            records,
        })
    }

    /// Envelope and body of the messages of `wanted`, which is in order.
    pub(super) fn find(&self, wanted: &[Mid]) -> BTreeMap<Mid, (&[u8], &[u8])> {
        let mut found = BTreeMap::new();
        // Mostly what is wanted was written long ago, and none of the many pieces is looked through.
        let may_hold = |piece: &&Records| {
            piece.messages().is_some_and(|(lowest, highest)| {
                let at = wanted.partition_point(|mid| *mid < lowest);
                wanted.get(at).is_some_and(|mid| *mid <= highest)
            })
        };
        for record in self.records.iter().filter(may_hold).flat_map(Records::iter) {
            if let Record::Message { mid, envelope, body, .. } = record
                && wanted.binary_search(&mid).is_ok()
            {
                found.insert(mid, (envelope, body));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Accepted;
    use crate::codec::{Properties, QoS};
    use crate::session::Content;

    fn name(mid: u64) -> Mid {
        Mid::new(mid).unwrap()
    }

    fn done(count: u64) -> Records {
        let mut records = Records::default();
        (1..=count).for_each(|mid| records.done(name(mid)));
        records
    }

    fn message(records: &mut Records, mid: u64) {
        let properties = Properties::EMPTY;
        let accepted = Accepted {
            mid: name(mid),
            content: Content { topic: "t", properties, payload: b"7", expires_ms: None },
            qos: QoS::AtLeastOnce,
            retain: false,
            retained: false,
            unix_ms: 1,
            unix_less_ticks_ms: 0,
        };
        records.message(&accepted, std::iter::empty(), Class::Os);
    }

    #[test]
    fn the_front_goes_first_and_the_sums_stay_right() {
        let mut batch = Batch::default();
        for (shard, count) in [(0, 1), (1, 2), (0, 3)] {
            batch.push(shard, done(count));
        }
        let mut ended = Records::default();
        ended.session_ended(Mid::MIN);
        let mut more = Batch::default();
        more.push(2, ended);
        batch.append(&mut more);
        assert!(more.is_empty() && more.bytes == 0 && more.urgent().is_none());
        assert_eq!((batch.len(), batch.urgent()), (7, Some(Class::Disk)));
        let one = batch.bytes / 7;
        assert_eq!(batch.pieces_within(0), 1);
        assert_eq!(batch.pieces_within(3 * one), 2);
        assert_eq!(batch.pieces_within(u64::MAX), 4);
        let kept: Vec<_> =
            batch.take_front(3).map(|kept| (kept.shard, kept.records.len())).collect();
        assert_eq!(kept, [(0, 1), (1, 2), (0, 3)]);
        assert_eq!((batch.len(), batch.bytes), (1, one));
        batch.take_front(1).for_each(drop);
        assert_eq!((batch.is_empty(), batch.bytes, batch.urgent()), (true, 0, None));
    }

    #[test]
    fn what_is_wanted_is_found_between_and_beside_what_is_not() {
        let mut batch = Batch::default();
        for mids in [&[10, 30][..], &[], &[20]] {
            let mut records = done(2);
            mids.iter().for_each(|mid| message(&mut records, *mid));
            batch.push(0, records);
        }
        let found = |wanted: &[u64]| {
            let wanted: Vec<_> = wanted.iter().copied().map(name).collect();
            batch.find(&wanted).into_keys().map(Mid::get).collect::<Vec<_>>()
        };
        assert_eq!(found(&[1, 10, 20, 30, 40]), [10, 20, 30]);
        assert_eq!(found(&[25, 30]), [30]);
        for none in [&[][..], &[1, 2], &[9, 11], &[15, 25], &[31]] {
            assert!(found(none).is_empty(), "{none:?}");
        }
        let mut spare = Records::default();
        message(&mut spare, 50);
        spare.clear();
        assert_eq!(spare.messages(), None);
    }
}

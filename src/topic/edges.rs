//! A hash table from (parent, level) to child: 8 bytes an entry, without keys.
//!
//! [`super::nodes`] makes the tags (hashes) and knows how to tell whether a child is the one
//! looked for. Entries are never iterated, so no order shows. Linear probing; what is removed
//! leaves no marker behind, the entries after it move up.

/// An entry; child 0 (the root, nobody's child) marks a free one.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    tag: u32,
    child: u32,
}

impl Entry {
    const fn is_free(self) -> bool {
        self.child == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct Edges {
    /// A power of two of them, at most three quarters in use; none at first.
    entries: Vec<Entry>,
    len: usize,
}

const ENTRIES_MIN: usize = 16;

impl Edges {
    #[cfg(test)]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The child with this tag that `is_it`.
    #[inline]
    pub(super) fn find(&self, tag: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut place = self.home(tag);
        loop {
            let entry = self.entries.get(place)?;
            if entry.is_free() {
                return None;
            }
            if entry.tag == tag && is_it(entry.child) {
                return Some(entry.child);
            }
            place = self.after(place);
        }
    }

    /// Adds an entry that is not there.
    pub(super) fn insert(&mut self, tag: u32, child: u32) {
        if (self.len + 1) * 4 > self.entries.len() * 3 {
            self.resize((self.entries.len() * 2).max(ENTRIES_MIN));
        }
        self.put(Entry { tag, child });
        self.len += 1;
    }

    /// Removes an entry that is there.
    pub(super) fn remove(&mut self, tag: u32, child: u32) {
        let mut hole = self.home(tag);
        while self.entries[hole].child != child {
            hole = self.after(hole);
        }
        self.entries[hole] = Entry::default();
        self.len -= 1;
        let mut place = self.after(hole);
        while !self.entries[place].is_free() {
            // An entry may move up unless that would be before its home.
            let home = self.home(self.entries[place].tag);
            if self.distance(home, place) >= self.distance(hole, place) {
                self.entries.swap(hole, place);
                hole = place;
            }
            place = self.after(place);
        }
        if self.entries.len() > ENTRIES_MIN && self.len * 8 < self.entries.len() {
            self.resize(self.entries.len() / 2);
        }
    }

    fn put(&mut self, entry: Entry) {
        let mut place = self.home(entry.tag);
        while !self.entries[place].is_free() {
            place = self.after(place);
        }
        self.entries[place] = entry;
    }

    fn resize(&mut self, len: usize) {
        let before = std::mem::replace(&mut self.entries, vec![Entry::default(); len]);
        for entry in before.into_iter().filter(|entry| !entry.is_free()) {
            self.put(entry);
        }
    }

    const fn home(&self, tag: u32) -> usize {
        tag as usize & self.entries.len().wrapping_sub(1)
    }

    const fn after(&self, place: usize) -> usize {
        (place + 1) & (self.entries.len() - 1)
    }

    /// Steps from one place to another, always forwards.
    const fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.entries.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Few tags for many children, so that runs are long and go round the end.
        #[test]
        fn it_holds_what_a_map_holds(
            steps in prop::collection::vec((any::<bool>(), 1..60u32), 0..300),
            spread in prop::sample::select(&[1u32, 7, 0x1000_0001][..]),
        ) {
            let tag = |child: u32| (child / 3).wrapping_mul(spread).wrapping_sub(2);
            let mut edges = Edges::default();
            let mut model = BTreeMap::new();
            for (add, child) in steps {
                if add && model.insert(child, ()).is_none() {
                    edges.insert(tag(child), child);
                } else if !add && model.remove(&child).is_some() {
                    edges.remove(tag(child), child);
                }
                for child in 1..60 {
                    let found = edges.find(tag(child), |one| one == child);
                    prop_assert_eq!(found.is_some(), model.contains_key(&child));
                }
                prop_assert_eq!(edges.len, model.len());
            }
        }
    }
}

//! Which messages of the log share a row: the marks that the census keeps of it, two bits a message.
//!
//! A row is a strip of messages next to each other ([`super::strip`]); a mark says where one begins.
//! So a row is known by the name of its first message, and no two of them overlap. A message of a
//! batch that is not written yet has no place.

use super::census::{Census, Run};

/// Dead rows next to each other that are worth removing by themselves: one alone costs its neighbours
/// in the tree too.
pub(super) const RIPE_STRIPS: usize = if cfg!(test) { 2 } else { 8 };

/// A row of the log, and what is known of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strip {
    /// The first and the last, and how many.
    pub(super) run: Run,
    /// The first of the row behind it; `None` for the last row.
    pub(super) next: Option<u64>,
    /// How many are dead.
    pub(super) dead: usize,
    /// Whether something is to be written between its ends, or behind them.
    pub(super) is_busy: bool,
}

/// Where in the log a message belongs that has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The row before it.
    pub(super) before: Option<u64>,
    /// Whether that row has messages behind it too.
    pub(super) is_inside: bool,
    /// The row behind it.
    pub(super) behind: Option<u64>,
}

/// A row that is to be written with its living messages alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thin {
    pub(super) run: Run,
    pub(super) living: Vec<u64>,
}

/// What a visit of the log found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse {
    /// Rows next to each other all of whose messages are dead.
    pub(super) dead: Vec<Run>,
    pub(super) thin: Vec<Thin>,
    /// Where to go on; `None` at the end.
    pub(super) next: Option<u64>,
}

impl Strip {
    const fn is_dead(&self) -> bool {
        !self.is_busy && self.dead == self.run.rows
    }

    /// Whether so much of it is dead that it is worth writing anew.
    const fn is_thin(&self) -> bool {
        !self.is_busy && self.dead * 2 >= self.run.rows
    }
}

impl Census {
    /// A message is written: into a row that has its name, or into the one before.
    pub(super) fn place(&mut self, mid: u64, is_head: bool) {
        self.set_place(mid, is_head);
        let before = if is_head { self.before(mid).next() } else { None };
        if let Some((last, entry)) = before
            && entry.is_dead()
        {
            self.note_ripe(last);
        }
    }

    /// The row in which a message is.
    pub(super) fn row_of(&self, mid: u64) -> Option<u64> {
        let own = self.entry(mid).filter(|entry| entry.is_placed())?;
        if own.is_head() {
            return Some(mid);
        }
        self.head_before(mid)
    }

    pub(super) fn gap(&self, mid: u64) -> Gap {
        let placed = |it: &(u64, super::census::Entry)| it.1.is_placed();
        let own = self.entry(mid).filter(|entry| entry.is_placed());
        let behind = self.from(mid + 1).find(placed);
        let before = match own {
            Some(_) => self.row_of(mid),
            None => self.head_before(mid),
        };
        let is_inside = own.is_some() || behind.is_some_and(|(_, entry)| !entry.is_head());
        let behind = self.from(mid + 1).find(|(_, entry)| entry.is_head()).map(|(head, _)| head);
        Gap { before, is_inside, behind }
    }

    /// The row that begins with a message.
    pub(super) fn strip(&self, head: u64) -> Strip {
        let mut run = Run { first: head, last: head, rows: 0 };
        let mut strip = Strip { run, next: None, dead: 0, is_busy: false };
        for (mid, entry) in self.from(head) {
            if mid > head && entry.is_head() {
                strip.next = Some(mid);
                break;
            }
            run = Run { last: mid, rows: run.rows + 1, ..run };
            strip.dead += usize::from(entry.is_dead());
            strip.is_busy |= !entry.is_placed();
        }
        Strip { run, ..strip }
    }

    /// Remembers the row of a message that died if nothing in it lives, nor in those around it.
    pub(super) fn note_ripe(&mut self, mid: u64) {
        let behind = self.from(mid).skip(1).take_while(|(_, entry)| !entry.is_head());
        if !behind.into_iter().all(|(_, entry)| entry.is_dead()) {
            return;
        }
        let Some(head) = self.row_of(mid) else { return };
        let strip = self.strip(head);
        if !strip.is_dead() {
            return;
        }
        let (mut run, mut at) = (vec![head], Some(head));
        while run.len() < RIPE_STRIPS
            && let Some(before) = at.and_then(|at| self.head_before(at))
        {
            at = self.strip(before).is_dead().then_some(before);
            run.extend(at);
        }
        at = strip.next;
        while run.len() < RIPE_STRIPS
            && let Some(strip) = at.map(|at| self.strip(at)).filter(Strip::is_dead)
        {
            run.push(strip.run.first);
            at = strip.next;
        }
        if run.len() == RIPE_STRIPS {
            self.ripe.extend(run);
        }
    }

    fn head_before(&self, mid: u64) -> Option<u64> {
        self.before(mid).find(|(_, entry)| entry.is_head()).map(|(head, _)| head)
    }

    /// Rows next to each other all of whose messages are dead: some `rows_max` messages.
    pub(super) fn dead_strips(&mut self, rows_max: usize) -> Sparse {
        let mut found = Sparse::default();
        let mut ripe = std::mem::take(&mut self.ripe);
        ripe.retain(|head| {
            self.entry(*head).is_some_and(|entry| entry.is_head()) && self.strip(*head).is_dead()
        });
        let (mut rows, mut next) = (0, None);
        for head in &ripe {
            let strip = self.strip(*head);
            rows += strip.run.rows;
            found.add_dead(strip, next);
            next = strip.next;
            if rows >= rows_max {
                break;
            }
        }
        self.ripe = ripe;
        found
    }

    /// Rows from a name on of which much is dead: some `rows_max` of these.
    pub(super) fn sparse(&self, from: u64, rows_max: usize) -> Sparse {
        let mut found = Sparse::default();
        let mut head = self.from(from).find(|(_, entry)| entry.is_head()).map(|(head, _)| head);
        let (mut rows, mut next) = (0, None);
        while let Some(first) = head {
            if rows >= rows_max {
                found.next = Some(first);
                return found;
            }
            let strip = self.strip(first);
            if strip.is_dead() {
                found.add_dead(strip, next);
                next = strip.next;
            } else if strip.is_thin() {
                let living = self.from(first).take(strip.run.rows);
                let living = living.filter(|(_, entry)| !entry.is_dead()).map(|(mid, _)| mid);
                found.thin.push(Thin { run: strip.run, living: living.collect() });
            }
            rows += strip.dead;
            head = strip.next;
        }
        found
    }

    /// Sets anew which messages are in which row: all those of the table, in order, with their bytes,
    /// and whether each is the first of its row. Of no use to anybody is what was not known.
    pub(super) fn replace_places(&mut self, found: &[(u64, u64, bool)]) {
        let known = std::mem::take(self);
        for (mid, bytes, is_head) in found {
            match known.entry(*mid) {
                entry @ Some(_) => drop(self.restore(*mid, entry)),
                None => drop(self.put(*mid, 0, false, *bytes)),
            }
            self.place(*mid, *is_head);
        }
    }
}

impl Sparse {
    /// `next` is the row behind the one that was added last.
    fn add_dead(&mut self, strip: Strip, next: Option<u64>) {
        match self.dead.last_mut() {
            Some(run) if next == Some(strip.run.first) => {
                run.last = strip.run.last;
                run.rows += strip.run.rows;
            }
            _ => self.dead.push(strip.run),
        }
    }

    /// Whether it changes a row.
    pub(super) fn is_about(&self, head: u64) -> bool {
        let within = |run: &Run| (run.first..=run.last).contains(&head);
        self.dead.iter().any(within) || self.thin.iter().any(|thin| within(&thin.run))
    }

    /// Whether it removes a message.
    pub(super) fn takes(&self, mid: u64) -> bool {
        let within = |run: &Run| (run.first..=run.last).contains(&mid);
        self.dead.iter().any(within)
            || self.thin.iter().any(|thin| within(&thin.run) && !thin.living.contains(&mid))
    }

    /// It is removed from the table.
    pub(super) fn forget(&self, census: &mut Census) {
        for run in &self.dead {
            census.forget(*run);
        }
        for thin in &self.thin {
            census.forget(thin.run);
            if let Some(first) = thin.living.first() {
                census.place(*first, true);
            }
        }
    }
}

//! Plain counters and gauges, summed outside.

/// Named counters and gauges, e.g. `messages.received`, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    rows: Vec<(&'static str, u64)>,
}

impl Stats {
    /// Adds the other's rows to this one's, by name.
    pub fn add(&mut self, other: &Self) {
        for &(name, value) in &other.rows {
            match self.rows.iter_mut().find(|row| row.0 == name) {
                Some(row) => row.1 += value,
                None => self.rows.push((name, value)),
            }
        }
    }

    /// Sets a row.
    pub fn set(&mut self, name: &'static str, value: u64) {
        match self.rows.iter_mut().find(|row| row.0 == name) {
            Some(row) => row.1 = value,
            None => self.rows.push((name, value)),
        }
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.rows.iter().copied()
    }
}

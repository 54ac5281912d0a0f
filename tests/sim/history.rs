//! What a crash may bring back: what was so when the client was last told something, or later.

/// The states something had, each with the count of what had happened when it began.
#[derive(Debug)]
pub(crate) struct History<T>(Vec<(u64, T)>);

impl<T> History<T> {
    /// At the beginning of all.
    pub(crate) fn new(state: T) -> Self {
        Self(vec![(0, state)])
    }

    pub(crate) fn note(&mut self, op: u64, state: T) {
        self.0.push((op, state));
    }

    /// What a crash may leave, when the client was told of all up to `told`.
    pub(crate) fn possible(&self, told: u64) -> impl Iterator<Item = &T> {
        let known = self.0.iter().rposition(|(op, _)| *op <= told);
        self.0[known.unwrap_or(0)..].iter().map(|(_, state)| state)
    }
}

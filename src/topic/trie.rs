//! Filters → values; match a Topic Name (the publish side).

/// A tree of Topic Filters, each with its values.
#[derive(Debug)]
pub struct Trie<V> {
    _values: Vec<V>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self {
            _values: Vec::new(),
        }
    }
}

impl<V> Trie<V> {
    /// The values of one filter (without `$share`), created empty when absent; the caller edits.
    pub fn values_mut(&mut self, filter: &str) -> &mut Vec<V> {
        let _ = filter;
        todo!()
    }

    /// Edits the values of a filter if it is there, and removes the filter (and the branches that
    /// only led to it) when the edit left no value.
    pub fn edit<R>(&mut self, filter: &str, edit: impl FnOnce(&mut Vec<V>) -> R) -> Option<R> {
        let _ = (filter, edit);
        todo!()
    }

    /// Calls `visit` with the values of every filter that matches the Topic Name
    /// (`$`-rule included).
    pub fn matches<'t>(&'t self, name: &str, visit: impl FnMut(&'t [V])) {
        let _ = (name, visit);
        todo!()
    }

    /// Number of filters that have values.
    #[must_use]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether no filter has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

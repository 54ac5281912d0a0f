//! Names → values; match a Topic Filter (the retained side).

/// A tree of Topic Names, each with one value.
#[derive(Debug)]
pub struct Index<V> {
    _values: Vec<V>,
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Self {
            _values: Vec::new(),
        }
    }
}

impl<V> Index<V> {
    /// Sets the value of a name and returns the one it replaces.
    pub fn insert(&mut self, name: &str, value: V) -> Option<V> {
        let _ = (name, value);
        todo!()
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let _ = name;
        todo!()
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&V> {
        let _ = name;
        todo!()
    }

    /// Calls `visit` with every value whose name matches the filter (`$`-rule included), in the
    /// order of the names' levels; stops when `visit` returns `false`.
    pub fn matches<'i>(&'i self, filter: &str, visit: impl FnMut(&'i V) -> bool) {
        let _ = (filter, visit);
        todo!()
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

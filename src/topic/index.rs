//! Names → values; match a Topic Filter (the retained side).

use super::tree::{ROOT, Tree};

/// A tree of Topic Names, each with one value.
#[derive(Debug)]
pub struct Index<V> {
    tree: Tree<Option<V>>,
    len: usize,
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Self { tree: Tree::new(), len: 0 }
    }
}

impl<V> Index<V> {
    /// Sets the value of a name and returns the one it replaces.
    pub fn insert(&mut self, name: &str, value: V) -> Option<V> {
        let node = self.tree.insert(name);
        let replaced = self.tree.node_mut(node).value.replace(value);
        self.len += usize::from(replaced.is_none());
        replaced
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let node = self.tree.find(name)?;
        let removed = self.tree.node_mut(node).value.take()?;
        self.tree.prune(name, Option::is_none);
        self.len -= 1;
        Some(removed)
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&V> {
        self.tree.node(self.tree.find(name)?).value.as_ref()
    }

    /// Calls `visit` with every value whose name matches a filter (without `$share/…`), in the
    /// order of the names' levels; stops when `visit` returns `false`.
    ///
    /// The rules of `$` and `#` are those of [`super::Trie::matches`].
    pub fn matches<'i>(&'i self, filter: &str, mut visit: impl FnMut(&'i V) -> bool) {
        let mut paths = vec![(ROOT, Some(filter))];
        while let Some((index, rest)) = paths.pop() {
            let node = self.tree.node(index);
            let ends = matches!(rest, None | Some("#"));
            if ends
                && let Some(value) = &node.value
                && !visit(value)
            {
                return;
            }
            let Some(rest) = rest else { continue };
            // From the last to the first, as the first is to be popped next.
            let wild = node
                .children()
                .rev()
                .filter(|(level, _)| index != ROOT || !level.starts_with('$'))
                .map(|(_, child)| child);
            let (level, below) = match rest.split_once('/') {
                Some((level, below)) => (level, Some(below)),
                None => (rest, None),
            };
            match level {
                "#" => paths.extend(wild.map(|child| (child, Some("#")))),
                "+" => paths.extend(wild.map(|child| (child, below))),
                _ => paths.extend(node.named(level).map(|child| (child, below))),
            }
        }
    }

    /// Number of names.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no name.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicFilter;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_index_agrees_with_the_naive_matcher(
            names in proptest::collection::btree_set("((a|b||\\$x)/){0,3}(a|b|c)", 0..20),
            filter in "((a|b|\\+||\\$x)/){0,3}(a|b|\\+|#|)",
        ) {
            let Ok(filter) = TopicFilter::parse(&filter) else { return Ok(()) };
            let mut index = Index::default();
            for name in &names {
                prop_assert_eq!(index.insert(name, name.clone()), None);
            }
            prop_assert_eq!(index.len(), names.len());
            let mut found = Vec::new();
            index.matches(filter.filter(), |name| {
                found.push(name.clone());
                true
            });
            let mut expected: Vec<_> =
                names.iter().filter(|name| filter.matches(name)).cloned().collect();
            expected.sort_by(|a, b| a.split('/').cmp(b.split('/')));
            prop_assert_eq!(found, expected);
            for name in &names {
                let removed = index.remove(name);
                prop_assert_eq!(removed.as_ref(), Some(name));
            }
            prop_assert!(index.is_empty());
            prop_assert_eq!(index.tree.nodes(), 1);
        }
    }

    #[test]
    fn a_visitor_can_stop() {
        let mut index = Index::default();
        for name in ["a", "b", "c"] {
            index.insert(name, name);
        }
        let mut seen = Vec::new();
        index.matches("#", |name| {
            seen.push(*name);
            seen.len() < 2
        });
        assert_eq!(seen, ["a", "b"]);
    }
}

//! Filters → values; match a Topic Name (the publish side).

use super::tree::{ROOT, Tree};

/// A tree of Topic Filters (without `$share/{ShareName}/`), each with its values.
#[derive(Debug)]
pub struct Trie<V> {
    tree: Tree<Vec<V>>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { tree: Tree::new() }
    }
}

impl<V> Trie<V> {
    /// The values of a filter, made empty when it is not there; the caller adds one.
    pub fn values_mut(&mut self, filter: &str) -> &mut Vec<V> {
        let node = self.tree.insert(filter);
        &mut self.tree.node_mut(node).value
    }

    /// Edits the values of a filter if it is there, and removes the filter (and the branches that
    /// only led to it) when the edit left no value.
    pub fn edit<R>(&mut self, filter: &str, edit: impl FnOnce(&mut Vec<V>) -> R) -> Option<R> {
        let node = self.tree.find(filter)?;
        let values = &mut self.tree.node_mut(node).value;
        let result = edit(values);
        if values.is_empty() {
            self.tree.prune(filter, Vec::is_empty);
        }
        Some(result)
    }

    /// Calls `visit` with the values of every filter that matches a Topic Name.
    ///
    /// Wildcards at the first level do not match a name that begins with `$` `[MQTT-4.7.2-1]`;
    /// `a/#` matches `a` too `[MQTT-4.7.1-2]`.
    pub fn matches<'t>(&'t self, name: &str, mut visit: impl FnMut(&'t [V])) {
        let mut paths = vec![(ROOT, Some(name))];
        while let Some((index, rest)) = paths.pop() {
            let node = self.tree.node(index);
            let wildcards = index != ROOT || !name.starts_with('$');
            if wildcards && let Some(hash) = node.hash() {
                visit(&self.tree.node(hash).value);
            }
            let Some(rest) = rest else {
                visit(&node.value);
                continue;
            };
            let (level, rest) = match rest.split_once('/') {
                Some((level, rest)) => (level, Some(rest)),
                None => (rest, None),
            };
            if wildcards && let Some(plus) = node.plus() {
                paths.push((plus, rest));
            }
            if let Some(child) = node.named(level) {
                paths.push((child, rest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicFilter;
    use proptest::prelude::*;

    fn found(trie: &Trie<String>, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        trie.matches(name, |values| found.extend_from_slice(values));
        found.sort();
        found
    }

    fn filters() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("((a|b|\\+||\\$x)/){0,3}(a|b|\\+|#|)", 0..20)
    }

    proptest! {
        #[test]
        fn the_trie_agrees_with_the_naive_matcher(
            filters in filters(),
            name in "((a|b||\\$x)/){0,3}(a|b|)",
        ) {
            let valid: Vec<_> =
                filters.iter().filter(|filter| TopicFilter::parse(filter).is_ok()).collect();
            let mut trie = Trie::default();
            for filter in &valid {
                trie.values_mut(filter).push((*filter).clone());
            }
            let mut expected: Vec<String> = valid
                .iter()
                .filter(|filter| TopicFilter::parse(filter).unwrap().matches(&name))
                .map(|filter| (*filter).clone())
                .collect();
            expected.sort();
            prop_assert_eq!(found(&trie, &name), expected);
            for filter in &valid {
                trie.edit(filter, |values| values.pop());
            }
            prop_assert_eq!(trie.tree.nodes(), 1);
        }
    }

    #[test]
    fn the_longest_topic_does_not_end_the_stack() {
        let longest = "/".repeat(65_535);
        let mut trie = Trie::default();
        trie.values_mut(&longest).push(longest.clone());
        trie.values_mut(&"+/".repeat(32_767)).push(String::new());
        assert_eq!(found(&trie, &longest), [longest.as_str()]);
        trie.edit(&longest, Vec::clear);
        assert!(found(&trie, &longest).is_empty());
    }
}

//! Filters → values; match a Topic Name (the publish side).

use foldhash::quality::FixedState;

use super::nodes::{NONE, Nodes, ROOT};

/// A tree of Topic Filters (without `$share/{ShareName}/`), each with its values.
///
/// A filter costs about 80 bytes, its values, and as much again for each level that only it has.
#[derive(Debug)]
pub struct Trie<V> {
    nodes: Nodes<V>,
}

impl<V> Trie<V> {
    /// An empty tree. `seed` is to be unpredictable where levels come from strangers: it decides
    /// which levels collide.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self { nodes: Nodes::new(FixedState::with_seed(seed)) }
    }

    /// The values of a filter, made empty when it is not there; the caller adds one.
    pub fn values_mut(&mut self, filter: &str) -> &mut Vec<V> {
        let number = self.nodes.insert(filter);
        let values = &mut self.nodes.node_mut(number).values;
        if values.capacity() == 0 {
            // Most filters have one value.
            values.reserve_exact(1);
        }
        values
    }

    /// Edits the values of a filter if it is there, and removes the filter (and the branches that
    /// only led to it) when the edit left no value.
    pub fn edit<R>(&mut self, filter: &str, edit: impl FnOnce(&mut Vec<V>) -> R) -> Option<R> {
        let number = self.nodes.find(filter)?;
        let values = &mut self.nodes.node_mut(number).values;
        let result = edit(values);
        if values.is_empty() {
            self.nodes.prune(number);
        } else if values.len() < values.capacity() / 4 {
            values.shrink_to(values.len() * 2);
        }
        Some(result)
    }

    /// Calls `visit` with the values of every filter that matches a Topic Name. Allocates nothing.
    ///
    /// Wildcards at the first level do not match a name that begins with `$` `[MQTT-4.7.2-1]`;
    /// `a/#` matches `a` too `[MQTT-4.7.1-1]`; levels are compared byte by byte
    /// `[MQTT-4.7.3-4]`.
    pub fn matches<'t>(&'t self, name: &str, mut visit: impl FnMut(&'t [V])) {
        let mut step = Some(Step { node: ROOT, below: 0 });
        while let Some(Step { node: number, below }) = step {
            let node = self.nodes.node(number);
            let plus = self.plus(number, name);
            if node.hash != NONE && is_wild(number, name) {
                visit(&self.nodes.node(node.hash).values);
            }
            let Some(rest) = name.as_bytes().get(below..) else {
                if !node.values.is_empty() {
                    visit(&node.values);
                }
                step = self.back(number, below, name);
                continue;
            };
            let level = rest.split(|byte| *byte == b'/').next().unwrap_or(rest);
            let below_child = below + level.len() + 1;
            step = match (self.nodes.named(number, level), plus) {
                (NONE, NONE) => self.back(number, below, name),
                (NONE, child) | (child, _) => Some(Step { node: child, below: below_child }),
            };
        }
    }

    /// The next branch after all below a node were seen: the `+` beside it, or beside the nearest
    /// node above that has one.
    fn back(&self, node: u32, below: usize, name: &str) -> Option<Step> {
        let (mut node, mut below) = (node, below);
        while node != ROOT {
            let parent = self.nodes.node(node).parent;
            let plus = self.plus(parent, name);
            if plus != NONE && plus != node {
                return Some(Step { node: plus, below });
            }
            // The level of `node` ends before the separator at `below - 1`.
            let above = &name.as_bytes()[..below - 1];
            below = above.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
            node = parent;
        }
        None
    }

    fn plus(&self, node: u32, name: &str) -> u32 {
        if is_wild(node, name) { self.nodes.node(node).plus } else { NONE }
    }
}

/// A node on the way, and where in the name the level below it begins: one more than the name is
/// long when there is none.
#[derive(Clone, Copy, Debug)]
struct Step {
    node: u32,
    below: usize,
}

/// Whether wildcards below a node may match `[MQTT-4.7.2-1]`.
fn is_wild(node: u32, name: &str) -> bool {
    node != ROOT || !name.starts_with('$')
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

    fn filter() -> impl Strategy<Value = String> {
        "((a|b|\\+||\\$x)/){0,4}(a|b|\\+|#|)"
            .prop_filter("a Topic Filter", |text| TopicFilter::parse(text).is_ok())
    }

    proptest! {
        #[test]
        fn the_trie_agrees_with_the_naive_matcher(
            filters in prop::collection::vec(filter(), 0..30),
            names in prop::collection::vec("((a|b||\\$x)/){0,4}(a|b|)", 1..8),
            seed in any::<u64>(),
        ) {
            let mut trie = Trie::with_seed(seed);
            for filter in &filters {
                trie.values_mut(filter).push(filter.clone());
            }
            // Half of them go again, in any order.
            let (go, stay) = filters.split_at(filters.len() / 2);
            for filter in go {
                let popped = trie.edit(filter, |values| {
                    let at = values.iter().position(|value| value == filter);
                    values.remove(at.expect("inserted above"))
                });
                prop_assert_eq!(popped.as_ref(), Some(filter));
            }
            for name in names {
                let matches = |filter: &&String| TopicFilter::parse(filter).unwrap().matches(&name);
                let mut expected: Vec<String> = stay.iter().filter(matches).cloned().collect();
                expected.sort();
                prop_assert_eq!(found(&trie, &name), expected, "{:?}", name);
            }
            for filter in stay {
                trie.edit(filter, Vec::pop);
            }
            prop_assert_eq!(trie.nodes.len(), 1);
        }
    }

    #[test]
    fn what_is_not_there_is_not_edited() {
        let mut trie = Trie::with_seed(0);
        trie.values_mut("a/b").push(1);
        assert_eq!(trie.edit("a", |values| values.push(2)), Some(()));
        assert_eq!(trie.edit("a/c", |values| values.push(2)), None);
        assert_eq!(trie.edit("a/+", |values| values.push(2)), None);
    }

    #[test]
    fn each_filter_is_visited_once() {
        let mut trie = Trie::with_seed(0);
        for filter in ["#", "a/#", "a/b", "a/+", "+/b", "+/+", "+/#", "a/b/#", "a", "+"] {
            trie.values_mut(filter).push(filter.to_owned());
        }
        assert_eq!(found(&trie, "a/b"), ["#", "+/#", "+/+", "+/b", "a/#", "a/+", "a/b", "a/b/#"]);
    }

    #[test]
    fn the_longest_topic_is_walked_in_constant_space() {
        let longest = "/".repeat(65_535);
        let mut trie = Trie::with_seed(0);
        trie.values_mut(&longest).push(longest.clone());
        let plus = "+/".repeat(32_767);
        trie.values_mut(&plus).push(plus.clone());
        assert_eq!(found(&trie, &longest), [longest.as_str()]);
        assert_eq!(found(&trie, &"/".repeat(32_767)), [plus.as_str()]);
        trie.edit(&longest, Vec::clear);
        assert!(found(&trie, &longest).is_empty());
        trie.edit(&plus, Vec::clear);
        assert_eq!(trie.nodes.len(), 1);
    }
}

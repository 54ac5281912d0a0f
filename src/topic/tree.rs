//! The tree of levels that [`super::Trie`] and [`super::Index`] stand on.
//!
//! Nodes lie in one vector and name each other by index; a removed node's place is used again.
//! Nothing recurses: a topic may have 65 536 levels.

use std::collections::BTreeMap;

/// Index of the root; as the root is nobody's child, 0 also stands for "none".
pub(super) const ROOT: u32 = 0;
const NONE: u32 = 0;

#[derive(Debug)]
pub(super) struct Node<T> {
    /// Levels in their order; a map and not a hash, so that the order is the same in every run
    /// and no one can choose levels that collide.
    children: BTreeMap<Box<str>, u32>,
    /// The child of level `+`.
    plus: u32,
    /// The child of level `#`.
    hash: u32,
    pub(super) value: T,
}

#[derive(Debug)]
pub(super) struct Tree<T> {
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
}

impl<T: Default> Tree<T> {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::new()], free: Vec::new() }
    }

    pub(super) fn node(&self, index: u32) -> &Node<T> {
        &self.nodes[index as usize]
    }

    pub(super) fn node_mut(&mut self, index: u32) -> &mut Node<T> {
        &mut self.nodes[index as usize]
    }

    /// The node of a path.
    pub(super) fn find(&self, path: &str) -> Option<u32> {
        path.split('/').try_fold(ROOT, |node, level| self.node(node).child(level))
    }

    /// The node of a path, made when it is not there.
    pub(super) fn insert(&mut self, path: &str) -> u32 {
        path.split('/').fold(ROOT, |node, level| match self.node(node).child(level) {
            Some(child) => child,
            None => self.add(node, level),
        })
    }

    /// Removes the node of a path if it is vacant, and with it those above that only led there.
    pub(super) fn prune(&mut self, path: &str, is_vacant: impl Fn(&T) -> bool) {
        let mut steps = Vec::new();
        let mut node = ROOT;
        for level in path.split('/') {
            steps.push((node, level));
            let Some(child) = self.node(node).child(level) else {
                return;
            };
            node = child;
        }
        for (parent, level) in steps.into_iter().rev() {
            if !self.node(node).is_leaf() || !is_vacant(&self.node(node).value) {
                return;
            }
            self.node_mut(parent).unlink(level);
            *self.node_mut(node) = Node::new();
            self.free.push(node);
            node = parent;
        }
    }

    /// Number of nodes in use, the root included.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    fn add(&mut self, parent: u32, level: &str) -> u32 {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.nodes.len()).expect("memory ends before 2^32 nodes");
                self.nodes.push(Node::new());
                index
            }
        };
        let parent = self.node_mut(parent);
        match level {
            "+" => parent.plus = index,
            "#" => parent.hash = index,
            _ => drop(parent.children.insert(level.into(), index)),
        }
        index
    }
}

impl<T: Default> Node<T> {
    fn new() -> Self {
        Self { children: BTreeMap::new(), plus: NONE, hash: NONE, value: T::default() }
    }
}

impl<T> Node<T> {
    /// The child of a level, wildcards being levels like others.
    pub(super) fn child(&self, level: &str) -> Option<u32> {
        match level {
            "+" => self.plus(),
            "#" => self.hash(),
            _ => self.named(level),
        }
    }

    /// The child of a level that is no wildcard.
    pub(super) fn named(&self, level: &str) -> Option<u32> {
        self.children.get(level).copied()
    }

    pub(super) fn plus(&self) -> Option<u32> {
        (self.plus != NONE).then_some(self.plus)
    }

    pub(super) fn hash(&self) -> Option<u32> {
        (self.hash != NONE).then_some(self.hash)
    }

    /// Children that are no wildcards, in the order of their levels.
    pub(super) fn children(&self) -> impl DoubleEndedIterator<Item = (&str, u32)> {
        self.children.iter().map(|(level, child)| (&**level, *child))
    }

    fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.plus == NONE && self.hash == NONE
    }

    fn unlink(&mut self, level: &str) {
        match level {
            "+" => self.plus = NONE,
            "#" => self.hash = NONE,
            _ => drop(self.children.remove(level)),
        }
    }
}

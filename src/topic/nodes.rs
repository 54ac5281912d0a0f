//! The tree of levels that [`super::Trie`] walks.
//!
//! Nodes lie in blocks and name each other by number, so that a large tree neither moves when it
//! grows nor needs an allocation per node; a removed node's place is used again. Children are
//! found through one hash table for the whole tree ([`Edges`]); its seed comes from outside, so
//! nobody can choose levels that collide. Nothing here iterates over a table, and nothing
//! recurses: a topic may have 65 536 levels.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use super::edges::Edges;

/// Number of the root; as the root is nobody's child, it also stands for "none".
pub(super) const ROOT: u32 = 0;
pub(super) const NONE: u32 = 0;

const BLOCK_BITS: u32 = 8;
const BLOCK_LEN: usize = 1 << BLOCK_BITS;

#[derive(Debug)]
pub(super) struct Node<V> {
    pub(super) parent: u32,
    /// The child of level `+`.
    pub(super) plus: u32,
    /// The child of level `#`.
    pub(super) hash: u32,
    /// How many children have a level that is no wildcard.
    named: u32,
    level: Level,
    pub(super) values: Vec<V>,
}

/// The text of a level: in the node itself when it is short.
#[derive(Debug)]
enum Level {
    Short { len: u8, bytes: [u8; Self::SHORT_MAX] },
    Long(Box<[u8]>),
}

#[derive(Debug)]
pub(super) struct Nodes<V> {
    blocks: Vec<Vec<Node<V>>>,
    /// Places to be used again.
    free: Vec<u32>,
    edges: Edges,
    hasher: FixedState,
}

impl<V> Nodes<V> {
    pub(super) fn new(hasher: FixedState) -> Self {
        let mut nodes =
            Self { blocks: Vec::new(), free: Vec::new(), edges: Edges::default(), hasher };
        nodes.place(Node::new(NONE, b""));
        nodes
    }

    pub(super) fn node(&self, number: u32) -> &Node<V> {
        let (block, place) = split(number);
        &self.blocks[block][place]
    }

    pub(super) fn node_mut(&mut self, number: u32) -> &mut Node<V> {
        let (block, place) = split(number);
        &mut self.blocks[block][place]
    }

    /// The child whose level is `level` and no wildcard, or [`NONE`].
    pub(super) fn named(&self, parent: u32, level: &[u8]) -> u32 {
        if self.node(parent).named == 0 {
            return NONE;
        }
        let is_it = |number| {
            let node = self.node(number);
            node.parent == parent && node.level.as_bytes() == level
        };
        self.edges.find(self.tag(parent, level), is_it).unwrap_or(NONE)
    }

    /// The child of a level, wildcards being levels like others, or [`NONE`].
    fn child(&self, parent: u32, level: &[u8]) -> u32 {
        match level {
            b"+" => self.node(parent).plus,
            b"#" => self.node(parent).hash,
            _ => self.named(parent, level),
        }
    }

    /// The node of a filter.
    pub(super) fn find(&self, filter: &str) -> Option<u32> {
        filter.split('/').try_fold(ROOT, |node, level| {
            let child = self.child(node, level.as_bytes());
            (child != NONE).then_some(child)
        })
    }

    /// The node of a filter, made when it is not there.
    pub(super) fn insert(&mut self, filter: &str) -> u32 {
        filter.split('/').fold(ROOT, |node, level| match self.child(node, level.as_bytes()) {
            NONE => self.add(node, level.as_bytes()),
            child => child,
        })
    }

    /// Removes a node that has neither values nor children, and with it those above that only led
    /// there.
    pub(super) fn prune(&mut self, number: u32) {
        let mut number = number;
        while number != ROOT && self.node(number).is_vacant() {
            let parent = self.node(number).parent;
            self.unlink(parent, number);
            *self.node_mut(number) = Node::new(NONE, b"");
            self.free.push(number);
            number = parent;
        }
        let is_large = self.blocks.len() > 1;
        if is_large && self.len() == 1 {
            *self = Self::new(self.hasher.clone());
        }
    }

    /// Number of nodes in use, the root included.
    pub(super) fn len(&self) -> usize {
        let last = self.blocks.last().map_or(0, Vec::len);
        self.blocks.len().saturating_sub(1) * BLOCK_LEN + last - self.free.len()
    }

    fn add(&mut self, parent: u32, level: &[u8]) -> u32 {
        let number = self.place(Node::new(parent, level));
        match level {
            b"+" => self.node_mut(parent).plus = number,
            b"#" => self.node_mut(parent).hash = number,
            _ => {
                self.node_mut(parent).named += 1;
                self.edges.insert(self.tag(parent, level), number);
            }
        }
        number
    }

    fn place(&mut self, node: Node<V>) -> u32 {
        if let Some(number) = self.free.pop() {
            *self.node_mut(number) = node;
            return number;
        }
        let number = u32::try_from(self.len()).expect("memory ends before 2^32 nodes");
        let is_full = self.blocks.last().is_none_or(|block| block.len() == BLOCK_LEN);
        if is_full {
            self.blocks.push(Vec::with_capacity(BLOCK_LEN));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(node);
        }
        number
    }

    fn unlink(&mut self, parent: u32, number: u32) {
        let above = self.node_mut(parent);
        if above.plus == number {
            above.plus = NONE;
        } else if above.hash == number {
            above.hash = NONE;
        } else {
            above.named -= 1;
            let tag = self.tag(parent, self.node(number).level.as_bytes());
            self.edges.remove(tag, number);
        }
    }

    fn tag(&self, parent: u32, level: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(parent);
        hasher.write(level);
        (hasher.finish() >> 32) as u32
    }
}

const fn split(number: u32) -> (usize, usize) {
    ((number >> BLOCK_BITS) as usize, number as usize & (BLOCK_LEN - 1))
}

impl<V> Node<V> {
    fn new(parent: u32, level: &[u8]) -> Self {
        let (level, values) = (Level::new(level), Vec::new());
        Self { parent, plus: NONE, hash: NONE, named: 0, level, values }
    }

    fn is_vacant(&self) -> bool {
        self.values.is_empty() && self.named == 0 && self.plus == NONE && self.hash == NONE
    }
}

impl Level {
    const SHORT_MAX: usize = 22;

    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; Self::SHORT_MAX];
        match (u8::try_from(text.len()), bytes.get_mut(..text.len())) {
            (Ok(len), Some(place)) => {
                place.copy_from_slice(text);
                Self::Short { len, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a filter costs beside its values is this, twelve bytes or so in [`Edges`], and the
    /// levels that only it has.
    #[test]
    fn a_node_is_one_cache_line() {
        assert_eq!(size_of::<Node<u64>>(), 64);
    }

    #[test]
    fn levels_of_any_length_come_back() {
        for len in [0, 1, 21, 22, 23, 255, 256, 65_535] {
            let text = vec![b'x'; len];
            assert_eq!(Level::new(&text).as_bytes(), text);
        }
    }

    #[test]
    fn a_place_is_used_again_and_a_large_tree_given_back() {
        let mut nodes: Nodes<u8> = Nodes::new(FixedState::with_seed(1));
        let filters: Vec<String> = (0..1000).map(|number| format!("a/{number}/+/#")).collect();
        for filter in &filters {
            let number = nodes.insert(filter);
            nodes.node_mut(number).values.push(1);
        }
        assert_eq!(nodes.len(), 2 + 3 * 1000);
        let blocks = nodes.blocks.len();
        for filter in &filters[1..] {
            let number = nodes.find(filter).unwrap();
            nodes.node_mut(number).values.clear();
            nodes.prune(number);
        }
        assert_eq!(nodes.len(), 5);
        for filter in &filters {
            let number = nodes.insert(filter);
            nodes.node_mut(number).values.push(1);
        }
        assert_eq!((nodes.len(), nodes.blocks.len()), (2 + 3 * 1000, blocks));
        for filter in &filters {
            let number = nodes.find(filter).unwrap();
            nodes.node_mut(number).values.clear();
            nodes.prune(number);
        }
        assert_eq!((nodes.len(), nodes.blocks.len()), (1, 1));
        assert!(nodes.edges.is_empty());
    }
}

//! Topic Names and Topic Filters: their rules, and the two trees that match one against the other.

mod edges;
mod filter;
mod index;
mod name;
mod nodes;
mod trie;

pub use filter::{TopicFilter, TopicFilterError};
pub use index::Index;
pub use name::{TopicName, TopicNameError};
pub use trie::Trie;

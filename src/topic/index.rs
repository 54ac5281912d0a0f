//! Names → values; match a Topic Filter (the retained side).
//!
//! One ordered map, whose order is that of the names' levels: names below one level lie side by
//! side, so a filter is matched by walking the map and leaping over what cannot match.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Stands for `/` in keys. A name has no U+0000, and as it is the lowest character, the order of
/// keys is the order of their levels.
const SEPARATOR: char = '\0';
/// The lowest character after the separator: a name and this is behind all that lies below it.
const AFTER: char = '\u{1}';

/// A map of Topic Names, each with one value, in the order of their levels.
#[derive(Debug)]
pub struct Index<V> {
    names: BTreeMap<Box<str>, V>,
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Self { names: BTreeMap::new() }
    }
}

impl<V> Index<V> {
    /// Sets the value of a name and returns the one it replaces.
    pub fn insert(&mut self, name: &str, value: V) -> Option<V> {
        self.names.insert(key(name).into_boxed_str(), value)
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        self.names.remove(key(name).as_str())
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&V> {
        self.names.get(key(name).as_str())
    }

    /// Calls `visit` with every value whose name matches a filter (without `$share/…`), in the
    /// order of the names' levels; stops when `visit` returns `false`. Returns how many names it
    /// looked at.
    ///
    /// The rules of `$` and `#` are those of [`super::Trie::matches`].
    pub fn matches<'i>(&'i self, filter: &str, mut visit: impl FnMut(&'i V) -> bool) -> usize {
        let mut looked_at = 0;
        let mut from = String::new();
        loop {
            let mut leap = None;
            let rest = (Bound::Included(from.as_str()), Bound::Unbounded);
            for (key, value) in self.names.range::<str, _>(rest) {
                looked_at += 1;
                match judge(key, filter) {
                    Verdict::Matches if visit(value) => {}
                    Verdict::Matches | Verdict::NoneFollows => return looked_at,
                    Verdict::Not => {}
                    Verdict::NotBefore { kept, then, level } => {
                        leap = Some((&key[..kept], then, level));
                        break;
                    }
                }
            }
            let Some((kept, then, level)) = leap else { return looked_at };
            from.clear();
            from.push_str(kept);
            from.extend(then);
            from.push_str(level);
        }
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn key(name: &str) -> String {
    name.chars().map(|char| if char == '/' { SEPARATOR } else { char }).collect()
}

/// What a key tells about itself and those behind it.
enum Verdict<'f> {
    Matches,
    /// It does not match; the next one may.
    Not,
    /// Nothing matches before the first `kept` bytes of the key, then these two.
    NotBefore {
        kept: usize,
        then: Option<char>,
        level: &'f str,
    },
    NoneFollows,
}

fn judge<'f>(key: &str, filter: &'f str) -> Verdict<'f> {
    // `[MQTT-4.7.2-1]`; `%` comes after `$`.
    if key.starts_with('$') && filter.starts_with(['+', '#']) {
        return Verdict::NotBefore { kept: 0, then: None, level: "%" };
    }
    let mut patterns = filter.split('/');
    // Where the level begins that the next pattern is for.
    let mut at = 0;
    loop {
        let level = key.get(at..).map(|rest| rest.split(SEPARATOR).next().unwrap_or(rest));
        let behind_parent =
            Verdict::NotBefore { kept: at.saturating_sub(1), then: Some(AFTER), level: "" };
        match (patterns.next(), level) {
            (None, None) | (Some("#"), _) => return Verdict::Matches,
            (None, Some(_)) => return behind_parent,
            (Some("+"), None) => return Verdict::Not,
            (Some(pattern), None) => {
                return Verdict::NotBefore {
                    kept: key.len(),
                    then: Some(SEPARATOR),
                    level: pattern,
                };
            }
            (Some("+"), Some(level)) => at += level.len() + 1,
            (Some(pattern), Some(level)) => match level.cmp(pattern) {
                std::cmp::Ordering::Equal => at += level.len() + 1,
                std::cmp::Ordering::Less => {
                    return Verdict::NotBefore { kept: at, then: None, level: pattern };
                }
                std::cmp::Ordering::Greater if at == 0 => return Verdict::NoneFollows,
                std::cmp::Ordering::Greater => return behind_parent,
            },
        }
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
            names in prop::collection::btree_set("((a|b||\\$x|\u{1}|!)/){0,4}(a|b|c|)", 0..30),
            filter in "((a|b|\\+||\\$x|\u{1}|!)/){0,4}(a|b|\\+|#|)",
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
        }
    }

    #[test]
    fn a_visitor_can_stop() {
        let mut index = Index::default();
        for name in ["a", "b", "c"] {
            index.insert(name, name);
        }
        let mut seen = Vec::new();
        let looked_at = index.matches("#", |name| {
            seen.push(*name);
            seen.len() < 2
        });
        assert_eq!((seen, looked_at), (vec!["a", "b"], 2));
    }

    #[test]
    fn a_walk_says_how_many_names_it_took() {
        let mut index = Index::default();
        for name in ["a/x", "b/x", "c/x"] {
            index.insert(name, name);
        }
        assert_eq!(index.matches("b/x", |_| true), 3, "a, then b and what is behind it");
        assert!(index.matches("+/y", |_| true) >= 3, "nothing matches, and all were looked at");
    }
}

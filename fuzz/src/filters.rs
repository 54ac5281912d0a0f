//! Topic Names and Filters: what is one, and both trees beside matchers as simple as the standard's
//! own words.

use mqttd::topic::{Index, TopicFilter, TopicName, Trie};

/// Steps of one run; more would only take longer.
const STEPS_MAX: usize = 200;

/// Each line is a step: what to do, then a text.
pub fn run(bytes: &[u8]) {
    let Some((&seed, script)) = bytes.split_first() else { return };
    let mut world = World { trie: Trie::with_seed(seed.into()), ..World::default() };
    for line in script.split(|byte| *byte == b'\n').take(STEPS_MAX) {
        let Some((&step, text)) = line.split_first() else { continue };
        let text = String::from_utf8_lossy(text);
        world.take(step, &text);
    }
    world.clear();
}

struct World {
    trie: Trie<u32>,
    filters: Vec<(String, u32)>,
    index: Index<u32>,
    names: Vec<(String, u32)>,
    added: u32,
}

impl Default for World {
    fn default() -> Self {
        let (trie, index) = (Trie::with_seed(0), Index::default());
        Self { trie, filters: Vec::new(), index, names: Vec::new(), added: 0 }
    }
}

impl World {
    fn take(&mut self, step: u8, text: &str) {
        let name = TopicName::parse(text).ok();
        assert_eq!(name.is_some(), is_name(text), "a topic name: {text:?}");
        let filter = TopicFilter::parse(text).ok();
        assert_eq!(filter.is_some(), is_filter(text), "a topic filter: {text:?}");
        if let Some(name) = name {
            assert_eq!((name.as_str(), name.levels()), (text, text.split('/').count()));
        }
        if let Some(filter) = filter {
            look(filter, text);
        }
        match (step, filter, name) {
            (b'+', Some(filter), _) => self.subscribe(filter.filter()),
            (b'-', Some(filter), _) => self.unsubscribe(filter.filter()),
            (b'*', Some(filter), _) => self.find_names(filter),
            (b'=', _, Some(name)) => self.store(name.as_str()),
            (b'~', _, Some(name)) => self.forget(name.as_str()),
            (b'?', _, Some(name)) => self.find_filters(name.as_str()),
            _ => {}
        }
    }

    fn subscribe(&mut self, filter: &str) {
        self.added += 1;
        self.trie.values_mut(filter).push(self.added);
        self.filters.push((filter.to_owned(), self.added));
    }

    /// Removes the oldest subscription of a filter.
    fn unsubscribe(&mut self, filter: &str) {
        let known = self.filters.iter().position(|(other, _)| other == filter);
        // A branch that only leads to filters has no values.
        let remove = |values: &mut Vec<u32>| (!values.is_empty()).then(|| values.remove(0));
        let removed = self.trie.edit(filter, remove).flatten();
        assert_eq!(removed, known.map(|at| self.filters.remove(at).1), "{filter:?}");
    }

    fn find_filters(&self, name: &str) {
        let mut found = Vec::new();
        self.trie.matches(name, |values| found.extend_from_slice(values));
        found.sort_unstable();
        let matching = self.filters.iter().filter(|(filter, _)| matches(filter, name));
        let expected: Vec<u32> = matching.map(|(_, value)| *value).collect();
        assert_eq!(found, expected, "filters that match {name:?}");
    }

    fn store(&mut self, name: &str) {
        self.added += 1;
        let before = self.index.insert(name, self.added);
        assert_eq!(before, self.forget_model(name), "{name:?}");
        self.names.push((name.to_owned(), self.added));
        assert_eq!(self.index.value(name), Some(&self.added));
    }

    fn forget(&mut self, name: &str) {
        assert_eq!(self.index.remove(name), self.forget_model(name), "{name:?}");
        assert_eq!(self.index.value(name), None);
    }

    fn forget_model(&mut self, name: &str) -> Option<u32> {
        let known = self.names.iter().position(|(other, _)| other == name)?;
        Some(self.names.remove(known).1)
    }

    fn find_names(&self, filter: TopicFilter<'_>) {
        let matching = self.names.iter().filter(|(name, _)| matches(filter.filter(), name));
        let mut expected: Vec<&(String, u32)> = matching.collect();
        expected.sort_by(|(one, _), (other, _)| one.split('/').cmp(other.split('/')));
        for at_most in [usize::MAX, 1 + expected.len() / 2] {
            let mut found = Vec::new();
            self.index.matches(filter.filter(), |value| {
                found.push(*value);
                found.len() < at_most
            });
            let expected: Vec<u32> =
                expected.iter().map(|(_, value)| *value).take(at_most).collect();
            assert_eq!(found, expected, "names that match {:?}", filter.filter());
        }
    }

    /// All goes, and nothing is left.
    fn clear(mut self) {
        assert_eq!(self.index.len(), self.names.len());
        for (name, value) in std::mem::take(&mut self.names) {
            assert_eq!(self.index.remove(&name), Some(value));
        }
        assert!(self.index.is_empty());
        while let Some((filter, _)) = self.filters.first() {
            let filter = filter.clone();
            self.unsubscribe(&filter);
        }
        for name in ["", "a", "a/b", "/"] {
            self.find_filters(name);
        }
    }
}

/// What a filter says of itself.
fn look(filter: TopicFilter<'_>, text: &str) {
    assert_eq!(filter.as_str(), text);
    assert_eq!(filter.levels(), filter.filter().split('/').count());
    match filter.share() {
        Some(share) => assert_eq!(format!("$share/{share}/{}", filter.filter()), text),
        None => assert_eq!(filter.filter(), text),
    }
}

/// Section 4.7.3 and 4.7.1.
fn is_name(text: &str) -> bool {
    is_text(text) && !text.contains(['+', '#'])
}

/// Sections 4.7.1, 4.7.3 and 4.8.2.
fn is_filter(text: &str) -> bool {
    if let Some(shared) = text.strip_prefix("$share/") {
        let parts: Vec<&str> = shared.splitn(2, '/').collect();
        let [share, filter] = parts[..] else { return false };
        let is_share = !share.is_empty() && !share.contains(['+', '#']);
        return is_share && is_text(text) && !share.contains('\0') && is_plain_filter(filter);
    }
    is_plain_filter(text)
}

fn is_plain_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    let (last, others) = levels.split_last().expect("at least one");
    let is_level = |level: &str| level == "+" || !level.contains(['+', '#']);
    is_text(text) && others.iter().all(|level| is_level(level)) && (*last == "#" || is_level(last))
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= 65_535 && !text.contains('\0')
}

/// Section 4.7: level by level.
fn matches(filter: &str, name: &str) -> bool {
    let filter: Vec<&str> = filter.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    if name[0].starts_with('$') && matches!(filter[0], "+" | "#") {
        return false;
    }
    let (filter, any_more) = match filter.split_last() {
        Some((&"#", above)) => (above, true),
        _ => (&filter[..], false),
    };
    let fits = name.len() == filter.len() || any_more && name.len() > filter.len();
    fits && filter.iter().zip(&name).all(|(pattern, level)| *pattern == "+" || pattern == level)
}

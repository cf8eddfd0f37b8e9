//! Learns which patterns are one: a word that takes many values in one place is a variable.
//! Promises: bounded memory; while nothing was evicted, the outcome depends on the set of patterns
//! seen, not on their order, so that instances that share the table agree.

use std::collections::{BTreeMap, HashMap, VecDeque};

use hephaestus_schemas::Pattern;

/// Words in one place, all else equal, from which on they are taken for values.
const MIN_VALUES: usize = 5;
/// The same for the first word of a message, which mostly says what happened.
const MIN_FIRST_VALUES: usize = 16;
/// Words that must be equal beside the one that varies.
const MIN_CONSTANT: usize = 2;
/// Words of a template that are looked at; a longer one is only compared as a whole.
const MAX_WORDS: usize = 48;
/// Patterns in one bucket that are remembered; past the threshold they are one set anyway.
const MAX_MEMBERS: usize = 64;
/// Links followed from a pattern to the one it is an alias of.
const MAX_LINKS: usize = 1_000;

/// Numeric form of a pattern's id.
type Id = u64;

#[derive(Debug, Clone)]
struct Node {
    template: String,
    first_seen: i64,
    /// What was last published as its alias.
    published: Option<Id>,
}

/// Templates that differ in one place alone.
#[derive(Debug, Clone, Default)]
struct Bucket {
    members: Vec<Id>,
    /// Whether one of them has a masked value in that place, which tells that the place varies.
    masked: bool,
    joined: bool,
}

/// The patterns that are known, and which of them are one.
#[derive(Debug, Clone)]
pub struct PatternTable {
    nodes: HashMap<Id, Node>,
    /// Patterns in the order in which they came, to evict the oldest.
    order: VecDeque<Id>,
    parents: HashMap<Id, Id>,
    shapes: HashMap<u64, Id>,
    buckets: HashMap<u64, Bucket>,
    max_patterns: usize,
}

impl PatternTable {
    /// An empty table that remembers at most `max_patterns` patterns.
    pub fn new(max_patterns: usize) -> Self {
        Self {
            nodes: HashMap::new(),
            order: VecDeque::new(),
            parents: HashMap::new(),
            shapes: HashMap::new(),
            buckets: HashMap::new(),
            max_patterns: max_patterns.max(1),
        }
    }

    /// Takes note of a pattern. Returns what is to be published: the pattern where it is new, and
    /// each pattern that it showed to be an alias. `first_seen` is in microseconds since 1970 UTC.
    pub fn observe(&mut self, pattern_id: &str, template: &str, first_seen: i64) -> Vec<Pattern> {
        let Some(id) = parse_id(pattern_id) else { return Vec::new() };
        if self.nodes.contains_key(&id) {
            return Vec::new();
        }
        let mut touched = vec![id];
        self.insert(id, template, first_seen, &mut touched);
        self.publish(touched, Some(id))
    }

    /// As `observe`, where nothing is published.
    pub(crate) fn learn(&mut self, pattern_id: &str, template: &str, first_seen: i64) {
        let Some(id) = parse_id(pattern_id) else { return };
        if !self.nodes.contains_key(&id) {
            self.insert(id, template, first_seen, &mut Vec::new());
        }
    }

    /// Takes over what an instance published. Returns what only both together show to be an alias.
    pub fn apply(&mut self, pattern: &Pattern) -> Vec<Pattern> {
        let Some(id) = parse_id(&pattern.id) else { return Vec::new() };
        let mut touched = Vec::new();
        if !self.nodes.contains_key(&id) {
            self.insert(id, &pattern.template, pattern.first_seen, &mut touched);
        }
        if let Some(target) = pattern.alias_of.as_deref().and_then(parse_id) {
            self.union(id, target, &mut touched);
            if let Some(node) = self.nodes.get_mut(&id) {
                node.published = Some(target);
            }
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.first_seen = node.first_seen.min(pattern.first_seen);
        }
        self.publish(touched, None)
    }

    /// The pattern that a pattern is an alias of, over all links; itself where it is none.
    pub fn resolve(&self, pattern_id: &str) -> String {
        match parse_id(pattern_id) {
            Some(id) => format_id(self.root(id)),
            None => pattern_id.to_owned(),
        }
    }

    /// Patterns that are remembered.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Patterns that are remembered and no alias.
    pub fn canonical_count(&self) -> usize {
        let mut roots: Vec<Id> = self.nodes.keys().map(|id| self.root(*id)).collect();
        roots.sort_unstable();
        roots.dedup();
        roots.len()
    }

    /// Every alias, and what it is an alias of.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        let linked = self.parents.keys().map(|id| (*id, self.root(*id)));
        linked
            .filter(|(id, root)| id != root)
            .map(|(id, root)| (format_id(id), format_id(root)))
            .collect()
    }

    fn root(&self, id: Id) -> Id {
        let mut current = id;
        for _ in 0..MAX_LINKS {
            match self.parents.get(&current) {
                Some(parent) if *parent != current => current = *parent,
                _ => return current,
            }
        }
        current
    }

    /// Makes two patterns one: the smaller id is that of both, whichever came first.
    fn union(&mut self, a: Id, b: Id, touched: &mut Vec<Id>) {
        let (root_a, root_b) = (self.root(a), self.root(b));
        if root_a == root_b {
            return;
        }
        let (kept, gone) = (root_a.min(root_b), root_a.max(root_b));
        self.parents.insert(gone, kept);
        // Shorten the way for the two that were asked about.
        for id in [a, b] {
            if id != kept {
                self.parents.insert(id, kept);
            }
            touched.push(id);
        }
        touched.push(gone);
    }

    fn insert(&mut self, id: Id, template: &str, first_seen: i64, touched: &mut Vec<Id>) {
        while self.nodes.len() >= self.max_patterns {
            self.evict();
        }
        self.nodes.insert(id, Node { template: template.to_owned(), first_seen, published: None });
        self.order.push_back(id);
        let keys = Keys::of(template);
        if let Some(other) = self.shapes.get(&keys.shape).copied() {
            self.union(id, other, touched);
        } else {
            self.shapes.insert(keys.shape, id);
        }
        for place in &keys.places {
            let bucket = self.buckets.entry(place.key).or_default();
            if bucket.members.len() < MAX_MEMBERS && !bucket.members.contains(&id) {
                bucket.members.push(id);
            }
            bucket.masked |= place.whole;
            let enough = bucket.members.len() >= place.needed
                || (bucket.masked && bucket.members.len() >= 2);
            if !enough {
                continue;
            }
            bucket.joined = true;
            let members = bucket.members.clone();
            if let Some(first) = members.first() {
                for member in &members {
                    self.union(*first, *member, touched);
                }
                self.union(*first, id, touched);
            }
        }
    }

    /// Forgets the oldest pattern; that it was an alias stays known as long as its target is.
    fn evict(&mut self) {
        let Some(id) = self.order.pop_front() else { return };
        let Some(node) = self.nodes.remove(&id) else { return };
        let keys = Keys::of(&node.template);
        if self.shapes.get(&keys.shape) == Some(&id) {
            self.shapes.remove(&keys.shape);
        }
        for place in &keys.places {
            if let Some(bucket) = self.buckets.get_mut(&place.key) {
                bucket.members.retain(|member| *member != id);
                if bucket.members.is_empty() {
                    self.buckets.remove(&place.key);
                }
            }
        }
        // Links through it are kept whole by pointing past it.
        let root = self.root(id);
        if root == id {
            self.parents.retain(|_, parent| *parent != id);
        } else {
            for parent in self.parents.values_mut() {
                if *parent == id {
                    *parent = root;
                }
            }
        }
        self.parents.remove(&id);
    }

    /// The records for patterns whose alias differs from what was published of them.
    fn publish(&mut self, mut touched: Vec<Id>, new: Option<Id>) -> Vec<Pattern> {
        touched.sort_unstable();
        touched.dedup();
        let mut records = Vec::new();
        for id in touched {
            let root = self.root(id);
            let alias = (root != id).then_some(root);
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            if node.published == alias && new != Some(id) {
                continue;
            }
            node.published = alias;
            records.push(Pattern {
                id: format_id(id),
                template: node.template.clone(),
                alias_of: alias.map(format_id),
                first_seen: node.first_seen,
            });
        }
        records
    }
}

/// One place of a template: the hash of all else.
struct Place {
    key: u64,
    /// Whether its word is a mask and nothing else, so that the place is known to vary.
    whole: bool,
    needed: usize,
}

/// What a template is compared by.
struct Keys {
    /// Hash of the template with the types of its masks forgotten.
    shape: u64,
    places: Vec<Place>,
}

impl Keys {
    fn of(template: &str) -> Self {
        let words: Vec<u64> = template.split(' ').map(word_hash).collect();
        let masked: Vec<bool> = template.split(' ').map(is_masked).collect();
        let shape = combine(&words, usize::MAX);
        let constants = masked.iter().filter(|masked| !**masked).count();
        let mut places = Vec::new();
        if words.len() <= MAX_WORDS {
            for ((index, masked), word) in masked.iter().enumerate().zip(template.split(' ')) {
                let others = constants - usize::from(!masked);
                if others < MIN_CONSTANT {
                    continue;
                }
                let needed = if index == 0 { MIN_FIRST_VALUES } else { MIN_VALUES };
                let whole = is_whole_mask(word);
                // The key of `key=value` stays; only values of the same key are compared.
                let key = fnv_text(combine(&words, index), key_of(word));
                places.push(Place { key, whole, needed });
            }
        }
        Self { shape, places }
    }
}

/// Whether a word holds a mask.
fn is_masked(word: &str) -> bool {
    word.contains('<') && word.contains('>')
}

/// The part of a word up to its last `=` that has a value behind it.
fn key_of(word: &str) -> &str {
    let value = word.rsplit('=').find(|part| !part.is_empty()).unwrap_or(word);
    let end = word.rfind(value).unwrap_or(0);
    word.get(..end).unwrap_or("")
}

fn fnv_text(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, fnv)
}

/// Whether a word, or the value behind its `=`, is masked as a whole.
fn is_whole_mask(word: &str) -> bool {
    let value = word.rsplit('=').find(|part| !part.is_empty()).unwrap_or(word);
    let mut inside = false;
    let mut masks = 0;
    for byte in value.bytes() {
        match byte {
            b'<' => inside = true,
            b'>' if inside => {
                inside = false;
                masks += 1;
            }
            _ if !inside && byte.is_ascii_alphabetic() => return false,
            _ => {}
        }
    }
    masks > 0
}

/// Hash of a word in which all masks count as the same.
fn word_hash(word: &str) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut inside = false;
    for byte in word.bytes() {
        if byte == b'<' {
            inside = true;
            hash = fnv(hash, b'<');
        } else if byte == b'>' {
            inside = false;
        } else if !inside {
            hash = fnv(hash, byte);
        }
    }
    hash
}

/// Hash of words, one of them left open.
fn combine(words: &[u64], open: usize) -> u64 {
    let mut hash = FNV_OFFSET;
    for (index, word) in words.iter().enumerate() {
        let word = if index == open { OPEN_PLACE } else { *word };
        for byte in word.to_le_bytes() {
            hash = fnv(hash, byte);
        }
    }
    if open < words.len() { fnv(fnv(hash, 1), open as u8) } else { hash }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
const OPEN_PLACE: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of FNV-1a, a hash that is the same in every process.
fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
}

fn parse_id(id: &str) -> Option<Id> {
    if id.len() == 16 { u64::from_str_radix(id, 16).ok() } else { None }
}

fn format_id(id: Id) -> String {
    format!("{id:016x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;
    use crate::template::pattern_id;

    fn table_of(templates: &[&str]) -> PatternTable {
        let mut table = PatternTable::new(1_000);
        for template in templates {
            table.observe(&pattern_id(template), template, 1);
        }
        table
    }

    fn same(table: &PatternTable, a: &str, b: &str) -> bool {
        table.resolve(&pattern_id(a)) == table.resolve(&pattern_id(b))
    }

    #[test]
    fn a_word_that_takes_many_values_is_a_variable() {
        let users = ["root", "bob", "eve", "ann", "git"];
        let templates: Vec<String> =
            users.iter().map(|user| format!("session opened for user {user} now")).collect();
        let refs: Vec<&str> = templates.iter().map(String::as_str).collect();
        let four = table_of(&refs[..4]);
        assert!(!same(&four, refs[0], refs[3]));
        let five = table_of(&refs);
        assert!(same(&five, refs[0], refs[4]));
    }

    #[test]
    fn masks_of_different_types_are_one_pattern() {
        let table =
            table_of(&["close <ip> by <num>", "close <host> by <id>", "open <ip> by <num>"]);
        assert!(same(&table, "close <ip> by <num>", "close <host> by <id>"));
        assert!(!same(&table, "close <ip> by <num>", "open <ip> by <num>"));
    }

    #[test]
    fn what_is_published_lets_another_instance_agree() {
        let templates: Vec<String> =
            (b'a'..b'p').map(|byte| format!("login of user {} failed", char::from(byte))).collect();
        let mut here = PatternTable::new(100);
        let mut there = PatternTable::new(100);
        for template in &templates {
            for record in here.observe(&pattern_id(template), template, 5) {
                there.apply(&record);
            }
        }
        for template in &templates {
            let id = pattern_id(template);
            assert_eq!(here.resolve(&id), there.resolve(&id));
        }
        assert_eq!(here.canonical_count(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut table = PatternTable::new(10);
        for number in 0..1_000u32 {
            let word: String =
                number.to_string().bytes().map(|byte| char::from(byte - b'0' + b'a')).collect();
            let template = format!("unique {word} thing {word} happened {word}");
            table.observe(&pattern_id(&template), &template, 1);
        }
        assert_eq!(table.len(), 10);
        assert!(table.buckets.len() <= 10 * MAX_WORDS && table.parents.len() <= 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_order_does_not_matter(words in proptest::collection::vec(("[a-c]", "[a-h]", prop_oneof![Just("<num>".to_owned()), "[a-h]".prop_map(String::from)]), 1..60), seed in 0usize..1000) {
            let templates: Vec<String> = words.iter().map(|(a, b, c)| format!("verb {a} object {b} at {c}")).collect();
            let forward: Vec<&str> = templates.iter().map(String::as_str).collect();
            let mut shuffled = forward.clone();
            let length = shuffled.len();
            shuffled.rotate_left(seed % length);
            shuffled.reverse();
            let (a, b) = (table_of(&forward), table_of(&shuffled));
            for template in &forward {
                let id = pattern_id(template);
                prop_assert_eq!(a.resolve(&id), b.resolve(&id));
            }
        }
    }
}

//! Learns which patterns are one: those that differ in values alone, and those that differ in a
//! word that takes many values in one place.
//! Promises: bounded memory, in which what reports failures stays longest; while nothing was
//! evicted and no variable took more than `KEPT_VALUES` values, the outcome depends on the set of
//! patterns seen, not on their order, so that instances that share the table agree.

mod ages;
mod places;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt};
use hephaestus_schemas::Pattern;

use crate::template;
use ages::{Ages, Links};
pub use places::Thresholds;
use places::{Buckets, Place, Shown, opened, places};

/// Patterns that are kept of one variable or one shape; a further value is known by its shape.
const KEPT_VALUES: usize = 32;
/// Links that are kept, for each pattern that is remembered.
const LINKS_PER_PATTERN: usize = 16;
/// Links followed from a pattern to the one it is an alias of.
const MAX_LINKS: usize = 1_000;

/// Numeric form of a pattern's id.
type Id = u64;

/// The shape of a template: those that differ in the kinds of their values, or in how many a list holds, share it.
pub(crate) fn shape_of(template: &str) -> String {
    shape::words(template).join(" ")
}

/// What patterns of one shape have in common.
#[derive(Debug, Clone)]
struct Shape {
    text: Box<str>,
    /// The shape that it is one with; itself where it stands for all of them.
    parent: Id,
    /// The pattern that showed it first, and its template where that is another text.
    first: Id,
    first_template: Option<Box<str>>,
    /// Whether it is more than that pattern: several have it, or it stands for other shapes.
    plural: bool,
    /// Patterns that were kept of it.
    patterns: usize,
    /// Words that are no values: what has fewer is more general.
    constants: usize,
    /// Microseconds since 1970 UTC.
    first_seen: i64,
    /// Whether one of its events reported a failure.
    failing: bool,
    /// Whether it came again since eviction last looked at it.
    recent: bool,
    /// What was last published of itself, and of its first pattern.
    published: Option<Option<Id>>,
    first_published: Option<Option<Id>>,
}

/// The patterns that are known, and which of them are one.
#[derive(Debug, Clone)]
pub struct PatternTable {
    shapes: HashMap<Id, Shape>,
    buckets: Buckets,
    /// The shape of each pattern, and what an evicted shape was one with.
    links: Links,
    ages: Ages,
    thresholds: Thresholds,
    max_patterns: usize,
}

impl PatternTable {
    /// An empty table that remembers at most `max_patterns` patterns.
    pub fn new(max_patterns: usize) -> Self {
        Self::with_thresholds(max_patterns, Thresholds::default())
    }

    /// As `new`, with other thresholds: instances that share a table must have the same.
    pub fn with_thresholds(max_patterns: usize, thresholds: Thresholds) -> Self {
        let max_patterns = max_patterns.max(1);
        Self {
            shapes: HashMap::new(),
            buckets: Buckets::default(),
            links: Links::new(max_patterns.saturating_mul(LINKS_PER_PATTERN)),
            ages: Ages::default(),
            thresholds,
            max_patterns,
        }
    }

    /// Takes note of a pattern, and of whether its event reported a failure. Returns what is to be
    /// published: the pattern where it is new, and each pattern that it showed to be an alias; not
    /// each further value of a known variable. `first_seen` is in microseconds since 1970 UTC.
    pub fn observe(
        &mut self,
        pattern_id: &str,
        template: &str,
        first_seen: i64,
        failing: bool,
    ) -> Vec<Pattern> {
        match parse_id(pattern_id) {
            Some(id) => self.observe_number(id, template, first_seen, failing),
            None => Vec::new(),
        }
    }

    /// As `observe`; the id as a number.
    pub(crate) fn observe_number(
        &mut self,
        id: u64,
        template: &str,
        first_seen: i64,
        failing: bool,
    ) -> Vec<Pattern> {
        let mut touched = BTreeSet::new();
        let records = self.take(id, template, first_seen, failing, &mut touched);
        self.publish(&touched, records.into_iter().collect())
    }

    /// As `observe`, where nothing is published; the id as a number.
    pub(crate) fn learn(&mut self, id: u64, template: &str, first_seen: i64, failing: bool) {
        let _ = self.take(id, template, first_seen, failing, &mut BTreeSet::new());
    }

    /// Takes over what an instance published. Returns what only both together show to be an alias.
    pub fn apply(&mut self, pattern: &Pattern) -> Vec<Pattern> {
        let Some(id) = parse_id(&pattern.id) else { return Vec::new() };
        let mut touched = BTreeSet::new();
        // The pattern is published already; what it is an alias of follows from the templates.
        let _ = self.take(id, &pattern.template, pattern.first_seen, false, &mut touched);
        let published = pattern.alias_of.as_deref().map(parse_id);
        if let Some(shape) = self.shapes.get_mut(&id) {
            shape.published = Some(published.flatten());
            shape.first_seen = shape.first_seen.min(pattern.first_seen);
        }
        let shape_id = self.links.get(id).unwrap_or(id);
        if let Some(shape) = self.shapes.get_mut(&shape_id).filter(|shape| shape.first == id) {
            shape.first_published = Some(published.flatten());
            shape.first_seen = shape.first_seen.min(pattern.first_seen);
        }
        self.publish(&touched, Vec::new())
    }

    /// The pattern that a pattern is an alias of, over all links; itself where it is none.
    pub fn resolve(&self, pattern_id: &str) -> String {
        match parse_id(pattern_id) {
            Some(id) => template::written_id(self.canonical(id)),
            None => pattern_id.to_owned(),
        }
    }

    /// As `resolve`, for a pattern that may be one of the many values of a variable that are not kept.
    pub fn resolve_template(&self, pattern_id: &str, template: &str) -> String {
        let Some(id) = parse_id(pattern_id) else { return pattern_id.to_owned() };
        if self.links.get(id).is_some() || self.shapes.contains_key(&id) {
            return template::written_id(self.canonical(id));
        }
        let words = shape::words(template);
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let shape_id = template::pattern_number(&words.join(" "));
        if self.shapes.contains_key(&shape_id) {
            return template::written_id(self.root(shape_id));
        }
        let (places, _) = places(&words);
        let general = places.iter().find_map(|place| self.buckets.general(place.key));
        template::written_id(general.map_or(id, |general| self.root(general)))
    }

    /// Shapes of patterns that are remembered.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Patterns that are remembered, aliases counted as the pattern they became.
    pub fn canonical_count(&self) -> usize {
        let mut roots: Vec<Id> = self.shapes.keys().map(|id| self.root(*id)).collect();
        roots.sort_unstable();
        roots.dedup();
        roots.len()
    }

    /// Every alias that is remembered, and what it is an alias of.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        let shapes = self.shapes.iter().flat_map(|(id, shape)| [*id, shape.first]);
        let ids = self.links.ids().chain(shapes);
        let resolved = ids.map(|id| (id, self.canonical(id)));
        resolved
            .filter(|(id, root)| id != root)
            .map(|(id, root)| (template::written_id(id), template::written_id(root)))
            .collect()
    }

    /// What a pattern or a shape is an alias of.
    fn canonical(&self, id: Id) -> Id {
        let shape_id = self.links.get(id).unwrap_or(id);
        let root = self.root(shape_id);
        match self.shapes.get(&root) {
            Some(shape) if !shape.plural => shape.first,
            _ => root,
        }
    }

    /// The shape that stands for all that a shape is one with.
    fn root(&self, shape: Id) -> Id {
        let mut current = shape;
        for _ in 0..MAX_LINKS {
            let next = match self.shapes.get(&current) {
                Some(shape) => shape.parent,
                None => self.links.get(current).unwrap_or(current),
            };
            if next == current {
                return current;
            }
            current = next;
        }
        current
    }

    /// Takes note of a pattern; gives its record where it is one more of a shape.
    fn take(
        &mut self,
        id: Id,
        template: &str,
        first_seen: i64,
        failing: bool,
        touched: &mut BTreeSet<Id>,
    ) -> Option<Pattern> {
        let known = self.links.get(id).unwrap_or(id);
        if self.touch(known, failing) {
            return None;
        }
        let words = shape::words(template);
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let text = words.join(" ");
        let shape_id = template::pattern_number(&text);
        if self.touch(shape_id, failing) {
            return self.further(id, shape_id, template, first_seen, touched);
        }
        let (places, constants) = places(&words);
        if let Some(general) = self.value_of(&places) {
            self.touch(general, failing);
            self.links.insert(id, general);
            return None;
        }
        let first_template = (id != shape_id).then(|| template.into());
        if id != shape_id {
            self.links.insert(id, shape_id);
        }
        let shape = Shape {
            text: text.clone().into(),
            parent: shape_id,
            first: id,
            first_template,
            plural: id == shape_id && text.contains(shape::ANY),
            patterns: 1,
            constants,
            first_seen,
            failing,
            recent: false,
            published: None,
            first_published: None,
        };
        self.insert(shape_id, shape, &words, &places, touched);
        None
    }

    /// A further pattern of a shape.
    fn further(
        &mut self,
        id: Id,
        shape_id: Id,
        template: &str,
        first_seen: i64,
        touched: &mut BTreeSet<Id>,
    ) -> Option<Pattern> {
        let shape = self.shapes.get_mut(&shape_id)?;
        if id == shape_id {
            // The text of the shape itself came, as a pattern or from another instance.
            shape.plural = true;
            touched.insert(shape_id);
            return None;
        }
        self.links.insert(id, shape_id);
        shape.plural = true;
        shape.patterns += 1;
        touched.insert(shape_id);
        (shape.patterns <= KEPT_VALUES).then(|| Pattern {
            id: template::written_id(id),
            template: template.to_owned(),
            alias_of: Some(template::written_id(shape_id)),
            first_seen,
        })
    }

    /// Takes note that a shape came again; whether it is known.
    fn touch(&mut self, id: Id, failing: bool) -> bool {
        let Some(shape) = self.shapes.get_mut(&id) else { return false };
        shape.recent = true;
        if failing && !shape.failing {
            shape.failing = true;
            self.ages.rises(id);
        }
        true
    }

    /// The open shape of a variable that has shown enough values already.
    fn value_of(&self, places: &[Place]) -> Option<Id> {
        let full = |place: &&Place| self.buckets.members(place.key).len() >= KEPT_VALUES;
        let known = |place: &Place| self.buckets.general(place.key);
        places.iter().filter(full).filter_map(known).find(|id| self.shapes.contains_key(id))
    }

    fn insert(
        &mut self,
        id: Id,
        shape: Shape,
        words: &[&str],
        places: &[Place],
        touched: &mut BTreeSet<Id>,
    ) {
        while self.shapes.len() >= self.max_patterns {
            if !self.evict() {
                break;
            }
        }
        let (first_seen, failing) = (shape.first_seen, shape.failing);
        self.ages.add(id, failing);
        self.shapes.insert(id, shape);
        touched.insert(id);
        for place in places {
            if self.buckets.add(place, id, &self.thresholds) == Shown::Nothing {
                continue;
            }
            if let Some(general) = self.buckets.general(place.key) {
                self.unite(id, general, touched);
                continue;
            }
            let Some(open) = opened(words, place.opening) else { continue };
            let text = open.join(" ");
            let general = template::pattern_number(&text);
            self.buckets.set_general(place.key, general);
            let members = self.buckets.members(place.key).to_vec();
            if general != id && !self.shapes.contains_key(&general) {
                let _ = self.take(general, &text, first_seen, failing, touched);
            }
            for member in members {
                self.unite(member, general, touched);
            }
        }
    }

    /// Makes two shapes one. The more general stands for both, whichever came first.
    fn unite(&mut self, a: Id, b: Id, touched: &mut BTreeSet<Id>) {
        let (root_a, root_b) = (self.root(a), self.root(b));
        if root_a == root_b {
            return;
        }
        let rank = |id: Id| self.shapes.get(&id).map(|shape| (shape.constants, id));
        let (Some(rank_a), Some(rank_b)) = (rank(root_a), rank(root_b)) else { return };
        let (kept, gone) = if rank_a <= rank_b { (root_a, root_b) } else { (root_b, root_a) };
        if let Some(shape) = self.shapes.get_mut(&gone) {
            shape.parent = kept;
        }
        if let Some(shape) = self.shapes.get_mut(&kept) {
            shape.plural = true;
        }
        // Shorten the way for the two that were asked about.
        for id in [a, b] {
            if id != kept
                && let Some(shape) = self.shapes.get_mut(&id)
            {
                shape.parent = kept;
            }
        }
        touched.extend([a, b, gone, kept]);
    }

    /// Forgets the pattern that has not come for longest, a failure only when there is no other;
    /// that it was an alias stays known. False when nothing is left to forget.
    fn evict(&mut self) -> bool {
        let Some(id) = self.ages.next(&mut self.shapes, self.max_patterns) else { return false };
        let root = self.root(id);
        let Some(shape) = self.shapes.remove(&id) else { return true };
        let words: Vec<&str> = shape.text.split(' ').collect();
        for place in &places(&words).0 {
            self.buckets.remove(place, id);
        }
        if root != id {
            self.links.insert(id, root);
        } else if !shape.plural {
            self.links.forget(shape.first);
        }
        true
    }

    /// The records for what differs from what was published.
    fn publish(&mut self, touched: &BTreeSet<Id>, mut records: Vec<Pattern>) -> Vec<Pattern> {
        for id in touched {
            let Some(shape) = self.shapes.get_mut(id) else { continue };
            let root = (shape.parent != *id).then_some(shape.parent);
            let record = |id: Id, template: &str, alias: Option<Id>| Pattern {
                id: template::written_id(id),
                template: template.to_owned(),
                alias_of: alias.map(template::written_id),
                first_seen: shape.first_seen,
            };
            if shape.plural && shape.first != *id {
                if shape.published != Some(root) {
                    records.push(record(*id, &shape.text, root));
                    shape.published = Some(root);
                }
                if shape.first_published != Some(Some(*id)) {
                    let template = shape.first_template.as_deref().unwrap_or(&shape.text);
                    records.push(record(shape.first, template, Some(*id)));
                    shape.first_published = Some(Some(*id));
                }
            } else if shape.first_published != Some(root) {
                let template = shape.first_template.as_deref().unwrap_or(&shape.text);
                records.push(record(shape.first, template, root));
                shape.first_published = Some(root);
            }
        }
        records
    }
}

fn parse_id(id: &str) -> Option<Id> {
    if id.len() == 16 { u64::from_str_radix(id, 16).ok() } else { None }
}

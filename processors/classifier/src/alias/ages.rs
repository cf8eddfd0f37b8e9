//! What is forgotten first, and what stays known of what was forgotten.
//! Promises: each step takes constant time on average; failures are forgotten last.

use std::collections::VecDeque;

use foldhash::{HashMap, HashMapExt};

use super::{Id, Shape};

/// Of the patterns that are remembered, the share that reports of failures may take (in quarters):
/// what is new must find room.
const FAILING_QUARTERS: usize = 3;
/// Shapes that stand for others and are passed over in one search, before one of them has to go.
const MAX_SPARED: usize = 256;

/// Shapes in the order in which they came, or were last seen to come again.
#[derive(Debug, Clone, Default)]
pub(super) struct Ages {
    others: VecDeque<Id>,
    failing: VecDeque<Id>,
}

impl Ages {
    /// Takes note of a shape that is new.
    pub(super) fn add(&mut self, id: Id, failing: bool) {
        if failing { self.failing.push_back(id) } else { self.others.push_back(id) }
    }

    /// Takes note that a shape reported a failure for the first time.
    pub(super) fn rises(&mut self, id: Id) {
        self.failing.push_back(id);
    }

    /// Takes the shape that is to be forgotten next. One that came again lately gets a second chance.
    pub(super) fn next(&mut self, shapes: &mut HashMap<Id, Shape>, max: usize) -> Option<Id> {
        let mut spared = 0;
        loop {
            let crowded = self.failing.len() > max.saturating_mul(FAILING_QUARTERS) / 4;
            let of_failing = self.others.is_empty() || crowded;
            let queue = if of_failing { &mut self.failing } else { &mut self.others };
            let id = queue.pop_front()?;
            let Some(shape) = shapes.get_mut(&id) else { continue };
            if shape.failing && !of_failing {
                // It rose, and stands among the failing.
                continue;
            }
            let stands_for_others = shape.plural && shape.parent == id && spared < MAX_SPARED;
            if shape.recent || stands_for_others {
                spared += usize::from(!shape.recent);
                shape.recent = false;
                queue.push_back(id);
                continue;
            }
            return Some(id);
        }
    }
}

/// Which shape each pattern has: bounded, the oldest go first.
#[derive(Debug, Clone)]
pub(super) struct Links {
    targets: HashMap<Id, Id>,
    order: VecDeque<Id>,
    max: usize,
}

impl Links {
    pub(super) fn new(max: usize) -> Self {
        Self { targets: HashMap::new(), order: VecDeque::new(), max }
    }

    pub(super) fn get(&self, id: Id) -> Option<Id> {
        self.targets.get(&id).copied()
    }

    pub(super) fn insert(&mut self, id: Id, target: Id) {
        if id == target {
            return;
        }
        if self.targets.insert(id, target).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.targets.remove(&oldest);
        }
    }

    /// Forgets the link of a pattern; its place in the order is given up when it comes to be the oldest.
    pub(super) fn forget(&mut self, id: Id) {
        self.targets.remove(&id);
    }

    /// Every pattern that has a link.
    pub(super) fn ids(&self) -> impl Iterator<Item = Id> {
        self.targets.keys().copied()
    }
}

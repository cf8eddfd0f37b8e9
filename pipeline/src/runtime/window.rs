//! What is in flight of one partition: finished work waits here until everything before it is done.
//!
//! Promises that a commit covers a prefix of the input and never half of a unit of work.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

/// Place of a piece of work in the order of its partition.
pub(crate) type Seq = u64;

/// One unit of work: what was handled between two snapshots of a key's state.
pub(crate) type UnitId = u64;

#[derive(Debug)]
struct Slot {
    /// Topic and offset of a record; none for a timer.
    input: Option<(Arc<str>, u64)>,
    /// The unit that finished it.
    done_by: Option<UnitId>,
}

/// The window of one partition. `T` is what a finished unit leads to.
#[derive(Debug)]
pub(crate) struct Window<T> {
    slots: VecDeque<Slot>,
    first: Seq,
    units: HashMap<UnitId, Finished<T>>,
    next_unit: UnitId,
}

#[derive(Debug)]
struct Finished<T> {
    last: Seq,
    result: T,
}

/// A prefix of the window that can be committed whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// Pieces of work in it.
    pub(crate) length: usize,
    /// Its units, in the order of their first piece of work.
    pub(crate) units: Vec<UnitId>,
    /// For each topic the offset after the last record in it.
    pub(crate) offsets: BTreeMap<Arc<str>, u64>,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { slots: VecDeque::new(), first: 0, units: HashMap::new(), next_unit: 0 }
    }
}

impl<T> Window<T> {
    /// Takes in a record (or, without one, a timer) at the end.
    pub(crate) fn push(&mut self, input: Option<(Arc<str>, u64)>) -> Seq {
        let seq = self.first + self.slots.len() as u64;
        self.slots.push_back(Slot { input, done_by: None });
        seq
    }

    /// The first piece of work that no unit has finished.
    pub(crate) fn first_undone(&self) -> Option<Seq> {
        let index = self.slots.iter().position(|slot| slot.done_by.is_none())?;
        Some(self.first + index as u64)
    }

    /// Notes that a unit handled these pieces of work.
    pub(crate) fn finish(&mut self, seqs: &[Seq], result: T) {
        let Some(last) = seqs.iter().max().copied() else { return };
        let unit = self.next_unit;
        self.next_unit += 1;
        for seq in seqs {
            let index = seq.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
            if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
                slot.done_by = Some(unit);
            }
        }
        self.units.insert(unit, Finished { last, result });
    }

    /// The longest prefix that is done and cuts through no unit.
    pub(crate) fn ready(&self) -> Option<Prefix> {
        let mut reach = 0;
        let mut whole = 0;
        for (index, slot) in self.slots.iter().enumerate() {
            let Some(finished) = slot.done_by.and_then(|unit| self.units.get(&unit)) else { break };
            let seq = self.first + index as u64;
            reach = finished.last.max(reach);
            if seq == reach {
                whole = index + 1;
            }
        }
        if whole == 0 {
            return None;
        }
        let mut prefix = Prefix { length: whole, units: Vec::new(), offsets: BTreeMap::new() };
        let mut seen = std::collections::HashSet::new();
        for slot in self.slots.iter().take(whole) {
            if let Some((topic, offset)) = &slot.input {
                prefix.offsets.insert(topic.clone(), offset + 1);
            }
            if let Some(unit) = slot.done_by
                && seen.insert(unit)
            {
                prefix.units.push(unit);
            }
        }
        Some(prefix)
    }

    /// What a unit of a prefix leads to.
    pub(crate) fn result(&self, unit: UnitId) -> Option<&T> {
        self.units.get(&unit).map(|finished| &finished.result)
    }

    /// Lets go of a prefix once it is committed; gives back what its units led to.
    pub(crate) fn release(&mut self, prefix: &Prefix) -> Vec<T> {
        self.slots.drain(..prefix.length.min(self.slots.len()));
        self.first += prefix.length as u64;
        let finished = prefix.units.iter().filter_map(|unit| self.units.remove(unit));
        finished.map(|finished| finished.result).collect()
    }

    /// Whether nothing is in flight.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Pieces of work in flight.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn topic() -> Arc<str> {
        "t".into()
    }

    #[test]
    fn a_prefix_never_cuts_through_a_unit() {
        let mut window = Window::default();
        let seqs: Vec<Seq> = (10..14).map(|offset| window.push(Some((topic(), offset)))).collect();
        window.finish(&[seqs[0], seqs[2]], 'a');
        assert_eq!(window.ready(), None, "the second record is not done");
        window.finish(&[seqs[1]], 'b');
        let prefix = window.ready().unwrap();
        assert_eq!(prefix.length, 3);
        assert_eq!(prefix.offsets[&topic()], 13);
        assert_eq!(window.release(&prefix), ['a', 'b']);
        assert_eq!(window.len(), 1);
        assert_eq!(window.ready(), None);
    }

    #[test]
    fn a_timer_takes_a_place_but_no_offset() {
        let mut window = Window::default();
        let timer = window.push(None);
        window.finish(&[timer], ());
        let prefix = window.ready().unwrap();
        assert!(prefix.offsets.is_empty());
        assert_eq!(window.release(&prefix).len(), 1);
        assert!(window.is_empty());
    }

    proptest! {
        /// Whatever the order in which units finish: each is released exactly once, whole,
        /// and offsets only grow and never pass what is undone.
        #[test]
        fn every_unit_is_released_once(
            keys in prop::collection::vec(0u8..4, 1..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 60),
        ) {
            let mut window = Window::default();
            let mut units: Vec<Vec<Seq>> = vec![Vec::new(); 4];
            for (offset, key) in keys.iter().enumerate() {
                let seq = window.push(Some((topic(), offset as u64)));
                units[usize::from(*key)].push(seq);
            }
            let mut waiting: Vec<Vec<Seq>> = units
                .iter()
                .flat_map(|seqs| seqs.chunks(3).map(<[Seq]>::to_vec))
                .collect();
            let mut released = 0;
            let mut committed = 0;
            for index in order {
                if waiting.is_empty() { break; }
                let unit = waiting.remove(index.index(waiting.len()));
                let size = unit.len();
                window.finish(&unit, size);
                if let Some(prefix) = window.ready() {
                    let next = prefix.offsets[&topic()];
                    prop_assert!(next > committed);
                    committed = next;
                    released += window.release(&prefix).iter().sum::<usize>();
                    prop_assert_eq!(released as u64, committed);
                }
            }
            prop_assert_eq!(released, keys.len());
            prop_assert!(window.is_empty());
        }
    }
}

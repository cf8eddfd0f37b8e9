//! What is in flight of one partition: finished work waits here until everything before it is done.
//!
//! Promises that a commit covers a prefix of the input and never half of a unit of work.

use std::{collections::VecDeque, sync::Arc};

/// Place of a piece of work in the order of its partition.
pub(crate) type Seq = u64;

#[derive(Debug)]
struct Slot {
    /// Index of the topic, and offset of a record; none for a timer.
    input: Option<(usize, u64)>,
    /// The unit that finished it.
    done_by: Option<UnitId>,
}

/// One unit of work: what was handled between two snapshots of a key's state.
pub(crate) type UnitId = u64;

/// The window of one partition. `T` is what a finished unit leads to.
#[derive(Debug)]
pub(crate) struct Window<T> {
    /// Topics whose records have been in it: those of the group, few.
    topics: Vec<Arc<str>>,
    slots: VecDeque<Slot>,
    first: Seq,
    /// Units by their number, from `first_unit` on; none where one was released before an earlier one.
    units: VecDeque<Option<Finished<T>>>,
    first_unit: UnitId,
}

#[derive(Debug)]
struct Finished<T> {
    first: Seq,
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
    pub(crate) offsets: Vec<(Arc<str>, u64)>,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            slots: VecDeque::new(),
            first: 0,
            units: VecDeque::new(),
            first_unit: 0,
        }
    }
}

impl<T> Window<T> {
    /// Takes in a record (or, without one, a timer) at the end.
    pub(crate) fn push(&mut self, input: Option<(&Arc<str>, u64)>) -> Seq {
        let seq = self.first + self.slots.len() as u64;
        let input = input.map(|(topic, offset)| (self.topic_index(topic), offset));
        self.slots.push_back(Slot { input, done_by: None });
        seq
    }

    fn topic_index(&mut self, topic: &Arc<str>) -> usize {
        let known = self.topics.iter().position(|known| known == topic);
        known.unwrap_or_else(|| {
            self.topics.push(topic.clone());
            self.topics.len() - 1
        })
    }

    /// The first piece of work that no unit has finished.
    pub(crate) fn first_undone(&self) -> Option<Seq> {
        let index = self.slots.iter().position(|slot| slot.done_by.is_none())?;
        Some(self.first + index as u64)
    }

    /// Notes that a unit handled these pieces of work.
    pub(crate) fn finish(&mut self, seqs: &[Seq], result: T) {
        let (Some(first), Some(last)) = (seqs.iter().min().copied(), seqs.iter().max().copied())
        else {
            return;
        };
        let unit = self.first_unit + self.units.len() as u64;
        for seq in seqs {
            let index = seq.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
            if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
                slot.done_by = Some(unit);
            }
        }
        self.units.push_back(Some(Finished { first, last, result }));
    }

    fn unit(&self, unit: UnitId) -> Option<&Finished<T>> {
        let index = usize::try_from(unit.checked_sub(self.first_unit)?).ok()?;
        self.units.get(index)?.as_ref()
    }

    /// The longest prefix that is done and cuts through no unit.
    pub(crate) fn ready(&self) -> Option<Prefix> {
        let length = self.whole_length();
        if length == 0 {
            return None;
        }
        let mut units = Vec::new();
        for (seq, slot) in (self.first..).zip(self.slots.range(..length)) {
            let Some(unit) = slot.done_by else { continue };
            if self.unit(unit).is_some_and(|finished| finished.first == seq) {
                units.push(unit);
            }
        }
        let mut offsets = Vec::new();
        for (index, topic) in self.topics.iter().enumerate() {
            let inputs = self.slots.range(..length).rev().filter_map(|slot| slot.input);
            let last = inputs.into_iter().find(|(of, _)| *of == index);
            offsets.extend(last.map(|(_, offset)| (topic.clone(), offset + 1)));
        }
        Some(Prefix { length, units, offsets })
    }

    fn whole_length(&self) -> usize {
        let mut whole = 0;
        let mut reach = 0;
        for (index, slot) in self.slots.iter().enumerate() {
            let Some(finished) = slot.done_by.and_then(|unit| self.unit(unit)) else { break };
            reach = finished.last.max(reach);
            if self.first + index as u64 == reach {
                whole = index + 1;
            }
        }
        whole
    }

    /// What a unit of a prefix leads to.
    pub(crate) fn result(&self, unit: UnitId) -> Option<&T> {
        self.unit(unit).map(|finished| &finished.result)
    }

    /// Lets go of a prefix once it is committed; gives back what its units led to.
    pub(crate) fn release(&mut self, prefix: &Prefix) -> Vec<T> {
        self.slots.drain(..prefix.length.min(self.slots.len()));
        self.first += prefix.length as u64;
        let mut released = Vec::with_capacity(prefix.units.len());
        for unit in &prefix.units {
            let index =
                unit.checked_sub(self.first_unit).and_then(|unit| usize::try_from(unit).ok());
            let finished = index.and_then(|index| self.units.get_mut(index)).and_then(Option::take);
            released.extend(finished.map(|finished| finished.result));
        }
        while let Some(None) = self.units.front() {
            self.units.pop_front();
            self.first_unit += 1;
        }
        released
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
        let seqs: Vec<Seq> = (10..14).map(|offset| window.push(Some((&topic(), offset)))).collect();
        window.finish(&[seqs[0], seqs[2]], 'a');
        assert_eq!(window.ready(), None, "the second record is not done");
        window.finish(&[seqs[1]], 'b');
        let prefix = window.ready().unwrap();
        assert_eq!(prefix.length, 3);
        assert_eq!(prefix.offsets, [(topic(), 13)]);
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
                let seq = window.push(Some((&topic(), offset as u64)));
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
                    let next = prefix.offsets[0].1;
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

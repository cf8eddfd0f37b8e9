//! Consumer groups of this process: who owns which partition, and since when.
//!
//! A partition has one owner at a time; each change of owner has an epoch, and a commit names the epochs it saw.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::catalogue::{Catalogue, unknown};
use crate::engine::{EngineError, GroupSpec};

/// Number of a member, never used twice in a process.
pub(super) type MemberId = u64;

/// What a commit claims to own.
#[derive(Debug, Clone)]
pub(super) struct Fence {
    pub(super) group: Arc<str>,
    pub(super) member: MemberId,
    /// Partitions, and the epoch in which the member got each.
    pub(super) epochs: Vec<(u32, u64)>,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    groups: HashMap<Arc<str>, Group>,
    next_member: MemberId,
    next_epoch: u64,
}

#[derive(Debug)]
struct Group {
    topics: Vec<Arc<str>>,
    state_topic: Option<Arc<str>>,
    /// In the order in which they joined.
    members: Vec<MemberId>,
    /// Owner of each partition, and the epoch since when.
    owners: Vec<Option<(MemberId, u64)>>,
    /// Changes with every change of ownership.
    changed: watch::Sender<()>,
}

impl Groups {
    /// Adds a member; the partitions are spread anew.
    pub(super) fn join(
        &self,
        spec: &GroupSpec,
        catalogue: &Catalogue,
    ) -> Result<(MemberId, watch::Receiver<()>), EngineError> {
        let partitions = common_partitions(spec, catalogue)?;
        let mut inner = self.lock();
        let inner = &mut *inner;
        let group = inner.groups.entry(spec.group.clone()).or_insert_with(|| Group {
            topics: spec.topics.clone(),
            state_topic: spec.state_topic.clone(),
            members: Vec::new(),
            owners: vec![None; partitions as usize],
            changed: watch::Sender::new(()),
        });
        if group.topics != spec.topics || group.state_topic != spec.state_topic {
            return Err(EngineError::Fatal(format!(
                "group {:?} reads {:?} with state {:?}, a member wants {:?} with state {:?}",
                spec.group, group.topics, group.state_topic, spec.topics, spec.state_topic
            )));
        }
        inner.next_member += 1;
        group.members.push(inner.next_member);
        let changes = group.changed.subscribe();
        group.rebalance(&mut inner.next_epoch);
        Ok((inner.next_member, changes))
    }

    /// Removes a member; its partitions go to the others.
    pub(super) fn leave(&self, name: &Arc<str>, member: MemberId) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let Some(group) = inner.groups.get_mut(name) else {
            return;
        };
        group.members.retain(|other| *other != member);
        if group.members.is_empty() {
            inner.groups.remove(name);
            return;
        }
        group.rebalance(&mut inner.next_epoch);
    }

    /// Partitions of a member, each with its epoch.
    pub(super) fn assignment(&self, name: &str, member: MemberId) -> BTreeMap<u32, u64> {
        let inner = self.lock();
        let Some(group) = inner.groups.get(name) else {
            return BTreeMap::new();
        };
        let mut owned = BTreeMap::new();
        for (partition, owner) in group.owners.iter().enumerate() {
            if let Some((owner, epoch)) = owner
                && *owner == member
            {
                owned.insert(partition as u32, *epoch);
            }
        }
        owned
    }

    /// Whether the member still owns what it claims to own.
    pub(super) fn holds(&self, fence: &Fence) -> bool {
        let inner = self.lock();
        let Some(group) = inner.groups.get(&fence.group) else {
            return false;
        };
        fence.epochs.iter().all(|(partition, epoch)| {
            let owner = group.owners.get(*partition as usize);
            owner == Some(&Some((fence.member, *epoch)))
        })
    }

    /// Topics that the members of a group read now.
    pub(super) fn topics(&self, name: &str) -> Vec<Arc<str>> {
        let inner = self.lock();
        let group = inner.groups.get(name);
        group.map(|group| group.topics.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn rebalance(&mut self, next_epoch: &mut u64) {
        let current: Vec<Option<MemberId>> =
            self.owners.iter().map(|owner| owner.map(|(member, _)| member)).collect();
        let wanted = spread(&current, &self.members);
        *next_epoch += 1;
        for (owner, wanted) in self.owners.iter_mut().zip(wanted) {
            if owner.map(|(member, _)| member) != wanted {
                *owner = wanted.map(|member| (member, *next_epoch));
            }
        }
        self.changed.send_replace(());
    }
}

/// Number of partitions that all topics of a group have.
fn common_partitions(spec: &GroupSpec, catalogue: &Catalogue) -> Result<u32, EngineError> {
    let mut common: Option<(&Arc<str>, u32)> = None;
    for name in spec.topics.iter().chain(&spec.state_topic) {
        let topic = catalogue.topic(name).ok_or_else(|| unknown(name, 0))?;
        let count = topic.partition_count();
        match common {
            Some((other, wanted)) if count != wanted => {
                return Err(EngineError::Fatal(format!(
                    "group {:?} needs topics with the same number of partitions, {other:?} has {wanted}, {name:?} has {count}",
                    spec.group
                )));
            }
            _ => common = Some((name, count)),
        }
    }
    if let Some(state) = &spec.state_topic
        && catalogue.topic(state).is_some_and(|topic| !topic.compacted)
    {
        return Err(EngineError::Fatal(format!(
            "state topic {state:?} of group {:?} is not compacted",
            spec.group
        )));
    }
    common
        .map(|(_, count)| count)
        .ok_or_else(|| EngineError::Fatal(format!("group {:?} names no topic to read", spec.group)))
}

/// Owners of partitions, as even as can be, with as few moves as that allows.
fn spread(current: &[Option<MemberId>], members: &[MemberId]) -> Vec<Option<MemberId>> {
    if members.is_empty() {
        return vec![None; current.len()];
    }
    let floor = current.len() / members.len();
    // So many members may hold one partition more than the others.
    let mut larger = current.len() % members.len();
    let mut held: HashMap<MemberId, usize> = members.iter().map(|member| (*member, 0)).collect();
    let mut owners = vec![None; current.len()];
    for (slot, owner) in owners.iter_mut().zip(current) {
        let Some(owner) = owner else { continue };
        let Some(count) = held.get_mut(owner) else {
            continue;
        };
        if *count < floor {
            *count += 1;
        } else if *count == floor && larger > 0 {
            *count += 1;
            larger -= 1;
        } else {
            continue;
        }
        *slot = Some(*owner);
    }
    for slot in &mut owners {
        if slot.is_some() {
            continue;
        }
        // The first of those that hold the fewest.
        let least = members.iter().min_by_key(|member| held.get(member).copied().unwrap_or(0));
        if let Some(member) = least {
            *slot = Some(*member);
            *held.entry(*member).or_default() += 1;
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_member_owns_all_and_the_second_takes_half() {
        let alone = spread(&[None; 4], &[1]);
        assert_eq!(alone, [Some(1); 4]);
        let both = spread(&alone, &[1, 2]);
        assert_eq!(both, [Some(1), Some(1), Some(2), Some(2)]);
        let second = spread(&both, &[2]);
        assert_eq!(second, [Some(2); 4]);
    }

    #[test]
    fn more_members_than_partitions_leaves_some_idle() {
        let owners = spread(&[None; 2], &[1, 2, 3]);
        assert_eq!(owners, [Some(1), Some(2)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn partitions_are_spread_evenly_and_move_only_where_they_must(
            partitions in 1usize..20,
            steps in prop::collection::vec((any::<bool>(), 0usize..8), 1..20),
        ) {
            let mut members: Vec<MemberId> = Vec::new();
            let mut owners: Vec<Option<MemberId>> = vec![None; partitions];
            let mut next = 0;
            for (joins, index) in steps {
                let before = members.clone();
                if joins || members.is_empty() {
                    next += 1;
                    members.push(next);
                } else {
                    members.remove(index % before.len());
                }
                let new = spread(&owners, &members);
                if members.is_empty() {
                    prop_assert!(new.iter().all(Option::is_none));
                    owners = new;
                    continue;
                }
                let count = |owners: &[Option<MemberId>], member| {
                    owners.iter().filter(|owner| **owner == Some(member)).count()
                };
                let counts: Vec<usize> = members.iter().map(|m| count(&new, *m)).collect();
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                prop_assert!(most - least <= 1, "{counts:?}");
                // Nobody who stays gives a partition away and gets another.
                for member in &members {
                    let lost = (0..partitions)
                        .filter(|p| owners[*p] == Some(*member) && new[*p] != Some(*member))
                        .count();
                    let won = (0..partitions)
                        .filter(|p| owners[*p] != Some(*member) && new[*p] == Some(*member))
                        .count();
                    prop_assert!(lost == 0 || won == 0);
                }
                owners = new;
            }
        }
    }
}

//! Which partitions a member has, since when, and what of it the driver was told: plain values.
//!
//! A partition that was lost and won again between two polls is told as revoked and assigned; its epoch differs.

use std::collections::BTreeMap;

/// Number of an assignment of a partition; never used twice by a member.
pub(super) type Epoch = u64;

/// Partitions, each with the epoch in which a commit claims to have it.
pub(super) type Claims = Vec<(u32, Epoch)>;

/// What a driver is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Revoked(Vec<u32>),
    Assigned(Vec<u32>),
}

/// Partitions of a member.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    last_epoch: Epoch,
    held: BTreeMap<u32, Held>,
    /// What the driver was told to have, with the epoch of that time.
    told: BTreeMap<u32, Epoch>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: Epoch,
    /// Its state is there.
    is_ready: bool,
}

impl Assignment {
    /// Takes partitions that the group gave; each is served once it is ready. Gives their epoch.
    pub(super) fn assign(&mut self, partitions: &[u32]) -> Epoch {
        self.last_epoch += 1;
        let epoch = self.last_epoch;
        for partition in partitions {
            self.held.insert(*partition, Held { epoch, is_ready: false });
        }
        epoch
    }

    /// Gives partitions back to the group.
    pub(super) fn revoke(&mut self, partitions: &[u32]) {
        for partition in partitions {
            self.held.remove(partition);
        }
    }

    /// Notes that the state of a partition is there. False where it was lost meanwhile.
    pub(super) fn ready(&mut self, partition: u32, epoch: Epoch) -> bool {
        let held = self.held.get_mut(&partition).filter(|held| held.epoch == epoch);
        let Some(held) = held else { return false };
        held.is_ready = true;
        true
    }

    /// Whether a partition is still had, since that epoch.
    pub(super) fn holds(&self, partition: u32, epoch: Epoch) -> bool {
        self.held.get(&partition).is_some_and(|held| held.epoch == epoch)
    }

    /// Whether everything that a commit claims is still had.
    pub(super) fn holds_all(&self, claims: &[(u32, Epoch)]) -> bool {
        claims.iter().all(|(partition, epoch)| self.holds(*partition, *epoch))
    }

    /// Number of partitions that the group gave.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// The next thing to tell the driver: first what was lost, then what is ready.
    pub(super) fn next_change(&mut self) -> Option<Change> {
        let is_lost = |(partition, epoch): &(&u32, &Epoch)| !self.holds(**partition, **epoch);
        let lost: Vec<u32> = self.told.iter().filter(is_lost).map(|(p, _)| *p).collect();
        if !lost.is_empty() {
            for partition in &lost {
                self.told.remove(partition);
            }
            return Some(Change::Revoked(lost));
        }
        let mut won = Vec::new();
        for (partition, held) in &self.held {
            if held.is_ready && !self.told.contains_key(partition) {
                won.push(*partition);
                self.told.insert(*partition, held.epoch);
            }
        }
        (!won.is_empty()).then_some(Change::Assigned(won))
    }

    /// Whether the driver has a partition, and rightly so.
    pub(super) fn is_served(&self, partition: u32) -> bool {
        self.told.get(&partition).is_some_and(|epoch| self.holds(partition, *epoch))
    }

    /// Whether the driver was told to have a partition and not yet that it was lost.
    pub(super) fn is_told(&self, partition: u32) -> bool {
        self.told.contains_key(&partition)
    }

    /// What a commit on these partitions claims. None where the driver was told of one of them no more.
    pub(super) fn claim(&self, partitions: impl IntoIterator<Item = u32>) -> Option<Claims> {
        let mut claims = Claims::new();
        for partition in partitions {
            let epoch = self.told.get(&partition)?;
            if !self.holds(partition, *epoch) {
                return None;
            }
            claims.push((partition, *epoch));
        }
        Some(claims)
    }

    /// A partition that the driver has, if any.
    pub(super) fn any_served(&self) -> Option<u32> {
        self.told.keys().copied().find(|partition| self.is_served(*partition))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_partition_is_told_once_it_is_ready_and_revoked_first() {
        let mut assignment = Assignment::default();
        let epoch = assignment.assign(&[0, 1]);
        assert_eq!(assignment.next_change(), None);
        assert!(assignment.ready(1, epoch));
        assert_eq!(assignment.next_change(), Some(Change::Assigned(vec![1])));
        assert_eq!(assignment.claim([0]), None);
        let claims = assignment.claim([1]).unwrap();
        assignment.revoke(&[0, 1]);
        assert!(!assignment.ready(0, epoch));
        assert!(!assignment.holds_all(&claims));
        // Won again before the driver polled: it is told of both.
        let again = assignment.assign(&[1]);
        assert!(assignment.ready(1, again));
        assert_eq!(assignment.claim([1]), None);
        assert_eq!(assignment.next_change(), Some(Change::Revoked(vec![1])));
        assert_eq!(assignment.next_change(), Some(Change::Assigned(vec![1])));
        assert!(!assignment.holds_all(&claims));
        assert_eq!(assignment.next_change(), None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Assign(u32),
        Revoke(u32),
        Ready(u32),
        Poll,
        Claim(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        (0u32..5, 0u32..3).prop_map(|(kind, partition)| match kind {
            0 => Step::Assign(partition),
            1 => Step::Revoke(partition),
            2 => Step::Ready(partition),
            3 => Step::Poll,
            _ => Step::Claim(partition),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_claim_dies_with_any_revocation_and_the_driver_is_told_of_each(
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let mut assignment = Assignment::default();
            let mut epochs: BTreeMap<u32, Epoch> = BTreeMap::new();
            let mut driver: BTreeSet<u32> = BTreeSet::new();
            // Claims, and whether a revocation came since.
            let mut claims: Vec<(u32, Claims, bool)> = Vec::new();
            for step in steps {
                match step {
                    Step::Assign(partition) if !epochs.contains_key(&partition) => {
                        epochs.insert(partition, assignment.assign(&[partition]));
                    }
                    Step::Assign(_) => {}
                    Step::Revoke(partition) => {
                        assignment.revoke(&[partition]);
                        epochs.remove(&partition);
                        for (claimed, _, is_dead) in &mut claims {
                            *is_dead |= *claimed == partition;
                        }
                    }
                    Step::Ready(partition) => {
                        let epoch = epochs.get(&partition).copied();
                        prop_assert_eq!(assignment.ready(partition, epoch.unwrap_or(0)), epoch.is_some());
                    }
                    Step::Poll => match assignment.next_change() {
                        Some(Change::Revoked(lost)) => {
                            for partition in lost {
                                prop_assert!(driver.remove(&partition));
                            }
                        }
                        Some(Change::Assigned(won)) => {
                            for partition in won {
                                prop_assert!(driver.insert(partition));
                                prop_assert!(epochs.contains_key(&partition));
                            }
                        }
                        None => {
                            prop_assert!(driver.iter().all(|partition| epochs.contains_key(partition)));
                        }
                    },
                    Step::Claim(partition) => {
                        let claim = assignment.claim([partition]);
                        prop_assert!(claim.is_none() || driver.contains(&partition));
                        claims.extend(claim.map(|claim| (partition, claim, false)));
                    }
                }
                for (_, claim, is_dead) in &claims {
                    prop_assert_eq!(assignment.holds_all(claim), !is_dead);
                }
            }
        }
    }
}

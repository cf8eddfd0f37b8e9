//! Which faults strike, and when: plain values from a seed, so that a run can be repeated.
//!
//! Promises: the same seed gives the same schedule; a round has every kind of fault, a dense one many of the brief ones.

use std::fmt;

use crate::proxy::{Direction, Mode};

/// Shortest and longest time that a fault of connections lasts, in milliseconds, unless it outlasts sessions.
const BRIEF_MS: (u64, u64) = (300, 2_500);
/// The same for further faults of a dense round.
const DENSE_MS: (u64, u64) = (200, 1_200);
/// The same where it outlasts the members' sessions and transactions (8 s each).
const LONG_MS: (u64, u64) = (10_500, 12_500);
/// One in so many faults of connections is a long one.
const LONG_IN: u64 = 5;
/// Least and most records that are acknowledged before the next fault.
const PROGRESS: (u64, u64) = (40, 400);
/// The same before the further faults of a dense round.
const DENSE_PROGRESS: (u64, u64) = (10, 100);

/// Requests whose answers are lost, or that come late, by their key in the Kafka protocol: Produce, AddPartitionsToTxn, AddOffsetsToTxn,
/// EndTxn, TxnOffsetCommit. Those of transactions more often.
const LOST: [u16; 7] = [0, 0, 24, 25, 26, 26, 28];

/// Numbers that look random and are the same each time (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A number in a range, both ends included.
    pub(crate) fn between(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.below(most - least + 1)
    }

    /// Whether something that happens once in so many times happens.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A fault. A `victim` is a number that stands for one of the processes, whichever there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9 of a stage's process, which is started again after a while.
    Kill { victim: u64, down_ms: u64 },
    /// A clean stop of a stage's process, which is started again at once.
    Restart { victim: u64 },
    /// kill -9 of the broker, which is started again at once.
    KillBroker,
    /// Something befalls every `every`th connection.
    Connections { mode: Mode, every: u64, lasts_ms: u64 },
    /// A member joins a stage's group, works for a while, and leaves: cleanly, or by kill -9.
    Rebalance { victim: u64, works_ms: u64, is_killed: bool },
    /// A process is stopped with a transaction open until the broker has given the transaction up, and goes on then.
    Expiry { victim: u64 },
    /// Nobody may produce more than so many bytes a second.
    Quota { bytes_per_second: u64, lasts_ms: u64 },
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    Restart,
    KillBroker,
    Slow,
    Frozen,
    HalfOpenToBroker,
    HalfOpenToClient,
    LostAnswers,
    Late,
    Reset,
    Rebalance,
    Expiry,
    Quota,
}

/// All of them.
pub(crate) const KINDS: [Kind; 13] = [
    Kind::Kill,
    Kind::Restart,
    Kind::KillBroker,
    Kind::Slow,
    Kind::Frozen,
    Kind::HalfOpenToBroker,
    Kind::HalfOpenToClient,
    Kind::LostAnswers,
    Kind::Late,
    Kind::Reset,
    Kind::Rebalance,
    Kind::Expiry,
    Kind::Quota,
];

/// Those that are over within seconds.
pub(crate) const BRIEF_KINDS: [Kind; 9] = [
    Kind::Kill,
    Kind::Restart,
    Kind::Slow,
    Kind::Frozen,
    Kind::HalfOpenToBroker,
    Kind::HalfOpenToClient,
    Kind::LostAnswers,
    Kind::Late,
    Kind::Reset,
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9 of a stage",
            Self::Restart => "clean restart of a stage",
            Self::KillBroker => "kill -9 of the broker",
            Self::Slow => "slow connections",
            Self::Frozen => "frozen connections",
            Self::HalfOpenToBroker => "half-open connections, nothing to the broker",
            Self::HalfOpenToClient => "half-open connections, nothing to clients",
            Self::LostAnswers => "lost answers to one kind of request",
            Self::Late => "late requests of one kind",
            Self::Reset => "reset connections",
            Self::Rebalance => "a member that comes and goes",
            Self::Expiry => "expiry of a transaction, and its zombie",
            Self::Quota => "full quota",
        })
    }
}

impl Fault {
    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Kill { .. } => Kind::Kill,
            Self::Restart { .. } => Kind::Restart,
            Self::KillBroker => Kind::KillBroker,
            Self::Connections { mode, .. } => match mode {
                Mode::Pass | Mode::Slow { .. } => Kind::Slow,
                Mode::Frozen => Kind::Frozen,
                Mode::HalfOpen(Direction::ToBroker) => Kind::HalfOpenToBroker,
                Mode::HalfOpen(Direction::ToClient) => Kind::HalfOpenToClient,
                Mode::LoseAnswers(_) => Kind::LostAnswers,
                Mode::Late(_) | Mode::Hold(_) => Kind::Late,
                Mode::Reset => Kind::Reset,
            },
            Self::Rebalance { .. } => Kind::Rebalance,
            Self::Expiry { .. } => Kind::Expiry,
            Self::Quota { .. } => Kind::Quota,
        }
    }

    fn random(kind: Kind, is_further: bool, chance: &mut Chance) -> Self {
        let victim = chance.below(1 << 16);
        let is_long = chance.once_in(LONG_IN);
        let lasts_ms = chance.between(match (is_further, is_long) {
            (true, _) => DENSE_MS,
            (false, true) => LONG_MS,
            (false, false) => BRIEF_MS,
        });
        let every = 1 + chance.below(3);
        let connections = |mode| Self::Connections { mode, every, lasts_ms };
        match kind {
            Kind::Kill => Self::Kill { victim, down_ms: chance.below(1_500) },
            Kind::Restart => Self::Restart { victim },
            Kind::KillBroker => Self::KillBroker,
            Kind::Slow => connections(Mode::Slow {
                latency_ms: chance.between((5, 200)),
                bytes_per_second: chance.between((20_000, 400_000)),
            }),
            Kind::Frozen => connections(Mode::Frozen),
            Kind::HalfOpenToBroker => connections(Mode::HalfOpen(Direction::ToBroker)),
            Kind::HalfOpenToClient => connections(Mode::HalfOpen(Direction::ToClient)),
            // Who sends the request is known to the broker alone, so this is for every connection.
            Kind::LostAnswers => {
                let key = LOST[chance.below(LOST.len() as u64) as usize];
                Self::Connections { mode: Mode::LoseAnswers(key), every: 1, lasts_ms }
            }
            // Some connections have to pass, so that clients go on while the requests are on their way.
            Kind::Late => {
                let key = LOST[chance.below(LOST.len() as u64) as usize];
                let every = 2 + chance.below(2);
                Self::Connections { mode: Mode::Late(key), every, lasts_ms }
            }
            // Whoever is reset comes back at once, so this need not last.
            Kind::Reset => {
                Self::Connections { mode: Mode::Reset, every, lasts_ms: chance.between((10, 800)) }
            }
            Kind::Rebalance => Self::Rebalance {
                victim,
                works_ms: chance.below(2_000),
                is_killed: chance.once_in(3),
            },
            Kind::Expiry => Self::Expiry { victim },
            Kind::Quota => Self::Quota {
                bytes_per_second: chance.between((10_000, 40_000)),
                lasts_ms: chance.between((1_500, 4_000)),
            },
        }
    }
}

/// A fault, and when it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Records acknowledged since the fault before it was over.
    pub(crate) after: u64,
    /// The fault.
    pub(crate) fault: Fault,
    /// What strikes while it lasts.
    pub(crate) meanwhile: Option<Fault>,
}

/// The faults of one round: every kind once and each brief one `further` times more, in random order, some with a kill or
/// restart inside.
pub(crate) fn round(seed: u64, round: u64, further: usize) -> Vec<Planned> {
    let mut chance = Chance(seed ^ round.wrapping_mul(0xd134_2543_de82_ef95));
    let further = (0..further).flat_map(|_| BRIEF_KINDS).map(|kind| (kind, true));
    let mut kinds: Vec<(Kind, bool)> = KINDS.map(|kind| (kind, false)).into();
    kinds.extend(further);
    for last in (1..kinds.len()).rev() {
        let other = chance.below(last as u64 + 1) as usize;
        kinds.swap(last, other);
    }
    kinds.iter().map(|(kind, is_further)| planned(*kind, *is_further, &mut chance)).collect()
}

fn planned(kind: Kind, is_further: bool, chance: &mut Chance) -> Planned {
    let fault = Fault::random(kind, is_further, chance);
    let can_hold = matches!(fault, Fault::Connections { .. } | Fault::Quota { .. });
    let meanwhile = (can_hold && chance.once_in(3)).then(|| {
        let kind = if chance.once_in(2) { Kind::Kill } else { Kind::Restart };
        Fault::random(kind, is_further, chance)
    });
    let after = chance.between(if is_further { DENSE_PROGRESS } else { PROGRESS });
    Planned { after, fault, meanwhile }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_seed_gives_the_same_schedule(seed: u64, number in 0u64..1_000) {
            prop_assert_eq!(round(seed, number, 3), round(seed, number, 3));
        }

        #[test]
        fn rounds_and_seeds_differ(seed: u64, number in 0u64..1_000) {
            prop_assert_ne!(round(seed, number, 0), round(seed, number + 1, 0));
            prop_assert_ne!(round(seed, number, 0), round(seed.wrapping_add(1), number, 0));
        }

        #[test]
        fn a_round_has_every_kind_once_and_waits_for_progress(seed: u64, number in 0u64..1_000) {
            let planned = round(seed, number, 0);
            let kinds: BTreeSet<Kind> = planned.iter().map(|one| one.fault.kind()).collect();
            prop_assert_eq!(planned.len(), KINDS.len());
            prop_assert_eq!(kinds, KINDS.into_iter().collect());
            prop_assert!(planned.iter().all(|one| (PROGRESS.0..=PROGRESS.1).contains(&one.after)));
        }

        #[test]
        fn a_dense_round_has_further_faults_that_are_brief(seed: u64, number in 0u64..1_000) {
            let planned = round(seed, number, 5);
            prop_assert_eq!(planned.len(), KINDS.len() + 5 * BRIEF_KINDS.len());
            for kind in KINDS {
                let times = if BRIEF_KINDS.contains(&kind) { 6 } else { 1 };
                prop_assert_eq!(planned.iter().filter(|one| one.fault.kind() == kind).count(), times);
            }
        }
    }

    #[test]
    fn a_long_run_has_faults_within_faults_and_long_ones() {
        let all: Vec<Planned> = (0..100).flat_map(|number| round(7, number, 0)).collect();
        let inside =
            |kind| all.iter().any(|one| one.meanwhile.is_some_and(|inside| inside.kind() == kind));
        assert!(inside(Kind::Kill) && inside(Kind::Restart));
        for kind in [
            Kind::Slow,
            Kind::Frozen,
            Kind::HalfOpenToBroker,
            Kind::HalfOpenToClient,
            Kind::LostAnswers,
        ] {
            let outlasts = |one: &Planned| {
                matches!(one.fault, Fault::Connections { lasts_ms, .. } if lasts_ms >= LONG_MS.0)
                    && one.fault.kind() == kind
            };
            assert!(all.iter().any(outlasts), "{kind} never outlasts a session");
        }
    }
}

//! A member of a group: follows its assignment, reads its partitions, commits under a fence.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::select_all;
use tokio::sync::watch;

use super::{
    Shared,
    catalogue::{Topic, unknown},
    core::{Core, deadline},
    group::{Fence, MemberId},
    prepare::Prepared,
    writer::NewOffsets,
};
use crate::engine::{
    Commit, CommitError, Committing, EngineError, GroupSpec, Member, Polled, StateReader,
    TopicPartition,
};

/// A member. Dropping it gives its partitions to the others, as leaving does.
pub(super) struct EmbeddedMember {
    shared: Arc<Shared>,
    group: Arc<str>,
    id: MemberId,
    topics: Vec<Arc<Topic>>,
    state_topic: Option<Arc<Topic>>,
    /// What the last polls assigned.
    owned: BTreeMap<u32, Owned>,
    paused: BTreeSet<u32>,
    /// Tells of changes of the assignment, then of records in each topic.
    changes: Vec<watch::Receiver<()>>,
    /// Which partition is read first; moves, so that none starves.
    turn: usize,
}

struct Owned {
    epoch: u64,
    /// For each topic the offset of the next record to bring.
    positions: Vec<u64>,
}

impl EmbeddedMember {
    pub(super) fn join(shared: Arc<Shared>, spec: GroupSpec) -> Result<Self, EngineError> {
        let catalogue = &shared.core.catalogue;
        let find = |name: &Arc<str>| catalogue.topic(name).ok_or_else(|| unknown(name, 0));
        let topics: Vec<Arc<Topic>> = spec.topics.iter().map(find).collect::<Result<_, _>>()?;
        let state_topic = spec.state_topic.as_ref().map(find).transpose()?;
        let (id, assignments) = shared.core.groups.join(&spec, catalogue)?;
        let mut changes = vec![assignments];
        changes.extend(topics.iter().map(|topic| topic.changes()));
        Ok(Self {
            shared,
            group: spec.group,
            id,
            topics,
            state_topic,
            owned: BTreeMap::new(),
            paused: BTreeSet::new(),
            changes,
            turn: 0,
        })
    }

    fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }

    /// The next change of the assignment: first what was lost, then what was won.
    async fn reassign(&mut self) -> Result<Option<Polled>, EngineError> {
        let assigned = self.core().groups.assignment(&self.group, self.id);
        let is_lost = |(partition, owned): &(&u32, &Owned)| {
            // Lost and won again between two polls: another may have worked on it.
            assigned.get(partition) != Some(&owned.epoch)
        };
        let lost: Vec<u32> = self.owned.iter().filter(is_lost).map(|(p, _)| *p).collect();
        if !lost.is_empty() {
            for partition in &lost {
                self.owned.remove(partition);
                self.paused.remove(partition);
            }
            return Ok(Some(Polled::Revoked(lost)));
        }
        let is_new = |partition: &u32| !self.owned.contains_key(partition);
        let won: Vec<u32> = assigned.keys().copied().filter(is_new).collect();
        if won.is_empty() {
            return Ok(None);
        }
        // The last owner's commit may be on its way: what it was allowed to commit, it has after this.
        self.shared.barrier().await?;
        for partition in &won {
            let positions = self.topics.iter().map(|topic| {
                let key = (topic.id, *partition);
                let committed = self.shared.core.catalogue.offset(&self.group, key);
                committed.unwrap_or(0)
            });
            let owned = Owned {
                epoch: assigned.get(partition).copied().unwrap_or(0),
                positions: positions.collect(),
            };
            self.owned.insert(*partition, owned);
        }
        Ok(Some(Polled::Assigned(won)))
    }

    /// Records of about `max_bytes`, in turn from the partitions that are not paused.
    async fn fetch(&mut self, max_bytes: usize) -> Result<Vec<crate::record::Record>, EngineError> {
        let mut sources: Vec<(u32, usize, u64)> = Vec::new();
        for (partition, owned) in &self.owned {
            if self.paused.contains(partition) {
                continue;
            }
            for (index, position) in owned.positions.iter().enumerate() {
                sources.push((*partition, index, *position));
            }
        }
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.turn % sources.len();
        sources.rotate_left(first);
        let mut records = Vec::new();
        let mut read: Vec<(u32, usize, u64)> = Vec::new();
        let mut left = max_bytes;
        for (partition, index, position) in sources {
            if left == 0 {
                break;
            }
            let Some(topic) = self.topics.get(index) else {
                continue;
            };
            let mut of_source = self.core().read(topic, partition, position, left).await?;
            let Some(last) = of_source.last() else {
                continue;
            };
            let bytes: usize = of_source.iter().map(crate::record::Record::size).sum();
            if !records.is_empty() && bytes > left {
                // One record larger than what is left: it is the first of the next poll.
                continue;
            }
            read.push((partition, index, last.offset + 1));
            left = left.saturating_sub(bytes.max(1));
            records.append(&mut of_source);
        }
        // Nothing is awaited from here on: a poll that is dropped half-way has moved nothing.
        for (partition, index, next) in read {
            let owned = self.owned.get_mut(&partition);
            if let Some(position) = owned.and_then(|owned| owned.positions.get_mut(index)) {
                *position = next;
            }
        }
        self.turn = self.turn.wrapping_add(1);
        Ok(records)
    }

    /// Resolves the topics of offsets to commit; all of them are the group's.
    fn resolve(
        &self,
        offsets: Vec<(TopicPartition, u64)>,
    ) -> Result<Vec<(Arc<Topic>, u32, u64)>, EngineError> {
        let mut resolved = Vec::with_capacity(offsets.len());
        for (TopicPartition { topic, partition }, next) in offsets {
            let found = self.topics.iter().find(|known| known.name == topic);
            let Some(found) = found else {
                return Err(EngineError::Fatal(format!(
                    "cannot commit an offset of topic {topic:?}, group {:?} does not read it",
                    self.group
                )));
            };
            resolved.push((found.clone(), partition, next));
        }
        Ok(resolved)
    }

    /// What is this member's now.
    fn claim(&self) -> Claim {
        Claim {
            group: self.group.clone(),
            member: self.id,
            state_topic: self.state_topic.as_ref().map(|topic| topic.id),
            epochs: self.owned.iter().map(|(partition, owned)| (*partition, owned.epoch)).collect(),
        }
    }
}

/// What was a member's when it asked for a commit.
struct Claim {
    group: Arc<str>,
    member: MemberId,
    state_topic: Option<u32>,
    epochs: BTreeMap<u32, u64>,
}

impl Claim {
    /// What must still be this member's for the commit to happen: partitions whose offsets it moves,
    /// and those whose state it writes.
    fn fence(
        &self,
        offsets: &[(Arc<Topic>, u32, u64)],
        prepared: &Prepared,
    ) -> Result<Fence, CommitError> {
        let written = prepared
            .parts
            .iter()
            .filter(|part| Some(part.topic.id) == self.state_topic)
            .map(|part| part.partition);
        let moved = offsets.iter().map(|(_, partition, _)| *partition);
        let partitions: BTreeSet<u32> = moved.chain(written).collect();
        let mut epochs = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let epoch = self.epochs.get(&partition).ok_or(CommitError::Fenced)?;
            epochs.push((partition, *epoch));
        }
        Ok(Fence { group: self.group.clone(), member: self.member, epochs })
    }
}

#[async_trait]
impl Member for EmbeddedMember {
    async fn poll(&mut self, wait: Duration, max_bytes: usize) -> Result<Polled, EngineError> {
        let deadline = deadline(wait);
        loop {
            for changes in &mut self.changes {
                changes.borrow_and_update();
            }
            if let Some(polled) = self.reassign().await? {
                return Ok(polled);
            }
            if max_bytes > 0 {
                let records = self.fetch(max_bytes).await?;
                if !records.is_empty() {
                    return Ok(Polled::Records(records));
                }
            }
            let watched = if max_bytes > 0 { self.changes.len() } else { 1 };
            let changes = self.changes.iter_mut().take(watched);
            let any = select_all(changes.map(|changes| Box::pin(changes.changed())));
            match tokio::time::timeout_at(deadline, any).await {
                Ok((Ok(()), _, _)) => {}
                Ok((Err(_), _, _)) => return Err(self.shared.core.gone()),
                Err(_) => return Ok(Polled::Nothing),
            }
        }
    }

    fn pause(&mut self, partition: u32) {
        if self.owned.contains_key(&partition) {
            self.paused.insert(partition);
        }
    }

    fn resume(&mut self, partition: u32) {
        self.paused.remove(&partition);
    }

    fn commit(&mut self, commit: Commit) -> Committing {
        let Commit { records, offsets } = commit;
        if records.is_empty() && offsets.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let claim = self.claim();
        let resolved = self.resolve(offsets);
        let shared = self.shared.clone();
        Box::pin(async move {
            let offsets = resolved?;
            let to_write = NewOffsets { group: claim.group.clone(), offsets: offsets.clone() };
            let fence = |prepared: &Prepared| claim.fence(&offsets, prepared).map(Some);
            shared.write(records, Some(to_write), fence).await?;
            Ok(())
        })
    }

    fn state(&self) -> Arc<dyn StateReader> {
        Arc::new(EmbeddedState { core: self.core().clone(), topic: self.state_topic.clone() })
    }

    async fn leave(self: Box<Self>) -> Result<(), EngineError> {
        // Dropping is leaving: there is no session to time out.
        drop(self);
        Ok(())
    }
}

impl Drop for EmbeddedMember {
    fn drop(&mut self) {
        self.shared.core.groups.leave(&self.group, self.id);
    }
}

/// The keyed state of a group: look-ups in its compacted topic. Empty where the group has none.
struct EmbeddedState {
    core: Arc<Core>,
    topic: Option<Arc<Topic>>,
}

#[async_trait]
impl StateReader for EmbeddedState {
    async fn get(&self, partition: u32, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        match &self.topic {
            Some(topic) => self.core.get(topic, partition, key).await,
            None => Ok(None),
        }
    }

    async fn scan(
        &self,
        partition: u32,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        match &self.topic {
            Some(topic) => self.core.scan(topic, partition, after, limit).await,
            None => Ok(Vec::new()),
        }
    }
}

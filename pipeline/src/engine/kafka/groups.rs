//! How far groups have come, and which numbers their members in this process have.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, TryStreamExt, stream};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{
    clients::Clients,
    cluster::{Cluster, Edge},
    context::EngineContext,
    message::signed,
    reader::Reader,
};
use crate::engine::{EngineError, GroupOffset, GroupSpec, TopicPartition};

/// Partitions whose first undone record is looked at at the same time.
const LOOKED_AT: usize = 16;
/// First undone records that are remembered.
const MOST_REMEMBERED: usize = 4096;

/// Members of groups in this process.
#[derive(Default)]
pub(super) struct Joined {
    groups: Mutex<HashMap<Arc<str>, Members>>,
}

#[derive(Default)]
struct Members {
    numbers: BTreeSet<u32>,
    topics: Vec<Arc<str>>,
}

/// A member's number; free again when it is dropped.
pub(super) struct Ticket {
    joined: Arc<Joined>,
    group: Arc<str>,
    pub(super) number: u32,
}

impl Joined {
    /// The smallest number that no member of the group in this process has.
    pub(super) fn take(self: &Arc<Self>, spec: &GroupSpec) -> Ticket {
        let mut groups = self.lock();
        let members = groups.entry(spec.group.clone()).or_default();
        let number = (0..).find(|number| !members.numbers.contains(number)).unwrap_or(u32::MAX);
        members.numbers.insert(number);
        members.topics.clone_from(&spec.topics);
        Ticket { joined: self.clone(), group: spec.group.clone(), number }
    }

    fn topics(&self, group: &str) -> Vec<Arc<str>> {
        self.lock().get(group).map(|members| members.topics.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Members>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut groups = self.joined.lock();
        if let Some(members) = groups.get_mut(&self.group) {
            members.numbers.remove(&self.number);
            if members.numbers.is_empty() {
                groups.remove(&self.group);
            }
        }
    }
}

/// Looks at groups.
pub(super) struct Groups {
    pub(super) clients: Arc<Clients>,
    pub(super) cluster: Arc<Cluster>,
    /// For looking at single records: it fetches little.
    pub(super) reader: Reader,
    pub(super) joined: Arc<Joined>,
    /// When the record at an offset was written; where there is none, before which offset there is none.
    pub(super) remembered: Mutex<HashMap<(TopicPartition, u64), Undone>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// The first record at or beyond the offset was written then, in milliseconds since 1970 UTC.
    Since(i64),
    /// There is none up to this offset.
    NoneBefore(u64),
}

impl Groups {
    /// Names of all groups.
    pub(super) async fn names(&self) -> Result<Vec<Arc<str>>, EngineError> {
        let timeout = self.clients.request_timeout();
        let names = self.cluster.blocking(move |cluster| {
            let consumer = cluster.polled().consumer()?;
            let listed = consumer.fetch_group_list(None, timeout);
            let listed = listed.map_err(|error| cluster.failed("asking for groups", &error))?;
            let names: BTreeSet<Arc<str>> =
                listed.groups().iter().map(|group| Arc::from(group.name())).collect();
            Ok(names)
        });
        Ok(names.await?.into_iter().collect())
    }

    /// How far a group has come in the topics that it has committed for, or that its members here read.
    pub(super) async fn offsets(&self, group: &str) -> Result<Vec<GroupOffset>, EngineError> {
        let (clients, name) = (self.clients.clone(), group.to_owned());
        let reading = self.joined.topics(group);
        let committed = self.cluster.blocking(move |cluster| {
            let shapes = cluster.shapes_now()?;
            let mut partitions: BTreeMap<Arc<str>, u32> = BTreeMap::new();
            for shape in shapes {
                partitions.insert(shape.name.as_str().into(), shape.partitions);
            }
            committed_now(&clients, cluster, &name, &partitions, &reading)
        });
        let committed = committed.await?;
        if committed.is_empty() {
            return Ok(Vec::new());
        }
        let partitions: Vec<TopicPartition> = committed.iter().map(|(p, _)| p.clone()).collect();
        let edges = self.cluster.blocking(move |cluster| {
            let earliest = cluster.edges_now(&partitions, Edge::Earliest)?;
            Ok((earliest, cluster.edges_now(&partitions, Edge::End)?))
        });
        let (earliest, ends) = edges.await?;
        let edges = earliest.into_iter().zip(ends);
        let offsets = committed.into_iter().zip(edges).map(|((partition, next), edges)| {
            let (earliest, end) = edges;
            // What it has not committed for is read from the start; what is gone is not read at all.
            let next = next.unwrap_or(earliest);
            self.offset(partition, next, earliest, end)
        });
        stream::iter(offsets).buffered(LOOKED_AT).try_collect().await
    }

    async fn offset(
        &self,
        partition: TopicPartition,
        next: u64,
        earliest: u64,
        end: u64,
    ) -> Result<GroupOffset, EngineError> {
        let done = |next| GroupOffset { partition: partition.clone(), next, end, lag_ms: 0 };
        if next >= end {
            return Ok(done(next));
        }
        match self.undone(&partition, next.max(earliest), end).await? {
            // Only the marks of transactions lie between.
            Undone::NoneBefore(_) => Ok(done(end)),
            Undone::Since(timestamp_ms) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
                let lag_ms = u64::try_from(now_ms.saturating_sub(timestamp_ms)).unwrap_or(0);
                Ok(GroupOffset { lag_ms, ..done(next) })
            }
        }
    }

    async fn undone(
        &self,
        partition: &TopicPartition,
        next: u64,
        end: u64,
    ) -> Result<Undone, EngineError> {
        let key = (partition.clone(), next);
        match self.remembered().get(&key) {
            Some(since @ Undone::Since(_)) => return Ok(*since),
            Some(Undone::NoneBefore(before)) if *before >= end => {
                return Ok(Undone::NoneBefore(*before));
            }
            _ => {}
        }
        let first = self.reader.read(partition, next, 0).await?;
        let undone = first
            .first()
            .map_or(Undone::NoneBefore(end), |record| Undone::Since(record.timestamp_ms));
        let mut remembered = self.remembered();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, undone);
        Ok(undone)
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<(TopicPartition, u64), Undone>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a group has committed for each partition of its topics, once no commit is under way.
fn committed_now(
    clients: &Clients,
    cluster: &Cluster,
    group: &str,
    partitions: &BTreeMap<Arc<str>, u32>,
    reading: &[Arc<str>],
) -> Result<Vec<(TopicPartition, Option<u64>)>, EngineError> {
    let doing = "asking for committed offsets";
    if group.is_empty() || partitions.is_empty() {
        return Ok(Vec::new());
    }
    // Committed offsets are asked for in the group's name, without joining it.
    let own = [
        ("group.id", group.to_owned()),
        ("isolation.level", "read_committed".to_owned()),
        ("enable.auto.commit", "false".to_owned()),
    ];
    let consumer: BaseConsumer<EngineContext> = clients.create(&own, clients.context("offsets"))?;
    // Serves the first request for a token.
    let _ = consumer.poll(std::time::Duration::ZERO);
    let mut asked = TopicPartitionList::new();
    for (topic, count) in partitions {
        if *count > 0 {
            asked.add_partition_range(topic, 0, signed(*count) - 1);
        }
    }
    let answered = consumer.committed_offsets(asked, clients.request_timeout());
    let answered = answered.map_err(|error| cluster.failed(doing, &error))?;
    let mut by_topic: BTreeMap<String, Vec<(u32, Option<u64>)>> = BTreeMap::new();
    for element in answered.elements() {
        element.error().map_err(|error| cluster.failed(doing, &error))?;
        let next = match element.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        };
        let partition = u32::try_from(element.partition()).unwrap_or_default();
        by_topic.entry(element.topic().to_owned()).or_default().push((partition, next));
    }
    let mut committed = Vec::new();
    for (topic, of_topic) in by_topic {
        let is_read = reading.iter().any(|reading| **reading == *topic);
        if !is_read && of_topic.iter().all(|(_, next)| next.is_none()) {
            continue;
        }
        let topic: Arc<str> = topic.into();
        committed.extend(
            of_topic.into_iter().map(|(partition, next)| {
                (TopicPartition { topic: topic.clone(), partition }, next)
            }),
        );
    }
    Ok(committed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_takes_the_smallest_free_number_of_its_group() {
        let joined = Arc::new(Joined::default());
        let spec = |group: &str| GroupSpec {
            group: group.into(),
            topics: vec!["t".into()],
            state_topic: None,
        };
        let first = joined.take(&spec("a"));
        let second = joined.take(&spec("a"));
        let other = joined.take(&spec("b"));
        assert_eq!((first.number, second.number, other.number), (0, 1, 0));
        drop(first);
        assert_eq!(joined.take(&spec("a")).number, 0);
        assert_eq!(joined.topics("a"), ["t".into()]);
        drop(second);
        assert!(joined.topics("a").is_empty());
    }
}

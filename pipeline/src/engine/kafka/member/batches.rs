//! Which records of a commit go to which partition, and in which batches: plain values.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::session::Failure;
use crate::{
    engine::{EngineError, Records},
    partitioner::partition_for,
    record::NewRecord,
};

/// Most records of a batch. librdkafka sends one of so many at once; of the bytes it counts, headers are left out, so that
/// no number of them would tell it that a batch is full.
pub(super) const BATCH_RECORDS: usize = 1_000;
/// What a record takes in a batch beside its key, value and headers, about.
const RECORD_OVERHEAD: usize = 64;
/// Topics whose number of partitions is remembered.
const MAX_TOPICS: usize = 1000;

/// Numbers of partitions, as they were looked up.
#[derive(Debug, Default)]
pub(super) struct Routes {
    topics: HashMap<Arc<str>, u32, RandomState>,
}

impl Routes {
    /// Partition that a record goes to; librdkafka's choice where nothing decides. `count` looks up a topic's partitions.
    fn partition_of(
        &mut self,
        record: &NewRecord,
        count: &impl Fn(&Arc<str>) -> Result<u32, Failure>,
    ) -> Result<Option<u32>, Failure> {
        let known = match self.topics.get(&record.topic) {
            Some(known) => *known,
            None => self.look_up(&record.topic, count)?,
        };
        match (record.partition, &record.key) {
            // It may have grown since it was looked up.
            (Some(partition), _)
                if partition >= known && partition >= self.look_up(&record.topic, count)? =>
            {
                let topic = record.topic.to_string();
                Err(Failure::Refused(EngineError::UnknownPartition { topic, partition }))
            }
            (Some(partition), _) => Ok(Some(partition)),
            (None, Some(key)) => Ok(Some(partition_for(key, known))),
            (None, None) => Ok(None),
        }
    }

    fn look_up(
        &mut self,
        topic: &Arc<str>,
        count: &impl Fn(&Arc<str>) -> Result<u32, Failure>,
    ) -> Result<u32, Failure> {
        let found = count(topic)?;
        if self.topics.len() >= MAX_TOPICS {
            self.topics.clear();
        }
        self.topics.insert(topic.clone(), found);
        Ok(found)
    }
}

/// The records of a commit that go to one partition, in order.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    pub(super) partition: Option<u32>,
    records: Vec<&'a NewRecord>,
    /// The first that is in no batch yet.
    next: usize,
}

impl<'a> Queue<'a> {
    /// The next batch, of at least one record; empty at the end.
    pub(super) fn next_batch(&mut self, max_bytes: usize) -> &[&'a NewRecord] {
        let rest = self.records.get(self.next..).unwrap_or_default();
        let mut bytes = 0;
        let fits = |record: &&&NewRecord| {
            bytes += record.size() + RECORD_OVERHEAD;
            bytes <= max_bytes
        };
        let count = rest.iter().take(BATCH_RECORDS).take_while(fits).count();
        let count = count.max(1).min(rest.len());
        self.next += count;
        rest.get(..count).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next >= self.records.len()
    }
}

/// The records by partition. All partitions are found before anything is given.
pub(super) fn by_partition<'a>(
    records: &'a Records,
    routes: &mut Routes,
    count: impl Fn(&Arc<str>) -> Result<u32, Failure>,
) -> Result<Vec<Queue<'a>>, Failure> {
    let mut places: HashMap<(&str, Option<u32>), usize, RandomState> = HashMap::default();
    let mut queues: Vec<Queue<'a>> = Vec::new();
    for record in records {
        let partition = routes.partition_of(record, &count)?;
        let place = *places.entry((&record.topic, partition)).or_insert(queues.len());
        match queues.get_mut(place) {
            Some(queue) => queue.records.push(record),
            None => queues.push(Queue { partition, records: vec![record], next: 0 }),
        }
    }
    Ok(queues)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::record::Headers;

    fn record(topic: &str, partition: Option<u32>, key: Option<u8>, bytes: usize) -> NewRecord {
        NewRecord {
            topic: topic.into(),
            partition,
            timestamp_ms: 0,
            key: key.map(|key| Bytes::from(vec![key])),
            value: Some(Bytes::from(vec![0; bytes])),
            headers: Headers::default(),
        }
    }

    fn four(_: &Arc<str>) -> Result<u32, Failure> {
        Ok(4)
    }

    #[test]
    fn a_topic_that_has_grown_is_looked_up_again_and_one_that_has_not_refuses() {
        let mut routes = Routes::default();
        by_partition(&vec![record("t", Some(3), None, 0)].into(), &mut routes, four).unwrap();
        let beyond: Records = vec![record("t", Some(4), None, 0)].into();
        let refused = by_partition(&beyond, &mut routes, four).unwrap_err();
        assert!(matches!(
            refused,
            Failure::Refused(EngineError::UnknownPartition { partition: 4, .. })
        ));
        assert_eq!(by_partition(&beyond, &mut routes, |_| Ok(5)).unwrap().len(), 1);
    }

    #[test]
    fn topics_of_one_name_are_one_whoever_made_the_name() {
        let records: Records =
            vec![record("t", Some(0), None, 1), record("t", Some(0), None, 2)].into();
        let mut queues = by_partition(&records, &mut Routes::default(), four).unwrap();
        assert_eq!(queues.len(), 1);
        let sizes: Vec<usize> = queues[0].next_batch(100_000).iter().map(|r| r.size()).collect();
        assert_eq!(sizes, [1, 2]);
    }

    proptest! {
        /// Every record is in one batch; order is kept within a partition; batches keep their bounds.
        #[test]
        fn batches_keep_records_order_and_bounds(
            given in prop::collection::vec((0u8..3, 0usize..3_000), 0..60),
            copies in 1usize..60,
            max_bytes in 500usize..20_000,
        ) {
            let mut records = Vec::new();
            for _ in 0..copies {
                let of = |(key, bytes): &(u8, usize)| record("t", None, Some(*key), *bytes);
                records.extend(given.iter().map(of));
            }
            let total = records.len();
            let records = Records::from(records);
            let mut queues = by_partition(&records, &mut Routes::default(), four).unwrap();
            let mut found = 0;
            for queue in &mut queues {
                let mut last: Option<*const NewRecord> = None;
                while !queue.is_empty() {
                    let partition = queue.partition;
                    let batch = queue.next_batch(max_bytes);
                    let bytes: usize = batch.iter().map(|r| r.size() + RECORD_OVERHEAD).sum();
                    prop_assert!(!batch.is_empty() && batch.len() <= BATCH_RECORDS);
                    prop_assert!(bytes <= max_bytes || batch.len() == 1);
                    for record in batch {
                        let key = record.key.as_ref().unwrap();
                        prop_assert_eq!(partition, Some(partition_for(key, 4)));
                        let place: *const NewRecord = *record;
                        // They lie in one run, in the order in which they were given.
                        prop_assert!(last.is_none_or(|last| last < place));
                        last = Some(place);
                    }
                    found += batch.len();
                }
                prop_assert!(queue.next_batch(max_bytes).is_empty());
            }
            prop_assert_eq!(found, total);
        }
    }
}

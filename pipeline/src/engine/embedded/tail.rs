//! The latest batches of each partition in memory, so that who reads at the end decodes nothing from disk.
//!
//! Bounded in bytes over all partitions; the oldest go first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::batch::Batch;

/// Topic id and partition.
pub(super) type PartitionKey = (u32, u32);

/// Latest batches, by partition.
#[derive(Debug)]
pub(super) struct TailCache {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Batches without a gap, in order, with the offset of each one's first record.
    batches: HashMap<PartitionKey, VecDeque<(u64, Batch)>>,
    /// Partitions in the order in which batches came.
    order: VecDeque<PartitionKey>,
    bytes: usize,
}

/// What a batch takes beside its body, roughly.
const ENTRY_BYTES: usize = 128;

impl TailCache {
    /// A cache of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    /// Adds the batch that follows the last one of its partition.
    pub(super) fn push(&self, key: PartitionKey, base: u64, batch: Batch) {
        let mut inner = self.lock();
        inner.bytes += batch.body.len() + ENTRY_BYTES;
        inner.order.push_back(key);
        inner.batches.entry(key).or_default().push_back((base, batch));
        while inner.bytes > self.limit {
            let Some(oldest) = inner.order.pop_front() else {
                return;
            };
            let evicted = inner.batches.get_mut(&oldest).and_then(VecDeque::pop_front);
            if let Some((_, batch)) = evicted {
                inner.bytes -= batch.body.len() + ENTRY_BYTES;
            }
        }
    }

    /// Batches from the one that holds `from` on, of about `max_bytes` together.
    /// None where the cache does not reach back so far.
    pub(super) fn get(
        &self,
        key: PartitionKey,
        from: u64,
        max_bytes: usize,
    ) -> Option<Vec<(u64, Batch)>> {
        let inner = self.lock();
        let batches = inner.batches.get(&key)?;
        let after = batches.partition_point(|(base, _)| *base <= from);
        let first = after.checked_sub(1)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        for (base, batch) in batches.range(first..) {
            if !found.is_empty() && bytes >= max_bytes {
                break;
            }
            let skipped = *base + u64::from(batch.count) <= from;
            if skipped {
                continue;
            }
            // Of the first batch only a part may be wanted: it does not count.
            if *base >= from {
                bytes += batch.body.len();
            }
            found.push((*base, batch.clone()));
        }
        Some(found)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use bytes::Bytes;

    use super::*;

    fn batch(count: u32, bytes: usize) -> Batch {
        Batch {
            count,
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            body: Bytes::from(vec![0; bytes]),
        }
    }

    fn bases(found: Option<Vec<(u64, Batch)>>) -> Option<Vec<u64>> {
        found.map(|found| found.iter().map(|(base, _)| *base).collect())
    }

    #[test]
    fn finds_the_batch_that_holds_an_offset() {
        let cache = TailCache::new(1 << 20);
        cache.push((1, 0), 10, batch(5, 100));
        cache.push((1, 0), 15, batch(5, 100));
        assert_eq!(bases(cache.get((1, 0), 9, 1000)), None);
        assert_eq!(bases(cache.get((1, 0), 12, 1000)), Some(vec![10, 15]));
        assert_eq!(bases(cache.get((1, 0), 10, 50)), Some(vec![10]));
        assert_eq!(bases(cache.get((1, 0), 19, 50)), Some(vec![15]));
        assert_eq!(bases(cache.get((1, 0), 20, 50)), Some(vec![]));
        assert_eq!(bases(cache.get((1, 1), 0, 50)), None);
    }

    #[test]
    fn stays_within_its_bound_and_drops_the_oldest() {
        let cache = TailCache::new(3 * (1000 + ENTRY_BYTES));
        for index in 0..10 {
            cache.push((1, index % 2), u64::from(index / 2), batch(1, 1000));
            assert!(cache.bytes() <= 3 * (1000 + ENTRY_BYTES));
        }
        assert_eq!(bases(cache.get((1, 0), 3, 9)), None);
        assert_eq!(bases(cache.get((1, 0), 4, 9)), Some(vec![4]));
        assert_eq!(bases(cache.get((1, 1), 3, 1)), Some(vec![3]));
        cache.push((1, 0), 5, batch(1, 1 << 20));
        assert_eq!(cache.bytes(), 0);
        assert_eq!(bases(cache.get((1, 0), 5, 9)), None);
    }
}

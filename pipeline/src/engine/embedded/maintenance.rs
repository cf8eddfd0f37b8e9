//! Retention of topics by time and by size, and the purge of old tombstones.
//!
//! It works in steps of bounded size, each atomic; the newest record of a partition always stays.

use std::sync::Arc;

use redb::ReadableTable;

use super::{
    catalogue::{PartitionState, Topic},
    core::Core,
    store::{StoreError, Tables},
};
use crate::engine::Cleanup;

/// Entries that one transaction removes at most.
const MAX_REMOVED: usize = 1000;

/// What a step did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Removed {
    /// Entries removed.
    pub(super) count: usize,
    /// Whether there may be more to remove.
    pub(super) more: bool,
}

/// Removes what is due, up to a bound.
pub(super) fn step(core: &Core, now_ms: i64) -> Result<Removed, StoreError> {
    let topics = core.catalogue.topics();
    let mut changed: Vec<(Arc<Topic>, u32, PartitionState)> = Vec::new();
    let mut left = MAX_REMOVED;
    core.with_store(|store| {
        let transaction = store.begin()?;
        let mut tables = Tables::open(&transaction)?;
        for topic in &topics {
            for partition in 0..topic.partition_count() {
                let before = topic.partition(partition).unwrap_or_default();
                let mut state = before;
                retain(&mut tables, topic, partition, &mut state, now_ms, &mut left)?;
                if state != before {
                    changed.push((topic.clone(), partition, state));
                }
            }
        }
        let oldest_ms = now_ms.saturating_sub(millis(core.config.tombstone_retention));
        purge(&mut tables, &topics, oldest_ms, &mut left, &mut changed)?;
        for (topic, partition, state) in &changed {
            tables.put_partition((topic.id, *partition), state)?;
        }
        drop(tables);
        if changed.is_empty() {
            transaction.abort()?;
        } else {
            transaction.commit()?;
        }
        Ok(())
    })?;
    for (topic, partition, state) in changed {
        topic.set_partition(partition, state);
    }
    Ok(Removed { count: MAX_REMOVED - left, more: left == 0 })
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Removes the oldest batches of a partition that pass the topic's bounds.
fn retain(
    tables: &mut Tables<'_>,
    topic: &Topic,
    partition: u32,
    state: &mut PartitionState,
    now_ms: i64,
    left: &mut usize,
) -> Result<(), StoreError> {
    let Cleanup::Delete { retention_ms, retention_bytes } = topic.cleanup() else {
        return Ok(());
    };
    if retention_ms.is_none() && retention_bytes.is_none() {
        return Ok(());
    }
    let oldest_ms = retention_ms.map(|retention_ms| {
        let retention_ms = i64::try_from(retention_ms).unwrap_or(i64::MAX);
        now_ms.saturating_sub(retention_ms)
    });
    let all = (topic.id, partition, state.earliest)..(topic.id, partition, state.end);
    let mut due = Vec::new();
    for row in tables.batches.range(all)? {
        if due.len() >= *left {
            break;
        }
        let (key, value) = row?;
        let (_, _, base) = key.value();
        let (count, max_timestamp_ms, bytes) = value.value();
        let next = base + u64::from(count);
        let too_old = oldest_ms.is_some_and(|oldest_ms| max_timestamp_ms < oldest_ms);
        let too_much = retention_bytes.is_some_and(|bound| state.bytes > bound);
        let is_newest = next >= state.end;
        if is_newest || !(too_old || too_much) {
            break;
        }
        state.bytes = state.bytes.saturating_sub(bytes);
        state.earliest = next;
        due.push(base);
    }
    *left -= due.len();
    for base in due {
        let key = (topic.id, partition, base);
        tables.batches.remove(key)?;
        tables.log.remove(key)?;
    }
    Ok(())
}

/// Removes tombstones written before `oldest_ms`, and their keys.
fn purge(
    tables: &mut Tables<'_>,
    topics: &[Arc<Topic>],
    oldest_ms: i64,
    left: &mut usize,
    changed: &mut Vec<(Arc<Topic>, u32, PartitionState)>,
) -> Result<(), StoreError> {
    let mut due = Vec::new();
    for row in tables.tombstones.range(..(oldest_ms, 0, 0, 0))? {
        if due.len() >= *left {
            break;
        }
        let (key, value) = row?;
        let (written_ms, topic_id, partition, offset) = key.value();
        let Some(topic) = topics.iter().find(|topic| topic.id == topic_id) else {
            continue;
        };
        // Who reads at the end must always find a record before it, or it would ask for ever.
        let end = topic.partition(partition).unwrap_or_default().end;
        if offset + 1 == end {
            continue;
        }
        due.push((written_ms, topic.clone(), partition, offset, value.value().to_vec()));
    }
    *left -= due.len();
    for (written_ms, topic, partition, offset, key) in due {
        tables.tombstones.remove((written_ms, topic.id, partition, offset))?;
        tables.keys.remove((topic.id, partition, &*key))?;
        let removed = tables.log.remove((topic.id, partition, offset))?;
        let freed = removed.map_or(0, |stored| stored.value().len() as u64);
        let known = changed.iter_mut().find(|(other, other_partition, _)| {
            other.id == topic.id && *other_partition == partition
        });
        if let Some((_, _, state)) = known {
            state.bytes = state.bytes.saturating_sub(freed);
        } else {
            let mut state = topic.partition(partition).unwrap_or_default();
            state.bytes = state.bytes.saturating_sub(freed);
            changed.push((topic, partition, state));
        }
    }
    Ok(())
}

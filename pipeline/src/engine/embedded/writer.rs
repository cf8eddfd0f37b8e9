//! The one thread that writes: it merges what waits into one transaction, which is on disk before anyone is told.
//!
//! After a failed write or sync nothing more is written: what the disk holds is known again when it is reopened.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    runtime::Runtime,
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::timeout_at,
};

use super::{
    batch::Batch,
    catalogue::{PartitionState, Topic},
    core::{Core, deadline, now_ms},
    group::Fence,
    maintenance,
    prepare::{Entries, KeyedEntry, Part},
    store::{Store, StoreError, Tables, topic_row},
    tail::PartitionKey,
};
use crate::engine::{CommitError, EngineError, TopicSpec};

/// Bytes that one transaction writes at most, unless one request alone is larger.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Requests that one transaction serves at most.
const MAX_GROUP_REQUESTS: usize = 1024;
/// Requests that wait at most, however small.
pub(super) const MAX_WAITING: usize = 1024;

/// Idle time after which the store is made ready to be opened at once, however the process ends.
const SETTLE_AFTER: Duration = Duration::from_secs(1);

/// What the writer is asked for.
pub(super) enum Request {
    Write(Box<Write>),
    CreateTopics {
        topics: Vec<TopicSpec>,
        reply: oneshot::Sender<Result<(), EngineError>>,
    },
    /// Answered once everything before it is decided.
    Barrier {
        reply: oneshot::Sender<()>,
    },
    /// Answered once retention and the purge of tombstones have nothing left to do.
    Maintain {
        now_ms: i64,
        reply: oneshot::Sender<Result<(), EngineError>>,
    },
    /// Answered once the store is closed.
    Close {
        reply: oneshot::Sender<()>,
    },
}

/// Records and offsets, all or none.
pub(super) struct Write {
    pub(super) parts: Vec<Part>,
    pub(super) offsets: Option<NewOffsets>,
    pub(super) fence: Option<Fence>,
    pub(super) bytes: usize,
    /// Its share of the queue, given back when the write is answered.
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) reply: oneshot::Sender<Result<Vec<u64>, CommitError>>,
}

/// Offsets that a group commits.
pub(super) struct NewOffsets {
    pub(super) group: Arc<str>,
    /// For each partition the offset of the first record that is not done.
    pub(super) offsets: Vec<(Arc<Topic>, u32, u64)>,
}

/// Serves requests until it is told to close, or nobody is left to ask. `runtime` is this thread's, to wait with.
pub(super) fn run(core: &Core, runtime: &Runtime, mut requests: mpsc::Receiver<Request>) {
    let _note = PanicNote(core);
    let interval = core.config.retention_interval;
    let mut maintain_at = deadline(interval);
    // Opening the store has written to it.
    let mut settle_at = Some(deadline(SETTLE_AFTER));
    loop {
        let wake_at = settle_at.map_or(maintain_at, |settle_at| settle_at.min(maintain_at));
        let waited = runtime.block_on(async { timeout_at(wake_at, requests.recv()).await });
        match waited {
            Ok(Some(first)) => {
                if let Some(close) = serve(core, first, &mut requests) {
                    core.close_store();
                    // Whoever asked may be gone; the store is closed all the same.
                    let _ = close.send(());
                    return;
                }
                settle_at = Some(deadline(SETTLE_AFTER));
            }
            Ok(None) => return,
            Err(_) if settle_at == Some(wake_at) => {
                settle_at = None;
                background(core, || core.with_store(Store::settle));
            }
            Err(_) => {
                let removed = background(core, || maintenance::step(core, now_ms()));
                // While there is more to remove, requests still go first.
                let more = removed.is_some_and(|removed| removed.more);
                maintain_at = deadline(if more { Duration::ZERO } else { interval });
                if removed.is_some_and(|removed| removed.count > 0) {
                    settle_at = Some(deadline(SETTLE_AFTER));
                }
            }
        }
    }
}

/// Does work that nobody waits for, unless the store has failed.
fn background<T>(core: &Core, work: impl FnOnce() -> Result<T, StoreError>) -> Option<T> {
    if core.failure().is_some() {
        return None;
    }
    work().inspect_err(|error| drop(core.fail(error))).ok()
}

/// Notes, when the writer panics, that nothing will be written any more.
struct PanicNote<'a>(&'a Core);

impl Drop for PanicNote<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&StoreError::Panic);
        }
    }
}

/// Serves a request and those that wait behind it. Gives back the request to close, if it met one.
fn serve(
    core: &Core,
    first: Request,
    requests: &mut mpsc::Receiver<Request>,
) -> Option<oneshot::Sender<()>> {
    let mut writes: Vec<Write> = Vec::new();
    let mut bytes = 0;
    let mut next = Some(first);
    let mut last = None;
    while let Some(request) = next.take() {
        match request {
            Request::Write(write) => {
                bytes += write.bytes;
                writes.push(*write);
            }
            other => {
                last = Some(other);
                break;
            }
        }
        if bytes < MAX_GROUP_BYTES && writes.len() < MAX_GROUP_REQUESTS {
            next = requests.try_recv().ok();
        }
    }
    if !writes.is_empty() {
        write_all(core, writes);
    }
    match last? {
        Request::CreateTopics { topics, reply } => {
            let result = core.writable(0).and_then(|()| create_topics(core, &topics));
            let _ = reply.send(result);
        }
        Request::Barrier { reply } => {
            let _ = reply.send(());
        }
        Request::Maintain { now_ms, reply } => {
            let _ = reply.send(maintain_fully(core, now_ms));
        }
        Request::Close { reply } => return Some(reply),
        // Taken above.
        Request::Write(_) => {}
    }
    None
}

fn maintain_fully(core: &Core, now_ms: i64) -> Result<(), EngineError> {
    core.check()?;
    loop {
        match maintenance::step(core, now_ms) {
            Ok(removed) if removed.more => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(core.fail(&error)),
        }
    }
}

type Reply = oneshot::Sender<Result<Vec<u64>, CommitError>>;

/// What a transaction will have changed once it is committed.
#[derive(Default)]
struct Pending {
    partitions: HashMap<PartitionKey, (Arc<Topic>, PartitionState)>,
    offsets: HashMap<(Arc<str>, PartitionKey), u64>,
    tail: Vec<(PartitionKey, u64, Batch)>,
}

fn write_all(core: &Core, writes: Vec<Write>) {
    let bytes = writes.iter().map(|write| write.bytes).sum();
    if let Err(error) = core.writable(bytes) {
        for write in writes {
            let _ = write.reply.send(Err(error.clone().into()));
        }
        return;
    }
    let mut pending = Pending::default();
    let mut replies: Vec<(Reply, Vec<u64>)> = Vec::new();
    // Held until all is decided, so that the queue's bound covers what is being written too.
    let mut permits = Vec::new();
    let mut refused: Vec<(Reply, CommitError)> = Vec::new();
    let written = core.with_store(|store| {
        let transaction = store.begin()?;
        let mut tables = Tables::open(&transaction)?;
        for write in writes {
            permits.push(write.permit);
            let valid = check(core, &pending, write.offsets.as_ref(), write.fence.as_ref());
            if let Err(error) = valid {
                refused.push((write.reply, error));
                continue;
            }
            let mut bases = Vec::with_capacity(write.parts.len());
            // From here on an error ends the whole transaction; the replies are dropped unanswered only then.
            let reply = write.reply;
            replies.push((reply, Vec::new()));
            for part in write.parts {
                bases.push(put_part(&mut tables, &mut pending, part)?);
            }
            if let Some(NewOffsets { group, offsets }) = write.offsets {
                for (topic, partition, next) in offsets {
                    let key = (topic.id, partition);
                    tables.offsets.insert((&*group, key.0, key.1), next)?;
                    pending.offsets.insert((group.clone(), key), next);
                }
            }
            if let Some((_, of_reply)) = replies.last_mut() {
                *of_reply = bases;
            }
        }
        for (key, (_, state)) in &pending.partitions {
            tables.put_partition(*key, state)?;
        }
        drop(tables);
        transaction.commit()?;
        Ok(())
    });
    for (reply, error) in refused {
        let _ = reply.send(Err(error));
    }
    match written {
        Ok(()) => {
            publish(core, pending);
            for (reply, bases) in replies {
                let _ = reply.send(Ok(bases));
            }
        }
        Err(error) => {
            let error = core.fail(&error);
            for (reply, _) in replies {
                let _ = reply.send(Err(error.clone().into()));
            }
        }
    }
    drop(permits);
}

/// Makes what is on disk visible to readers.
fn publish(core: &Core, pending: Pending) {
    for (key, base, batch) in pending.tail {
        core.tail.push(key, base, batch);
    }
    for ((_, partition), (topic, state)) in &pending.partitions {
        topic.set_partition(*partition, *state);
    }
    for ((group, key), next) in &pending.offsets {
        core.catalogue.set_offset(group, *key, *next);
    }
    for (topic, _) in pending.partitions.values() {
        topic.wake();
    }
}

fn check(
    core: &Core,
    pending: &Pending,
    offsets: Option<&NewOffsets>,
    fence: Option<&Fence>,
) -> Result<(), CommitError> {
    if let Some(fence) = fence
        && !core.groups.holds(fence)
    {
        return Err(CommitError::Fenced);
    }
    let Some(NewOffsets { group, offsets }) = offsets else {
        return Ok(());
    };
    for (topic, partition, next) in offsets {
        let key = (topic.id, *partition);
        let end = topic.partition(*partition)?.end;
        let place = format!("group {group:?} topic {:?} partition {partition}", topic.name);
        if *next > end {
            let message = format!("cannot commit offset {next} for {place}, its end is {end}");
            return Err(EngineError::Fatal(message).into());
        }
        let waiting = pending.offsets.get(&(group.clone(), key)).copied();
        let committed = waiting.or_else(|| core.catalogue.offset(group, key));
        if let Some(committed) = committed
            && *next < committed
        {
            let message = format!("cannot commit offset {next} for {place}, it is at {committed}");
            return Err(EngineError::Fatal(message).into());
        }
    }
    Ok(())
}

/// Puts records of a partition into the tables. Gives the offset of the first.
fn put_part(tables: &mut Tables<'_>, pending: &mut Pending, part: Part) -> Result<u64, StoreError> {
    let Part { topic, partition, entries } = part;
    let key = (topic.id, partition);
    let Pending { partitions, tail, .. } = pending;
    let (_, state) = partitions.entry(key).or_insert_with(|| {
        let state = topic.partition(partition).unwrap_or_default();
        (topic, state)
    });
    let first = state.end;
    match entries {
        Entries::Batches(batches) => {
            for (batch, stored) in batches {
                let at = (key.0, key.1, state.end);
                let size = stored.len() as u64;
                tables.log.insert(at, stored.as_slice())?;
                let row = (batch.count, batch.max_timestamp_ms, size);
                tables.batches.insert(at, row)?;
                let base = state.end;
                state.end += u64::from(batch.count);
                state.bytes += size;
                tail.push((key, base, batch));
            }
        }
        Entries::Keyed(entries) => {
            let now_ms = now_ms();
            for entry in entries {
                put_keyed(tables, key, state, &entry, now_ms)?;
            }
        }
    }
    Ok(first)
}

/// Puts a record of a compacted topic, in place of the one before it with the same key.
fn put_keyed(
    tables: &mut Tables<'_>,
    key: PartitionKey,
    state: &mut PartitionState,
    entry: &KeyedEntry,
    now_ms: i64,
) -> Result<(), StoreError> {
    let (topic, partition) = key;
    let offset = state.end;
    let tombstone = entry.is_tombstone.then_some(now_ms);
    let before = {
        let row = (offset, tombstone);
        let before = tables.keys.insert((topic, partition, &*entry.key), row)?;
        before.map(|before| before.value())
    };
    if let Some((superseded, tombstone)) = before {
        let removed = tables.log.remove((topic, partition, superseded))?;
        let freed = removed.map_or(0, |stored| stored.value().len() as u64);
        state.bytes = state.bytes.saturating_sub(freed);
        if let Some(written_ms) = tombstone {
            let at = (written_ms, topic, partition, superseded);
            tables.tombstones.remove(at)?;
        }
    }
    let at = (topic, partition, offset);
    tables.log.insert(at, entry.stored.as_slice())?;
    if let Some(written_ms) = tombstone {
        let at = (written_ms, topic, partition, offset);
        tables.tombstones.insert(at, &*entry.key)?;
    }
    state.end += 1;
    state.bytes += entry.stored.len() as u64;
    Ok(())
}

fn create_topics(core: &Core, topics: &[TopicSpec]) -> Result<(), EngineError> {
    let known = core.catalogue.topics();
    let mut next_id = known.iter().map(|topic| topic.id).max().unwrap_or(0) + 1;
    // By name: one that is named twice must agree with itself.
    let mut made: Vec<Topic> = Vec::new();
    let mut changed: Vec<(Arc<Topic>, &TopicSpec)> = Vec::new();
    for spec in topics {
        spec.validate()?;
        if let Some(topic) = core.catalogue.topic(&spec.name) {
            topic.spec().agrees_with(spec)?;
            if topic.cleanup() != spec.cleanup {
                changed.push((topic, spec));
            }
        } else if let Some(topic) = made.iter().find(|topic| topic.name == spec.name) {
            topic.spec().agrees_with(spec)?;
        } else {
            let partitions = vec![PartitionState::default(); spec.partitions as usize];
            made.push(Topic::new(next_id, spec, partitions));
            next_id += 1;
        }
    }
    if made.is_empty() && changed.is_empty() {
        return Ok(());
    }
    let written = core.with_store(|store| {
        let transaction = store.begin()?;
        let mut tables = Tables::open(&transaction)?;
        for topic in &made {
            let spec = TopicSpec {
                name: topic.name.clone(),
                partitions: topic.partition_count(),
                cleanup: topic.cleanup(),
            };
            let row = topic_row(topic.id, &spec);
            tables.topics.insert(&*topic.name, row)?;
        }
        for (topic, spec) in &changed {
            let row = topic_row(topic.id, spec);
            tables.topics.insert(&*topic.name, row)?;
        }
        drop(tables);
        transaction.commit()?;
        Ok(())
    });
    written.map_err(|error| core.fail(&error))?;
    for topic in made {
        core.catalogue.insert_topic(topic);
    }
    for (topic, spec) in changed {
        topic.set_cleanup(spec.cleanup);
    }
    Ok(())
}

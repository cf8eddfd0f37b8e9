//! Keeps the schema registry's records in `_schemas`, for several registries of which one writes.
//!
//! They form a group: who has its one partition writes, in the group's own commits. So a registry that lost the
//! partition and does not know it yet writes nothing, and no id is given out twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hephaestus_pipeline::engine::{
    Commit, CommitError, Engine, EngineError, GroupSpec, Log, Member, Polled, pages::Pages,
};
use hephaestus_schemas::registry::{
    Registry, SCHEMAS_TOPIC, SchemaRecord, SchemaStore, StoreError,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::schema_store::{READ_BYTES, load, new_record, partition};

/// Group of the registries.
pub(crate) const GROUP: &str = "schema-registry";
/// Changes that wait to be written; who comes then waits.
const MAX_WAITING: usize = 64;
/// How long a change may wait for the group's news.
const POLL: Duration = Duration::from_millis(20);
/// Pause after the engine was unavailable.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a registry looks at what the others wrote.
const REFRESH: Duration = Duration::from_secs(2);

/// A change, and where to say what became of it.
struct Change {
    record: SchemaRecord,
    /// Offset that its registry has read to.
    read_to: u64,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The topic `_schemas`, to which other registries write as well.
pub(crate) struct SharedStore {
    log: Arc<dyn Log>,
    /// What was read, and up to where.
    read: Mutex<Pages>,
    changes: mpsc::Sender<Change>,
}

/// This registry's place in the group. Has to run for anything to be written.
pub(crate) struct Writer {
    member: Box<dyn Member>,
    changes: mpsc::Receiver<Change>,
    has_turn: bool,
}

/// Joins the registries of an engine.
///
/// # Errors
/// Where the group cannot be joined.
pub(crate) async fn join(engine: &Arc<dyn Engine>) -> Result<(SharedStore, Writer), EngineError> {
    let group =
        GroupSpec { group: GROUP.into(), topics: vec![SCHEMAS_TOPIC.into()], state_topic: None };
    let member = engine.join(group).await?;
    let (sender, changes) = mpsc::channel(MAX_WAITING);
    let read = Mutex::new(Pages::new(partition(), 0, READ_BYTES));
    let store = SharedStore { log: engine.clone(), read, changes: sender };
    Ok((store, Writer { member, changes, has_turn: false }))
}

#[async_trait::async_trait]
impl SchemaStore for SharedStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn load(&self) -> Result<Vec<SchemaRecord>, StoreError> {
        let mut pages = Pages::new(partition(), 0, READ_BYTES);
        let records = load(self.log.as_ref(), &mut pages).await?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = pages;
        Ok(records)
    }

    async fn append(&self, record: SchemaRecord) -> Result<(), StoreError> {
        let read_to = self.read.lock().unwrap_or_else(PoisonError::into_inner).next;
        let (done, answer) = oneshot::channel();
        let gone = || StoreError("the registry is stopping".to_owned());
        let change = Change { record, read_to, done };
        self.changes.send(change).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Writer {
    /// Writes changes while it is this registry's turn, until `stop`.
    ///
    /// # Errors
    /// Where the engine gave up.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), EngineError> {
        while !stop.is_cancelled() {
            while let Ok(change) = self.changes.try_recv() {
                let written = self.write(change.record, change.read_to).await;
                // Whoever asked may have gone away.
                let _ = change.done.send(written);
            }
            match self.member.poll(POLL, 0).await {
                Ok(Polled::Assigned(_)) => {
                    tracing::info!("this registry takes changes now");
                    self.has_turn = true;
                }
                Ok(Polled::Revoked(_)) => {
                    tracing::info!("another registry takes changes now");
                    self.has_turn = false;
                }
                Ok(Polled::Records(_) | Polled::Nothing) => {}
                Err(EngineError::Unavailable(message)) => {
                    tracing::warn!(message, "the group of registries cannot be asked");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.changes.close();
        self.member.leave().await
    }

    async fn write(&mut self, record: SchemaRecord, read_to: u64) -> Result<(), StoreError> {
        if !self.has_turn {
            return Err(StoreError("another registry takes changes; ask it, or again".to_owned()));
        }
        // The offset is what the commit is bound to the partition by: who lost it cannot commit it.
        let commit = Commit {
            records: vec![new_record(record)].into(),
            offsets: vec![(partition(), read_to)],
        };
        self.member.commit(commit).await.map_err(|error| match error {
            CommitError::Fenced => {
                self.has_turn = false;
                StoreError("another registry takes changes now; ask it, or again".to_owned())
            }
            CommitError::Engine(error) => StoreError(error.to_string()),
        })
    }
}

/// Looks at what the other registries write until `stop`: for lists and levels, which say nothing of
/// being old.
pub(crate) async fn follow(registry: Registry, log: Arc<dyn Log>, stop: CancellationToken) {
    let mut pages = Pages::new(partition(), 0, READ_BYTES);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REFRESH) => {}
        }
        let refreshed = match pages.read(log.as_ref()).await {
            Ok(page) if page.is_empty() => continue,
            Ok(_) => registry.refresh().await.map_err(|refusal| refusal.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = refreshed {
            tracing::warn!(error, "what other registries wrote cannot be read for now");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hephaestus_pipeline::engine::{
        Cleanup, TopicSpec,
        embedded::{EmbeddedConfig, EmbeddedEngine},
    };
    use hephaestus_schemas::registry::Refusal;
    use tokio::{task::JoinHandle, time::Instant};

    use super::*;

    /// A registry of the group.
    struct One {
        registry: Registry,
        stop: CancellationToken,
        writer: JoinHandle<Result<(), EngineError>>,
    }

    async fn one(engine: &Arc<dyn Engine>) -> One {
        let (store, writer) = join(engine).await.unwrap();
        let stop = CancellationToken::new();
        let writer = tokio::spawn(writer.run(stop.clone()));
        One { registry: Registry::open(store).await.unwrap(), stop, writer }
    }

    /// A schema that is like no other.
    fn schema(number: usize) -> String {
        format!(r#"{{"type": "record", "name": "R{number}", "fields": []}}"#)
    }

    /// Registers a schema at whichever of the registries takes it.
    async fn register(registries: &[&One], number: usize) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            for one in registries {
                let subject = format!("subject-{number}");
                match one.registry.register(&subject, &schema(number)).await {
                    Ok(version) => return version.id,
                    Err(Refusal::Store(message)) => {
                        assert!(message.contains("another registry takes changes"), "{message}");
                    }
                    Err(refusal) => panic!("{refusal}"),
                }
            }
            assert!(Instant::now() < deadline, "nobody takes changes");
            tokio::time::sleep(POLL).await;
        }
    }

    #[tokio::test]
    async fn one_of_several_writes_another_takes_over_and_no_id_is_given_twice() {
        let directory = tempfile::tempdir().unwrap();
        let engine = EmbeddedEngine::open(EmbeddedConfig::new(directory.path())).await.unwrap();
        let spec =
            TopicSpec { name: SCHEMAS_TOPIC.into(), partitions: 1, cleanup: Cleanup::Compact };
        engine.create_topics(&[spec]).await.unwrap();
        let engine: Arc<dyn Engine> = engine;
        let (first, second) = (one(&engine).await, one(&engine).await);

        let mut ids = Vec::new();
        for number in 0..3 {
            ids.push(register(&[&first, &second], number).await);
        }
        // Whoever is asked knows what the other gave out, and gives it out again.
        for one in [&first, &second] {
            for (number, id) in ids.iter().enumerate() {
                let subject = format!("subject-{number}");
                let known = one.registry.register(&subject, &schema(number)).await.unwrap();
                assert_eq!(known.id, *id);
                assert_eq!(one.registry.schema(*id).await.unwrap().as_ref(), schema(number));
            }
        }
        assert_eq!(second.registry.schema(99).await, Err(Refusal::IdNotFound(99)));

        first.stop.cancel();
        first.writer.await.unwrap().unwrap();
        let stopping = first.registry.register("late", &schema(9)).await;
        assert_eq!(stopping, Err(Refusal::Store("the registry is stopping".to_owned())));
        for number in 3..6 {
            ids.push(register(&[&second], number).await);
        }
        assert_eq!(ids, [1, 2, 3, 4, 5, 6]);

        second.stop.cancel();
        second.writer.await.unwrap().unwrap();
        engine.close().await.unwrap();
    }
}

//! Keeps the schema registry's records in `_schemas`, for several registries of which one writes.
//!
//! They form a group: who has its one partition writes, in the group's own commits, so that a registry that lost the
//! partition and does not know it yet writes nothing. It begins with a record that says nothing, and waits until that,
//! and each record after it, can be read: what was written before can be read then too. No id is given out twice.

use std::{sync::Arc, time::Duration};

use hephaestus_pipeline::engine::{
    Commit, CommitError, Engine, EngineError, GroupSpec, Log, Member, Polled, pages::Pages,
};
use hephaestus_schemas::registry::{
    Registry, SCHEMAS_TOPIC, SchemaRecord, SchemaStore, StoreError,
};
use tokio::sync::{mpsc, oneshot, watch};
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
/// How long a change waits for this registry's turn: what a group needs to settle, and less than clients wait.
const TURN: Duration = Duration::from_secs(5);
/// Longest wait until what was committed can be read: brokers mark it so after they said that it is.
const VISIBLE: Duration = Duration::from_secs(10);
/// Pause between two looks for it.
const LOOK: Duration = Duration::from_millis(5);
/// Key of a record that says nothing, as Confluent's registry writes them.
const NOTHING: &str = r#"{"keytype":"NOOP","magic":0}"#;
/// Header by which a registry knows its own records again.
const MARK: &str = "hephaestus-registry";
/// How often a registry looks at what the others wrote.
const REFRESH: Duration = Duration::from_secs(2);

/// A change, and where to say what became of it.
struct Change {
    record: SchemaRecord,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The topic `_schemas`, to which other registries write as well.
pub(crate) struct SharedStore {
    log: Arc<dyn Log>,
    changes: mpsc::Sender<Change>,
    has_turn: watch::Receiver<bool>,
}

/// This registry's place in the group. Has to run for anything to be written.
pub(crate) struct Writer {
    member: Box<dyn Member>,
    log: Arc<dyn Log>,
    /// What it has seen of the records, its own among them.
    pages: Pages,
    /// Distinguishes this registry's records from those of others and of its earlier runs.
    name: u64,
    written: u64,
    /// It has the partition, and does not know yet what others wrote before.
    must_begin: bool,
    changes: mpsc::Receiver<Change>,
    has_turn: watch::Sender<bool>,
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
    let (turn, has_turn) = watch::channel(false);
    let store = SharedStore { log: engine.clone(), changes: sender, has_turn };
    let log: Arc<dyn Log> = engine.clone();
    let writer = Writer {
        member,
        log,
        pages: Pages::new(partition(), 0, READ_BYTES),
        name: fastrand::u64(..),
        written: 0,
        must_begin: false,
        changes,
        has_turn: turn,
    };
    Ok((store, writer))
}

#[async_trait::async_trait]
impl SchemaStore for SharedStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn turn(&self) -> Result<(), StoreError> {
        let mut has_turn = self.has_turn.clone();
        let turn = tokio::time::timeout(TURN, has_turn.wait_for(|has_turn| *has_turn));
        match turn.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(anothers_turn()),
        }
    }

    async fn load(&self) -> Result<Vec<SchemaRecord>, StoreError> {
        load(self.log.as_ref(), &mut Pages::new(partition(), 0, READ_BYTES)).await
    }

    async fn append(&self, record: SchemaRecord) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        let change = Change { record, done };
        self.changes.send(change).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

fn stopping() -> StoreError {
    StoreError("the registry is stopping".to_owned())
}

fn anothers_turn() -> StoreError {
    StoreError("another registry takes changes; ask it, or again".to_owned())
}

impl Writer {
    /// Writes changes while it is this registry's turn, until `stop`.
    ///
    /// # Errors
    /// Where the engine gave up.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), EngineError> {
        while !stop.is_cancelled() {
            while let Ok(change) = self.changes.try_recv() {
                let written = self.write(change.record).await;
                // Whoever asked may have gone away.
                let _ = change.done.send(written);
            }
            match self.member.poll(POLL, 0).await {
                Ok(Polled::Assigned(_)) => self.begin().await,
                Ok(Polled::Revoked(_)) => {
                    tracing::info!("another registry takes changes now");
                    self.has_turn.send_replace(false);
                    self.must_begin = false;
                }
                Ok(Polled::Nothing) if self.must_begin => {
                    tokio::time::sleep(PAUSE).await;
                    self.must_begin = false;
                    self.begin().await;
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

    /// Takes its turn, once all that others wrote before can be read.
    async fn begin(&mut self) {
        let nothing = SchemaRecord { key: NOTHING.to_owned(), value: None };
        match self.commit(nothing).await {
            Ok(()) => {
                tracing::info!("this registry takes changes now");
                self.has_turn.send_replace(true);
            }
            Err(StoreError(error)) => {
                tracing::warn!(error, "this registry cannot take changes");
                self.must_begin = true;
            }
        }
    }

    async fn write(&mut self, record: SchemaRecord) -> Result<(), StoreError> {
        if !*self.has_turn.borrow() {
            return Err(anothers_turn());
        }
        let written = self.commit(record).await;
        if written.is_err() {
            // It may be there or not: what follows has to come after it.
            self.has_turn.send_replace(false);
            self.must_begin = true;
        }
        written
    }

    /// Commits a record, and waits until it can be read.
    async fn commit(&mut self, record: SchemaRecord) -> Result<(), StoreError> {
        let mut record = new_record(record);
        self.written += 1;
        let mark = format!("{:016x}-{}", self.name, self.written);
        record.headers.push(MARK, mark.clone());
        load(self.log.as_ref(), &mut self.pages).await?;
        // The offset is what the commit is bound to the partition by: who lost it cannot commit it.
        let offsets = vec![(partition(), self.pages.next)];
        let commit = Commit { records: vec![record].into(), offsets };
        self.member.commit(commit).await.map_err(|error| match error {
            CommitError::Fenced => anothers_turn(),
            CommitError::Engine(error) => StoreError(error.to_string()),
        })?;
        let seen = see(self.log.as_ref(), &mut self.pages, &mark);
        let seen = tokio::time::timeout(VISIBLE, seen).await;
        seen.unwrap_or_else(|_| Err(StoreError(format!("not readable within {VISIBLE:?}"))))
    }
}

/// Waits until a record with this mark can be read.
async fn see(log: &dyn Log, pages: &mut Pages, mark: &str) -> Result<(), StoreError> {
    loop {
        let page = pages.read(log).await.map_err(|error| StoreError(error.to_string()))?;
        if page.iter().any(|record| record.headers.text(MARK) == Some(mark)) {
            return Ok(());
        }
        if page.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
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

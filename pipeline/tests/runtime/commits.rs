//! What becomes of commits that the engine refuses, or takes its time for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use hephaestus_pipeline::{
    engine::{
        Commit, CommitError, Committing, Engine, EngineError, GroupOffset, GroupSpec, Log, Member,
        Polled, StateReader, TopicInfo, TopicPartition, TopicSpec,
    },
    record::{NewRecord, Record},
    runtime::StageConfig,
};
use tokio::sync::Semaphore;

use crate::support::{Bench, Numberer, config};

/// What happens to a commit before the engine gets it; an error keeps it from there.
type Hook = Arc<dyn Fn() -> BoxFuture<'static, Result<(), CommitError>> + Send + Sync>;

/// An engine behind a hook.
struct Hooked {
    inner: Arc<dyn Engine>,
    hook: Hook,
    /// Polls of its members that were begun.
    polls: Arc<AtomicU32>,
}

impl Hooked {
    fn new(bench: &Bench, hook: Hook) -> Self {
        Self { inner: bench.engine.clone(), hook, polls: Arc::default() }
    }
}

struct HookedMember {
    inner: Box<dyn Member>,
    hook: Hook,
    polls: Arc<AtomicU32>,
}

#[async_trait]
impl Member for HookedMember {
    async fn poll(&mut self, wait: Duration, max_bytes: usize) -> Result<Polled, EngineError> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.inner.poll(wait, max_bytes).await
    }

    fn pause(&mut self, partition: u32) {
        self.inner.pause(partition);
    }

    fn resume(&mut self, partition: u32) {
        self.inner.resume(partition);
    }

    fn commit(&mut self, commit: Commit) -> Committing {
        let hooked = (self.hook)();
        let committing = self.inner.commit(commit);
        Box::pin(async move {
            hooked.await?;
            committing.await
        })
    }

    fn state(&self) -> Arc<dyn StateReader> {
        self.inner.state()
    }

    async fn leave(self: Box<Self>) -> Result<(), EngineError> {
        self.inner.leave().await
    }
}

#[async_trait]
impl Engine for Hooked {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), EngineError> {
        self.inner.create_topics(topics).await
    }

    async fn join(&self, group: GroupSpec) -> Result<Box<dyn Member>, EngineError> {
        let inner = self.inner.join(group).await?;
        let (hook, polls) = (self.hook.clone(), self.polls.clone());
        Ok(Box::new(HookedMember { inner, hook, polls }))
    }

    async fn close(&self) -> Result<(), EngineError> {
        self.inner.close().await
    }
}

#[async_trait]
impl Log for Hooked {
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError> {
        self.inner.topics().await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError> {
        self.inner.append(records).await
    }

    async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError> {
        self.inner.read(partition, from, max_bytes).await
    }

    async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError> {
        self.inner.wait(partition, offset, wait).await
    }

    async fn offset_at(
        &self,
        partition: &TopicPartition,
        timestamp_ms: i64,
    ) -> Result<u64, EngineError> {
        self.inner.offset_at(partition, timestamp_ms).await
    }

    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError> {
        self.inner.groups().await
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, EngineError> {
        self.inner.group_offsets(group).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_refused_is_made_later_and_once() {
    let bench = Bench::new().await;
    bench.send(&[("k", "one"), ("k", "two")]).await;
    let commits = Arc::new(AtomicU32::new(0));
    let counted = commits.clone();
    let hook: Hook = Arc::new(move || {
        let refused = match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 2 => Err(EngineError::Unavailable("as asked".into()).into()),
            1 => Err(CommitError::Fenced),
            _ => Ok(()),
        };
        Box::pin(std::future::ready(refused))
    });
    let hooked = Hooked::new(&bench, hook);
    let running = bench.start_with(Arc::new(Numberer::default()), Arc::new(hooked), config());
    bench.wait_for("out", 2).await;
    running.drain().await;
    assert!(commits.load(Ordering::SeqCst) > 3, "every refusal was met");
    assert_eq!(bench.written().await["k"], ["one#1", "two#2"]);
}

/// As where partitions moved: what was lost is told by a poll, and a commit that claims it is refused until then.
#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_commit_waits_for_a_poll_though_the_session_is_full() {
    let bench = Bench::new().await;
    let (polls, fenced_at) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counted = polls.clone();
    let refusals = AtomicU32::new(0);
    let hook: Hook = Arc::new(move || {
        let now = counted.load(Ordering::SeqCst);
        let first = fenced_at.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        let is_told = first.is_err_and(|fenced_at| now > fenced_at);
        let outcome = if is_told { Ok(()) } else { Err(CommitError::Fenced) };
        // Who asks without end and never polls is stopped here.
        assert!(is_told || refusals.fetch_add(1, Ordering::SeqCst) < 1_000, "it does not poll");
        Box::pin(std::future::ready(outcome))
    });
    let hooked = Hooked { polls, ..Hooked::new(&bench, hook) };
    let full = StageConfig { max_in_flight_bytes: 1, ..config() };
    let running = bench.start_with(Arc::new(Numberer::default()), Arc::new(hooked), full);
    bench.send(&[("k", "one")]).await;
    bench.wait_for("out", 1).await;
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_while_a_commit_is_under_way_and_order_is_kept() {
    let bench = Bench::new().await;
    let (asked, let_through) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (asking, passing) = (asked.clone(), let_through.clone());
    let hook: Hook = Arc::new(move || {
        asking.add_permits(1);
        let passing = passing.clone();
        Box::pin(async move {
            passing.acquire().await.unwrap().forget();
            Ok(())
        })
    });
    let hooked = Hooked::new(&bench, hook);
    let stage = Arc::new(Numberer::default());
    let running = bench.start_with(stage.clone(), Arc::new(hooked), config());
    bench.send(&[("k", "one")]).await;
    asked.acquire().await.unwrap().forget();
    // The first commit is under way, and stays so until the second record was handled.
    bench.send(&[("k", "retry 0")]).await;
    while stage.tries.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(bench.all("out").await.is_empty());
    assert_eq!(asked.available_permits(), 0, "one commit at a time");
    let_through.add_permits(Semaphore::MAX_PERMITS / 2);
    bench.wait_for("out", 2).await;
    running.drain().await;
    assert_eq!(bench.written().await["k"], ["one#1", "retry 0#2"]);
}

//! A member of a group: a consumer on a thread of its own, and a session on another that commits.
//!
//! Partitions are served once their state is there; a commit is visible whole, or not at all.

mod assignment;
mod batches;
#[cfg(test)]
mod broker_tests;
mod committer;
mod consumer;
mod convert;
mod delivery;
mod inbox;
mod mailbox;
#[cfg(test)]
mod mock_tests;
mod offsets;
mod producer;
mod restore;
mod restorer;
mod session;
mod state;
mod store;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::oneshot;

use self::{
    committer::{Committer, Order, Orders},
    consumer::{Fetcher, FetcherSettings},
    inbox::Inbox,
    producer::MemberProducer,
    restore::{Changelog, RestoreSettings, RestoreThread},
    session::Outcome,
    state::MemberState,
    store::{Identity, Store},
};
use super::{clients::Clients, context::EngineContext};
use crate::engine::{
    Commit, CommitError, Committing, EngineError, GroupSpec, Member, Polled, StateReader,
    TopicPartition,
};

/// How long leaving may take; then the broker notices by itself that the member is gone.
const LEAVE_DEADLINE: Duration = Duration::from_secs(15);
/// How long the cluster's name is waited for.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(10);

/// A member. Dropping it stops its threads, which leave the group by themselves.
struct KafkaMember {
    spec: GroupSpec,
    max_record_bytes: usize,
    inbox: Arc<Inbox>,
    state: Arc<MemberState>,
    orders: Orders,
    stop: Arc<AtomicBool>,
    /// One for each thread; each ends when its thread does.
    ended: Vec<oneshot::Receiver<()>>,
}

/// Joins a group as its member number `session` of this process.
///
/// # Errors
/// Unavailable where the cluster does not answer; fatal where the configuration cannot work.
pub(crate) async fn join(
    clients: Arc<Clients>,
    spec: GroupSpec,
    partitions: u32,
    session: u32,
) -> Result<Box<dyn Member>, EngineError> {
    let joining = tokio::task::spawn_blocking(move || start(clients, spec, partitions, session));
    let member = joining.await;
    let member = member.map_err(|error| EngineError::Fatal(format!("cannot join: {error}")))??;
    Ok(Box::new(member))
}

/// Makes clients and threads. May wait for the cluster.
fn start(
    clients: Arc<Clients>,
    spec: GroupSpec,
    partitions: u32,
    session: u32,
) -> Result<KafkaMember, EngineError> {
    let config = clients.config();
    let budget = usize::try_from(config.fetch_queue.0 / 2).unwrap_or(usize::MAX);
    let inbox = Arc::new(Inbox::new(budget));
    let stop = Arc::new(AtomicBool::new(false));
    let instance = clients.instance().map(|instance| format!("{instance}-{session}"));
    let mut ended = Vec::new();

    let changelog = match &spec.state_topic {
        None => None,
        Some(topic) => {
            let store = Arc::new(open_store(&clients, &spec, topic, session)?);
            Some(Changelog { topic: topic.clone(), store })
        }
    };
    let store = changelog.as_ref().map(|changelog| changelog.store.clone());
    let settings =
        RestoreSettings { group: spec.group.clone(), topics: spec.topics.clone(), changelog };
    let (thread, restorer) = RestoreThread::new(&clients, settings, inbox.clone())?;
    ended.push(spawn("restore", move || thread.run())?);

    let settings = fetcher_settings(&clients, &spec, partitions, instance.clone(), budget);
    let fetcher = Fetcher::new(&clients, settings, inbox.clone(), restorer, stop.clone())?;
    let consumer = fetcher.consumer();

    let is_exactly_once = clients.is_exactly_once();
    let own_name = || format!("{:016x}", fastrand::u64(..));
    let transactional_id = is_exactly_once.then(|| match clients.instance() {
        Some(instance) => format!("hephaestus-{}-{instance}-{session}", spec.group),
        None => format!("hephaestus-{}-{}-{session}", spec.group, own_name()),
    });
    let producer =
        MemberProducer::new(clients.clone(), consumer, transactional_id, spec.state_topic.clone());
    let (committer, orders) =
        Committer::new(producer, inbox.clone(), store.clone(), instance, stop.clone());
    // The session settles what a predecessor left open while the consumer joins.
    ended.push(spawn("session", move || committer.run())?);
    ended.push(spawn("consumer", move || fetcher.run())?);
    Ok(KafkaMember {
        max_record_bytes: clients.max_record_bytes(),
        state: Arc::new(MemberState { inbox: inbox.clone(), store }),
        spec,
        inbox,
        orders,
        stop,
        ended,
    })
}

/// The local copy of the group's state: in the configured directory, or in a file that goes with it.
fn open_store(
    clients: &Clients,
    spec: &GroupSpec,
    state_topic: &Arc<str>,
    session: u32,
) -> Result<Store, EngineError> {
    let cluster = cluster_id(clients)?;
    let identity = Identity { cluster, topic: state_topic.to_string() };
    let Some(directory) = &clients.config().state_dir else { return Store::temporary(&identity) };
    std::fs::create_dir_all(directory).map_err(|error| {
        EngineError::Fatal(format!("kafka.state_dir {}: {error}", directory.display()))
    })?;
    let path: PathBuf = directory.join(format!("{}-{session}.redb", spec.group));
    Store::open(&path, &identity)
}

/// Id of the cluster, as every broker of it tells.
fn cluster_id(clients: &Clients) -> Result<String, EngineError> {
    let own = [("enable.auto.commit", "false".to_owned())];
    let asking: BaseConsumer<EngineContext> = clients.create(&own, clients.context("restore"))?;
    asking.client().fetch_cluster_id(CLUSTER_TIMEOUT).ok_or_else(|| {
        let last = asking.client().context().last_error();
        EngineError::Unavailable(clients.scrub(&format!(
            "the cluster does not answer{}",
            last.map_or(String::new(), |last| format!(": {last}"))
        )))
    })
}

/// Settings of the consumer of a member that may come to own every partition.
fn fetcher_settings(
    clients: &Clients,
    spec: &GroupSpec,
    partitions: u32,
    instance: Option<String>,
    budget: usize,
) -> FetcherSettings {
    let config = clients.config();
    let queues = spec.topics.len().max(1) * partitions.max(1) as usize;
    let mut own = clients.consumer_settings(budget / queues);
    own.push(("group.id", spec.group.to_string()));
    if clients.uses_consumer_protocol() {
        own.push(("group.protocol", "consumer".to_owned()));
    } else {
        own.push(("partition.assignment.strategy", "cooperative-sticky".to_owned()));
        own.push(("session.timeout.ms", config.session_timeout.as_millis().to_string()));
        // What another member's coming and going changes is heard of with the next one.
        let heartbeat = (config.session_timeout.as_millis() / 30).clamp(100, 1000);
        own.push(("heartbeat.interval.ms", heartbeat.to_string()));
    }
    own.extend(instance.clone().map(|instance| ("group.instance.id", instance)));
    FetcherSettings { topics: spec.topics.clone(), own, instance }
}

/// Starts a thread; what it gives ends with it.
fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<oneshot::Receiver<()>, EngineError> {
    let (ends, ended) = oneshot::channel();
    let builder = std::thread::Builder::new().name(format!("kafka-{name}"));
    let spawned = builder.spawn(move || {
        work();
        drop(ends);
    });
    spawned.map_err(|error| EngineError::Fatal(format!("cannot start a thread: {error}")))?;
    Ok(ended)
}

impl KafkaMember {
    /// What must still be this member's for the commit to happen: partitions whose offsets it moves, and those whose
    /// state it writes.
    fn touched(&self, commit: &Commit) -> Result<BTreeSet<u32>, EngineError> {
        let mut touched = BTreeSet::new();
        for (TopicPartition { topic, partition }, _) in &commit.offsets {
            if !self.spec.topics.contains(topic) {
                return Err(EngineError::Fatal(format!(
                    "cannot commit an offset of topic {topic:?}, group {:?} does not read it",
                    self.spec.group
                )));
            }
            touched.insert(*partition);
        }
        for record in &commit.records {
            if self.spec.state_topic.as_ref() == Some(&record.topic) {
                let (Some(partition), Some(_)) = (record.partition, &record.key) else {
                    return Err(EngineError::Fatal(format!(
                        "an entry of state topic {:?} has no partition or no key",
                        record.topic
                    )));
                };
                touched.insert(partition);
            }
        }
        Ok(touched)
    }

    fn check_sizes(&self, commit: &Commit) -> Result<(), EngineError> {
        for record in &commit.records {
            let size = record.size();
            if size > self.max_record_bytes {
                let (topic, limit) = (record.topic.to_string(), self.max_record_bytes);
                return Err(EngineError::RecordTooLarge { topic, size, limit });
            }
        }
        Ok(())
    }

    /// An input whose committed offset goes with a commit that moves none, so that the group fences it.
    fn witness(&self, touched: &BTreeSet<u32>) -> Option<TopicPartition> {
        let partition = touched.first().copied().or_else(|| self.inbox.any_served())?;
        let topic = self.spec.topics.first()?.clone();
        Some(TopicPartition { topic, partition })
    }

    /// Asks the session for a commit.
    fn ask(&self, commit: Commit) -> Result<oneshot::Receiver<Outcome>, CommitError> {
        self.check_sizes(&commit)?;
        let touched = self.touched(&commit)?;
        let witness = if commit.offsets.is_empty() { self.witness(&touched) } else { None };
        let claims =
            self.inbox.claim(touched.into_iter().chain(witness.iter().map(|w| w.partition)));
        let claims = claims.ok_or(CommitError::Fenced)?;
        let (reply, outcome) = oneshot::channel();
        let order = Order { commit, claims, witness, reply };
        if !self.orders.push(Box::new(order)) {
            let message = "earlier commits are still under way".to_owned();
            return Err(EngineError::Unavailable(message).into());
        }
        Ok(outcome)
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.inbox.bell.ring();
        self.orders.close();
    }
}

#[async_trait]
impl Member for KafkaMember {
    async fn poll(&mut self, wait: Duration, max_bytes: usize) -> Result<Polled, EngineError> {
        self.inbox.poll(wait, max_bytes).await
    }

    fn pause(&mut self, partition: u32) {
        self.inbox.pause(partition);
    }

    fn resume(&mut self, partition: u32) {
        self.inbox.resume(partition);
    }

    fn commit(&mut self, commit: Commit) -> Committing {
        if commit.records.is_empty() && commit.offsets.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let asked = self.ask(commit);
        Box::pin(async move {
            let ended = |_| EngineError::Fatal("the member's session has ended".to_owned());
            match asked?.await.map_err(ended)? {
                Outcome::Committed => Ok(()),
                Outcome::Fenced => Err(CommitError::Fenced),
                Outcome::Unavailable(message) => Err(EngineError::Unavailable(message).into()),
                Outcome::Refused(error) => Err(error.into()),
                Outcome::Unknown => {
                    let message = "stopped before the brokers told what became of a commit";
                    Err(EngineError::Fatal(message.to_owned()).into())
                }
            }
        })
    }

    fn state(&self) -> Arc<dyn StateReader> {
        self.state.clone()
    }

    async fn leave(mut self: Box<Self>) -> Result<(), EngineError> {
        self.stop();
        let ended = std::mem::take(&mut self.ended);
        let all = futures::future::join_all(ended);
        if tokio::time::timeout(LEAVE_DEADLINE, all).await.is_err() {
            tracing::warn!(
                group = %self.spec.group,
                "member does not leave in time; the broker gives its partitions away after the session time-out"
            );
        }
        Ok(())
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.stop();
    }
}

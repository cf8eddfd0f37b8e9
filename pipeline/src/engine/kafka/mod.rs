//! The engine for production: Apache Kafka through librdkafka.
//!
//! A member of a group is a consumer and a transactional producer; a commit is one transaction.

mod admin;
mod appender;
mod clients;
mod cluster;
#[cfg(test)]
mod connect_tests;
mod context;
mod error;
mod groups;
mod member;
mod message;
mod oauth;
mod polled;
mod reader;
pub mod settings;
mod topics;
mod validate;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::watch, task, time::Instant};

pub use self::{
    admin::{KafkaAdmin, KafkaTopic, NewKafkaTopic},
    settings::KafkaConfig,
};
use self::{
    appender::Appender,
    clients::Clients,
    cluster::{Cluster, Edge, Shape},
    groups::{Groups, Joined, Ticket},
    polled::Polled,
    reader::Reader,
};
use crate::{
    engine::{
        Commit, Committing, Engine, EngineError, GroupOffset, GroupSpec, Log, Member,
        PartitionInfo, Polled as Brought, StateReader, TopicInfo, TopicPartition, TopicSpec,
    },
    record::{NewRecord, Record},
};

/// How long [`Engine::close`] waits for librdkafka; what hangs then ends with the process.
const CLOSE_BOUND: Duration = Duration::from_secs(10);
/// How long a cluster that answers may take to begin transactions: one that is new makes the topic of them first.
const TRANSACTIONS_PATIENCE: Duration = Duration::from_secs(3);
/// Bytes that are looked through for the first record of a time; beyond, an earlier offset is given.
const SCANNED_FOR_TIME: usize = 64 << 20;
const SCAN_PAGE: usize = 1 << 20;

/// The kafka engine. Dropping it without [`Engine::close`] waits for nothing.
pub struct KafkaEngine {
    clients: Arc<Clients>,
    cluster: Arc<Cluster>,
    admin: KafkaAdmin,
    reader: Reader,
    appender: Appender,
    groups: Groups,
    peeking: Arc<Cluster>,
    joined: Arc<Joined>,
}

impl KafkaEngine {
    /// Connects, and checks that a broker answers within `kafka.request_timeout`, and, as far as it tells soon, that it
    /// knows transactions where delivery is exactly-once. Records are at most `max_record_bytes` large: key, value and headers.
    ///
    /// # Errors
    /// Fatal where the configuration cannot work, unavailable where no broker answers.
    pub async fn connect(
        bootstrap_servers: &str,
        config: KafkaConfig,
        max_record_bytes: usize,
    ) -> Result<Arc<Self>, EngineError> {
        let clients = Arc::new(Clients::new(bootstrap_servers, config, max_record_bytes)?);
        let reading = reader::settings(&clients, reader::PARTITION_QUEUE);
        let cluster = Cluster::new(clients.clone(), Polled::start(&clients, "reader", &reading)?);
        let peeking = reader::settings(&clients, reader::PEEK_QUEUE);
        let peeking = Cluster::new(clients.clone(), Polled::start(&clients, "peeker", &peeking)?);
        let joined = Arc::new(Joined::default());
        let reader = Reader::start(clients.clone(), cluster.clone());
        let engine = Self {
            admin: KafkaAdmin::new(clients.clone(), cluster.clone()),
            appender: Appender::start(clients.clone(), cluster.clone(), reader.clone())?,
            reader,
            groups: Groups {
                clients: clients.clone(),
                cluster: cluster.clone(),
                reader: Reader::start(clients.clone(), peeking.clone()),
                joined: joined.clone(),
                remembered: Mutex::default(),
            },
            clients,
            cluster,
            peeking,
            joined,
        };
        engine.check().await?;
        Ok(Arc::new(engine))
    }

    async fn check(&self) -> Result<(), EngineError> {
        let servers = self.clients.bootstrap();
        let id = self.cluster.blocking(Cluster::id_now).await.map_err(|error| match error {
            EngineError::Unavailable(message) => {
                EngineError::Unavailable(format!("no broker answers at {servers}: {message}"))
            }
            other => other,
        })?;
        tracing::debug!(servers, cluster = id, "connected");
        if !self.clients.is_exactly_once() {
            return Ok(());
        }
        match tokio::time::timeout(TRANSACTIONS_PATIENCE, self.appender.prepare()).await {
            Ok(Err(EngineError::Fatal(message))) if message.contains("know no transactions") => {
                return Err(EngineError::Fatal(message));
            }
            // Who only reads need not be allowed to write; who writes is told then.
            Ok(Err(error)) => tracing::debug!(%error, "cannot write yet"),
            Err(_) => tracing::debug!("the cluster is not ready for transactions yet"),
            Ok(Ok(())) => {}
        }
        Ok(())
    }

    /// Id of the cluster.
    ///
    /// # Errors
    /// Where the cluster does not answer.
    pub async fn cluster_id(&self) -> Result<String, EngineError> {
        self.admin.cluster_id().await
    }

    /// For making and changing topics beyond what the contract has.
    pub fn admin(&self) -> KafkaAdmin {
        self.admin.clone()
    }

    /// Checks the topics of a group; gives their number of partitions.
    async fn common_partitions(&self, spec: &GroupSpec) -> Result<u32, EngineError> {
        let mut common: Option<(&Arc<str>, u32)> = None;
        for name in spec.topics.iter().chain(&spec.state_topic) {
            let missing =
                || cluster::unknown(&TopicPartition { topic: name.clone(), partition: 0 });
            let count = self.cluster.count(name).await?.ok_or_else(missing)?;
            match common {
                Some((other, wanted)) if count != wanted => {
                    return Err(EngineError::Fatal(format!(
                        "group {:?} needs topics with the same number of partitions, {other:?} has {wanted}, {name:?} has {count}",
                        spec.group
                    )));
                }
                _ => common = Some((name, count)),
            }
        }
        if let Some(state) = &spec.state_topic {
            let configs = self.admin.known_configs(&[state.to_string()]).await?;
            let policy = configs.get(&**state).and_then(|configs| configs.get(topics::CLEANUP));
            if policy.is_some_and(|policy| !policy.contains("compact")) {
                return Err(EngineError::Fatal(format!(
                    "state topic {state:?} of group {:?} is not compacted",
                    spec.group
                )));
            }
        }
        let none = || EngineError::Fatal(format!("group {:?} names no topic to read", spec.group));
        common.map(|(_, count)| count).ok_or_else(none)
    }
}

#[async_trait]
impl Log for KafkaEngine {
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError> {
        let asked = self.cluster.blocking(|cluster| {
            let shapes = cluster.shapes_now()?;
            let partitions: Vec<TopicPartition> = shapes.iter().flat_map(partitions_of).collect();
            let earliest = cluster.edges_now(&partitions, Edge::Earliest)?;
            let ends = cluster.edges_now(&partitions, Edge::End)?;
            let infos = earliest.into_iter().zip(ends);
            let infos = infos.map(|(earliest, end)| PartitionInfo { earliest, end });
            Ok((shapes, infos.collect::<Vec<_>>()))
        });
        let (shapes, infos) = asked.await?;
        let names: Vec<String> = shapes.iter().map(|shape| shape.name.clone()).collect();
        let configs = self.admin.known_configs(&names).await?;
        let nothing = BTreeMap::new();
        let mut infos = infos.into_iter();
        let topics = shapes.iter().map(|shape| TopicInfo {
            spec: topics::to_spec(shape, configs.get(&shape.name).unwrap_or(&nothing)),
            partitions: infos.by_ref().take(shape.partitions as usize).collect(),
        });
        Ok(topics.collect())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError> {
        self.appender.append(records).await
    }

    async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError> {
        self.reader.read(partition, from, max_bytes).await
    }

    async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError> {
        self.reader.wait(partition, offset, wait).await
    }

    async fn offset_at(
        &self,
        partition: &TopicPartition,
        timestamp_ms: i64,
    ) -> Result<u64, EngineError> {
        self.cluster.check(partition).await?;
        let asked = partition.clone();
        let found = self
            .cluster
            .blocking(move |cluster| cluster.edge_now(&asked, Edge::Time(timestamp_ms)));
        // The marks of transactions have times too, and those of records may be older: the broker finds the mark.
        let (mut from, mut scanned) = (found.await?, 0);
        while scanned < SCANNED_FOR_TIME {
            let records = self.reader.read(partition, from, SCAN_PAGE).await?;
            let Some(last) = records.last() else {
                let asked = partition.clone();
                let end = self.cluster.blocking(move |cluster| cluster.edge_now(&asked, Edge::End));
                return end.await;
            };
            let first = records.iter().find(|record| record.timestamp_ms >= timestamp_ms);
            if let Some(first) = first {
                return Ok(first.offset);
            }
            from = last.offset + 1;
            scanned += records.iter().map(Record::size).sum::<usize>().max(1);
        }
        Ok(from)
    }

    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError> {
        self.groups.names().await
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, EngineError> {
        self.groups.offsets(group).await
    }
}

#[async_trait]
impl Engine for KafkaEngine {
    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<(), EngineError> {
        let mut missing: Vec<&TopicSpec> = Vec::new();
        let mut there: Vec<(TopicSpec, Shape)> = Vec::new();
        for spec in specs {
            spec.validate()?;
            let name = spec.name.to_string();
            let shape = self.cluster.blocking(move |cluster| cluster.shape_now(&name)).await?;
            match shape {
                Some(shape) => there.push((spec.clone(), shape)),
                None if missing.contains(&spec) => {}
                None => match missing.iter().find(|other| other.name == spec.name) {
                    Some(other) => other.agrees_with(spec)?,
                    None => missing.push(spec),
                },
            }
        }
        let names: Vec<String> = there.iter().map(|(_, shape)| shape.name.clone()).collect();
        let configs = self.admin.configs(&names).await?;
        let nothing = BTreeMap::new();
        for (wanted, shape) in &there {
            let of_topic = configs.get(&shape.name).unwrap_or(&nothing);
            topics::compare_known(shape, of_topic, wanted)?;
        }
        let new: Vec<NewKafkaTopic> =
            missing.iter().map(|spec| topics::to_new(spec, &self.clients)).collect();
        self.admin.create(&new).await
    }

    async fn join(&self, group: GroupSpec) -> Result<Box<dyn Member>, EngineError> {
        let partitions = self.common_partitions(&group).await?;
        let ticket = self.joined.take(&group);
        let number = ticket.number;
        let member = member::join(self.clients.clone(), group, partitions, number).await?;
        Ok(Box::new(Numbered { member, _ticket: ticket }))
    }

    async fn close(&self) -> Result<(), EngineError> {
        let appender = self.appender.stop();
        let deadline = Instant::now() + CLOSE_BOUND;
        let mut is_closed = wait_until(appender, deadline).await;
        self.reader.stop();
        self.groups.reader.stop();
        let consumers = [self.cluster.polled().stop(), self.peeking.polled().stop()];
        for consumer in consumers {
            is_closed &= wait_until(consumer, deadline).await;
        }
        let admin = self.admin.clone();
        let stopped = task::spawn_blocking(move || admin.stop());
        is_closed &= tokio::time::timeout_at(deadline, stopped).await.is_ok();
        if !is_closed {
            // Everything acknowledged is with the brokers: nothing is lost.
            tracing::warn!(bound = ?CLOSE_BOUND, "librdkafka does not close, going on without");
        }
        Ok(())
    }
}

async fn wait_until(mut done: watch::Receiver<bool>, deadline: Instant) -> bool {
    let waited = tokio::time::timeout_at(deadline, done.wait_for(|done| *done)).await;
    // A thread that is gone has closed what it had.
    waited.is_ok()
}

fn partitions_of(shape: &Shape) -> impl Iterator<Item = TopicPartition> + use<> {
    let topic: Arc<str> = shape.name.as_str().into();
    (0..shape.partitions).map(move |partition| TopicPartition { topic: topic.clone(), partition })
}

/// A member whose number is free again when it is gone.
struct Numbered {
    member: Box<dyn Member>,
    _ticket: Ticket,
}

#[async_trait]
impl Member for Numbered {
    async fn poll(&mut self, wait: Duration, max_bytes: usize) -> Result<Brought, EngineError> {
        self.member.poll(wait, max_bytes).await
    }

    fn pause(&mut self, partition: u32) {
        self.member.pause(partition);
    }

    fn resume(&mut self, partition: u32) {
        self.member.resume(partition);
    }

    fn commit(&mut self, commit: Commit) -> Committing {
        self.member.commit(commit)
    }

    fn state(&self) -> Arc<dyn StateReader> {
        self.member.state()
    }

    async fn leave(self: Box<Self>) -> Result<(), EngineError> {
        self.member.leave().await
    }
}

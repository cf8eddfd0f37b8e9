//! What is asked of the cluster itself: topics, partitions and the offsets at their edges, many in one request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::MetadataTopic,
};
use tokio::task;

use super::{clients::Clients, message::signed, polled::Polled};
use crate::engine::{EngineError, TopicPartition};

/// How long the number of partitions of a topic is taken as known.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// Topics whose number of partitions is remembered.
const MOST_KNOWN: usize = 10_000;
/// Time between two tries to get offsets.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// How long a partition may be unknown that was known before.
const UNKNOWN_BOUND: Duration = Duration::from_secs(5);
/// Topics of Kafka itself.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Asks the cluster.
pub(super) struct Cluster {
    clients: Arc<Clients>,
    polled: Polled,
    counts: Mutex<HashMap<String, (u32, Instant)>>,
}

/// Which offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// The oldest that is still there.
    Earliest,
    /// The last stable offset: every committed record lies below it, and of open transactions nothing.
    End,
    /// The first record written at or after a time in milliseconds since 1970 UTC.
    Time(i64),
}

/// A topic, as brokers describe it to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) partitions: u32,
    pub(super) replicas: u16,
    /// Whether every partition has a leader.
    pub(super) is_led: bool,
}

impl Cluster {
    pub(super) fn new(clients: Arc<Clients>, polled: Polled) -> Arc<Self> {
        Arc::new(Self { clients, polled, counts: Mutex::default() })
    }

    pub(super) fn polled(&self) -> &Polled {
        &self.polled
    }

    /// Runs what blocks beside the asynchronous threads.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let cluster = self.clone();
        let done = task::spawn_blocking(move || work(&cluster)).await;
        done.unwrap_or_else(|error| Err(EngineError::Fatal(format!("asking the cluster: {error}"))))
    }

    /// # Errors
    /// Where there is no such partition.
    pub(super) async fn check(
        self: &Arc<Self>,
        partition: &TopicPartition,
    ) -> Result<(), EngineError> {
        let count = self.count(&partition.topic).await?;
        if count.is_some_and(|count| partition.partition < count) {
            return Ok(());
        }
        // It may have grown since.
        self.forget(&partition.topic);
        let count = self.count(&partition.topic).await?;
        if count.is_some_and(|count| partition.partition < count) {
            return Ok(());
        }
        Err(EngineError::UnknownPartition {
            topic: partition.topic.to_string(),
            partition: partition.partition,
        })
    }

    /// Number of partitions of a topic; none where there is no such topic.
    pub(super) async fn count(self: &Arc<Self>, topic: &str) -> Result<Option<u32>, EngineError> {
        if let Some((count, known)) = self.counts().get(topic)
            && known.elapsed() < KNOWN_FOR
        {
            return Ok(Some(*count));
        }
        let topic = topic.to_owned();
        let shape = self.blocking(move |cluster| cluster.shape_now(&topic)).await?;
        Ok(shape.map(|shape| shape.partitions))
    }

    /// Forgets the number of partitions of a topic.
    pub(super) fn forget(&self, topic: &str) {
        self.counts().remove(topic);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, (u32, Instant)>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One topic; none where there is no such topic. Blocks.
    pub(super) fn shape_now(&self, topic: &str) -> Result<Option<Shape>, EngineError> {
        if !is_name(topic) {
            return Ok(None);
        }
        let consumer = self.polled.consumer()?;
        let metadata = consumer.fetch_metadata(Some(topic), self.clients.request_timeout());
        let metadata = metadata.map_err(|error| self.failed("asking for topics", &error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let shape = found.map(|found| self.shape(found)).transpose()?.flatten();
        if shape.is_none() {
            self.forget(topic);
        }
        Ok(shape)
    }

    /// All topics but those of Kafka itself, by name. Blocks.
    pub(super) fn shapes_now(&self) -> Result<Vec<Shape>, EngineError> {
        let consumer = self.polled.consumer()?;
        let metadata = consumer.fetch_metadata(None, self.clients.request_timeout());
        let metadata = metadata.map_err(|error| self.failed("asking for topics", &error))?;
        let mut shapes = Vec::new();
        for topic in metadata.topics() {
            if !INTERNAL.contains(&topic.name()) {
                shapes.extend(self.shape(topic)?);
            }
        }
        shapes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(shapes)
    }

    fn shape(&self, topic: &MetadataTopic) -> Result<Option<Shape>, EngineError> {
        if let Some(error) = topic.error() {
            return match RDKafkaErrorCode::from(error) {
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::InvalidTopic => Ok(None),
                code => {
                    let doing = format!("asking for topic {:?}", topic.name());
                    Err(self.failed(&doing, &KafkaError::MetadataFetch(code)))
                }
            };
        }
        let partitions = u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX);
        if partitions == 0 {
            return Ok(None);
        }
        let replicas = topic.partitions().iter().map(|p| p.replicas().len()).max().unwrap_or(0);
        let shape = Shape {
            name: topic.name().to_owned(),
            partitions,
            replicas: u16::try_from(replicas).unwrap_or(u16::MAX),
            is_led: topic.partitions().iter().all(|partition| partition.leader() >= 0),
        };
        let mut counts = self.counts();
        if counts.len() >= MOST_KNOWN {
            counts.clear();
        }
        counts.insert(shape.name.clone(), (partitions, Instant::now()));
        Ok(Some(shape))
    }

    /// An offset of one partition that is known to be there. Blocks.
    pub(super) fn edge_now(
        &self,
        partition: &TopicPartition,
        edge: Edge,
    ) -> Result<u64, EngineError> {
        let edges = self.edges_now(std::slice::from_ref(partition), edge)?;
        edges.first().copied().ok_or_else(|| unknown(partition))
    }

    /// An offset of each of many partitions, in their order: one request to each broker. Blocks.
    pub(super) fn edges_now(
        &self,
        partitions: &[TopicPartition],
        edge: Edge,
    ) -> Result<Vec<u64>, EngineError> {
        let begun = Instant::now();
        loop {
            let (failed, patience) = match self.try_edges(partitions, edge) {
                // A leader that is elected just now is known to nobody for a moment.
                Err(error @ EngineError::Unavailable(_)) => (error, self.clients.request_timeout()),
                // So is a partition that was made just now.
                Err(error @ EngineError::UnknownPartition { .. }) => (error, UNKNOWN_BOUND),
                decided => return decided,
            };
            if begun.elapsed() >= patience.min(self.clients.request_timeout()) {
                return Err(failed);
            }
            thread::park_timeout(TRY_AGAIN);
        }
    }

    fn try_edges(
        &self,
        partitions: &[TopicPartition],
        edge: Edge,
    ) -> Result<Vec<u64>, EngineError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let offset = match edge {
            Edge::Earliest => Offset::Beginning,
            Edge::End => Offset::End,
            // Times below 0 have meanings of their own in the protocol.
            Edge::Time(timestamp_ms) => Offset::Offset(timestamp_ms.max(0)),
        };
        let consumer = self.polled.consumer()?;
        let doing = "asking for offsets";
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for TopicPartition { topic, partition } in partitions {
            let added = asked.add_partition_offset(topic, signed(*partition), offset);
            added.map_err(|error| self.failed(doing, &error))?;
        }
        let answered = consumer.offsets_for_times(asked, self.clients.request_timeout());
        let failed = |error: KafkaError, partition: Option<&TopicPartition>| {
            let is_unknown = matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::UnknownTopic
                        | RDKafkaErrorCode::UnknownPartition
                )
            );
            match partition {
                Some(partition) if is_unknown => {
                    self.forget(&partition.topic);
                    unknown(partition)
                }
                _ => self.failed(doing, &error),
            }
        };
        let answered = answered.map_err(|error| failed(error, partitions.first()))?;
        let mut edges = Vec::with_capacity(partitions.len());
        // The list keeps its order.
        for (element, partition) in answered.elements().iter().zip(partitions) {
            element.error().map_err(|error| failed(error, Some(partition)))?;
            let found = match element.offset() {
                Offset::Offset(offset) => u64::try_from(offset).unwrap_or(0),
                // Nothing was written since that time.
                _ if matches!(edge, Edge::Time(_)) => self.edge_now(partition, Edge::End)?,
                _ => return Err(EngineError::Unavailable(format!("{doing}: no offset came"))),
            };
            edges.push(found);
        }
        Ok(edges)
    }

    /// Id of the cluster. Blocks.
    pub(super) fn id_now(&self) -> Result<String, EngineError> {
        let consumer = self.polled.consumer()?;
        let id = consumer.client().fetch_cluster_id(self.clients.request_timeout());
        let none = || KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
        id.ok_or_else(|| self.failed("asking for the cluster's id", &none()))
    }

    /// What an error means, with what went wrong on the way to the brokers.
    pub(super) fn failed(&self, doing: &str, error: &KafkaError) -> EngineError {
        let failed = self.clients.error(doing, error);
        let Ok(consumer) = self.polled.consumer() else { return failed };
        let is_unreached = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::AllBrokersDown
            )
        );
        match (failed, consumer.context().last_error()) {
            (EngineError::Unavailable(message), Some(last)) if is_unreached => {
                EngineError::Unavailable(format!("{message}; last: {last}"))
            }
            (failed, _) => failed,
        }
    }
}

/// Whether a topic may have this name; librdkafka takes no other.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 249 && !name.contains('\0')
}

pub(super) fn unknown(partition: &TopicPartition) -> EngineError {
    EngineError::UnknownPartition {
        topic: partition.topic.to_string(),
        partition: partition.partition,
    }
}

//! Making and changing topics, for the engine and for `hephaestus topology`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions,
        NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication, TopicResult,
    },
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{clients::Clients, cluster::Cluster, context::EngineContext};
use crate::engine::EngineError;

/// Topics whose configuration is asked for in one request.
const DESCRIBED_AT_ONCE: usize = 500;
/// Time between two looks whether a topic that was made can be used.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long brokers may be away when a topic wants replicas on them.
const BROKERS_AWAY: Duration = Duration::from_secs(10);
/// How long configurations of topics are taken as known where a moment does not matter.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// Number of replicas of each.
    pub replication: u16,
    /// Every setting with the value that is in effect: `cleanup.policy`, `retention.ms`, `min.insync.replicas`, …
    pub configs: BTreeMap<String, String>,
}

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKafkaTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// Number of replicas of each; without it the broker's default.
    pub replication: Option<u16>,
    /// Settings; for those left out the broker's default.
    pub configs: BTreeMap<String, String>,
}

/// Settings of topics, by name of the topic.
pub(super) type Configs = BTreeMap<String, BTreeMap<String, String>>;

/// Makes and changes topics.
#[derive(Clone)]
pub struct KafkaAdmin {
    shared: Arc<Shared>,
}

struct Shared {
    clients: Arc<Clients>,
    cluster: Arc<Cluster>,
    /// Made when it is needed first: most processes never need it.
    client: Mutex<Option<Arc<AdminClient<EngineContext>>>>,
    known: Mutex<Option<(Instant, Arc<Configs>)>>,
}

impl KafkaAdmin {
    pub(super) fn new(clients: Arc<Clients>, cluster: Arc<Cluster>) -> Self {
        let shared = Shared { clients, cluster, client: Mutex::default(), known: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// All topics but those of Kafka itself, by name.
    ///
    /// # Errors
    /// Where the cluster does not answer or refuses.
    pub async fn topics(&self) -> Result<Vec<KafkaTopic>, EngineError> {
        self.check_login()?;
        let shapes = self.shared.cluster.blocking(Cluster::shapes_now).await?;
        let names: Vec<String> = shapes.iter().map(|shape| shape.name.clone()).collect();
        let mut configs = self.configs(&names).await?;
        let topics = shapes.into_iter().map(|shape| KafkaTopic {
            partitions: shape.partitions,
            replication: shape.replicas,
            configs: configs.remove(&shape.name).unwrap_or_default(),
            name: shape.name,
        });
        Ok(topics.collect())
    }

    /// Makes topics and waits until they can be used. Those that are there already stay as they are.
    ///
    /// # Errors
    /// Names the first topic that was refused, and why; topics before it may have been made.
    pub async fn create(&self, topics: &[NewKafkaTopic]) -> Result<(), EngineError> {
        if topics.is_empty() {
            return Ok(());
        }
        let new = topics.iter().map(|topic| {
            let replicas = topic.replication.map_or(-1, i32::from);
            let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
            let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(replicas));
            topic.configs.iter().fold(new, |new, (name, value)| new.set(name, value))
        });
        let new: Vec<NewTopic<'_>> = new.collect();
        let client = self.client().await?;
        let timeout = self.shared.clients.request_timeout();
        let options = self.options().operation_timeout(Some(timeout));
        let begun = Instant::now();
        loop {
            let made = client.create_topics(&new, &options).await;
            let made = made.map_err(|error| self.failed("making topics", &error))?;
            // A broker that is away for a moment cannot hold a replica; what was made meanwhile is there already.
            let may_come = |result: &TopicResult| {
                matches!(result, Err((_, RDKafkaErrorCode::InvalidReplicationFactor)))
            };
            if !made.iter().any(may_come) || begun.elapsed() >= BROKERS_AWAY.min(timeout) {
                self.results("making topic", made, Some(RDKafkaErrorCode::TopicAlreadyExists))?;
                break;
            }
            tokio::time::sleep(10 * LOOK_AGAIN).await;
        }
        self.forget();
        self.wait_for(topics.iter().map(|topic| (topic.name.clone(), topic.partitions))).await
    }

    /// Changes settings of a topic; those not named stay as they are.
    ///
    /// # Errors
    /// Where the cluster does not answer or refuses.
    pub async fn set_configs(
        &self,
        topic: &str,
        changes: &BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        if changes.is_empty() {
            return Ok(());
        }
        // The request sets all of a topic's own settings anew: those that are not in it are gone.
        let resources = self.describe(&[topic.to_owned()]).await?;
        let mut all: BTreeMap<String, String> = BTreeMap::new();
        for entry in resources.into_iter().flat_map(|resource| resource.entries) {
            if entry.source != ConfigSource::DynamicTopic || entry.is_read_only {
                continue;
            }
            let Some(value) = entry.value else {
                return Err(EngineError::Fatal(format!(
                    "topic {topic:?} has the setting {:?} whose value the broker does not show: change it with Kafka's own tools",
                    entry.name
                )));
            };
            all.insert(entry.name, value);
        }
        all.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let change = all.iter().fold(change, |change, (name, value)| change.set(name, value));
        let client = self.client().await?;
        let changed = client.alter_configs(&[change], &self.options()).await;
        let changed = changed.map_err(|error| self.failed("changing a topic", &error))?;
        self.forget();
        for result in changed {
            if let Err((_, code)) = result {
                let doing = format!("changing topic {topic:?}");
                return Err(self.failed(&doing, &KafkaError::AdminOp(code)));
            }
        }
        Ok(())
    }

    /// Gives a topic more partitions, and waits until they can be used.
    ///
    /// # Errors
    /// Where the cluster does not answer or refuses; it refuses to take partitions away.
    pub async fn grow(&self, topic: &str, partitions: u32) -> Result<(), EngineError> {
        let count = usize::try_from(partitions).unwrap_or(usize::MAX);
        let client = self.client().await?;
        let timeout = self.shared.clients.request_timeout();
        let options = self.options().operation_timeout(Some(timeout));
        let grown = client.create_partitions(&[NewPartitions::new(topic, count)], &options).await;
        let grown = grown.map_err(|error| self.failed("adding partitions", &error))?;
        self.results("adding partitions to topic", grown, None)?;
        self.wait_for([(topic.to_owned(), partitions)].into_iter()).await
    }

    /// Id of the cluster.
    ///
    /// # Errors
    /// Where the cluster does not answer.
    pub async fn cluster_id(&self) -> Result<String, EngineError> {
        self.shared.cluster.blocking(Cluster::id_now).await
    }

    /// Settings of topics, each with the value that is in effect; none where they cannot be had with this login.
    pub(super) async fn configs(&self, topics: &[String]) -> Result<Configs, EngineError> {
        let mut configs = Configs::new();
        if self.shared.clients.uses_tokens() {
            return Ok(configs);
        }
        for resource in self.describe(topics).await? {
            let OwnedResourceSpecifier::Topic(name) = resource.specifier else { continue };
            let entries = resource.entries.into_iter();
            let values = entries.filter_map(|entry| Some((entry.name, entry.value?)));
            configs.insert(name, values.collect());
        }
        *self.shared.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::new(configs.clone())));
        Ok(configs)
    }

    /// The same, up to [`KNOWN_FOR`] old.
    pub(super) async fn known_configs(
        &self,
        topics: &[String],
    ) -> Result<Arc<Configs>, EngineError> {
        let known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((since, configs)) = known
            && since.elapsed() < KNOWN_FOR
            && topics.iter().all(|topic| configs.contains_key(topic))
        {
            return Ok(configs);
        }
        Ok(Arc::new(self.configs(topics).await?))
    }

    fn forget(&self) {
        *self.shared.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn describe(&self, topics: &[String]) -> Result<Vec<ConfigResource>, EngineError> {
        let mut resources = Vec::with_capacity(topics.len());
        for topics in topics.chunks(DESCRIBED_AT_ONCE) {
            let client = self.client().await?;
            let asked: Vec<ResourceSpecifier<'_>> =
                topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
            let described = client.describe_configs(&asked, &self.options()).await;
            let described =
                described.map_err(|error| self.failed("asking for settings", &error))?;
            for resource in described {
                let resource = resource.map_err(|code| {
                    self.failed("asking for settings", &KafkaError::AdminOp(code))
                })?;
                resources.push(resource);
            }
        }
        Ok(resources)
    }

    fn results(
        &self,
        doing: &str,
        results: Vec<TopicResult>,
        allowed: Option<RDKafkaErrorCode>,
    ) -> Result<(), EngineError> {
        for result in results {
            if let Err((topic, code)) = result
                && Some(code) != allowed
            {
                let doing = format!("{doing} {topic:?}");
                return Err(self.failed(&doing, &KafkaError::AdminOp(code)));
            }
        }
        Ok(())
    }

    /// Waits until topics are known with leaders for all of their partitions.
    async fn wait_for(
        &self,
        topics: impl Iterator<Item = (String, u32)>,
    ) -> Result<(), EngineError> {
        let timeout = self.shared.clients.request_timeout();
        let deadline = Instant::now() + timeout;
        for (topic, partitions) in topics {
            loop {
                let name = topic.clone();
                let shape = self.shared.cluster.blocking(move |cluster| cluster.shape_now(&name));
                // A topic that was made a moment ago may have an error in place of leaders.
                let is_there = shape.await.is_ok_and(|shape| {
                    shape.is_some_and(|shape| shape.is_led && shape.partitions >= partitions)
                });
                if is_there {
                    break;
                }
                if Instant::now() >= deadline {
                    let message = format!("topic {topic:?} has no leaders after {timeout:?}");
                    return Err(EngineError::Unavailable(message));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.shared.clients.request_timeout()))
    }

    fn failed(&self, doing: &str, error: &KafkaError) -> EngineError {
        self.shared.cluster.failed(doing, error)
    }

    /// rdkafka's admin client never asks for tokens, and there is no other way to it.
    fn check_login(&self) -> Result<(), EngineError> {
        if self.shared.clients.uses_tokens() {
            return Err(EngineError::Fatal(
                "topics cannot be made, changed or described with the login OAUTHBEARER: make them with Kafka's own tools, or with another login"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    async fn client(&self) -> Result<Arc<AdminClient<EngineContext>>, EngineError> {
        self.check_login()?;
        let admin = self.shared.clone();
        self.shared.cluster.blocking(move |_| admin.client_now()).await
    }

    /// Gives up the client. Blocks for a moment.
    pub(super) fn stop(&self) {
        let client = self.shared.client.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(client);
    }
}

impl Shared {
    fn client_now(&self) -> Result<Arc<AdminClient<EngineContext>>, EngineError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        // Nobody serves the log of such a client: what it said would be kept for ever.
        let made: AdminClient<EngineContext> =
            self.clients.create_silent(self.clients.context("admin"))?;
        let made = Arc::new(made);
        *client = Some(made.clone());
        Ok(made)
    }
}

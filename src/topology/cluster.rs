//! The topology on a Kafka cluster and in its schema registry.
//!
//! Steps are done one by one, each said when it is done; then it is looked whether nothing is left.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use hephaestus_pipeline::engine::{
    Engine,
    kafka::{KafkaEngine, KafkaTopic, NewKafkaTopic, settings::Delivery},
};
use hephaestus_topology::{
    Live, LiveTopic, Options, Step, Target, Topology, WantedTopic, plan as plan_steps,
    registry::RegistryClient,
};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::{refuse, show};
use crate::{
    access,
    config::Config,
    output::{Output, tell},
};

/// How long what was changed may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
/// Time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A cluster that may be looked at, and its registry where one is configured.
struct Cluster {
    engine: Arc<KafkaEngine>,
    registry: Option<RegistryClient>,
}

/// The steps for the configured cluster.
pub(super) async fn plan(config: &Config, topology: &Topology, grow: bool) -> Result<Vec<Step>> {
    let cluster = Cluster::connect(config).await?;
    let steps = cluster.plan(topology, grow).await;
    cluster.engine.close().await?;
    steps
}

/// Makes topics and subjects of the configured cluster what they should be.
pub(super) async fn apply(
    config: &Config,
    topology: &Topology,
    grow: bool,
    out: &mut Output,
) -> Result<()> {
    let cluster = Cluster::connect(config).await?;
    let result = cluster.apply(config, topology, grow, out).await;
    cluster.engine.close().await?;
    result
}

/// The cluster's topics, as they are now.
pub(super) async fn live_topics(engine: &KafkaEngine) -> Result<Vec<LiveTopic>> {
    let topics = engine.admin().topics().await.context("topics of the cluster")?;
    Ok(topics.into_iter().map(to_live).collect())
}

/// The configuration for who writes no record: no transaction is prepared, which takes longer than all else.
pub(super) fn for_looking(config: &Config) -> Config {
    let mut config = config.clone();
    config.kafka.delivery = Delivery::AtLeastOnce;
    config
}

impl Cluster {
    /// Connects to the configured cluster, if it is the one that may be changed.
    async fn connect(config: &Config) -> Result<Self> {
        let registry = match &config.schema_registry {
            Some(_) => Some(RegistryClient::new(&config.registry_endpoint()?)?),
            None => {
                tell("no schema registry is configured: subjects are left out");
                None
            }
        };
        let engine = access::connect(&for_looking(config)).await?;
        let id = engine.cluster_id().await?;
        if let Err(other) = config.topology.check_cluster(&id) {
            engine.close().await?;
            return Err(other.into());
        }
        Ok(Self { engine, registry })
    }

    async fn plan(&self, topology: &Topology, grow: bool) -> Result<Vec<Step>> {
        let topics = live_topics(&self.engine).await?;
        let subjects = match &self.registry {
            Some(registry) => Some(registry.live(&topology.subjects).await?),
            None => None,
        };
        let options = Options { target: Target::Cluster, grow };
        Ok(plan_steps(topology, &Live { topics, subjects }, options))
    }

    async fn apply(
        &self,
        config: &Config,
        topology: &Topology,
        grow: bool,
        out: &mut Output,
    ) -> Result<()> {
        let steps = self.plan(topology, grow).await?;
        if steps.iter().any(Step::is_refusal) {
            show(&steps, out)?;
            return refuse(&steps);
        }
        if config.topology.cluster_id.is_none() {
            let id = self.engine.cluster_id().await?;
            tell(format_args!(
                "this is cluster {id:?}; cluster_id = {id:?} under [topology] lets no other be changed"
            ));
        }
        let changes = steps.iter().filter(|step| step.is_change()).count();
        let bar = ProgressBar::new(u64::try_from(changes).unwrap_or(u64::MAX));
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}")?);
        let done = self.do_all(topology, &steps, &bar, out).await;
        bar.finish_and_clear();
        done?;
        if changes > 0 {
            self.see(topology, grow).await?;
        }
        tell(format_args!("{changes} changes made, {} as it was", steps.len() - changes));
        Ok(())
    }

    /// Does the steps in their order. What is said was done.
    async fn do_all(
        &self,
        topology: &Topology,
        steps: &[Step],
        bar: &ProgressBar,
        out: &mut Output,
    ) -> Result<()> {
        let changes = steps.iter().filter(|step| step.is_change()).count();
        for step in steps {
            if step.is_change() {
                bar.set_message(step.to_string());
                self.do_step(topology, step).await.with_context(|| {
                    let done = bar.position();
                    format!(
                        "{done} of {changes} changes were made and stay, the next apply goes on from there; this one failed: {step}"
                    )
                })?;
                bar.inc(1);
            }
            bar.suspend(|| out.line(step).and_then(|()| out.flush()))?;
        }
        Ok(())
    }

    async fn do_step(&self, topology: &Topology, step: &Step) -> Result<()> {
        let admin = self.engine.admin();
        match step {
            Step::Create(topic) => admin.create(&[to_new(topic)]).await?,
            Step::Configure { topic, changes } => {
                let configs: BTreeMap<String, String> =
                    changes.iter().map(|change| (change.key.clone(), change.to.clone())).collect();
                admin.set_configs(topic, &configs).await?;
            }
            Step::Grow { topic, to, .. } => admin.grow(topic, *to).await?,
            Step::SetLevel { subject, to, .. } => self.registry()?.set_level(subject, *to).await?,
            Step::Register { subject, .. } => {
                let known = topology.subjects.iter().find(|known| known.subject == *subject);
                let known = known.ok_or_else(|| anyhow!("no subject {subject:?}"))?;
                self.registry()?.register(known).await?;
            }
            Step::Keep(_)
            | Step::Replicas { .. }
            | Step::Refuse { .. }
            | Step::Unknown(_)
            | Step::Incompatible { .. } => {}
        }
        Ok(())
    }

    fn registry(&self) -> Result<&RegistryClient> {
        self.registry.as_ref().ok_or_else(|| anyhow!("no schema registry is configured"))
    }

    /// Waits until every broker that is asked says what was made: a stage may be started right after.
    async fn see(&self, topology: &Topology, grow: bool) -> Result<()> {
        let deadline = Instant::now() + SEEN_WITHIN;
        loop {
            let left = self.plan(topology, grow).await?;
            let left: Vec<String> =
                left.iter().filter(|step| step.is_change()).map(ToString::to_string).collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!(
                    "everything was done, and after {SEEN_WITHIN:?} this still differs:\n  {}",
                    left.join("\n  ")
                );
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// A topic as it is asked for.
pub(super) fn to_new(topic: &WantedTopic) -> NewKafkaTopic {
    NewKafkaTopic {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication: topic.replication,
        configs: topic.configs.clone(),
    }
}

fn to_live(topic: KafkaTopic) -> LiveTopic {
    LiveTopic {
        name: topic.name,
        partitions: topic.partitions,
        replication: Some(topic.replication),
        configs: topic.configs,
    }
}

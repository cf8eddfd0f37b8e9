//! The topology in a directory of the embedded engine.

use std::time::Duration;

use anyhow::{Result, bail};
use hephaestus_pipeline::engine::{Cleanup, TopicInfo, TopicSpec};
use hephaestus_topology::{
    Live, LiveTopic, Options, Step, Target, Topology, cleanup_configs, plan as plan_steps,
};

use super::{refuse, show, to_spec};
use crate::{
    access::{self, Access},
    config::Config,
    output::Output,
};

/// The steps for the configured directory, which need not exist.
pub(super) async fn plan(config: &Config, topology: &Topology, grow: bool) -> Result<Vec<Step>> {
    let Some(access) = access::open_if_there(config).await? else {
        return Ok(steps(topology, &Live::default(), grow));
    };
    let live = live(&access).await;
    access.close().await?;
    Ok(steps(topology, &live?, grow))
}

/// Makes the topics of the configured directory what they should be, all at once.
pub(super) async fn apply(
    config: &Config,
    topology: &Topology,
    grow: bool,
    out: &mut Output,
) -> Result<()> {
    let access = access::open_or_create(config).await?;
    let result = apply_to(&access, topology, grow, out).await;
    access.close().await?;
    result
}

async fn apply_to(
    access: &Access,
    topology: &Topology,
    grow: bool,
    out: &mut Output,
) -> Result<()> {
    let steps = steps(topology, &live(access).await?, grow);
    show(&steps, out)?;
    refuse(&steps)?;
    let mut topics: Vec<TopicSpec> = Vec::new();
    for step in &steps {
        let name = match step {
            Step::Create(topic) => &topic.name,
            Step::Configure { topic, .. } => topic,
            _ => continue,
        };
        topics.extend(topology.topic(name).map(to_spec));
    }
    if topics.is_empty() {
        return Ok(());
    }
    let Some(engine) = &access.engine else {
        let dir = access.dir.display();
        bail!("{dir} is in use by a running pipeline; stop it to make or change topics");
    };
    engine.create_topics(&topics).await?;
    Ok(())
}

fn steps(topology: &Topology, live: &Live, grow: bool) -> Vec<Step> {
    plan_steps(topology, live, Options { target: Target::Directory, grow })
}

async fn live(access: &Access) -> Result<Live> {
    let topics = access.log.topics().await?;
    Ok(Live { topics: topics.iter().map(to_live).collect(), subjects: None })
}

fn to_live(info: &TopicInfo) -> LiveTopic {
    let cleanup = match info.spec.cleanup {
        Cleanup::Compact => hephaestus_topology::Cleanup::Compact,
        Cleanup::Delete { retention_ms, retention_bytes } => hephaestus_topology::Cleanup::Delete {
            retention: retention_ms.map_or(Duration::MAX, Duration::from_millis),
            retention_bytes,
        },
    };
    LiveTopic {
        name: info.spec.name.to_string(),
        partitions: info.spec.partitions,
        replication: None,
        configs: cleanup_configs(cleanup),
    }
}

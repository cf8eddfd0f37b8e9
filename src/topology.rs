//! `hephaestus topology`: checks, draws and creates the topics.

use std::time::Duration;

use anyhow::{Result, bail};
use hephaestus_pipeline::engine::{Cleanup, TopicInfo, TopicSpec};
use hephaestus_topology::{Existing, Step, TopicDef, Topology, describe, pipeline, plan, validate};

use crate::{
    access::{self, Access},
    cli::TopologyCommand,
    config::Config,
    output::{Output, tell},
};

/// Runs a subcommand of `topology`.
pub(crate) async fn run(command: TopologyCommand, config: &Config) -> Result<()> {
    let topology = pipeline(&config.profile())?;
    let mut out = Output::new();
    match command {
        TopologyCommand::Validate => {
            check(&topology)?;
            tell(format_args!(
                "{} topics and {} stages, no problem",
                topology.topics.len(),
                topology.stages.len()
            ));
        }
        TopologyCommand::Describe { format } => out.text(&describe(&topology, format))?,
        TopologyCommand::Plan => {
            check(&topology)?;
            let access = access::open_if_there(config).await?;
            let steps = plan(&topology, &existing(access.as_ref()).await?);
            let shown = show(&steps, &mut out);
            access::close(access).await?;
            shown?;
        }
        TopologyCommand::Apply => {
            check(&topology)?;
            let access = access::open_or_create(config).await?;
            let result = apply(&topology, &access, &mut out).await;
            access.close().await?;
            result?;
        }
    }
    out.flush()
}

fn check(topology: &Topology) -> Result<()> {
    let problems = validate(topology);
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!("topology cannot work:\n  {}", lines.join("\n  "));
}

async fn existing(access: Option<&Access>) -> Result<Vec<Existing>> {
    let Some(access) = access else {
        return Ok(Vec::new());
    };
    Ok(access.log.topics().await?.iter().map(to_existing).collect())
}

fn show(steps: &[Step], out: &mut Output) -> Result<()> {
    for step in steps {
        out.line(step)?;
    }
    out.flush()?;
    let refused = steps.iter().filter(|step| step.is_refusal()).count();
    if refused > 0 {
        bail!("{refused} topics differ in what cannot be changed");
    }
    Ok(())
}

async fn apply(topology: &Topology, access: &Access, out: &mut Output) -> Result<()> {
    let steps = plan(topology, &existing(Some(access)).await?);
    show(&steps, out)?;
    let mut missing = Vec::new();
    for step in &steps {
        if let Step::Create(topic) = step {
            missing.push(to_spec(topic));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let Some(engine) = &access.engine else {
        bail!("{} is in use by a running pipeline; stop it to create topics", access.dir.display());
    };
    engine.create_topics(&missing).await?;
    Ok(())
}

/// Creates the topics that are missing, where no running pipeline has made them.
pub(crate) async fn ensure(config: &Config, access: &Access) -> Result<()> {
    let topics: Vec<TopicSpec> = pipeline(&config.profile())?.topics.iter().map(to_spec).collect();
    if let Some(engine) = &access.engine {
        engine.create_topics(&topics).await?;
    }
    Ok(())
}

/// A topic of the topology as an engine takes it.
pub(crate) fn to_spec(topic: &TopicDef) -> TopicSpec {
    let cleanup = match topic.cleanup {
        hephaestus_topology::Cleanup::Compact => Cleanup::Compact,
        hephaestus_topology::Cleanup::Delete { retention, retention_bytes } => {
            let retention_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
            Cleanup::Delete { retention_ms: Some(retention_ms), retention_bytes }
        }
    };
    TopicSpec { name: topic.name.as_str().into(), partitions: topic.partitions, cleanup }
}

fn to_existing(info: &TopicInfo) -> Existing {
    let cleanup = match info.spec.cleanup {
        Cleanup::Compact => hephaestus_topology::Cleanup::Compact,
        Cleanup::Delete { retention_ms, retention_bytes } => hephaestus_topology::Cleanup::Delete {
            retention: retention_ms.map_or(Duration::MAX, Duration::from_millis),
            retention_bytes,
        },
    };
    Existing {
        name: info.spec.name.to_string(),
        partitions: info.spec.partitions,
        cleanup: Some(cleanup),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use hephaestus_analyzer::Analyzer;
    use hephaestus_change_requester::ChangeRequester;
    use hephaestus_classifier::{ClassifierConfig, stage::ClassifierStage};
    use hephaestus_model_engine::PlaybookProvider;
    use hephaestus_pipeline::stage::{Stage, StageSpec};
    use hephaestus_proposer::Proposer;
    use hephaestus_topology::{Profile, StageDef};

    use super::*;

    fn as_defined(spec: &StageSpec) -> StageDef {
        StageDef {
            name: spec.name,
            reads: spec.reads.clone(),
            writes: spec.writes.clone(),
            tables: spec.tables.iter().map(|table| table.topic()).collect(),
            stateful: spec.stateful,
        }
    }

    #[test]
    fn the_topology_says_what_the_stages_do() {
        let provider = Arc::new(PlaybookProvider::new().unwrap());
        let specs = [
            ClassifierStage::new(ClassifierConfig::default()).spec(),
            Analyzer::new(provider.clone(), &[]).spec(),
            Proposer::new(provider, &[]).spec(),
            ChangeRequester.spec(),
        ];
        let stages: Vec<StageDef> = specs.iter().map(as_defined).collect();
        assert_eq!(pipeline(&Profile::development()).unwrap().stages, stages);
    }
}

//! `hephaestus topology`: checks and draws the topology, and makes an engine and a registry follow it.
//!
//! Nothing is shrunk or deleted; what was done is said, also where the rest failed.

mod cluster;
mod directory;
mod figures;
mod start;

use anyhow::{Result, bail};
use hephaestus_pipeline::engine::{Cleanup, TopicSpec};
use hephaestus_topology::{Step, TopicDef, Topology, describe, pipeline, validate};

pub(crate) use self::start::{check_at_start, ensure_schemas};
use crate::{
    access::Access,
    cli::{EngineKind, TopologyCommand},
    config::Config,
    output::{Output, tell},
    usage::Differs,
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
        TopologyCommand::Describe { format } => {
            let figures = figures::gather(config, &topology).await;
            out.text(&describe(&topology, figures.as_ref(), format))?;
        }
        TopologyCommand::Plan { grow, check: checks } => {
            check(&topology)?;
            let steps = match config.engine {
                EngineKind::Embedded => directory::plan(config, &topology, grow).await?,
                EngineKind::Kafka => cluster::plan(config, &topology, grow).await?,
            };
            show(&steps, &mut out)?;
            refuse(&steps)?;
            let differences = steps.iter().filter(|step| step.is_difference()).count();
            if checks && differences > 0 {
                return Err(Differs(differences).into());
            }
        }
        TopologyCommand::Apply { grow } => {
            check(&topology)?;
            match config.engine {
                EngineKind::Embedded => {
                    directory::apply(config, &topology, grow, &mut out).await?;
                }
                EngineKind::Kafka => cluster::apply(config, &topology, grow, &mut out).await?,
            }
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

fn show(steps: &[Step], out: &mut Output) -> Result<()> {
    for step in steps {
        out.line(step)?;
    }
    out.flush()
}

/// An error where a plan cannot be applied as a whole: then nothing of it is.
fn refuse(steps: &[Step]) -> Result<()> {
    let refused = steps.iter().filter(|step| step.is_refusal()).count();
    if refused > 0 {
        bail!("{refused} topics or subjects differ in what cannot be changed; nothing is changed");
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use hephaestus_analyzer::Analyzer;
    use hephaestus_change_requester::ChangeRequester;
    use hephaestus_classifier::{ClassifierConfig, Masker, stage::ClassifierStage};
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
            Analyzer::new(provider.clone(), Masker::default()).spec(),
            Proposer::new(provider, Masker::default()).spec(),
            ChangeRequester.spec(),
        ];
        let stages: Vec<StageDef> = specs.iter().map(as_defined).collect();
        assert_eq!(pipeline(&Profile::development()).unwrap().stages, stages);
    }
}

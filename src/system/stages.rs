//! The stages of a process: made, their schemas registered, started.

use std::sync::Arc;

use anyhow::{Context, Result};
use hephaestus_analyzer::Analyzer;
use hephaestus_change_requester::ChangeRequester;
use hephaestus_classifier::{Masker, stage::ClassifierStage};
use hephaestus_model_engine::{ModelProvider, PlaybookProvider};
use hephaestus_pipeline::{
    runtime::{StageConfig, StageDeps, StageError, run_stage},
    stage::{Failure, Stage},
    telemetry::metrics::{Metrics, MetricsError},
};
use hephaestus_proposer::Proposer;
use hephaestus_schemas::codec::Codec;
use hephaestus_topology::nearest;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{config::Config, usage::WrongUsage};

/// Stages, in the order of the flow.
pub(crate) const STAGES: [&str; 4] = ["classifier", "analyzer", "proposer", "change-requester"];
/// The door for lines, which `run` takes like a stage.
pub(crate) const GATEWAY: &str = "gateway";

/// Says which names are none, and what was meant.
pub(super) fn check_names(names: &[String]) -> Result<(), WrongUsage> {
    let known = || STAGES.into_iter().chain([GATEWAY]);
    let Some(unknown) = names.iter().find(|name| known().all(|known| known != name.as_str()))
    else {
        return Ok(());
    };
    let hint = nearest(unknown, known());
    let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
    Err(WrongUsage(format!("no stage {unknown:?}{hint}")))
}

/// A stage that was made and does not run yet.
pub(super) enum Ready {
    Classifier(Arc<ClassifierStage>),
    Analyzer(Arc<Analyzer>),
    Proposer(Arc<Proposer>),
    ChangeRequester(Arc<ChangeRequester>),
}

/// Makes the named stages; the gateway is none.
pub(super) fn make(names: &[String], config: &Config) -> Result<Vec<Ready>> {
    let provider: Arc<dyn ModelProvider> = Arc::new(PlaybookProvider::new()?);
    let masker = Masker::new(&config.classifier);
    let mut stages = Vec::new();
    for name in names {
        stages.push(match name.as_str() {
            GATEWAY => continue,
            "classifier" => {
                Ready::Classifier(Arc::new(ClassifierStage::new(config.classifier.clone())))
            }
            "analyzer" => {
                let analyzer = Analyzer::with(config.analyzer, provider.clone(), masker.clone());
                Ready::Analyzer(Arc::new(analyzer))
            }
            "proposer" => {
                Ready::Proposer(Arc::new(Proposer::new(provider.clone(), masker.clone())))
            }
            _ => Ready::ChangeRequester(Arc::new(ChangeRequester)),
        });
    }
    Ok(stages)
}

impl Ready {
    /// Registers the schemas of what it writes. A registry that does not answer is the stage's own
    /// affair: it waits for it.
    ///
    /// # Errors
    /// Where a schema is refused, with the registry's explanation.
    pub(super) async fn register(&self, codec: &Codec) -> Result<()> {
        match self {
            Self::Classifier(stage) => register(stage.as_ref(), codec).await,
            Self::Analyzer(stage) => register(stage.as_ref(), codec).await,
            Self::Proposer(stage) => register(stage.as_ref(), codec).await,
            Self::ChangeRequester(stage) => register(stage.as_ref(), codec).await,
        }
    }

    /// Shows the metrics that it has of its own.
    ///
    /// # Errors
    /// Where two of them clash, which is a fault of the program.
    pub(super) fn show(&self, metrics: &Metrics) -> Result<(), MetricsError> {
        let own = match self {
            Self::Classifier(stage) => stage.metrics(),
            Self::Analyzer(stage) => stage.metrics(),
            Self::Proposer(_) | Self::ChangeRequester(_) => Vec::new(),
        };
        own.into_iter().try_for_each(|metric| metrics.add(metric))
    }

    /// Starts it.
    pub(super) fn spawn(
        self,
        deps: StageDeps,
        limits: StageConfig,
        running: &mut JoinSet<Result<(), StageError>>,
        stop: CancellationToken,
    ) {
        match self {
            Self::Classifier(stage) => running.spawn(run_stage(stage, deps, limits, stop)),
            Self::Analyzer(stage) => running.spawn(run_stage(stage, deps, limits, stop)),
            Self::Proposer(stage) => running.spawn(run_stage(stage, deps, limits, stop)),
            Self::ChangeRequester(stage) => running.spawn(run_stage(stage, deps, limits, stop)),
        };
    }
}

async fn register<S: Stage>(stage: &S, codec: &Codec) -> Result<()> {
    match stage.register(codec).await {
        Ok(()) => Ok(()),
        Err(Failure::Retry { message, .. }) => {
            tracing::warn!(stage = stage.spec().name, message, "schemas cannot be registered yet");
            Ok(())
        }
        Err(failure) => Err(failure).with_context(|| format!("stage {}", stage.spec().name)),
    }
}

//! The stage: asks the provider for edits, passes them through the gates, and writes the proposal.

use std::sync::Arc;

use bytes::Bytes;
use hephaestus_classifier::Masker;
use hephaestus_model_engine::{ModelError, ModelProvider, ProposalRequest, context, syntax};
use hephaestus_pipeline::{
    clock,
    record::Record,
    stage::{Effects, Failure, Output, Stage, StageSpec, register_value},
    table::Table,
};
use hephaestus_repository_service::{
    CommitId, FileLists, LocalRepository, Repository, View, blocking,
};
use hephaestus_schemas::{
    Analysis, Node, ProposedChange,
    codec::{Codec, EncodeError},
    topics,
};

use crate::{Checks, Limits, propose};

/// Analyses worked on at once.
const CONCURRENCY: usize = 8;

/// analyses to proposed-changes.
pub struct Proposer {
    nodes: Table<Node>,
    provider: Arc<dyn ModelProvider>,
    files: Arc<FileLists>,
    masker: Arc<Masker>,
    limits: Limits,
}

impl Proposer {
    /// A proposer that asks `provider`.
    /// `masker` finds the secrets that a change must not hold.
    pub fn new(provider: Arc<dyn ModelProvider>, masker: Masker) -> Self {
        Self {
            nodes: Table::new(topics::NODES),
            provider,
            files: Arc::new(FileLists::new()),
            masker: Arc::new(masker),
            limits: Limits::default(),
        }
    }

    /// The table of nodes, to be filled by the runtime or a test.
    pub fn nodes(&self) -> &Table<Node> {
        &self.nodes
    }

    async fn propose(&self, analysis: &Analysis) -> Result<Option<ProposedChange>, Failure> {
        let Some(commit) = &analysis.base_commit else { return Ok(None) };
        let commit: CommitId =
            commit.parse().map_err(|error| Failure::reject("base-commit", error))?;
        let repository = LocalRepository::new(&analysis.repository);
        let repository: Arc<dyn Repository> =
            Arc::new(repository.map_err(|error| Failure::reject("repository", error))?);

        let node = self.nodes.get(&analysis.node);
        let source_root = node.map(|node| node.source_root.clone()).unwrap_or_default();
        let frames = context::frames(&analysis.culprits, analysis.exception.as_ref());
        let (lists, at) = (self.files.clone(), commit.clone());
        let files = blocking(repository.clone(), move |repository| {
            context::gather(repository.as_ref(), &at, &lists, &source_root, &frames)
        });
        let files = files.await.map_err(|error| of_repository(&error))?;

        let request = ProposalRequest { analysis: analysis.clone(), files };
        let edits = match self.provider.propose(&request).await {
            Ok(edits) if edits.is_empty() => return Ok(None),
            Ok(edits) => edits,
            Err(ModelError::Retry { after, reason }) => {
                return Err(Failure::Retry { class: "model", message: reason, after });
            }
            Err(ModelError::Permanent(reason)) => return Err(Failure::reject("model", reason)),
        };

        let (masker, limits, analysis) = (self.masker.clone(), self.limits, request.analysis);
        let proposal = blocking(repository, move |repository| {
            let checks = Checks {
                syntax_errors: &|path, text| {
                    let report = syntax::check(path, text);
                    report.checked.then_some(report.errors)
                },
                is_secret: &|line| masker.mask(line, &mut 0).count > 0,
            };
            let mut view = View::new(repository, commit);
            propose(&analysis, edits, &mut view, &checks, &limits, clock::now_micros())
        });
        proposal.await.map(Some).map_err(|error| of_repository(&error))
    }
}

fn of_repository(error: &hephaestus_repository_service::RepositoryError) -> Failure {
    if error.is_retryable() {
        Failure::retry("repository", error)
    } else {
        Failure::reject("repository", error)
    }
}

/// What the proposer writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Written(pub ProposedChange);

impl Output for Written {
    fn topic(&self) -> &'static str {
        topics::PROPOSED_CHANGES
    }

    fn key(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.repository.as_bytes())
    }

    fn encode(&self, codec: &Codec) -> Result<Option<Bytes>, EncodeError> {
        codec.encode(self.topic(), &self.0).map(Some)
    }
}

impl Stage for Proposer {
    type Input = Analysis;
    type Output = Written;
    type State = ();

    fn spec(&self) -> StageSpec {
        StageSpec {
            name: "proposer",
            version: env!("CARGO_PKG_VERSION"),
            reads: vec![topics::ANALYSES],
            writes: vec![topics::PROPOSED_CHANGES],
            tables: vec![Arc::new(self.nodes.clone())],
            stateful: false,
            max_run: 1,
            concurrency: CONCURRENCY,
        }
    }

    async fn register(&self, codec: &Codec) -> Result<(), Failure> {
        register_value::<ProposedChange>(topics::PROPOSED_CHANGES, codec).await
    }

    async fn process(
        &self,
        _record: &Record,
        analysis: Analysis,
        (): &mut (),
        effects: &mut Effects<Written>,
    ) -> Result<(), Failure> {
        if !analysis.signal.is_empty() {
            // Something is not usual, and nothing is known to be wrong.
            return Ok(());
        }
        let Some(proposal) = self.propose(&analysis).await? else {
            tracing::info!(
                incident = analysis.incident_id,
                cause_known = analysis.cause_known,
                "no change is proposed"
            );
            return Ok(());
        };
        tracing::info!(
            proposal = proposal.proposal_id,
            incident = proposal.incident_id,
            status = ?proposal.status,
            "change proposed"
        );
        effects.emit(Written(proposal));
        Ok(())
    }
}

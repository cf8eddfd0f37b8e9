//! The stage: follows proposals and decisions, opens what was approved, and writes what happens.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use hephaestus_pipeline::{
    clock,
    record::Record,
    stage::{Effects, Failure, Input, Output, Stage, StageSpec, State, register_value},
};
use hephaestus_repository_service::{HostError, LocalHost, LocalRepository, OpenedChange};
use hephaestus_schemas::{
    ChangeRequest, Decision, ProposedChange,
    codec::{Codec, EncodeError},
    topics,
};

use crate::{
    PendingChange, RepositoryState, Step, on_decision, on_failed, on_opened, on_proposal,
    open_change,
};

/// Repositories worked on at once.
const CONCURRENCY: usize = 8;

/// proposed-changes and decisions to change-requests.
#[derive(Debug, Default)]
pub struct ChangeRequester;

/// What the change requester reads.
pub enum Read {
    /// A proposal.
    Proposal(Box<ProposedChange>),
    /// A decision about one.
    Decision(Decision),
}

impl Input for Read {
    async fn decode(record: &Record, codec: &Codec) -> Result<Self, Failure> {
        if record.topic.as_ref() == topics::DECISIONS {
            return Decision::decode(record, codec).await.map(Self::Decision);
        }
        let proposal = ProposedChange::decode(record, codec).await?;
        Ok(Self::Proposal(Box::new(proposal)))
    }
}

/// What the change requester writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written(pub ChangeRequest);

impl Output for Written {
    fn topic(&self) -> &'static str {
        topics::CHANGE_REQUESTS
    }

    fn key(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.repository.as_bytes())
    }

    fn encode(&self, codec: &Codec) -> Result<Option<Bytes>, EncodeError> {
        codec.encode(self.topic(), &self.0).map(Some)
    }
}

impl State for RepositoryState {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    fn weight(&self) -> usize {
        Self::weight(self)
    }
}

async fn open(change: &PendingChange) -> Result<OpenedChange, HostError> {
    let local = || {
        LocalRepository::new(&change.repository)
            .map_err(|error| HostError::Permanent { reason: error.to_string() })
    };
    let host = LocalHost::new(local()?);
    open_change(change, Arc::new(local()?), &host).await
}

impl Stage for ChangeRequester {
    type Input = Read;
    type Output = Written;
    type State = RepositoryState;

    fn spec(&self) -> StageSpec {
        StageSpec {
            name: "change-requester",
            version: env!("CARGO_PKG_VERSION"),
            reads: vec![topics::PROPOSED_CHANGES, topics::DECISIONS],
            writes: vec![topics::CHANGE_REQUESTS],
            tables: Vec::new(),
            stateful: true,
            max_run: 1,
            concurrency: CONCURRENCY,
        }
    }

    async fn register(&self, codec: &Codec) -> Result<(), Failure> {
        register_value::<ChangeRequest>(topics::CHANGE_REQUESTS, codec).await
    }

    async fn process(
        &self,
        _record: &Record,
        input: Read,
        state: &mut RepositoryState,
        effects: &mut Effects<Written>,
    ) -> Result<(), Failure> {
        let now = clock::now_micros();
        let steps = match input {
            Read::Proposal(proposal) => on_proposal(state, *proposal, now),
            Read::Decision(decision) => on_decision(state, &decision, now),
        };
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Emit(event) => {
                    tracing::info!(
                        change_request = event.id,
                        proposal = event.proposal_id,
                        event = ?event.event,
                        actor = event.actor,
                        reason = event.reason,
                        "change request"
                    );
                    effects.emit(Written(*event));
                }
                Step::Open(change) => {
                    let id = &change.proposal_id;
                    let next = match open(&change).await {
                        Ok(opened) => on_opened(state, id, &opened, now),
                        Err(HostError::Retry { reason, after }) => {
                            return Err(Failure::Retry { class: "host", message: reason, after });
                        }
                        Err(error) => on_failed(state, id, &error.to_string(), now),
                    };
                    steps.extend(next);
                }
            }
        }
        Ok(())
    }
}

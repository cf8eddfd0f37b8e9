//! `hephaestus proposals`: lists proposals and what became of them.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Result, bail};
use clap::ValueEnum;
use hephaestus_pipeline::{engine::Log, record::Record};
use hephaestus_schemas::{
    ChangeRequest, ChangeRequestEvent, Decision, Mode, ProposalStatus, ProposedChange, Value,
    Verdict,
    codec::{Codec, DecodeError},
    topics::{CHANGE_REQUESTS, DECISIONS, PROPOSED_CHANGES},
};
use serde::Serialize;

use crate::{
    access,
    cli::ProposalsArgs,
    codec,
    config::Config,
    output::{Output, tell},
    scan::{Scan, Start, find_topic},
    tap::rfc3339,
};

/// Most proposals that are listed: what a person can still look through.
const MAX_PROPOSALS: usize = 100_000;

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// A gate refused it
    Refused,
    /// It passed every gate
    Proposed,
    /// It waits for a person
    AwaitingDecision,
    /// It was approved
    Approved,
    /// It was rejected
    Rejected,
    /// Its change request is open
    Opened,
    /// Its change request was merged
    Merged,
    /// Its change request was closed without a merge
    Closed,
    /// Its change request could not be made
    Failed,
}

impl Status {
    /// Its name, as it is typed.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A proposal with what happened to it.
pub(crate) struct Proposal {
    /// The proposal.
    pub(crate) change: ProposedChange,
    /// The record that holds it.
    pub(crate) record: Record,
    /// The last decision about it.
    pub(crate) decision: Option<Decision>,
    /// The last event of its change request.
    pub(crate) event: Option<ChangeRequest>,
}

impl Proposal {
    /// What became of it.
    pub(crate) fn status(&self) -> Status {
        if self.change.status == ProposalStatus::Refused {
            return Status::Refused;
        }
        let event = self.event.as_ref().map(|event| event.event);
        match event {
            Some(ChangeRequestEvent::Opened | ChangeRequestEvent::Updated) => Status::Opened,
            Some(ChangeRequestEvent::Merged) => Status::Merged,
            Some(ChangeRequestEvent::Closed) => Status::Closed,
            Some(ChangeRequestEvent::Failed) => Status::Failed,
            Some(ChangeRequestEvent::Approved) => Status::Approved,
            Some(ChangeRequestEvent::Rejected) => Status::Rejected,
            Some(ChangeRequestEvent::AwaitingDecision) | None => self.undone_status(),
        }
    }

    /// Its status while the change requester has not acted on a decision.
    fn undone_status(&self) -> Status {
        match self.decision.as_ref().map(|decision| decision.verdict) {
            Some(Verdict::Approved) => Status::Approved,
            Some(Verdict::Rejected) => Status::Rejected,
            None if self.change.needs_decision => Status::AwaitingDecision,
            None => Status::Proposed,
        }
    }
}

/// Reads every proposal, the oldest first.
pub(crate) async fn read_all(log: &Arc<dyn Log>, codec: &Codec) -> Result<Vec<Proposal>> {
    let mut proposals: Vec<Proposal> = Vec::new();
    let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
    for (record, change) in read::<ProposedChange>(log, codec, PROPOSED_CHANGES).await? {
        if by_id.contains_key(&change.proposal_id) {
            continue;
        }
        by_id.insert(change.proposal_id.clone(), proposals.len());
        proposals.push(Proposal { change, record, decision: None, event: None });
    }
    for (_, decision) in read::<Decision>(log, codec, DECISIONS).await? {
        let place = by_id.get(&decision.proposal_id);
        // The first one counts: the change requester acts on it.
        if let Some(proposal) = place.and_then(|place| proposals.get_mut(*place))
            && proposal.decision.is_none()
        {
            proposal.decision = Some(decision);
        }
    }
    for (_, event) in read::<ChangeRequest>(log, codec, CHANGE_REQUESTS).await? {
        let place = by_id.get(&event.proposal_id);
        if let Some(proposal) = place.and_then(|place| proposals.get_mut(*place)) {
            proposal.event = Some(event);
        }
    }
    Ok(proposals)
}

async fn read<V: Value>(
    log: &Arc<dyn Log>,
    codec: &Codec,
    topic: &str,
) -> Result<Vec<(Record, V)>> {
    let info = find_topic(log, topic).await?;
    let mut scan = Scan::new(log, &info, Start::Beginning, false).await?;
    let mut values = Vec::new();
    while let Some(mut record) = scan.next().await? {
        let Some(bytes) = record.value.take() else {
            continue;
        };
        match codec.decode::<V>(&bytes).await {
            Ok(value) => values.push((record, value)),
            Err(DecodeError::Registry(error)) => return Err(error.into()),
            Err(error) => {
                tell(format_args!("{topic}/{}/{}: {error}", record.partition, record.offset));
            }
        }
        if values.len() > MAX_PROPOSALS {
            bail!("topic {topic} has more than {MAX_PROPOSALS} records; use tap");
        }
    }
    Ok(values)
}

/// A proposal as `--json` shows it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    proposal_id: &'a str,
    status: Status,
    title: &'a str,
    node: &'a str,
    repository: &'a str,
    fingerprint: &'a str,
    incident_id: &'a str,
    mode: Mode,
    needs_decision: bool,
    confidence: f64,
    files: &'a [String],
    refused: Vec<RefusedBy<'a>>,
    decided_by: Option<&'a str>,
    change_request: Option<&'a str>,
    branch: Option<&'a str>,
    commit: Option<&'a str>,
    proposed_at: String,
    description: &'a str,
    diff: &'a str,
}

#[derive(Debug, Serialize)]
struct RefusedBy<'a> {
    gate: &'a str,
    reason: &'a str,
}

impl<'a> Shown<'a> {
    fn new(proposal: &'a Proposal) -> Self {
        let Proposal { change, decision, event, .. } = proposal;
        let event = event.as_ref();
        let refused = change.gates.iter().filter(|gate| !gate.passed);
        Self {
            proposal_id: &change.proposal_id,
            status: proposal.status(),
            title: &change.title,
            node: &change.node,
            repository: &change.repository,
            fingerprint: &change.fingerprint,
            incident_id: &change.incident_id,
            mode: change.mode,
            needs_decision: change.needs_decision,
            confidence: change.confidence,
            files: &change.files,
            refused: refused
                .map(|gate| RefusedBy { gate: &gate.gate, reason: &gate.reason })
                .collect(),
            decided_by: decision.as_ref().map(|decision| decision.actor.as_str()),
            change_request: event.map(|event| event.id.as_str()),
            branch: event.and_then(|event| event.branch.as_deref()),
            commit: event.and_then(|event| event.commit.as_deref()),
            proposed_at: rfc3339(change.proposed_at / 1000),
            description: &change.description,
            diff: &change.diff,
        }
    }
}

/// Runs `proposals`.
pub(crate) async fn run(arguments: &ProposalsArgs, config: &Config) -> Result<()> {
    let access = access::open(config).await?;
    let proposals = async {
        let open = codec::open(&access, config).await?;
        read_all(&access.log, &open.codec).await
    };
    let proposals = proposals.await;
    access.close().await?;
    let mut proposals = proposals?;
    proposals.retain(|proposal| arguments.status.is_none_or(|status| proposal.status() == status));
    let mut out = Output::new();
    if arguments.json {
        for proposal in &proposals {
            out.json(&Shown::new(proposal))?;
        }
    } else {
        list(&proposals, &mut out)?;
    }
    out.flush()
}

fn list(proposals: &[Proposal], out: &mut Output) -> Result<()> {
    if proposals.is_empty() {
        tell("no proposals");
    }
    for proposal in proposals {
        let change = &proposal.change;
        let status = proposal.status().name();
        let title = printable(&change.title);
        let files = printable(&change.files.join(", "));
        out.line(format_args!("{}  {status:17}  {title}", change.proposal_id))?;
        out.line(format_args!("    {} in {files}", printable(&change.node)))?;
        for gate in change.gates.iter().filter(|gate| !gate.passed) {
            let reason = printable(&gate.reason);
            out.line(format_args!("    refused by {}: {reason}", gate.gate))?;
        }
    }
    Ok(())
}

/// Text of strangers without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! `hephaestus approve` and `reject`: a person decides about a proposal.

use anyhow::{Result, bail};
use hephaestus_gateway::STAGE as GATEWAY;
use hephaestus_pipeline::{
    clock,
    record::{Headers, NewRecord, ORIGIN, STAGE, TRACEPARENT},
    telemetry::traceparent::TraceContext,
};
use hephaestus_schemas::{
    ActorKind, AuditEvent, Decision, Outcome, Verdict,
    topics::{AUDIT, DECISIONS},
};
use hephaestus_topology::nearest;
use serde::Serialize;

use crate::{
    access::{self, Access},
    cli::DecideArgs,
    codec,
    config::Config,
    output::{Output, tell},
    proposals::{self, Proposal, Status},
    usage::WrongUsage,
};

/// Longest name of an actor in bytes.
const MAX_ACTOR_BYTES: usize = 200;
/// Longest reason in bytes.
const MAX_REASON_BYTES: usize = 10_000;

/// Runs `approve` or `reject`.
pub(crate) async fn run(arguments: &DecideArgs, verdict: Verdict, config: &Config) -> Result<()> {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
    let actor = actor(arguments.actor.as_deref(), user.as_deref()).map_err(WrongUsage)?;
    if arguments.reason.len() > MAX_REASON_BYTES {
        return Err(WrongUsage(format!("--reason is longer than {MAX_REASON_BYTES} bytes")).into());
    }
    let access = access::open(config).await?;
    let result = decide(arguments, &actor, verdict, &access, config).await;
    access.close().await?;
    result
}

fn actor(flag: Option<&str>, user: Option<&str>) -> Result<String, String> {
    let actor = flag.or(user).unwrap_or_default().trim();
    if actor.is_empty() {
        return Err("nobody to decide: $USER is not set, name somebody with --actor".to_owned());
    }
    if actor.len() > MAX_ACTOR_BYTES || actor.chars().any(char::is_control) {
        return Err(format!("--actor is no name of at most {MAX_ACTOR_BYTES} bytes"));
    }
    Ok(actor.to_owned())
}

/// What is to be done about a proposal.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    /// The decision is written.
    Decide,
    /// It was decided so already.
    DoneAlready(String),
    /// It cannot be decided.
    Refuse(String),
}

fn course(proposal: &Proposal, verdict: Verdict) -> Course {
    let id = &proposal.change.proposal_id;
    let status = proposal.status();
    if status == Status::Refused {
        let gates: Vec<&str> = proposal
            .change
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| gate.gate.as_str())
            .collect();
        let gates = gates.join(", ");
        return Course::Refuse(format!(
            "proposal {id} was refused by gate {gates}; there is nothing to decide"
        ));
    }
    if let Some(decision) = &proposal.decision {
        let was = word(decision.verdict);
        let said = format!("proposal {id} was {was} already, by {}", decision.actor);
        let is_same = decision.verdict == verdict;
        return if is_same { Course::DoneAlready(said) } else { Course::Refuse(said) };
    }
    match status {
        Status::Proposed | Status::AwaitingDecision => Course::Decide,
        Status::Approved if verdict == Verdict::Approved => {
            Course::DoneAlready(format!("proposal {id} was approved already"))
        }
        Status::Rejected if verdict == Verdict::Rejected => {
            Course::DoneAlready(format!("proposal {id} was rejected already"))
        }
        status => Course::Refuse(format!("proposal {id} is {} already", status.name())),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::Rejected => "rejected",
    }
}

async fn decide(
    arguments: &DecideArgs,
    actor: &str,
    verdict: Verdict,
    access: &Access,
    config: &Config,
) -> Result<()> {
    let open = codec::open(access, config).await?;
    let codec = &open.codec;
    let proposals = proposals::read_all(&access.log, codec).await?;
    let wanted = &arguments.proposal;
    let found = proposals.iter().find(|proposal| proposal.change.proposal_id == *wanted);
    let Some(proposal) = found else {
        let ids = proposals.iter().map(|proposal| proposal.change.proposal_id.as_str());
        match nearest(wanted, ids) {
            Some(nearest) => bail!("no proposal {wanted:?}; did you mean {nearest:?}?"),
            None => bail!("no proposal {wanted:?}; `hephaestus proposals` lists them"),
        }
    };
    match course(proposal, verdict) {
        Course::Decide => {}
        Course::DoneAlready(said) => {
            tell(said);
            return Ok(());
        }
        Course::Refuse(why) => bail!(why),
    }
    let at = clock::now_micros();
    let decision = Decision {
        decision_id: format!("{}-{}-{at}", proposal.change.proposal_id, word(verdict)),
        proposal_id: proposal.change.proposal_id.clone(),
        repository: proposal.change.repository.clone(),
        verdict,
        actor: actor.to_owned(),
        actor_kind: ActorKind::Person,
        reason: arguments.reason.clone(),
        at,
    };
    let audit = audit_event(&decision);
    codec.register::<Decision>(DECISIONS).await?;
    codec.register::<AuditEvent>(AUDIT).await?;
    let records = vec![
        new_record(proposal, DECISIONS, &decision.repository, codec.encode(DECISIONS, &decision)?),
        new_record(proposal, AUDIT, actor, codec.encode(AUDIT, &audit)?),
    ];
    access.log.append(records).await?;
    let mut out = Output::new();
    out.json(&Decided { proposal_id: wanted, verdict: word(verdict), actor })?;
    out.flush()
}

#[derive(Debug, Serialize)]
struct Decided<'a> {
    proposal_id: &'a str,
    verdict: &'static str,
    actor: &'a str,
}

fn audit_event(decision: &Decision) -> AuditEvent {
    let action = match decision.verdict {
        Verdict::Approved => "decision.approve",
        Verdict::Rejected => "decision.reject",
    };
    AuditEvent {
        id: format!("audit-{}", decision.decision_id),
        actor: decision.actor.clone(),
        action: action.to_owned(),
        target: decision.proposal_id.clone(),
        outcome: Outcome::Done,
        detail: decision.reason.clone(),
        at: decision.at,
    }
}

/// A record made from a proposal, in its trace.
fn new_record(proposal: &Proposal, topic: &str, key: &str, value: bytes::Bytes) -> NewRecord {
    let mut headers = Headers::default();
    headers.push(TRACEPARENT, TraceContext::of(&proposal.record).child().format());
    headers.push(ORIGIN, proposal.record.origin().to_string());
    headers.push(STAGE, GATEWAY);
    NewRecord {
        topic: topic.into(),
        partition: None,
        timestamp_ms: clock::now_ms(),
        key: Some(bytes::Bytes::copy_from_slice(key.as_bytes())),
        value: Some(value),
        headers,
    }
}

//! Proposals and decisions as they arrive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use hephaestus_change_requester::{PendingChange, Step};
use hephaestus_repository_service::OpenedChange;
use hephaestus_schemas::{
    ActorKind, ChangeRequest, ChangeRequestEvent, Decision, ProposalStatus, ProposedChange, Verdict,
};

/// A proposal that needs a decision.
pub fn proposal(id: &str, incident: &str) -> ProposedChange {
    let example = include_str!("../../../../schemas/examples/proposed-change.json");
    let example: ProposedChange = serde_json::from_str(example).unwrap();
    ProposedChange {
        proposal_id: id.to_owned(),
        incident_id: incident.to_owned(),
        status: ProposalStatus::Proposed,
        needs_decision: true,
        ..example
    }
}

/// A proposal that the policy lets pass.
pub fn free(id: &str, incident: &str) -> ProposedChange {
    ProposedChange { needs_decision: false, ..proposal(id, incident) }
}

pub fn refused(id: &str, incident: &str) -> ProposedChange {
    ProposedChange { status: ProposalStatus::Refused, ..free(id, incident) }
}

pub fn decision(proposal_id: &str, verdict: Verdict) -> Decision {
    Decision {
        decision_id: format!("d-{proposal_id}"),
        proposal_id: proposal_id.to_owned(),
        repository: "/srv/git/orders.git".to_owned(),
        verdict,
        actor: "ada".to_owned(),
        actor_kind: ActorKind::Person,
        reason: "looked at it".to_owned(),
        at: 1,
    }
}

pub fn opened() -> OpenedChange {
    OpenedChange { branch: "hephaestus/x-1".to_owned(), commit: "c".repeat(40), url: None }
}

pub fn events(steps: &[Step]) -> Vec<&ChangeRequest> {
    steps
        .iter()
        .filter_map(|step| match step {
            Step::Emit(event) => Some(event.as_ref()),
            Step::Open(_) => None,
        })
        .collect()
}

pub fn opens(steps: &[Step]) -> Vec<&PendingChange> {
    steps
        .iter()
        .filter_map(|step| match step {
            Step::Open(change) => Some(change.as_ref()),
            Step::Emit(_) => None,
        })
        .collect()
}

/// The steps in short: events by name and actor, and `open`.
pub fn shown(steps: &[Step]) -> Vec<String> {
    let name = |event: ChangeRequestEvent| match event {
        ChangeRequestEvent::AwaitingDecision => "awaiting",
        ChangeRequestEvent::Approved => "approved",
        ChangeRequestEvent::Rejected => "rejected",
        ChangeRequestEvent::Opened => "opened",
        ChangeRequestEvent::Failed => "failed",
        _ => "other",
    };
    steps
        .iter()
        .map(|step| match step {
            Step::Emit(event) => {
                format!("{} {} by {}", event.proposal_id, name(event.event), event.actor)
            }
            Step::Open(change) => format!("{} open", change.proposal_id),
        })
        .collect()
}

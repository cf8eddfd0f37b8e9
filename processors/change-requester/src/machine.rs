//! From proposals and decisions to what happens to change requests.
//!
//! Promises: pure functions of state and input; an input that was handled before leads to nothing.

use hephaestus_repository_service::OpenedChange;
use hephaestus_schemas::{
    ChangeRequest, ChangeRequestEvent, Decision, ProposalStatus, ProposedChange, Verdict,
};

use crate::state::{
    End, MAX_ACTOR_CHARS, MAX_ID_BYTES, MAX_PENDING, MAX_PENDING_BYTES, MAX_PROPOSAL_BYTES,
    MAX_REASON_CHARS, Pending, PendingChange, Phase, RepositoryState, shortened,
};

/// Who approves where the node's policy needs no person.
pub const POLICY_ACTOR: &str = "policy";
/// Hexadecimal digits of a change request's id.
const ID_DIGITS: usize = 32;

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write this event.
    Emit(Box<ChangeRequest>),
    /// Ask the host to open this change, then call [`on_opened`] or [`on_failed`].
    Open(Box<PendingChange>),
}

/// Handles a proposal at `now` (microseconds since 1970 UTC).
pub fn on_proposal(state: &mut RepositoryState, proposal: ProposedChange, now: i64) -> Vec<Step> {
    // A refused proposal is recorded in its own topic, and never becomes a change request.
    if proposal.status == ProposalStatus::Refused || state.knows(&proposal.proposal_id) {
        return Vec::new();
    }
    let needs_decision = proposal.needs_decision;
    let change = PendingChange::new(proposal);
    if change.proposal_id.len() > MAX_ID_BYTES || change.incident_id.len() > MAX_ID_BYTES {
        // Nothing is remembered under such an id: it would take the place of many others.
        let reason =
            format!("the ids of proposals and incidents have at most {MAX_ID_BYTES} bytes");
        return vec![emit(&change, ChangeRequestEvent::Failed, POLICY_ACTOR, &reason, now)];
    }
    if change.bytes() > MAX_PROPOSAL_BYTES {
        let reason = format!("the proposal has more than {MAX_PROPOSAL_BYTES} bytes");
        state.early.remove(&change.proposal_id);
        state.finish(&change.proposal_id, &change.incident_id, End::Failed);
        return vec![emit(&change, ChangeRequestEvent::Failed, POLICY_ACTOR, &reason, now)];
    }
    if let Some(other) = other_of_incident(state, &change.incident_id) {
        let reason = format!("the incident has proposal {other} already");
        state.early.remove(&change.proposal_id);
        state.finish(&change.proposal_id, &change.incident_id, End::Superseded);
        return vec![emit(&change, ChangeRequestEvent::Rejected, POLICY_ACTOR, &reason, now)];
    }

    let mut steps = make_room(state, change.bytes(), now);
    if !has_room(state, change.bytes()) {
        let reason = "too many proposals are being opened";
        state.early.remove(&change.proposal_id);
        state.finish(&change.proposal_id, &change.incident_id, End::Failed);
        steps.push(emit(&change, ChangeRequestEvent::Failed, POLICY_ACTOR, reason, now));
        return steps;
    }
    let id = change.proposal_id.clone();
    let order = state.take_order();
    let was_rejected_before = has_rejected(state, &change.incident_id);
    let pending = Pending { change, phase: Phase::AwaitingDecision, order };
    if let Some(early) = state.early.remove(&id) {
        state.pending.insert(id.clone(), pending);
        steps.extend(decide(state, &id, early.verdict, &early.actor, &early.reason, now));
    } else if needs_decision || was_rejected_before {
        let reason = match (needs_decision, was_rejected_before) {
            (false, true) => "an earlier proposal for the incident was rejected",
            _ => "",
        };
        let event = ChangeRequestEvent::AwaitingDecision;
        steps.push(emit(&pending.change, event, POLICY_ACTOR, reason, now));
        state.pending.insert(id, pending);
    } else {
        state.pending.insert(id.clone(), pending);
        let reason = "mode and confidence allow it";
        steps.extend(decide(state, &id, Verdict::Approved, POLICY_ACTOR, reason, now));
    }
    steps
}

/// Handles a decision at `now` (microseconds since 1970 UTC). One about a proposal that is finished
/// or being opened comes too late; one about a proposal that is not known is kept until it arrives.
pub fn on_decision(state: &mut RepositoryState, decision: &Decision, now: i64) -> Vec<Step> {
    let id = &decision.proposal_id;
    if state.finished.contains_key(id) || id.len() > MAX_ID_BYTES {
        return Vec::new();
    }
    if state.pending.contains_key(id) {
        return decide(state, id, decision.verdict, &decision.actor, &decision.reason, now);
    }
    state.keep_early(decision);
    Vec::new()
}

/// The host has opened the change.
pub fn on_opened(
    state: &mut RepositoryState,
    proposal_id: &str,
    opened: &OpenedChange,
    now: i64,
) -> Vec<Step> {
    let Some((change, actor)) = approved(state, proposal_id) else { return Vec::new() };
    state.finish(proposal_id, &change.incident_id, End::Opened);
    let mut event = event(&change, ChangeRequestEvent::Opened, &actor, "", now);
    event.branch = Some(opened.branch.clone());
    event.commit = Some(opened.commit.clone());
    event.url.clone_from(&opened.url);
    vec![Step::Emit(Box::new(event))]
}

/// The host can never open the change.
pub fn on_failed(
    state: &mut RepositoryState,
    proposal_id: &str,
    reason: &str,
    now: i64,
) -> Vec<Step> {
    let Some((change, actor)) = approved(state, proposal_id) else { return Vec::new() };
    state.finish(proposal_id, &change.incident_id, End::Failed);
    vec![emit(&change, ChangeRequestEvent::Failed, &actor, reason, now)]
}

/// The changes that were approved and of which the host has not yet said how it went, the oldest
/// first: what an instance that takes over asks for again. Opening is idempotent.
pub fn approved_changes(state: &RepositoryState) -> Vec<&PendingChange> {
    let mut approved: Vec<&Pending> = state
        .pending
        .values()
        .filter(|pending| matches!(pending.phase, Phase::Approved { .. }))
        .collect();
    approved.sort_by_key(|pending| pending.order);
    approved.into_iter().map(|pending| &pending.change).collect()
}

/// The id of the change request of a proposal.
pub fn change_request_id(proposal_id: &str) -> String {
    let key = "hephaestus 2025 change request id";
    let hash = blake3::Hasher::new_derive_key(key).update(proposal_id.as_bytes()).finalize();
    let mut id = hash.to_hex().to_string();
    id.truncate(ID_DIGITS);
    id
}

/// Lets a decision take effect, where the proposal still awaits one.
fn decide(
    state: &mut RepositoryState,
    id: &str,
    verdict: Verdict,
    actor: &str,
    reason: &str,
    now: i64,
) -> Vec<Step> {
    let Some(pending) = state.pending.get_mut(id) else { return Vec::new() };
    if pending.phase != Phase::AwaitingDecision {
        return Vec::new();
    }
    let actor = shortened(actor, MAX_ACTOR_CHARS);
    match verdict {
        Verdict::Approved => {
            let change = pending.change.clone();
            pending.phase = Phase::Approved { actor: actor.clone() };
            let approved = emit(&change, ChangeRequestEvent::Approved, &actor, reason, now);
            vec![approved, Step::Open(Box::new(change))]
        }
        Verdict::Rejected => {
            let change = pending.change.clone();
            state.finish(id, &change.incident_id, End::Rejected);
            vec![emit(&change, ChangeRequestEvent::Rejected, &actor, reason, now)]
        }
    }
}

/// A proposal that is being opened, and who approved it.
fn approved(state: &RepositoryState, proposal_id: &str) -> Option<(PendingChange, String)> {
    let pending = state.pending.get(proposal_id)?;
    match &pending.phase {
        Phase::Approved { actor } => Some((pending.change.clone(), actor.clone())),
        Phase::AwaitingDecision => None,
    }
}

/// A proposal for the incident that waits, is being opened, or was opened.
fn other_of_incident<'a>(state: &'a RepositoryState, incident_id: &str) -> Option<&'a str> {
    let pending =
        state.pending.iter().find(|(_, pending)| pending.change.incident_id == incident_id);
    let opened = || {
        state
            .finished
            .iter()
            .find(|(_, other)| other.end == End::Opened && other.incident_id == incident_id)
    };
    let pending = pending.map(|(id, _)| id.as_str());
    pending.or_else(|| opened().map(|(id, _)| id.as_str()))
}

/// Whether somebody rejected a proposal for the incident.
fn has_rejected(state: &RepositoryState, incident_id: &str) -> bool {
    let mut finished = state.finished.values();
    finished.any(|other| other.end == End::Rejected && other.incident_id == incident_id)
}

fn has_room(state: &RepositoryState, bytes: usize) -> bool {
    state.pending.len() < MAX_PENDING && state.pending_bytes() + bytes <= MAX_PENDING_BYTES
}

/// Gives up the proposals that have waited longest, until another of `bytes` fits. Those that are
/// being opened stay: their branch may exist.
fn make_room(state: &mut RepositoryState, bytes: usize, now: i64) -> Vec<Step> {
    let mut steps = Vec::new();
    while !has_room(state, bytes) {
        let Some(id) = state.oldest_awaiting() else { break };
        let Some(pending) = state.pending.remove(&id) else { break };
        let change = pending.change;
        state.finish(&id, &change.incident_id, End::Failed);
        let reason = "too many proposals wait for a decision; this one waited longest";
        steps.push(emit(&change, ChangeRequestEvent::Failed, POLICY_ACTOR, reason, now));
    }
    steps
}

fn emit(
    change: &PendingChange,
    kind: ChangeRequestEvent,
    actor: &str,
    reason: &str,
    now: i64,
) -> Step {
    Step::Emit(Box::new(event(change, kind, actor, reason, now)))
}

fn event(
    change: &PendingChange,
    kind: ChangeRequestEvent,
    actor: &str,
    reason: &str,
    now: i64,
) -> ChangeRequest {
    ChangeRequest {
        id: change_request_id(&change.proposal_id),
        proposal_id: shortened(&change.proposal_id, MAX_ID_BYTES),
        incident_id: shortened(&change.incident_id, MAX_ID_BYTES),
        fingerprint: change.fingerprint.clone(),
        node: change.node.clone(),
        repository: change.repository.clone(),
        event: kind,
        title: change.title.clone(),
        branch: None,
        commit: None,
        base_branch: change.base_branch.clone(),
        files: change.files.clone(),
        diff: change.diff.clone(),
        url: None,
        actor: actor.to_owned(),
        reason: shortened(reason, MAX_REASON_CHARS),
        at: now,
    }
}

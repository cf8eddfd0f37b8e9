//! From an analysis and its edits to a proposal.
//!
//! Promises: a pure function of its arguments and the commit; every text in the result is bounded.

use hephaestus_repository_service::{RepositoryError, View};
use hephaestus_schemas::{
    Analysis, Edit, Evidence, GateResult, Mode, ProposalStatus, ProposedChange,
};

use crate::{
    describe::{self, MAX_ORIGIN_CHARS},
    gates::{self, Checks, Limits, NO_SECRET},
    markdown::shortened,
};

/// Most paths that are named in a refused proposal.
pub const MAX_KEPT_PATHS: usize = 100;
/// Most pieces of evidence carried over.
pub const MAX_EVIDENCE: usize = 32;
/// Most characters of one piece of evidence.
pub const MAX_EVIDENCE_CHARS: usize = 4000;
/// Hexadecimal digits of a proposal's id.
const ID_DIGITS: usize = 32;
/// Stands in place of a line that contains a secret.
const WITHHELD: &str = "[withheld: contains a secret]";

/// Turns the edits for an analysis into a proposal made at `now_micros` (microseconds since 1970 UTC).
/// The view is that of the base commit, without edits.
///
/// # Errors
/// Only where the repository cannot be read now and trying again may help; whatever is wrong with
/// the edits is recorded in the proposal.
pub fn propose(
    analysis: &Analysis,
    edits: Vec<Edit>,
    view: &mut View,
    checks: &Checks<'_>,
    limits: &Limits,
    now_micros: i64,
) -> Result<ProposedChange, RepositoryError> {
    let gates = gates::run(&edits, view, &analysis.policy, limits, checks)?;
    let changes = view.changes();
    let status = status(&gates);
    let base_commit = view.commit().to_string();
    let proposal_id = proposal_id(&analysis.incident_id, &base_commit, &edits);
    let files: Vec<String> = gates::paths(&edits)
        .into_iter()
        .take(MAX_KEPT_PATHS)
        .map(|path| shortened(path, 500))
        .collect();
    let evidence = carried_over(&analysis.evidence);
    let description = describe::description(analysis, &evidence, &files, &changes, &gates);

    let mut diff: String = changes.into_iter().map(|change| change.diff).collect();
    let mut edits = edits;
    if status == ProposalStatus::Refused {
        if !has_passed(&gates, NO_SECRET) {
            // The record would carry further what the gate stops.
            diff = without_secrets(&diff, checks);
            for edit in &mut edits {
                edit.find = without_secrets(&edit.find, checks);
                edit.replace = without_secrets(&edit.replace, checks);
            }
        }
        edits = bounded(edits, limits.max_edits_bytes);
        diff = cut(diff, limits.max_diff_bytes);
    }
    Ok(ProposedChange {
        proposal_id,
        incident_id: analysis.incident_id.clone(),
        fingerprint: analysis.fingerprint.clone(),
        node: analysis.node.clone(),
        repository: analysis.repository.clone(),
        base_branch: analysis.base_branch.clone(),
        base_commit,
        mode: analysis.mode,
        status,
        needs_decision: needs_decision(analysis),
        title: describe::title(analysis),
        description,
        confidence: analysis.confidence,
        edits,
        files,
        diff,
        gates,
        evidence,
        proposed_at: now_micros,
    })
}

/// The id of a proposal: the same incident, commit and edits have the same id, whoever computes it.
pub fn proposal_id(incident_id: &str, base_commit: &str, edits: &[Edit]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("hephaestus 2025 proposal id");
    let mut field = |text: &str| {
        let len = u64::try_from(text.len()).unwrap_or(u64::MAX);
        hasher.update(&len.to_le_bytes());
        hasher.update(text.as_bytes());
    };
    field(incident_id);
    field(base_commit);
    for edit in edits {
        field(&edit.path);
        field(&edit.find);
        field(&edit.replace);
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(ID_DIGITS);
    id
}

fn status(gates: &[GateResult]) -> ProposalStatus {
    if gates.iter().all(|gate| gate.passed) {
        ProposalStatus::Proposed
    } else {
        ProposalStatus::Refused
    }
}

fn has_passed(gates: &[GateResult], name: &str) -> bool {
    gates.iter().all(|gate| gate.passed || gate.gate != name)
}

/// Whether a person has to approve: in suggest mode always, in deploy mode below the confidence that
/// the policy asks for. What is no number never suffices.
fn needs_decision(analysis: &Analysis) -> bool {
    let is_sure = analysis.confidence >= analysis.policy.min_confidence;
    analysis.mode == Mode::Suggest || !is_sure
}

fn carried_over(evidence: &[Evidence]) -> Vec<Evidence> {
    let first = evidence.iter().take(MAX_EVIDENCE);
    first
        .map(|piece| Evidence {
            kind: piece.kind,
            origin: describe::bounded_origin(&piece.origin, MAX_ORIGIN_CHARS),
            text: shortened(&piece.text, MAX_EVIDENCE_CHARS),
        })
        .collect()
}

fn without_secrets(text: &str, checks: &Checks<'_>) -> String {
    let mut result = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // The sign of a line of a diff is no part of what the detector knows.
        let unsigned = line.strip_prefix(['+', '-', ' ']).unwrap_or(line).trim_end();
        if (checks.is_secret)(unsigned) || (checks.is_secret)(line.trim_end()) {
            let sign_len = line.len() - line.strip_prefix(['+', '-', ' ']).unwrap_or(line).len();
            result.push_str(line.get(..sign_len).unwrap_or_default());
            result.push_str(WITHHELD);
            result.push_str(if line.ends_with('\n') { "\n" } else { "" });
        } else {
            result.push_str(line);
        }
    }
    result
}

/// As many edits, from the first, as fit the bound.
fn bounded(edits: Vec<Edit>, max_bytes: usize) -> Vec<Edit> {
    let mut bytes = 0;
    let mut kept = Vec::new();
    for edit in edits {
        bytes += gates::edit_bytes(&edit);
        if bytes > max_bytes {
            break;
        }
        kept.push(edit);
    }
    kept
}

/// The first bytes of a text, at most `max_bytes`, without half a line.
fn cut(mut text: String, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text;
    }
    let head = text.as_bytes().get(..max_bytes).unwrap_or_default();
    let end = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    text.truncate(end);
    text
}

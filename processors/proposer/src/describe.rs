//! Title and description of a proposal, for a reviewer.
//!
//! Promises: texts of logs, models and repositories are quoted so that they cannot pass for ours.

use hephaestus_repository_service::FileChange;
use hephaestus_schemas::{Analysis, Evidence, EvidenceKind, GateResult};

use crate::markdown::{block, code, one_line, prose};

/// Most characters of a title.
pub const MAX_TITLE_CHARS: usize = 120;
/// Most characters of the origin of a piece of evidence.
pub const MAX_ORIGIN_CHARS: usize = 2000;
/// Most characters of the cause.
const MAX_CAUSE_CHARS: usize = 4000;
/// Most pieces of evidence that are shown, and characters and origin of each.
const MAX_SHOWN_EVIDENCE: usize = 6;
const MAX_SHOWN_CHARS: usize = 1500;
const MAX_SHOWN_ORIGIN_CHARS: usize = 200;
/// Most files that are named.
const MAX_SHOWN_FILES: usize = 20;
/// Most characters of an id or a name.
const MAX_NAME_CHARS: usize = 120;

/// The title of a proposal: one line of plain text that mentions nobody.
pub fn title(analysis: &Analysis) -> String {
    let failure = one_line(&analysis.title, MAX_TITLE_CHARS - "Fix: ".len());
    if failure.is_empty() {
        return "Fix a failure found in logs".to_owned();
    }
    // Hosts read mentions and references in titles too.
    format!("Fix: {}", failure.replace('@', "@\u{200b}").replace('#', "#\u{200b}"))
}

/// The description of a proposal, in Markdown.
pub fn description(
    analysis: &Analysis,
    evidence: &[Evidence],
    files: &[String],
    changes: &[FileChange],
    gates: &[GateResult],
) -> String {
    let sections = [
        cause(analysis),
        change(analysis, files, changes),
        shown_evidence(analysis, evidence),
        shown_gates(gates),
    ];
    sections.join("\n\n") + "\n"
}

fn cause(analysis: &Analysis) -> String {
    let cause = prose(&analysis.cause, MAX_CAUSE_CHARS);
    let cause = match (cause.is_empty(), analysis.cause_known) {
        (true, _) => "The cause is unknown.".to_owned(),
        (false, true) => cause,
        (false, false) => format!("The cause is not certain. {cause}"),
    };
    format!("## Cause\n\n{cause}")
}

fn change(analysis: &Analysis, files: &[String], changes: &[FileChange]) -> String {
    let mut lines = vec!["## Change".to_owned(), String::new()];
    for path in files.iter().take(MAX_SHOWN_FILES) {
        let shown = code(path, MAX_NAME_CHARS);
        match changes.iter().find(|change| change.path == *path) {
            Some(change) => {
                let (added, removed) = (change.added.len(), change.removed.len());
                lines.push(format!("- {shown}: {added} added, {removed} removed"));
            }
            None => lines.push(format!("- {shown}: unchanged")),
        }
    }
    if files.len() > MAX_SHOWN_FILES {
        lines.push(format!("- and {} more files", files.len() - MAX_SHOWN_FILES));
    }
    if files.is_empty() {
        lines.push("No file is changed.".to_owned());
    }
    lines.push(String::new());
    let provider = code(&analysis.provider, MAX_NAME_CHARS);
    let recipe = match &analysis.recipe {
        Some(recipe) => format!(", recipe {}", code(&recipe.name, MAX_NAME_CHARS)),
        None => String::new(),
    };
    let confidence = analysis.confidence;
    lines.push(format!("Proposed by {provider}{recipe}, with confidence {confidence:.2}."));
    lines.join("\n")
}

fn shown_evidence(analysis: &Analysis, evidence: &[Evidence]) -> String {
    let events = match analysis.count {
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    let mut parts = vec![
        "## Evidence".to_owned(),
        format!(
            "{events} of fingerprint {} on node {}, from {} to {}.",
            code(&analysis.fingerprint, MAX_NAME_CHARS),
            code(&analysis.node, MAX_NAME_CHARS),
            time(analysis.first_seen),
            time(analysis.opened_at)
        ),
    ];
    for piece in evidence.iter().take(MAX_SHOWN_EVIDENCE) {
        let kind = match piece.kind {
            EvidenceKind::Log => "Log",
            EvidenceKind::Frame => "Frame",
            EvidenceKind::Source => "Source",
        };
        let origin =
            code(&bounded_origin(&piece.origin, MAX_SHOWN_ORIGIN_CHARS), MAX_SHOWN_ORIGIN_CHARS);
        parts.push(format!("{kind}, from {origin}:"));
        parts.push(block(&piece.text, "text", MAX_SHOWN_CHARS));
    }
    if evidence.len() > MAX_SHOWN_EVIDENCE {
        parts.push(format!("And {} more.", evidence.len() - MAX_SHOWN_EVIDENCE));
    }
    parts.join("\n\n")
}

fn shown_gates(gates: &[GateResult]) -> String {
    let mut lines = vec!["## Gates".to_owned(), String::new()];
    for gate in gates {
        let verdict = if gate.passed { "passed" } else { "refused" };
        let name = code(&gate.gate, MAX_NAME_CHARS);
        lines.push(format!("- {name} {verdict}: {}", prose(&gate.reason, MAX_CAUSE_CHARS)));
    }
    lines.join("\n")
}

/// RFC 3339, from microseconds since 1970 UTC.
fn time(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{micros} µs since 1970"),
    }
}

/// The first records of an origin, whole, so that what is left can still be followed.
pub(crate) fn bounded_origin(origin: &str, max_chars: usize) -> String {
    let Some((cut, _)) = origin.char_indices().nth(max_chars) else {
        return origin.to_owned();
    };
    let head = origin.get(..cut).unwrap_or_default();
    let end = head.rfind(',').unwrap_or(head.len());
    head.get(..end).unwrap_or_default().to_owned()
}

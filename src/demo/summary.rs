//! What the demo says at its end: for people, and as the one line of JSON that scripts rely on.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use anyhow::Result;
use hephaestus_pipeline::record::Origin;
use hephaestus_schemas::{GateResult, ProposedChange};
use serde_json::{Value, json};

use super::tally::Tally;

/// Characters shown of a line.
const SHOWN_CHARS: usize = 160;
/// Log lines shown for each change request.
const SHOWN_LINES: usize = 8;

/// The report for people, and the line of JSON.
pub(crate) async fn make(
    tally: &Tally,
    lines: u64,
    repository: &Path,
    took: Duration,
) -> Result<(String, String)> {
    let mut report = String::new();
    let seconds = took.as_secs_f64();
    writeln!(report, "{lines} lines, {} events, {} patterns", tally.events, tally.patterns())?;
    for analysis in &tally.analyses {
        let known = if analysis.cause_known { "cause known" } else { "cause unknown" };
        writeln!(report, "incident {}  {known}: {}", analysis.incident_id, analysis.title)?;
    }
    for (proposal, gate) in refusals(tally) {
        let files = proposal.files.join(", ");
        writeln!(report, "refused   {} by gate {}: {}", files, gate.gate, gate.reason)?;
    }

    let mut requests = Vec::new();
    for request in &tally.opened {
        let origins = tally.origins(request);
        writeln!(report)?;
        writeln!(report, "change request {}: {}", request.id, request.title)?;
        writeln!(report, "branch {}", request.branch.as_deref().unwrap_or("-"))?;
        writeln!(report, "caused by")?;
        let mut shown = 0;
        for origin in &origins {
            for line in tally.lines_of(origin).await? {
                if shown < SHOWN_LINES {
                    writeln!(report, "    {origin}  {}", shown_line(&line))?;
                }
                shown += 1;
            }
        }
        if shown > SHOWN_LINES {
            writeln!(report, "    and {} more lines", shown - SHOWN_LINES)?;
        }
        report.push_str(&request.diff);
        if !report.ends_with('\n') {
            report.push('\n');
        }
        requests.push(json!({
            "id": request.id,
            "fingerprint": request.fingerprint,
            "branch": request.branch,
            "commit": request.commit,
            "files": request.files,
            "origin": expand(&origins),
        }));
    }
    writeln!(report)?;
    writeln!(report, "look at them with: git -C {} log --all --oneline", repository.display())?;

    let refused: Vec<Value> = refusals(tally)
        .map(|(_, gate)| json!({ "gate": gate.gate, "reason": gate.reason }))
        .collect();
    let line = json!({
        "repository": repository,
        "lines": lines,
        "events": tally.events,
        "patterns": tally.patterns(),
        "incidents": incidents(tally),
        "analyses": tally.analyses.len(),
        "proposals": tally.proposals.len(),
        "refused": refused,
        "change_requests": requests,
        "seconds": seconds,
    });
    Ok((report, line.to_string()))
}

/// A raw line as a terminal may show it: bounded, and without what a terminal would obey.
fn shown_line(line: &str) -> String {
    let shown = line.chars().take(SHOWN_CHARS);
    shown
        .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

fn refusals(tally: &Tally) -> impl Iterator<Item = (&ProposedChange, &GateResult)> {
    tally.proposals.iter().flat_map(|proposal| {
        let refusing = proposal.gates.iter().filter(|gate| !gate.passed);
        refusing.map(move |gate| (proposal, gate))
    })
}

fn incidents(tally: &Tally) -> usize {
    let by_id: BTreeMap<&str, ()> =
        tally.analyses.iter().map(|analysis| (analysis.incident_id.as_str(), ())).collect();
    by_id.len()
}

/// One object for each record, as `tap` shows origins.
fn expand(origins: &[Origin]) -> Vec<Value> {
    let records = origins.iter().flat_map(|origin| {
        (origin.first..=origin.last).map(move |offset| {
            json!({ "topic": origin.topic.as_ref(), "partition": origin.partition, "offset": offset })
        })
    });
    records.collect()
}

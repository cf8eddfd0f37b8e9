//! What an analysis shows for its cause: log lines, frames, excerpts of source.

use hephaestus_classifier::Masker;
use hephaestus_repository_service::Excerpt;
use hephaestus_schemas::{ClassifiedLog, Evidence, EvidenceKind, Frame};

use crate::window::Sample;

/// Longest text of one piece of evidence, in bytes.
pub const MAX_TEXT: usize = 4_096;
/// Most frames shown.
const MAX_FRAMES: usize = 10;

/// Puts the evidence together: the latest lines first, then frames, then source.
pub fn collect(
    event: &ClassifiedLog,
    samples: &[Sample],
    excerpts: &[Excerpt],
    masker: &Masker,
) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for sample in samples.iter().rev() {
        evidence.push(Evidence {
            kind: EvidenceKind::Log,
            origin: sample.origin.clone(),
            text: bounded(&sample.text),
        });
    }
    let origin = samples.last().map(|sample| sample.origin.clone()).unwrap_or_default();
    for frame in event.culprits.iter().take(MAX_FRAMES) {
        evidence.push(Evidence {
            kind: EvidenceKind::Frame,
            origin: origin.clone(),
            text: bounded(&describe(frame)),
        });
    }
    for excerpt in excerpts {
        evidence.push(Evidence {
            kind: EvidenceKind::Source,
            origin: excerpt.origin.clone(),
            text: bounded(&masked(&excerpt.text, masker)),
        });
    }
    evidence
}

/// The text of an event, as evidence shows it: its message and its exception.
pub fn event_text(event: &ClassifiedLog) -> String {
    let mut text = event.message.clone();
    if let Some(exception) = &event.exception {
        let line = format!("{}: {}", exception.type_name, exception.message);
        if !text.contains(&line) {
            text.push('\n');
            text.push_str(&line);
        }
    }
    bounded(&text)
}

/// The lines without their secrets: a repository may hold some, and evidence travels further than it.
fn masked(text: &str, masker: &Masker) -> String {
    let mut key_lines = 0;
    let lines = text.split_inclusive('\n');
    lines.map(|line| masker.mask(line, &mut key_lines).text.into_owned()).collect()
}

fn describe(frame: &Frame) -> String {
    let function = frame.function.as_deref().unwrap_or("?");
    let place = frame.file.as_deref().or(frame.module.as_deref()).unwrap_or("?");
    match frame.line {
        Some(line) => format!("{function} at {place}:{line}"),
        None => format!("{function} at {place}"),
    }
}

fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    text.get(..end).unwrap_or_default().to_owned()
}

//! `hephaestus inspect`: classifies lines without a pipeline, one object an event.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use anyhow::{Context, Result};
use hephaestus_classifier::{Classifier, InspectedEvent, Inspection, Summary};
use hephaestus_pipeline::clock;
use hephaestus_schemas::{Exception, Frame};
use serde::Serialize;

use crate::{cli::InspectArgs, config::Config, output::Output};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Runs `inspect`.
pub(crate) fn run(arguments: &InspectArgs, config: &Config) -> Result<()> {
    let classifier = Classifier::new(config.classifier.clone());
    let (input, source): (Box<dyn Read>, String) = if arguments.file == Path::new("-") {
        (Box::new(std::io::stdin().lock()), "inspect/local/stdin".to_owned())
    } else {
        let name = arguments.file.display().to_string();
        let file = File::open(&arguments.file).with_context(|| name.clone())?;
        let stem = arguments.file.file_stem().unwrap_or_default().to_string_lossy();
        let part = hephaestus_gateway::source::part(&stem);
        (Box::new(file), format!("{part}/local/file"))
    };
    let mut input = BufReader::with_capacity(PIECE_BYTES, input);
    let mut out = Output::new();
    // The sink cannot fail: the first failure is kept, and nothing is written after it.
    let mut failure = None;
    let mut sink = |event: InspectedEvent| {
        if failure.is_none() {
            failure = out.json(&Shown::new(&event)).err();
        }
    };
    let mut inspection = Inspection::new(&classifier, &source, clock::now_ms());
    let read = inspection.read(&mut input, &mut sink);
    let summary = inspection.finish(&mut sink);
    if let Some(error) = failure {
        return Err(error);
    }
    if arguments.summary {
        out.json(&SummaryShown { summary: Counts::from(summary) })?;
    }
    out.flush()?;
    read.with_context(|| arguments.file.display().to_string())
}

/// An event as it is shown.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    first_line: u64,
    last_line: u64,
    timestamp: String,
    severity: &'static str,
    service: &'a str,
    category: &'a str,
    message: &'a str,
    pattern_id: &'a str,
    template: &'a str,
    fingerprint: &'a str,
    exception: Option<&'a Exception>,
    culprits: &'a [Frame],
}

impl<'a> Shown<'a> {
    fn new(event: &'a InspectedEvent) -> Self {
        let log = &event.log;
        Self {
            first_line: event.first_line,
            last_line: event.last_line,
            timestamp: rfc3339_micros(log.timestamp),
            severity: log.severity.as_str(),
            service: &log.service,
            category: &log.category,
            message: &log.message,
            pattern_id: &log.pattern_id,
            template: &log.template,
            fingerprint: &log.fingerprint,
            exception: log.exception.as_ref(),
            culprits: &log.culprits,
        }
    }
}

fn rfc3339_micros(timestamp: i64) -> String {
    match jiff::Timestamp::from_microsecond(timestamp) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => timestamp.to_string(),
    }
}

#[derive(Debug, Serialize)]
struct SummaryShown {
    summary: Counts,
}

#[derive(Debug, Serialize)]
struct Counts {
    lines: u64,
    events: u64,
    patterns: u64,
    aliases: BTreeMap<String, String>,
}

impl From<Summary> for Counts {
    fn from(summary: Summary) -> Self {
        let Summary { lines, events, patterns, aliases } = summary;
        Self { lines, events, patterns, aliases }
    }
}

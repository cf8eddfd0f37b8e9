//! Lines as many kinds of programs write them, made from statements with values of many types:
//! what one statement wrote is one pattern, behind any header, and two statements are two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod systems;

use std::collections::BTreeMap;

use common::CLASSIFIER;
use hephaestus_classifier::{Inspection, PatternTable, template};
use systems::{SYSTEMS, System, Values};

/// Lines of each system.
const LINES: usize = 1_500;

/// Lines of a system: which statement wrote each, its message, and the whole line.
fn lines(system: &System) -> Vec<(usize, String, String)> {
    let mut values = Values::new(system.name);
    let statements: Vec<&str> = system.statements.lines().map(str::trim).collect();
    (0..LINES)
        .map(|number| {
            // Some statements come often and some once, as they do.
            let skewed = values.below(statements.len()).min(values.below(statements.len()));
            let statement = if number < statements.len() { number } else { skewed };
            let message = values.fill(statements[statement]);
            let line = format!("{}{message}", values.fill(system.header));
            (statement, message, line)
        })
        .collect()
}

/// Group accuracy (Zhu et al., ICSE-SEIP 2019), and the statements that were not found exactly.
fn accuracy(truth: &[usize], found: &[String]) -> (f64, Vec<usize>) {
    let mut true_groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut found_groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (line, (truth, found)) in truth.iter().zip(found).enumerate() {
        true_groups.entry(*truth).or_default().push(line);
        found_groups.entry(found).or_default().push(line);
    }
    let mut missed: Vec<usize> = Vec::new();
    let mut right = 0;
    for (statement, members) in true_groups {
        if found_groups[found[members[0]].as_str()] == members {
            right += members.len();
        } else {
            missed.push(statement);
        }
    }
    (right as f64 / truth.len() as f64, missed)
}

fn check(on_raw_lines: bool) {
    let mut report = String::new();
    let mut failed = false;
    for system in SYSTEMS {
        let lines = lines(system);
        let truth: Vec<usize> = lines.iter().map(|(statement, ..)| *statement).collect();
        let mut texts = vec![String::new(); lines.len()];
        let found: Vec<String> = if on_raw_lines {
            let mut inspection = Inspection::new(&CLASSIFIER, "a/b/c", common::REFERENCE_MS);
            let mut ids = vec![String::new(); lines.len()];
            let mut take = |event: hephaestus_classifier::Inspected<'_>| {
                for line in event.first_line..=event.last_line {
                    ids[line as usize - 1] = event.view.pattern_id().to_owned();
                    texts[line as usize - 1] = event.view.template().to_owned();
                }
            };
            for (_, _, line) in &lines {
                inspection.line(line.as_bytes(), &mut take);
            }
            let summary = inspection.finish(&mut take);
            ids.iter().map(|id| summary.aliases.get(id).unwrap_or(id).clone()).collect()
        } else {
            let mut table = PatternTable::new(100_000);
            let mut ids = Vec::new();
            for ((_, message, _), text) in lines.iter().zip(&mut texts) {
                *text = template::template(message);
                ids.push(template::pattern_id(text));
                table.observe(&ids[ids.len() - 1], text, 0, false);
            }
            ids.iter().map(|id| table.resolve(id)).collect()
        };
        let (accuracy, missed) = accuracy(&truth, &found);
        report += &format!("{:<22}{accuracy:.3}\n", system.name);
        failed |= accuracy < 1.0;
        for statement in missed {
            let at = lines.iter().position(|line| line.0 == statement).unwrap();
            report += &format!(
                "    {}\n      {}\n",
                system.statements.lines().nth(statement).unwrap().trim(),
                lines[at].2
            );
            let mut shown: Vec<(&str, &str)> = Vec::new();
            for (line, text) in lines
                .iter()
                .zip(&texts)
                .zip(&found)
                .filter(|((line, _), _)| line.0 == statement)
                .map(|((_, text), id)| (id.as_str(), text.as_str()))
            {
                if !shown.iter().any(|(id, _)| *id == line) && shown.len() < 4 {
                    shown.push((line, text));
                    report += &format!("        {line} {text}\n");
                }
            }
        }
    }
    assert!(!failed, "\n{report}");
}

#[test]
fn statements_are_told_apart_by_their_messages() {
    check(false);
}

#[test]
fn statements_are_told_apart_behind_any_header() {
    check(true);
}

//! Group accuracy on Loghub-2k, on the published content and on raw lines, and how often the
//! message of a raw line is the published content: `-- LOGHUB_DIR [SET]`. With a set's name it
//! also prints the true events that were split or merged.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use hephaestus_classifier::{
    Classifier, ClassifierConfig, Inspection, PatternTable, parse, template,
};

/// 2024-06-15T00:00:00Z, in place of records' times.
const REFERENCE_MS: i64 = 1_718_409_600_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().expect("the directory loghub/");
    let only = arguments.next();
    let mut totals = [0.0; 4];
    let mut sets = 0;
    println!("{:<14}{:>9}{:>9}{:>9}{:>9}", "set", "content", "raw", "message", "F1");
    let mut names: Vec<String> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(&root).join(name).is_dir())
        .collect();
    names.sort();
    for name in names {
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let base = Path::new(&root).join(&name);
        let raw = std::fs::read(base.join(format!("{name}_2k.log"))).unwrap();
        let csv =
            std::fs::read(base.join(format!("{name}_2k.log_structured_corrected.csv"))).unwrap();
        let rows = csv_rows(&String::from_utf8_lossy(&csv));
        let column = |title: &str| rows[0].iter().position(|name| name == title).unwrap();
        let (content_at, event_at) = (column("Content"), column("EventId"));
        let truth: Vec<&str> = rows[1..].iter().map(|row| row[event_at].as_str()).collect();
        let contents: Vec<&str> = rows[1..].iter().map(|row| row[content_at].as_str()).collect();

        let mut table = PatternTable::new(100_000);
        let mut ids = Vec::new();
        for content in &contents {
            let text = template::template(content);
            let id = template::pattern_id(&text);
            table.observe(&id, &text, 0, false);
            ids.push((id, text));
        }
        let on_content: Vec<String> = ids.iter().map(|(id, _)| table.resolve(id)).collect();

        let classifier = Classifier::new(ClassifierConfig::default());
        let mut inspection = Inspection::new(&classifier, "loghub", REFERENCE_MS);
        let mut raw_ids = vec![(String::new(), String::new()); truth.len()];
        let mut take = |event: hephaestus_classifier::Inspected<'_>| {
            for line in event.first_line..=event.last_line {
                if let Some(slot) = raw_ids.get_mut(line as usize - 1) {
                    *slot = (event.view.pattern_id().to_owned(), event.view.template().to_owned());
                }
            }
        };
        inspection.bytes(&raw, &mut take);
        let summary = inspection.finish(&mut take);
        let on_raw: Vec<String> =
            raw_ids.iter().map(|(id, _)| summary.aliases.get(id).unwrap_or(id).clone()).collect();

        let lines: Vec<String> = raw
            .split(|byte| *byte == b'\n')
            .map(|line| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned())
            .collect();
        let mut right = 0;
        let mut wrong = Vec::new();
        for (line, content) in lines.iter().zip(&contents) {
            let message = parse(line, REFERENCE_MS * 1_000).message.into_owned();
            if message.trim() == content.trim() {
                right += 1;
            } else if wrong.len() < 8 {
                wrong.push((message, content.to_string()));
            }
        }
        let (content_ga, f1) = accuracy(&truth, &on_content);
        let (raw_ga, _) = accuracy(&truth, &on_raw);
        let message_share = f64::from(right) / contents.len() as f64;
        println!("{name:<14}{content_ga:>9.3}{raw_ga:>9.3}{message_share:>9.3}{f1:>9.3}");
        sets += 1;
        for (total, value) in totals.iter_mut().zip([content_ga, raw_ga, message_share, f1]) {
            *total += value;
        }
        if only.is_some() {
            for (message, content) in wrong {
                println!("message {message:?}\n  truth {content:?}");
            }
            explain(&truth, &on_content, &ids);
            println!("on raw lines:");
            explain(&truth, &on_raw, &raw_ids);
        }
    }
    let mean = totals.map(|total| total / f64::from(sets));
    println!("{:<14}{:>9.3}{:>9.3}{:>9.3}{:>9.3}", "mean", mean[0], mean[1], mean[2], mean[3]);
}

/// Group accuracy, and the harmonic mean of precision and recall over groups.
fn accuracy(truth: &[&str], found: &[String]) -> (f64, f64) {
    let mut true_groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut found_groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, (truth, found)) in truth.iter().zip(found).enumerate() {
        true_groups.entry(truth).or_default().push(index);
        found_groups.entry(found).or_default().push(index);
    }
    let mut lines = 0;
    let mut groups = 0;
    for members in found_groups.values() {
        if true_groups[truth[members[0]]] == *members {
            lines += members.len();
            groups += 1;
        }
    }
    let precision = f64::from(groups) / found_groups.len() as f64;
    let recall = f64::from(groups) / true_groups.len() as f64;
    let f1 = if groups == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
    (lines as f64 / truth.len() as f64, f1)
}

fn explain(truth: &[&str], found: &[String], ids: &[(String, String)]) {
    let mut by_truth: HashMap<&str, BTreeMap<&str, (usize, &str)>> = HashMap::new();
    let mut by_found: HashMap<&str, BTreeMap<&str, (usize, &str)>> = HashMap::new();
    for ((truth, found), (_, text)) in truth.iter().zip(found).zip(ids) {
        by_truth.entry(truth).or_default().entry(found).or_insert((0, text)).0 += 1;
        by_found.entry(found).or_default().entry(truth).or_insert((0, text)).0 += 1;
    }
    let size =
        |parts: &BTreeMap<&str, (usize, &str)>| parts.values().map(|part| part.0).sum::<usize>();
    for (kind, groups) in [("split", by_truth), ("merged", by_found)] {
        let mut groups: Vec<_> = groups.into_iter().filter(|(_, parts)| parts.len() > 1).collect();
        groups.sort_by_key(|(_, parts)| std::cmp::Reverse(size(parts)));
        for (name, parts) in groups.into_iter().take(14) {
            println!("{kind} {name} ({} lines)", size(&parts));
            for (_, (count, text)) in parts.iter().take(6) {
                println!("    {count:>5} {text}");
            }
        }
    }
}

/// A reader for RFC 4180, enough for these files.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let row = rows.last_mut().unwrap();
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            '\r' if !quoted => {}
            other => row.last_mut().unwrap().push(other),
        }
    }
    rows.retain(|row| row.len() > 1);
    rows
}

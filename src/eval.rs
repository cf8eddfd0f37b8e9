//! `hephaestus eval`: group accuracy on labelled logs, with the one configuration.

use std::path::Path;

use anyhow::{Context, Result, bail};
use hephaestus_classifier::evaluate::{Labelled, Measured, leave_one_out, sweep};
use serde_json::json;

use crate::{cli::EvalArgs, output::Output};

/// Endings of the tables with labels, the better ones first.
const TABLES: [&str; 2] = ["_structured_corrected.csv", "_structured.csv"];

/// Runs `eval`.
pub(crate) fn run(arguments: &EvalArgs) -> Result<()> {
    let sets = sets(&arguments.directory)?;
    let mut out = Output::new();
    let mut sums = [0.0; 6];
    if !arguments.json {
        out.line(format_args!(
            "{:<16}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "set", "content", "F1", "raw", "F1", "plain", "message"
        ))?;
    }
    for set in &sets {
        let figures = figures(&set.measure());
        for (sum, figure) in sums.iter_mut().zip(figures) {
            *sum += figure;
        }
        show(&mut out, arguments.json, &set.name, figures)?;
    }
    show(&mut out, arguments.json, "mean", sums.map(|sum| sum / sets.len() as f64))?;
    if arguments.leave_one_out {
        left_out(&mut out, arguments.json, &sets)?;
    }
    for name in &arguments.explain {
        let Some(set) = sets.iter().find(|set| set.name == *name) else {
            bail!("no set {name} in {}", arguments.directory.display());
        };
        explain(&mut out, set)?;
    }
    out.flush()
}

fn figures(measured: &Measured) -> [f64; 6] {
    let Measured { content, raw, plain, messages } = measured;
    [content.lines, content.groups_f1, raw.lines, raw.groups_f1, plain.lines, *messages]
}

fn show(out: &mut Output, json: bool, name: &str, figures: [f64; 6]) -> Result<()> {
    let [content, content_f1, raw, raw_f1, plain, messages] = figures;
    if json {
        return out.json(&json!({
            "set": name, "content": content, "content_f1": content_f1, "raw": raw, "raw_f1": raw_f1,
            "plain": plain, "messages": messages,
        }));
    }
    let cells: String = figures.iter().map(|figure| format!("{figure:>9.3}")).collect();
    out.line(format_args!("{name:<16}{cells}"))
}

fn left_out(out: &mut Output, json: bool, sets: &[Labelled]) -> Result<()> {
    let tried = sweep(sets);
    for tried in tried.iter().filter(|_| json) {
        out.json(&json!({ "threshold": tried.name, "mean": tried.means(None) }))?;
    }
    if !json {
        out.line("\nmean of accuracy and F1, for values of one threshold")?;
        for tried in &tried {
            let means = tried.means(None);
            let cells: Vec<String> =
                means.iter().map(|(value, mean)| format!("{value}: {:.3}", mean / 2.0)).collect();
            out.line(format_args!("{:<16}{}", tried.name, cells.join("  ")))?;
        }
    }
    if !json {
        out.line(format_args!(
            "\n{:<16}{:>9}{:>9}  chosen without it",
            "left out", "content", "loss"
        ))?;
    }
    for left in leave_one_out(sets, &tried) {
        let loss = left.as_they_are.lines - left.content.lines;
        let changed = left.thresholds.changes();
        if json {
            let chosen: serde_json::Map<_, _> =
                changed.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            out.json(&json!({
                "left_out": left.name, "content": left.content.lines,
                "content_f1": left.content.groups_f1, "loss": loss, "chosen": chosen,
            }))?;
            continue;
        }
        let changed: Vec<String> =
            changed.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let chosen = if changed.is_empty() { "as it is".to_owned() } else { changed.join(", ") };
        let (name, content) = (left.name, left.content.lines);
        out.line(format_args!("{name:<16}{content:>9.3}{loss:>9.3}  {chosen}"))?;
    }
    Ok(())
}

fn explain(out: &mut Output, set: &Labelled) -> Result<()> {
    for (kind, patterns) in [("content", set.of_contents()), ("raw", set.of_lines(None))] {
        for missed in set.missed(&patterns) {
            let what = if missed.split { "split" } else { "merged" };
            out.line(format_args!("{kind}: {what} {} ({} lines)", missed.name, missed.lines))?;
            for (lines, template) in missed.parts {
                out.line(format_args!("    {lines:>5} {template}"))?;
            }
        }
    }
    Ok(())
}

/// The labelled logs of a directory: one folder each, with a log and the table of its labels.
fn sets(directory: &Path) -> Result<Vec<Labelled>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    let mut sets = Vec::new();
    for folder in folders {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            files.push(entry?.path());
        }
        files.sort();
        let named =
            |ending: &str| files.iter().find(|file| file.to_string_lossy().ends_with(ending));
        let Some(log) = named(".log") else { continue };
        let Some(table) = TABLES.iter().find_map(|ending| named(ending)) else { continue };
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let raw = std::fs::read(log).with_context(|| log.display().to_string())?;
        let labels = std::fs::read(table).with_context(|| table.display().to_string())?;
        let set = Labelled::new(&name, &raw, &String::from_utf8_lossy(&labels));
        sets.push(set.with_context(|| format!("{}: no Content or EventId", table.display()))?);
    }
    if sets.is_empty() {
        bail!("{}: no folder with a .log and a table of labels", directory.display());
    }
    Ok(sets)
}

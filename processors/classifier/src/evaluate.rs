//! Group accuracy on labelled logs (Zhu et al., ICSE-SEIP 2019), with one configuration for all of
//! them, and what the thresholds would have been had a set not been known.
//! Promises: pure functions of the logs; nothing is tuned by set.

use std::collections::BTreeMap;

use crate::{
    Classifier, ClassifierConfig, Format, Inspected, Inspection, PatternTable, Thresholds, parse,
    template,
};

/// 2024-06-15T00:00:00Z, in place of records' times.
const REFERENCE_MS: i64 = 1_718_409_600_000;
/// Patterns that are remembered meanwhile.
const MAX_PATTERNS: usize = 100_000;
/// Parts of a group that are shown of one that was not found.
const MAX_PARTS: usize = 6;

/// A log whose lines are labelled with the event that each is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labelled {
    /// Its name.
    pub name: String,
    /// The lines as they stand.
    pub raw: Vec<String>,
    /// The published message of each line.
    pub contents: Vec<String>,
    /// The published event of each line.
    pub events: Vec<String>,
}

/// How well the lines of a log were grouped.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Accuracy {
    /// Share of lines whose group is exactly the lines of one event.
    pub lines: f64,
    /// Harmonic mean of the shares of events found exactly, and of groups that are exactly an event.
    pub groups_f1: f64,
}

/// What was measured of a log.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// Of the published messages.
    pub content: Accuracy,
    /// Of the lines as they stand.
    pub raw: Accuracy,
    /// Of the lines as they stand, read as text without a header.
    pub plain: Accuracy,
    /// Share of lines whose message was found as it is published.
    pub messages: f64,
}

/// The patterns of a log's messages or lines, in their order, before aliases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    /// Template and whether the event reports a failure.
    templates: Vec<(String, bool)>,
}

/// An event that was not found exactly, or a group that is several events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Whether one event became several groups, rather than several events one group.
    pub split: bool,
    /// The event, or the pattern's id.
    pub name: String,
    /// Lines of it.
    pub lines: usize,
    /// Lines and a template of each part; the largest are not first.
    pub parts: Vec<(usize, String)>,
}

/// What a threshold would have been without a set.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// The set that was left out.
    pub name: String,
    /// The thresholds that are best on all others.
    pub thresholds: Thresholds,
    /// With them, on the set that was left out.
    pub content: Accuracy,
    /// With the thresholds as they are.
    pub as_they_are: Accuracy,
}

impl Labelled {
    /// A log from its lines and a table (CSV, RFC 4180) with the columns `Content` and `EventId`;
    /// none where the table lacks them.
    pub fn new(name: &str, raw: &[u8], table: &str) -> Option<Self> {
        let rows = csv_rows(table);
        let (titles, rows) = rows.split_first()?;
        let column = |title: &str| titles.iter().position(|name| name == title);
        let (content_at, event_at) = (column("Content")?, column("EventId")?);
        let cells =
            |at: usize| rows.iter().map(move |row| row.get(at).cloned().unwrap_or_default());
        let lines = raw.split(|byte| *byte == b'\n');
        let text = |line: &[u8]| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
        Some(Self {
            name: name.to_owned(),
            raw: lines.map(text).take(rows.len()).collect(),
            contents: cells(content_at).collect(),
            events: cells(event_at).collect(),
        })
    }

    /// Measures everything.
    pub fn measure(&self) -> Measured {
        let found = self.raw.iter().zip(&self.contents).filter(|(line, content)| {
            parse(line, REFERENCE_MS * 1_000).message.trim() == content.trim()
        });
        Measured {
            content: self.accuracy(&self.of_contents(), Thresholds::default()),
            raw: self.accuracy(&self.of_lines(None), Thresholds::default()),
            plain: self.accuracy(&self.of_lines(Some(Format::Plain)), Thresholds::default()),
            messages: found.count() as f64 / self.contents.len().max(1) as f64,
        }
    }

    /// The patterns of the published messages.
    pub fn of_contents(&self) -> Patterns {
        let template = |content: &String| (template::template(content), false);
        Patterns { templates: self.contents.iter().map(template).collect() }
    }

    /// The patterns of the lines as they stand, in which several lines may be one event.
    pub fn of_lines(&self, format: Option<Format>) -> Patterns {
        let mut config = ClassifierConfig::default();
        if let Some(format) = format {
            config.formats.insert(String::new(), format);
        }
        let classifier = Classifier::new(config);
        let mut inspection = Inspection::new(&classifier, "eval/local/file", REFERENCE_MS);
        let mut templates = vec![(String::new(), false); self.raw.len()];
        let mut take = |event: Inspected<'_>| {
            for line in event.first_line..=event.last_line {
                let slot = usize::try_from(line).ok().and_then(|line| templates.get_mut(line - 1));
                if let Some(slot) = slot {
                    *slot = (event.view.template().to_owned(), event.view.is_failing());
                }
            }
        };
        for line in &self.raw {
            inspection.line(line.as_bytes(), &mut take);
        }
        let _ = inspection.finish(&mut take);
        Patterns { templates }
    }

    /// How well patterns, aliases resolved, group the lines.
    pub fn accuracy(&self, patterns: &Patterns, thresholds: Thresholds) -> Accuracy {
        accuracy(&self.events, &patterns.resolved(thresholds))
    }

    /// The events that were split, and those that became one.
    pub fn missed(&self, patterns: &Patterns) -> Vec<Missed> {
        let found = patterns.resolved(Thresholds::default());
        let mut missed = parts_of(&self.events, &found, patterns, true);
        missed.extend(parts_of(&found, &self.events, patterns, false));
        missed.sort_by_key(|missed| std::cmp::Reverse(missed.lines));
        missed
    }
}

impl Patterns {
    /// The id of each line's pattern, aliases resolved.
    fn resolved(&self, thresholds: Thresholds) -> Vec<String> {
        let mut table = PatternTable::with_thresholds(MAX_PATTERNS, thresholds);
        let mut ids = Vec::with_capacity(self.templates.len());
        for (template, failing) in &self.templates {
            let id = template::pattern_id(template);
            table.observe(&id, template, 0, *failing);
            ids.push(id);
        }
        ids.iter().map(|id| table.resolve(id)).collect()
    }
}

/// A threshold, and what each value of it reaches on each set, all else as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Which one.
    pub name: &'static str,
    /// Each value, and for each set the group accuracy and the F1 of groups together.
    pub values: Vec<(usize, Vec<f64>)>,
}

impl Tried {
    /// Each value with the mean over the sets but one, of what at best is 2.
    pub fn means(&self, without: Option<usize>) -> Vec<(usize, f64)> {
        let mean = |reached: &[f64]| {
            let kept = reached.iter().enumerate().filter(|(set, _)| Some(*set) != without);
            let kept: Vec<f64> = kept.map(|(_, reached)| *reached).collect();
            kept.iter().sum::<f64>() / kept.len().max(1) as f64
        };
        self.values.iter().map(|(value, reached)| (*value, mean(reached))).collect()
    }
}

/// Tries other values of each threshold, one at a time, on the published messages.
pub fn sweep(sets: &[Labelled]) -> Vec<Tried> {
    let patterns: Vec<Patterns> = sets.iter().map(Labelled::of_contents).collect();
    let tried = |(name, knob): &(&'static str, fn(&mut Thresholds) -> &mut usize)| {
        let reached = |value: usize| {
            let mut thresholds = Thresholds::default();
            *knob(&mut thresholds) = value;
            let reached = sets.iter().zip(&patterns).map(|(set, patterns)| {
                let accuracy = set.accuracy(patterns, thresholds);
                accuracy.lines + accuracy.groups_f1
            });
            (value, reached.collect())
        };
        Tried { name, values: CANDIDATES.into_iter().map(reached).collect() }
    };
    Thresholds::KNOBS.iter().map(tried).collect()
}

/// For each set, the thresholds that are best on all others, and what that costs on the set.
pub fn leave_one_out(sets: &[Labelled], tried: &[Tried]) -> Vec<LeftOut> {
    let mut report = Vec::new();
    for (at, set) in sets.iter().enumerate() {
        let mut thresholds = Thresholds::default();
        for ((_, knob), tried) in Thresholds::KNOBS.iter().zip(tried) {
            let current = *knob(&mut thresholds);
            // Of those that are equally good, the one that is nearest to the present.
            let mut best = (f64::MIN, usize::MAX, current);
            for (value, mean) in tried.means(Some(at)) {
                let distance = value.abs_diff(current);
                if mean > best.0 + SAME || ((mean - best.0).abs() <= SAME && distance < best.1) {
                    best = (mean, distance, value);
                }
            }
            *knob(&mut thresholds) = best.2;
        }
        let patterns = set.of_contents();
        report.push(LeftOut {
            name: set.name.clone(),
            thresholds,
            content: set.accuracy(&patterns, thresholds),
            as_they_are: set.accuracy(&patterns, Thresholds::default()),
        });
    }
    report
}

/// Differences that are none but of rounding.
const SAME: f64 = 1e-9;
/// Values that are tried of each threshold.
const CANDIDATES: [usize; 14] = [2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 30, 50, 100];

/// Group accuracy, and the F1 of groups.
fn accuracy(truth: &[String], found: &[String]) -> Accuracy {
    let groups = |names: &[String]| {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (line, name) in names.iter().enumerate() {
            groups.entry(name.clone()).or_default().push(line);
        }
        groups
    };
    let (true_groups, found_groups) = (groups(truth), groups(found));
    let exact = found_groups.values().filter(|members| {
        let event = members.first().and_then(|first| truth.get(*first));
        event.and_then(|event| true_groups.get(event)) == Some(*members)
    });
    let (mut exact_groups, mut exact_lines) = (0, 0);
    for members in exact {
        exact_groups += 1;
        exact_lines += members.len();
    }
    let both = (found_groups.len() + true_groups.len()).max(1);
    Accuracy {
        lines: exact_lines as f64 / truth.len().max(1) as f64,
        groups_f1: 2.0 * f64::from(exact_groups) / both as f64,
    }
}

/// Groups whose lines lie in several of the others.
fn parts_of(names: &[String], others: &[String], patterns: &Patterns, split: bool) -> Vec<Missed> {
    let mut groups: BTreeMap<&str, BTreeMap<&str, (usize, &str)>> = BTreeMap::new();
    for ((name, other), (template, _)) in names.iter().zip(others).zip(&patterns.templates) {
        let parts = groups.entry(name).or_default();
        parts.entry(other).or_insert((0, template)).0 += 1;
    }
    groups
        .into_iter()
        .filter(|(_, parts)| parts.len() > 1)
        .map(|(name, parts)| Missed {
            split,
            name: name.to_owned(),
            lines: parts.values().map(|(lines, _)| lines).sum(),
            parts: parts
                .values()
                .take(MAX_PARTS)
                .map(|(lines, text)| (*lines, (*text).to_owned()))
                .collect(),
        })
        .collect()
}

/// A reader for RFC 4180, enough for tables of labels.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    row.push(cell);
    rows.push(row);
    rows.retain(|row| row.len() > 1);
    rows
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_groups_that_are_exactly_an_event_count() {
        let truth = texts(&["a", "a", "b", "b", "c"]);
        let all = accuracy(&truth, &texts(&["1", "1", "2", "2", "3"]));
        assert_eq!(all, Accuracy { lines: 1.0, groups_f1: 1.0 });
        let split = accuracy(&truth, &texts(&["1", "1", "2", "3", "4"]));
        assert_eq!(split, Accuracy { lines: 0.6, groups_f1: 2.0 * 2.0 / 7.0 });
        let merged = accuracy(&truth, &texts(&["1", "1", "2", "2", "2"]));
        assert_eq!(merged, Accuracy { lines: 0.4, groups_f1: 2.0 * 1.0 / 5.0 });
    }

    #[test]
    fn a_labelled_log_is_read_and_measured() {
        let table = "LineId,Content,EventId\n1,\"sent 7 bytes, \"\"fast\"\"\",E1\n2,sent 9 bytes slowly,E2\n3,\"sent 1 bytes, \"\"fast\"\"\",E1\n";
        let raw = b"2024-01-01 10:00:00 INFO a.b: sent 7 bytes, \"fast\"\r\n2024-01-01 10:00:01 INFO a.b: sent 9 bytes slowly\n2024-01-01 10:00:02 INFO a.b: sent 1 bytes, \"fast\"\n";
        let set = Labelled::new("x", raw, table).unwrap();
        assert_eq!(set.contents[0], "sent 7 bytes, \"fast\"");
        let measured = set.measure();
        assert_eq!(measured.content, Accuracy { lines: 1.0, groups_f1: 1.0 });
        assert_eq!(measured.raw, measured.content);
        assert_eq!(measured.messages, 1.0);
        assert!(set.missed(&set.of_contents()).is_empty());
        assert!(Labelled::new("x", raw, "a,b\n1,2\n").is_none());
        let sets = [set.clone(), set];
        let left = leave_one_out(&sets, &sweep(&sets));
        assert_eq!(left[0].thresholds, Thresholds::default());
    }

    #[test]
    fn what_was_missed_is_shown() {
        let set = Labelled {
            events: texts(&["E1", "E1"]),
            contents: texts(&["job alice ended badly", "task bob began"]),
            ..Labelled::default()
        };
        let missed = set.missed(&set.of_contents());
        assert_eq!(missed.len(), 1);
        assert!(missed[0].split && missed[0].lines == 2 && missed[0].parts.len() == 2);
    }
}

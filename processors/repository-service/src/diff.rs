//! Unified diffs of edited files, in git's format.
//!
//! Only the lines that edits touch are compared, so that the cost does not grow with the file.

use std::{borrow::Cow, fmt::Write as _, ops::Range};

use similar::{Algorithm, DiffTag, capture_diff_slices};

use crate::view::{FileChange, Splice};

/// Unchanged lines shown around a change.
const CONTEXT_LINES: usize = 3;
/// Most lines, before and after together, of a region that is compared line by line; a longer one
/// is shown as replaced whole.
const MAX_COMPARED_LINES: usize = 4000;

/// Lines that are replaced by others: their indexes from 0, before and after.
struct Change {
    old: Range<usize>,
    new: Range<usize>,
}

/// Whole lines around one or more splices, before and after.
struct Region {
    old: Range<usize>,
    new: Range<usize>,
}

/// What `splices`, in order and none overlapping, make of the file `before`, which is `after`.
pub(crate) fn file_change(
    path: &str,
    before: &[u8],
    after: &[u8],
    splices: &[Splice],
) -> FileChange {
    let old_lines = lines(before);
    let new_lines = lines(after);
    let mut changes = Vec::new();
    for region in regions(before, after, &old_lines, &new_lines, splices) {
        compare(&region, &old_lines, &new_lines, &mut changes);
    }

    let collect = |lines: &[&[u8]], ranges: Vec<Range<usize>>| -> Vec<String> {
        let selected = ranges.into_iter().flat_map(|range| lines.get(range).unwrap_or_default());
        selected.map(|line| without_end(line).into_owned()).collect()
    };
    let added = collect(&new_lines, changes.iter().map(|change| change.new.clone()).collect());
    let removed = collect(&old_lines, changes.iter().map(|change| change.old.clone()).collect());
    let diff = unified(path, &old_lines, &new_lines, &changes);
    FileChange { path: path.to_owned(), added, removed, diff }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn without_end(line: &[u8]) -> Cow<'_, str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line))
}

/// The lines that splices touch. Each region takes in the line that follows a splice's last byte, so
/// that a line that a splice joins to the next is seen whole.
fn regions(
    before: &[u8],
    after: &[u8],
    old_lines: &[&[u8]],
    new_lines: &[&[u8]],
    splices: &[Splice],
) -> Vec<Region> {
    let old_starts = line_starts(old_lines);
    let new_starts = line_starts(new_lines);
    let line_at =
        |starts: &[usize], byte: usize| starts.partition_point(|start| *start <= byte) - 1;

    let line_after = |starts: &[usize], end: usize, text: &[u8], count: usize| {
        if end >= text.len() { count } else { line_at(starts, end) + 1 }
    };

    let mut regions: Vec<Region> = Vec::new();
    let mut grown = 0_usize;
    let mut shrunk = 0_usize;
    for splice in splices {
        let old_start = line_at(&old_starts, splice.range.start);
        let joins_last = regions.last().is_some_and(|last| old_start < last.old.end);
        if !joins_last {
            // All earlier splices end before this line, and what stands before this one on its line
            // is the same before and after: only the line's offset has moved.
            let old_line_byte = old_starts.get(old_start).copied().unwrap_or_default();
            let new_start = line_at(&new_starts, old_line_byte + grown - shrunk);
            regions.push(Region { old: old_start..old_start, new: new_start..new_start });
        }
        grown += splice.replacement.len();
        shrunk += splice.range.len();
        let new_end = splice.range.end + grown - shrunk;
        if let Some(region) = regions.last_mut() {
            region.old.end = line_after(&old_starts, splice.range.end, before, old_lines.len());
            region.new.end = line_after(&new_starts, new_end, after, new_lines.len());
        }
    }
    regions
}

/// Offsets at which lines start; never empty.
fn line_starts(lines: &[&[u8]]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut offset = 0;
    for line in lines {
        offset += line.len();
        starts.push(offset);
    }
    starts
}

/// Finds the lines of a region that differ.
fn compare(region: &Region, old_lines: &[&[u8]], new_lines: &[&[u8]], changes: &mut Vec<Change>) {
    let old = old_lines.get(region.old.clone()).unwrap_or_default();
    let new = new_lines.get(region.new.clone()).unwrap_or_default();
    if old.len() + new.len() > MAX_COMPARED_LINES {
        changes.push(Change { old: region.old.clone(), new: region.new.clone() });
        return;
    }
    for operation in capture_diff_slices(Algorithm::Myers, old, new) {
        let (tag, old, new) = operation.as_tag_tuple();
        if tag != DiffTag::Equal {
            let shifted = |range: Range<usize>, by: usize| range.start + by..range.end + by;
            let old = shifted(old, region.old.start);
            changes.push(Change { old, new: shifted(new, region.new.start) });
        }
    }
}

fn unified(path: &str, old_lines: &[&[u8]], new_lines: &[&[u8]], changes: &[Change]) -> String {
    let mut diff = header(path);
    let mut rest = changes;
    while let Some(hunk_len) = first_hunk(rest) {
        let (hunk, following) = rest.split_at(hunk_len);
        write_hunk(&mut diff, hunk, old_lines, new_lines);
        rest = following;
    }
    diff
}

/// How many of the changes are so close together that they make one hunk.
fn first_hunk(changes: &[Change]) -> Option<usize> {
    let mut end = changes.first()?.old.end;
    let mut count = 0;
    for change in changes {
        if change.old.start.saturating_sub(end) > 2 * CONTEXT_LINES {
            break;
        }
        end = change.old.end;
        count += 1;
    }
    Some(count)
}

fn write_hunk(diff: &mut String, hunk: &[Change], old_lines: &[&[u8]], new_lines: &[&[u8]]) {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
        return;
    };
    let lead = first.old.start.min(CONTEXT_LINES);
    let trail = (old_lines.len() - last.old.end).min(CONTEXT_LINES);
    let old = first.old.start - lead..last.old.end + trail;
    let new = first.new.start - lead..last.new.end + trail;
    // Writing to a string cannot fail.
    let _ = writeln!(diff, "@@ -{} +{} @@", place(&old), place(&new));

    let mut copied = old.start;
    for change in hunk {
        write_lines(diff, ' ', old_lines, copied..change.old.start);
        write_lines(diff, '-', old_lines, change.old.clone());
        write_lines(diff, '+', new_lines, change.new.clone());
        copied = change.old.end;
    }
    write_lines(diff, ' ', old_lines, copied..old.end);
}

/// First line from 1 and count of lines; of no lines, the line before them.
fn place(range: &Range<usize>) -> String {
    let first = if range.is_empty() { range.start } else { range.start + 1 };
    format!("{first},{}", range.len())
}

fn write_lines(diff: &mut String, sign: char, lines: &[&[u8]], range: Range<usize>) {
    for line in lines.get(range).unwrap_or_default() {
        diff.push(sign);
        diff.push_str(&String::from_utf8_lossy(line));
        if !line.ends_with(b"\n") {
            diff.push_str("\n\\ No newline at end of file\n");
        }
    }
}

fn header(path: &str) -> String {
    let old = quoted("a", path);
    let new = quoted("b", path);
    // Tools cut the name of a file at a space, unless a tab follows it.
    let end = if path.contains(' ') && !old.starts_with('"') { "\t" } else { "" };
    format!("diff --git {old} {new}\n--- {old}{end}\n+++ {new}{end}\n")
}

/// Quotes a name as git does; [`check_path`](crate::check_path) has refused backslashes and control characters.
fn quoted(side: &str, path: &str) -> String {
    if path.contains('"') {
        format!("\"{side}/{}\"", path.replace('"', "\\\""))
    } else {
        format!("{side}/{path}")
    }
}

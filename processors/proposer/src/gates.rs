//! The gates: what a proposal must pass before anybody is asked about it.
//!
//! Promises: every gate gives a result, in the same order, whatever the others said.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use hephaestus_repository_service::{FileChange, RepositoryError, View};
use hephaestus_schemas::{Edit, GateResult, Policy};

use crate::markdown::one_line;

/// Each edit's text stands exactly once in its file at the base commit.
pub const APPLIES_EXACTLY_ONCE: &str = "applies-exactly-once";
/// The policy allows every path.
pub const ALLOWED_PATHS: &str = "allowed-paths";
/// The change is small.
pub const SIZE: &str = "size";
/// No file has more syntax errors than before.
pub const PARSES: &str = "parses";
/// No added line contains a secret.
pub const NO_SECRET: &str = "no-secret";

/// Most bytes of a proposal's diff.
pub const MAX_DIFF_BYTES: usize = 64 * 1024;
/// Most bytes of a proposal's edits.
pub const MAX_EDITS_BYTES: usize = 128 * 1024;
/// Most characters of a gate's reason.
const MAX_REASON_CHARS: usize = 300;
/// Most globs of a policy that are looked at, and bytes of each.
const MAX_GLOBS: usize = 100;
const MAX_GLOB_BYTES: usize = 512;
/// Faults named in one reason; of more, only the number is given.
const MAX_NAMED: usize = 3;

/// Bounds that no node's policy can raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the diff.
    pub max_diff_bytes: usize,
    /// Most bytes of the edits: of what they find and what they put in its place.
    pub max_edits_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_diff_bytes: MAX_DIFF_BYTES, max_edits_bytes: MAX_EDITS_BYTES }
    }
}

/// What the gates ask of other crates.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// Counts the syntax errors of a file, by path and text; `None` is no opinion, as on a language
    /// that is not known.
    pub syntax_errors: &'a dyn Fn(&str, &str) -> Option<usize>,
    /// Whether a line contains a secret.
    pub is_secret: &'a dyn Fn(&str) -> bool,
}

/// Applies the edits to the view and asks every gate.
///
/// # Errors
/// Only where the repository cannot be read now and trying again may help.
pub(crate) fn run(
    edits: &[Edit],
    view: &mut View,
    policy: &Policy,
    limits: &Limits,
    checks: &Checks<'_>,
) -> Result<Vec<GateResult>, RepositoryError> {
    let applied = apply(edits, view)?;
    let changes = view.changes();
    Ok(vec![
        applied,
        allowed_paths(edits, policy),
        size(edits, &changes, policy, limits),
        parses(view, &changes, checks),
        no_secret(edits, &changes, checks),
    ])
}

fn passed(gate: &str, reason: &str) -> GateResult {
    result(gate, true, reason)
}

fn refused(gate: &str, reason: &str) -> GateResult {
    result(gate, false, reason)
}

fn result(gate: &str, passed: bool, reason: &str) -> GateResult {
    let reason = one_line(reason, MAX_REASON_CHARS);
    GateResult { gate: gate.to_owned(), passed, reason }
}

/// The first few faults, and how many more there are.
fn named(faults: &[String]) -> String {
    let shown: Vec<&str> = faults.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = faults.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", shown.join("; "))
}

/// The paths that the edits name, sorted.
pub(crate) fn paths(edits: &[Edit]) -> BTreeSet<&str> {
    edits.iter().map(|edit| edit.path.as_str()).collect()
}

pub(crate) fn edit_bytes(edit: &Edit) -> usize {
    edit.path.len() + edit.find.len() + edit.replace.len()
}

fn counted(count: usize, singular: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {singular}{plural}")
}

fn apply(edits: &[Edit], view: &mut View) -> Result<GateResult, RepositoryError> {
    if edits.is_empty() {
        return Ok(refused(APPLIES_EXACTLY_ONCE, "there is no edit"));
    }
    let mut faults = Vec::new();
    for edit in edits {
        match view.apply(edit) {
            Ok(()) => {}
            Err(hephaestus_repository_service::EditError::File(error)) if error.is_retryable() => {
                return Err(error);
            }
            Err(error) => faults.push(error.to_string()),
        }
    }
    if !faults.is_empty() {
        return Ok(refused(APPLIES_EXACTLY_ONCE, &named(&faults)));
    }
    if view.changed_files().is_empty() {
        return Ok(refused(APPLIES_EXACTLY_ONCE, "the edits together change nothing"));
    }
    let edits_count = counted(edits.len(), "edit");
    let files_count = counted(view.changed_files().len(), "file");
    Ok(passed(APPLIES_EXACTLY_ONCE, &format!("{edits_count} in {files_count}")))
}

fn allowed_paths(edits: &[Edit], policy: &Policy) -> GateResult {
    let globs = match compiled(&policy.allowed_paths) {
        Ok(globs) => globs,
        Err(reason) => return refused(ALLOWED_PATHS, &reason),
    };
    let mut faults = Vec::new();
    for path in paths(edits) {
        // A glob such as `**` would match `../x` too.
        if let Err(error) = hephaestus_repository_service::check_path(path) {
            faults.push(error.to_string());
        } else if !globs.is_match(path) {
            faults.push(format!("`{path}` is not among the allowed paths"));
        }
    }
    let allowed = policy.allowed_paths.join(", ");
    if faults.is_empty() {
        passed(ALLOWED_PATHS, &format!("allowed: {allowed}"))
    } else {
        refused(ALLOWED_PATHS, &format!("{}; allowed: {allowed}", named(&faults)))
    }
}

/// Compiles a policy's globs: `*` does not cross a `/`, `**` does.
fn compiled(globs: &[String]) -> Result<GlobSet, String> {
    if globs.len() > MAX_GLOBS {
        return Err(format!("the policy has {} globs; at most {MAX_GLOBS} are read", globs.len()));
    }
    let mut set = GlobSetBuilder::new();
    for text in globs {
        if text.len() > MAX_GLOB_BYTES {
            return Err(format!("a glob of the policy has more than {MAX_GLOB_BYTES} bytes"));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        set.add(glob.map_err(|error| format!("`{text}` is no glob: {}", error.kind()))?);
    }
    set.build().map_err(|error| format!("the policy's globs cannot be used: {}", error.kind()))
}

fn size(edits: &[Edit], changes: &[FileChange], policy: &Policy, limits: &Limits) -> GateResult {
    let files = paths(edits).len();
    let lines: usize = changes.iter().map(|change| change.added.len() + change.removed.len()).sum();
    let bytes: usize = changes.iter().map(|change| change.diff.len()).sum();
    let max_files = usize::try_from(policy.max_files).unwrap_or(0);
    let max_lines = usize::try_from(policy.max_changed_lines).unwrap_or(0);

    let mut faults = Vec::new();
    if files > max_files {
        faults.push(format!("{}; at most {max_files} are allowed", counted(files, "file")));
    }
    if lines > max_lines {
        let counted = counted(lines, "changed line");
        faults.push(format!("{counted}; at most {max_lines} are allowed"));
    }
    if bytes > limits.max_diff_bytes {
        faults.push(format!(
            "a diff of {bytes} bytes; at most {} are allowed",
            limits.max_diff_bytes
        ));
    }
    let edits_bytes: usize = edits.iter().map(edit_bytes).sum();
    if edits_bytes > limits.max_edits_bytes {
        let most = limits.max_edits_bytes;
        faults.push(format!("edits of {edits_bytes} bytes; at most {most} are allowed"));
    }
    if faults.is_empty() {
        passed(SIZE, &format!("{}, {}", counted(files, "file"), counted(lines, "changed line")))
    } else {
        refused(SIZE, &named(&faults))
    }
}

fn parses(view: &View, changes: &[FileChange], checks: &Checks<'_>) -> GateResult {
    let mut faults = Vec::new();
    let mut parsed = 0;
    for change in changes {
        let Some((before, after)) = view.before_and_after(&change.path) else { continue };
        let errors =
            |bytes: &[u8]| (checks.syntax_errors)(&change.path, &String::from_utf8_lossy(bytes));
        match (errors(before), errors(after)) {
            (None, None) => {}
            (Some(_), None) => faults.push(format!("`{}` can no longer be parsed", change.path)),
            (before, Some(after)) if after > before.unwrap_or(0) => {
                let before = before.unwrap_or(0);
                let path = &change.path;
                faults.push(format!(
                    "`{path}` has {} instead of {before}",
                    counted(after, "syntax error")
                ));
            }
            (_, Some(_)) => parsed += 1,
        }
    }
    if !faults.is_empty() {
        return refused(PARSES, &named(&faults));
    }
    let unknown = changes.len() - parsed;
    let parsed = counted(parsed, "file");
    if unknown == 0 {
        passed(PARSES, &format!("{parsed} parsed"))
    } else {
        passed(
            PARSES,
            &format!("{parsed} parsed, {} of no known language", counted(unknown, "file")),
        )
    }
}

/// The reason names places, never what stands there.
fn no_secret(edits: &[Edit], changes: &[FileChange], checks: &Checks<'_>) -> GateResult {
    let mut faults = BTreeSet::new();
    let mut lines = 0;
    for change in changes {
        for line in &change.added {
            lines += 1;
            if (checks.is_secret)(line) {
                faults.insert(format!("an added line of `{}` contains a secret", change.path));
            }
        }
    }
    // An edit that does not apply is in no diff, but it is recorded.
    for edit in edits {
        let is_in_diff = changes.iter().any(|change| change.path == edit.path);
        if !is_in_diff && edit.replace.lines().any(|line| (checks.is_secret)(line)) {
            faults.insert(format!("the edit of `{}` contains a secret", edit.path));
        }
    }
    let faults: Vec<String> = faults.into_iter().collect();
    if faults.is_empty() {
        passed(NO_SECRET, &format!("{} looked at", counted(lines, "added line")))
    } else {
        refused(NO_SECRET, &named(&faults))
    }
}

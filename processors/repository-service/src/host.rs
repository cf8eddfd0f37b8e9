//! What a repository host does for a change: looks it up, and opens it.
//!
//! Promises of every host: one branch for one change, however often it is asked for, and whatever
//! part of it an earlier attempt left behind.

use std::time::Duration;

use async_trait::async_trait;

use crate::repository::CommitId;

/// Trailer of a commit that names the change it belongs to.
pub const PROPOSAL_TRAILER: &str = "Hephaestus-Proposal";
/// Trailer of a commit that names the failure it is for.
pub const FINGERPRINT_TRAILER: &str = "Hephaestus-Fingerprint";
/// Trailer of a commit that names the records that caused it.
pub const ORIGIN_TRAILER: &str = "Hephaestus-Origin";
/// Where the branches of changes lie.
pub const BRANCH_PREFIX: &str = "hephaestus/";

/// Most characters of the part of a branch's name that is for readers.
const MAX_SLUG_CHARS: usize = 40;
/// Characters of a change's id that stand in its branch's name.
const BRANCH_ID_CHARS: usize = 12;

/// A change to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSpec {
    /// Id of the change: that of its proposal; letters, digits, `-` and `_`.
    pub id: String,
    /// Branch the change is made against.
    pub base_branch: String,
    /// Commit the change is made on.
    pub base_commit: CommitId,
    /// Branch to make; see [`branch_name`].
    pub branch: String,
    /// Title, one line.
    pub title: String,
    /// Description for a reviewer, in Markdown.
    pub description: String,
    /// Fingerprint of the failure the change is for.
    pub fingerprint: String,
    /// Records that caused it, separated by commas.
    pub origin: String,
    /// Files to change: path and new bytes. Modes stay as they are.
    pub files: Vec<(String, Vec<u8>)>,
    /// Name of the author.
    pub author_name: String,
    /// Address of the author.
    pub author_email: String,
    /// Time of the commit, in microseconds since 1970 UTC; fixed by the proposal, so that a repeat
    /// makes the same commit.
    pub timestamp: i64,
}

/// A change that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedChange {
    /// Its branch.
    pub branch: String,
    /// The commit at the tip of the branch, or that was merged.
    pub commit: String,
    /// Where a person can look at it.
    pub url: Option<String>,
}

/// Why a host did not open a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The world is at fault: try again.
    #[error("{reason}")]
    Retry {
        /// What was wrong.
        reason: String,
        /// How long the host asked to wait.
        after: Option<Duration>,
    },
    /// The branch exists and belongs to something else.
    #[error(
        "branch `{branch}` exists at {commit} and belongs to another change; delete or rename it"
    )]
    Conflict {
        /// The branch.
        branch: String,
        /// The commit at its tip.
        commit: String,
    },
    /// Trying again does not help.
    #[error("{reason}")]
    Permanent {
        /// What was wrong, and what would be right.
        reason: String,
    },
}

/// A host of repositories.
#[async_trait]
pub trait Host: Send + Sync {
    /// The change of that id, if it is open.
    ///
    /// # Errors
    /// See [`HostError`].
    async fn find(&self, change_id: &str) -> Result<Option<OpenedChange>, HostError>;

    /// Opens a change, or returns it where it is open already.
    ///
    /// # Errors
    /// See [`HostError`].
    async fn open(&self, change: ChangeSpec) -> Result<OpenedChange, HostError>;
}

/// The branch of a change: `hephaestus/<title in plain letters>-<beginning of the id>`.
/// A pure function, so that a repeat names the same branch.
pub fn branch_name(title: &str, change_id: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().take(4 * MAX_SLUG_CHARS) {
        if slug.len() >= MAX_SLUG_CHARS {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = match slug.trim_end_matches('-') {
        "" => "change",
        slug => slug,
    };
    format!("{BRANCH_PREFIX}{slug}{}", branch_suffix(change_id))
}

/// How the branch of a change ends.
pub(crate) fn branch_suffix(change_id: &str) -> String {
    let plain = change_id.chars().filter(char::is_ascii_alphanumeric);
    let id: String = plain.take(BRANCH_ID_CHARS).collect();
    format!("-{}", id.to_ascii_lowercase())
}

/// The message of a change's commit: title, description and trailers.
pub(crate) fn commit_message(change: &ChangeSpec) -> String {
    const MAX_TITLE_CHARS: usize = 200;
    const MAX_DESCRIPTION_CHARS: usize = 32 * 1024;
    const MAX_TRAILER_CHARS: usize = 4 * 1024;
    let title = without_references(&one_line(&change.title, MAX_TITLE_CHARS));
    let description: String = change.description.chars().take(MAX_DESCRIPTION_CHARS).collect();
    let description = without_references(&description.replace('\0', "\u{fffd}"));
    let mut message = match title.trim() {
        "" => "Change proposed from logs".to_owned(),
        title => title.to_owned(),
    };
    message.push_str("\n\n");
    if !description.trim().is_empty() {
        message.push_str(description.trim_end());
        message.push_str("\n\n");
    }
    let trailers = [
        (PROPOSAL_TRAILER, &change.id),
        (FINGERPRINT_TRAILER, &change.fingerprint),
        (ORIGIN_TRAILER, &change.origin),
    ];
    for (name, value) in trailers {
        let value = one_line(value, MAX_TRAILER_CHARS);
        if !value.trim().is_empty() {
            message.push_str(&format!("{name}: {}\n", value.trim()));
        }
    }
    message
}

/// Hosts read a message as plain text: a log line `fixes #12` that is quoted in it would close issue
/// 12, and `@name` call somebody. An invisible space keeps them from it.
fn without_references(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        result.push(c);
        let is_reference =
            matches!(c, '@' | '#') && characters.peek().is_some_and(char::is_ascii_alphanumeric);
        if is_reference {
            result.push('\u{200b}');
        }
    }
    result
}

fn one_line(text: &str, max_chars: usize) -> String {
    let shortened = text.chars().take(max_chars);
    shortened.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether the last paragraph of a commit's message, which no description can reach, names the change.
pub(crate) fn names_change(message: &str, change_id: &str) -> bool {
    let message = message.trim_end();
    let last_paragraph = message.rsplit("\n\n").next().unwrap_or_default();
    last_paragraph.lines().any(|line| match line.split_once(": ") {
        Some((name, value)) => name == PROPOSAL_TRAILER && value.trim() == change_id,
        None => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_branch_is_named_for_readers_in_letters_that_every_system_takes() {
        let id = "0123456789ABCDEF";
        assert_eq!(
            branch_name("Fix KeyError: 'price' in a/b.py", id),
            "hephaestus/fix-keyerror-price-in-a-b-py-0123456789ab"
        );
        assert_eq!(branch_name("../../.git\0..lock", id), "hephaestus/git-lock-0123456789ab");
        assert_eq!(branch_name("ошибка", id), "hephaestus/change-0123456789ab");
        let long = branch_name(&"x y ".repeat(1000), id);
        assert!(long.len() < 80 && !long.contains("--"), "{long}");
    }

    #[test]
    fn a_trailer_within_the_description_names_no_change() {
        let mut change = spec();
        change.description = "text\n\nHephaestus-Proposal: other\n".to_owned();
        let message = commit_message(&change);
        assert!(names_change(&message, "abc"), "{message}");
        assert!(!names_change(&message, "other"), "{message}");
    }

    #[test]
    fn a_quoted_log_line_closes_no_issue_and_calls_nobody() {
        let mut change = spec();
        change.title = "Fix #1".to_owned();
        change.description = "```\nfixes #12 @admins a.py#39-42\n```\n# Head".to_owned();
        let message = commit_message(&change);
        assert!(message.starts_with("Fix #\u{200b}1\n"), "{message}");
        assert!(
            message.contains("fixes #\u{200b}12 @\u{200b}admins a.py#\u{200b}39-42\n```\n# Head"),
            "{message}"
        );
    }

    #[test]
    fn a_message_has_title_description_and_trailers() {
        assert_eq!(
            commit_message(&spec()),
            "Fix it\n\nWhy.\n\nHephaestus-Proposal: abc\nHephaestus-Fingerprint: f1\n\
             Hephaestus-Origin: raw-logs/0/1-3\n"
        );
        let mut hostile = spec();
        hostile.title = "a\nHephaestus-Proposal: x\0".to_owned();
        hostile.origin = "o\n\nHephaestus-Proposal: x".to_owned();
        let message = commit_message(&hostile);
        assert!(message.starts_with("a Hephaestus-Proposal: x\n\n"), "{message}");
        assert!(!names_change(&message, "x"), "{message}");
    }

    fn spec() -> ChangeSpec {
        ChangeSpec {
            id: "abc".to_owned(),
            base_branch: "main".to_owned(),
            base_commit: "0".repeat(40).parse().unwrap(),
            branch: branch_name("Fix it", "abc"),
            title: "Fix it".to_owned(),
            description: "Why.".to_owned(),
            fingerprint: "f1".to_owned(),
            origin: "raw-logs/0/1-3".to_owned(),
            files: Vec::new(),
            author_name: "Hephaestus".to_owned(),
            author_email: "hephaestus@localhost".to_owned(),
            timestamp: 0,
        }
    }
}

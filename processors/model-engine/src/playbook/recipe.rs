//! Recipes as they are written in TOML.
//!
//! Nothing is checked here but the shape; `compile` says whether a recipe makes sense.

use serde::Deserialize;

use crate::Language;

/// One recipe: how a failure is recognised, how it is explained, and how it may be fixed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipeText {
    /// Name, in lower case with hyphens; it is that of the file.
    pub(crate) name: String,
    /// Languages; exactly one where syntax is looked at.
    pub(crate) languages: Vec<Language>,
    /// Template of a line that names the failure.
    pub(crate) title: String,
    /// Category of the failure.
    pub(crate) category: Option<String>,
    /// Confidence in the cause while nothing but exception and message is known.
    pub(crate) confidence: f64,
    /// Template of the explanation, in terms of the message.
    pub(crate) explanation: String,
    /// What the exception must be.
    pub(crate) recognise: RecogniseText,
    /// Every place of the culprit line that can raise this failure.
    pub(crate) suspect: Option<SuspectText>,
    /// Ways to fix it, the best first; the first that fits is taken.
    #[serde(default, rename = "fix")]
    pub(crate) fixes: Vec<FixText>,
}

/// What the exception must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecogniseText {
    /// Types, whole or without their module; none stands for any.
    #[serde(default)]
    pub(crate) exceptions: Vec<String>,
    /// Regular expression on the message, or on `type: message`; its named groups can be used.
    pub(crate) message: Option<String>,
    /// Where the failure was raised, seen from the culprit line.
    #[serde(default)]
    pub(crate) raised: Raised,
}

/// Where a failure was raised, seen from the culprit line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Raised {
    /// By the line itself.
    #[default]
    Here,
    /// By the line, or by a library that the line called.
    Below,
}

/// Every place of the culprit line that can raise the failure.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspectText {
    /// Tree-sitter query; `@at` is the place, `@point` the token whose position a runtime reports.
    pub(crate) query: String,
    /// Template of what to add to the explanation where there is exactly one such place.
    pub(crate) explanation: String,
    /// Confidence in the cause where there is exactly one such place.
    pub(crate) confidence: f64,
}

/// One way to fix a failure.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixText {
    /// Tree-sitter query; its `@at` must be the suspect place.
    pub(crate) query: String,
    /// Template of what the change does.
    pub(crate) explanation: String,
    /// Confidence in the cause and the change.
    pub(crate) confidence: f64,
    /// What must hold besides.
    #[serde(default, rename = "condition")]
    pub(crate) conditions: Vec<ConditionText>,
    /// The change: what is replaced or inserted.
    #[serde(rename = "change")]
    pub(crate) changes: Vec<ChangeText>,
}

/// A condition of a fix. A name captured twice must have the same text in both places, except for
/// names that start with an underscore.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConditionText {
    /// A query matches; what it captures can be used.
    Present(ScopedQueryText),
    /// A query does not match.
    Absent(ScopedQueryText),
    /// A query matches with an `@around` that holds the suspect place, in the same function.
    Encloses(QueryText),
    /// The parent of a captured node has one of these kinds.
    Parent(KindsText),
    /// No ancestor of a captured node within its function has one of these kinds.
    NotInside(KindsText),
    /// Whatever uses a captured value can do without one (`None`, `undefined`).
    AbsenceTolerated(CaptureText),
}

/// A query and where it looks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopedQueryText {
    /// Where the query looks.
    pub(crate) scope: Scope,
    /// Tree-sitter query.
    pub(crate) query: String,
}

/// Where a query looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// In the statement that holds the suspect place.
    Statement,
    /// In the function that holds it.
    Function,
    /// In the whole file.
    File,
}

/// A query.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryText {
    /// Tree-sitter query.
    pub(crate) query: String,
}

/// A captured node and kinds of nodes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KindsText {
    /// Name of the capture.
    pub(crate) capture: String,
    /// Kinds of the grammar.
    pub(crate) kinds: Vec<String>,
}

/// A captured node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptureText {
    /// Name of the capture.
    pub(crate) capture: String,
}

/// One part of a change.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeText {
    /// Puts text in the place of a captured node.
    Replace(ReplaceText),
    /// Puts lines before a captured statement, indented like it.
    InsertBefore(InsertText),
    /// Adds an argument to a captured list of arguments.
    AppendArgument(AppendText),
}

/// Puts text in the place of a captured node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaceText {
    /// Name of the capture.
    pub(crate) capture: String,
    /// Template of the new text.
    pub(crate) with: String,
    /// Whether parentheses are put around it where the place calls for them.
    #[serde(default)]
    pub(crate) parenthesise: bool,
}

/// Puts lines before a captured statement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InsertText {
    /// Name of the capture; `statement` is the one that holds the suspect place.
    pub(crate) capture: String,
    /// Templates of the lines; each tab at their start is one level of indentation.
    pub(crate) lines: Vec<String>,
}

/// Adds an argument to a captured list of arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppendText {
    /// Name of the capture.
    pub(crate) capture: String,
    /// Template of the argument.
    pub(crate) argument: String,
}

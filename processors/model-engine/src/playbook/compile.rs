//! Checks a recipe and compiles its templates, expressions and queries.
//!
//! Whatever could only fail at a failure is refused here, with the recipe and the reason.

use std::collections::BTreeSet;

use regex::Regex;
use tree_sitter::Query;

use super::PlaybookError;
use super::recipe::{ChangeText, ConditionText, FixText, Raised, RecipeText, Scope, SuspectText};
use super::template::Template;
use crate::Language;

/// Names that every template may use.
pub(crate) const BUILT_IN: [&str; 5] = ["function", "path", "line", "type", "message"];
/// Captures that exist wherever there is a suspect place: its text, and its statement.
const LOCATED: [&str; 2] = ["at", "statement"];

/// A recipe that was checked.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) languages: Vec<Language>,
    pub(crate) title: Template,
    pub(crate) category: Option<String>,
    pub(crate) confidence: f64,
    pub(crate) explanation: Template,
    pub(crate) exceptions: Vec<String>,
    pub(crate) message: Option<Regex>,
    pub(crate) raised: Raised,
    pub(crate) suspect: Option<Suspect>,
    pub(crate) fixes: Vec<Fix>,
}

/// Every place of the culprit line that can raise the failure.
#[derive(Debug)]
pub(crate) struct Suspect {
    pub(crate) query: Query,
    pub(crate) explanation: Template,
    pub(crate) confidence: f64,
}

/// One way to fix a failure.
#[derive(Debug)]
pub(crate) struct Fix {
    pub(crate) query: Query,
    pub(crate) explanation: Template,
    pub(crate) confidence: f64,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) changes: Vec<Change>,
}

/// A condition of a fix.
#[derive(Debug)]
pub(crate) enum Condition {
    Present(Scope, Query),
    Absent(Scope, Query),
    Encloses(Query),
    Parent(String, Vec<String>),
    NotInside(String, Vec<String>),
    AbsenceTolerated(String),
}

/// One part of a change.
#[derive(Debug)]
pub(crate) enum Change {
    Replace { capture: String, with: Template, parenthesise: bool },
    InsertBefore { capture: String, lines: Vec<(usize, Template)> },
    AppendArgument { capture: String, argument: Template },
}

/// Reads and checks one recipe. `file` is the file's name without its ending.
///
/// # Errors
/// Where the text is no recipe, or a recipe that could not work.
pub(crate) fn compiled(file: &str, text: &str) -> Result<Recipe, PlaybookError> {
    let written: RecipeText = toml::from_str(text).map_err(|error| PlaybookError::Text {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    checked(file, written).map_err(|reason| PlaybookError::Recipe { file: file.to_owned(), reason })
}

fn checked(file: &str, written: RecipeText) -> Result<Recipe, String> {
    if written.name != file {
        return Err(format!("name is {:?}, want that of the file", written.name));
    }
    if written.languages.is_empty() {
        return Err("languages is empty, want one at least".to_owned());
    }
    let mut names: BTreeSet<String> = BUILT_IN.iter().map(|name| (*name).to_owned()).collect();
    let message = match &written.recognise.message {
        Some(pattern) => Some(Regex::new(pattern).map_err(|error| format!("message: {error}"))?),
        None => None,
    };
    if let Some(pattern) = &message {
        names.extend(pattern.capture_names().flatten().map(str::to_owned));
    }
    if written.recognise.exceptions.is_empty() && message.is_none() {
        return Err("recognise names neither an exception nor a message".to_owned());
    }
    let title = template("title", &written.title, &names)?;
    let explanation = template("explanation", &written.explanation, &names)?;
    let confidence = probability("confidence", written.confidence)?;
    let language = match written.languages.as_slice() {
        [language] => Some(*language),
        _ => None,
    };
    let one_language = || language.ok_or("a recipe that looks at syntax is for one language");
    let suspect = match &written.suspect {
        Some(text) => Some(suspect(one_language()?, text, &mut names)?),
        None => None,
    };
    if suspect.is_none() && !written.fixes.is_empty() {
        return Err("a fix needs a suspect".to_owned());
    }
    let mut fixes = Vec::new();
    for (number, text) in written.fixes.iter().enumerate() {
        let compiled = fix(one_language()?, text, names.clone());
        fixes.push(compiled.map_err(|reason| format!("fix {}: {reason}", number + 1))?);
    }
    Ok(Recipe {
        name: written.name,
        languages: written.languages,
        title,
        category: written.category,
        confidence,
        explanation,
        exceptions: written.recognise.exceptions,
        message,
        raised: written.recognise.raised,
        suspect,
        fixes,
    })
}

fn suspect(
    language: Language,
    written: &SuspectText,
    names: &mut BTreeSet<String>,
) -> Result<Suspect, String> {
    let compiled = query("suspect", language, &written.query, Some("at"))?;
    add_captures(names, &compiled);
    names.extend(LOCATED.iter().map(|name| (*name).to_owned()));
    Ok(Suspect {
        query: compiled,
        explanation: template("suspect explanation", &written.explanation, names)?,
        confidence: probability("suspect confidence", written.confidence)?,
    })
}

fn fix(language: Language, written: &FixText, mut names: BTreeSet<String>) -> Result<Fix, String> {
    let compiled = query("query", language, &written.query, Some("at"))?;
    add_captures(&mut names, &compiled);
    let mut conditions = Vec::new();
    for condition in &written.conditions {
        conditions.push(self::condition(language, condition, &mut names)?);
    }
    if written.changes.is_empty() {
        return Err("there is no change".to_owned());
    }
    let mut changes = Vec::new();
    for change in &written.changes {
        changes.push(self::change(change, &names)?);
    }
    Ok(Fix {
        query: compiled,
        explanation: template("explanation", &written.explanation, &names)?,
        confidence: probability("confidence", written.confidence)?,
        conditions,
        changes,
    })
}

fn condition(
    language: Language,
    written: &ConditionText,
    names: &mut BTreeSet<String>,
) -> Result<Condition, String> {
    match written {
        ConditionText::Present(text) => {
            let compiled = query("present", language, &text.query, None)?;
            add_captures(names, &compiled);
            Ok(Condition::Present(text.scope, compiled))
        }
        ConditionText::Absent(text) => {
            let compiled = query("absent", language, &text.query, None)?;
            Ok(Condition::Absent(text.scope, compiled))
        }
        ConditionText::Encloses(text) => {
            let compiled = query("encloses", language, &text.query, Some("around"))?;
            add_captures(names, &compiled);
            Ok(Condition::Encloses(compiled))
        }
        ConditionText::Parent(text) => {
            let (capture, kinds) = kinds(language, &text.capture, &text.kinds, names)?;
            Ok(Condition::Parent(capture, kinds))
        }
        ConditionText::NotInside(text) => {
            let (capture, kinds) = kinds(language, &text.capture, &text.kinds, names)?;
            Ok(Condition::NotInside(capture, kinds))
        }
        ConditionText::AbsenceTolerated(text) => {
            if !crate::absence::is_known(language) {
                return Err(format!("absence_tolerated is not known for {}", language.as_str()));
            }
            Ok(Condition::AbsenceTolerated(known(&text.capture, names)?))
        }
    }
}

fn change(written: &ChangeText, names: &BTreeSet<String>) -> Result<Change, String> {
    match written {
        ChangeText::Replace(text) => Ok(Change::Replace {
            capture: known(&text.capture, names)?,
            with: template("with", &text.with, names)?,
            parenthesise: text.parenthesise,
        }),
        ChangeText::InsertBefore(text) => {
            let mut lines = Vec::new();
            for line in &text.lines {
                let code = line.trim_start_matches('\t');
                lines.push((line.len() - code.len(), template("lines", code, names)?));
            }
            if lines.is_empty() {
                return Err("insert_before has no lines".to_owned());
            }
            Ok(Change::InsertBefore { capture: known(&text.capture, names)?, lines })
        }
        ChangeText::AppendArgument(text) => Ok(Change::AppendArgument {
            capture: known(&text.capture, names)?,
            argument: template("argument", &text.argument, names)?,
        }),
    }
}

fn query(
    what: &str,
    language: Language,
    text: &str,
    required: Option<&str>,
) -> Result<Query, String> {
    let compiled = Query::new(&language.grammar(), text)
        .map_err(|error| format!("{what} is no query for {}: {error}", language.as_str()))?;
    if let Some(name) = required
        && compiled.capture_index_for_name(name).is_none()
    {
        return Err(format!("{what} captures no @{name}"));
    }
    Ok(compiled)
}

fn add_captures(names: &mut BTreeSet<String>, query: &Query) {
    for name in query.capture_names() {
        if !name.starts_with('_') {
            names.insert((*name).to_owned());
        }
    }
}

fn template(what: &str, text: &str, names: &BTreeSet<String>) -> Result<Template, String> {
    if text.trim().is_empty() {
        return Err(format!("{what} is empty"));
    }
    let parsed = Template::parse(text).map_err(|reason| format!("{what}: {reason}"))?;
    for name in parsed.names() {
        known(name, names).map_err(|reason| format!("{what}: {reason}"))?;
    }
    Ok(parsed)
}

fn known(name: &str, names: &BTreeSet<String>) -> Result<String, String> {
    if names.contains(name) {
        return Ok(name.to_owned());
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    Err(format!("{name:?} is captured nowhere; known are {}", all.join(", ")))
}

fn kinds(
    language: Language,
    capture: &str,
    kinds: &[String],
    names: &BTreeSet<String>,
) -> Result<(String, Vec<String>), String> {
    for kind in kinds {
        if language.grammar().id_for_node_kind(kind, true) == 0 {
            return Err(format!("{kind:?} is no kind of node in {}", language.as_str()));
        }
    }
    Ok((known(capture, names)?, kinds.to_vec()))
}

fn probability(what: &str, value: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(format!("{what} is {value}, want 0 to 1"))
}

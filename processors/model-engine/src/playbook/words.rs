//! Turns what is known of a failure into sentences, and says plainly what is not known.
//!
//! Quoted values come from strangers: they are kept to one line, short, and out of code marks.

use std::collections::BTreeMap;

use hephaestus_schemas::Frame;

use super::compile::Recipe;
use super::engine::KNOWN_FROM;
use super::template::Template;
use crate::budget::{MAX_CAUSE_BYTES, MAX_QUOTED_BYTES, MAX_TITLE_BYTES, bounded};
use crate::provider::{AnalysisRequest, Finding};

/// Culprit frames that are listed where the cause is unknown.
const MAX_LISTED_FRAMES: usize = 5;

/// Adds what templates may say of a frame.
pub(crate) fn add_frame(values: &mut BTreeMap<String, String>, frame: Option<&Frame>) {
    let function = frame.and_then(|frame| frame.function.clone());
    let file = frame.and_then(|frame| frame.file.clone());
    let line = frame.and_then(|frame| frame.line);
    values.insert("function".to_owned(), function.unwrap_or_else(|| "the program".to_owned()));
    values.insert("path".to_owned(), file.unwrap_or_else(|| "an unknown file".to_owned()));
    let line = line.map_or_else(|| "?".to_owned(), |line| line.to_string());
    values.insert("line".to_owned(), line);
}

/// Adds the place in the repository.
pub(crate) fn add_place(values: &mut BTreeMap<String, String>, path: &str, line: u32) {
    values.insert("path".to_owned(), path.to_owned());
    values.insert("line".to_owned(), line.to_string());
}

/// A template with its values quoted; what a message did not say is unknown.
pub(crate) fn rendered(template: &Template, values: &BTreeMap<String, String>) -> String {
    let quoted = quoted_all(values.clone());
    template.render_with(&quoted, "unknown")
}

/// Values as they may stand in a sentence.
pub(crate) fn quoted_all(mut values: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for value in values.values_mut() {
        *value = quoted(value);
    }
    values
}

/// Adds a sentence.
pub(crate) fn append(text: &mut String, sentence: &str) {
    if sentence.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(sentence);
}

/// What a recipe found, in words.
pub(crate) fn finding(
    recipe: &Recipe,
    values: &BTreeMap<String, String>,
    confidence: f64,
    details: &str,
) -> Finding {
    let mut cause = rendered(&recipe.explanation, values);
    append(&mut cause, details);
    Finding {
        cause: bounded(&cause, MAX_CAUSE_BYTES).to_owned(),
        cause_known: confidence >= KNOWN_FROM,
        confidence,
        category: recipe.category.clone(),
        recipe: None,
        title: bounded(&rendered(&recipe.title, values), MAX_TITLE_BYTES).to_owned(),
    }
}

/// What is known of a failure that no recipe fits.
pub(crate) fn unknown(request: &AnalysisRequest) -> Finding {
    let event = &request.event;
    let mut cause = "The cause is not known: no recipe of the playbook fits.".to_owned();
    let title = match &event.exception {
        Some(exception) => {
            let name = quoted(&exception.type_name);
            let message = quoted(&exception.message);
            if message.is_empty() {
                append(&mut cause, &format!("`{name}` was raised without a message."));
            } else {
                append(&mut cause, &format!("`{name}` was raised with the message `{message}`."));
            }
            let frame = event.culprits.first().or(exception.frames.first());
            match frame.and_then(|frame| frame.function.as_deref()) {
                Some(function) => format!("{name} in {}: {message}", quoted(function)),
                None => format!("{name}: {message}"),
            }
        }
        None => {
            let message = quoted(&event.message);
            append(&mut cause, &format!("The event holds no exception; it says `{message}`."));
            // Of lines that differ in their variables, the template names what they share.
            if event.template.is_empty() { message } else { quoted(&event.template) }
        }
    };
    append(&mut cause, &ranked(&event.culprits));
    append(&mut cause, &format!("It was seen {} times.", request.count.max(1)));
    Finding {
        cause: bounded(&cause, MAX_CAUSE_BYTES).to_owned(),
        cause_known: false,
        confidence: 0.0,
        category: None,
        recipe: None,
        title: bounded(title.trim_end_matches([' ', ':']), MAX_TITLE_BYTES).to_owned(),
    }
}

/// The culprit frames, the likeliest first.
fn ranked(culprits: &[Frame]) -> String {
    if culprits.is_empty() {
        return "No frame tells where to look.".to_owned();
    }
    let mut places = Vec::new();
    for frame in culprits.iter().take(MAX_LISTED_FRAMES) {
        places.push(place(frame));
    }
    let mut sentence = format!("Where to look, the likeliest first: {}", places.join(", "));
    let more = culprits.len().saturating_sub(MAX_LISTED_FRAMES);
    if more > 0 {
        sentence.push_str(&format!(" and {more} more"));
    }
    sentence.push('.');
    sentence
}

fn place(frame: &Frame) -> String {
    let module = frame.module.as_deref().unwrap_or("unknown place");
    let file = quoted(frame.file.as_deref().unwrap_or(module));
    let mut place = match &frame.function {
        Some(function) => format!("`{}` ({file}", quoted(function)),
        None => format!("({file}"),
    };
    if let Some(line) = frame.line {
        place.push_str(&format!(":{line}"));
    }
    place.push(')');
    place
}

/// A value on one line, without code marks, and short.
fn quoted(value: &str) -> String {
    let kept = bounded(value, MAX_QUOTED_BYTES);
    let mut line = String::with_capacity(kept.len());
    for word in kept.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word.replace('`', "'"));
    }
    if kept.len() < value.len() {
        line.push('…');
    }
    line
}

//! Which exception and which culprit line a recipe is for.
//!
//! Pure functions over the event; no syntax is looked at here.

use std::collections::BTreeMap;

use hephaestus_schemas::{Exception, Frame};

use super::compile::Recipe;
use super::recipe::Raised;
use crate::Language;
use crate::budget::{MAX_CAUSES, MAX_MESSAGE_BYTES, bounded};

/// An exception and those that caused it, the outermost first.
pub(crate) fn chain(outermost: Option<&Exception>) -> Vec<&Exception> {
    let mut chain = Vec::new();
    let mut next = outermost;
    while let Some(exception) = next
        && chain.len() < MAX_CAUSES
    {
        chain.push(exception);
        next = exception.cause.as_deref();
    }
    chain
}

/// What a recipe captures from an exception; `None` where it is for another.
pub(crate) fn recognised(
    recipe: &Recipe,
    exception: &Exception,
) -> Option<BTreeMap<String, String>> {
    let name = exception.type_name.as_str();
    let is_one_of = |wanted: &String| wanted == name || wanted == last_segment(name);
    if !recipe.exceptions.is_empty() && !recipe.exceptions.iter().any(is_one_of) {
        return None;
    }
    let Some(pattern) = &recipe.message else {
        return Some(BTreeMap::new());
    };
    let message = bounded(&exception.message, MAX_MESSAGE_BYTES);
    let whole = format!("{name}: {message}");
    let captured = pattern.captures(message).or_else(|| pattern.captures(&whole))?;
    let mut values = BTreeMap::new();
    for group in pattern.capture_names().flatten() {
        if let Some(value) = captured.name(group) {
            values.insert(group.to_owned(), value.as_str().to_owned());
        }
    }
    Some(values)
}

/// Name of a type without its module.
pub(crate) fn last_segment(name: &str) -> &str {
    name.rsplit(['.', ':', '$']).next().unwrap_or(name)
}

/// Whether an exception was raised where a recipe wants it, seen from a culprit frame.
///
/// An exception without frames says nothing against the frame that the caller holds for the culprit.
pub(crate) fn is_raised(
    exception: &Exception,
    culprit: &Frame,
    raised: Raised,
    language: Language,
) -> bool {
    let is_culprit = |frame: &Frame| {
        frame.file == culprit.file
            && frame.line == culprit.line
            && frame.function == culprit.function
    };
    if exception.frames.is_empty() {
        return true;
    }
    let Some(position) = exception.frames.iter().position(is_culprit) else {
        return false;
    };
    let mut inner = exception.frames.iter().take(position);
    match raised {
        Raised::Here => inner.all(|frame| language.is_runtime_frame(frame)),
        Raised::Below => inner.all(|frame| !frame.in_app),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, in_app: bool) -> Frame {
        Frame { function: Some(function.into()), line: Some(1), in_app, ..Frame::default() }
    }

    #[test]
    fn a_failure_is_raised_by_the_innermost_frame() {
        let own = frame("own", true);
        let library = frame("library", false);
        let exception = Exception {
            frames: vec![library.clone(), own.clone(), frame("main", true)],
            ..Exception::default()
        };
        let raised =
            |culprit: &Frame, raised| is_raised(&exception, culprit, raised, Language::Python);
        assert!(!raised(&own, Raised::Here));
        assert!(raised(&own, Raised::Below));
        assert!(raised(&library, Raised::Here));
        assert!(!raised(&frame("main", true), Raised::Below));
        assert!(!raised(&frame("elsewhere", true), Raised::Below));
    }

    #[test]
    fn the_machinery_of_a_panic_is_no_library() {
        let own = frame("shop.total", true);
        let exception = Exception {
            frames: vec![frame("panic", false), frame("runtime.goPanicIndex", false), own.clone()],
            ..Exception::default()
        };
        assert!(is_raised(&exception, &own, Raised::Here, Language::Go));
        assert!(!is_raised(&exception, &own, Raised::Here, Language::Python));
    }

    #[test]
    fn a_chain_of_causes_is_bounded() {
        let mut exception = Exception::default();
        for _ in 0..100 {
            exception = Exception { cause: Some(Box::new(exception)), ..Exception::default() };
        }
        assert_eq!(chain(Some(&exception)).len(), MAX_CAUSES);
        assert!(chain(None).is_empty());
    }

    #[test]
    fn a_type_is_known_without_its_module() {
        assert_eq!(last_segment("java.lang.NullPointerException"), "NullPointerException");
        assert_eq!(last_segment("json.decoder.JSONDecodeError"), "JSONDecodeError");
        assert_eq!(last_segment("KeyError"), "KeyError");
    }
}

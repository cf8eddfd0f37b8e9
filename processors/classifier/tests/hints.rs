//! A shipper or the configuration says what lines are, and that goes before what they look like.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;

use hephaestus_classifier::{Classifier, ClassifierConfig, Format, RawLine, SourceState};
use hephaestus_schemas::{ClassifiedLog, Severity};

fn read(
    classifier: &Classifier,
    source: &str,
    line: &str,
    format: Option<Format>,
) -> ClassifiedLog {
    let mut state = SourceState::default();
    let record = RawLine { bytes: line.as_bytes(), format, ..RawLine::default() };
    let mut events = classifier.push(&mut state, source, record);
    events.extend(classifier.flush(&mut state, source));
    assert_eq!(events.len(), 1, "{line}");
    *events.remove(0).log
}

#[test]
fn a_hint_goes_before_the_content() {
    let classifier = Classifier::new(ClassifierConfig::default());
    let headed = "2024-01-01 10:00:00 ERROR [main] a.B - no stock";
    assert_eq!(read(&classifier, "s/i/o", headed, None).message, "no stock");
    assert_eq!(read(&classifier, "s/i/o", headed, Some(Format::Plain)).message, headed);
    // Pairs alone are taken for text, unless they are said to be logfmt.
    let pairs = "user=7 action=\"buy it\" service=cart";
    assert_eq!(read(&classifier, "s/i/o", pairs, None).service, "s");
    assert_eq!(read(&classifier, "s/i/o", pairs, Some(Format::Logfmt)).service, "cart");
    let wrapped =
        "{\"log\":\"out of stock\\n\",\"stream\":\"stderr\",\"time\":\"2024-01-01T10:00:00Z\"}";
    assert_eq!(read(&classifier, "s/i/o", wrapped, None).message, "out of stock");
    assert_eq!(read(&classifier, "s/i/o", wrapped, Some(Format::Plain)).message, wrapped);
}

#[test]
fn what_is_not_what_it_is_said_to_be_is_kept_as_text() {
    let classifier = Classifier::new(ClassifierConfig::default());
    for (name, format) in Format::NAMED {
        let event = read(&classifier, "s/i/o", "{half a document", Some(format));
        assert_eq!(event.message, "{half a document", "{name}");
        assert_eq!(Format::named(&name.to_uppercase()), Some(format));
    }
    assert_eq!(Format::named("yaml"), None);
}

#[test]
fn the_configuration_names_formats_by_source_and_the_longest_name_counts() {
    let formats = BTreeMap::from([
        ("shop/".to_owned(), Format::Plain),
        ("shop/web-1/".to_owned(), Format::Headed),
    ]);
    let classifier = Classifier::new(ClassifierConfig { formats, ..ClassifierConfig::default() });
    let line = "ERROR:root:no stock";
    assert_eq!(read(&classifier, "shop/web-2/app", line, None).message, line);
    let headed = read(&classifier, "shop/web-1/app", line, None);
    assert_eq!((headed.message.as_str(), headed.severity), ("no stock", Severity::Error));
    assert_eq!(read(&classifier, "shop/web-1/app", line, Some(Format::Plain)).message, line);
}

#[test]
fn a_hint_outlasts_a_restart_amid_an_event() {
    let classifier = Classifier::new(ClassifierConfig::default());
    let mut state = SourceState::default();
    let bytes = b"2024-01-01 10:00:00 ERROR no stock".as_slice();
    let record = RawLine { bytes, format: Some(Format::Plain), ..RawLine::default() };
    assert!(classifier.push(&mut state, "s/i/o", record).is_empty());
    state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    let events = classifier.flush(&mut state, "s/i/o");
    assert_eq!(events[0].log.message.as_bytes(), bytes);
}

//! What must hold of every decoder of foreign bytes, whatever the bytes are: the bodies of the fuzz targets, which an
//! ordinary test replays on seeds (`tests/fuzzing.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

use std::{cell::RefCell, str::FromStr};

use bytes::Bytes;
use hephaestus_classifier::{
    Classifier, ClassifierConfig, Format, MAX_CULPRITS, Masker, RawLine, SourceState,
    exception::{self, MAX_CHAIN, MAX_FRAMES, MAX_MESSAGE, Rules, go},
    fingerprint, parse, parse_as, rank_culprits, template,
};
use hephaestus_gateway::lines::{BodyFormat, LineSplitter, StreamLine, split_body};
use hephaestus_model_engine::{Playbook, edit, syntax};
use hephaestus_pipeline::{record::Origins, telemetry::traceparent::TraceContext};
use hephaestus_schemas::{
    Analysis, ChangeRequest, ClassifiedLog, Decision, Edit, Exception, Node, Value, codec::datum,
    wire,
};
use serde_avro_fast::Schema;

/// A target and what must hold of it.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its file in `fuzz_targets`.
pub const TARGETS: [Target; 10] = [
    ("assemble", assemble),
    ("avro", avro),
    ("bodies", bodies),
    ("edits", edits),
    ("exceptions", exceptions),
    ("headers", headers),
    ("mask", mask),
    ("parse", parsers),
    ("playbook", playbook),
    ("templates", templates),
];

/// 2024-06-15T00:00:00Z, in microseconds.
const REFERENCE: i64 = 1_718_409_600_000_000;
/// Longest input that is looked at, in bytes: longer ones only repeat themselves.
const MAX_INPUT: usize = 64 * 1024;

thread_local! {
    static CLASSIFIER: Classifier = Classifier::new(ClassifierConfig::default());
    static MASKER: Masker = Masker::default();
    static SCHEMAS: RefCell<Vec<(&'static str, Schema)>> = const { RefCell::new(Vec::new()) };
}

fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data.get(..MAX_INPUT).unwrap_or(data))
}

/// Traces of every language: bounded, with a culprit wherever there is one to be had, and a fingerprint that lines'
/// numbers do not change.
pub fn exceptions(data: &[u8]) {
    let text = text(data);
    let rules = Rules::default();
    let dump = go::parse_goroutines(&text);
    assert!(dump.goroutines.len() + dump.damaged <= text.lines().count() + 1);
    let Some(found) = exception::find(&text, &rules) else { return };
    let mut links = 0;
    let mut link = Some(&found.exception);
    while let Some(exception) = link {
        links += 1;
        assert!(exception.frames.len() <= MAX_FRAMES && exception.message.len() <= MAX_MESSAGE);
        link = exception.cause.as_deref();
    }
    assert!(links <= MAX_CHAIN + 1, "{links} links");
    let culprits = rank_culprits(&found.exception, &rules);
    assert!(culprits.len() <= MAX_CULPRITS);
    let mut moved = found.exception.clone();
    forget_lines(&mut moved);
    let fingerprints = [&found.exception, &moved].map(fingerprint::of_exception);
    assert_eq!(fingerprints[0], fingerprints[1]);
}

fn forget_lines(exception: &mut Exception) {
    let mut link = Some(exception);
    while let Some(exception) = link {
        for frame in &mut exception.frames {
            (frame.line, frame.column) = (None, None);
        }
        link = exception.cause.as_deref_mut();
    }
}

/// One line in each format: what is read of it is not longer than it, and the first format is what it is told to be.
pub fn parsers(data: &[u8]) {
    let text = text(data);
    let line = text.split('\n').next().unwrap_or("");
    let formats = ["plain", "headed", "json", "syslog", "access", "logfmt"];
    let told = formats.iter().filter_map(|name| Format::named(name));
    let parsed = told.map(|format| parse_as(line, format, REFERENCE));
    for parsed in parsed.chain([parse(line, REFERENCE)]) {
        assert!(parsed.message.len() <= line.len(), "{:?}: {}", parsed.format, parsed.message);
        for (name, value) in &parsed.attributes {
            assert!(!name.is_empty() && value.len() <= line.len());
        }
    }
}

/// A token behind whatever stands before it does not pass, and a line does not grow without bound.
pub fn mask(data: &[u8]) {
    const TOKEN: &str = "ghp_Zk4mQ9xT2vR7wL1nB8cY5dF3gH6jK0pS9aQe";
    let text = text(data);
    MASKER.with(|masker| {
        let mut key_lines = 0;
        for line in text.split('\n') {
            let masked = masker.mask(line, &mut key_lines);
            assert!(masked.text.len() <= line.len() * 8 + 64);
            if masked.count == 0 && !masked.inside_key {
                assert_eq!(masked.text, line);
            }
            // Amid a word it may be a part of something else.
            if line.contains(TOKEN) {
                continue;
            }
            let planted = format!("{line} {TOKEN}");
            let masked = masker.mask(&planted, &mut 0);
            assert!(!masked.text.contains(TOKEN), "{planted:?}");
        }
    });
}

/// A template is bounded by its message, and its id is a function of it alone.
pub fn templates(data: &[u8]) {
    let text = text(data);
    for line in text.split('\n') {
        let made = template::template(line);
        assert!(made.len() <= line.len() * 8 + 64, "{line:?}: {made:?}");
        assert_eq!(made, template::template(line));
        assert_eq!(template::pattern_id(&made), template::pattern_id(&made));
    }
}

/// Records of two sources, line by line: no record is lost or counted twice, states survive being stored between any two
/// records, and nothing is pending at the end.
pub fn assemble(data: &[u8]) {
    let data = data.get(..MAX_INPUT).unwrap_or(data);
    CLASSIFIER.with(|classifier| {
        let mut states = [SourceState::default(), SourceState::default()];
        let mut seen: Vec<Vec<(u64, u64)>> = vec![Vec::new(); 2];
        let mut records = [0_u64; 2];
        for line in data.split(|byte| *byte == b'\n') {
            // The first bit says whose line it is, the second whether the state is stored before.
            let first = line.first().copied().unwrap_or(0);
            let source = usize::from(first & 1);
            let Some(state) = states.get_mut(source) else { continue };
            if first & 2 != 0 {
                let stored = serde_json::to_string(state).unwrap();
                *state = serde_json::from_str(&stored).unwrap();
            }
            let record = RawLine {
                offset: records[source],
                timestamp_ms: REFERENCE / 1_000,
                bytes: line,
                ..RawLine::default()
            };
            records[source] += 1;
            for event in classifier.push(state, "shop/a/out", record) {
                seen[source].extend(event.runs());
                check_log(classifier, &event.log);
            }
        }
        for (source, state) in states.iter_mut().enumerate() {
            for event in classifier.flush(state, "shop/a/out") {
                seen[source].extend(event.runs());
                check_log(classifier, &event.log);
            }
            assert!(state.is_idle());
            // Parts of a line wait for its end while lines of other streams go on.
            seen[source].sort_unstable();
            let mut next = 0;
            for (first, last) in &seen[source] {
                assert!(
                    first <= last && *first <= next && *last < records[source],
                    "{:?} of {} records",
                    seen[source],
                    records[source]
                );
                next = next.max(last + 1);
            }
            assert_eq!(next, records[source], "records of source {source}");
        }
    });
}

fn check_log(classifier: &Classifier, log: &ClassifiedLog) {
    assert!(log.message.len() <= classifier.config().max_event_bytes);
    assert!(log.culprits.len() <= MAX_CULPRITS);
    assert!(!log.fingerprint.is_empty() && !log.pattern_id.is_empty() && log.lines >= 1);
}

/// Avro from strangers: a value that is read is written to bytes that give it again.
pub fn avro(data: &[u8]) {
    let datum = match wire::split(data) {
        Ok((id, datum)) => {
            let mut again = Vec::new();
            wire::write_prefix(id, &mut again);
            again.extend_from_slice(datum);
            assert_eq!(again, data);
            datum
        }
        Err(_) => data,
    };
    read_again::<ClassifiedLog>(datum);
    read_again::<Analysis>(datum);
    read_again::<ChangeRequest>(datum);
    read_again::<Decision>(datum);
    read_again::<Node>(datum);
}

fn read_again<V: Value>(bytes: &[u8]) {
    SCHEMAS.with_borrow_mut(|schemas| {
        if !schemas.iter().any(|(name, _)| *name == V::NAME) {
            schemas.push((V::NAME, V::SCHEMA.parse().unwrap()));
        }
        let (_, schema) = schemas.iter().find(|(name, _)| *name == V::NAME).unwrap();
        let Ok(value) = datum::read::<V>(bytes, schema) else { return };
        let mut written = Vec::new();
        value.write_datum(schema, &mut written).unwrap();
        let again: V = datum::read(&written, schema).unwrap();
        let mut twice = Vec::new();
        again.write_datum(schema, &mut twice).unwrap();
        assert_eq!(written, twice);
    });
}

/// Bodies that are sent to the door: lines hold what was sent, and pieces of a stream make the same lines.
pub fn bodies(data: &[u8]) {
    let (cut, body) =
        data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first), rest));
    let whole = Bytes::copy_from_slice(body);
    for format in [BodyFormat::Text, BodyFormat::JsonLines, BodyFormat::Json] {
        let bytes: usize = split_body(&whole, format).map(|line| line.len()).sum();
        assert!(bytes <= body.len());
    }
    let text: Vec<StreamLine> =
        split_body(&whole, BodyFormat::Text).map(StreamLine::Line).collect();
    let mut splitter = LineSplitter::new(body.len().max(1));
    let mut lines = Vec::new();
    for piece in body.chunks(cut.max(1)) {
        splitter.push(piece, &mut lines);
    }
    lines.extend(splitter.finish());
    assert_eq!(lines, text);
}

/// Headers of records: what is read is written again as it stood, or in the one way to write it.
pub fn headers(data: &[u8]) {
    if let Some(context) = TraceContext::parse(data) {
        assert_eq!(TraceContext::parse(&context.format()), Some(context));
    }
    let text = text(data);
    if let Ok(origins) = Origins::from_str(&text) {
        assert_eq!(Origins::from_str(&origins.to_string()).unwrap(), origins);
        let mut pushed = Origins::default();
        for origin in origins.0 {
            pushed.push_last(origin);
        }
    }
}

/// Edits as a model may write them, on files as a repository may hold them: applied once or not at all.
pub fn edits(data: &[u8]) {
    let text = text(data);
    let mut parts = text.splitn(3, '\u{0}');
    let mut part = || parts.next().unwrap_or("").to_owned();
    let (file, find, replace) = (part(), part(), part());
    let made = Edit { path: "a.py".to_owned(), find: find.clone(), replace: replace.clone() };
    if let Some(applied) = edit::applied(&file, &made) {
        assert!(edit::stands_once(&file, &find));
        assert_eq!(applied.len() + find.len(), file.len() + replace.len());
    }
    if let Some(start) = file.find(&find)
        && let Ok(anchored) = edit::anchored("a.py", &file, start..start + find.len(), &replace)
    {
        assert!(edit::stands_once(&file, &anchored.find));
        let applied = edit::applied(&file, &anchored).unwrap();
        let (before, rest) = file.split_at(start);
        let (_, after) = rest.split_at(find.len());
        assert_eq!(applied, format!("{before}{replace}{after}"));
    }
    for path in ["a.py", "A.java", "a.js", "a.go", "a.rs"] {
        let _report = syntax::check(path, &file);
    }
}

/// Recipes that somebody wrote: accepted or refused.
pub fn playbook(data: &[u8]) {
    let text = text(data);
    if let Ok(playbook) = Playbook::from_texts([("recipe", text.as_ref())]) {
        assert_eq!(playbook.names().count(), 1);
    }
}

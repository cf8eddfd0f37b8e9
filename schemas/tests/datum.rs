//! The encoder of the hot path against the reference implementation, and both against the data of
//! strangers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fmt::Debug;

use apache_avro::{reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use common::{example, generated};
use hephaestus_schemas::{
    Analysis, AuditEvent, ChangeRequest, ClassifiedLog, Decision, Exception, Node, Pattern,
    ProposedChange, StateEntry, Value, codec::datum,
};
use proptest::prelude::*;

struct Both {
    fast: serde_avro_fast::Schema,
    reference: apache_avro::Schema,
}

impl Both {
    fn of<V: Value>() -> Self {
        Self {
            fast: V::SCHEMA.parse().unwrap(),
            reference: apache_avro::Schema::parse_str(V::SCHEMA).unwrap(),
        }
    }
}

thread_local! {
    /// Parsed once: a property test asks for them some hundred times.
    static SCHEMAS: std::cell::RefCell<std::collections::HashMap<&'static str, std::rc::Rc<Both>>> =
        std::cell::RefCell::default();
}

fn schemas<V: Value>() -> std::rc::Rc<Both> {
    SCHEMAS.with_borrow_mut(|known| {
        let both = known.entry(V::NAME).or_insert_with(|| Both::of::<V>().into());
        both.clone()
    })
}

/// Writes with both, compares, reads with both, compares.
fn agrees_with_the_reference<V: Value + PartialEq + Debug>(value: &V) {
    let schemas = schemas::<V>();
    let mut bytes = Vec::new();
    value.write_datum(&schemas.fast, &mut bytes).unwrap();
    let writer = GenericDatumWriter::builder(&schemas.reference).build().unwrap();
    assert_eq!(bytes, writer.write_ser_to_vec(value).unwrap(), "{value:?}");
    let read: V = datum::read(&bytes, &schemas.fast).unwrap();
    assert_eq!(&read, value);
    let reader = GenericDatumReader::builder(&schemas.reference).build().unwrap();
    let read: V = reader.read_deser(&mut bytes.as_slice()).unwrap();
    assert_eq!(&read, value);
}

fn example_agrees<V: Value + PartialEq + Debug>() {
    agrees_with_the_reference(&example::<V>());
}

#[test]
fn examples_have_the_bytes_of_the_reference() {
    for_each_value!(example_agrees);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn classified_logs_have_the_bytes_of_the_reference(value in generated::classified_log()) {
        agrees_with_the_reference::<ClassifiedLog>(&value);
    }

    #[test]
    fn a_log_has_the_fields_that_it_shows(value in generated::classified_log()) {
        prop_assert_eq!(value.fields().to_log(), value);
    }

    #[test]
    fn analyses_have_the_bytes_of_the_reference(value in generated::analysis()) {
        agrees_with_the_reference::<Analysis>(&value);
    }

    #[test]
    fn proposed_changes_have_the_bytes_of_the_reference(value in generated::proposed_change()) {
        agrees_with_the_reference::<ProposedChange>(&value);
    }

    #[test]
    fn change_requests_have_the_bytes_of_the_reference(value in generated::change_request()) {
        agrees_with_the_reference::<ChangeRequest>(&value);
    }

    #[test]
    fn decisions_have_the_bytes_of_the_reference(value in generated::decision()) {
        agrees_with_the_reference::<Decision>(&value);
    }

    #[test]
    fn nodes_have_the_bytes_of_the_reference(value in generated::node()) {
        agrees_with_the_reference::<Node>(&value);
    }

    #[test]
    fn patterns_have_the_bytes_of_the_reference(value in generated::pattern()) {
        agrees_with_the_reference::<Pattern>(&value);
    }

    #[test]
    fn audit_events_have_the_bytes_of_the_reference(value in generated::audit_event()) {
        agrees_with_the_reference::<AuditEvent>(&value);
    }

    #[test]
    fn state_entries_have_the_bytes_of_the_reference(value in generated::state_entry()) {
        agrees_with_the_reference::<StateEntry>(&value);
    }

    /// Whatever arrives, the answer is a value or a reason.
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = datum::read::<ClassifiedLog>(&bytes, &schemas::<ClassifiedLog>().fast);
        let _ = datum::read::<Analysis>(&bytes, &schemas::<Analysis>().fast);
        let _ = datum::read::<StateEntry>(&bytes, &schemas::<StateEntry>().fast);
    }

    /// Nearly right is where decoders go wrong: one byte of a true datum is changed, or its end lost.
    #[test]
    fn damaged_data_are_read_or_refused(
        value in generated::classified_log(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let schema = &schemas::<ClassifiedLog>().fast;
        let mut bytes = Vec::new();
        datum::write(&value, schema, &mut bytes).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            prop_assert!(datum::read::<ClassifiedLog>(&bytes, schema).is_err());
        } else {
            bytes[at] = byte;
            let _ = datum::read::<ClassifiedLog>(&bytes, schema);
        }
    }

    #[test]
    fn bytes_after_the_datum_are_refused(
        value in generated::state_entry(),
        rest in prop::collection::vec(any::<u8>(), 1..5),
    ) {
        let schema = &schemas::<StateEntry>().fast;
        let mut bytes = Vec::new();
        datum::write(&value, schema, &mut bytes).unwrap();
        bytes.extend_from_slice(&rest);
        let reason = datum::read::<StateEntry>(&bytes, schema).unwrap_err();
        prop_assert!(reason.contains("left over"), "{reason}");
    }
}

/// A length or a count of some hundred million in five bytes (apache/avro-rs#581).
const BOMB: [u8; 5] = [0xfe, 0xff, 0xff, 0xff, 0x03];

#[test]
fn five_bytes_cannot_ask_for_half_a_gigabyte() {
    for schema in [
        r#""string""#,
        r#""bytes""#,
        r#"{"type": "array", "items": "long"}"#,
        r#"{"type": "map", "values": "long"}"#,
        // Takes no byte an item, so that the end of the datum stops nobody.
        r#"{"type": "array", "items": "null"}"#,
    ] {
        let fast = schema.parse().unwrap();
        let before = peak_kib();
        datum::read::<serde::de::IgnoredAny>(&BOMB, &fast).unwrap_err();
        datum::read::<serde_json::Value>(&BOMB, &fast).unwrap_err();
        let grown = peak_kib() - before;
        assert!(grown < 20 * 1024, "{schema}: {grown} KiB");
    }
}

/// The most memory that the process ever held, where the system tells it.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn chain(length: usize) -> Exception {
    let mut exception = Exception::default();
    for _ in 0..length {
        exception = Exception {
            frames: vec![hephaestus_schemas::Frame {
                function: Some("f".to_owned()),
                ..Default::default()
            }],
            cause: Some(Box::new(exception)),
            ..Default::default()
        };
    }
    exception
}

#[test]
fn the_longest_chain_of_causes_that_is_written_can_be_read() {
    let schema = &schemas::<Analysis>().fast;
    let mut value = example::<Analysis>();
    value.exception = Some(chain(datum::MAX_CAUSES));
    assert_eq!(chain(datum::MAX_CAUSES).causes(), datum::MAX_CAUSES);
    let mut bytes = Vec::new();
    datum::write(&value, schema, &mut bytes).unwrap();
    assert_eq!(datum::read::<Analysis>(&bytes, schema), Ok(value));
}

#[test]
fn a_chain_of_causes_without_end_does_not_overflow_the_stack() {
    let schema = &schemas::<ClassifiedLog>().fast;
    let mut value = example::<ClassifiedLog>();
    value.exception = Some(Exception::default());
    let mut bytes = Vec::new();
    datum::write(&value, schema, &mut bytes).unwrap();
    // A link is four bytes: a cause follows (2), type and message are empty (0, 0), no frames (0).
    let empty = [2, 0, 0, 0];
    let start = bytes.windows(5).rposition(|window| window == [2, 0, 0, 0, 0]).unwrap();
    let mut deep = bytes[..start].to_vec();
    deep.extend(empty.repeat(200_000));
    let reason = datum::read::<ClassifiedLog>(&deep, schema).unwrap_err();
    assert!(reason.contains("recursivity limit"), "{reason}");
}

//! The rules of schema resolution, one by one, and against the reference implementation's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use apache_avro::{
    Schema,
    schema_compatibility::{Compatibility, SchemaCompatibility},
};
use hephaestus_schemas::registry::{canonical, compatibility::reasons, parse};

fn schema(text: &str) -> Schema {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "R", "namespace": "n", "fields": [{fields}]}}"#)
}

/// Reader, writer, and the first word of the reason why not.
const CASES: &[(&str, &str, Option<&str>)] = &[
    (r#""int""#, r#""int""#, None),
    (r#""long""#, r#""int""#, None),
    (r#""float""#, r#""int""#, None),
    (r#""double""#, r#""int""#, None),
    (r#""float""#, r#""long""#, None),
    (r#""double""#, r#""long""#, None),
    (r#""double""#, r#""float""#, None),
    (r#""int""#, r#""long""#, Some("TYPE_MISMATCH")),
    (r#""long""#, r#""float""#, Some("TYPE_MISMATCH")),
    (r#""float""#, r#""double""#, Some("TYPE_MISMATCH")),
    (r#""int""#, r#""boolean""#, Some("TYPE_MISMATCH")),
    (r#""string""#, r#""bytes""#, None),
    (r#""bytes""#, r#""string""#, None),
    (r#""string""#, r#""int""#, Some("TYPE_MISMATCH")),
    (r#"{"type": "long", "logicalType": "timestamp-micros"}"#, r#""long""#, None),
    (r#"{"type": "array", "items": "long"}"#, r#"{"type": "array", "items": "int"}"#, None),
    (
        r#"{"type": "array", "items": "int"}"#,
        r#"{"type": "array", "items": "long"}"#,
        Some("TYPE_MISMATCH"),
    ),
    (
        r#"{"type": "map", "values": "int"}"#,
        r#"{"type": "array", "items": "int"}"#,
        Some("TYPE_MISMATCH"),
    ),
    (r#"["null", "string"]"#, r#""string""#, None),
    (r#"["null", "string"]"#, r#""int""#, Some("MISSING_UNION_BRANCH")),
    (r#""string""#, r#"["null", "string"]"#, Some("TYPE_MISMATCH")),
    (r#"["null", "int", "string"]"#, r#"["null", "string"]"#, None),
    (r#"["null", "string"]"#, r#"["null", "int", "string"]"#, Some("MISSING_UNION_BRANCH")),
    (
        r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#,
        r#"{"type": "enum", "name": "E", "symbols": ["B", "A"]}"#,
        None,
    ),
    (
        r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#,
        r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#,
        Some("MISSING_ENUM_SYMBOLS"),
    ),
    (
        r#"{"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}"#,
        r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#,
        None,
    ),
    (
        r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#,
        r#"{"type": "enum", "name": "F", "symbols": ["A"]}"#,
        Some("NAME_MISMATCH"),
    ),
    (
        r#"{"type": "fixed", "name": "F", "size": 4}"#,
        r#"{"type": "fixed", "name": "F", "size": 8}"#,
        Some("FIXED_SIZE_MISMATCH"),
    ),
];

#[test]
fn each_rule_of_resolution_holds() {
    for (reader, writer, expected) in CASES {
        let reasons = reasons(&schema(reader), &schema(writer));
        match expected {
            None => assert!(reasons.is_empty(), "{reader} <- {writer}: {reasons:?}"),
            Some(word) => {
                let said = reasons.first().map_or("", String::as_str);
                assert!(said.starts_with(word), "{reader} <- {writer}: {reasons:?}");
            }
        }
    }
}

#[test]
fn the_reference_agrees_on_each_rule() {
    for (reader, writer, expected) in CASES {
        // It calls partial what may fail for some values. A registry has to refuse that.
        let answer = SchemaCompatibility::can_read(&schema(writer), &schema(reader));
        let is_compatible = matches!(answer, Ok(Compatibility::Full));
        assert_eq!(is_compatible, expected.is_none(), "{reader} <- {writer}: {answer:?}");
    }
}

#[test]
fn a_field_needs_a_default_where_the_writer_lacks_it() {
    let old = schema(&record(r#"{"name": "a", "type": "int"}"#));
    let with_default = schema(&record(
        r#"{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 0}"#,
    ));
    let without = schema(&record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "int"}"#));
    assert!(reasons(&with_default, &old).is_empty());
    assert!(reasons(&old, &without).is_empty(), "what the reader does not know is skipped");
    assert_eq!(
        reasons(&without, &old),
        ["READER_FIELD_MISSING_DEFAULT_VALUE at R.b: the writer has no such field and the \
             reader no default for it"]
    );
}

#[test]
fn every_reason_is_given_with_its_place() {
    let reader = schema(&record(
        r#"{"name": "a", "type": {"type": "array", "items": "int"}},
           {"name": "b", "type": ["null", {"type": "record", "name": "I", "fields": [
               {"name": "c", "type": "int"}]}]}"#,
    ));
    let writer = schema(&record(
        r#"{"name": "a", "type": {"type": "array", "items": "string"}},
           {"name": "b", "type": ["null", {"type": "record", "name": "I", "fields": [
               {"name": "c", "type": "string"}]}]}"#,
    ));
    assert_eq!(
        reasons(&reader, &writer),
        [
            "TYPE_MISMATCH at R.a[]: string cannot be read as int",
            "MISSING_UNION_BRANCH at R.b: no branch of the reader's union reads record n.I",
            "TYPE_MISMATCH at R.b.c: string cannot be read as int",
        ]
    );
}

#[test]
fn a_field_is_found_by_an_alias_of_the_reader() {
    let old = schema(&record(r#"{"name": "a", "type": "int"}"#));
    let renamed = schema(&record(r#"{"name": "b", "type": "int", "aliases": ["a"]}"#));
    assert!(reasons(&renamed, &old).is_empty());
    assert!(!reasons(&old, &renamed).is_empty(), "an alias of the writer's does not count");
}

/// Where the reference is weaker, and this goes by the specification and Confluent's registry.
#[test]
fn a_record_is_found_by_an_alias_of_the_reader() {
    let old = schema(r#"{"type": "record", "name": "n.Old", "fields": []}"#);
    let new = schema(r#"{"type": "record", "name": "n.New", "aliases": ["Old"], "fields": []}"#);
    assert!(reasons(&new, &old).is_empty());
    assert!(reasons(&old, &new)[0].starts_with("NAME_MISMATCH"));
    assert!(SchemaCompatibility::can_read(&old, &new).is_err());
}

/// A type is defined where it is first named; taking away that field moves the definition.
#[test]
fn a_type_may_be_defined_elsewhere() {
    let item = r#"{"type": "record", "name": "I", "fields": [{"name": "x", "type": "TYPE"}]}"#;
    let before =
        record(&format!(r#"{{"name": "a", "type": {item}}}, {{"name": "b", "type": "I"}}"#));
    let after = record(&format!(r#"{{"name": "b", "type": {item}}}"#));
    let before = schema(&before.replace("TYPE", "int"));
    let same = schema(&after.replace("TYPE", "int"));
    let other = schema(&after.replace("TYPE", "string"));
    assert!(reasons(&same, &before).is_empty());
    assert_eq!(reasons(&other, &before), ["TYPE_MISMATCH at R.b.x: int cannot be read as string"]);
    assert!(SchemaCompatibility::can_read(&before, &same).is_err(), "the reference refuses it");
}

#[test]
fn a_recursive_type_is_compared_to_its_end() {
    let list = |value: &str| {
        schema(&format!(
            r#"{{"type": "record", "name": "L", "fields": [
                {{"name": "next", "type": ["null", "L"]}}, {{"name": "value", "type": "{value}"}}]}}"#
        ))
    };
    assert!(reasons(&list("long"), &list("int")).is_empty());
    let refused = reasons(&list("int"), &list("long"));
    assert_eq!(refused, ["TYPE_MISMATCH at L.value: long cannot be read as int"]);
}

#[test]
fn names_are_found_in_the_namespace_around_them() {
    let text = r#"{"type": "record", "name": "R", "namespace": "a", "fields": [
        {"name": "i", "type": {"type": "record", "name": "I", "namespace": "b", "fields": [
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["X"]}},
            {"name": "f", "type": "E"}]}},
        {"name": "g", "type": "b.E"}]}"#;
    assert_eq!(reasons(&schema(text), &schema(text)), Vec::<String>::new());
}

/// A union of records that all have the same short name in other namespaces makes each branch of
/// one side a candidate for each of the other.
#[test]
fn a_hostile_schema_cannot_keep_the_registry_busy() {
    let branches = |kind: &str| {
        let branch = |n: usize| {
            format!(
                r#"{{"type": "record", "name": "n{n}.R", "fields": [{{"name": "f", "type": "{kind}"}}]}}"#
            )
        };
        let branches: Vec<String> = (0..400).map(branch).collect();
        schema(&format!("[{}]", branches.join(",")))
    };
    let refused = reasons(&branches("int"), &branches("string"));
    assert!(!refused.is_empty() && refused.len() <= 20, "{}", refused.len());
}

#[test]
fn a_long_chain_of_types_does_not_overflow_the_stack() {
    let mut types = vec![r#"{"type": "record", "name": "T0", "fields": []}"#.to_owned()];
    for n in 1..5000 {
        let before = n - 1;
        types.push(format!(
            r#"{{"type": "record", "name": "T{n}", "fields": [{{"name": "f", "type": "T{before}"}}]}}"#
        ));
    }
    // The types are defined in a field that the other side lacks, so that the comparison begins
    // with the last of them.
    let with_types_in = |field: &str| {
        let types = types.join(",");
        schema(&record(&format!(
            r#"{{"name": "{field}", "type": ["null", {types}], "default": null}},
               {{"name": "last", "type": "T4999"}}"#
        )))
    };
    let refused = reasons(&with_types_in("a"), &with_types_in("b"));
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("nested deeper"), "{refused:?}");
}

#[test]
fn the_same_schema_is_known_in_any_layout_but_not_with_other_defaults() {
    let text = record(r#"{"name": "a", "type": "int", "default": 1, "doc": "One."}"#);
    let spaced = r#"{
        "fields": [{"doc": "One.", "default": 1, "type": "int", "name": "a"}],
        "namespace": "n", "name": "R", "type": "record" }"#;
    assert_eq!(canonical(&text).unwrap(), canonical(spaced).unwrap());
    let other = text.replace("1,", "2,");
    assert_ne!(canonical(&text).unwrap(), canonical(&other).unwrap());
    let other = text.replace("One.", "Two.");
    assert_ne!(canonical(&text).unwrap(), canonical(&other).unwrap());
}

#[test]
fn a_default_has_to_fit_its_type() {
    let with = |kind: &str, default: &str| {
        parse(&record(&format!(r#"{{"name": "a", "type": {kind}, "default": {default}}}"#)))
    };
    for (kind, default) in [
        (r#""int""#, "1"),
        (r#"["null", "int"]"#, "null"),
        (r#"["null", "int"]"#, "3"),
        (r#"{"type": "array", "items": "string"}"#, r#"["a"]"#),
        (r#"{"type": "map", "values": "int"}"#, r#"{"k": 1}"#),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, r#""\u0000\u00ff""#),
        (r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#, r#""A""#),
    ] {
        assert!(with(kind, default).is_ok(), "{kind} = {default}");
    }
    for (kind, default) in [
        (r#""int""#, r#""one""#),
        (r#""int""#, "2147483648"),
        (r#""string""#, "null"),
        (r#"["null", "int"]"#, r#""x""#),
        (r#"{"type": "array", "items": "string"}"#, "[1]"),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, r#""a""#),
        (r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#, r#""B""#),
    ] {
        assert!(with(kind, default).is_err(), "{kind} = {default}");
    }
}

//! The schemas themselves: they parse, are documented, agree with their Rust types and examples,
//! and change only in ways that old and new programs understand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeSet, fmt::Debug};

use common::{example, file_name, path};
use hephaestus_schemas::{
    NodeStatus, Value,
    codec::datum,
    registry::{self, compatibility},
    value::ALL,
};
use serde_json::Value as Json;

fn fast(text: &str) -> serde_avro_fast::Schema {
    text.parse().unwrap()
}

#[test]
fn every_schema_parses_and_bears_the_name_of_its_type() {
    for (name, text) in ALL {
        let schema = registry::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(schema.name().unwrap().fullname(None), *name);
        fast(text);
    }
}

#[test]
fn every_type_and_every_field_is_documented() {
    fn check(schema: &Json, at: &str) {
        match schema {
            Json::Array(branches) => branches.iter().for_each(|branch| check(branch, at)),
            Json::Object(object) => {
                let documented = |object: &serde_json::Map<String, Json>| {
                    let doc = object.get("doc").and_then(Json::as_str);
                    doc.is_some_and(|doc| doc.ends_with('.'))
                };
                let kind = object["type"].as_str().unwrap_or("nested");
                if matches!(kind, "record" | "enum") {
                    assert!(documented(object), "{at}: a sentence of documentation is missing");
                }
                for field in object.get("fields").and_then(Json::as_array).into_iter().flatten() {
                    let at = format!("{at}.{}", field["name"].as_str().unwrap());
                    let is_documented = documented(field.as_object().unwrap());
                    assert!(is_documented, "{at}: a sentence of documentation is missing");
                    check(&field["type"], &at);
                }
                check(&object["type"], at);
                for inner in ["items", "values"] {
                    object.get(inner).into_iter().for_each(|inner| check(inner, at));
                }
            }
            _ => {}
        }
    }
    for (name, text) in ALL {
        check(&serde_json::from_str(text).unwrap(), name);
    }
}

/// JSON to Rust, to Avro, to Rust, to JSON: nothing is lost or added on the way.
fn example_survives<V: Value + PartialEq + Debug>() {
    let value: V = example();
    let schema = fast(V::SCHEMA);
    let mut bytes = Vec::new();
    datum::write(&value, &schema, &mut bytes).unwrap();
    let read: V = datum::read(&bytes, &schema).unwrap();
    assert_eq!(read, value);
    let file = path(&format!("examples/{}.json", file_name(V::NAME)));
    let given: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), given, "{}", V::NAME);
}

#[test]
fn examples_survive_avro() {
    for_each_value!(example_survives);
}

/// Name of a field that no reader knows.
const OTHER_NAME: &str = "other_name";

/// Gives a field another name, in the definition of a record, and yields the default it had. That
/// takes it away for a reader, and leaves in place the types it defines.
fn rename_field(schema: &mut Json, record: &str, field: &str) -> Option<Json> {
    let mut default = None;
    match schema {
        Json::Array(branches) => {
            for branch in branches {
                default = default.or(rename_field(branch, record, field));
            }
        }
        Json::Object(object) => {
            if object.get("name").is_some_and(|name| name == record)
                && let Some(Json::Array(fields)) = object.get_mut("fields")
            {
                let field = fields.iter_mut().find(|other| other["name"] == field)?;
                field["name"] = OTHER_NAME.into();
                return field.get("default").cloned();
            }
            for inner in object.values_mut() {
                default = default.or(rename_field(inner, record, field));
            }
        }
        _ => {}
    }
    default
}

/// Each record in a schema with the names of its fields and those that have a default.
fn records(schema: &Json, found: &mut Vec<(String, BTreeSet<String>, Vec<String>)>) {
    if let (Some(name), Some(fields)) = (schema["name"].as_str(), schema["fields"].as_array()) {
        let name_of = |field: &Json| field["name"].as_str().unwrap().to_owned();
        let with_default = fields.iter().filter(|field| field.get("default").is_some());
        let all = fields.iter().map(name_of).collect();
        found.push((name.to_owned(), all, with_default.map(name_of).collect()));
    }
    match schema {
        Json::Object(object) => object.values().for_each(|inner| records(inner, found)),
        Json::Array(items) => items.iter().for_each(|inner| records(inner, found)),
        _ => {}
    }
}

/// Calls a function for every object in a value that is this record.
fn each_record(
    value: &mut Json,
    fields: &BTreeSet<String>,
    act: &mut impl FnMut(&mut serde_json::Map<String, Json>),
) {
    match value {
        Json::Object(object) => {
            for inner in object.values_mut() {
                each_record(inner, fields, act);
            }
            if object.keys().cloned().collect::<BTreeSet<_>>() == *fields {
                act(object);
            }
        }
        Json::Array(items) => {
            for item in items {
                each_record(item, fields, act);
            }
        }
        _ => {}
    }
}

/// An older program did not know a field that has a default. Serde fills it in where the writer's
/// schema lacks it, and has to know the same default as the schema.
fn rust_has_the_defaults_of_the_schema<V: Value + PartialEq + Debug>() {
    let schema: Json = serde_json::from_str(V::SCHEMA).unwrap();
    let mut all = Vec::new();
    records(&schema, &mut all);
    for (record, fields, with_default) in all {
        for field in with_default {
            let mut old = schema.clone();
            let default = rename_field(&mut old, &record, &field).unwrap();
            let old = fast(&old.to_string());
            let mut value = serde_json::to_value(example::<V>()).unwrap();
            let mut renamed = 0;
            each_record(&mut value, &fields, &mut |object| {
                let value = object.remove(&field).unwrap();
                object.insert(OTHER_NAME.to_owned(), value);
                renamed += 1;
            });
            assert!(renamed > 0, "the example of {} holds no {record}", V::NAME);
            let mut bytes = Vec::new();
            datum::write(&value, &old, &mut bytes).unwrap();
            let read: V = datum::read(&bytes, &old).unwrap();
            let mut read = serde_json::to_value(&read).unwrap();
            let mut checked = 0;
            each_record(&mut read, &fields, &mut |object| {
                assert_eq!(object[&field], default, "default of {record}.{field}");
                checked += 1;
            });
            assert!(checked > 0, "{record}.{field}");
        }
    }
}

#[test]
fn rust_types_fill_in_what_old_records_lack() {
    for_each_value!(rust_has_the_defaults_of_the_schema);
}

#[test]
fn a_symbol_of_the_future_is_read_as_the_default_of_its_enum() {
    let schema = fast(
        r#"{"type": "enum", "name": "NodeStatus", "namespace": "hephaestus.v1",
            "symbols": ["REGISTERED", "HEALTHY", "UPGRADING"]}"#,
    );
    let read = |bytes: &[u8]| datum::read::<NodeStatus>(bytes, &schema).unwrap();
    assert_eq!(read(&[4]), NodeStatus::Registered);
    assert_eq!(read(&[2]), NodeStatus::Healthy);
}

#[test]
fn only_enums_whose_rust_type_takes_unknown_symbols_have_a_default() {
    for (name, text) in ALL {
        let mut stack = vec![serde_json::from_str::<Json>(text).unwrap()];
        while let Some(schema) = stack.pop() {
            if schema["type"] == "enum" && schema.get("default").is_some() {
                assert_eq!(
                    schema["name"], "NodeStatus",
                    "{name}: give the Rust enum #[serde(other)] and a test like the one above"
                );
            }
            match schema {
                Json::Object(object) => stack.extend(object.into_iter().map(|(_, inner)| inner)),
                Json::Array(items) => stack.extend(items),
                _ => {}
            }
        }
    }
}

#[test]
fn schemas_change_only_in_ways_that_old_and_new_programs_understand() {
    for (name, text) in ALL {
        let file = file_name(name);
        let current = registry::parse(text).unwrap();
        let directory = path(&format!("landed/{file}"));
        let count = std::fs::read_dir(&directory)
            .unwrap_or_else(|_| panic!("copy avro/{file}.avsc to landed/{file}/v1.avsc"))
            .count();
        let mut last = String::new();
        for version in 1..=count {
            last = std::fs::read_to_string(directory.join(format!("v{version}.avsc")))
                .unwrap_or_else(|_| panic!("landed/{file} should hold v1.avsc to v{count}.avsc"));
            let landed = registry::parse(&last).unwrap();
            let backward = compatibility::reasons(&current, &landed);
            assert!(
                backward.is_empty(),
                "the new {name} cannot read what version {version} wrote: {backward:#?}\n\
                 give a new field a default, and keep the fields and symbols that there are"
            );
            let forward = compatibility::reasons(&landed, &current);
            assert!(
                forward.is_empty(),
                "programs with version {version} of {name} cannot read the new one: {forward:#?}\n\
                 a field can go only if it has a default, a symbol only be added to an enum that \
                 has one"
            );
        }
        assert_eq!(
            registry::canonical(&last).unwrap(),
            registry::canonical(text).unwrap(),
            "{name} was changed, compatibly: copy avro/{file}.avsc to landed/{file}/v{}.avsc and \
             leave the versions before as they are",
            count + 1
        );
    }
}

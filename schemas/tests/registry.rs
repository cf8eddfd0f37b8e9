//! The registry as a library: ids, versions, levels, deletions, and that it comes back as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use hephaestus_schemas::registry::{
    Level, MemoryStore, Refusal, Registry, SchemaRecord, SchemaStore, StoreError, Which,
};
use proptest::prelude::*;

/// A store that outlives its registry, as a topic does, and can be made to fail.
#[derive(Clone, Default)]
struct Topic {
    records: Arc<Mutex<Vec<SchemaRecord>>>,
    fails: Arc<AtomicBool>,
    /// Whether a record that fails was written all the same, as after a lost acknowledgement.
    writes_though_failing: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl SchemaStore for Topic {
    async fn load(&self) -> Result<Vec<SchemaRecord>, StoreError> {
        Ok(self.records.lock().unwrap().clone())
    }

    async fn append(&self, record: SchemaRecord) -> Result<(), StoreError> {
        let fails = self.fails.load(Ordering::SeqCst);
        if !fails || self.writes_though_failing.load(Ordering::SeqCst) {
            self.records.lock().unwrap().push(record);
        }
        if fails {
            return Err(StoreError("disk full".to_owned()));
        }
        Ok(())
    }
}

impl Topic {
    /// Keeps the last record of each key, as compaction does.
    fn compact(&self) {
        let mut records = self.records.lock().unwrap();
        let mut kept: Vec<SchemaRecord> = Vec::new();
        for record in records.drain(..) {
            kept.retain(|other| other.key != record.key);
            kept.push(record);
        }
        *records = kept;
    }
}

fn user(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "User", "fields": [{fields}]}}"#)
}

fn versions_of_user() -> [String; 3] {
    [
        user(r#"{"name": "name", "type": "string"}"#),
        user(r#"{"name": "name", "type": "string"}, {"name": "age", "type": "int", "default": 0}"#),
        user(r#"{"name": "name", "type": "string"}, {"name": "mail", "type": "string"}"#),
    ]
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[tokio::test]
async fn the_same_schema_has_one_id_in_every_subject_and_layout() {
    let registry = Registry::open(MemoryStore::default()).await.unwrap();
    let [first, second, _] = versions_of_user();
    let a = registry.register("a-value", &first).await.unwrap();
    assert_eq!((a.id, a.version), (1, 1));
    let spaced = first.replace(", ", "\n,   ");
    assert_eq!(registry.register("a-value", &spaced).await.unwrap(), a);
    let next = registry.register("a-value", &second).await.unwrap();
    assert_eq!((next.id, next.version), (2, 2));
    let other = registry.register("b-value", &second).await.unwrap();
    assert_eq!((other.id, other.version), (2, 1));
    assert_eq!(
        registry.uses(2, false).await.unwrap(),
        [("a-value".to_owned(), 2), ("b-value".to_owned(), 1)]
    );
    assert_eq!(&*registry.schema(1).await.unwrap(), first);
    assert_eq!(registry.schema(3).await, Err(Refusal::IdNotFound(3)));
    let found = registry.find("a-value", &spaced, false).await.unwrap();
    assert_eq!(found, a);
    assert_eq!(registry.find("b-value", &first, false).await, Err(Refusal::SchemaNotFound));
}

#[tokio::test]
async fn a_level_decides_which_changes_are_taken() {
    let [first, with_default, without] = versions_of_user();
    // Level, what follows what, and whether it may.
    for (level, from, to, expected) in [
        (Level::Backward, &first, &with_default, true),
        (Level::Backward, &with_default, &first, true),
        (Level::Backward, &first, &without, false),
        (Level::Forward, &first, &without, true),
        (Level::Forward, &without, &first, false),
        (Level::Full, &first, &with_default, true),
        (Level::Full, &first, &without, false),
        (Level::Full, &without, &first, false),
        (Level::None, &first, &without, true),
    ] {
        let registry = Registry::open(MemoryStore::default()).await.unwrap();
        registry.set_level(Some("u"), level).await.unwrap();
        registry.register("u", from).await.unwrap();
        let reasons = registry.incompatibilities("u", Some(Which::Latest), to).await.unwrap();
        assert_eq!(reasons.is_empty(), expected, "{level:?}: {reasons:?}");
        let answer = registry.register("u", to).await;
        assert_eq!(answer.is_ok(), expected, "{level:?} {from} {to}");
        if let Err(error) = answer {
            let text = error.to_string();
            assert!(text.contains("READER_FIELD_MISSING_DEFAULT_VALUE at User.mail"), "{text}");
        }
    }
}

/// Each step is fine by itself; together they are not.
#[tokio::test]
async fn a_transitive_level_looks_at_all_versions() {
    let one = user(r#"{"name": "a", "type": "int"}"#);
    let two = user("");
    let three = user(r#"{"name": "a", "type": "string", "default": ""}"#);
    for (level, expected) in [(Level::Full, true), (Level::FullTransitive, false)] {
        let registry = Registry::open(MemoryStore::default()).await.unwrap();
        registry.set_level(None, Level::None).await.unwrap();
        registry.register("u", &one).await.unwrap();
        registry.register("u", &two).await.unwrap();
        registry.set_level(Some("u"), level).await.unwrap();
        assert_eq!(registry.register("u", &three).await.is_ok(), expected, "{level:?}");
    }
}

#[tokio::test]
async fn subjects_of_the_pipeline_are_protected_unless_somebody_chose_otherwise() {
    let registry = Registry::open(MemoryStore::default()).await.unwrap();
    registry.set_level(Some("mine"), Level::None).await.unwrap();
    let subjects = ["mine".to_owned(), "ours".to_owned()];
    registry.protect(&subjects).await.unwrap();
    assert_eq!(registry.level(Some("mine"), false).await, Ok(Level::None));
    assert_eq!(registry.level(Some("ours"), false).await, Ok(Level::FullTransitive));
    assert_eq!(registry.level(None, false).await, Ok(Level::Backward));
    let unset = Refusal::NoSubjectLevel("theirs".to_owned());
    assert_eq!(registry.level(Some("theirs"), false).await, Err(unset));
    assert_eq!(registry.level(Some("theirs"), true).await, Ok(Level::Backward));
    assert_eq!(registry.reset_level(Some("mine")).await, Ok(Level::None));
    assert_eq!(registry.level(Some("mine"), true).await, Ok(Level::Backward));
}

#[tokio::test]
async fn what_is_deleted_is_not_listed_and_still_decodes() {
    let registry = Registry::open(MemoryStore::default()).await.unwrap();
    let [first, second, _] = versions_of_user();
    registry.register("u", &first).await.unwrap();
    registry.register("u", &second).await.unwrap();
    assert_eq!(registry.delete_version("u", Which::Number(1)).await, Ok(1));
    let again = registry.delete_version("u", Which::Number(1)).await;
    assert_eq!(again.unwrap_err().code(), 40_406);
    assert_eq!(registry.versions("u", false).await.unwrap(), [2]);
    assert_eq!(registry.versions("u", true).await.unwrap(), [1, 2]);
    assert_eq!(registry.delete_subject("u").await.unwrap(), [2]);
    assert_eq!(registry.delete_subject("u").await.unwrap_err().code(), 40_404);
    assert!(registry.subjects(false).await.is_empty());
    assert_eq!(registry.subjects(true).await, ["u"]);
    assert_eq!(registry.versions("u", false).await.unwrap_err().code(), 40_401);
    assert!(registry.uses(1, false).await.unwrap().is_empty());
    assert_eq!(&*registry.schema(1).await.unwrap(), first, "values still bear the id");
    // Registered again it has its old id and a new version.
    let back = registry.register("u", &first).await.unwrap();
    assert_eq!((back.id, back.version), (1, 3));
}

#[tokio::test]
async fn what_is_no_subject_or_schema_is_refused() {
    let registry = Registry::open(MemoryStore::default()).await.unwrap();
    let [schema, ..] = versions_of_user();
    for subject in ["", "a\nb", &"x".repeat(600)] {
        let refusal = registry.register(subject, &schema).await.unwrap_err();
        assert_eq!(refusal.code(), 42_208, "{subject:?}");
    }
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(500), "}".repeat(500));
    let huge = format!("{schema}{}", " ".repeat(1024 * 1024));
    for text in ["", "{", "\"strange\"", r#"{"type": "record"}"#, &deep, &huge] {
        let refusal = registry.register("u", text).await.unwrap_err();
        assert_eq!(refusal.code(), 42_201, "{refusal}");
    }
    for version in ["0", "x", "-2", "2147483648", ""] {
        assert_eq!(Which::parse(version).unwrap_err().code(), 42_202, "{version}");
    }
    assert_eq!(Which::parse("-1"), Ok(Which::Latest));
    assert_eq!(Which::parse("7"), Ok(Which::Number(7)));
}

#[tokio::test]
async fn a_failed_write_changes_nothing_and_ids_stay_unique() {
    let topic = Topic::default();
    let registry = Registry::open(topic.clone()).await.unwrap();
    let [first, second, _] = versions_of_user();
    registry.register("u", &first).await.unwrap();
    topic.fails.store(true, Ordering::SeqCst);
    let refusal = registry.register("u", &second).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.status()), (50_001, 500));
    assert_eq!(registry.versions("u", false).await.unwrap(), [1]);

    // The record did get there, only the answer was lost: its id is taken.
    topic.writes_though_failing.store(true, Ordering::SeqCst);
    registry.register("u", &second).await.unwrap_err();
    topic.fails.store(false, Ordering::SeqCst);
    let other = registry.register("v", "\"int\"").await.unwrap();
    assert_eq!(other.id, 3);
    assert_eq!(registry.register("u", &second).await.unwrap().id, 2);
}

#[tokio::test]
async fn records_have_the_layout_of_confluents_topic() {
    let topic = Topic::default();
    let registry = Registry::open(topic.clone()).await.unwrap();
    registry.set_level(None, Level::Full).await.unwrap();
    registry.register("u", "\"int\"").await.unwrap();
    registry.delete_subject("u").await.unwrap();
    let records = topic.load().await.unwrap();
    let records: Vec<(&str, &str)> = records
        .iter()
        .map(|record| (record.key.as_str(), record.value.as_deref().unwrap()))
        .collect();
    assert_eq!(
        records,
        [
            (
                r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
                r#"{"compatibilityLevel":"FULL"}"#
            ),
            (
                r#"{"keytype":"SCHEMA","subject":"u","version":1,"magic":1}"#,
                r#"{"subject":"u","version":1,"id":1,"schema":"\"int\"","deleted":false}"#
            ),
            (
                r#"{"keytype":"DELETE_SUBJECT","subject":"u","magic":0}"#,
                r#"{"subject":"u","version":1}"#
            ),
        ]
    );
}

#[tokio::test]
async fn records_of_another_registry_are_understood() {
    let topic = Topic::default();
    let record = |key: &str, value: Option<&str>| SchemaRecord {
        key: key.to_owned(),
        value: value.map(str::to_owned),
    };
    *topic.records.lock().unwrap() = vec![
        record(r#"{"keytype":"NOOP","magic":0}"#, None),
        record(r#"{"keytype":"MODE","subject":null,"magic":0}"#, Some(r#"{"mode":"READWRITE"}"#)),
        record(
            r#"{"keytype":"SCHEMA","subject":"u","version":1,"magic":1}"#,
            Some(
                r#"{"subject":"u","version":1,"id":41,"guid":"x","schemaType":"AVRO","schema":"\"int\"","deleted":false}"#,
            ),
        ),
    ];
    let registry = Registry::open(topic.clone()).await.unwrap();
    assert_eq!(registry.register("u", "\"int\"").await.unwrap().id, 41);
    assert_eq!(registry.register("u", "\"long\"").await.unwrap().id, 42);
    topic.records.lock().unwrap().push(record("{", None));
    assert!(Registry::open(topic).await.is_err(), "a damaged record is not passed over");
}

/// What somebody may do to a registry.
#[derive(Debug, Clone)]
enum Action {
    Register(usize, usize),
    SetLevel(Option<usize>, usize),
    ResetLevel(usize),
    DeleteSubject(usize),
    DeleteVersion(usize, u32),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..3_usize, 0..6_usize).prop_map(|(subject, schema)| Action::Register(subject, schema)),
        1 => (prop::option::of(0..3_usize), 0..7_usize)
            .prop_map(|(subject, level)| Action::SetLevel(subject, level)),
        1 => (0..3_usize).prop_map(Action::ResetLevel),
        1 => (0..3_usize).prop_map(Action::DeleteSubject),
        1 => (0..3_usize, 1..4_u32).prop_map(|(subject, version)| Action::DeleteVersion(subject, version)),
    ]
}

/// Everything that can be seen of a registry.
async fn view(registry: &Registry) -> String {
    let mut view = format!("{:?}", registry.level(None, true).await);
    for subject in registry.subjects(true).await {
        view.push_str(&format!("\n{subject} {:?}", registry.level(Some(&subject), false).await));
        for version in registry.versions(&subject, true).await.unwrap() {
            let which = Which::Number(version);
            let all = registry.version(&subject, which, true).await.unwrap();
            let live = registry.version(&subject, which, false).await.is_ok();
            view.push_str(&format!("\n  {all:?} {live}"));
        }
    }
    view
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever was done, a registry that reads the topic, compacted or not, is the same; an id
    /// means one schema for ever, and a schema one id.
    #[test]
    fn a_registry_comes_back_as_it_was(actions in prop::collection::vec(action(), 1..25)) {
        let [a, b, c] = versions_of_user();
        let schemas = [a, b, c, "\"int\"".to_owned(), "\"long\"".to_owned(), "\"string\"".to_owned()];
        let subjects = ["a", "b", "c"];
        let result: Result<(), TestCaseError> = block_on(async {
            let topic = Topic::default();
            let registry = Registry::open(topic.clone()).await.unwrap();
            let mut ids = std::collections::BTreeMap::new();
            for action in actions {
                match action {
                    Action::Register(subject, schema) => {
                        if let Ok(new) = registry.register(subjects[subject], &schemas[schema]).await {
                            prop_assert_eq!(*ids.entry(schema).or_insert(new.id), new.id);
                        }
                    }
                    Action::SetLevel(subject, level) => {
                        let subject = subject.map(|subject| subjects[subject]);
                        registry.set_level(subject, Level::ALL[level]).await.unwrap();
                    }
                    Action::ResetLevel(subject) => {
                        let _ = registry.reset_level(Some(subjects[subject])).await;
                    }
                    Action::DeleteSubject(subject) => {
                        let _ = registry.delete_subject(subjects[subject]).await;
                    }
                    Action::DeleteVersion(subject, version) => {
                        let _ = registry.delete_version(subjects[subject], Which::Number(version)).await;
                    }
                }
            }
            let distinct: std::collections::BTreeSet<_> = ids.values().collect();
            prop_assert_eq!(distinct.len(), ids.len());
            for (schema, id) in &ids {
                prop_assert_eq!(&*registry.schema(*id).await.unwrap(), schemas[*schema].as_str());
            }
            let before = view(&registry).await;
            let reopened = Registry::open(topic.clone()).await.unwrap();
            prop_assert_eq!(&view(&reopened).await, &before);
            topic.compact();
            let reopened = Registry::open(topic).await.unwrap();
            prop_assert_eq!(&view(&reopened).await, &before);
            Ok(())
        });
        result?;
    }
}

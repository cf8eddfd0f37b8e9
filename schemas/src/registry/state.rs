//! What a registry knows, as a plain value that is built from its records one by one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use apache_avro::Schema;

use super::{
    compatibility,
    error::Refusal,
    level::Level,
    schema,
    store::{ConfigValue, DeleteSubjectValue, Key, SchemaRecord, SchemaValue, StoreError},
};

/// A version of a subject, with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// Subject.
    pub subject: String,
    /// Version, from 1.
    pub version: u32,
    /// Id of the schema, the same in every subject.
    pub id: u32,
    /// The schema as it was first registered.
    pub schema: Arc<str>,
}

/// One version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: u32,
    pub(super) deleted: bool,
}

/// A subject's versions and its compatibility level, where it has its own.
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub(super) versions: BTreeMap<u32, Version>,
    pub(super) level: Option<Level>,
}

impl Subject {
    /// Versions that are not deleted, the oldest first.
    pub(super) fn live(&self) -> impl DoubleEndedIterator<Item = (u32, u32)> {
        self.versions
            .iter()
            .filter(|(_, version)| !version.deleted)
            .map(|(number, version)| (*number, version.id))
    }
}

/// Everything a registry knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) subjects: BTreeMap<String, Subject>,
    /// Texts by id, as they were registered. An id is never forgotten: values bear it.
    pub(super) texts: BTreeMap<u32, Arc<str>>,
    /// Ids by canonical text.
    pub(super) ids: HashMap<String, u32>,
    /// The level of subjects without their own.
    pub(super) level: Level,
    /// Whether the last record may be in the store and is not here.
    pub(super) doubtful: bool,
}

impl State {
    /// Takes in one record.
    ///
    /// # Errors
    /// Where the record is damaged.
    pub(super) fn apply(&mut self, record: &SchemaRecord) -> Result<(), StoreError> {
        match parse(&record.key)? {
            Key::Schema { subject, version, .. } => match &record.value {
                Some(value) => self.apply_schema(parse(value)?),
                None => {
                    if let Some(known) = self.subjects.get_mut(&subject) {
                        known.versions.remove(&version);
                    }
                }
            },
            Key::Config { subject, .. } => {
                let level = match &record.value {
                    Some(value) => {
                        let value: ConfigValue = parse(value)?;
                        let unknown =
                            || StoreError(format!("unknown compatibility level: {value:?}"));
                        Some(Level::parse(&value.compatibility_level).ok_or_else(unknown)?)
                    }
                    None => None,
                };
                match subject {
                    Some(subject) => self.subjects.entry(subject).or_default().level = level,
                    None => self.level = level.unwrap_or_default(),
                }
            }
            Key::DeleteSubject { .. } => {
                if let Some(value) = &record.value {
                    let value: DeleteSubjectValue = parse(value)?;
                    self.delete_subject(&value);
                }
            }
            Key::Other => {}
        }
        Ok(())
    }

    fn apply_schema(&mut self, value: SchemaValue) {
        // A text that another registry wrote and that is no JSON is kept, but never found again
        // by its content.
        let canonical = schema::canonical(&value.schema).unwrap_or_else(|_| value.schema.clone());
        self.ids.entry(canonical).or_insert(value.id);
        self.texts.entry(value.id).or_insert_with(|| value.schema.into());
        let subject = self.subjects.entry(value.subject).or_default();
        let version = Version { id: value.id, deleted: value.deleted };
        subject.versions.insert(value.version, version);
    }

    fn delete_subject(&mut self, deletion: &DeleteSubjectValue) {
        let Some(subject) = self.subjects.get_mut(&deletion.subject) else {
            return;
        };
        for version in subject.versions.range_mut(..=deletion.version) {
            version.1.deleted = true;
        }
        subject.level = None;
    }

    /// The id that the next new schema gets.
    pub(super) fn next_id(&self) -> u32 {
        let last = self.texts.keys().next_back().copied();
        last.map_or(1, |last| last.saturating_add(1))
    }

    /// The version and id under which a subject has a schema already.
    pub(super) fn registered(&self, subject: &str, canonical: &str) -> Option<(u32, u32)> {
        let id = self.ids.get(canonical).copied()?;
        self.subjects.get(subject)?.live().find(|(_, of_version)| *of_version == id)
    }

    pub(super) fn subject(&self, name: &str, deleted_too: bool) -> Result<&Subject, Refusal> {
        let not_found = || Refusal::SubjectNotFound(name.to_owned());
        let subject = self.subjects.get(name).ok_or_else(not_found)?;
        let any = if deleted_too {
            !subject.versions.is_empty()
        } else {
            subject.live().next().is_some()
        };
        if any { Ok(subject) } else { Err(not_found()) }
    }

    /// The level that holds for a subject.
    pub(super) fn level_of(&self, subject: &str) -> Level {
        let own = self.subjects.get(subject).and_then(|known| known.level);
        own.unwrap_or(self.level)
    }

    pub(super) fn version(
        &self,
        subject: &str,
        version: u32,
        id: u32,
    ) -> Result<SchemaVersion, Refusal> {
        let text = self.texts.get(&id).ok_or(Refusal::IdNotFound(id))?;
        Ok(SchemaVersion { subject: subject.to_owned(), version, id, schema: Arc::clone(text) })
    }

    /// Reasons why a schema cannot follow those that its subject's level looks at.
    pub(super) fn incompatible_with_earlier(&self, subject: &str, schema: &Schema) -> Vec<String> {
        let level = self.level_of(subject);
        let known = self.subjects.get(subject);
        let newest_first = known.into_iter().flat_map(|known| known.live().rev());
        let considered = if level.is_transitive() { usize::MAX } else { 1 };
        for (number, id) in newest_first.take(considered) {
            let reasons = self.incompatible_with(schema, number, id, level);
            if !reasons.is_empty() {
                return reasons;
            }
        }
        Vec::new()
    }

    /// Reasons why a schema cannot follow the one with this number and id.
    pub(super) fn incompatible_with(
        &self,
        schema: &Schema,
        number: u32,
        id: u32,
        level: Level,
    ) -> Vec<String> {
        if level == Level::None {
            return Vec::new();
        }
        let earlier = self.texts.get(&id).map(|text| Schema::parse_str(text));
        let Some(Ok(earlier)) = earlier else {
            return vec![format!("version {number} cannot be parsed any more")];
        };
        let mut reasons = Vec::new();
        if level.is_backward() {
            for reason in compatibility::reasons(schema, &earlier) {
                reasons.push(format!("the new schema cannot read version {number}: {reason}"));
            }
        }
        if level.is_forward() {
            for reason in compatibility::reasons(&earlier, schema) {
                reasons.push(format!("version {number} cannot read the new schema: {reason}"));
            }
        }
        reasons
    }
}

fn parse<'de, T: serde::Deserialize<'de>>(json: &'de str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError(format!("damaged record: {error}")))
}

//! A schema registry with the rules of Confluent's, as a library over any compacted topic.
//!
//! Nothing is answered before it is durable in the store.

pub mod compatibility;
mod error;
mod level;
mod schema;
mod state;
mod store;

use std::{fmt, sync::Arc};

use apache_avro::Schema;
use tokio::sync::{RwLock, RwLockWriteGuard};

pub use error::Refusal;
pub use level::Level;
pub use schema::{MAX_SCHEMA_BYTES, canonical, parse};
pub use store::{MemoryStore, SCHEMAS_TOPIC, SchemaRecord, SchemaStore, StoreError};

pub use state::SchemaVersion;
use state::{State, Subject};
use store::{ConfigValue, DeleteSubjectValue, Key, SchemaValue};

/// Most versions over all subjects.
const MAX_VERSIONS: usize = 100_000;

/// Longest subject in bytes: that of the longest topic Kafka allows, and room for a strategy.
const MAX_SUBJECT_BYTES: usize = 512;

/// Which version of a subject is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The last one.
    Latest,
    /// This one.
    Number(u32),
}

impl Which {
    /// Takes a number from 1, `latest`, or `-1` for the same.
    ///
    /// # Errors
    /// [`Refusal::InvalidVersion`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "latest" || text == "-1" {
            return Ok(Self::Latest);
        }
        match text.parse() {
            Ok(number @ 1..=0x7fff_ffff) => Ok(Self::Number(number)),
            _ => Err(Refusal::InvalidVersion(text.to_owned())),
        }
    }
}

/// A schema registry; a clone is the same registry.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Box<dyn SchemaStore>,
    /// Held for writing while a change is decided and made durable, so that changes are made one
    /// by one, each knowing the one before.
    state: RwLock<State>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Reads what the store holds.
    ///
    /// # Errors
    /// Where the store cannot be read, or holds a damaged record.
    pub async fn open(store: impl SchemaStore) -> Result<Self, StoreError> {
        let state = load(&store).await?;
        let inner = Inner { store: Box::new(store), state: RwLock::new(state) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Registers a schema under a subject and yields its id. The same schema yields the same id,
    /// in every subject, however it is formatted.
    ///
    /// # Errors
    /// [`Refusal::InvalidSchema`], [`Refusal::Incompatible`], [`Refusal::Store`] and others.
    pub async fn register(&self, subject: &str, text: &str) -> Result<SchemaVersion, Refusal> {
        check_subject(subject)?;
        let (schema, canonical) = read_schema(text)?;
        if self.inner.store.is_shared() {
            // What is known is answered by whoever is asked.
            self.refresh().await?;
            let state = self.inner.state.read().await;
            if let Some((version, id)) = state.registered(subject, &canonical) {
                return state.version(subject, version, id);
            }
        }
        let mut state = self.for_writing().await?;
        if let Some((version, id)) = state.registered(subject, &canonical) {
            return state.version(subject, version, id);
        }
        let same = state.ids.get(&canonical).copied();
        let known = state.subjects.get(subject);
        let reasons = state.incompatible_with_earlier(subject, &schema);
        if !reasons.is_empty() {
            return Err(Refusal::Incompatible { subject: subject.to_owned(), reasons });
        }
        let versions: usize = state.subjects.values().map(|subject| subject.versions.len()).sum();
        if versions >= MAX_VERSIONS {
            let text = format!("the registry holds {MAX_VERSIONS} versions, it takes no more");
            return Err(Refusal::NotPermitted(text));
        }
        let last = known.and_then(|subject| subject.versions.keys().next_back().copied());
        let version = last.unwrap_or(0) + 1;
        let id = same.unwrap_or_else(|| state.next_id());
        let value = SchemaValue {
            subject: subject.to_owned(),
            version,
            id,
            schema: text.to_owned(),
            deleted: false,
        };
        self.write_schema(&mut state, &value).await?;
        state.version(subject, version, id)
    }

    /// Finds the version of a subject that has this schema.
    ///
    /// # Errors
    /// [`Refusal::SubjectNotFound`], [`Refusal::SchemaNotFound`], [`Refusal::InvalidSchema`].
    pub async fn find(
        &self,
        subject: &str,
        text: &str,
        deleted_too: bool,
    ) -> Result<SchemaVersion, Refusal> {
        let (_, canonical) = read_schema(text)?;
        let state = self.inner.state.read().await;
        let known = state.subject(subject, deleted_too)?;
        let id = state.ids.get(&canonical).copied();
        let found = known
            .versions
            .iter()
            .rev()
            .find(|(_, version)| Some(version.id) == id && (deleted_too || !version.deleted));
        match found {
            Some((number, version)) => state.version(subject, *number, version.id),
            None => Err(Refusal::SchemaNotFound),
        }
    }

    /// The schema with this id. Deleted ones are still found: values bear their ids.
    ///
    /// # Errors
    /// [`Refusal::IdNotFound`].
    pub async fn schema(&self, id: u32) -> Result<Arc<str>, Refusal> {
        let known = self.inner.state.read().await.texts.get(&id).cloned();
        if known.is_none() && self.inner.store.is_shared() {
            // Another registry may have given it out just now.
            self.refresh().await?;
        }
        let state = self.inner.state.read().await;
        state.texts.get(&id).cloned().ok_or(Refusal::IdNotFound(id))
    }

    /// Reads what the store holds by now: what other registries wrote to it.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub async fn refresh(&self) -> Result<(), Refusal> {
        let mut state = self.inner.state.write().await;
        *state = load(self.inner.store.as_ref()).await.map_err(to_refusal)?;
        Ok(())
    }

    /// The subjects and versions that have the schema with this id.
    ///
    /// # Errors
    /// [`Refusal::IdNotFound`].
    pub async fn uses(&self, id: u32, deleted_too: bool) -> Result<Vec<(String, u32)>, Refusal> {
        let state = self.inner.state.read().await;
        if !state.texts.contains_key(&id) {
            return Err(Refusal::IdNotFound(id));
        }
        let mut uses = Vec::new();
        for (name, subject) in &state.subjects {
            for (number, version) in &subject.versions {
                if version.id == id && (deleted_too || !version.deleted) {
                    uses.push((name.clone(), *number));
                }
            }
        }
        Ok(uses)
    }

    /// Names of the subjects, in order.
    pub async fn subjects(&self, deleted_too: bool) -> Vec<String> {
        let state = self.inner.state.read().await;
        let has_versions = |subject: &Subject| {
            (deleted_too && !subject.versions.is_empty()) || subject.live().next().is_some()
        };
        let named = state.subjects.iter();
        named.filter(|(_, subject)| has_versions(subject)).map(|(name, _)| name.clone()).collect()
    }

    /// Versions of a subject, the oldest first.
    ///
    /// # Errors
    /// [`Refusal::SubjectNotFound`].
    pub async fn versions(&self, subject: &str, deleted_too: bool) -> Result<Vec<u32>, Refusal> {
        let state = self.inner.state.read().await;
        let known = state.subject(subject, deleted_too)?;
        let versions = known.versions.iter();
        Ok(versions
            .filter(|(_, version)| deleted_too || !version.deleted)
            .map(|(number, _)| *number)
            .collect())
    }

    /// One version of a subject.
    ///
    /// # Errors
    /// [`Refusal::SubjectNotFound`], [`Refusal::VersionNotFound`].
    pub async fn version(
        &self,
        subject: &str,
        which: Which,
        deleted_too: bool,
    ) -> Result<SchemaVersion, Refusal> {
        let state = self.inner.state.read().await;
        let known = state.subject(subject, deleted_too)?;
        let mut candidates =
            known.versions.iter().filter(|(_, version)| deleted_too || !version.deleted);
        let found = match which {
            Which::Latest => candidates.next_back(),
            Which::Number(wanted) => candidates.find(|(number, _)| **number == wanted),
        };
        match (found, which) {
            (Some((number, version)), _) => state.version(subject, *number, version.id),
            (None, Which::Number(number)) => Err(Refusal::VersionNotFound(number.to_string())),
            (None, Which::Latest) => Err(Refusal::VersionNotFound("latest".to_owned())),
        }
    }

    /// Reasons why a schema could not follow one version of a subject, or with `None` those that
    /// its level looks at; none if it could.
    ///
    /// # Errors
    /// [`Refusal::InvalidSchema`], [`Refusal::VersionNotFound`].
    pub async fn incompatibilities(
        &self,
        subject: &str,
        which: Option<Which>,
        text: &str,
    ) -> Result<Vec<String>, Refusal> {
        let (schema, _) = read_schema(text)?;
        let state = self.inner.state.read().await;
        let Some(which) = which else {
            return Ok(state.incompatible_with_earlier(subject, &schema));
        };
        let live = state.subjects.get(subject).into_iter().flat_map(Subject::live);
        let found = match which {
            Which::Latest => live.last(),
            Which::Number(wanted) => live.into_iter().find(|(number, _)| *number == wanted),
        };
        match (found, which) {
            (Some((number, id)), _) => {
                Ok(state.incompatible_with(&schema, number, id, state.level_of(subject)))
            }
            // As Confluent answers: there is nothing to contradict.
            (None, Which::Latest) => Ok(Vec::new()),
            (None, Which::Number(number)) => Err(Refusal::VersionNotFound(number.to_string())),
        }
    }

    /// The compatibility level of a subject, or of all that have none of their own.
    ///
    /// # Errors
    /// [`Refusal::NoSubjectLevel`], unless the level of all may stand in.
    pub async fn level(&self, subject: Option<&str>, or_global: bool) -> Result<Level, Refusal> {
        let state = self.inner.state.read().await;
        let Some(name) = subject else {
            return Ok(state.level);
        };
        match state.subjects.get(name).and_then(|subject| subject.level) {
            Some(level) => Ok(level),
            None if or_global => Ok(state.level),
            None => Err(Refusal::NoSubjectLevel(name.to_owned())),
        }
    }

    /// Sets the compatibility level of a subject, or with `None` of all that have none.
    ///
    /// # Errors
    /// [`Refusal::InvalidSubject`], [`Refusal::Store`].
    pub async fn set_level(&self, subject: Option<&str>, level: Level) -> Result<(), Refusal> {
        if let Some(name) = subject {
            check_subject(name)?;
        }
        let mut state = self.for_writing().await?;
        let current = match subject {
            Some(name) => state.subjects.get(name).and_then(|subject| subject.level),
            None => Some(state.level),
        };
        if current == Some(level) {
            return Ok(());
        }
        let value = ConfigValue { compatibility_level: level.as_str().to_owned() };
        self.write(&mut state, &config_key(subject), Some(&value)).await
    }

    /// Takes away the level of a subject, or with `None` sets that of all back to the default.
    /// Yields the level that it had.
    ///
    /// # Errors
    /// [`Refusal::NoSubjectLevel`], [`Refusal::Store`].
    pub async fn reset_level(&self, subject: Option<&str>) -> Result<Level, Refusal> {
        let before = self.level(subject, false).await?;
        let mut state = self.for_writing().await?;
        self.write(&mut state, &config_key(subject), None::<&ConfigValue>).await?;
        Ok(before)
    }

    /// Lets subjects change only in ways that every version reads and is read by
    /// ([`Level::FullTransitive`]), unless somebody gave them another level.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub async fn protect(&self, subjects: &[String]) -> Result<(), Refusal> {
        for subject in subjects {
            if self.level(Some(subject), false).await.is_err() {
                self.set_level(Some(subject), Level::FullTransitive).await?;
            }
        }
        Ok(())
    }

    /// Deletes a subject: its versions are no longer listed, their schemas are still found by id.
    /// Yields the versions.
    ///
    /// # Errors
    /// [`Refusal::SubjectNotFound`], [`Refusal::SubjectDeleted`], [`Refusal::Store`].
    pub async fn delete_subject(&self, subject: &str) -> Result<Vec<u32>, Refusal> {
        let mut state = self.for_writing().await?;
        let known = state.subject(subject, true)?;
        let live: Vec<u32> = known.live().map(|(number, _)| number).collect();
        let Some(last) = live.last().copied() else {
            return Err(Refusal::SubjectDeleted(subject.to_owned()));
        };
        let key = Key::DeleteSubject { subject: subject.to_owned(), magic: 0 };
        let value = DeleteSubjectValue { subject: subject.to_owned(), version: last };
        self.write(&mut state, &key, Some(&value)).await?;
        Ok(live)
    }

    /// Deletes one version of a subject, as [`Registry::delete_subject`] does. Yields its number.
    ///
    /// # Errors
    /// [`Refusal::SubjectNotFound`], [`Refusal::VersionNotFound`], [`Refusal::VersionDeleted`],
    /// [`Refusal::Store`].
    pub async fn delete_version(&self, subject: &str, which: Which) -> Result<u32, Refusal> {
        let mut state = self.for_writing().await?;
        let known = state.subject(subject, true)?;
        let wanted = match which {
            Which::Number(number) => number,
            Which::Latest => match known.live().last() {
                Some((number, _)) => number,
                None => return Err(Refusal::VersionNotFound("latest".to_owned())),
            },
        };
        let Some(version) = known.versions.get(&wanted).copied() else {
            return Err(Refusal::VersionNotFound(wanted.to_string()));
        };
        if version.deleted {
            return Err(Refusal::VersionDeleted { subject: subject.to_owned(), version: wanted });
        }
        let Some(text) = state.texts.get(&version.id) else {
            return Err(Refusal::IdNotFound(version.id));
        };
        let value = SchemaValue {
            subject: subject.to_owned(),
            version: wanted,
            id: version.id,
            schema: text.to_string(),
            deleted: true,
        };
        self.write_schema(&mut state, &value).await?;
        Ok(wanted)
    }

    /// The state, to change it. Where the last change may or may not have reached the store, or
    /// others may have made one, the store says which.
    async fn for_writing(&self) -> Result<RwLockWriteGuard<'_, State>, Refusal> {
        // Before the lock: whoever reads does not wait for it.
        self.inner.store.turn().await.map_err(to_refusal)?;
        let mut state = self.inner.state.write().await;
        if state.doubtful || self.inner.store.is_shared() {
            *state = load(self.inner.store.as_ref()).await.map_err(to_refusal)?;
        }
        Ok(state)
    }

    async fn write_schema(&self, state: &mut State, value: &SchemaValue) -> Result<(), Refusal> {
        let key = Key::Schema { subject: value.subject.clone(), version: value.version, magic: 1 };
        self.write(state, &key, Some(value)).await
    }

    /// Makes a record durable, then takes it in.
    async fn write<T: serde::Serialize>(
        &self,
        state: &mut State,
        key: &Key,
        value: Option<&T>,
    ) -> Result<(), Refusal> {
        let to_json = |error: serde_json::Error| Refusal::Store(error.to_string());
        let record = SchemaRecord {
            key: serde_json::to_string(key).map_err(to_json)?,
            value: match value {
                Some(value) => Some(serde_json::to_string(value).map_err(to_json)?),
                None => None,
            },
        };
        if let Err(error) = self.inner.store.append(record.clone()).await {
            state.doubtful = true;
            return Err(to_refusal(error));
        }
        state.apply(&record).map_err(to_refusal)
    }
}

async fn load(store: &dyn SchemaStore) -> Result<State, StoreError> {
    let mut state = State::default();
    for record in store.load().await? {
        state.apply(&record)?;
    }
    Ok(state)
}

fn to_refusal(error: StoreError) -> Refusal {
    Refusal::Store(error.0)
}

fn config_key(subject: Option<&str>) -> Key {
    Key::Config { subject: subject.map(str::to_owned), magic: 0 }
}

fn check_subject(subject: &str) -> Result<(), Refusal> {
    if subject.is_empty() {
        return Err(Refusal::InvalidSubject("it is empty".to_owned()));
    }
    if subject.len() > MAX_SUBJECT_BYTES {
        let text = format!("longer than {MAX_SUBJECT_BYTES} bytes");
        return Err(Refusal::InvalidSubject(text));
    }
    if subject.chars().any(char::is_control) {
        return Err(Refusal::InvalidSubject("it holds a control character".to_owned()));
    }
    Ok(())
}

fn read_schema(text: &str) -> Result<(Schema, String), Refusal> {
    let schema = schema::parse(text).map_err(Refusal::InvalidSchema)?;
    let canonical = schema::canonical(text).map_err(Refusal::InvalidSchema)?;
    Ok((schema, canonical))
}

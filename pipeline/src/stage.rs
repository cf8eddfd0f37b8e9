//! What a stage is: a value that turns one record into the records it wants written.
//!
//! No engine in its signature; tested with plain values.

use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use hephaestus_schemas::{
    Value,
    codec::{Codec, EncodeError},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    record::{Origins, Record},
    table::TableSink,
};

/// What a stage reads and how its work is bounded.
#[derive(Clone)]
pub struct StageSpec {
    /// Name: of its group, and of its state and dead-letter topics.
    pub name: &'static str,
    /// Version, for the header `hephaestus-stage`.
    pub version: &'static str,
    /// Topics it reads, with the same number of partitions.
    pub reads: Vec<&'static str>,
    /// Topics it writes, each with the values' schema registered by [`Output::register`].
    pub writes: Vec<&'static str>,
    /// Compacted topics that are read whole before the stage starts, and followed.
    pub tables: Vec<Arc<dyn TableSink>>,
    /// Whether it keeps state or timers by key.
    pub stateful: bool,
    /// Records of one key handled between two snapshots of its state. 1 for stages with effects outside.
    pub max_run: usize,
    /// Keys handled at once.
    pub concurrency: usize,
}

/// Why a record could not be handled; the type decides what happens to it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// It can never succeed: it goes to the dead letters.
    #[error("rejected ({class}): {message}")]
    Reject {
        /// Short, stable name of the kind of failure.
        class: &'static str,
        /// What was wrong.
        message: String,
    },
    /// The world is at fault: it is tried again.
    #[error("to be retried ({class}): {message}")]
    Retry {
        /// Short, stable name of the kind of failure.
        class: &'static str,
        /// What was wrong.
        message: String,
        /// How long the other side asked to wait.
        after: Option<Duration>,
    },
    /// The program or its configuration is at fault: the process stops.
    #[error("fatal: {message}")]
    Fatal {
        /// What was wrong, and what would be right.
        message: String,
    },
}

impl Failure {
    /// A [`Failure::Reject`].
    pub fn reject(class: &'static str, message: impl ToString) -> Self {
        Self::Reject { class, message: message.to_string() }
    }

    /// A [`Failure::Retry`] without a wish for how long to wait.
    pub fn retry(class: &'static str, message: impl ToString) -> Self {
        Self::Retry { class, message: message.to_string(), after: None }
    }
}

/// What a stage reads: decoded from a record by its topic.
pub trait Input: Sized + Send + 'static {
    /// Decodes a record.
    ///
    /// # Errors
    /// Rejects what is no such value; retries where the schema cannot be looked up.
    fn decode(record: &Record, codec: &Codec)
    -> impl Future<Output = Result<Self, Failure>> + Send;
}

impl<V: Value> Input for V {
    async fn decode(record: &Record, codec: &Codec) -> Result<Self, Failure> {
        let Some(bytes) = &record.value else {
            return Err(Failure::reject("no-value", "the record has no value"));
        };
        decode_value(bytes, codec).await
    }
}

/// Decodes a value in the Confluent wire format.
///
/// # Errors
/// Rejects what is no such value; retries where the schema cannot be looked up.
pub async fn decode_value<V: Value>(bytes: &[u8], codec: &Codec) -> Result<V, Failure> {
    codec.decode(bytes).await.map_err(|error| {
        if error.is_retryable() {
            Failure::retry("schema-registry", error)
        } else {
            Failure::reject("decode", error)
        }
    })
}

/// Registers the schema of a topic's values.
///
/// # Errors
/// Fatal where the schema is refused; to be retried where the registry does not answer.
pub async fn register_value<V: Value>(topic: &str, codec: &Codec) -> Result<(), Failure> {
    let registered = codec.register::<V>(topic).await;
    registered.map(|_| ()).map_err(|error| {
        if error.is_retryable() {
            Failure::retry("schema-registry", error)
        } else {
            Failure::Fatal { message: error.to_string() }
        }
    })
}

/// What a stage writes.
pub trait Output: Send + 'static {
    /// Topic to write to.
    fn topic(&self) -> &'static str;

    /// Key of the record.
    fn key(&self) -> Bytes;

    /// Value of the record; none is a tombstone.
    ///
    /// # Errors
    /// Where the value does not fit its schema or passes the codec's bound.
    fn encode(&self, codec: &Codec) -> Result<Option<Bytes>, EncodeError>;
}

/// Keyed state. Its JSON is the changelog's value.
pub trait State: Serialize + DeserializeOwned + Clone + Default + Send + 'static {
    /// Whether nothing is held, so that the entry can be deleted.
    fn is_empty(&self) -> bool;

    /// Bytes it takes in memory, roughly: what the cache's budget counts.
    fn weight(&self) -> usize;
}

impl State for () {
    fn is_empty(&self) -> bool {
        true
    }

    fn weight(&self) -> usize {
        0
    }
}

/// A record that a stage wants written.
#[derive(Debug)]
pub struct Emitted<O> {
    /// The value, with its topic and key.
    pub value: O,
    /// What it was made from; without, the record being handled.
    pub origins: Option<Origins>,
    /// W3C trace context to carry on; without, that of the record being handled.
    pub traceparent: Option<Bytes>,
}

/// What handling one record, or one timer, leads to. All of it happens, or none.
#[derive(Debug)]
pub struct Effects<O> {
    /// Records to write, in order.
    pub emitted: Vec<Emitted<O>>,
    /// Timers of the key to set (`Some`, milliseconds since 1970 UTC) or to cancel (`None`), in order.
    pub timers: Vec<(Cow<'static, str>, Option<i64>)>,
}

impl<O> Default for Effects<O> {
    fn default() -> Self {
        Self { emitted: Vec::new(), timers: Vec::new() }
    }
}

impl<O> Effects<O> {
    /// Writes a record that was made from the record being handled.
    pub fn emit(&mut self, value: O) {
        self.emitted.push(Emitted { value, origins: None, traceparent: None });
    }

    /// Writes a record that was made from `origins`.
    pub fn emit_from(&mut self, value: O, origins: Origins) {
        self.emitted.push(Emitted { value, origins: Some(origins), traceparent: None });
    }

    /// Sets the key's timer of that name; one that is set is moved.
    pub fn set_timer(&mut self, name: impl Into<Cow<'static, str>>, at_ms: i64) {
        self.timers.push((name.into(), Some(at_ms)));
    }

    /// Cancels the key's timer of that name.
    pub fn cancel_timer(&mut self, name: impl Into<Cow<'static, str>>) {
        self.timers.push((name.into(), None));
    }
}

/// A timer that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Topic partition whose key set it.
    pub partition: u32,
    /// Key that set it.
    pub key: Bytes,
    /// Its name.
    pub name: String,
    /// When it was to fire, in milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// A stage.
pub trait Stage: Send + Sync + 'static {
    /// What it reads.
    type Input: Input;
    /// What it writes.
    type Output: Output;
    /// What it remembers for each key.
    type State: State;

    /// What it reads and how its work is bounded.
    fn spec(&self) -> StageSpec;

    /// Registers the schemas of what it writes.
    ///
    /// # Errors
    /// Where a schema is refused (fatal) or the registry cannot be reached (retry).
    fn register(&self, codec: &Codec) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Handles one record. `record` is where `input` was decoded from.
    /// On an error the state and the effects are dropped.
    ///
    /// # Errors
    /// See [`Failure`].
    fn process(
        &self,
        record: &Record,
        input: Self::Input,
        state: &mut Self::State,
        effects: &mut Effects<Self::Output>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Handles a timer of a key.
    ///
    /// # Errors
    /// See [`Failure`]; a rejected timer is dropped, with a log line.
    fn on_timer(
        &self,
        _timer: &Timer,
        _state: &mut Self::State,
        _effects: &mut Effects<Self::Output>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(Ok(()))
    }
}

//! The one way to encode and decode values, in the Confluent wire format against a registry.
//!
//! Bytes are data of strangers: every failure is an error that says whether to retry.

mod client;
pub mod datum;
mod endpoint;
mod error;
mod json;
pub(crate) mod log_datum;

use std::{
    any::TypeId,
    cell::RefCell,
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dashmap::DashMap;
use serde_avro_fast::Schema;
use tokio::sync::Mutex;

pub use endpoint::RegistryEndpoint;
pub use error::{DecodeError, EncodeError, RegistryError};

use crate::{ClassifiedLog, Exception, LogFields, Value, topics, wire};
use client::RegistryClient;
use json::PlainJson;

/// Schemas of writers that are kept; a pipeline meets a few for each topic.
const MAX_CACHED_SCHEMAS: usize = 1024;

/// Ids that the registry did not know and that are not asked for again for [`UNKNOWN_FOR`].
const MAX_CACHED_UNKNOWN: usize = 1024;

/// How long an unknown id is taken for unknown, lest a flood of bad records becomes one of
/// requests. An id is handed out before the first record bears it, so this loses nothing.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Room for data that a thread keeps from one value to the next, in bytes.
const SCRATCH_CAPACITY: usize = 64 << 10;

thread_local! {
    /// Where a value is written before its size is known: many wait for their commit, and none takes more than its size.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bounds on what is encoded and decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecLimits {
    /// Largest value in bytes, with the prefix. In memory a value may take some 50 times as much
    /// where it consists of nothing but empty strings.
    pub max_value_bytes: usize,
}

impl Default for CodecLimits {
    /// What a Kafka broker takes by default (`message.max.bytes`), less room for key and headers.
    fn default() -> Self {
        Self { max_value_bytes: 1_000_000 }
    }
}

/// Encodes and decodes values; a clone shares the schemas that were looked up.
#[derive(Clone)]
pub struct Codec {
    inner: Arc<Inner>,
}

struct Inner {
    client: RegistryClient,
    limits: CodecLimits,
    /// Registered schemas, by topic and type.
    registered: DashMap<String, Vec<Registered>>,
    /// Schemas of writers, by id.
    known: DashMap<u32, Arc<WriterSchema>>,
    /// Ids that the registry did not know, and when it said so.
    unknown: DashMap<u32, Instant>,
    /// Held while a schema is looked up, so that a thousand records ask once.
    looking_up: Mutex<()>,
}

#[derive(Clone)]
struct Registered {
    type_id: TypeId,
    id: u32,
    schema: Arc<Schema>,
}

/// The schema that a value was written with.
struct WriterSchema {
    /// Full name of the record; for other types the name of the type.
    name: String,
    schema: Schema,
}

impl fmt::Debug for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Codec").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

impl Codec {
    /// Takes the address of a registry with the Confluent API, such as `http://127.0.0.1:8081`.
    /// It is asked only when a schema is registered or met.
    ///
    /// # Errors
    /// [`RegistryError::Address`] where it is no address.
    pub fn connect(registry_url: &str, limits: CodecLimits) -> Result<Self, RegistryError> {
        Self::connect_to(&RegistryEndpoint::new(registry_url), limits)
    }

    /// The same for a registry that asks for a login or has a certificate of its own.
    ///
    /// # Errors
    /// [`RegistryError::Address`] where it cannot be asked this way.
    pub fn connect_to(
        endpoint: &RegistryEndpoint,
        limits: CodecLimits,
    ) -> Result<Self, RegistryError> {
        let inner = Inner {
            client: RegistryClient::new(endpoint)?,
            limits,
            registered: DashMap::new(),
            known: DashMap::new(),
            unknown: DashMap::new(),
            looking_up: Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Registers the type's schema for a topic's values and yields its id. Has to come before the
    /// first value is encoded; again for the same topic and type it asks nobody.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] with the registry's explanation,
    /// [`RegistryError::Unreachable`] where it is worth another try.
    pub async fn register<V: Value>(&self, topic: &str) -> Result<u32, RegistryError> {
        if let Some(registered) = self.registered::<V>(topic) {
            return Ok(registered.id);
        }
        let schema: Schema = V::SCHEMA.parse().map_err(|error| RegistryError::Schema {
            name: V::NAME.to_owned(),
            reason: format!("{error}"),
        })?;
        let subject = topics::subject(topic);
        let id = self.inner.client.register(&subject, V::NAME, V::SCHEMA).await?;
        let registered = Registered { type_id: TypeId::of::<V>(), id, schema: Arc::new(schema) };
        let mut of_topic = self.inner.registered.entry(topic.to_owned()).or_default();
        of_topic.retain(|other| other.type_id != registered.type_id);
        of_topic.push(registered);
        Ok(id)
    }

    /// A handle that encodes one type for one topic without any look-up: for hot paths.
    ///
    /// # Errors
    /// [`EncodeError::NotRegistered`] before [`Codec::register`].
    pub fn writer<V: Value>(&self, topic: &str) -> Result<Writer<V>, EncodeError> {
        let Some(registered) = self.registered::<V>(topic) else {
            return Err(EncodeError::NotRegistered { topic: topic.to_owned(), name: V::NAME });
        };
        Ok(Writer {
            id: registered.id,
            schema: registered.schema,
            max_value_bytes: self.inner.limits.max_value_bytes,
            value: PhantomData,
        })
    }

    /// Encodes a value for a topic.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode<V: Value>(&self, topic: &str, value: &V) -> Result<Bytes, EncodeError> {
        self.writer::<V>(topic)?.encode(value)
    }

    /// Appends an encoded value; on an error `out` is as before.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode_into<V: Value>(
        &self,
        topic: &str,
        value: &V,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.writer::<V>(topic)?.encode_into(value, out)
    }

    /// Decodes a value with the schema it was written with, which is looked up where it is new.
    ///
    /// # Errors
    /// See [`DecodeError`]; [`DecodeError::is_retryable`] tells the world's faults from the bytes'.
    pub async fn decode<V: Value>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        match self.try_decode(bytes) {
            Err(DecodeError::NeedsSchema(id)) => {
                self.look_up(id).await?;
                self.try_decode(bytes)
            }
            result => result,
        }
    }

    /// Decodes a value without asking the registry.
    ///
    /// # Errors
    /// [`DecodeError::NeedsSchema`] where [`Codec::decode`] would ask; else as that.
    pub fn try_decode<V: Value>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
        let (writer, datum) = self.split(bytes)?;
        if writer.name != V::NAME {
            return Err(DecodeError::OtherRecord { found: writer.name.clone(), expected: V::NAME });
        }
        read(&writer, datum)
    }

    /// Decodes a value of any schema as plain JSON: unions and enums plainly, logical types as
    /// their numbers, bytes as base64.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub async fn decode_json(&self, bytes: &[u8]) -> Result<serde_json::Value, DecodeError> {
        let (writer, datum) = match self.split(bytes) {
            Err(DecodeError::NeedsSchema(id)) => {
                self.look_up(id).await?;
                self.split(bytes)?
            }
            result => result?,
        };
        let PlainJson(value) = read(&writer, datum)?;
        Ok(value)
    }

    fn registered<V: Value>(&self, topic: &str) -> Option<Registered> {
        let of_topic = self.inner.registered.get(topic)?;
        let type_id = TypeId::of::<V>();
        of_topic.iter().find(|registered| registered.type_id == type_id).cloned()
    }

    /// The schema that the bytes were written with, and their datum.
    fn split<'a>(&self, bytes: &'a [u8]) -> Result<(Arc<WriterSchema>, &'a [u8]), DecodeError> {
        let limit = self.inner.limits.max_value_bytes;
        if bytes.len() > limit {
            return Err(DecodeError::TooLarge { size: bytes.len(), limit });
        }
        let (id, datum) = wire::split(bytes)?;
        let Some(writer) = self.inner.known.get(&id) else {
            return Err(DecodeError::NeedsSchema(id));
        };
        Ok((Arc::clone(&writer), datum))
    }

    /// Asks the registry for a schema and keeps it.
    async fn look_up(&self, id: u32) -> Result<(), DecodeError> {
        let inner = &*self.inner;
        let _one_at_a_time = inner.looking_up.lock().await;
        if inner.known.contains_key(&id) {
            return Ok(());
        }
        let said_unknown_at = inner.unknown.get(&id).map(|at| *at);
        if said_unknown_at.is_some_and(|at| at.elapsed() < UNKNOWN_FOR) {
            return Err(DecodeError::UnknownSchema(id));
        }
        let text = match inner.client.schema(id).await {
            Ok(text) => text,
            Err(RegistryError::NotFound { .. }) => {
                make_room(&inner.unknown, MAX_CACHED_UNKNOWN);
                inner.unknown.insert(id, Instant::now());
                return Err(DecodeError::UnknownSchema(id));
            }
            Err(RegistryError::Schema { reason, .. }) => {
                return Err(DecodeError::BadSchema { id, reason });
            }
            Err(error) => return Err(error.into()),
        };
        let writer =
            WriterSchema::parse(&text).map_err(|reason| DecodeError::BadSchema { id, reason })?;
        make_room(&inner.known, MAX_CACHED_SCHEMAS);
        inner.known.insert(id, Arc::new(writer));
        inner.unknown.remove(&id);
        Ok(())
    }
}

/// Drops an entry, whichever, from a full cache. It is refilled at the price of one request.
fn make_room<T>(cache: &DashMap<u32, T>, bound: usize) {
    if cache.len() < bound {
        return;
    }
    let victim = cache.iter().next().map(|entry| *entry.key());
    if let Some(id) = victim {
        cache.remove(&id);
    }
}

fn read<'de, T: serde::Deserialize<'de>>(
    writer: &WriterSchema,
    datum: &'de [u8],
) -> Result<T, DecodeError> {
    datum::read(datum, &writer.schema)
        .map_err(|reason| DecodeError::Datum { name: writer.name.clone(), reason })
}

impl WriterSchema {
    fn parse(text: &str) -> Result<Self, String> {
        let schema: serde_avro_fast::schema::SchemaMut =
            text.parse().map_err(|error| format!("{error}"))?;
        let root = &schema.root().type_;
        let name = match root.name() {
            Some(name) => name.fully_qualified_name().to_owned(),
            None => "value without a name".to_owned(),
        };
        let schema = schema.freeze().map_err(|error| format!("{error}"))?;
        Ok(Self { name, schema })
    }
}

/// Encodes values of one type for one topic, synchronously and without locks.
pub struct Writer<V> {
    id: u32,
    schema: Arc<Schema>,
    max_value_bytes: usize,
    value: PhantomData<fn(&V)>,
}

impl<V> Clone for Writer<V> {
    fn clone(&self) -> Self {
        Self {
            id: self.id,
            schema: Arc::clone(&self.schema),
            max_value_bytes: self.max_value_bytes,
            value: PhantomData,
        }
    }
}

impl<V: Value> fmt::Debug for Writer<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Writer<{}>({})", V::NAME, self.id)
    }
}

impl<V: Value> Writer<V> {
    /// Id of the schema in the registry.
    pub fn schema_id(&self) -> u32 {
        self.id
    }

    /// Encodes a value.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode(&self, value: &V) -> Result<Bytes, EncodeError> {
        in_scratch(|scratch| self.encode_into(value, scratch))
    }

    /// Appends an encoded value; on an error `out` is as before.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode_into(&self, value: &V, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let result = self.append(value, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn append(&self, value: &V, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.append_datum(value.exception(), out, |out| value.write_datum(&self.schema, out))
    }

    /// Appends the datum that `write` appends, of a value that holds this exception, with its prefix.
    fn append_datum(
        &self,
        exception: Option<&Exception>,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
    ) -> Result<(), EncodeError> {
        let causes = exception.map_or(0, Exception::causes);
        if causes > datum::MAX_CAUSES {
            return Err(EncodeError::TooDeep { name: V::NAME, causes, limit: datum::MAX_CAUSES });
        }
        let start = out.len();
        wire::write_prefix(self.id, out);
        write(out).map_err(|reason| EncodeError::Datum { name: V::NAME, reason })?;
        let size = out.len() - start;
        if size > self.max_value_bytes {
            return Err(EncodeError::TooLarge { name: V::NAME, size, limit: self.max_value_bytes });
        }
        Ok(())
    }
}

impl Writer<ClassifiedLog> {
    /// Encodes an event by its fields.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode_fields(&self, event: &LogFields<'_>) -> Result<Bytes, EncodeError> {
        in_scratch(|scratch| {
            self.append_datum(event.exception, scratch, |out| {
                log_datum::write_fields(event, out);
                Ok(())
            })
        })
    }
}

/// What `write` appends to a buffer that is kept, in memory of its own size.
fn in_scratch(
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<Bytes, EncodeError> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let written = write(scratch).map(|()| Bytes::copy_from_slice(scratch));
        scratch.shrink_to(SCRATCH_CAPACITY);
        written
    })
}

//! What can go wrong between a value, its bytes and the registry; each error says whether to retry.

use crate::wire::WireError;

/// Why the schema registry gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The address cannot be used at all.
    #[error("schema registry address {url:?}: {reason}")]
    Address {
        /// The address as configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, or one that says to come back later.
    #[error("schema registry does not answer: {reason}")]
    Unreachable {
        /// What the connection or the registry said.
        reason: String,
    },
    /// The registry refused the credentials.
    #[error("schema registry refused the credentials: {reason}")]
    Unauthorized {
        /// What the registry said.
        reason: String,
    },
    /// The schema contradicts one that was registered before.
    #[error("schema registry refused the schema of {subject}: {reason}")]
    Incompatible {
        /// Subject that the schema was meant for.
        subject: String,
        /// The registry's own explanation.
        reason: String,
    },
    /// The registry knows no such schema, subject or version.
    #[error("not in the schema registry: {reason}")]
    NotFound {
        /// What the registry said.
        reason: String,
    },
    /// Any other refusal, such as of a schema that is not valid.
    #[error("schema registry refused the request (error {code}): {reason}")]
    Refused {
        /// Confluent's error code.
        code: u32,
        /// What the registry said.
        reason: String,
    },
    /// A schema that this program cannot use.
    #[error("schema of {name} cannot be used: {reason}")]
    Schema {
        /// Name of the record, or the schema's id.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl RegistryError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unauthorized { .. })
    }
}

/// Why a value could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The schema was not registered for the topic.
    #[error("no schema of {name} is registered for topic {topic:?}: register it at start")]
    NotRegistered {
        /// Topic.
        topic: String,
        /// Full name of the record.
        name: &'static str,
    },
    /// The value is larger than a record may be.
    #[error("{name} takes {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Full name of the record.
        name: &'static str,
        /// Its size in bytes, with the prefix.
        size: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// The value is nested deeper than it could be read again.
    #[error("{name} holds a chain of {causes} causes, more than the {limit} allowed")]
    TooDeep {
        /// Full name of the record.
        name: &'static str,
        /// Length of its chain of causes.
        causes: usize,
        /// The bound.
        limit: usize,
    },
    /// The value does not fit its schema.
    #[error("{name} does not fit its schema: {reason}")]
    Datum {
        /// Full name of the record.
        name: &'static str,
        /// What does not fit.
        reason: String,
    },
}

/// Why bytes could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not in the Confluent wire format.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// More bytes than a value may have.
    #[error("{size} bytes, more than the {limit} a value may have")]
    TooLarge {
        /// Size in bytes.
        size: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// The schema with this id was not looked up yet; only [`super::Codec::try_decode`] says so.
    #[error("schema {0} was not looked up yet")]
    NeedsSchema(u32),
    /// The registry knows no schema with this id.
    #[error("schema {0} is not in the registry")]
    UnknownSchema(u32),
    /// The schema with this id cannot be used.
    #[error("schema {id} cannot be used: {reason}")]
    BadSchema {
        /// Id of the schema.
        id: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The value is a record of another name.
    #[error("value is a {found}, not a {expected}")]
    OtherRecord {
        /// Name of the schema that the value was written with.
        found: String,
        /// Name that was expected.
        expected: &'static str,
    },
    /// The datum contradicts its schema.
    #[error("datum is no {name}: {reason}")]
    Datum {
        /// Name of the schema that the value was written with.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl DecodeError {
    /// Whether the same bytes may be decoded later; all else can never succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NeedsSchema(_) => true,
            Self::Registry(error) => error.is_retryable(),
            _ => false,
        }
    }
}

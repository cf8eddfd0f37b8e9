//! The Avro schemas of every topic, their Rust types, and the Confluent wire format.
//!
//! A type and its schema (`avro/*.avsc`) say the same thing; tests hold them together.

pub mod analysis;
pub mod change;
pub mod codec;
pub mod log;
mod log_fields;
pub mod node;
pub mod registry;
pub mod registry_http;
pub mod state;
pub mod topics;
pub mod value;
pub mod wire;

pub use analysis::{Analysis, Evidence, EvidenceKind, Recipe};
pub use change::{
    ActorKind, ChangeRequest, ChangeRequestEvent, Decision, Edit, GateResult, ProposalStatus,
    ProposedChange, Verdict,
};
pub use codec::{
    Codec, CodecLimits, DecodeError, EncodeError, RegistryEndpoint, RegistryError, Writer,
};
pub use log::{ClassifiedLog, Exception, Frame, Pattern, Severity};
pub use log_fields::LogFields;
pub use node::{AuditEvent, Mode, Node, NodeStatus, Outcome, Policy};
pub use state::{StateEntry, TimerEntry};
pub use value::Value;

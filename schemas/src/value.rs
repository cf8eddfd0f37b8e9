//! What a type needs to be the value of a topic: a name and an Avro schema.

use serde::{Serialize, de::DeserializeOwned};
use serde_avro_fast::Schema;

use crate::{
    Exception,
    codec::{datum, log_datum},
};

/// A value that travels in Avro. Its serde shape and its schema name the same fields.
pub trait Value: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Full name of the Avro record.
    const NAME: &'static str;
    /// The schema as JSON, as it is registered.
    const SCHEMA: &'static str;

    /// The exception it holds: the only part of a value that may be nested without end.
    fn exception(&self) -> Option<&Exception> {
        None
    }

    /// Appends its datum, as [`datum::write`] does.
    ///
    /// # Errors
    /// As that.
    fn write_datum(&self, schema: &Schema, out: &mut Vec<u8>) -> Result<(), String> {
        datum::write(self, schema, out)
    }
}

macro_rules! values {
    ($($type:ty => $name:literal, $file:literal $(, $exception:ident)? $(, written by $write:path)?;)*) => {
        $(impl Value for $type {
            const NAME: &'static str = concat!("hephaestus.v1.", $name);
            const SCHEMA: &'static str = include_str!(concat!("../avro/", $file, ".avsc"));
            $(fn exception(&self) -> Option<&Exception> {
                self.$exception.as_ref()
            })?
            $(fn write_datum(&self, _schema: &Schema, out: &mut Vec<u8>) -> Result<(), String> {
                $write(self, out);
                Ok(())
            })?
        })*

        /// Name and schema of every value, in the order of the pipeline.
        pub const ALL: &[(&str, &str)] = &[$((<$type as Value>::NAME, <$type as Value>::SCHEMA)),*];
    };
}

values! {
    crate::ClassifiedLog => "ClassifiedLog", "classified-log", exception, written by log_datum::write;
    crate::Analysis => "Analysis", "analysis", exception;
    crate::ProposedChange => "ProposedChange", "proposed-change";
    crate::ChangeRequest => "ChangeRequest", "change-request";
    crate::Decision => "Decision", "decision";
    crate::Node => "Node", "node";
    crate::Pattern => "Pattern", "pattern";
    crate::AuditEvent => "AuditEvent", "audit-event";
    crate::StateEntry => "StateEntry", "state-entry";
}

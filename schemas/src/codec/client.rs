//! Asks a schema registry over HTTP, and says of each failure whether it is worth another try.

use std::error::Error as _;

use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, get_schema_by_id, post_schema},
    error::SRCError,
    schema_registry_common::{RawError, SchemaType, SuppliedSchema},
};

use super::{
    endpoint::{RegistryEndpoint, TIMEOUT},
    error::RegistryError,
};

/// A registry at one address.
pub(super) struct RegistryClient {
    settings: SrSettings,
}

impl RegistryClient {
    /// Checks the address; connects only when it is first asked.
    pub(super) fn new(endpoint: &RegistryEndpoint) -> Result<Self, RegistryError> {
        let mut builder = SrSettings::new_builder(endpoint.check()?.to_owned());
        builder.set_timeout(TIMEOUT);
        if let Some(username) = &endpoint.username {
            builder.set_basic_authorization(username, endpoint.password.as_deref());
        }
        let settings = builder.build_with(endpoint.http()?);
        let settings = settings.map_err(|error| endpoint.wrong(&describe(&error)))?;
        Ok(Self { settings })
    }

    /// Registers a schema under a subject; the same schema again yields the same id.
    pub(super) async fn register(
        &self,
        subject: &str,
        name: &str,
        schema: &str,
    ) -> Result<u32, RegistryError> {
        let supplied =
            SuppliedSchema::new(Some(name.to_owned()), SchemaType::Avro, schema.to_owned());
        match post_schema(&self.settings, subject.to_owned(), supplied).await {
            Ok(registered) => Ok(registered.id),
            Err(error) => Err(classify(&error, subject)),
        }
    }

    /// The text of the Avro schema with this id.
    pub(super) async fn schema(&self, id: u32) -> Result<String, RegistryError> {
        let registered =
            get_schema_by_id(id, &self.settings).await.map_err(|error| classify(&error, ""))?;
        let unusable = |reason: &str| RegistryError::Schema {
            name: id.to_string(),
            reason: reason.to_owned(),
        };
        if registered.schema_type != SchemaType::Avro {
            return Err(unusable("it is not Avro"));
        }
        if !registered.references.is_empty() {
            return Err(unusable("it refers to other subjects, which is not supported"));
        }
        Ok(registered.schema)
    }
}

/// Sorts a failure by Confluent's error code (its API reference lists them); codes have either the
/// three digits of the HTTP status or five, which begin with them.
fn classify(error: &SRCError, subject: &str) -> RegistryError {
    let Some(answer) = error.source().and_then(|source| source.downcast_ref::<RawError>()) else {
        // No HTTP answer, or one that was cut off.
        return RegistryError::Unreachable { reason: describe(error) };
    };
    let reason = answer.message.clone();
    let code = answer.error_code;
    let status = if code >= 10_000 { code / 100 } else { code };
    match status {
        // Zero stands for a body that is no registry's, such as a proxy's error page.
        0 => RegistryError::Unreachable { reason: describe(error) },
        401 | 403 => RegistryError::Unauthorized { reason },
        404 => RegistryError::NotFound { reason },
        409 => RegistryError::Incompatible { subject: subject.to_owned(), reason },
        408 | 429 | 500.. => RegistryError::Unreachable { reason },
        _ => RegistryError::Refused { code, reason },
    }
}

/// The error with its innermost causes, which name the refused connection or the time-out.
fn describe(error: &SRCError) -> String {
    let mut text = error.error.clone();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(error_code: u32) -> SRCError {
        let body = serde_json::json!({"error_code": error_code, "message": "said so"});
        let raw: RawError = serde_json::from_value(body).unwrap();
        SRCError::non_retryable_with_cause(raw, "HTTP request failed")
    }

    #[test]
    fn the_registrys_code_decides_what_to_do() {
        for code in [0, 401, 40_101, 403, 429, 42_901, 500, 50_001, 50_003] {
            assert!(classify(&answer(code), "s").is_retryable(), "{code}");
        }
        for code in [404, 40_403, 409, 422, 42_201] {
            assert!(!classify(&answer(code), "s").is_retryable(), "{code}");
        }
        let expected = RegistryError::Incompatible {
            subject: "analyses-value".to_owned(),
            reason: "said so".to_owned(),
        };
        assert_eq!(classify(&answer(409), "analyses-value"), expected);
    }
}

//! Subjects of a schema registry with the Confluent API: what they are, and making them what they should be.
//!
//! An answer is bounded, and a refusal carries the registry's own words.

use std::{collections::BTreeMap, error::Error, time::Duration};

use hephaestus_schemas::{RegistryEndpoint, RegistryError, registry::Level};
use reqwest::{Client, Method, StatusCode, header};
use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, get_all_subjects, perform_sr_call, post_schema},
    error::SRCError,
    schema_registry_common::{RawError, SchemaType, SrCall, SuppliedSchema},
};
use serde_json::{Value, json};

use crate::{LiveSubject, SubjectDef};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer in bytes: explanations name every field that does not fit.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Longest explanation that is shown, in bytes.
const MAX_REASON_BYTES: usize = 2000;
/// Content type of the Confluent API.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A registry at one address.
#[derive(Debug)]
pub struct RegistryClient {
    settings: SrSettings,
    /// For compatibility levels and checks with reasons, which `schema_registry_converter` lacks.
    http: Client,
    endpoint: RegistryEndpoint,
    url: String,
}

impl RegistryClient {
    /// Checks the address; connects only when it is first asked.
    ///
    /// # Errors
    /// [`RegistryError::Address`] where it is no address.
    pub fn new(endpoint: &RegistryEndpoint) -> Result<Self, RegistryError> {
        let url = endpoint.check()?.to_owned();
        let wrong = |reason: String| RegistryError::Address { url: url.clone(), reason };
        let http = endpoint.http()?.build().map_err(|error| wrong(chain(&error)))?;
        let mut settings = SrSettings::new_builder(url.clone());
        settings.set_timeout(TIMEOUT);
        if let Some(username) = &endpoint.username {
            settings.set_basic_authorization(username, endpoint.password.as_deref());
        }
        let settings = settings.build_with(endpoint.http()?);
        let settings = settings.map_err(|error| wrong(chain(&error)))?;
        Ok(Self { settings, http, endpoint: endpoint.clone(), url })
    }

    /// Those of the subjects that exist, as they are.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn live(
        &self,
        subjects: &[SubjectDef],
    ) -> Result<BTreeMap<String, LiveSubject>, RegistryError> {
        let existing = get_all_subjects(&self.settings).await;
        let existing = existing.map_err(|error| classify(&error, ""))?;
        let mut live = BTreeMap::new();
        for subject in subjects {
            if existing.contains(&subject.subject) {
                live.insert(subject.subject.clone(), self.live_subject(subject).await?);
            }
        }
        Ok(live)
    }

    async fn live_subject(&self, subject: &SubjectDef) -> Result<LiveSubject, RegistryError> {
        let level = self.level(&subject.subject).await?;
        let has_schema = self.has_schema(subject).await?;
        let incompatible = if has_schema { None } else { self.incompatibility(subject).await? };
        Ok(LiveSubject { level, has_schema, incompatible })
    }

    /// The level of a subject's own.
    async fn level(&self, subject: &str) -> Result<Option<Level>, RegistryError> {
        let route = format!("config/{subject}");
        let answer = match self.ask(Method::GET, &route, None, subject).await {
            Err(RegistryError::NotFound { .. }) => return Ok(None),
            answer => answer?,
        };
        let name = answer.get("compatibilityLevel").and_then(Value::as_str).unwrap_or_default();
        Ok(Level::parse(name))
    }

    async fn has_schema(&self, subject: &SubjectDef) -> Result<bool, RegistryError> {
        let body = body(subject).to_string();
        let call = SrCall::PostForVersion(&subject.subject, &body);
        match perform_sr_call(&self.settings, call).await {
            Ok(_) => Ok(true),
            Err(error) => match classify(&error, &subject.subject) {
                RegistryError::NotFound { .. } => Ok(false),
                error => Err(error),
            },
        }
    }

    /// Why the schema would be refused now.
    async fn incompatibility(&self, subject: &SubjectDef) -> Result<Option<String>, RegistryError> {
        let route = format!("compatibility/subjects/{}/versions?verbose=true", subject.subject);
        let answer = self.ask(Method::POST, &route, Some(body(subject)), &subject.subject).await?;
        if answer.get("is_compatible").and_then(Value::as_bool) != Some(false) {
            return Ok(None);
        }
        Ok(Some(explanation(&answer)))
    }

    /// Gives a subject a compatibility level.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn set_level(&self, subject: &str, level: Level) -> Result<(), RegistryError> {
        let body = json!({ "compatibility": level.as_str() });
        self.ask(Method::PUT, &format!("config/{subject}"), Some(body), subject).await.map(|_| ())
    }

    /// Registers a subject's schema; the same schema again yields the same id.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] with the registry's explanation, and others.
    pub async fn register(&self, subject: &SubjectDef) -> Result<u32, RegistryError> {
        let name = Some(subject.record.to_owned());
        let schema = SuppliedSchema::new(name, SchemaType::Avro, subject.schema.to_owned());
        match post_schema(&self.settings, subject.subject.clone(), schema).await {
            Ok(registered) => Ok(registered.id),
            Err(error) => Err(classify(&error, &subject.subject)),
        }
    }

    async fn ask(
        &self,
        method: Method,
        route: &str,
        body: Option<Value>,
        subject: &str,
    ) -> Result<Value, RegistryError> {
        let mut request = self.http.request(method, format!("{}/{route}", self.url));
        if let Some(username) = &self.endpoint.username {
            request = request.basic_auth(username, self.endpoint.password.as_deref());
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, CONTENT_TYPE).body(body.to_string());
        }
        let unreachable = |error: reqwest::Error| RegistryError::Unreachable {
            reason: chain(&error.without_url()),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                let reason = format!("answer passes {MAX_ANSWER_BYTES} bytes");
                return Err(RegistryError::Unreachable { reason });
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice::<Value>(&bytes);
        let status = response.status();
        if status.is_success() {
            return answer.map_err(|error| RegistryError::Unreachable {
                reason: format!("answer is no JSON: {error}"),
            });
        }
        let answer = answer.unwrap_or_default();
        let message = answer.get("message").and_then(Value::as_str);
        let message = message.map_or_else(|| format!("HTTP {status}"), bounded);
        Err(refused(status, message, subject))
    }
}

fn body(subject: &SubjectDef) -> Value {
    json!({ "schema": subject.schema, "schemaType": "AVRO" })
}

/// What a registry says of a schema that is not compatible: Confluent's in `messages`, Apicurio in `reason`.
fn explanation(answer: &Value) -> String {
    let messages = answer.get("messages").and_then(Value::as_array).into_iter().flatten();
    let reason = answer.get("reason");
    let words: Vec<&str> = messages.chain(reason).filter_map(Value::as_str).collect();
    if words.is_empty() {
        return "it is not compatible with the versions before".to_owned();
    }
    bounded(&words.join("; "))
}

/// Sorts a refusal by its status. Confluent's API reference lists them.
fn refused(status: StatusCode, reason: String, subject: &str) -> RegistryError {
    match status.as_u16() {
        401 | 403 => RegistryError::Unauthorized { reason },
        404 => RegistryError::NotFound { reason },
        409 => RegistryError::Incompatible { subject: subject.to_owned(), reason },
        408 | 429 | 500.. => RegistryError::Unreachable { reason },
        code => RegistryError::Refused { code: code.into(), reason },
    }
}

/// Sorts a failure of `schema_registry_converter` by Confluent's error code, which has either the
/// three digits of the HTTP status or five, which begin with them.
fn classify(error: &SRCError, subject: &str) -> RegistryError {
    let Some(answer) = error.source().and_then(|source| source.downcast_ref::<RawError>()) else {
        return RegistryError::Unreachable { reason: chain(error) };
    };
    let code = answer.error_code;
    let status = if code >= 10_000 { code / 100 } else { code };
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    match status {
        Some(status) => refused(status, bounded(&answer.message), subject),
        // A body that is no registry's, such as a proxy's error page.
        None => RegistryError::Unreachable { reason: chain(error) },
    }
}

/// The innermost causes name the refused connection or the time-out.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    bounded(&text)
}

/// One line of a stranger's words, of bounded length.
fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_REASON_BYTES);
    let text = text.get(..end).unwrap_or_default();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! A [`Registry`] behind the REST routes of Confluent's API reference, so that ordinary clients,
//! serialisers and deserialisers can use it.
//!
//! Bodies are bounded; a web page cannot write, since a JSON content type is required.

use std::{collections::HashMap, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::registry::{Level, MAX_SCHEMA_BYTES, Refusal, Registry, SchemaVersion, Which};

/// Content type of every answer.
pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Largest body in bytes: a schema as a JSON string is up to six times as long.
const MAX_BODY_BYTES: usize = 6 * MAX_SCHEMA_BYTES + 4096;

/// Longest wait for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The routes, to be served or nested.
pub fn router(registry: Registry) -> Router {
    Router::new()
        .route("/", get(|| async { answer(&json!({})) }))
        .route("/contexts", get(|| async { answer(&json!(["."])) }))
        .route("/mode", get(mode))
        .route("/mode/{subject}", get(subject_mode))
        .route("/config", get(level).put(set_level).delete(reset_level))
        .route(
            "/config/{subject}",
            get(subject_level).put(set_subject_level).delete(reset_subject_level),
        )
        .route("/schemas/types", get(|| async { answer(&json!(["AVRO"])) }))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/subjects", get(schema_subjects))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(find).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(referenced_by))
        .route("/compatibility/subjects/{subject}/versions", post(check_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(check_one))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found") })
        .method_not_allowed_fallback(|| async {
            failure(StatusCode::METHOD_NOT_ALLOWED, 405, "HTTP 405 Method Not Allowed")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(registry)
}

/// Why a request got no answer: refused by the registry, or not a request at all.
enum Failure {
    Refused(Refusal),
    Request(StatusCode, String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => {
                let status = StatusCode::from_u16(refusal.status())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                failure(status, refusal.code(), &refusal.to_string())
            }
            Self::Request(status, message) => failure(status, u32::from(status.as_u16()), &message),
        }
    }
}

type Answer = Result<Response, Failure>;

fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
}

fn failure(status: StatusCode, code: u32, message: &str) -> Response {
    let mut response = answer(&json!({"error_code": code, "message": message}));
    *response.status_mut() = status;
    response
}

/// The query of a request; clients set options that nobody needs, so all are let pass.
struct Options(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Options {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(options)) => Ok(Self(options)),
            Err(rejection) => Err(Failure::Request(StatusCode::BAD_REQUEST, rejection.body_text())),
        }
    }
}

impl Options {
    /// Whether an option is `true`, in whichever case: Python writes `True`.
    fn is_set(&self, name: &str) -> bool {
        let value = self.0.get(name);
        value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn deleted(&self) -> bool {
        self.is_set("deleted")
    }

    /// The part of a list that `offset` and `limit` ask for.
    fn page<T>(&self, items: Vec<T>) -> Vec<T> {
        let offset = self.0.get("offset").and_then(|text| text.parse().ok());
        let limit = self.0.get("limit").and_then(|text| text.parse().ok());
        let items = items.into_iter().skip(offset.unwrap_or(0));
        items.take(limit.unwrap_or(usize::MAX)).collect()
    }
}

/// The JSON body of a request.
struct Body(Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_json = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("json") || value == "application/octet-stream");
        if !is_json {
            // A page in somebody's browser can send plain text anywhere, but no JSON.
            return Err(Failure::Request(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("content type should be {CONTENT_TYPE}"),
            ));
        }
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > MAX_BODY_BYTES) {
            return Err(Failure::Request(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("body is longer than {MAX_BODY_BYTES} bytes"),
            ));
        }
        let reading = Bytes::from_request(request, state);
        let Ok(bytes) = tokio::time::timeout(BODY_TIMEOUT, reading).await else {
            return Err(Failure::Request(
                StatusCode::REQUEST_TIMEOUT,
                "body did not arrive in time".to_owned(),
            ));
        };
        let bytes = bytes
            .map_err(|rejection| Failure::Request(rejection.status(), rejection.body_text()))?;
        match serde_json::from_slice(&bytes) {
            Ok(body) => Ok(Self(body)),
            Err(error) => {
                Err(Failure::Request(StatusCode::BAD_REQUEST, format!("body is no JSON: {error}")))
            }
        }
    }
}

impl Body {
    /// The Avro schema in a request.
    fn schema(&self) -> Result<&str, Refusal> {
        let invalid = |text: &str| Err(Refusal::InvalidSchema(text.to_owned()));
        let field = |name: &str| self.0.get(name).filter(|value| !value.is_null());
        if field("schemaType").is_some_and(|value| value != "AVRO") {
            return invalid("schemaType should be AVRO, the only one supported");
        }
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        if field("references").is_some_and(|value| !is_empty(value)) {
            return invalid("references to other subjects are not supported");
        }
        if field("ruleSet").is_some() {
            return invalid("rule sets are not supported");
        }
        match field("schema").and_then(Value::as_str) {
            Some("") | None => invalid("Empty schema"),
            Some(text) => Ok(text),
        }
    }

    fn level(&self) -> Result<Level, Refusal> {
        let given = self.0.get("compatibility").unwrap_or(&Value::Null);
        let level = given.as_str().and_then(Level::parse);
        level.ok_or_else(|| Refusal::InvalidLevel(given.to_string()))
    }
}

fn parse_id(id: &str) -> Result<u32, Failure> {
    id.parse().map_err(|_| {
        // As Confluent's, whose path parameter is a number.
        Failure::Request(StatusCode::NOT_FOUND, "HTTP 404 Not Found".to_owned())
    })
}

fn version_body(version: &SchemaVersion) -> Value {
    json!({
        "subject": version.subject,
        "version": version.version,
        "id": version.id,
        "schema": &*version.schema,
    })
}

async fn mode() -> Response {
    answer(&json!({"mode": "READWRITE"}))
}

async fn subject_mode(Path(subject): Path<String>, options: Options) -> Answer {
    if options.is_set("defaultToGlobal") {
        return Ok(mode().await);
    }
    Err(Refusal::NoSubjectMode(subject).into())
}

async fn level(State(registry): State<Registry>) -> Answer {
    level_answer(registry.level(None, true).await?)
}

async fn subject_level(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    options: Options,
) -> Answer {
    let or_global = options.is_set("defaultToGlobal");
    level_answer(registry.level(Some(&subject), or_global).await?)
}

fn level_answer(level: Level) -> Answer {
    Ok(answer(&json!({"compatibilityLevel": level.as_str()})))
}

async fn set_level(State(registry): State<Registry>, body: Body) -> Answer {
    put_level(&registry, None, &body).await
}

async fn set_subject_level(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    body: Body,
) -> Answer {
    put_level(&registry, Some(&subject), &body).await
}

async fn put_level(registry: &Registry, subject: Option<&str>, body: &Body) -> Answer {
    let level = body.level()?;
    registry.set_level(subject, level).await?;
    Ok(answer(&json!({"compatibility": level.as_str()})))
}

async fn reset_level(State(registry): State<Registry>) -> Answer {
    level_answer(registry.reset_level(None).await?)
}

async fn reset_subject_level(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
) -> Answer {
    level_answer(registry.reset_level(Some(&subject)).await?)
}

async fn schema(State(registry): State<Registry>, Path(id): Path<String>) -> Answer {
    let text = registry.schema(parse_id(&id)?).await?;
    Ok(answer(&json!({"schema": &*text})))
}

async fn schema_text(State(registry): State<Registry>, Path(id): Path<String>) -> Answer {
    text_answer(&registry.schema(parse_id(&id)?).await?)
}

fn text_answer(schema: &str) -> Answer {
    let headers = [(header::CONTENT_TYPE, CONTENT_TYPE)];
    Ok((headers, schema.to_owned()).into_response())
}

async fn schema_subjects(
    State(registry): State<Registry>,
    Path(id): Path<String>,
    options: Options,
) -> Answer {
    let uses = registry.uses(parse_id(&id)?, options.deleted()).await?;
    let mut subjects: Vec<String> = uses.into_iter().map(|(subject, _)| subject).collect();
    subjects.dedup();
    Ok(answer(&json!(options.page(subjects))))
}

async fn schema_versions(
    State(registry): State<Registry>,
    Path(id): Path<String>,
    options: Options,
) -> Answer {
    let uses = registry.uses(parse_id(&id)?, options.deleted()).await?;
    let versions =
        uses.into_iter().map(|(subject, version)| json!({"subject": subject, "version": version}));
    Ok(answer(&json!(options.page(versions.collect()))))
}

async fn subjects(State(registry): State<Registry>, options: Options) -> Answer {
    let mut subjects = registry.subjects(options.deleted()).await;
    if let Some(prefix) = options.0.get("subjectPrefix") {
        // `:*:` stands for every context; there is only one.
        let prefix = prefix.strip_prefix(":*:").unwrap_or(prefix);
        subjects.retain(|subject| subject.starts_with(prefix));
    }
    Ok(answer(&json!(options.page(subjects))))
}

async fn find(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    options: Options,
    body: Body,
) -> Answer {
    let found = registry.find(&subject, body.schema()?, options.deleted()).await?;
    Ok(answer(&version_body(&found)))
}

async fn register(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    body: Body,
) -> Answer {
    let registered = registry.register(&subject, body.schema()?).await?;
    Ok(answer(&version_body(&registered)))
}

async fn delete_subject(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    options: Options,
) -> Answer {
    refuse_permanent(&options)?;
    Ok(answer(&json!(registry.delete_subject(&subject).await?)))
}

fn refuse_permanent(options: &Options) -> Result<(), Refusal> {
    if options.is_set("permanent") {
        let text = "a permanent deletion would leave values that nobody can read".to_owned();
        return Err(Refusal::NotPermitted(text));
    }
    Ok(())
}

async fn versions(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    options: Options,
) -> Answer {
    let versions = registry.versions(&subject, options.deleted()).await?;
    Ok(answer(&json!(options.page(versions))))
}

async fn version_at(
    registry: &Registry,
    (subject, version): (String, String),
    options: &Options,
) -> Result<SchemaVersion, Failure> {
    let which = Which::parse(&version)?;
    Ok(registry.version(&subject, which, options.deleted()).await?)
}

async fn version(
    State(registry): State<Registry>,
    Path(path): Path<(String, String)>,
    options: Options,
) -> Answer {
    let version = version_at(&registry, path, &options).await?;
    Ok(answer(&version_body(&version)))
}

async fn version_text(
    State(registry): State<Registry>,
    Path(path): Path<(String, String)>,
    options: Options,
) -> Answer {
    text_answer(&version_at(&registry, path, &options).await?.schema)
}

async fn referenced_by(
    State(registry): State<Registry>,
    Path(path): Path<(String, String)>,
    options: Options,
) -> Answer {
    version_at(&registry, path, &options).await?;
    Ok(answer(&json!([])))
}

async fn delete_version(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, String)>,
    options: Options,
) -> Answer {
    refuse_permanent(&options)?;
    let which = Which::parse(&version)?;
    Ok(answer(&json!(registry.delete_version(&subject, which).await?)))
}

async fn check_all(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    options: Options,
    body: Body,
) -> Answer {
    let text = body.schema()?;
    let reasons = registry.incompatibilities(&subject, None, text).await?;
    Ok(check_answer(reasons, &options))
}

async fn check_one(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, String)>,
    options: Options,
    body: Body,
) -> Answer {
    let which = Some(Which::parse(&version)?);
    let text = body.schema()?;
    let reasons = registry.incompatibilities(&subject, which, text).await?;
    Ok(check_answer(reasons, &options))
}

fn check_answer(reasons: Vec<String>, options: &Options) -> Response {
    let is_compatible = reasons.is_empty();
    if options.is_set("verbose") {
        return answer(&json!({"is_compatible": is_compatible, "messages": reasons}));
    }
    answer(&json!({"is_compatible": is_compatible}))
}

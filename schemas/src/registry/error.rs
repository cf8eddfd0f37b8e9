//! What a registry answers when it refuses, with the codes of Confluent's API reference.

/// Why the registry refused a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such subject.
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    /// No such version of the subject.
    #[error("Version {0} not found.")]
    VersionNotFound(String),
    /// No such schema.
    #[error("Schema not found")]
    SchemaNotFound,
    /// No schema with that id.
    #[error("Schema {0} not found")]
    IdNotFound(u32),
    /// The subject has been deleted before.
    #[error("Subject '{0}' was soft deleted.")]
    SubjectDeleted(String),
    /// The version has been deleted before.
    #[error("Subject '{subject}' Version {version} was soft deleted.")]
    VersionDeleted {
        /// Subject.
        subject: String,
        /// Version.
        version: u32,
    },
    /// The subject has no compatibility level of its own.
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectLevel(String),
    /// The subject has no mode of its own.
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoSubjectMode(String),
    /// The schema contradicts an earlier one.
    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {}",
        .reasons.join("; ")
    )]
    Incompatible {
        /// Subject.
        subject: String,
        /// What does not fit, and with which version.
        reasons: Vec<String>,
    },
    /// Not a schema, or not one that is supported here.
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    /// Not a version.
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    /// Not a compatibility level.
    #[error(
        "Invalid compatibility level {0:?}. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel(String),
    /// Not something this registry does.
    #[error("Operation not permitted: {0}")]
    NotPermitted(String),
    /// Not a subject.
    #[error("Invalid subject: {0}")]
    InvalidSubject(String),
    /// The store failed; another try may succeed.
    #[error("Error in the backend data store: {0}")]
    Store(String),
}

impl Refusal {
    /// Confluent's error code; its first three digits are the HTTP status.
    pub fn code(&self) -> u32 {
        match self {
            Self::SubjectNotFound(_) => 40_401,
            Self::VersionNotFound(_) => 40_402,
            Self::SchemaNotFound | Self::IdNotFound(_) => 40_403,
            Self::SubjectDeleted(_) => 40_404,
            Self::VersionDeleted { .. } => 40_406,
            Self::NoSubjectLevel(_) => 40_408,
            Self::NoSubjectMode(_) => 40_409,
            Self::Incompatible { .. } => 409,
            Self::InvalidSchema(_) => 42_201,
            Self::InvalidVersion(_) => 42_202,
            Self::InvalidLevel(_) => 42_203,
            Self::NotPermitted(_) => 42_205,
            Self::InvalidSubject(_) => 42_208,
            Self::Store(_) => 50_001,
        }
    }

    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        let code = self.code();
        let status = if code >= 10_000 { code / 100 } else { code };
        u16::try_from(status).unwrap_or(500)
    }
}

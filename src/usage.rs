//! Endings that have exit codes of their own.

/// The command line asks for what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);

/// `topology plan --check` found something to do.
#[derive(Debug, thiserror::Error)]
#[error("{0} topics or subjects differ; `hephaestus topology apply` changes what can be changed")]
pub(crate) struct Differs(pub(crate) usize);

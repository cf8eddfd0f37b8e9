//! From an approved change to its branch.
//!
//! Promises: what is opened is what was shown to who decided; a repeat opens nothing new.

use std::sync::Arc;

use hephaestus_repository_service::{
    ChangeSpec, CommitId, EditError, Host, HostError, OpenedChange, Repository, View, branch_name,
};

use crate::state::PendingChange;

/// Author of the commits.
pub const AUTHOR_NAME: &str = "Hephaestus";
/// Address of the author.
pub const AUTHOR_EMAIL: &str = "hephaestus@localhost";

/// Applies the edits at the base commit. Blocks.
///
/// # Errors
/// [`HostError::Retry`] where the repository cannot be read now, else [`HostError::Permanent`].
pub fn change_spec(
    change: &PendingChange,
    repository: Arc<dyn Repository>,
) -> Result<ChangeSpec, HostError> {
    let base_commit: CommitId =
        change.base_commit.parse().map_err(|error| permanent(&format!("base commit: {error}")))?;
    let mut view = View::new(repository, base_commit.clone());
    for edit in &change.edits {
        view.apply(edit).map_err(|error| edit_failed(&error))?;
    }
    if view.diff() != change.diff {
        return Err(permanent("the edits make another change than the one that was decided on"));
    }
    Ok(ChangeSpec {
        id: change.proposal_id.clone(),
        base_branch: change.base_branch.clone(),
        base_commit,
        branch: branch_name(&change.title, &change.proposal_id),
        title: change.title.clone(),
        description: change.description.clone(),
        fingerprint: change.fingerprint.clone(),
        origin: change.origin.clone(),
        files: view.new_files(),
        author_name: AUTHOR_NAME.to_owned(),
        author_email: AUTHOR_EMAIL.to_owned(),
        timestamp: change.proposed_at,
    })
}

/// Opens an approved change on its host, or finds it there.
///
/// # Errors
/// See [`HostError`]; [`HostError::Retry`] alone is worth another attempt.
pub async fn open_change(
    change: &PendingChange,
    repository: Arc<dyn Repository>,
    host: &dyn Host,
) -> Result<OpenedChange, HostError> {
    // Found before the repository is read: its base may be gone since the change was opened.
    if let Some(opened) = host.find(&change.proposal_id).await? {
        return Ok(opened);
    }
    let owned = change.clone();
    let spec = tokio::task::spawn_blocking(move || change_spec(&owned, repository)).await;
    let spec = spec.map_err(|error| HostError::Retry {
        reason: format!("the thread at the repository ended early: {error}"),
        after: None,
    })??;
    host.open(spec).await
}

fn permanent(reason: &str) -> HostError {
    HostError::Permanent { reason: reason.to_owned() }
}

fn edit_failed(error: &EditError) -> HostError {
    let reason = error.to_string();
    if error.is_retryable() {
        HostError::Retry { reason, after: None }
    } else {
        HostError::Permanent { reason }
    }
}

//! proposed-changes and decisions to change-requests.
//!
//! Promises: one change request for one incident at most, none without approval, none after a
//! rejection, in whatever order proposals and decisions arrive and however often.

pub mod machine;
pub mod opening;
pub mod stage;
pub mod state;

pub use machine::{Step, approved_changes, on_decision, on_failed, on_opened, on_proposal};
pub use opening::{change_spec, open_change};
pub use stage::ChangeRequester;
pub use state::{PendingChange, RepositoryState};

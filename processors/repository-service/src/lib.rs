//! Repository access, virtual state and hosts.
//!
//! Reads a repository at a commit, edits it in memory, and makes a branch of the result.
//! Promises: HEAD, index and working tree are never read and never touched.

mod diff;
pub mod error;
pub mod excerpt;
pub mod history;
pub mod host;
pub mod local;
pub mod local_host;
pub mod path;
pub mod repository;
pub mod resolve;
pub mod view;

pub use error::RepositoryError;
pub use excerpt::{Excerpt, excerpt};
pub use history::ChangedLines;
pub use host::{ChangeSpec, Host, HostError, OpenedChange, branch_name};
pub use local::LocalRepository;
pub use local_host::LocalHost;
pub use path::{PathError, check_path};
pub use repository::{CommitId, FileList, Repository, blocking};
pub use resolve::{FileLists, resolve_path};
pub use view::{EditError, FileChange, View};

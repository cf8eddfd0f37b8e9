//! The cases: each takes an engine without topics and asserts one promise.

pub(crate) mod append_read;
pub(crate) mod commits;
pub(crate) mod compaction;
pub(crate) mod fencing;
pub(crate) mod groups;
pub(crate) mod lag;
pub(crate) mod retention;
pub(crate) mod times;
pub(crate) mod topics;

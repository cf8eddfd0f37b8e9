//! The cases: each takes an engine without topics and asserts one promise.

pub mod append_read;
pub mod commits;
pub mod compaction;
pub mod fencing;
pub mod groups;
pub mod lag;
pub mod retention;
pub mod times;
pub mod topics;

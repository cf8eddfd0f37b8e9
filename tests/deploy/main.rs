//! The files that deploy the system: what they name exists, and is safe to run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod compose;
mod image;
mod kafka;
mod program;
mod support;

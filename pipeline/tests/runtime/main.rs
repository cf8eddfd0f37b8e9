//! The stage runtime on a real engine: what a stage is promised, whatever fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commits;
mod delivery;
mod failures;
mod state;
mod support;

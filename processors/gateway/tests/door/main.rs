//! The gateway over real sockets, against a log in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod control;
mod intake;
mod support;

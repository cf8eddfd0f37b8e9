//! Breaks a running pipeline on a real Kafka in every way a seed gives, and asserts what is promised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod oracle;
mod proxy;
mod schedule;

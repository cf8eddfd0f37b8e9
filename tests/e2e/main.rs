//! The program from outside: its commands, what they print, and how they end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod config;
mod decisions;
mod demo;
mod real_logs;
mod support;
mod topics;

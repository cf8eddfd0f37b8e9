//! The program from outside: its commands, what they print, and how they end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod bad_input;
mod cluster;
mod commands;
mod config;
mod crash;
mod decisions;
mod demo;
mod kafka;
mod real_logs;
mod secrets;
mod signals;
mod spread;
mod support;
mod topics;
mod topology_kafka;
mod up;

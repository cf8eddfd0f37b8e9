//! The door: HTTP in and out, and the control socket that commands use beside a running pipeline.
//!
//! Lines are acknowledged only once they are durable; every body, queue and wait is bounded.

pub mod budget;
pub mod control;
pub mod http;
pub mod lines;
pub mod raw;
pub mod serve;
pub mod source;

/// What this crate writes into the header `hephaestus-stage`.
pub const STAGE: &str = concat!("gateway/", env!("CARGO_PKG_VERSION"));

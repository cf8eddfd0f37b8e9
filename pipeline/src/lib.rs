//! The stage runtime: engines, delivery, retry, dead letters, keyed state, timers, telemetry.
//!
//! It knows topics, records and stages, and nothing of what is in them.

pub mod clock;
pub mod config;
pub mod engine;
pub mod health;
pub mod partitioner;
pub mod record;
pub mod retry;
pub mod runtime;
pub mod stage;
pub mod table;
pub mod telemetry;

//! The stage runtime: engines, delivery, retry, dead letters, keyed state, timers, telemetry.
//!
//! It knows topics, records and stages, and nothing of what is in them.

pub mod engine;
pub mod partitioner;
pub mod record;
pub mod stage;
pub mod table;

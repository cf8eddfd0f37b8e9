//! The changelog of a stage's keyed state.

use serde::{Deserialize, Serialize};

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Timer")]
pub struct TimerEntry {
    /// Name of the timer, unique within its key.
    pub name: String,
    /// When it fires, in milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// One entry of a stage's keyed state: its changelog's value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateEntry {
    /// Stage that owns the state.
    pub stage: String,
    /// The state as JSON, as the stage serialises it; `None` where only timers are left.
    pub state: Option<String>,
    /// Timers set for the key.
    #[serde(default)]
    pub timers: Vec<TimerEntry>,
}

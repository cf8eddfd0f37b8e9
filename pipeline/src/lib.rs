//! The stage runtime: engines, delivery, retry, dead letters, keyed state, timers, telemetry.

//! classified-logs to analyses: counts failures in event time, opens incidents, explains them.

pub mod evidence;
pub mod stage;
pub mod window;

pub use stage::Analyzer;

//! classified-logs to analyses: counts failures in event time, opens incidents, explains them; tells of what is
//! not usual.

pub mod config;
pub mod culprits;
pub mod evidence;
pub mod facts;
pub mod follow;
pub mod history;
pub mod roster;
pub mod season;
pub mod signal;
pub mod stage;
pub mod window;

pub use config::AnalyzerConfig;
pub use stage::Analyzer;

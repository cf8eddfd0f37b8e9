//! Registration and lifecycle of the nodes that are watched.
//!
//! Plain functions over plain values: a node's configuration, the table of nodes, a node's health.

pub mod config;
pub mod status;
pub mod table;

pub use config::{ConfigError, NodeConfig, nodes};
pub use status::next_status;
pub use table::NodeTable;

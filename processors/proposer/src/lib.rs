//! analyses to proposed-changes.
//!
//! Turns the edits for an analysis into a proposal, and lets it pass only through the gates.

pub mod describe;
pub mod gates;
pub mod markdown;
pub mod propose;
pub mod stage;

pub use gates::{Checks, Limits};
pub use propose::{proposal_id, propose};
pub use stage::Proposer;

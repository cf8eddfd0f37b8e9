//! A node's health, from when it was last heard of.
//!
//! Promises: a pure function; a retired node stays retired until it is registered again.

use hephaestus_schemas::NodeStatus;

/// The health of a node that is `status`, was last heard of (a log line or a heartbeat) at
/// `last_heard`, and counts as silent after `silent_after`. All times in microseconds since 1970 UTC,
/// `silent_after` in microseconds.
pub fn next_status(
    status: NodeStatus,
    last_heard: Option<i64>,
    now: i64,
    silent_after: i64,
) -> NodeStatus {
    if status == NodeStatus::Retired {
        return NodeStatus::Retired;
    }
    let Some(last_heard) = last_heard else {
        // Nothing to go by, as after a restart: what is known stays.
        return status;
    };
    // A clock that runs ahead on the other side makes a node no less healthy.
    let quiet_for = now.saturating_sub(last_heard);
    if quiet_for > silent_after { NodeStatus::Silent } else { NodeStatus::Healthy }
}

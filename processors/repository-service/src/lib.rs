//! Repository access, virtual state and hosts.

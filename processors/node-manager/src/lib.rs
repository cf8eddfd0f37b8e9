//! Registration and lifecycle of the nodes that are watched.

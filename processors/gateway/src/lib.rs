//! The door: HTTP in and out.

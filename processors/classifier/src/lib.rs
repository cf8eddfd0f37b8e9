//! raw-logs to classified-logs.

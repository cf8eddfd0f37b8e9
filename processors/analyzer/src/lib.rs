//! classified-logs to analyses.

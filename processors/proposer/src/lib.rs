//! analyses to proposed-changes.

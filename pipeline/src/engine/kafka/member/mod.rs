//! A member of a group: a consumer on a thread of its own, and a session that commits.

//! proposed-changes and decisions to change-requests.

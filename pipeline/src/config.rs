//! Configuration: one TOML file, `HEPHAESTUS_*` variables, flags; the later wins.
//!
//! Whatever is misspelt or of the wrong kind is refused, with where it stands and what would be right.

pub mod units;

pub use units::{ByteSize, HumanDuration};

//! Topics, stages and their wiring as code.

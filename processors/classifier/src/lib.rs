//! raw-logs to classified-logs: masks secrets, joins lines to events, and says what each event is.
//! Everything here is a pure function of its input; the state of a source is a plain value.

mod alias;
mod assemble;
mod category;
mod classify;
mod config;
mod culprit;
mod envelope;
pub mod evaluate;
pub mod exception;
pub mod fingerprint;
mod known;
mod mask;
mod offline;
mod otlp;
mod parse;
mod passed;
mod route;
mod rules;
mod scan;
mod severity;
pub mod stage;
mod steady;
pub mod template;
mod time;
mod view;

pub use alias::{PatternTable, Thresholds};
pub use assemble::{Assembled, Context, RawLine, SourceState};
pub use classify::{Classifier, Event};
pub use config::ClassifierConfig;
pub use culprit::{MAX_CULPRITS, rank as rank_culprits};
pub use envelope::Envelope;
pub use exception::is_test;
pub use mask::{Masked, Masker, SecretRule, SecretRuleError, SourceMasker};
pub use offline::{Inspected, InspectedEvent, Inspection, Summary};
pub use parse::{Format, Parsed, Request, parse, parse_as};
pub use rules::{MatchConfig, RuleConfig, RuleError};
pub use view::View;

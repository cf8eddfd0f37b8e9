//! Model providers, context, budgets and playbooks.
//!
//! A provider is asked for the cause of a failure and for edits; everything it is shown is bounded.

pub mod budget;
pub mod context;
pub mod edit;
pub mod language;
pub mod playbook;
pub mod provider;
pub mod syntax;

mod absence;
mod tree;

pub use budget::{Budget, bounded};
pub use edit::{EditError, anchored};
pub use language::Language;
pub use playbook::{Playbook, PlaybookError, PlaybookProvider};
pub use provider::{
    AnalysisRequest, Finding, ModelError, ModelProvider, ProposalRequest, SourceFile,
};
pub use syntax::{SyntaxReport, check};

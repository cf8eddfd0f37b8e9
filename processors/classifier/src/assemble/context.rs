//! The lines before an event, kept for whoever reads of it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::config::ClassifierConfig;
use crate::scan::cut;

/// The lines that came last, the oldest first, masked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Context {
    lines: VecDeque<String>,
}

impl Context {
    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.iter().map(String::len).sum()
    }

    /// Adds the last lines of an event that has so many.
    pub(super) fn add(&mut self, text: String, lines: u32, config: &ClassifierConfig) {
        if config.context_lines == 0 {
            return;
        }
        if lines == 1 {
            if text.capacity() > config.context_line_bytes {
                return self.add_line(&text, config);
            }
            while self.lines.len() >= config.context_lines {
                self.lines.pop_front();
            }
            return self.lines.push_back(text);
        }
        let mut last: Vec<&str> = text.rsplit('\n').take(config.context_lines).collect();
        last.reverse();
        for line in last {
            self.add_line(line, config);
        }
    }

    fn add_line(&mut self, line: &str, config: &ClassifierConfig) {
        let mut slot = String::new();
        while self.lines.len() >= config.context_lines {
            slot = self.lines.pop_front().unwrap_or_default();
        }
        slot.clear();
        slot.push_str(cut(line, config.context_line_bytes));
        self.lines.push_back(slot);
    }
}

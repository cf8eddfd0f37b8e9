//! What depends on a template alone, remembered: hashes and category rules run once a template.
//! Promises: bounded memory on each thread; a pure function of the template and the severity.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use hephaestus_schemas::Severity;

use crate::category::{Categories, Verdict};
use crate::{fingerprint, template};

/// Templates that one thread remembers.
const MAX_REMEMBERED: usize = 2_048;
/// Longest template, in bytes, that is remembered.
const MAX_TEMPLATE: usize = 512;

/// What follows from an event's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) template: String,
    pub(crate) pattern_id: String,
    pub(crate) fingerprint: String,
    pub(crate) category: &'static str,
    pub(crate) reason: &'static str,
}

impl Known {
    pub(crate) fn new(template: String, fingerprint: String, (category, reason): Verdict) -> Self {
        let pattern_id = template::pattern_id(&template);
        Self { template, pattern_id, fingerprint, category, reason }
    }

    fn of_line(template: &str, severity: Severity, categories: &Categories) -> Self {
        let fingerprint = fingerprint::of_line(template, severity >= Severity::Error);
        let verdict = categories.of_line(template, severity);
        Self::new(template.to_owned(), fingerprint, verdict)
    }
}

/// One slot for each class of severity that the rules tell apart.
type Slots = [Option<Rc<Known>>; 3];

#[derive(Default)]
struct Memory {
    templates: HashMap<String, Slots>,
    /// Where the template at hand is written.
    scratch: String,
}

thread_local! {
    // The rules are a fixed table, so that what one classifier learned holds for every other.
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// What is known of a line without an exception, by its message.
pub(crate) fn of_message(message: &str, severity: Severity, categories: &Categories) -> Rc<Known> {
    MEMORY.with_borrow_mut(|memory| {
        let mut template = std::mem::take(&mut memory.scratch);
        template.clear();
        template::template_into(message, &mut template);
        let known = memory.known(&template, severity, categories);
        memory.scratch = template;
        known
    })
}

impl Memory {
    fn known(&mut self, template: &str, severity: Severity, categories: &Categories) -> Rc<Known> {
        if template.len() > MAX_TEMPLATE {
            return Rc::new(Known::of_line(template, severity, categories));
        }
        let class = match severity {
            severity if severity >= Severity::Error => 2,
            Severity::Warn => 1,
            _ => 0,
        };
        if let Some(slots) = self.templates.get_mut(template) {
            if let Some(Some(known)) = slots.get(class) {
                return Rc::clone(known);
            }
            let known = Rc::new(Known::of_line(template, severity, categories));
            if let Some(slot) = slots.get_mut(class) {
                *slot = Some(Rc::clone(&known));
            }
            return known;
        }
        // Beginning anew costs little: a template is worked out again when it next comes.
        if self.templates.len() >= MAX_REMEMBERED {
            self.templates.clear();
        }
        let known = Rc::new(Known::of_line(template, severity, categories));
        let mut slots = Slots::default();
        if let Some(slot) = slots.get_mut(class) {
            *slot = Some(Rc::clone(&known));
        }
        self.templates.insert(template.to_owned(), slots);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_what_was_worked_out() {
        let categories = Categories::default();
        for round in 0..2 * MAX_REMEMBERED + 7 {
            let word: String = format!("{:x}", round % (MAX_REMEMBERED + 5))
                .bytes()
                .map(|byte| char::from(b'g' + byte % 16))
                .collect();
            let message = format!("connection of {word} refused after 7 s");
            for severity in [Severity::Info, Severity::Warn, Severity::Error, Severity::Info] {
                let known = of_message(&message, severity, &categories);
                let template = template::template(&message);
                assert_eq!(*known, Known::of_line(&template, severity, &categories));
            }
        }
        let remembered = MEMORY.with_borrow(|memory| memory.templates.len());
        assert!(remembered <= MAX_REMEMBERED);
    }
}

//! What depends on a template alone, remembered: hashes and category rules run once a template.
//! Promises: bounded memory on each thread; a pure function of the template and the severity.

mod messages;

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use foldhash::HashMap;
use hephaestus_schemas::Severity;

use crate::category::{Categories, Verdict};
use crate::template::Stamps;
use crate::{fingerprint, template};
use messages::Messages;

/// Templates that one thread remembers.
const MAX_REMEMBERED: usize = 2_048;
/// Longest template, in bytes, that is remembered.
const MAX_TEMPLATE: usize = 512;

/// What follows from an event's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) template: String,
    /// The pattern's id as a number, and as it is written.
    pub(crate) pattern: u64,
    pub(crate) pattern_id: String,
    pub(crate) fingerprint: String,
    pub(crate) category: Cow<'static, str>,
    pub(crate) reason: Cow<'static, str>,
}

impl Known {
    pub(crate) fn new(template: String, fingerprint: String, (category, reason): Verdict) -> Self {
        let pattern = template::pattern_number(&template);
        let pattern_id = template::written_id(pattern);
        let (category, reason) = (Cow::Borrowed(category), Cow::Borrowed(reason));
        Self { template, pattern, pattern_id, fingerprint, category, reason }
    }

    fn of_line(template: &str, severity: Severity, categories: &Categories) -> Self {
        let fingerprint = fingerprint::of_line(template, severity >= Severity::Error);
        let verdict = categories.of_line(template, severity);
        Self::new(template.to_owned(), fingerprint, verdict)
    }
}

/// One slot for each class of severity that the rules tell apart, and two for requests: whether
/// they report a failure.
type Slots = [Option<Rc<Known>>; 5];
/// The first slot of requests.
const REQUESTS: usize = 3;

#[derive(Default)]
struct Memory {
    templates: HashMap<String, Slots>,
    /// Where the template at hand is written.
    scratch: String,
    messages: Messages,
}

/// The class of a severity: the rules do not tell apart what shares one.
fn class_of(severity: Severity) -> usize {
    match severity {
        severity if severity >= Severity::Error => 2,
        Severity::Warn => 1,
        _ => 0,
    }
}

thread_local! {
    // The rules are a fixed table, so that what one classifier learned holds for every other.
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// What is known of a message that came before, or of one of the same form. There is no exception in such a one.
pub(crate) fn recall(message: &str, severity: Severity) -> Option<Rc<Known>> {
    MEMORY.with_borrow(|memory| memory.messages.recall(message, class_of(severity)).cloned())
}

/// What is known of a line without an exception, by its message.
pub(crate) fn of_message(message: &str, severity: Severity, categories: &Categories) -> Rc<Known> {
    MEMORY.with_borrow_mut(|memory| {
        let mut template = std::mem::take(&mut memory.scratch);
        template.clear();
        let mut stamps = Stamps::default();
        template::write(message, &mut template, &mut stamps);
        let class = class_of(severity);
        let known =
            memory.known(&template, class, || Known::of_line(&template, severity, categories));
        memory.scratch = template;
        if known.template.len() <= MAX_TEMPLATE {
            memory.messages.remember(message, class, stamps, &known);
        }
        known
    })
}

/// What is known of a request without an exception, by the template that `write` writes.
pub(crate) fn of_request(
    failing: bool,
    verdict: impl Fn(&str) -> Verdict,
    write: impl FnOnce(&mut String),
) -> Rc<Known> {
    MEMORY.with_borrow_mut(|memory| {
        let mut template = std::mem::take(&mut memory.scratch);
        template.clear();
        write(&mut template);
        let known = memory.known(&template, REQUESTS + usize::from(failing), || {
            Known::new(
                template.clone(),
                fingerprint::of_line(&template, failing),
                verdict(&template),
            )
        });
        memory.scratch = template;
        known
    })
}

impl Memory {
    fn known(&mut self, template: &str, class: usize, work_out: impl Fn() -> Known) -> Rc<Known> {
        if template.len() > MAX_TEMPLATE {
            return Rc::new(work_out());
        }
        if let Some(slots) = self.templates.get_mut(template) {
            if let Some(Some(known)) = slots.get(class) {
                return Rc::clone(known);
            }
            let known = Rc::new(work_out());
            if let Some(slot) = slots.get_mut(class) {
                *slot = Some(Rc::clone(&known));
            }
            return known;
        }
        // Beginning anew costs little: a template is worked out again when it next comes.
        if self.templates.len() >= MAX_REMEMBERED {
            self.templates.clear();
        }
        let known = Rc::new(work_out());
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
                assert_eq!(of_message(&message, severity, &categories), known);
                assert_eq!(recall(&message, severity).as_ref(), Some(&known));
                let template = template::template(&message);
                assert_eq!(*known, Known::of_line(&template, severity, &categories));
            }
        }
        let remembered = MEMORY.with_borrow(|memory| memory.templates.len());
        assert!(remembered <= MAX_REMEMBERED);
    }
}

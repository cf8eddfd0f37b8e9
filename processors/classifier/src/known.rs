//! What depends on a template alone, remembered: hashes and category rules run once a template.
//! Promises: bounded memory on each thread; a pure function of the template and the severity.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use foldhash::HashMap;
use hephaestus_schemas::Severity;

use crate::category::{Categories, Verdict};
use crate::{fingerprint, template};

/// Templates that one thread remembers.
const MAX_REMEMBERED: usize = 2_048;
/// Longest template, in bytes, that is remembered.
const MAX_TEMPLATE: usize = 512;

/// Messages that one thread remembers; a power of two.
const MAX_MESSAGES: usize = 8_192;
/// Longest message, in bytes, that is remembered.
const MAX_MESSAGE: usize = 384;

/// What follows from an event's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) template: String,
    pub(crate) pattern_id: String,
    pub(crate) fingerprint: String,
    pub(crate) category: Cow<'static, str>,
    pub(crate) reason: Cow<'static, str>,
}

impl Known {
    pub(crate) fn new(template: String, fingerprint: String, (category, reason): Verdict) -> Self {
        let pattern_id = template::pattern_id(&template);
        let (category, reason) = (Cow::Borrowed(category), Cow::Borrowed(reason));
        Self { template, pattern_id, fingerprint, category, reason }
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

/// Messages without an exception that came lately, each in the slot that its hash names. One is
/// kept when it comes again: those that never do cost no copy.
#[derive(Default)]
struct Messages {
    /// For each slot, a part of the hash of the message that came last.
    tags: Vec<u32>,
    slots: Vec<Option<Message>>,
}

struct Message {
    text: String,
    class: usize,
    known: Rc<Known>,
}

impl Messages {
    fn recall(&self, text: &str, class: usize) -> Option<&Rc<Known>> {
        let (index, tag) = place_of(text, class);
        if self.tags.get(index) != Some(&tag) {
            return None;
        }
        let message = self.slots.get(index)?.as_ref()?;
        (message.class == class && message.text == text).then_some(&message.known)
    }

    fn remember(&mut self, text: &str, class: usize, known: &Rc<Known>) {
        if text.len() > MAX_MESSAGE || known.template.len() > MAX_TEMPLATE {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(MAX_MESSAGES, || None);
            self.tags.resize(MAX_MESSAGES, 0);
        }
        let (index, tag) = place_of(text, class);
        let Some(last) = self.tags.get_mut(index) else { return };
        if *last != tag {
            *last = tag;
            return;
        }
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(Message { text: text.to_owned(), class, known: Rc::clone(known) });
        }
    }
}

/// The slot of a message, and its tag there. Messages that share a slot only forget each other.
fn place_of(text: &str, class: usize) -> (usize, u32) {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (text.len() as u64) << 2 | class as u64;
    let mut step = |word: u64| hash = (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for word in words {
        step(u64::from_le_bytes(*word));
    }
    let mut last = [0u8; 8];
    for (target, source) in last.iter_mut().zip(rest) {
        *target = *source;
    }
    step(u64::from_le_bytes(last));
    ((hash >> (u64::BITS - MAX_MESSAGES.ilog2())) as usize, (hash >> 16) as u32)
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

/// What is known of a message that came before. There is no exception in a message that is known.
pub(crate) fn recall(message: &str, severity: Severity) -> Option<Rc<Known>> {
    MEMORY.with_borrow(|memory| memory.messages.recall(message, class_of(severity)).cloned())
}

/// What is known of a line without an exception, by its message.
pub(crate) fn of_message(message: &str, severity: Severity, categories: &Categories) -> Rc<Known> {
    MEMORY.with_borrow_mut(|memory| {
        let mut template = std::mem::take(&mut memory.scratch);
        template.clear();
        template::template_into(message, &mut template);
        let class = class_of(severity);
        let known =
            memory.known(&template, class, || Known::of_line(&template, severity, categories));
        memory.scratch = template;
        memory.messages.remember(message, class_of(severity), &known);
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

//! Messages without an exception that came lately, by their form: the same but for their digits. What follows from a
//! template follows from the form, since a template shows no digit.
//! Promises: what is recalled is what would be worked out.

use std::rc::Rc;

use super::Known;
use crate::scan::at;
use crate::template::Stamps;

/// Messages that one thread remembers; a power of two.
const MAX_MESSAGES: usize = 8_192;
/// Longest message, in bytes, that is remembered; what is left of a word of eight may come on top.
const MAX_MESSAGE: usize = 384;

/// Messages, each in the slot that the hash of its form names. One is kept when its form comes again: those of which
/// none does cost no copy.
#[derive(Default)]
pub(super) struct Messages {
    /// For each slot, a part of the hash of the form that came last.
    tags: Vec<u32>,
    slots: Vec<Option<Message>>,
}

struct Message {
    form: Box<[u64]>,
    length: usize,
    class: usize,
    also: Also,
    known: Rc<Known>,
}

/// What messages of one form have to agree in.
enum Also {
    Stamps(Stamps),
    Digits(String),
}

impl Message {
    fn stands_for(&self, text: &str, class: usize, form: &Form) -> bool {
        (self.length, self.class) == (text.len(), class)
            && *self.form == *form.words()
            && match &self.also {
                Also::Stamps(stamps) => stamps.hold(text),
                Also::Digits(same) => same == text,
            }
    }
}

impl Messages {
    pub(super) fn recall(&self, text: &str, class: usize) -> Option<&Rc<Known>> {
        let form = Form::of(text)?;
        let (index, tag) = form.place(text.len(), class);
        if self.tags.get(index) != Some(&tag) {
            return None;
        }
        let message = self.slots.get(index)?.as_ref()?;
        message.stands_for(text, class, &form).then_some(&message.known)
    }

    /// Takes note of what was worked out from a message, in which time stamps were looked for as `stamps` says.
    pub(super) fn remember(&mut self, text: &str, class: usize, stamps: Stamps, known: &Rc<Known>) {
        let Some(form) = Form::of(text) else { return };
        if self.slots.is_empty() {
            self.slots.resize_with(MAX_MESSAGES, || None);
            self.tags.resize(MAX_MESSAGES, 0);
        }
        let (index, tag) = form.place(text.len(), class);
        let Some(last) = self.tags.get_mut(index) else { return };
        if *last != tag {
            *last = tag;
            return;
        }
        let Some(slot) = self.slots.get_mut(index) else { return };
        let also = if stamps.are_whole() && has_only_a_form(text) {
            Also::Stamps(stamps)
        } else {
            Also::Digits(text.to_owned())
        };
        let (form, length, known) = (form.words().into(), text.len(), Rc::clone(known));
        *slot = Some(Message { form, length, class, also, known });
    }
}

/// Whether what follows from a message follows from its form, and from the time stamps in it. It does not where a
/// digit may be told from another: in a placeholder's name, before the `x` of a hexadecimal number, and in traces,
/// which one line holds only where line feeds are escaped.
fn has_only_a_form(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.iter().enumerate().any(|(pos, byte)| match byte {
        b'\n' | b'\\' => true,
        b'<' => at(bytes, pos + 1).is_ascii_lowercase(),
        b'x' | b'X' => pos > 0 && at(bytes, pos - 1).is_ascii_digit(),
        _ => false,
    })
}

/// A message with a `0` in the place of each digit, by eight bytes.
struct Form {
    words: [u64; MAX_MESSAGE / 8 + 1],
    count: usize,
}

impl Form {
    /// The form of a message, unless that is too long.
    fn of(text: &str) -> Option<Self> {
        let (chunks, rest) = text.as_bytes().as_chunks::<8>();
        let mut words = [0; MAX_MESSAGE / 8 + 1];
        for (word, chunk) in words.get_mut(..chunks.len())?.iter_mut().zip(chunks) {
            *word = form_of(u64::from_le_bytes(*chunk));
        }
        let mut last = [0u8; 8];
        for (target, source) in last.iter_mut().zip(rest) {
            *target = *source;
        }
        *words.get_mut(chunks.len())? = form_of(u64::from_le_bytes(last));
        Some(Self { words, count: chunks.len() + 1 })
    }

    fn words(&self) -> &[u64] {
        self.words.get(..self.count).unwrap_or(&[])
    }

    /// The slot of messages of this form, and its tag there. Messages that share a slot only forget each other.
    fn place(&self, length: usize, class: usize) -> (usize, u32) {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut hash = (length as u64) << 2 | class as u64;
        for word in self.words() {
            hash = (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
        }
        ((hash >> (u64::BITS - MAX_MESSAGES.ilog2())) as usize, (hash >> 16) as u32)
    }
}

/// Eight bytes with a `0` in the place of each digit.
fn form_of(word: u64) -> u64 {
    const BYTES: u64 = u64::MAX / 0xff;
    // Of digits, and of no other byte, the distance to `0` is less than ten.
    let distance = word ^ (BYTES * 0x30);
    let other = ((distance & (BYTES * 0x7f)) + BYTES * (0x80 - 10)) | distance;
    let digits = !other & (BYTES * 0x80);
    word & !((digits >> 3) - (digits >> 7))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use hephaestus_schemas::Severity;
    use proptest::prelude::*;

    use super::*;
    use crate::category::Categories;
    use crate::exception::{Rules, find};
    use crate::template::{self, template};

    static CATEGORIES: LazyLock<Categories> = LazyLock::new(Categories::default);

    /// What follows from a message, and where time stamps were looked for.
    fn worked_out(text: &str) -> (Known, Stamps) {
        let (mut out, mut stamps) = (String::new(), Stamps::default());
        template::write(text, &mut out, &mut stamps);
        (Known::of_line(&out, Severity::Info, &CATEGORIES), stamps)
    }

    /// Remembers a message.
    fn remembering(text: &str) -> Messages {
        let mut messages = Messages::default();
        for _ in 0..2 {
            let (known, stamps) = worked_out(text);
            messages.remember(text, 0, stamps, &Rc::new(known));
        }
        messages
    }

    #[test]
    fn a_message_of_the_same_form_is_recalled() {
        for (first, second) in [
            ("served 17 in 250 ms", "served 93 in 101 ms"),
            ("from 10.0.0.1:80 to blk_-123", "from 99.9.8.7:12 to blk_-987"),
            ("at 2024-01-02 10:11:12 done 5", "at 2023-12-31 23:59:59 done 6"),
            ("the same \\n #0 again", "the same \\n #0 again"),
        ] {
            let messages = remembering(first);
            assert!(messages.recall(second, 0).is_some(), "{second}");
            assert!(messages.recall(second, 1).is_none(), "{second}");
        }
        for (first, second) in [
            ("served 17", "served 170"),
            ("served 17", "served ab"),
            ("at 2024-01-02 10:11:12 done", "at 2024-13-02 10:11:12 done"),
            ("reads 0x12", "reads 1x12"),
            ("for <secret:a1> now", "for <secret:a2> now"),
            ("the same \\n#0 again", "the same \\n#1 again"),
        ] {
            let messages = remembering(first);
            assert!(messages.recall(first, 0).is_some(), "{first}");
            assert!(messages.recall(second, 0).is_none(), "{second}");
        }
    }

    #[test]
    fn digits_have_one_form_and_all_else_its_own() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let word = |byte: u8| {
                    u64::from_le_bytes(*b"a0 /:9\xff@") & !(0xff << (8 * place))
                        | u64::from(byte) << (8 * place)
                };
                let expected = if byte.is_ascii_digit() { word(b'0') } else { word(byte) };
                assert_eq!(form_of(word(byte)), form_of(expected), "{byte} at {place}");
                let kept = form_of(word(byte)).to_le_bytes()[place];
                assert_eq!(kept, if byte.is_ascii_digit() { b'0' } else { byte });
            }
        }
    }

    /// Words of which the digits could matter.
    const WORDS: [&str; 40] = [
        "7",
        "42",
        "2024-01-02",
        "10:11:12",
        "2024-01-02T10:11:12Z",
        "Jan",
        "Sun,",
        "04",
        "2005",
        "17/06/09",
        "081109",
        "203615",
        "10.0.0.1:8080",
        "blk_-3886",
        "0x1f",
        "ffff00",
        "9f4ef6",
        "a1-b2",
        "core.7",
        "v1.2.3",
        "550e8400-e29b-41d4-a716-446655440000",
        "12ms",
        "5",
        "KB",
        "(2.78",
        "KB)",
        "<1",
        "sec",
        "<secret:k1:ab12>",
        "user",
        "bob7",
        "shop.rb:1234567890:in",
        "`pay':",
        "(E1Error)",
        "E1Error:",
        "S.swift:12:",
        "Fatal error: x",
        "\\n#0",
        "fe80::1ff:fe23:4567:890a",
        "1702",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn what_is_recalled_is_what_would_be_worked_out(
            words in prop::collection::vec(0usize..WORDS.len(), 1..7),
            digits in prop::collection::vec(b'0'..=b'9', 1..12),
        ) {
            let first = words.iter().map(|word| WORDS[*word]).collect::<Vec<_>>().join(" ");
            let mut digits = digits.iter().cycle();
            let other = |char: char| {
                let digit = if char.is_ascii_digit() { digits.next() } else { None };
                digit.map_or(char, |digit| char::from(*digit))
            };
            let second: String = first.chars().map(other).collect();
            let rules = Rules::default();
            for (first, second) in [(&first, &second), (&second, &first)] {
                if find(first, &rules).is_some() {
                    continue;
                }
                let messages = remembering(first);
                let (known, _) = worked_out(first);
                prop_assert_eq!(messages.recall(first, 0).map(|found| &**found), Some(&known));
                if let Some(recalled) = messages.recall(second, 0) {
                    prop_assert_eq!(&**recalled, &worked_out(second).0);
                    prop_assert!(find(second, &rules).is_none());
                }
            }
        }

        #[test]
        fn a_template_shows_no_digit(text in "[a-f0-9:./_<>(), \"'%-]{0,60}") {
            let template = template(&text);
            let shows = template.bytes().any(|byte| byte.is_ascii_digit());
            prop_assert!(!shows || !has_only_a_form(&text), "{template}");
        }
    }
}

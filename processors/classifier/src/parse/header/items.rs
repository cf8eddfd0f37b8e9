//! The items behind the first time stamp or severity of a header: what each may be, and when it is
//! certain that it does not belong to the message.

use wide::u8x16;

use super::{MAX_COMPONENT, MAX_FILLER, MAX_GROUP, MAX_ITEMS, Walk};
use crate::parse::logcat;
use crate::scan::{Bytes, at, first_near, from, run_end, skip_spaces, slice, token_end, trimmed};
use crate::severity;

impl Walk<'_> {
    pub(super) fn items(&mut self) {
        for _ in 0..MAX_ITEMS {
            self.separators();
            if self.pos >= self.bytes.len() || !self.item() {
                return;
            }
        }
    }

    /// Passes over spaces and single marks between items.
    pub(super) fn separators(&mut self) {
        self.after_separator = false;
        self.after_dash = false;
        loop {
            self.pos = skip_spaces(self.bytes, self.pos);
            let mark = at(self.bytes, self.pos);
            let end = run_end(self.bytes, self.pos, |byte| byte == b'-');
            let dashes = end - self.pos;
            if (1..=3).contains(&dashes) && matches!(at(self.bytes, end), b' ' | 0) {
                self.pos = end;
                self.after_dash = true;
            } else if matches!(mark, b'|' | b',' | b']')
                || (mark == b':' && matches!(at(self.bytes, self.pos + 1), b' ' | b'|' | 0))
            {
                self.pos += 1;
            } else {
                return;
            }
            self.after_separator = true;
        }
    }

    /// One item; false where the message begins.
    fn item(&mut self) -> bool {
        if self.component.is_none() && self.severity.is_none() && self.stamp(false) {
            // What follows a stamp of syslog's form is syslog's.
            return !self.syslog;
        }
        if self.timestamp.is_none() && self.stamp(true) {
            return !self.syslog;
        }
        if at(self.bytes, self.pos) == b'[' {
            return self.group();
        }
        let end = self.item_end();
        if self.component.is_none()
            && self.severity.is_none()
            && at(self.bytes, self.pos) == b'{'
            && at(self.bytes, end - 1) == b'}'
            && slice(self.line, self.pos + 1, end - 1).bytes().all(|byte| COMPONENT.has(byte))
        {
            // `{taskinstance.py:1824} ERROR - …`, as Airflow writes it: certain if a severity follows.
            self.component = Some((self.pos + 1, end - 1));
            self.pos = end;
            return true;
        }
        self.severity_item(end)
            || self.number_item(end)
            || self.component_item(end)
            || self.filler_item(end)
    }

    /// The item's end: a space or a bar.
    fn item_end(&self) -> usize {
        let rest = from(self.bytes, self.pos);
        let [space, tab, bar] = [b' ', b'\t', b'|'].map(u8x16::splat);
        let ends = |bytes: u8x16| bytes.simd_eq(space) | bytes.simd_eq(tab) | bytes.simd_eq(bar);
        first_near(rest, ends)
            .or_else(|| memchr::memchr3(b' ', b'\t', b'|', rest))
            .map_or(self.bytes.len(), |end| self.pos + end)
    }

    fn severity_item(&mut self, end: usize) -> bool {
        if self.severity.is_some() {
            return false;
        }
        let word_end = run_end(self.bytes, self.pos, |byte| byte.is_ascii_alphabetic());
        let word = self.bytes.get(self.pos..word_end).unwrap_or(&[]);
        let next = at(self.bytes, word_end);
        if next == b'/' && at(self.bytes, end.saturating_sub(1)) == b']' {
            return self.worker_item(end, word_end);
        }
        if word.len() == 1 {
            return self.letter_item(end, word_end, next);
        }
        if next == b'.' {
            return self.channel_item(end);
        }
        if word_end != end && !matches!(next, b':' | b',' | b'|' | b']') {
            return false;
        }
        let Some(severity) = severity::from_word(word) else { return false };
        let upper = word.iter().all(u8::is_ascii_uppercase);
        let aligned = next == b'\t' || (next == b' ' && at(self.bytes, word_end + 1) == b' ');
        let marked = matches!(next, b':' | b'|' | b']') || self.after_separator || aligned;
        if !upper && !marked {
            return false;
        }
        self.severity = Some(severity);
        self.pos = word_end + usize::from(matches!(next, b':' | b',' | b'|' | b']'));
        self.commit();
        true
    }

    /// `ERROR/ForkPoolWorker-1]`, as Celery writes it.
    fn worker_item(&mut self, end: usize, word_end: usize) -> bool {
        let word = self.bytes.get(self.pos..word_end).unwrap_or(&[]);
        let is_upper = word.iter().all(u8::is_ascii_uppercase);
        let Some(severity) = severity::from_word(word).filter(|_| is_upper) else { return false };
        self.severity = Some(severity);
        self.process = Some((word_end + 1, end - 1));
        self.pos = end;
        self.commit();
        true
    }

    /// `channel.ERROR:`, as Monolog's `LineFormatter` writes it.
    fn channel_item(&mut self, end: usize) -> bool {
        let token = slice(self.line, self.pos, end);
        let Some((channel, level)) =
            token.strip_suffix(':').and_then(|token| token.rsplit_once('.'))
        else {
            return false;
        };
        let is_upper = level.bytes().all(|byte| byte.is_ascii_uppercase());
        let severity = severity::from_word(level.as_bytes()).filter(|_| is_upper);
        let Some(severity) = severity.filter(|_| self.timestamp.is_some()) else { return false };
        self.severity = Some(severity);
        self.component = Some((self.pos, self.pos + channel.len()));
        self.pos = end;
        self.commit();
        true
    }

    /// `1702  2395 D WindowManager: …` (Android), where numbers stand before the letter.
    fn letter_item(&mut self, end: usize, word_end: usize, next: u8) -> bool {
        let slashed = next == b'/';
        if !(slashed || (self.numbers > 0 && word_end == end)) {
            return false;
        }
        let Some(severity) = severity::from_letter(at(self.bytes, self.pos)) else { return false };
        self.severity = Some(severity);
        self.letter = true;
        self.pos = word_end + usize::from(slashed);
        self.commit();
        if slashed {
            self.tag_with_process();
        }
        true
    }

    /// `Radio(  701): …`, as Android writes it behind `E/`.
    fn tag_with_process(&mut self) {
        let Some(tagged) = logcat::tagged(self.bytes, self.pos) else { return };
        self.component = Some((self.pos, tagged.tag_end));
        self.process = Some(tagged.process);
        self.pos = tagged.end;
        self.commit();
    }

    /// A number: a process or thread id, certain only when more of the header follows.
    fn number_item(&mut self, end: usize) -> bool {
        let digits_end =
            run_end(self.bytes, self.pos, |byte| byte.is_ascii_digit() || byte == b'#');
        let marked = at(self.bytes, digits_end) == b':' && digits_end + 1 == end;
        if digits_end == self.pos || !(digits_end == end || marked) || self.numbers >= 3 {
            return false;
        }
        self.numbers += 1;
        let first = self.process.is_none();
        if first {
            self.process = Some((self.pos, digits_end));
        } else if self.thread.is_none() {
            self.thread = Some((self.pos, digits_end));
        }
        self.pos = end;
        self.after_component = false;
        let barred = at(self.bytes, end) == b'|';
        let dashed = self.bytes.get(end..end + 4).is_some_and(|next| next == b" ---");
        if marked || barred || dashed {
            self.committed = end;
        }
        true
    }

    /// A group in brackets: thread, process, request ids.
    fn group(&mut self) -> bool {
        let Some(close) = closing_bracket(self.bytes, self.pos) else { return false };
        let content = slice(self.line, self.pos + 1, close);
        let trimmed = trimmed(content);
        if self.severity.is_none() {
            let word = trimmed.rsplit(':').next().unwrap_or("");
            if let Some(severity) = severity::from_word(word.as_bytes()) {
                self.severity = Some(severity);
                self.pos = close + 1;
                self.commit();
                return true;
            }
        }
        let end = close + 1;
        let next = at(self.bytes, end);
        let client = trimmed.starts_with("client ");
        if client || self.numbers_of_groups() >= 4 {
            return false;
        }
        let behind = skip_spaces(self.bytes, end);
        let dashed = at(self.bytes, behind) == b'-' && at(self.bytes, behind + 1) == b' ';
        let colon = next == b':' && at(self.bytes, end + 1) == b' ';
        let one_word = !trimmed.is_empty() && !trimmed.contains(' ');
        let follows_component = self.after_component;
        let range = (self.pos + 1, close);
        if self.thread.is_none() {
            self.thread = Some(range);
        }
        self.pos = end + usize::from(colon);
        self.fillers += 1;
        if dashed || colon || one_word || follows_component || trimmed.starts_with("pid ") {
            self.commit();
        }
        true
    }

    /// Groups and stray words share one bound.
    fn numbers_of_groups(&self) -> u32 {
        self.fillers
    }

    /// A component: a logger, a class, a tag, a source file.
    fn component_item(&mut self, end: usize) -> bool {
        if self.component.is_some() || end - self.pos > MAX_COMPONENT {
            return false;
        }
        let token = slice(self.line, self.pos, end);
        let bytes = token.as_bytes();
        let first = bytes.first().copied().unwrap_or(0);
        let program = first.is_ascii_digit()
            && bytes.iter().any(u8::is_ascii_alphabetic)
            && !bytes.contains(&b':');
        if !(first.is_ascii_alphabetic() || first == b'_' || program) {
            return false;
        }
        let next = at(self.bytes, end);
        let (name, colon) = match token.strip_suffix(':') {
            Some(name) => (name, true),
            None => (token.trim_end_matches(']'), false),
        };
        if !name.bytes().all(|byte| COMPONENT.has(byte)) {
            return false;
        }
        let next_at = skip_spaces(self.bytes, end);
        let aligned = next == b' ' && next_at > end + 1;
        // A note on the component, such as `*64`.
        let note = if colon { next_at } else { note_end(self.bytes, next_at) };
        let behind = skip_spaces(self.bytes, note);
        let mark = at(self.bytes, behind);
        let dashed = mark == b'-' && at(self.bytes, behind + 1) == b' ';
        let coloned = mark == b':' && at(self.bytes, behind + 1) == b' ';
        let barred = next == b'|';
        let closed = token.ends_with(']') && !token.contains('[');
        let technical = is_technical(name);
        let certain = if colon {
            (technical && (self.severity.is_some() || has_place(name)))
                || (self.letter && !name.is_empty())
        } else if barred || closed {
            true
        } else if (dashed || coloned) && self.severity.is_some() && self.after_dash {
            // Behind `… - ` the message has begun, unless a logger's name says otherwise.
            technical
        } else if dashed || coloned {
            technical || self.severity.is_some() || self.after_separator || self.timestamp.is_some()
        } else {
            aligned && self.severity.is_some() && self.after_severity_alignment()
        };
        if certain {
            self.component = Some((self.pos, self.pos + name.len()));
            self.pos = if dashed { note } else { end };
            self.commit();
            return true;
        }
        let followed_by_group = mark == b'[' && technical && self.severity.is_some() && !colon;
        if followed_by_group {
            self.component = Some((self.pos, self.pos + name.len()));
            self.pos = end;
            self.after_component = true;
            return true;
        }
        false
    }

    /// Whether the severity stood in a column of its own, so that the next word may as well:
    /// `Info                  CBS    Loaded …`.
    fn after_severity_alignment(&self) -> bool {
        self.pos >= self.committed + 2
    }

    /// A word between the time stamp and the severity, such as a node's or a facility's name: no
    /// word of prose.
    fn filler_item(&mut self, end: usize) -> bool {
        if self.severity.is_some() || self.timestamp.is_none() || self.fillers >= MAX_FILLER {
            return false;
        }
        let token = self.bytes.get(self.pos..end).unwrap_or(&[]);
        let separated = {
            let behind = skip_spaces(self.bytes, end);
            at(self.bytes, end) == b'|'
                || (at(self.bytes, behind) == b'-' && at(self.bytes, behind + 1) == b' ')
        };
        let prose = token.iter().any(u8::is_ascii_lowercase)
            && !token.iter().any(|byte| {
                byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'@')
            });
        let closes = token
            .last()
            .is_some_and(|last| matches!(last, b'.' | b',' | b';' | b'!' | b'?' | b':'));
        let marks = token.iter().all(|byte| LABEL.has(*byte));
        if (prose && !separated) || closes || !marks {
            return false;
        }
        self.fillers += 1;
        self.pos = end;
        self.after_component = false;
        true
    }
}

/// The bracket that closes the one at `open`, over nested ones.
fn closing_bracket(bytes: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0u32;
    let window = bytes.get(open..bytes.len().min(open + MAX_GROUP))?;
    window
        .iter()
        .position(|byte| match byte {
            b'[' => {
                depth += 1;
                false
            }
            b']' => {
                depth -= 1;
                depth == 0
            }
            _ => false,
        })
        .map(|length| open + length)
}

/// The end of a short word without letters at `pos`, or `pos` where another stands there.
fn note_end(bytes: &[u8], pos: usize) -> usize {
    const MAX_NOTE: usize = 6;
    let end = token_end(bytes, pos);
    let word = bytes.get(pos..end).unwrap_or(&[]);
    let opens = matches!(word.first(), Some(b'*' | b'#' | b'('));
    let letters = word.iter().any(u8::is_ascii_alphabetic);
    if opens && !letters && word.len() <= MAX_NOTE { end } else { pos }
}

/// The bytes of a label.
pub(super) static LABEL: Bytes = Bytes::alphanumeric_or(b".-_:/#@+");
/// The bytes of a component.
static COMPONENT: Bytes = Bytes::alphanumeric_or(b"_.$-/:()[]@#<>*");

pub(super) fn is_component_byte_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/')
}

/// Whether a word looks like the name of a logger, class or module rather than like prose.
fn is_technical(name: &str) -> bool {
    let bytes = name.as_bytes();
    let inner = bytes.get(1..).unwrap_or(&[]);
    let is_marked = || {
        let is_mark =
            |byte: &u8| matches!(byte, b'.' | b'$' | b'_' | b'/' | b'[' | b':' | b'@' | b'-');
        inner.iter().any(is_mark)
    };
    let has_hump = || {
        let is_hump = |(a, b): (&u8, &u8)| a.is_ascii_lowercase() && b.is_ascii_uppercase();
        bytes.iter().zip(inner).any(is_hump)
    };
    let ends_well = bytes
        .last()
        .is_some_and(|last| last.is_ascii_alphanumeric() || matches!(last, b')' | b']' | b'>'));
    // A host and port, or an address, is a value.
    let value = bytes.first().is_some_and(u8::is_ascii_digit)
        && (bytes.contains(&b':') || !bytes.iter().any(u8::is_ascii_alphabetic));
    ends_well && !value && (is_marked() || has_hump())
}

/// Whether a name carries a source position or a process id, as `main.go:23` and `sshd[12]` do.
fn has_place(name: &str) -> bool {
    let last = name.as_bytes().last().copied().unwrap_or(0);
    last == b']' || (last.is_ascii_digit() && name.contains(':') && name.contains('.'))
}

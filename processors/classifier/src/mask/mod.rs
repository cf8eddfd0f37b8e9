//! Masks secrets and personal data, line by line, before anything else sees the line: what this
//! lets pass is written to topics and shown to people and models.
//! Promises: typed placeholders, JSON stays JSON, no allocation for a clean line, linear time.

mod assign;
mod names;
mod needles;
mod numbers;
mod own;
mod personal;
mod private_key;
mod providers;
mod quote;
mod sieve;
mod tag;
#[cfg(test)]
mod tests;
mod tokens;
mod values;

use std::borrow::Cow;
use std::collections::BTreeSet;

use hephaestus_pipeline::config::Secret;

use crate::config::ClassifierConfig;
use crate::scan::{slice, tail};

pub use own::{SecretRule, SecretRuleError};
pub(crate) use private_key::PRIVATE_KEY;
pub(crate) use tag::{is_placeholder, placeholder, without_tags};

use needles::{Needle, Needles};
use tag::Tagger;

/// A part of a line to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span<'m> {
    start: usize,
    end: usize,
    /// What it is: `secret:…`, or a kind of personal data.
    kind: &'m str,
    form: Form,
}

/// How a placeholder is written, so that JSON stays JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is: inside a text.
    Plain,
    /// In quotes: in the place of a number.
    Quoted,
    /// As the number 0: in the place of a number in a document whose quotes are escaped.
    Zero,
}

impl<'m> Span<'m> {
    fn new(start: usize, end: usize, kind: &'m str) -> Self {
        Self { start, end, kind, form: Form::Plain }
    }
}

/// A line without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked<'a> {
    /// The line; borrowed where nothing was found.
    pub text: Cow<'a, str>,
    /// How many secrets were replaced.
    pub count: u32,
    /// Whether the line lies inside a private key that began on an earlier line.
    pub inside_key: bool,
}

/// Finds and replaces secrets; built once and shared by every source.
#[derive(Debug, Clone)]
pub struct Masker {
    needles: Needles,
    names: assign::Names,
    rules: Vec<SecretRule>,
    /// Values that are no secrets.
    allowed: BTreeSet<String>,
    tagger: Tagger,
}

impl Default for Masker {
    fn default() -> Self {
        Self::new(&ClassifierConfig::default())
    }
}

/// A masker for the lines of one source, by whose name the tags of its placeholders are made.
#[derive(Debug, Clone, Copy)]
pub struct SourceMasker<'m> {
    masker: &'m Masker,
    source: &'m str,
}

impl SourceMasker<'_> {
    /// Masks one line. `key_lines` is the source's state: lines of a private key still awaited.
    pub fn mask<'a>(&self, line: &'a str, key_lines: &mut u32) -> Masked<'a> {
        self.masker.mask_line(line, key_lines, Some(self.source))
    }
}

impl Masker {
    /// A masker for the built-in rules and those of the configuration.
    pub fn new(config: &ClassifierConfig) -> Self {
        let names = assign::Names::new(&config.secret_keys, &config.not_secret_keys);
        Self {
            needles: Needles::new(names.needles()),
            names,
            rules: config.secret_rules.clone(),
            allowed: config.not_secrets.iter().cloned().collect(),
            tagger: Tagger::new(config.mask_key.as_ref().map(Secret::expose)),
        }
    }

    /// The masker for lines of this source.
    pub fn of<'m>(&'m self, source: &'m str) -> SourceMasker<'m> {
        SourceMasker { masker: self, source }
    }

    /// Masks one line of no source: placeholders bear no tags. `key_lines` as for a source.
    pub fn mask<'a>(&self, line: &'a str, key_lines: &mut u32) -> Masked<'a> {
        self.mask_line(line, key_lines, None)
    }

    fn mask_line<'a>(
        &self,
        line: &'a str,
        key_lines: &mut u32,
        source: Option<&str>,
    ) -> Masked<'a> {
        if *key_lines > 0
            && let Some((before, rest)) = private_key::inside(line, key_lines)
        {
            let text = Cow::Owned(format!("{before}{PRIVATE_KEY}{rest}"));
            return Masked { text, count: 0, inside_key: true };
        }
        let mut spans = self.spans(line, key_lines);
        numbers::find(line.as_bytes(), &mut spans);
        for rule in &self.rules {
            rule.find(line, &mut spans);
        }
        if !self.allowed.is_empty() {
            spans.retain(|span| !self.allowed.contains(slice(line, span.start, span.end)));
        }
        if spans.is_empty() {
            return Masked { text: Cow::Borrowed(line), count: 0, inside_key: false };
        }
        spans.sort_by_key(|span| (span.start, usize::MAX - span.end));
        let (text, count) = self.replace(line, &spans, source);
        Masked { text: Cow::Owned(text), count, inside_key: false }
    }

    fn spans<'m>(&'m self, line: &str, key_lines: &mut u32) -> Vec<Span<'m>> {
        let bytes = line.as_bytes();
        let mut spans = Vec::new();
        let mut done = 0;
        let mut no_jwt = 0;
        let mut no_key_end = false;
        for start in self.needles.places(bytes) {
            if start < done {
                continue;
            }
            let mut needles = self.needles.at(bytes, start).peekable();
            if needles.peek().is_none() {
                continue;
            }
            // The words inside a placeholder are no names.
            if let Some((_, end)) = tag::placeholder(bytes, start.saturating_sub(1)) {
                done = end;
                continue;
            }
            let span = needles.find_map(|(needle, end)| match needle {
                Needle::Name => self.names.value(line, start, end),
                Needle::Provider => providers::key(bytes, start),
                Needle::Jwt if start < no_jwt => None,
                Needle::Jwt => match tokens::jwt(bytes, start) {
                    Ok(span) => Some(span),
                    Err(end) => {
                        no_jwt = end;
                        None
                    }
                },
                Needle::Bearer => tokens::bearer(bytes, start, end),
                Needle::PrivateKey => private_key::begins(bytes, start, key_lines, &mut no_key_end),
                Needle::UrlAuthority => tokens::url_password(bytes, end),
                Needle::Webhook => tokens::webhook(bytes, end),
                Needle::Telegram => tokens::telegram(bytes, start),
                Needle::AzureSecret => {
                    tokens::around_mark(bytes, (start, end), (4, 30), "secret:azure-secret")
                }
                Needle::Terraform => {
                    tokens::around_mark(bytes, (start, end), (14, 60), "secret:terraform-token")
                }
                Needle::IdentifiedBy => tokens::identified(bytes, end),
                Needle::Email => tokens::source_password(bytes, start, done)
                    .or_else(|| personal::email(bytes, (start, end), done)),
                Needle::Phone => personal::phone(bytes, start),
            });
            if let Some(span) = span {
                done = span.end;
                spans.push(span);
            }
        }
        spans
    }

    /// Writes `line` with its spans, sorted, replaced. What lies in two spans is in no case kept.
    fn replace(&self, line: &str, spans: &[Span<'_>], source: Option<&str>) -> (String, u32) {
        let mut text = String::with_capacity(line.len() + 32);
        let mut done = 0;
        let mut count = 0;
        for span in spans {
            if span.start < done {
                done = done.max(span.end);
                continue;
            }
            text.push_str(slice(line, done, span.start));
            let value = slice(line, span.start, span.end);
            let tag = source.and_then(|source| self.tagger.tag(source, span.kind, value));
            match span.form {
                Form::Plain => tag::write(&mut text, span, tag.as_deref()),
                Form::Quoted => {
                    text.push('"');
                    tag::write(&mut text, span, tag.as_deref());
                    text.push('"');
                }
                Form::Zero => text.push('0'),
            }
            done = span.end;
            count += 1;
        }
        text.push_str(tail(line, done));
        (text, count)
    }
}

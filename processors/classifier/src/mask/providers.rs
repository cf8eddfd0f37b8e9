//! Keys and tokens of providers, told by a prefix that the provider gave them.

use super::Span;
use super::quote::word_begins;
use crate::scan::{from, run_end};

/// What a key is made of behind its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Capital letters and digits.
    Upper,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_` and `-`: base64url.
    Word,
    /// The same and `.`.
    Dotted,
    /// Letters, digits and what else stands in base64, `_`, `-`, `.` and `:`.
    Base64,
}

/// A kind of key, told by its prefix.
#[derive(Debug)]
struct Rule {
    prefix: &'static str,
    kind: &'static str,
    alphabet: Alphabet,
    /// Fewest and most bytes behind the prefix.
    length: (usize, usize),
}

const fn at_least(
    prefix: &'static str,
    kind: &'static str,
    alphabet: Alphabet,
    min: usize,
) -> Rule {
    Rule { prefix, kind, alphabet, length: (min, usize::MAX) }
}

const fn exactly(
    prefix: &'static str,
    kind: &'static str,
    alphabet: Alphabet,
    length: usize,
) -> Rule {
    Rule { prefix, kind, alphabet, length: (length, length) }
}

use Alphabet::{Alnum, Base64, Dotted, Hex, Upper, Word};

// No crate has such rules as data under a fitting licence: those that exist are programs, or some two hundred regular
// expressions, each of which a line would have to pass. A prefix is found for all of them at once.
/// Prefixes, alphabets and lengths as the providers document them, lengths on the generous side. A
/// prefix stands behind every longer one that begins with it.
const RULES: [Rule; 106] = [
    exactly("AKIA", "secret:aws-key", Upper, 16),
    exactly("ASIA", "secret:aws-key", Upper, 16),
    exactly("ABIA", "secret:aws-key", Upper, 16),
    exactly("ACCA", "secret:aws-key", Upper, 16),
    at_least("IQoJb3JpZ2lu", "secret:aws-session", Base64, 40),
    at_least("FwoGZXIvYXdz", "secret:aws-session", Base64, 40),
    at_least("AIza", "secret:google-key", Word, 30),
    at_least("ya29.", "secret:google-token", Dotted, 20),
    at_least("GOCSPX-", "secret:google-secret", Word, 20),
    at_least("1//0", "secret:google-token", Word, 40),
    at_least("ghp_", "secret:github-token", Alnum, 30),
    at_least("gho_", "secret:github-token", Alnum, 30),
    at_least("ghu_", "secret:github-token", Alnum, 30),
    at_least("ghs_", "secret:github-token", Alnum, 30),
    at_least("ghr_", "secret:github-token", Alnum, 30),
    at_least("github_pat_", "secret:github-token", Word, 22),
    at_least("glpat-", "secret:gitlab-token", Dotted, 16),
    at_least("gldt-", "secret:gitlab-token", Word, 16),
    at_least("glrt-", "secret:gitlab-token", Dotted, 16),
    at_least("glptt-", "secret:gitlab-token", Word, 16),
    at_least("glft-", "secret:gitlab-token", Word, 16),
    at_least("glcbt-", "secret:gitlab-token", Word, 16),
    at_least("glsoat-", "secret:gitlab-token", Word, 16),
    at_least("glimt-", "secret:gitlab-token", Word, 16),
    at_least("glagent-", "secret:gitlab-token", Word, 16),
    at_least("gloas-", "secret:gitlab-token", Word, 16),
    at_least("xoxb-", "secret:slack-token", Word, 10),
    at_least("xoxp-", "secret:slack-token", Word, 10),
    at_least("xoxa-", "secret:slack-token", Word, 10),
    at_least("xoxr-", "secret:slack-token", Word, 10),
    at_least("xoxs-", "secret:slack-token", Word, 10),
    at_least("xoxo-", "secret:slack-token", Word, 10),
    at_least("xoxe-", "secret:slack-token", Word, 10),
    at_least("xoxe.xox", "secret:slack-token", Word, 10),
    at_least("xapp-", "secret:slack-token", Word, 10),
    at_least("sk_live_", "secret:stripe-key", Alnum, 10),
    at_least("sk_test_", "secret:stripe-key", Alnum, 10),
    at_least("rk_live_", "secret:stripe-key", Alnum, 10),
    at_least("rk_test_", "secret:stripe-key", Alnum, 10),
    at_least("whsec_", "secret:webhook-secret", Base64, 20),
    exactly("SK", "secret:twilio-key", Hex, 32),
    at_least("SG.", "secret:sendgrid-key", Dotted, 30),
    exactly("key-", "secret:mailgun-key", Hex, 32),
    at_least("xkeysib-", "secret:brevo-key", Word, 30),
    at_least("npm_", "secret:npm-token", Alnum, 30),
    at_least("pypi-", "secret:pypi-token", Word, 30),
    at_least("rubygems_", "secret:rubygems-key", Hex, 40),
    at_least("CLOJARS_", "secret:clojars-token", Alnum, 50),
    at_least("dckr_pat_", "secret:docker-token", Word, 20),
    at_least("dckr_oat_", "secret:docker-token", Word, 20),
    at_least("dop_v1_", "secret:digitalocean-token", Hex, 40),
    at_least("doo_v1_", "secret:digitalocean-token", Hex, 40),
    at_least("dor_v1_", "secret:digitalocean-token", Hex, 40),
    at_least("HRKU-", "secret:heroku-key", Word, 30),
    at_least("hf_", "secret:hf-token", Alnum, 30),
    at_least("sk-ant-", "secret:anthropic-key", Word, 20),
    at_least("sk-proj-", "secret:openai-key", Word, 20),
    at_least("sk-svcacct-", "secret:openai-key", Word, 20),
    at_least("sk-or-v1-", "secret:openrouter-key", Hex, 40),
    at_least("sk-", "secret:api-key", Word, 20),
    at_least("gsk_", "secret:groq-key", Alnum, 40),
    at_least("xai-", "secret:xai-key", Alnum, 60),
    at_least("pplx-", "secret:perplexity-key", Alnum, 40),
    at_least("r8_", "secret:replicate-token", Alnum, 30),
    at_least("shpat_", "secret:shopify-token", Alnum, 30),
    at_least("shpca_", "secret:shopify-token", Alnum, 30),
    at_least("shppa_", "secret:shopify-token", Alnum, 30),
    at_least("shpss_", "secret:shopify-token", Alnum, 30),
    at_least("sq0atp-", "secret:square-token", Word, 22),
    at_least("sq0csp-", "secret:square-token", Word, 22),
    at_least("EAAA", "secret:square-token", Word, 56),
    at_least("NRAK-", "secret:newrelic-key", Upper, 24),
    at_least("NRII-", "secret:newrelic-key", Word, 30),
    at_least("NRJS-", "secret:newrelic-key", Word, 18),
    at_least("sntrys_", "secret:sentry-token", Base64, 40),
    at_least("sntryu_", "secret:sentry-token", Hex, 40),
    at_least("hvs.", "secret:vault-token", Word, 20),
    at_least("hvb.", "secret:vault-token", Word, 20),
    at_least("hvr.", "secret:vault-token", Word, 20),
    at_least("dp.pt.", "secret:doppler-token", Alnum, 30),
    at_least("dp.st.", "secret:doppler-token", Dotted, 30),
    at_least("dp.ct.", "secret:doppler-token", Alnum, 30),
    at_least("dp.sa.", "secret:doppler-token", Alnum, 30),
    at_least("dp.scim.", "secret:doppler-token", Alnum, 30),
    exactly("dapi", "secret:databricks-token", Hex, 32),
    at_least("ATATT3", "secret:atlassian-token", Base64, 60),
    at_least("ATCTT3", "secret:atlassian-token", Base64, 60),
    at_least("ATBB", "secret:atlassian-token", Alnum, 24),
    at_least("lin_api_", "secret:linear-key", Alnum, 30),
    at_least("lin_oauth_", "secret:linear-key", Alnum, 30),
    at_least("ntn_", "secret:notion-token", Alnum, 40),
    at_least("AGE-SECRET-KEY-1", "secret:age-key", Upper, 50),
    at_least("glsa_", "secret:grafana-token", Word, 32),
    at_least("glc_", "secret:grafana-token", Base64, 32),
    at_least("PMAK-", "secret:postman-key", Word, 50),
    at_least("pscale_tkn_", "secret:planetscale-token", Dotted, 30),
    at_least("pscale_pw_", "secret:planetscale-token", Dotted, 30),
    at_least("pul-", "secret:pulumi-token", Hex, 40),
    at_least("fm2_", "secret:fly-token", Base64, 60),
    at_least("sbp_", "secret:supabase-key", Hex, 40),
    at_least("figd_", "secret:figma-token", Word, 36),
    at_least("dt0c01.", "secret:dynatrace-token", Dotted, 60),
    at_least("bkua_", "secret:buildkite-token", Hex, 40),
    at_least("CCIPAT_", "secret:circleci-token", Word, 30),
    exactly("LTAI", "secret:alibaba-key", Alnum, 20),
    exactly("AKID", "secret:tencent-key", Alnum, 32),
];

/// Prefixes shorter than this may end a longer word; they must begin one.
const MIN_TELLING: usize = 5;
/// Bytes behind a prefix in which it is decided whether a key stands there.
const MAX_LOOK: usize = 128;

/// Texts of which one stands at the beginning of every key (as written), none at that of another.
pub(super) fn needles() -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for rule in &RULES {
        let is_covered = RULES.iter().any(|other| {
            other.prefix.len() < rule.prefix.len() && rule.prefix.starts_with(other.prefix)
        });
        match rule.prefix {
            _ if is_covered => {}
            // So short that it stands in many words: with the digit behind it, it does not.
            "SK" => texts.extend("0123456789abcdef".chars().map(|digit| format!("SK{digit}"))),
            prefix => texts.push(prefix.to_owned()),
        }
    }
    texts
}

/// A provider's key whose prefix may stand at `start`.
pub(super) fn key(bytes: &[u8], start: usize) -> Option<Span<'static>> {
    RULES.iter().find_map(|rule| rule.matches(bytes, start))
}

impl Rule {
    fn matches(&self, bytes: &[u8], start: usize) -> Option<Span<'static>> {
        let prefix = self.prefix.as_bytes();
        if !from(bytes, start).starts_with(prefix) {
            return None;
        }
        if prefix.len() < MIN_TELLING && !word_begins(bytes, start) {
            return None;
        }
        let body = start + prefix.len();
        let keep = |byte| self.alphabet.holds(byte);
        let looked_end = run_end(bytes.get(..bytes.len().min(body + MAX_LOOK))?, body, keep);
        let looked = bytes.get(body..looked_end)?;
        let (min, max) = self.length;
        if looked.len() < min || looked.len() > max || !self.is_telling(looked) {
            return None;
        }
        let mut end = run_end(bytes, looked_end, keep);
        // The full stop that ends a sentence is no part of it.
        while matches!(bytes.get(end - 1), Some(b'.' | b':')) {
            end -= 1;
        }
        Some(Span::new(start, end, self.kind))
    }
}

impl Rule {
    /// Whether a key is no word: capitals of one length make none, and may hold no digit by chance.
    fn is_telling(&self, body: &[u8]) -> bool {
        self.alphabet == Upper || is_random(body)
    }
}

impl Alphabet {
    fn holds(self, byte: u8) -> bool {
        match self {
            Hex => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
            Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alnum => byte.is_ascii_alphanumeric(),
            Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Dotted => Word.holds(byte) || byte == b'.',
            Base64 => Dotted.holds(byte) || matches!(byte, b'+' | b'/' | b'=' | b':'),
        }
    }
}

/// Whether a text is no word: a long word with hyphens holds neither digits nor both cases.
pub(super) fn is_random(text: &[u8]) -> bool {
    let any = |is: fn(&u8) -> bool| text.iter().any(is);
    any(u8::is_ascii_digit) || (any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn every_rule_finds_its_own_key_and_no_other_rule_hides_it() {
        for rule in &RULES {
            let body = match rule.alphabet {
                Hex => "0a1b2c3d4e5f6789",
                Upper => "A1B2C3D4E5F6G7H8",
                _ => "a1B2c3D4e5F6g7H8",
            };
            let length = rule.length.0.max(1);
            let body: String = body.chars().cycle().take(length).collect();
            let text = format!("x {}{body} y", rule.prefix);
            let found = key(text.as_bytes(), 2).expect(rule.prefix);
            assert_eq!(found, Span::new(2, text.len() - 2, rule.kind), "{}", rule.prefix);
            assert!(needles().iter().any(|needle| text[2..].starts_with(needle.as_str())));
            let short = format!("{}{}", rule.prefix, &body[1..]);
            let is_longer_kind =
                key(short.as_bytes(), 0).is_some_and(|found| found.kind == rule.kind);
            assert!(!is_longer_kind, "{}", rule.prefix);
        }
    }

    #[test]
    fn words_are_no_keys() {
        for text in [
            "sk-learn-pipelines-and-more-words",
            "npm_config_user_agent_is_a_long_name",
            "AKIAS",
            "hf_transfer",
        ] {
            assert_eq!(key(text.as_bytes(), 0), None, "{text}");
        }
        assert_eq!(key(b"risk-0123456789abcdefghijklmn", 2), None);
    }
}

//! What a secret begins with, or stands beside: where in a line such texts are.

use super::sieve::{Sieve, Start};
use super::{personal, private_key, providers};
use crate::scan::{at, from, holds};

/// What a needle found in a line may be the beginning of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needle {
    /// The name of a field that holds a secret.
    Name,
    /// A key that its prefix gives away.
    Provider,
    Jwt,
    Bearer,
    PrivateKey,
    UrlAuthority,
    Webhook,
    Telegram,
    IdentifiedBy,
    AzureSecret,
    Terraform,
    Email,
    Phone,
}

/// What an address has.
const AT: &str = "@";
/// What stands before the authority of a URL.
const AUTHORITY: &str = "://";

/// Texts that are found in any case, and what they begin.
const ANY_CASE: [(&str, Needle); 10] = [
    ("bearer ", Needle::Bearer),
    ("identified by ", Needle::IdentifiedBy),
    (private_key::NEEDLES[0], Needle::PrivateKey),
    (private_key::NEEDLES[1], Needle::PrivateKey),
    (AUTHORITY, Needle::UrlAuthority),
    ("hooks.slack.com/", Needle::Webhook),
    ("/api/webhooks/", Needle::Webhook),
    (AT, Needle::Email),
    ("%40", Needle::Email),
    ("\\u0040", Needle::Email),
];

/// Texts that are found as they are written, and what they begin.
const AS_WRITTEN: [(&str, Needle); 4] = [
    ("eyJ", Needle::Jwt),
    (":AA", Needle::Telegram),
    ("Q~", Needle::AzureSecret),
    (".atlasv1.", Needle::Terraform),
];

/// Every needle, found by a sieve.
#[derive(Debug, Clone)]
pub(super) struct Needles {
    sieve: Sieve,
    /// By their first bytes, small letters for capitals.
    starts: Vec<(Start, Needle)>,
    /// For each first byte the place of the first of its needles; that of the next byte ends them.
    index: Box<[usize; 257]>,
}

impl Needles {
    /// The built-in needles, and those of the names that hold secrets.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let start = |text: String, any_case| Start { text, any_case };
        let names = names.map(|text| (start(text.to_owned(), true), Needle::Name));
        let any_case =
            ANY_CASE.into_iter().map(|(text, needle)| (start(text.to_owned(), true), needle));
        let as_written =
            AS_WRITTEN.into_iter().map(|(text, needle)| (start(text.to_owned(), false), needle));
        let keys =
            providers::needles().into_iter().map(|text| (start(text, false), Needle::Provider));
        let phones = personal::phone_starts().map(|text| (start(text, false), Needle::Phone));
        let mut starts: Vec<(Start, Needle)> =
            names.chain(any_case).chain(as_written).chain(keys).chain(phones).collect();
        starts.sort_by_key(|(start, _)| start.first());
        let mut index = Box::new([0; 257]);
        for (byte, place) in index.iter_mut().enumerate() {
            *place = starts.partition_point(|(start, _)| usize::from(start.first()) < byte);
        }
        // Those two take a `@` somewhere, which is looked for by itself: many lines hold a URL.
        let is_sieved = |start: &Start| start.text != AT && start.text != AUTHORITY;
        let sieved: Vec<&Start> =
            starts.iter().map(|(start, _)| start).filter(|start| is_sieved(start)).collect();
        Self { sieve: Sieve::new(&sieved), starts, index }
    }

    /// Where a needle may begin, in order.
    pub(super) fn places(&self, line: &[u8]) -> Vec<usize> {
        let mut places = Vec::new();
        self.sieve.find(line, &mut places);
        if holds(line, b'@') {
            places.extend(memchr::memchr_iter(b'@', line));
            places.extend(memchr::memmem::find_iter(line, AUTHORITY));
            places.sort_unstable();
        }
        places
    }

    /// The needles that begin at a position, and their ends.
    pub(super) fn at(&self, line: &[u8], pos: usize) -> impl Iterator<Item = (Needle, usize)> {
        let rest = from(line, pos);
        let first = usize::from(at(rest, 0).to_ascii_lowercase());
        let [begin, end] = [first, first + 1].map(|byte| self.index[byte]);
        let starts = self.starts.get(begin..end).unwrap_or(&[]).iter();
        starts
            .filter(|(start, _)| start.begins(rest))
            .map(move |(start, needle)| (*needle, pos + start.text.len()))
    }
}

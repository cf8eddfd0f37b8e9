//! Tells in one quick pass that a line holds none of the needles, as nearly every line does.
//! Promises: never passes over a line that holds one, in any case.

use std::ops::Range;

use crate::scan::at;

/// Bytes of a needle that are compared in the quick pass.
const COMPARED: usize = 3;
/// Positions that are asked about at once.
const BLOCK: usize = 32;
/// Bytes of a needle that are compared where the quick pass found something.
const COMPARED_CLOSELY: usize = 6;

/// Bits that groups share where there are more groups than bits.
const SHARED: usize = 24;

/// For each place in a needle and each byte, the needles that have it there, one bit each. The steps
/// of a pass do not wait for one another, as those of an automaton do.
#[derive(Debug, Clone)]
pub(super) struct Sieve {
    places: Box<[[u64; 256]; COMPARED_CLOSELY]>,
}

/// The beginning of something, as it is looked for.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) text: String,
    /// Whether capitals and small letters are the same.
    pub(super) any_case: bool,
}

impl Sieve {
    pub(super) fn new(starts: &[Start]) -> Self {
        let mut places = Box::new([[0u64; 256]; COMPARED_CLOSELY]);
        let mut groups: Vec<[u8; 2]> = Vec::new();
        for start in starts {
            let group = group_of(start);
            let index = groups.iter().position(|known| *known == group).unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            // Where the bits do not suffice, the later groups, which are rare, share the last ones.
            let place = if index < 64 { index } else { 64 - SHARED + index % SHARED };
            let bit = 1u64 << place;
            for (place, masks) in places.iter_mut().enumerate() {
                let Some(byte) = start.text.as_bytes().get(place) else {
                    // A shorter needle ends here: whatever follows fits.
                    masks.iter_mut().for_each(|mask| *mask |= bit);
                    continue;
                };
                let cases = if start.any_case {
                    [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]
                } else {
                    [*byte; 2]
                };
                for case in cases {
                    if let Some(mask) = masks.get_mut(usize::from(case)) {
                        *mask |= bit;
                    }
                }
            }
        }
        Self { places }
    }

    /// The first and the last position at which a needle may begin. Block by block it is first asked
    /// whether the first bytes of one stand anywhere, which most answer with no.
    pub(super) fn range(&self, line: &[u8]) -> Option<(usize, usize)> {
        let mut range = None;
        let mut start = 0;
        while start < line.len() {
            let end = line.len().min(start + BLOCK);
            let mut found = 0;
            let block = line.get(start..line.len().min(end + COMPARED - 1)).unwrap_or(&[]);
            for window in block.windows(COMPARED) {
                if let [first, second, third] = window {
                    found |= self.needles_at(*first, *second, *third);
                }
            }
            if found != 0 {
                self.extend(&mut range, line, start..end);
            }
            start = end;
        }
        // Nobody has looked yet at what is shorter than what is compared.
        self.extend(&mut range, line, line.len().saturating_sub(COMPARED - 1)..line.len());
        range
    }

    /// Extends a range by the positions at which a needle may begin.
    fn extend(&self, range: &mut Option<(usize, usize)>, line: &[u8], positions: Range<usize>) {
        for pos in positions {
            if self.is_close(line, pos) {
                *range = Some((range.map_or(pos, |(first, _)| first), pos));
            }
        }
    }

    /// Whether a needle may begin at a position, compared more closely.
    fn is_close(&self, line: &[u8], pos: usize) -> bool {
        let mut needles = self.needles_at(at(line, pos), at(line, pos + 1), at(line, pos + 2));
        if needles == 0 {
            return false;
        }
        for (place, masks) in self.places.iter().enumerate().skip(COMPARED) {
            needles &= masks[usize::from(at(line, pos + place))];
        }
        needles != 0
    }

    #[inline]
    fn needles_at(&self, first: u8, second: u8, third: u8) -> u64 {
        let [firsts, seconds, thirds, ..] = &*self.places;
        firsts[usize::from(first)] & seconds[usize::from(second)] & thirds[usize::from(third)]
    }
}

/// Needles that begin alike share a bit: together they let pass little more than each alone.
fn group_of(start: &Start) -> [u8; 2] {
    let byte = |place: usize| {
        let byte = at(start.text.as_bytes(), place);
        if start.any_case { byte.to_ascii_lowercase() } else { byte }
    };
    match byte(0) {
        mark @ (b'+' | b'(' | b'?' | b'&' | b'\\') => [mark, 0],
        // Capitals and digits as they are written are rare, whatever follows.
        first if first.is_ascii_uppercase() || first.is_ascii_digit() => [first, 0],
        first => [first, byte(1)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_with_a_needle_is_passed_over() {
        let needles = ["password", "@", "hf_", "ab"].map(str::to_owned);
        let mut starts = needles.clone().map(|text| Start { text, any_case: true }).to_vec();
        starts.push(Start { text: "AsIs".to_owned(), any_case: false });
        let sieve = Sieve::new(&starts);
        assert!(sieve.range(b"xAsIs").is_some() && sieve.range(b"xasis").is_none());
        for needle in &needles {
            for before in 0..2 * BLOCK + 3 {
                for text in [needle.clone(), needle.to_ascii_uppercase()] {
                    let line = format!("{}{text}", " ".repeat(before));
                    assert_eq!(sieve.range(line.as_bytes()), Some((before, before)), "{line}");
                    let range = sieve.range(format!("{line} xyz").as_bytes());
                    assert_eq!(range, Some((before, before)), "{line}");
                }
            }
        }
        let ranges = [
            ("", None),
            ("check pass; no passport", None),
            ("a passWORD=1", Some((2, 2))),
            ("x@y, password, hf_1, hf", Some((1, 15))),
        ];
        for (line, expected) in ranges {
            assert_eq!(sieve.range(line.as_bytes()), expected, "{line}");
        }
        for line in ["", "a", "ba", "block of size 5 from 10.0.0.1", "pass word"] {
            assert_eq!(sieve.range(line.as_bytes()), None, "{line}");
        }
    }
}

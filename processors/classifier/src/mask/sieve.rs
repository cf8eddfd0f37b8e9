//! Tells in one quick pass that a line holds none of the needles, as nearly every line does.
//! Promises: never passes over one, in any case.

use std::ops::Range;

use crate::scan::at;

/// Positions that are asked about at once.
const BLOCK: usize = 32;
/// Bytes of a needle that are compared in the quick pass: two pairs.
const COMPARED: usize = 4;
/// Bytes of a needle that are compared where the quick pass found something.
const COMPARED_CLOSELY: usize = 6;
/// Bits of a pair that tell it from others: all of ASCII of its first byte, and of its second without the case.
const PAIR: u16 = 0x1f7f;

/// Bits that groups share where there are more groups than bits.
const SHARED: usize = 16;

/// For each place in a needle and what stands there the needles that have it there, one bit each. The steps
/// of a pass do not wait for one another, as those of an automaton do.
#[derive(Debug, Clone)]
pub(super) struct Sieve {
    /// By the pairs of bytes that lie on even positions of a line: the needles of which a first, and of which a next
    /// one lies there.
    pairs: Box<[[u64; 2]; PAIR as usize + 1]>,
    /// By bytes.
    bytes: Box<[[u64; 256]; COMPARED_CLOSELY]>,
}

/// The beginning of something, as it is looked for.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) text: String,
    /// Whether capitals and small letters are the same.
    pub(super) any_case: bool,
}

impl Sieve {
    pub(super) fn new(starts: &[&Start]) -> Self {
        let mut pairs = Box::new([[0u64; 2]; PAIR as usize + 1]);
        let mut bytes = Box::new([[0u64; 256]; COMPARED_CLOSELY]);
        let mut groups: Vec<([u8; 2], bool)> = Vec::new();
        let mut bit_of = |group: ([u8; 2], bool)| {
            let index = groups.iter().position(|known| *known == group).unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            // Where the bits do not suffice, the later groups, which are rare, share the last ones.
            1u64 << if index < 64 { index } else { 64 - SHARED + index % SHARED }
        };
        // Short ones have bits of their own: what they share with others lets more pass. Marks stand in many lines.
        let mut starts = starts.to_vec();
        let is_word =
            |start: &Start| start.text.starts_with(|first: char| first.is_ascii_alphanumeric());
        starts.sort_by_key(|start| (!start.is_short(), is_word(start)));
        for start in starts {
            let group = group_of(start);
            let mut bits = 0;
            for (is_odd, [one, two, three, four]) in [false, true].into_iter().zip(start.pairs()) {
                // The half of a short one that is any byte would let pass what begins as its other half does.
                let bit = bit_of((group, is_odd && start.is_short()));
                start.each_pair(one, two, |place| pairs[place][0] |= bit);
                start.each_pair(three, four, |place| pairs[place][1] |= bit);
                bits |= bit;
            }
            for (place, masks) in bytes.iter_mut().enumerate() {
                for byte in start.bytes_at(Some(place)) {
                    masks[usize::from(byte)] |= bits;
                }
            }
        }
        Self { pairs, bytes }
    }

    /// Adds the positions at which a needle may begin, in order. Block by block it is first asked whether
    /// two pairs of one stand anywhere, which most answer with no.
    pub(super) fn find(&self, line: &[u8], places: &mut Vec<usize>) {
        let mut firsts = 0;
        let (blocks, rest) = line.as_chunks::<BLOCK>();
        let mut pos = 0;
        for block in blocks {
            let (pairs, _) = block.as_chunks();
            let before = firsts;
            if self.any_pass(&mut firsts, pairs) {
                self.look_closely(line, before, pos, pairs, places);
            }
            pos += BLOCK;
        }
        let (pairs, _) = rest.as_chunks();
        let before = firsts;
        if self.any_pass(&mut firsts, pairs) {
            self.look_closely(line, before, pos, pairs, places);
        }
        // What ends with the line may lack its next pair.
        if firsts != 0 {
            self.add(line, line.len().saturating_sub(COMPARED)..line.len(), places);
        }
    }

    /// Whether one of these pairs is the next one of any needle.
    #[inline]
    fn any_pass(&self, firsts: &mut u64, pairs: &[[u8; 2]]) -> bool {
        pairs.iter().fold(0, |found, pair| found | self.pass(firsts, *pair)) != 0
    }

    /// Adds the positions of needles whose next pair is among these, of which the first lies at `pos`.
    fn look_closely(
        &self,
        line: &[u8],
        mut firsts: u64,
        pos: usize,
        pairs: &[[u8; 2]],
        places: &mut Vec<usize>,
    ) {
        for (pair, pos) in pairs.iter().zip((pos..).step_by(2)) {
            if self.pass(&mut firsts, *pair) != 0 {
                // The needle begins up to a pair and a byte before.
                self.add(line, pos.saturating_sub(COMPARED - 1)..pos, places);
            }
        }
    }

    /// The needles of which this pair is the next one, behind a pair that is the first of those in `firsts`.
    #[inline]
    fn pass(&self, firsts: &mut u64, pair: [u8; 2]) -> u64 {
        let [as_first, as_next] = self.pairs[place_of(pair)];
        std::mem::replace(firsts, as_first) & as_next
    }

    /// Adds those positions of a range at which a needle may begin. Ranges overlap.
    fn add(&self, line: &[u8], positions: Range<usize>, places: &mut Vec<usize>) {
        let start = places.last().map_or(0, |last| last + 1).max(positions.start);
        places.extend((start..positions.end).filter(|pos| self.is_close(line, *pos)));
    }

    /// Whether a needle may begin at a position, compared more closely.
    fn is_close(&self, line: &[u8], pos: usize) -> bool {
        let mut needles = u64::MAX;
        for (place, masks) in self.bytes.iter().enumerate() {
            needles &= masks[usize::from(at(line, pos + place))];
            if needles == 0 {
                return false;
            }
        }
        true
    }
}

impl Start {
    /// Its first byte, a small letter for a capital.
    pub(super) fn first(&self) -> u8 {
        at(self.text.as_bytes(), 0).to_ascii_lowercase()
    }

    /// Whether a text begins with it.
    pub(super) fn begins(&self, text: &[u8]) -> bool {
        let start = self.text.as_bytes();
        // Most that begin with the same byte end here.
        if start.len() > 1 && (at(start, 1) ^ at(text, 1)) & !0x20 != 0 {
            return false;
        }
        let begin = text.get(..start.len()).unwrap_or(&[]);
        if self.any_case { begin.eq_ignore_ascii_case(start) } else { begin == start }
    }

    /// What may stand at a place of it, or beside it: there any byte.
    fn bytes_at(&self, place: Option<usize>) -> Vec<u8> {
        let byte = place.and_then(|place| self.text.as_bytes().get(place));
        match byte {
            None => (0..=u8::MAX).collect(),
            Some(byte) if self.any_case => {
                vec![byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]
            }
            Some(byte) => vec![*byte],
        }
    }

    /// The places of all pairs that may stand at two places of it.
    fn each_pair(&self, one: Option<usize>, next: Option<usize>, mut note: impl FnMut(usize)) {
        let nexts = self.bytes_at(next);
        for one in self.bytes_at(one) {
            nexts.iter().for_each(|next| note(place_of([one, *next])));
        }
    }

    /// Whether it ends within two pairs that begin before its second byte.
    fn is_short(&self) -> bool {
        self.text.len() < COMPARED
    }

    /// The places of its first two pairs, none before it: where it begins on an even position, and on an odd one.
    fn pairs(&self) -> [[Option<usize>; COMPARED]; 2] {
        let even = [0, 1, 2, 3].map(Some);
        // Of a short one the byte before it is no loss.
        let odd = if self.is_short() {
            [None, Some(0), Some(1), Some(2)]
        } else {
            [1, 2, 3, 4].map(Some)
        };
        [even, odd]
    }
}

/// The place of a pair of bytes.
#[inline]
fn place_of(pair: [u8; 2]) -> usize {
    usize::from(u16::from_le_bytes(pair) & PAIR)
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
        let needles = ["password", "hf_", "ab", "q~"].map(str::to_owned);
        let mut starts = needles.clone().map(|text| Start { text, any_case: true }).to_vec();
        starts.push(Start { text: "AsIs".to_owned(), any_case: false });
        let sieve = Sieve::new(&starts.iter().collect::<Vec<_>>());
        let places = |line: &str| {
            let mut places = Vec::new();
            sieve.find(line.as_bytes(), &mut places);
            places
        };
        assert_eq!(places("xAsIs"), [1]);
        assert_eq!(places("xasis"), [0; 0]);
        for needle in &needles {
            for before in 0..2 * BLOCK + 3 {
                for text in [needle.clone(), needle.to_ascii_uppercase()] {
                    let line = format!("{}{text}", " ".repeat(before));
                    assert_eq!(places(&line), [before], "{line}");
                    assert_eq!(places(&format!("{line} xyz")), [before], "{line}");
                    let twice = format!("{line}{line}");
                    assert_eq!(places(&twice), [before, line.len() + before], "{twice}");
                }
            }
        }
        for (line, expected) in [
            ("", &[][..]),
            ("check pass; no passport", &[]),
            ("a passWORD=1", &[2]),
            ("xab, password, hf_1, hf", &[1, 5, 15]),
            ("abab", &[0, 2]),
        ] {
            assert_eq!(places(line), expected, "{line}");
        }
        for line in ["", "a", "ba", "block of size 5 from 10.0.0.1", "pass word"] {
            assert_eq!(places(line), [0; 0], "{line}");
        }
    }
}

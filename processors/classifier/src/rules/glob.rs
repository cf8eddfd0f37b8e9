//! Globs over the texts of an event: `*` stands for anything, also nothing, every other character for itself.
//! Promises: time that grows with the text and no faster. (The globs of sources know `?`, `[` and `{` too, which stand
//! in log lines for themselves, and let `*` end at a `/`.)

use memchr::memmem::Finder;

use crate::scan::from;

/// A glob, compiled.
#[derive(Debug, Clone)]
pub(crate) struct TextGlob {
    /// What stands before the first `*`; all there is where there is none.
    start: String,
    /// What stands between two of them.
    middle: Vec<Finder<'static>>,
    /// What stands behind the last `*`, where there is one.
    end: Option<String>,
}

impl TextGlob {
    pub(crate) fn new(glob: &str) -> Self {
        let mut pieces: Vec<&str> = glob.split('*').collect();
        let start = pieces.remove(0).to_owned();
        let end = pieces.pop().map(str::to_owned);
        let middle = pieces.iter().filter(|piece| !piece.is_empty());
        Self { start, middle: middle.map(|piece| Finder::new(piece).into_owned()).collect(), end }
    }

    /// Whether the whole text is as the glob says.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let Some(end) = &self.end else { return text == self.start };
        let Some(mut rest) = text.as_bytes().strip_prefix(self.start.as_bytes()) else {
            return false;
        };
        // The first place is as good as any later one: what comes behind has the most room.
        for piece in &self.middle {
            let Some(found) = piece.find(rest) else { return false };
            rest = from(rest, found + piece.needle().len());
        }
        rest.ends_with(end.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_the_rest_for_itself() {
        let cases = [
            ("refused", "refused", true),
            ("refused", "was refused", false),
            ("*refused", "was refused", true),
            ("*refused*", "was refused [1]", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*bc", "abc", false),
            ("*", "", true),
            ("**", "x/y\nz", true),
            ("", "", true),
            ("", "x", false),
            ("[<num>] {a}?", "[<num>] {a}?", true),
            ("[ab]", "a", false),
        ];
        for (glob, text, expected) in cases {
            assert_eq!(TextGlob::new(glob).fits(text), expected, "{glob} on {text}");
        }
    }

    /// By trying every length for each `*`.
    fn fits_slowly(glob: &[u8], text: &[u8]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|end| fits_slowly(rest, from(text, end))),
            Some((byte, rest)) => text.first() == Some(byte) && fits_slowly(rest, from(text, 1)),
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_trying_everything_finds(glob in "[ab*]{0,7}", text in "[ab]{0,9}") {
            let expected = fits_slowly(glob.as_bytes(), text.as_bytes());
            prop_assert_eq!(TextGlob::new(&glob).fits(&text), expected);
        }
    }
}

//! Small helpers to walk over bytes without ever panicking.
//! Promises: reading past the end yields NUL, cutting a string keeps it valid UTF-8.

use wide::u8x16;

/// Bytes that are looked at at once.
const BLOCK: usize = 16;

/// Whether there is a byte for which `is` holds. It is asked about sixteen at once, and sets all bits of those.
#[inline]
pub(crate) fn any(bytes: &[u8], is: impl Fn(u8x16) -> u8x16) -> bool {
    let is = |block: &[u8; BLOCK]| is(u8x16::new(*block));
    let Some(last) = bytes.last_chunk() else {
        let mut block = [0; BLOCK];
        block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        return is(&block).to_bitmask() & ((1 << bytes.len()) - 1) != 0;
    };
    // The last block lies over the one before it.
    let (blocks, _) = bytes.as_chunks();
    blocks.iter().fold(is(last), |found, block| found | is(block)).any()
}

/// Whether a byte stands anywhere: for lines, which are short, quicker than to ask where.
#[inline]
pub(crate) fn holds(bytes: &[u8], byte: u8) -> bool {
    any(bytes, |bytes| bytes.simd_eq(u8x16::splat(byte)))
}

/// Where the first of the first sixteen bytes stands for which `is` holds, as for [`any`].
#[inline]
pub(crate) fn first_near(bytes: &[u8], is: impl Fn(u8x16) -> u8x16) -> Option<usize> {
    let found = is(u8x16::new(*bytes.first_chunk()?)).to_bitmask();
    (found != 0).then(|| found.trailing_zeros() as usize)
}

/// A set of bytes, asked for so many that a table pays.
pub(crate) struct Bytes([bool; 256]);

impl Bytes {
    /// These bytes.
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut place = 0;
        while place < bytes.len() {
            table[bytes[place] as usize] = true;
            place += 1;
        }
        Self(table)
    }

    /// These bytes, and the letters and digits of ASCII.
    pub(crate) const fn alphanumeric_or(bytes: &[u8]) -> Self {
        let Self(mut table) = Self::of(bytes);
        let mut byte = 0;
        while byte < 128 {
            table[byte as usize] |= (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        Self(table)
    }

    /// Whether a byte is one of them.
    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        let Self(table) = self;
        table[usize::from(byte)]
    }
}

/// The byte at `pos`, or NUL past the end.
#[inline]
pub(crate) fn at(bytes: &[u8], pos: usize) -> u8 {
    bytes.get(pos).copied().unwrap_or(0)
}

/// The bytes from `pos` on, empty past the end.
#[inline]
pub(crate) fn from(bytes: &[u8], pos: usize) -> &[u8] {
    bytes.get(pos..).unwrap_or(&[])
}

/// The text from `start` to `end`, empty where that is no valid range.
#[inline]
pub(crate) fn slice(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or("")
}

/// The text from `start` on, empty where `start` is no boundary.
#[inline]
pub(crate) fn tail(text: &str, start: usize) -> &str {
    text.get(start..).unwrap_or("")
}

/// The longest prefix of `text` of at most `max` bytes that is valid UTF-8.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    slice(text, 0, end)
}

/// The text without white space around it. Most texts have none, which their first and last byte tell.
#[inline]
pub(crate) fn trimmed(text: &str) -> &str {
    let is_kept = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_kept(bytes.first()) && is_kept(bytes.last()) { text } else { text.trim() }
}

/// First position at or after `pos` that holds no space or tab.
#[inline]
pub(crate) fn skip_spaces(bytes: &[u8], mut pos: usize) -> usize {
    while matches!(at(bytes, pos), b' ' | b'\t') {
        pos += 1;
    }
    pos
}

/// End of the run of bytes at `pos` that are neither space nor tab.
#[inline]
pub(crate) fn token_end(bytes: &[u8], pos: usize) -> usize {
    let rest = from(bytes, pos);
    let is_blank =
        |bytes: u8x16| bytes.simd_eq(u8x16::splat(b' ')) | bytes.simd_eq(u8x16::splat(b'\t'));
    first_near(rest, is_blank)
        .or_else(|| memchr::memchr2(b' ', b'\t', rest))
        .map_or(bytes.len(), |found| pos + found)
}

/// End of the run of bytes at `pos` for which `keep` holds.
#[inline]
pub(crate) fn run_end(bytes: &[u8], pos: usize, mut keep: impl FnMut(u8) -> bool) -> usize {
    let rest = from(bytes, pos);
    pos + rest.iter().position(|byte| !keep(*byte)).unwrap_or(rest.len())
}

/// Whether `text` holds `needle`.
#[inline]
pub(crate) fn contains(text: &str, needle: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), needle.as_bytes()).is_some()
}

/// Whether the byte can stand in an identifier.
#[inline]
pub(crate) fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

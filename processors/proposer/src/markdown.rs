//! Text of strangers in Markdown.
//!
//! Promises: what is quoted can neither leave its place nor become a heading, link, image, HTML,
//! mention or reference; and a reader sees what it says.

/// Follows what a host would turn into a mention, a reference or a link, and is not seen.
const BREAK: char = '\u{200b}';

/// The first `max_chars` characters, with an ellipsis in place of the rest.
pub fn shortened(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// On one line, without control and invisible characters, shortened.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let first: String = text.chars().take(max_chars.saturating_mul(4)).map(visible).collect();
    let words: Vec<&str> = first.split_whitespace().collect();
    shortened(&words.join(" "), max_chars)
}

/// A paragraph or several, in which only code between single backticks on one line keeps its meaning.
pub fn prose(text: &str, max_chars: usize) -> String {
    let mut result = String::new();
    for line in shortened(text, max_chars).lines() {
        let line: String = line.chars().map(visible).collect();
        push_line(&mut result, line.trim());
        result.push('\n');
    }
    result.truncate(result.trim_end().len());
    result
}

/// Code within a line, whatever backticks it contains.
pub fn code(text: &str, max_chars: usize) -> String {
    let text = one_line(text, max_chars);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    // Where a backtick touches the fence, a space keeps them apart; Markdown takes both spaces away.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A fenced block, whatever fences it contains.
pub fn block(text: &str, info: &str, max_chars: usize) -> String {
    let text = shortened(text, max_chars);
    let fence = "`".repeat((longest_run(&text) + 1).max(3));
    let mut result = format!("{fence}{info}\n");
    for line in text.lines() {
        // A tab is part of a layout; any other control character is not for readers.
        result.extend(line.chars().map(|c| if c == '\t' { c } else { visible(c) }));
        result.push('\n');
    }
    result.push_str(&fence);
    result
}

fn longest_run(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Shows what a reader would not see, or would see in another order.
fn visible(c: char) -> char {
    let is_hidden = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    );
    match c {
        '\n' | '\t' | '\u{2028}' | '\u{2029}' | '\u{85}' => ' ',
        c if c.is_control() || is_hidden => '\u{fffd}',
        c => c,
    }
}

/// Adds one line with all of its markup taken away but code spans.
fn push_line(result: &mut String, line: &str) {
    let mut rest = escaped_start(result, line);
    while let Some(c) = rest.chars().next() {
        if c == '`'
            && let Some(span) = code_span(rest)
        {
            result.push_str(span);
            rest = rest.get(span.len()..).unwrap_or_default();
            continue;
        }
        let previous = result.chars().next_back();
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        push_char(result, c, previous, rest);
    }
}

/// What stands at the start of a line can make it a list or an underlined heading; adds it with a
/// backslash and returns what follows.
fn escaped_start<'a>(result: &mut String, line: &'a str) -> &'a str {
    if line.starts_with(['-', '+', '=']) {
        result.push('\\');
        result.push_str(line.get(..1).unwrap_or_default());
        return line.get(1..).unwrap_or_default();
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let after = line.get(digits..).unwrap_or_default();
    if digits > 0 && after.starts_with(['.', ')']) {
        result.push_str(line.get(..digits).unwrap_or_default());
        result.push('\\');
        result.push_str(after.get(..1).unwrap_or_default());
        return after.get(1..).unwrap_or_default();
    }
    line
}

/// Text between two single backticks, with them.
fn code_span(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('`')?;
    let len = inside.find('`')?;
    let after = inside.get(len + 1..)?;
    // A run of backticks is another fence.
    let is_single = len > 0 && !after.starts_with('`');
    if is_single { text.get(..len + 2) } else { None }
}

fn push_char(result: &mut String, c: char, previous: Option<char>, following: &str) {
    match c {
        // Readable, and harmless however many there are.
        '`' => result.push('\''),
        '@' | '#' => {
            result.push(c);
            result.push(BREAK);
        }
        ':' if following.starts_with("//") => {
            result.push(c);
            result.push(BREAK);
        }
        '.' if result
            .get(result.len().saturating_sub(3)..)
            .is_some_and(|end| end.eq_ignore_ascii_case("www")) =>
        {
            result.push(c);
            result.push(BREAK);
        }
        '_' => {
            let is_within_word = previous.is_some_and(char::is_alphanumeric)
                && following.starts_with(char::is_alphanumeric);
            if !is_within_word {
                result.push('\\');
            }
            result.push(c);
        }
        '\\' | '*' | '[' | ']' | '<' | '>' | '&' | '~' | '|' | '!' | '$' => {
            result.push('\\');
            result.push(c);
        }
        c => result.push(c),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_stays_readable() {
        let text = "`rates` has no key 'loyalty'; apply_discount (line 41) raises KeyError.\n\nSee orders/views.py.";
        assert_eq!(prose(text, 1000), text);
    }

    #[test]
    fn markup_loses_its_meaning() {
        let cases = [
            ("# Heading", "#\u{200b} Heading"),
            ("- item", "\\- item"),
            ("12. item", "12\\. item"),
            ("===", "\\==="),
            ("> quote", "\\> quote"),
            ("<img src=x onerror=y>", "\\<img src=x onerror=y\\>"),
            ("&lt;b&gt;", "\\&lt;b\\&gt;"),
            ("![x](http://evil)", "\\!\\[x\\](http:\u{200b}//evil)"),
            ("view.py", "view.py"),
            ("www.evil.example", "www.\u{200b}evil.example"),
            ("ping @org/team, fixes #12", "ping @\u{200b}org/team, fixes #\u{200b}12"),
            ("```\ncode\n```", "'''\ncode\n'''"),
            ("a ` b", "a ' b"),
            ("``a`", "'`a`"),
            ("`@not a mention`", "`@not a mention`"),
            ("__init__ **x** a_b", "\\_\\_init\\_\\_ \\*\\*x\\*\\* a_b"),
            ("   indented\ttext", "indented text"),
            ("\u{202e}gpj\u{1b}[31m", "\u{fffd}gpj\u{fffd}\\[31m"),
        ];
        for (text, expected) in cases {
            assert_eq!(prose(text, 1000), expected);
        }
    }

    #[test]
    fn code_and_blocks_hold_any_backticks() {
        assert_eq!(code("a.py", 99), "`a.py`");
        assert_eq!(code("a`b", 99), "``a`b``");
        assert_eq!(code("`", 99), "`` ` ``");
        assert_eq!(code("a\nb\0c", 99), "`a b\u{fffd}c`");
        assert_eq!(code("", 99), "(empty)");
        assert_eq!(
            block("x\n```\n@all\n`````\ny", "text", 99),
            "``````text\nx\n```\n@all\n`````\ny\n``````"
        );
    }

    #[test]
    fn everything_is_bounded() {
        assert_eq!(prose(&"a".repeat(99), 10).chars().count(), 11);
        assert_eq!(one_line(&"a ".repeat(99), 10), "a a a a a …");
        assert_eq!(block(&"é".repeat(99), "", 3), "```\nééé…\n```");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_line_of_a_block_closes_it(text in "[`~ a\\n\\r]{0,60}") {
            let block = block(&text, "text", 50);
            let mut lines: Vec<&str> = block.lines().collect();
            let open = lines.remove(0).trim_end_matches("text");
            prop_assert_eq!(lines.pop().unwrap(), open);
            for line in lines {
                let closing = line.trim();
                let closes = closing.len() >= open.len() && closing.bytes().all(|b| b == b'`');
                prop_assert!(!closes, "{}", block);
            }
        }

        #[test]
        fn outside_code_nothing_active_is_left(text in "[`@#<>\\[\\]!*a1:/w. \\n\\\\-]{0,60}") {
            let prose = prose(&text, 100);
            for line in prose.lines() {
                let spans: Vec<&str> = line.split('`').collect();
                prop_assert!(spans.len() % 2 == 1, "backticks come in pairs: {}", line);
                let outside: String = spans.iter().step_by(2).copied().collect::<Vec<_>>().join("c");
                let outside = outside.replace("\\\\", "b");
                for (index, c) in outside.char_indices() {
                    let after = outside[index + c.len_utf8()..].chars().next();
                    let before = outside[..index].chars().next_back();
                    match c {
                        '@' | '#' => prop_assert_eq!(after, Some(BREAK)),
                        '<' | '>' | '[' | ']' | '!' | '*' => prop_assert_eq!(before, Some('\\'), "{}", line),
                        _ => {}
                    }
                }
                prop_assert!(!outside.contains("://"), "{}", line);
                prop_assert!(!line.starts_with(['-', '#']) || line.starts_with("#\u{200b}"), "{}", line);
            }
        }
    }
}

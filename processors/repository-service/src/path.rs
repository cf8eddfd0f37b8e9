//! Which paths of a repository may be read or changed.
//!
//! Promises: a path that passes stays inside the repository, outside git's own files, on every system.

/// Most bytes of a path.
pub const MAX_PATH_BYTES: usize = 4096;
/// Most bytes of one name in a path.
pub const MAX_NAME_BYTES: usize = 255;
/// Most names of a path.
pub const MAX_DEPTH: usize = 64;

/// Why a path is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {shown} {reason}; name a file relative to the repository's root")]
pub struct PathError {
    /// The path, quoted and shortened.
    pub shown: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Passes paths in their one canonical form: names separated by single `/`, relative to the root.
///
/// # Errors
/// Absolute paths, `.` and `..`, git's own files in any spelling that some file system takes for
/// them, backslashes, control and invisible characters, and whatever passes the bounds.
pub fn check_path(path: &str) -> Result<(), PathError> {
    match refusal(path) {
        None => Ok(()),
        Some(reason) => {
            const MAX_SHOWN_CHARS: usize = 120;
            let shown: String = path.chars().take(MAX_SHOWN_CHARS).collect();
            Err(PathError { shown: format!("{shown:?}"), reason })
        }
    }
}

fn refusal(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("is empty");
    }
    if path.len() > MAX_PATH_BYTES {
        return Some("is too long");
    }
    if path.starts_with('/') {
        return Some("is absolute");
    }
    if path.contains('\\') {
        return Some("contains a backslash");
    }
    if path.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Some("contains a control or invisible character");
    }
    let mut depth = 0;
    for name in path.split('/') {
        depth += 1;
        match name {
            "" => return Some("contains an empty name"),
            "." | ".." => return Some("contains `.` or `..`"),
            _ if is_git_directory(name) => return Some("leads into git's own files"),
            _ if is_drive(name) => return Some("is absolute"),
            _ if name.len() > MAX_NAME_BYTES => return Some("contains a name that is too long"),
            _ => {}
        }
    }
    (depth > MAX_DEPTH).then_some("has too many directories")
}

/// Characters that a reader does not see, or that some file systems leave out of names.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Whether some file system takes the name for `.git`: Windows drops dots, spaces and `:stream` at
/// the end and knows the short name `git~1`; Windows and macOS ignore case.
fn is_git_directory(name: &str) -> bool {
    let until_stream = name.split(':').next().unwrap_or(name);
    let stem = until_stream.trim_end_matches(['.', ' ']);
    stem.eq_ignore_ascii_case(".git") || stem.eq_ignore_ascii_case("git~1")
}

fn is_drive(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() == 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "a.py",
            "src/main/java/a/b/Foo.java",
            ".github/workflows/ci.yml",
            ".gitignore",
            "a b/ü.py",
        ] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_that_escape_are_refused() {
        let long_name = "a".repeat(MAX_NAME_BYTES + 1);
        let deep = vec!["d"; MAX_DEPTH + 1].join("/");
        let refused = [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "./a",
            "a//b",
            "a/",
            ".git/config",
            "a/.git/hooks/x",
            ".GIT/config",
            ".git./config",
            ".git /config",
            "git~1/config",
            ".git::$INDEX_ALLOCATION/x",
            "a\\..\\b",
            "a\0b",
            "a\nb",
            "a\u{200b}b",
            ".g\u{200c}it/x",
            "\u{202e}fdp.py",
            "C:/x",
            &long_name,
            &deep,
        ];
        for path in refused {
            let error = check_path(path).unwrap_err();
            assert!(error.to_string().contains("relative to the repository's root"), "{error}");
        }
    }
}

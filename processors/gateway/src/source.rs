//! Names of sources: `service/instance/stream`, each part of them safe to print and to use as a key.

use std::net::IpAddr;

/// Longest name of a source in bytes.
pub const MAX_SOURCE_BYTES: usize = 512;

/// Why text is no name of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Not three parts.
    #[error("source {0:?} should have three parts: service/instance/stream")]
    Parts(String),
    /// A control character, that could forge lines on a terminal.
    #[error("source {0:?} has control characters")]
    Control(String),
    /// Too long.
    #[error("source of {0} bytes is longer than {MAX_SOURCE_BYTES}")]
    TooLong(usize),
}

/// Checks the name of a source.
///
/// # Errors
/// See [`SourceError`].
pub fn check(source: &str) -> Result<(), SourceError> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(SourceError::TooLong(source.len()));
    }
    if source.chars().any(char::is_control) {
        return Err(SourceError::Control(source.to_owned()));
    }
    let parts: Vec<&str> = source.split('/').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.trim().is_empty()) {
        return Err(SourceError::Parts(source.to_owned()));
    }
    Ok(())
}

/// Source of lines whose sender named none: `http/<address of the sender>/default`.
pub fn of_peer(peer: Option<IpAddr>) -> String {
    match peer {
        Some(address) => format!("http/{}/default", address.to_canonical()),
        None => "http/unknown/default".to_owned(),
    }
}

/// Makes one part of a source of any text: what would not fit is replaced by `_`.
pub fn part(text: &str) -> String {
    /// Three of them and their separators stay below [`MAX_SOURCE_BYTES`].
    const LONGEST_PART_BYTES: usize = 160;
    let mut part = String::new();
    for c in text.trim().chars() {
        if part.len() + c.len_utf8() > LONGEST_PART_BYTES {
            break;
        }
        part.push(if c == '/' || c.is_control() { '_' } else { c });
    }
    if part.trim().is_empty() { "unknown".to_owned() } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_three_parts_that_can_be_printed() {
        assert_eq!(check("shop/web-1/stderr"), Ok(()));
        assert_eq!(check("größe/ein host/a.log"), Ok(()));
        for bad in ["", "shop", "shop/web-1", "a/b/c/d", "a//c", "a/ /c", "/b/c"] {
            assert_eq!(check(bad), Err(SourceError::Parts(bad.to_owned())), "{bad:?}");
        }
        assert!(matches!(check("a/b\n/c"), Err(SourceError::Control(_))));
        assert_eq!(check(&format!("a/b/{}", "c".repeat(600))), Err(SourceError::TooLong(604)));
    }

    #[test]
    fn an_ipv4_sender_on_an_ipv6_socket_has_one_name() {
        let mapped = "::ffff:10.1.2.3".parse().ok();
        assert_eq!(of_peer(mapped), "http/10.1.2.3/default");
        assert_eq!(check(&of_peer(None)), Ok(()));
    }

    #[test]
    fn any_text_becomes_a_part() {
        for text in ["a/b", "", "  ", "x\u{7}y", "..", &"ü".repeat(5_000)] {
            let source = format!("{0}/{0}/{0}", part(text));
            assert_eq!(check(&source), Ok(()), "{text:?}");
        }
    }
}

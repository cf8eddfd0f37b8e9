//! Standard output is data, standard error is for people.

use std::io::Write as _;

use anyhow::Result;

/// Writes a line of data.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Writes a line for people.
pub(crate) fn note(text: &str) -> Result<()> {
    let mut out = std::io::stderr().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

//! Standard output: data for scripts. A reader that goes away ends the program well.

use std::{
    fmt::Display,
    io::{self, BufWriter, Stdout, Write},
};

use serde::Serialize;

/// Bytes held back before they are written.
const BUFFER: usize = 64 << 10;

/// The reader of standard output went away.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct ReaderGone;

/// Standard output.
pub(crate) struct Output {
    out: BufWriter<Stdout>,
}

impl Output {
    /// Takes standard output.
    pub(crate) fn new() -> Self {
        Self { out: BufWriter::with_capacity(BUFFER, io::stdout()) }
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        if let Err(error) = serde_json::to_writer(&mut self.out, value) {
            return Err(explain(error.into()));
        }
        self.out.write_all(b"\n").map_err(explain)
    }

    /// Writes text and a newline.
    pub(crate) fn line(&mut self, text: impl Display) -> anyhow::Result<()> {
        writeln!(self.out, "{text}").map_err(explain)
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.out.write_all(bytes).map_err(explain)
    }

    /// Makes everything visible to the reader.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.out.flush().map_err(explain)
    }
}

fn explain(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ReaderGone.into();
    }
    anyhow::Error::new(error).context("standard output")
}

/// Writes a line of data, at once.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = Output::new();
    out.line(text.strip_suffix('\n').unwrap_or(text))?;
    out.flush()
}

/// Tells people something, on standard error.
pub(crate) fn tell(text: impl Display) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

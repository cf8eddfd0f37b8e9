//! Reads the lines of a file as it grows, through rotation and truncation.
//!
//! Holds one line and one piece of the file at most.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use hephaestus_gateway::lines::{LineSplitter, StreamLine};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 << 10;

/// What a step brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was read.
    Read,
    /// The file has nothing more for now.
    AtEnd,
}

/// A file that is read as it grows.
pub(crate) struct Tail {
    path: PathBuf,
    file: File,
    inode: (u64, u64),
    position: u64,
    splitter: LineSplitter,
    max_line_bytes: usize,
    buffer: Vec<u8>,
}

impl Tail {
    /// Opens a file at its beginning.
    pub(crate) fn open(path: &Path, max_line_bytes: usize) -> io::Result<Self> {
        let (file, inode) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            inode,
            position: 0,
            splitter: LineSplitter::new(max_line_bytes),
            max_line_bytes,
            buffer: vec![0; PIECE_BYTES],
        })
    }

    /// Reads the next piece; adds the lines that it ends.
    pub(crate) fn step(&mut self, lines: &mut Vec<StreamLine>) -> io::Result<Step> {
        let read = loop {
            match self.file.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            return Ok(Step::AtEnd);
        }
        self.position += read as u64;
        self.splitter.push(self.buffer.get(..read).unwrap_or_default(), lines);
        Ok(Step::Read)
    }

    /// The last line, where no newline ends it.
    pub(crate) fn finish(&mut self) -> Option<StreamLine> {
        self.splitter.finish()
    }

    /// At the end: looks whether the file was cut, or another took its name, and goes on there.
    /// Says whether it did; the last line of what was is added then.
    pub(crate) fn follow(&mut self, lines: &mut Vec<StreamLine>) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.position {
            lines.extend(self.finish());
            self.position = self.file.seek(SeekFrom::Start(0))?;
            return Ok(true);
        }
        let at_path = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            // Rotated away; the new one is not there yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if (at_path.dev(), at_path.ino()) == self.inode {
            return Ok(false);
        }
        // What was written between the last read and the rotation.
        while self.step(lines)? == Step::Read {}
        lines.extend(self.finish());
        let (file, inode) = match open(&self.path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        self.file = file;
        self.inode = inode;
        self.position = 0;
        self.splitter = LineSplitter::new(self.max_line_bytes);
        Ok(true)
    }
}

fn open(path: &Path) -> io::Result<(File, (u64, u64))> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory, wanted a file"));
    }
    Ok((file, (metadata.dev(), metadata.ino())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    fn drain(tail: &mut Tail) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            while tail.step(&mut lines).unwrap() == Step::Read {}
            if !tail.follow(&mut lines).unwrap() {
                break;
            }
        }
        lines
            .into_iter()
            .map(|line| match line {
                StreamLine::Line(line) => String::from_utf8(line.to_vec()).unwrap(),
                StreamLine::TooLong => "(too long)".to_owned(),
            })
            .collect()
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_line_comes_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "one\ntw");
        let mut tail = Tail::open(&path, 100).unwrap();
        assert_eq!(drain(&mut tail), ["one"]);
        append(&path, "o\nthree\n");
        assert_eq!(drain(&mut tail), ["two", "three"]);
        assert_eq!(drain(&mut tail), Vec::<String>::new());
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_and_its_successor_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "one\n");
        let mut tail = Tail::open(&path, 100).unwrap();
        assert_eq!(drain(&mut tail), ["one"]);
        fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        assert_eq!(drain(&mut tail), Vec::<String>::new());
        append(&dir.path().join("a.log.1"), "late\nunfinished");
        append(&path, "new\n");
        assert_eq!(drain(&mut tail), ["late", "unfinished", "new"]);
    }

    #[test]
    fn a_truncated_file_is_read_again_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "one\ntwo, and then some\nrest");
        let mut tail = Tail::open(&path, 100).unwrap();
        assert_eq!(drain(&mut tail), ["one", "two, and then some"]);
        File::create(&path).unwrap();
        append(&path, "fresh\n");
        assert_eq!(drain(&mut tail), ["rest", "fresh"]);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Tail::open(dir.path(), 100).is_err());
        assert!(Tail::open(&dir.path().join("none"), 100).is_err());
    }
}

//! The engine's directory: one process at a time, one format, nothing foreign.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

const LOCK: &str = "LOCK";
const FORMAT: &str = "FORMAT";
const FORMAT_NEW: &str = "FORMAT.new";
const STORE: &str = "store.redb";

const FORMAT_NAME: &str = "hephaestus-embedded";
/// Raised when an older program could not read what a newer one wrote.
const FORMAT_VERSION: u32 = 1;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DirectoryError {
    #[error("directory {} is in use by process {process}", directory.display())]
    InUse { directory: PathBuf, process: String },
    #[error("directory {} holds {found:?} and no store; name an empty or a new directory", directory.display())]
    Foreign { directory: PathBuf, found: String },
    #[error(
        "directory {} has format {found:?}, this program reads {FORMAT_NAME} {FORMAT_VERSION} and older",
        directory.display()
    )]
    Format { directory: PathBuf, found: String },
    #[error("{doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

/// A directory that is this process's until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// The operating system frees the lock when the process ends, however it ends.
    _lock: File,
}

impl Directory {
    /// Takes a directory, making it if there is none.
    pub(super) fn take(path: &Path) -> Result<Self, DirectoryError> {
        create(path).map_err(failed("cannot create directory", path))?;
        refuse_foreign(path)?;
        let lock = lock(path)?;
        check_format(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where the store lies.
    pub(super) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }
}

/// Bytes that the file system of a path has free for this process.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(u64::MAX)
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    // Raw log lines may hold secrets: they are for the owner alone.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn refuse_foreign(path: &Path) -> Result<(), DirectoryError> {
    if path.join(FORMAT).exists() {
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(failed("cannot read directory", path))?;
    for entry in entries {
        let entry = entry.map_err(failed("cannot read directory", path))?;
        let name = entry.file_name();
        // What a first start that was interrupted leaves behind.
        if name != LOCK && name != FORMAT_NEW {
            return Err(DirectoryError::Foreign {
                directory: path.to_owned(),
                found: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

fn lock(directory: &Path) -> Result<File, DirectoryError> {
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(&path).map_err(failed("cannot open lock file", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // Whoever holds the lock may not have written its number yet.
            let read = file.take(20).read_to_string(&mut process);
            let process = process.trim();
            let known = read.is_ok() && !process.is_empty();
            return Err(DirectoryError::InUse {
                directory: directory.to_owned(),
                process: if known { process } else { "unknown" }.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => {
            return Err(failed("cannot lock", &path)(source));
        }
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed("cannot write lock file", &path))?;
    Ok(file)
}

fn check_format(directory: &Path) -> Result<(), DirectoryError> {
    let path = directory.join(FORMAT);
    match fs::read(&path) {
        Ok(found) => {
            let found = String::from_utf8_lossy(&found).trim().to_owned();
            let version = found.strip_prefix(FORMAT_NAME).map(str::trim);
            let version: Option<u32> = version.and_then(|version| version.parse().ok());
            if version.is_some_and(|version| (1..=FORMAT_VERSION).contains(&version)) {
                return Ok(());
            }
            Err(DirectoryError::Format {
                directory: directory.to_owned(),
                found: found.chars().take(100).collect(),
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_format(directory).map_err(failed("cannot write", &path))
        }
        Err(source) => Err(failed("cannot read", &path)(source)),
    }
}

fn write_format(directory: &Path) -> io::Result<()> {
    let new = directory.join(FORMAT_NEW);
    let mut file = File::create(&new)?;
    writeln!(file, "{FORMAT_NAME} {FORMAT_VERSION}")?;
    file.sync_all()?;
    fs::rename(&new, directory.join(FORMAT))?;
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    move |source| DirectoryError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_directory_is_taken_once_and_free_again_when_dropped() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = Directory::take(&path).unwrap();
        let error = Directory::take(&path).unwrap_err().to_string();
        let process = std::process::id();
        assert!(error.ends_with(&format!("is in use by process {process}")), "{error}");
        drop(first);
        Directory::take(&path).unwrap();
    }

    #[test]
    fn a_lock_file_of_a_dead_process_is_no_hindrance() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join(LOCK), "4194304\n").unwrap();
        Directory::take(parent.path()).unwrap();
    }

    #[test]
    fn a_foreign_directory_is_refused_and_left_as_it_was() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("letters.txt"), "dear").unwrap();
        let error = Directory::take(parent.path()).unwrap_err().to_string();
        assert!(error.contains("letters.txt"), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_newer_or_unknown_format_is_refused() {
        for found in ["hephaestus-embedded 2", "something else", "", "hephaestus-embedded 0"] {
            let parent = tempfile::tempdir().unwrap();
            fs::write(parent.path().join(FORMAT), found).unwrap();
            let error = Directory::take(parent.path()).unwrap_err().to_string();
            assert!(error.contains("this program reads"), "{error}");
        }
    }
}

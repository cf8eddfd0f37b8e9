//! Where the control socket lies: in the engine's directory, or, where that path is too long for a
//! socket, in a private directory that a file in the engine's directory points to.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// Name of the socket in the engine's directory.
pub const SOCKET_FILE: &str = "control.sock";
/// File that holds the path of the socket, where it lies elsewhere.
const POINTER_FILE: &str = "control.path";
/// Longest path of a Unix socket in bytes: `sun_path` of Linux and of macOS, the shorter one.
const MAX_SOCKET_PATH: usize = 103;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A file operation failed.
    #[error("{action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// No directory gives a path that is short enough.
    #[error("path of the control socket {} is longer than {MAX_SOCKET_PATH} bytes; set TMPDIR or XDG_RUNTIME_DIR to a shorter one", .0.display())]
    PathTooLong(PathBuf),
}

/// A bound socket; its files go with it.
#[derive(Debug)]
pub(super) struct BoundSocket {
    pub(super) path: PathBuf,
    pointer: Option<PathBuf>,
    _private: Option<tempfile::TempDir>,
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        // The next one to bind removes what stays.
        let _ = fs::remove_file(&self.path);
        if let Some(pointer) = &self.pointer {
            let _ = fs::remove_file(pointer);
        }
    }
}

/// Binds the socket of a directory. The caller holds the engine's lock on it, so that whatever
/// socket is there is one that a killed process left.
pub(super) fn bind(dir: &Path) -> Result<(UnixListener, BoundSocket), SocketError> {
    let preferred = dir.join(SOCKET_FILE);
    let pointer = dir.join(POINTER_FILE);
    remove_stale(&preferred)?;
    remove_stale(&pointer)?;
    let (path, private) = if is_short(&preferred) {
        (preferred, None)
    } else {
        let private = private_dir()?;
        let path = private.path().join(SOCKET_FILE);
        if !is_short(&path) {
            return Err(SocketError::PathTooLong(path));
        }
        (path, Some(private))
    };
    let listener = UnixListener::bind(&path).map_err(wrap("binding the control socket", &path))?;
    let bound = BoundSocket {
        path: path.clone(),
        pointer: private.is_some().then(|| pointer.clone()),
        _private: private,
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .map_err(wrap("restricting the control socket", &path))?;
    if bound.pointer.is_some() {
        let content = path.as_os_str().as_encoded_bytes();
        fs::write(&pointer, content).map_err(wrap("writing", &pointer))?;
    }
    Ok((listener, bound))
}

/// Path of the socket of a directory, whether or not somebody listens.
pub(super) fn locate(dir: &Path) -> Option<PathBuf> {
    let preferred = dir.join(SOCKET_FILE);
    if is_short(&preferred) {
        return Some(preferred);
    }
    let content = fs::read_to_string(dir.join(POINTER_FILE)).ok()?;
    Some(PathBuf::from(content)).filter(|path| is_short(path))
}

/// Connects to a socket; `None` where nobody listens.
pub(super) async fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

fn is_short(path: &Path) -> bool {
    path.as_os_str().len() <= MAX_SOCKET_PATH
}

fn private_dir() -> Result<tempfile::TempDir, SocketError> {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usable = |path: &PathBuf| path.is_absolute() && path.is_dir();
    let parent = runtime_dir.filter(usable).unwrap_or_else(std::env::temp_dir);
    let mut builder = tempfile::Builder::new();
    builder.prefix("hephaestus-").permissions(fs::Permissions::from_mode(0o700));
    builder
        .tempdir_in(&parent)
        .map_err(wrap("making a directory for the control socket in", &parent))
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(wrap("removing the left-over", path)(error))
        }
        _ => Ok(()),
    }
}

fn wrap(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |error| SocketError::Io { action, path, error }
}

//! From a file as a runtime prints it to the file in the repository.
//!
//! Promises: the one file that fits best, or none where several fit as well.

use std::{collections::HashMap, sync::Arc};

use dashmap::DashMap;
use hephaestus_schemas::Frame;

use crate::{
    error::RepositoryError,
    path::{MAX_PATH_BYTES, check_path},
    repository::{CommitId, FileList, Repository},
};

/// Commits whose file lists are kept.
pub const MAX_CACHED_LISTS: usize = 64;
/// Bytes of file lists that are kept, roughly.
pub const MAX_CACHED_BYTES: usize = 24 * 1024 * 1024;

/// Directories under which runtimes and package managers keep code that is not the application's.
const LIBRARY_DIRECTORIES: &[&str] =
    &["site-packages", "dist-packages", "node_modules", "rustc", "rustlib", ".cargo", ".rustup"];

/// Extensions of files that Java traces name without their directories.
const JVM_EXTENSIONS: &[&str] = &["java", "kt", "scala", "groovy"];

/// The files of a commit, by name.
#[derive(Debug, Default)]
pub struct FileIndex {
    files: FileList,
    /// Indexes into `files`, by the last name of the path, hashed.
    by_name: HashMap<u64, Vec<u32>>,
}

impl FileIndex {
    /// Indexes a list of files.
    pub fn new(files: FileList) -> Self {
        let mut by_name: HashMap<u64, Vec<u32>> = HashMap::new();
        for (index, path) in files.paths.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            by_name.entry(hash(last_name(path))).or_default().push(index);
        }
        Self { files, by_name }
    }

    /// Bytes it takes in memory, roughly.
    fn bytes(&self) -> usize {
        const BYTES_PER_FILE: usize = 64;
        let paths: usize = self.files.paths.iter().map(String::len).sum();
        paths + BYTES_PER_FILE * self.files.paths.len()
    }

    /// Whether the commit has a file of exactly that path.
    pub fn contains(&self, path: &str) -> bool {
        self.files.paths.binary_search_by(|known| known.as_str().cmp(path)).is_ok()
    }

    /// The file whose path shares most names at the end with `names`, if there is exactly one, and
    /// how many names it shares.
    fn best_match(&self, names: &[&str]) -> Option<(&str, usize)> {
        if self.files.truncated {
            // A file that was left out may fit as well.
            return None;
        }
        let mut best: Option<(&str, usize)> = None;
        let mut is_tied = false;
        for index in self.by_name.get(&hash(names.last()?))? {
            let path = self.files.paths.get(usize::try_from(*index).ok()?)?;
            let shared = path
                .rsplit('/')
                .zip(names.iter().rev())
                .take_while(|(in_repository, in_frame)| in_repository == *in_frame)
                .count();
            let best_shared = best.map_or(0, |(_, shared)| shared);
            if shared > best_shared {
                best = Some((path, shared));
                is_tied = false;
            } else if shared == best_shared {
                is_tied = true;
            }
        }
        if is_tied { None } else { best }
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn hash(name: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// The file in the repository that a frame names, or `None` where none fits, or several fit as well.
///
/// `source_root` is where the repository's root lies in the paths of frames (`/srv/app`), or empty.
pub fn resolve_path(frame: &Frame, source_root: &str, files: &FileIndex) -> Option<String> {
    let file = frame.file.as_deref()?.trim();
    if file.is_empty() || file.len() > MAX_PATH_BYTES || file.starts_with('<') {
        return None;
    }
    let file = normalised(file);

    if let Some(path) = jvm_suffix(&file, frame.module.as_deref()) {
        let names: Vec<&str> = path.split('/').collect();
        let (found, shared) = files.best_match(&names)?;
        // The class's package says where the file lies: less than all of it is another class.
        return (shared == names.len()).then(|| found.to_owned());
    }

    let root = normalised(source_root.trim());
    let below_root = match root.trim_end_matches('/') {
        "" => None,
        root => file.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')),
    };
    let exact = below_root.or_else(|| (!file.starts_with('/')).then_some(file.as_str()));
    if let Some(exact) = exact
        && check_path(exact).is_ok()
        && files.contains(exact)
    {
        return Some(exact.to_owned());
    }

    let names: Vec<&str> = file.split('/').filter(|name| !name.is_empty()).collect();
    let is_library = names.iter().any(|name| LIBRARY_DIRECTORIES.contains(name));
    // Go keeps the modules it downloads in `pkg/mod`.
    if is_library || names.windows(2).any(|pair| pair == ["pkg", "mod"]) {
        return None;
    }
    let (found, shared) = files.best_match(&names)?;
    // A library's `decoder.py` is not the repository's, only because it has the same name.
    let is_sure = shared >= 2 || frame.in_app || below_root.is_some();
    is_sure.then(|| found.to_owned())
}

/// With `/` between names, without scheme, query, `.` and `..`.
fn normalised(file: &str) -> String {
    let file = file.replace('\\', "/");
    let file = match file.split_once("://") {
        // `file:///srv/app.js`, `webpack://name/./src/app.js`, `http://localhost/app.js`.
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
            let rest = rest.split(['?', '#']).next().unwrap_or(rest);
            format!("/{}", rest.trim_start_matches('/'))
        }
        _ => file,
    };
    let mut names: Vec<&str> = Vec::new();
    for name in file.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    let lead = if file.starts_with('/') { "/" } else { "" };
    format!("{lead}{}", names.join("/"))
}

/// For a bare `Foo.java` in a frame of class `a.b.Foo$Inner`: `a/b/Foo.java`.
fn jvm_suffix(file: &str, class: Option<&str>) -> Option<String> {
    let (_, extension) = file.rsplit_once('.')?;
    if file.contains('/') || !JVM_EXTENSIONS.contains(&extension) {
        return None;
    }
    // Java 9 and later write `loader/module@version/class`.
    let class = last_name(class?);
    let (package, _) = class.rsplit_once('.')?;
    Some(format!("{}/{file}", package.replace('.', "/")))
}

/// The files of the commits asked for lately.
#[derive(Debug, Default)]
pub struct FileLists {
    lists: DashMap<(String, CommitId), Arc<FileIndex>>,
}

impl FileLists {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits whose files are kept.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// The files of a commit. Blocks where they are not known yet.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    pub fn get(
        &self,
        repository: &dyn Repository,
        commit: &CommitId,
    ) -> Result<Arc<FileIndex>, RepositoryError> {
        let key = (repository.location().to_owned(), commit.clone());
        if let Some(known) = self.lists.get(&key) {
            return Ok(Arc::clone(&known));
        }
        let index = Arc::new(FileIndex::new(repository.list(commit, "")?));
        self.make_room(index.bytes());
        self.lists.insert(key, Arc::clone(&index));
        Ok(index)
    }

    /// Commits follow each other and old ones are not asked for again: any may go.
    fn make_room(&self, wanted_bytes: usize) {
        let known: Vec<_> =
            self.lists.iter().map(|entry| (entry.key().clone(), entry.value().bytes())).collect();
        let mut count = known.len();
        let mut bytes = wanted_bytes + known.iter().map(|(_, bytes)| bytes).sum::<usize>();
        for (key, freed) in known {
            if count < MAX_CACHED_LISTS && bytes <= MAX_CACHED_BYTES {
                return;
            }
            self.lists.remove(&key);
            count -= 1;
            bytes -= freed;
        }
    }

    /// The file in the repository that a frame names; see [`resolve_path`]. Blocks.
    ///
    /// # Errors
    /// See [`RepositoryError`].
    pub fn resolve(
        &self,
        repository: &dyn Repository,
        commit: &CommitId,
        frame: &Frame,
        source_root: &str,
    ) -> Result<Option<String>, RepositoryError> {
        let files = self.get(repository, commit)?;
        Ok(resolve_path(frame, source_root, &files))
    }
}

//! Where the shared test data lies, and a short way to classify text.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::path::PathBuf;
use std::sync::LazyLock;

use hephaestus_classifier::{Classifier, ClassifierConfig, Inspected, InspectedEvent, Inspection};

/// 2024-06-15T00:00:00Z.
pub(crate) const REFERENCE_MS: i64 = 1_718_409_600_000;

/// One classifier for every test of a binary: building it takes longer than using it.
pub(crate) static CLASSIFIER: LazyLock<Classifier> =
    LazyLock::new(|| Classifier::new(ClassifierConfig::default()));

/// The directory of shared data, or none where it is not at hand.
pub(crate) fn shared_data(part: &str) -> Option<PathBuf> {
    let named = std::env::var_os("HEPHAESTUS_TEST_DATA").map(PathBuf::from);
    let mut candidates: Vec<PathBuf> = named.into_iter().collect();
    let mut directory = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while directory.pop() {
        candidates.push(directory.join("shared/data"));
    }
    let found = candidates.into_iter().map(|base| base.join(part)).find(|path| path.is_dir());
    if found.is_none() {
        eprintln!("skipped: no shared data {part}");
    }
    found
}

/// Every event of a text.
pub(crate) fn inspect(text: &[u8]) -> Vec<InspectedEvent> {
    let mut inspection = Inspection::new(&CLASSIFIER, "shop/a/out", REFERENCE_MS);
    let mut events = Vec::new();
    let mut keep = |event: Inspected<'_>| events.push(event.into_owned());
    inspection.bytes(text, &mut keep);
    inspection.finish(&mut keep);
    events
}

/// The files of a directory with this ending, sorted.
pub(crate) fn files(directory: &std::path::Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

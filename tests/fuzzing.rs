//! The bodies of the fuzz targets on their seeds and on what a seeded generator makes of those, so that the ordinary tests
//! hold them too. `tests/fuzz/run` looks further.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Inputs made of each seed, for each target.
const MADE: usize = 12;
/// Longest input that is made, in bytes.
const MAX_BYTES: usize = 2_048;

fn seeds(directory: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(directory);
    let mut files: Vec<_> =
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Bytes changed, parts doubled, dropped and put between others, as fuzzers do.
fn mutated(seeds: &[Vec<u8>], seed: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = seed.to_vec();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..=input.len());
        let end = random.usize(at..=input.len());
        match random.u8(0..4) {
            0 => {
                let byte = random.u8(..);
                input.splice(at..(at + 1).min(input.len()), [byte]);
            }
            1 => {
                input.drain(at..end);
            }
            2 => {
                let part = input.get(at..end).unwrap_or_default().to_vec();
                input.splice(at..at, part);
            }
            _ => {
                let other = random.choice(seeds).unwrap();
                let from = random.usize(0..=other.len());
                let part = other.get(from..random.usize(from..=other.len())).unwrap_or_default();
                input.splice(at..at, part.to_vec());
            }
        }
    }
    input.truncate(MAX_BYTES);
    input
}

#[test]
fn targets_hold_on_their_seeds_and_on_what_is_made_of_them() {
    let seeds = seeds("seeds");
    assert!(seeds.len() > 8);
    let mut random = fastrand::Rng::with_seed(17);
    for (name, target) in targets::TARGETS {
        for seed in &seeds {
            target(seed);
            for _ in 0..MADE {
                let input = mutated(&seeds, seed, &mut random);
                let shown = String::from_utf8_lossy(&input).into_owned();
                let outcome = std::panic::catch_unwind(|| target(&input));
                assert!(outcome.is_ok(), "{name} on {shown:?}");
            }
        }
    }
}

#[test]
fn each_target_has_a_file_and_each_file_a_target() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/fuzz_targets");
    let mut files: Vec<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(files, targets::TARGETS.map(|(name, _)| name));
}

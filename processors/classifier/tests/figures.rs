//! The figures of grouping on the labelled logs at hand: what is wanted is held, set by set left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use hephaestus_classifier::evaluate::{Labelled, leave_one_out, sweep};

/// The labelled logs of the shared data.
fn sets() -> Vec<Labelled> {
    let Some(root) = common::shared_data("loghub") else { return Vec::new() };
    let mut sets = Vec::new();
    for folder in common::files(&root, "") {
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let raw = std::fs::read(folder.join(format!("{name}_2k.log"))).unwrap();
        let table = folder.join(format!("{name}_2k.log_structured_corrected.csv"));
        let table = String::from_utf8_lossy(&std::fs::read(table).unwrap()).into_owned();
        sets.push(Labelled::new(&name, &raw, &table).unwrap());
    }
    sets
}

#[test]
fn lines_are_grouped_as_people_labelled_them() {
    let sets = sets();
    if sets.is_empty() {
        return;
    }
    let count = sets.len() as f64;
    let measured: Vec<_> = sets.iter().map(Labelled::measure).collect();
    let mean = |of: &dyn Fn(usize) -> f64| (0..measured.len()).map(of).sum::<f64>() / count;
    let content = mean(&|at| measured[at].content.lines);
    let raw = mean(&|at| measured[at].raw.lines);
    let f1 = mean(&|at| measured[at].content.groups_f1);
    assert!(content >= 0.97 && raw >= 0.93 && f1 >= 0.90, "{content} {raw} {f1}");
    for left in leave_one_out(&sets, &sweep(&sets)) {
        let loss = left.as_they_are.lines - left.content.lines;
        assert!(loss <= 0.05, "{}: {loss}, {:?}", left.name, left.thresholds);
    }
}

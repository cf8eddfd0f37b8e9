//! How high the class that a fix changed is ranked, on real failures with their fixes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use hephaestus_schemas::{ClassifiedLog, Frame};

/// A failure with a trace that is more than a failed assertion.
pub(crate) struct Case {
    /// The program that failed.
    pub(crate) project: String,
    /// Place of the first changed class among the culprits' classes, from 0.
    pub(crate) ranked: Option<usize>,
    /// The same in the order of the trace: application's frames top down, tests left out.
    pub(crate) naive: Option<usize>,
}

/// Reads `culprits.csv` and the traces beside it.
pub(crate) fn cases(directory: &Path, inspect: &dyn Fn(&[u8]) -> Vec<ClassifiedLog>) -> Vec<Case> {
    let table = std::fs::read_to_string(directory.join("culprits.csv")).unwrap();
    let mut cases = Vec::new();
    for row in table.lines().skip(1) {
        let (file, changed) = row.split_once(',').unwrap();
        let changed: Vec<&str> = changed.split([';', ' ', '|']).collect();
        let events = inspect(&std::fs::read(directory.join(file)).unwrap());
        let Some(log) = events.iter().find(|log| is_telling(log)) else { continue };
        let place = |frames: &mut dyn Iterator<Item = &Frame>| {
            let mut classes: Vec<String> = Vec::new();
            for class in frames.map(outer_class) {
                if !classes.contains(&class) {
                    classes.push(class);
                }
            }
            classes.iter().position(|class| changed.contains(&class.as_str()))
        };
        let mut links: Vec<_> =
            std::iter::successors(log.exception.as_ref(), |link| link.cause.as_deref()).collect();
        links.reverse();
        let in_order = links.iter().flat_map(|link| &link.frames);
        cases.push(Case {
            project: file.split('-').next().unwrap().to_owned(),
            ranked: place(&mut log.culprits.iter()),
            naive: place(&mut in_order.filter(|frame| frame.in_app && !is_of_test(frame))),
        });
    }
    cases
}

/// Shares of the cases in which the changed class is first, among the first three, and there at all.
pub(crate) fn shares(cases: &[&Case], place: impl Fn(&Case) -> Option<usize>) -> [f64; 3] {
    [1, 3, usize::MAX].map(|bound| {
        let found = cases.iter().filter(|case| place(case).is_some_and(|place| place < bound));
        found.count() as f64 / cases.len() as f64
    })
}

fn is_telling(log: &ClassifiedLog) -> bool {
    let bare = ["AssertionFailedError", "ComparisonFailure", "AssertionError"];
    log.exception
        .as_ref()
        .is_some_and(|exception| !bare.iter().any(|name| exception.type_name.ends_with(name)))
}

/// The class of the file: that of `a.B$C` is `a.B`.
fn outer_class(frame: &Frame) -> String {
    frame.module.as_deref().unwrap_or("").split('$').next().unwrap_or("").to_owned()
}

fn is_of_test(frame: &Frame) -> bool {
    let class = outer_class(frame);
    ["Test", "Tests", "TestCase"].iter().any(|end| class.ends_with(end))
}

//! How high the class that a fix changed is ranked among the culprits, by project, and beside it the
//! order of the trace: `-- DIRECTORY` with `culprits.csv` and the traces that it names.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/common/ranking.rs"]
mod ranking;

use std::collections::BTreeSet;
use std::path::PathBuf;

use hephaestus_classifier::{Classifier, ClassifierConfig, Inspected, Inspection};
use hephaestus_schemas::ClassifiedLog;
use ranking::{Case, cases, shares};

/// 2024-06-15T00:00:00Z, in place of records' times.
const REFERENCE_MS: i64 = 1_718_409_600_000;

fn main() {
    let directory = std::env::args().nth(1).expect("the directory with culprits.csv");
    let classifier = Classifier::new(ClassifierConfig::default());
    let inspect = |text: &[u8]| -> Vec<ClassifiedLog> {
        let mut inspection = Inspection::new(&classifier, "traces", REFERENCE_MS);
        let mut logs = Vec::new();
        let mut keep = |event: Inspected<'_>| logs.push(event.into_owned().log);
        inspection.bytes(text, &mut keep);
        inspection.finish(&mut keep);
        logs
    };
    let cases = cases(&PathBuf::from(directory), &inspect);
    let projects: BTreeSet<&str> = cases.iter().map(|case| case.project.as_str()).collect();
    let columns = ["first", "of 3", "at all"];
    let titles = columns.map(|title| format!("{title:>8}")).concat();
    println!("{:<8}{:>6}{titles}   in order{titles}", "project", "cases");
    for project in projects {
        let own: Vec<&Case> = cases.iter().filter(|case| case.project == project).collect();
        print(project, &own);
    }
    print("all", &cases.iter().collect::<Vec<_>>());
}

fn print(name: &str, cases: &[&Case]) {
    let text = |shares: [f64; 3]| shares.map(|share| format!("{share:>8.3}")).concat();
    let ranked = text(shares(cases, |case| case.ranked));
    let naive = text(shares(cases, |case| case.naive));
    println!("{name:<8}{:>6}{ranked}           {naive}", cases.len());
}

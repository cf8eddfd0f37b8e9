//! What a line costs in allocations, and what patterns take in memory: reported, and bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;
mod systems;

use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use common::{CLASSIFIER, REFERENCE_MS};
use hephaestus_classifier::{Inspected, Inspection, PatternTable, template};
use systems::{SYSTEMS, Values};

/// Lines that are counted.
const LINES: usize = 10_000;
/// Patterns that an instance remembers by default.
const PATTERNS: u32 = 100_000;

/// What it takes to classify lines, behind a first round that fills what is remembered.
fn of_lines(lines: &[String]) -> AllocationInfo {
    let mut inspection = Inspection::new(&CLASSIFIER, "shop/a/out", REFERENCE_MS);
    let mut sink = |event: Inspected<'_>| {
        black_box(event.view.template());
    };
    let (first, rest) = lines.split_at(lines.len() / 2);
    for line in first {
        inspection.line(line.as_bytes(), &mut sink);
    }
    let info = measure(|| {
        for line in rest {
            inspection.line(line.as_bytes(), &mut sink);
        }
    });
    let per_line = info.count_total as f64 / rest.len() as f64;
    let bytes = info.bytes_total as f64 / rest.len() as f64;
    println!("{per_line:.2} allocations of {bytes:.0} bytes in all a line, such as {}", rest[0]);
    info
}

#[test]
fn a_line_takes_few_allocations() {
    let mut values = Values::new("access");
    let access: Vec<String> = (0..2 * LINES)
        .map(|_| values.fill("{ip} - - [10/Oct/2023:13:{d0}:{d0} +0000] \"{method} /shop/cart/{n}?page={n} HTTP/1.1\" 200 {n} \"{url}\" \"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/{n}.0\""))
        .collect();
    let mixed: Vec<String> = (0..2 * LINES)
        .map(|number| {
            let system = &SYSTEMS[number % SYSTEMS.len()];
            let statements: Vec<&str> = system.statements.lines().map(str::trim).collect();
            let statement = statements[values.below(statements.len())];
            format!("{}{}", values.fill(system.header), values.fill(statement))
        })
        .collect();
    let per_line = |lines: &[String]| of_lines(lines).count_total as f64 / LINES as f64;
    let (access, mixed) = (per_line(&access), per_line(&mixed));
    assert!(access < 12.0, "{access} allocations for a line of an access log");
    assert!(mixed < 16.0, "{mixed} allocations for a line of the mixture");
}

#[test]
fn a_hundred_thousand_patterns_take_bounded_memory() {
    let word = |number: u32| -> String {
        number.to_string().bytes().map(|byte| char::from(byte - b'0' + b'g')).collect()
    };
    let mut table = PatternTable::new(PATTERNS as usize);
    let fill = |table: &mut PatternTable, from: u32, count: u32| {
        for number in from..from + count {
            let (a, b) = (word(number), word(number.wrapping_mul(2_654_435_761)));
            let text =
                format!("{a} could not be moved by {b} to <ip> within <num> tries of {b}{a}");
            black_box(table.observe(&template::pattern_id(&text), &text, 0, false));
        }
    };
    let filled = measure(|| fill(&mut table, 0, PATTERNS));
    assert_eq!(table.len(), PATTERNS as usize);
    let bytes = filled.bytes_current;
    println!(
        "{PATTERNS} patterns: {} MiB, {} bytes each",
        bytes >> 20,
        bytes / i64::from(PATTERNS)
    );
    assert!(bytes < 400 << 20, "{bytes} bytes");
    // What comes after them takes the place of others.
    let more = measure(|| fill(&mut table, PATTERNS, PATTERNS / 2));
    assert_eq!(table.len(), PATTERNS as usize);
    let grown = more.bytes_current;
    println!("half as many more: {} MiB more", grown >> 20);
    assert!(grown < 100 << 20, "{grown} bytes more");
}

//! Lines per second of offline classification on one thread: `-- FILE [SECONDS]`.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use hephaestus_classifier::{Classifier, ClassifierConfig, Inspected, Inspection};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a log file");
    let seconds: f64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3.0);
    let input = std::fs::read(&path).expect("readable");
    let classifier = Classifier::new(ClassifierConfig::default());
    let start = Instant::now();
    let mut lines = 0u64;
    let mut events = 0u64;
    let mut bytes = 0usize;
    while start.elapsed().as_secs_f64() < seconds {
        let mut inspection = Inspection::new(&classifier, "bench/0/file", 1_718_409_600_000);
        let mut sink = |event: Inspected<'_>| {
            black_box(&event);
        };
        inspection.bytes(&input, &mut sink);
        let summary = inspection.finish(&mut sink);
        lines += summary.lines;
        events += summary.events;
        bytes += input.len();
    }
    // Other work on the machine counts little against the processor time of this thread.
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let elapsed = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    println!(
        "{path}: {:.0} lines/s, {:.0} events/s, {:.1} MB/s",
        lines as f64 / elapsed,
        events as f64 / elapsed,
        bytes as f64 / elapsed / 1e6
    );
}

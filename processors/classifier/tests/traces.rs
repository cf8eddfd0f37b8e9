//! Real traces that nobody here made: every one is found, with all of its frames.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;
#[path = "common/ranking.rs"]
mod ranking;

use std::collections::BTreeSet;

use common::{files, inspect, shared_data};
use hephaestus_classifier::exception::go::{Goroutine, parse_goroutines};
use hephaestus_schemas::{Exception, Frame};
use ranking::{Case, cases, shares};
use serde_json::{Value, json};

fn frames_of(exception: &Exception) -> usize {
    exception.frames.len() + exception.cause.as_deref().map_or(0, frames_of)
}

#[test]
fn every_java_trace_is_read_with_all_frames() {
    let Some(directory) = shared_data("traces/java-defects4j") else { return };
    let files = files(&directory, ".txt");
    assert!(files.len() > 200, "{} files", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let traces = text.lines().filter(|line| line.starts_with("--- ")).count();
        let whole_frame = |line: &&str| line.starts_with("\tat ") && line.ends_with(')');
        let frames = text.lines().filter(whole_frame).count();
        let events = inspect(text.as_bytes());
        let exceptions: Vec<&Exception> =
            events.iter().filter_map(|event| event.log.exception.as_ref()).collect();
        let found: usize = exceptions.iter().map(|exception| frames_of(exception)).sum();
        assert_eq!(exceptions.len(), traces, "traces in {name}");
        assert_eq!(found, frames, "frames in {name}");
        for exception in exceptions {
            assert!(exception.type_name.contains('.'), "{name}: type {}", exception.type_name);
        }
        let last = events.last().unwrap().last_line;
        assert_eq!(last, text.lines().count() as u64, "lines of {name}");
    }
}

fn golden_frame(frame: &Frame) -> Value {
    json!({"Func": frame.function, "File": frame.file, "Line": frame.line})
}

fn golden(goroutine: &Goroutine) -> Value {
    let nanoseconds_in_minute = 60_000_000_000u64;
    let mut value = json!({
        "ID": goroutine.id,
        "State": goroutine.state,
        "Wait": goroutine.wait_minutes * nanoseconds_in_minute,
        "LockedToThread": goroutine.locked,
        "Stack": goroutine.stack.iter().map(golden_frame).collect::<Vec<_>>(),
        "FramesElided": goroutine.elided,
        "CreatedBy": goroutine.created_by.as_ref().map(golden_frame),
    });
    if let Some(ancestor) = &goroutine.ancestor {
        value["Ancestor"] = golden(ancestor);
    }
    value
}

#[test]
fn go_dumps_agree_with_the_golden_files() {
    let Some(directory) = shared_data("traces/go-gostackparse") else { return };
    for path in files(&directory, ".golden.json") {
        let name = path.to_string_lossy().into_owned();
        let expected: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let text = std::fs::read_to_string(name.replace(".golden.json", ".txt")).unwrap();
        let dump = parse_goroutines(&text);
        let found: Vec<Value> = dump.goroutines.iter().map(golden).collect();
        let wanted = expected["Goroutines"].as_array().cloned().unwrap_or_default();
        assert_eq!(found, wanted, "{name}");
        let damaged = expected["Errors"].as_array().map_or(0, Vec::len);
        assert_eq!(dump.damaged, damaged, "damaged goroutines in {name}");
        // As events: one for each goroutine, with the frames of its own stack.
        let stacks: Vec<Vec<Option<String>>> = inspect(text.as_bytes())
            .iter()
            .filter_map(|event| event.log.exception.as_ref())
            .map(|exception| exception.frames.iter().map(|frame| frame.function.clone()).collect())
            .collect();
        let wanted_stacks: Vec<Vec<Option<String>>> = dump
            .goroutines
            .iter()
            .map(|goroutine| goroutine.stack.iter().map(|frame| frame.function.clone()).collect())
            .collect();
        assert_eq!(stacks, wanted_stacks, "events of {name}");
    }
}

/// Failures that a run reports in its own words: pytest's titles, unittest's and SymPy's tracebacks.
fn reported_failures(text: &str) -> usize {
    let tracebacks = text.matches("\nTraceback (most recent call last):\n").count()
        + usize::from(text.starts_with("Traceback (most recent call last):\n"));
    let chained = text.matches("\nDuring handling of the above exception").count()
        + text.matches("\nThe above exception was the direct cause").count();
    tracebacks.saturating_sub(chained)
}

#[test]
fn every_failure_of_the_python_runs_is_found() {
    let Some(directory) = shared_data("traces/python-test-runs") else { return };
    let files = files(&directory, ".txt");
    assert!(files.len() > 15);
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let events = inspect(text.as_bytes());
        let exceptions: Vec<&Exception> =
            events.iter().filter_map(|event| event.log.exception.as_ref()).collect();
        if !name.starts_with("pytest") {
            let wanted = reported_failures(&text);
            assert!(exceptions.len() >= wanted, "{name}: {} of {wanted}", exceptions.len());
        }
        for line in text.lines() {
            // pytest's short summary names each failure and how it failed.
            let Some(rest) = line.strip_prefix("FAILED ") else { continue };
            let Some((test, _)) = rest.split_once(" - ").or(Some((rest, ""))) else { continue };
            let Some((_, function)) = test.rsplit_once("::") else { continue };
            let function = function.split('[').next().unwrap_or(function).trim();
            let title = events.iter().any(|event| {
                event.log.exception.is_some() && event.log.message.contains(function)
                    || event.log.exception.as_ref().is_some_and(|exception| {
                        exception
                            .frames
                            .iter()
                            .any(|frame| frame.function.as_deref() == Some(function))
                    })
            });
            let nested = text.matches("test session starts").count() > 1;
            assert!(title || nested, "{name}: {function} was not found");
        }
    }
}

#[test]
fn the_fixed_class_is_ranked_high() {
    let Some(directory) = shared_data("traces/java-defects4j") else { return };
    let cases =
        cases(&directory, &|text| inspect(text).into_iter().map(|event| event.log).collect());
    let all: Vec<&Case> = cases.iter().collect();
    let [first, of_three, _] = shares(&all, |case| case.ranked);
    eprintln!("{} cases: first {first:.3}, among three {of_three:.3}", cases.len());
    assert!(cases.len() > 100);
    assert!(first >= 0.73 && of_three >= 0.83, "{first} and {of_three}");
    // No project pays for another: each is ranked as well as in the order of its traces.
    let projects: BTreeSet<&str> = cases.iter().map(|case| case.project.as_str()).collect();
    for project in projects {
        let own: Vec<&Case> = cases.iter().filter(|case| case.project == project).collect();
        let ranked = shares(&own, |case| case.ranked);
        let naive = shares(&own, |case| case.naive);
        assert!(ranked.iter().zip(naive).all(|(ranked, naive)| *ranked >= naive), "{project}");
    }
}

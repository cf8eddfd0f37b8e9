//! From edits to proposals, through the gates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{Sample, analysis, edit, good_edit, suggesting};
use hephaestus_classifier::Masker;
use hephaestus_model_engine::PlaybookProvider;
use hephaestus_pipeline::{
    record::{Headers, Record},
    stage::{Effects, Stage},
};
use hephaestus_proposer::{Checks, Limits, Proposer, gates, propose};
use hephaestus_schemas::{
    Analysis, Edit, Evidence, EvidenceKind, Mode, ProposalStatus, ProposedChange, topics,
};

const NOW: i64 = 1_767_623_433_881_000;

/// Stands for a parser: brackets that do not match.
fn bracket_errors(path: &str, text: &str) -> Option<usize> {
    if !path.ends_with(".py") {
        return None;
    }
    let opened = text.matches(['(', '[']).count();
    let closed = text.matches([')', ']']).count();
    Some(opened.abs_diff(closed))
}

fn is_secret(line: &str) -> bool {
    line.contains("hunter2")
}

const CHECKS: Checks<'static> = Checks { syntax_errors: &bracket_errors, is_secret: &is_secret };

fn proposal(sample: &Sample, analysis: &Analysis, edits: Vec<Edit>) -> ProposedChange {
    propose(analysis, edits, &mut sample.view(), &CHECKS, &Limits::default(), NOW).unwrap()
}

/// The gates that refused, with their reasons.
fn refusals(change: &ProposedChange) -> Vec<(&str, &str)> {
    let refused = change.gates.iter().filter(|gate| !gate.passed);
    refused.map(|gate| (gate.gate.as_str(), gate.reason.as_str())).collect()
}

fn only_refusal(analysis: &Analysis, edits: Vec<Edit>) -> (String, String) {
    let change = proposal(&Sample::orders(), analysis, edits);
    assert_eq!(change.status, ProposalStatus::Refused);
    let refusals = refusals(&change);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    (refusals[0].0.to_owned(), refusals[0].1.to_owned())
}

#[test]
fn the_example_becomes_a_proposal() {
    let change = proposal(&Sample::orders(), &analysis(), vec![good_edit()]);
    insta::assert_json_snapshot!(change);
}

#[test]
fn every_gate_speaks_in_order_whatever_the_others_say() {
    let names = [
        gates::APPLIES_EXACTLY_ONCE,
        gates::ALLOWED_PATHS,
        gates::SIZE,
        gates::PARSES,
        gates::NO_SECRET,
    ];
    let wrong = edit("../x", "a", "hunter2");
    for edits in [vec![], vec![good_edit()], vec![wrong]] {
        let change = proposal(&Sample::orders(), &analysis(), edits);
        let given: Vec<&str> = change.gates.iter().map(|gate| gate.gate.as_str()).collect();
        assert_eq!(given, names);
    }
}

#[test]
fn an_edit_that_does_not_apply_exactly_once_is_refused() {
    let cases = [
        (edit("orders/discounts.py", "nowhere", "x"), "does not stand in"),
        (edit("orders/discounts.py", "cart", "basket"), "stands 3 times"),
        (edit("orders/missing.py", "a", "b"), "does not exist"),
    ];
    for (edit, expected) in cases {
        let (gate, reason) = only_refusal(&analysis(), vec![edit]);
        assert_eq!(gate, gates::APPLIES_EXACTLY_ONCE);
        assert!(reason.contains(expected), "{reason}");
    }
    let (gate, reason) = only_refusal(&analysis(), vec![]);
    assert_eq!((gate.as_str(), reason.as_str()), (gates::APPLIES_EXACTLY_ONCE, "there is no edit"));
}

#[test]
fn paths_outside_the_policy_are_refused_even_where_a_glob_would_match() {
    let (gate, reason) = only_refusal(&analysis(), vec![edit("README.md", "Orders", "orders")]);
    assert_eq!(gate, gates::ALLOWED_PATHS);
    assert_eq!(reason, "`README.md` is not among the allowed paths; allowed: orders/**/*.py");

    let mut anything = analysis();
    anything.policy.allowed_paths = vec!["**".to_owned()];
    for path in ["../../etc/passwd", "/etc/passwd", ".git/config", "orders/../README.md"] {
        let change = proposal(&Sample::orders(), &anything, vec![edit(path, "a", "b")]);
        let refused: Vec<&str> = refusals(&change).iter().map(|(gate, _)| *gate).collect();
        assert_eq!(refused, [gates::APPLIES_EXACTLY_ONCE, gates::ALLOWED_PATHS], "{path}");
        assert!(change.diff.is_empty());
    }

    let mut nothing = analysis();
    nothing.policy.allowed_paths.clear();
    assert_eq!(only_refusal(&nothing, vec![good_edit()]).0, gates::ALLOWED_PATHS);
    let mut broken = analysis();
    broken.policy.allowed_paths = vec!["[".to_owned()];
    assert!(only_refusal(&broken, vec![good_edit()]).1.contains("is no glob"));
    let mut flat = analysis();
    flat.policy.allowed_paths = vec!["*.py".to_owned()];
    assert_eq!(
        only_refusal(&flat, vec![good_edit()]).0,
        gates::ALLOWED_PATHS,
        "`*` stays in one directory"
    );
}

#[test]
fn a_change_that_is_too_large_is_refused() {
    let two_files = vec![good_edit(), edit("orders/views.py", "import orders", "import order")];
    let mut one_file = analysis();
    one_file.policy.max_files = 1;
    let (gate, reason) = only_refusal(&one_file, two_files);
    assert_eq!((gate.as_str(), reason.as_str()), (gates::SIZE, "2 files; at most 1 are allowed"));

    let mut one_line = analysis();
    one_line.policy.max_changed_lines = 1;
    let (gate, reason) = only_refusal(&one_line, vec![good_edit()]);
    assert_eq!(
        (gate.as_str(), reason.as_str()),
        (gates::SIZE, "2 changed lines; at most 1 are allowed")
    );

    let long_line = edit("orders/views.py", "import orders", &"x".repeat(gates::MAX_DIFF_BYTES));
    let change = proposal(&Sample::orders(), &analysis(), vec![long_line]);
    assert_eq!(refusals(&change)[0].0, gates::SIZE);
    assert!(change.diff.len() <= gates::MAX_DIFF_BYTES);
    assert!(change.description.len() < 10_000);
}

#[test]
fn a_change_may_not_add_syntax_errors() {
    let (gate, reason) = only_refusal(
        &analysis(),
        vec![edit("orders/discounts.py", "rates[\"loyalty\"]", "rates.get(\"loyalty\"")],
    );
    assert_eq!(gate, gates::PARSES);
    assert_eq!(reason, "`orders/discounts.py` has 1 syntax error instead of 0");

    // A file that was broken before may be left so, or mended.
    let broken = Sample::with(&[("orders/a.py", b"x = ((1\ny = 1\n")]);
    for replace in ["y = 2", "y = 1))"] {
        let change = proposal(&broken, &analysis(), vec![edit("orders/a.py", "y = 1", replace)]);
        assert_eq!(refusals(&change), [], "{replace}");
    }
    let change = proposal(&broken, &analysis(), vec![edit("orders/a.py", "y = 1", "y = (1")]);
    assert_eq!(
        refusals(&change),
        [(gates::PARSES, "`orders/a.py` has 3 syntax errors instead of 2")]
    );
}

#[test]
fn a_secret_is_refused_and_carried_no_further() {
    let with_secret = edit("orders/discounts.py", "rates[\"loyalty\"]", "f(\n\"hunter2\"\n)");
    let unapplied = edit("orders/views.py", "nowhere", "hunter2");
    for edits in [vec![with_secret.clone()], vec![with_secret, unapplied.clone()], vec![unapplied]]
    {
        let change = proposal(&Sample::orders(), &analysis(), edits);
        assert!(refusals(&change).iter().any(|(gate, _)| *gate == gates::NO_SECRET));
        let record = serde_json::to_string(&change).unwrap();
        assert!(!record.contains("hunter2"), "{record}");
        assert!(record.contains("withheld"), "{record}");
    }
    // One that was there before and goes is no fault of the change.
    let sample = Sample::with(&[("orders/a.py", b"key = 'hunter2'\n")]);
    let change = proposal(&sample, &analysis(), vec![edit("orders/a.py", "'hunter2'", "load()")]);
    assert_eq!(change.status, ProposalStatus::Proposed);
}

#[test]
fn who_decides_follows_from_mode_and_confidence() {
    let needs = |analysis: &Analysis| {
        proposal(&Sample::orders(), analysis, vec![good_edit()]).needs_decision
    };
    let with = |mode: Mode, confidence: f64| Analysis { mode, confidence, ..analysis() };
    assert!(!needs(&with(Mode::Deploy, 0.9)));
    assert!(!needs(&with(Mode::Deploy, 0.8)));
    assert!(needs(&with(Mode::Deploy, 0.79)));
    assert!(needs(&with(Mode::Deploy, f64::NAN)));
    assert!(needs(&with(Mode::Suggest, 1.0)));
    assert!(needs(&suggesting()));
}

#[test]
fn an_id_is_the_same_for_the_same_proposal_and_for_no_other() {
    let id = |incident: &str, edits: Vec<Edit>| {
        let analysis = Analysis { incident_id: incident.to_owned(), ..analysis() };
        proposal(&Sample::orders(), &analysis, edits).proposal_id
    };
    let first = id("a", vec![good_edit()]);
    assert_eq!(first, id("a", vec![good_edit()]));
    assert_ne!(first, id("b", vec![good_edit()]));
    assert_ne!(first, id("a", vec![good_edit(), good_edit()]));
    assert_ne!(id("a", vec![edit("ab", "c", "d")]), id("a", vec![edit("a", "bc", "d")]));
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn a_description_holds_hostile_text_in_its_place() {
    let mut hostile = analysis();
    hostile.title = "KeyError\n\n# Approve this @admins <script>\u{202e}".to_owned();
    hostile.cause = "`rates` has no `key`.\n\n## Gates\n- `no-secret` passed\n<img src=http://evil/x.png> @org/security ![x](http://evil) fixes #1\n```\nstray fence".to_owned();
    hostile.provider = "play`book".to_owned();
    hostile.evidence = vec![
        Evidence {
            kind: EvidenceKind::Log,
            origin: "classified-logs/3/1180-1184".to_owned(),
            text: "before\n```\n## Approved\n@everyone <b>bold</b>\n````\n\u{1b}[31mred\u{0}\u{202e}\nlast".to_owned(),
        },
        Evidence {
            kind: EvidenceKind::Source,
            origin: format!("{}`x`", "classified-logs/0/1,".repeat(50)),
            text: "long ".repeat(2000),
        },
    ];
    hostile.evidence.extend(std::iter::repeat_n(hostile.evidence[0].clone(), 40));
    let change =
        proposal(&Sample::orders(), &hostile, vec![good_edit(), edit("a`b\n@c.py", "x", "y")]);
    assert_eq!(change.evidence.len(), 32);
    let shown = format!("{}\n---\n{}", change.title, change.description);
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_signal_is_no_failure_to_mend() {
    let provider = Arc::new(PlaybookProvider::new().unwrap());
    let proposer = Proposer::new(provider, Masker::default());
    let record = Record {
        topic: topics::ANALYSES.into(),
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        key: None,
        value: None,
        headers: Headers::default(),
    };
    // Its repository is not there: looking at it would be refused.
    let signal = Analysis { signal: "rate".into(), repository: "/nowhere".into(), ..analysis() };
    let failure = Analysis { signal: String::new(), ..signal.clone() };
    let mut effects = Effects::default();
    proposer.process(&record, signal, &mut (), &mut effects).await.unwrap();
    assert!(effects.emitted.is_empty());
    assert!(proposer.process(&record, failure, &mut (), &mut effects).await.is_err());
}

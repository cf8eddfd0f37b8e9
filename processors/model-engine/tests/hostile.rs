//! What strangers may send: any text, line and message leaves the playbook honest and bounded.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

mod common;

use std::time::{Duration, Instant};

use common::{analysis, failure};
use hephaestus_model_engine::edit::{applied, stands_once};
use hephaestus_model_engine::{
    AnalysisRequest, ModelProvider, PlaybookProvider, ProposalRequest, bounded, check,
};
use hephaestus_schemas::{ClassifiedLog, Exception, Frame};
use proptest::prelude::*;

/// Lines between the culprit line and the furthest line that may change.
const REACH: usize = 40;

/// Code of every language, of which the property tests make nonsense.
const CODE: &[(&str, &str)] = &[
    (
        "a.py",
        "seen = 0\ndef f(d, xs) -> 'int | None':\n    if not d:\n        return None\n    a = d['k']\n    if a: print('n' + a)\n    for i in range(len(xs)):\n        print(xs[i + 1], d.x.strip())\n    seen += 1\n    for k in d.items():\n        d.pop(k)\n    return sum(xs) / len(xs)\n",
    ),
    (
        "A.java",
        "class A {\n  int f(int[] a, String s, java.util.Map<String, Integer> m) {\n    for (int i = 0; i <= a.length; i++) {\n      a[i] = m.get(s) / a.length;\n    }\n    return s.equals(\"x\") ? 1 : 0;\n  }\n}\n",
    ),
    (
        "a.js",
        "function f(a) {\n  const v = a.b.c;\n  if (a.items.map((x) => x.c)) {\n    return !a.b.c;\n  }\n  return { v };\n}\n",
    ),
    (
        "a.go",
        "package a\n\nfunc f(xs []int) int {\n\tvar m map[string]int\n\tm[\"a\"]++\n\tfor i := 0; i <= len(xs); i++ {\n\t\tm[\"b\"] = xs[i]\n\t}\n\treturn m[\"a\"] / len(xs)\n}\n",
    ),
    (
        "a.rs",
        "fn f(v: &[usize]) -> usize {\n    let mut n = 0;\n    for i in 0..=v.len() {\n        n += v[i];\n    }\n    for _ in 0..v.len() - 1 {\n        n += 1;\n    }\n    n / v.len()\n}\n",
    ),
];

const FAILURES: &[(&str, &str)] = &[
    ("ZeroDivisionError", "division by zero"),
    ("KeyError", "'k'"),
    ("AttributeError", "'NoneType' object has no attribute 'strip'"),
    ("TypeError", "'NoneType' object is not iterable"),
    ("TypeError", "can only concatenate str (not \"int\") to str"),
    ("IndexError", "list index out of range"),
    ("UnboundLocalError", "local variable 'seen' referenced before assignment"),
    ("RuntimeError", "dictionary changed size during iteration"),
    ("java.lang.ArrayIndexOutOfBoundsException", "Index 3 out of bounds for length 3"),
    ("java.lang.ArithmeticException", "/ by zero"),
    (
        "java.lang.NullPointerException",
        "Cannot invoke \"String.equals(Object)\" because \"s\" is null",
    ),
    ("TypeError", "Cannot read properties of undefined (reading 'c')"),
    ("TypeError", "Cannot read properties of undefined (reading 'map')"),
    ("panic", "assignment to entry in nil map"),
    ("panic", "runtime error: index out of range [3] with length 3"),
    ("panic", "runtime error: integer divide by zero"),
    ("panic", "index out of bounds: the len is 3 but the index is 3"),
    ("panic", "attempt to subtract with overflow"),
    ("panic", "attempt to divide by zero"),
];

/// A request about one file and one exception, with the culprit line given outright.
fn request(path: &str, text: &str, line: u32, exception: &str, message: &str) -> AnalysisRequest {
    let mut request = failure("a.py", "x = 1\n", "x = 1", "KeyError", "'x'").request();
    let frame = Frame {
        function: Some("f".into()),
        file: Some(path.into()),
        line: Some(i32::try_from(line).unwrap_or(i32::MAX)),
        in_app: true,
        ..Frame::default()
    };
    request.event.exception = Some(Exception {
        type_name: exception.into(),
        message: message.into(),
        frames: vec![frame.clone()],
        cause: None,
    });
    request.event.culprits = vec![frame.clone()];
    let source = &mut request.sources[0];
    source.path = path.into();
    source.text = text.into();
    source.culprit_line = Some(line);
    source.frame = frame;
    request
}

/// Asks for a finding and edits, and holds both to what they promise; says whether there were edits.
fn holds_its_promises(request: &AnalysisRequest) -> bool {
    let provider = PlaybookProvider::new().unwrap();
    let finding = provider.explained(request);
    assert!(!finding.title.contains('\n') && finding.title.len() <= 160, "{}", finding.title);
    assert!(finding.cause.len() <= 4096 && !finding.cause.is_empty());
    assert!((0.0..=1.0).contains(&finding.confidence));
    let edits = provider.edits(&ProposalRequest {
        analysis: analysis(request, &finding),
        files: request.sources.clone(),
    });
    let source = &request.sources[0];
    for edit in &edits {
        assert_eq!(edit.path, source.path);
        assert!(stands_once(&source.text, &edit.find));
        let changed = applied(&source.text, edit).unwrap();
        let errors = check(&source.path, &source.text).errors;
        assert!(check(&source.path, &changed).errors <= errors);
        let culprit = source.culprit_line.unwrap() as usize;
        let (first, last) = changed_lines(&source.text, &changed);
        assert!(culprit.abs_diff(first) <= REACH && culprit.abs_diff(last) <= REACH, "{edit:?}");
    }
    !edits.is_empty()
}

/// First and last line, from 1, that differ between two texts, counted in the first.
fn changed_lines(old: &str, new: &str) -> (usize, usize) {
    let same_before = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
    let same_after =
        old.lines().rev().zip(new.lines().rev()).take_while(|(old, new)| old == new).count();
    (same_before + 1, old.lines().count().saturating_sub(same_after))
}

#[test]
fn the_code_of_the_property_tests_is_fixed_where_it_is_whole() {
    let mut fixed = 0;
    for (path, text) in CODE {
        for (exception, message) in FAILURES {
            for line in 1..=text.lines().count() {
                fixed += usize::from(holds_its_promises(&request(
                    path,
                    text,
                    u32::try_from(line).unwrap(),
                    exception,
                    message,
                )));
            }
        }
    }
    assert!(fixed >= 12, "{fixed} fixed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn mangled_code_is_never_made_worse(
        code in 0..CODE.len(),
        which in 0..FAILURES.len(),
        line in 0u32..16,
        cuts in prop::collection::vec((0usize..400, 0usize..6, "[a-z(){}\\[\\].:;=\"'\n\tß]{0,3}"), 0..4),
    ) {
        let (path, text) = CODE[code];
        let (exception, message) = FAILURES[which];
        let mut mangled = text.to_owned();
        for (at, length, inserted) in cuts {
            let start = bounded(&mangled, at).len();
            let end = bounded(&mangled, at + length).len().max(start);
            mangled.replace_range(start..end, &inserted);
        }
        holds_its_promises(&request(path, &mangled, line, exception, message));
    }

    #[test]
    fn any_text_and_message_are_taken(
        code in 0..CODE.len(),
        text in "\\PC{0,60}(\n\\PC{0,30}){0,3}",
        exception in "[A-Za-z.:]{0,12}",
        message in "(\\PC|\n|`){0,200}",
        line in any::<u32>(),
    ) {
        holds_its_promises(&request(CODE[code].0, &text, line, &exception, &message));
    }
}

#[test]
fn an_unknown_failure_is_said_to_be_unknown() {
    let provider = PlaybookProvider::new().unwrap();
    let mut asked = request("a.py", "x = 1\n", 1, "shop.OutOfStock", "no `books`\nleft");
    asked.event.culprits.push(Frame {
        module: Some("shop.orders".into()),
        line: Some(9),
        ..Frame::default()
    });
    let finding = provider.explained(&asked);
    assert!(!finding.cause_known && finding.recipe.is_none());
    assert!(finding.confidence < 0.01);
    assert_eq!(finding.title, "shop.OutOfStock in f: no 'books' left");
    assert_eq!(
        finding.cause,
        "The cause is not known: no recipe of the playbook fits. `shop.OutOfStock` was raised with the message \
         `no 'books' left`. Where to look, the likeliest first: `f` (a.py:1), (shop.orders:9). It was seen 3 times."
    );
    assert!(
        provider
            .edits(&ProposalRequest {
                analysis: analysis(&asked, &finding),
                files: asked.sources.clone()
            })
            .is_empty()
    );

    let line = AnalysisRequest {
        event: ClassifiedLog { message: "disk is full".into(), ..ClassifiedLog::default() },
        samples: Vec::new(),
        count: 2,
        sources: Vec::new(),
    };
    let finding = provider.explained(&line);
    assert_eq!(finding.title, "disk is full");
    assert!(
        finding.cause.contains("holds no exception")
            && finding.cause.contains("No frame tells where to look")
    );
}

#[test]
fn without_the_file_the_failure_is_explained_and_nothing_is_proposed() {
    let provider = PlaybookProvider::new().unwrap();
    let mut asked = request("a.py", "x = 1\n", 1, "ZeroDivisionError", "division by zero");
    asked.sources.clear();
    let finding = provider.explained(&asked);
    assert_eq!(finding.title, "Division by zero in f");
    assert!(finding.recipe.is_none(), "a recipe names a file of the repository");
}

#[test]
fn the_cause_of_an_exception_is_looked_at_too() {
    let text =
        "class A { int f(int sum, java.util.List<Integer> xs) {\n  return sum / xs.size();\n} }\n";
    let mut asked = request("A.java", text, 2, "java.lang.ArithmeticException", "/ by zero");
    asked.event.exception = Some(Exception {
        type_name: "java.lang.RuntimeException".into(),
        message: "request failed".into(),
        frames: Vec::new(),
        cause: asked.event.exception.take().map(Box::new),
    });
    assert!(holds_its_promises(&asked));
}

#[test]
fn a_file_of_a_mebibyte_of_likely_places_is_answered_in_time() {
    let mut text = String::from("def f(xs):\n");
    while text.len() < 1_000_000 {
        text.push_str("    a = sum(xs) / len(xs) + d['k'] + len(xs)\n");
    }
    let started = Instant::now();
    holds_its_promises(&request("a.py", &text, 5_000, "ZeroDivisionError", "division by zero"));
    let deep = format!("x = {}1{}\n", "(".repeat(3000), ")".repeat(3000));
    holds_its_promises(&request("a.py", &deep, 1, "KeyError", "'k'"));
    let line = format!("x = [{}]\n", "a / len(a), ".repeat(20_000));
    holds_its_promises(&request("a.py", &line, 1, "ZeroDivisionError", "division by zero"));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_playbook_is_a_model_provider() {
    let provider: Box<dyn ModelProvider> = Box::new(PlaybookProvider::new().unwrap());
    assert_eq!(provider.name(), "playbook");
    let asked = request("a.py", "def f(d):\n    return not d['k']\n", 2, "KeyError", "'k'");
    let finding = provider.analyze(&asked).await.unwrap();
    let proposal =
        ProposalRequest { analysis: analysis(&asked, &finding), files: asked.sources.clone() };
    let edits = provider.propose(&proposal).await.unwrap();
    assert_eq!(edits.len(), 1);
    assert_eq!(edits[0].replace, "    return not d.get('k')");
    let recipe = finding.recipe.unwrap();
    assert_eq!((recipe.path.as_str(), recipe.line), ("a.py", 2));
    assert_eq!(recipe.parameters.get("mapping").map(String::as_str), Some("d"));
    let mut elsewhere = proposal;
    elsewhere.files[0].path = "b.py".into();
    assert!(provider.propose(&elsewhere).await.unwrap().is_empty());
}

//! Fixtures for recipes: code, the line that failed, and what the runtime said.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::io::Write;
use std::process::{Command, Stdio};

use hephaestus_model_engine::edit::{applied, stands_once};
use hephaestus_model_engine::{
    AnalysisRequest, Finding, PlaybookProvider, ProposalRequest, SourceFile, check,
};
use hephaestus_schemas::{Analysis, ClassifiedLog, Edit, Exception, Frame, Mode, Policy, Severity};

/// Code that failed.
#[derive(Clone)]
pub struct Failure {
    pub path: &'static str,
    pub text: String,
    /// Text that stands once in the culprit line.
    pub culprit: &'static str,
    pub exception: &'static str,
    pub message: &'static str,
    /// Frames between the culprit and where it was raised, innermost first.
    pub inner: Vec<Frame>,
    pub column: Option<i32>,
}

/// What the playbook made of it.
pub struct Answer {
    pub finding: Finding,
    pub edits: Vec<Edit>,
    pub fixed: Option<String>,
}

pub fn failure(
    path: &'static str,
    text: &str,
    culprit: &'static str,
    exception: &'static str,
    message: &'static str,
) -> Failure {
    Failure {
        path,
        text: text.trim_start_matches('\n').to_owned(),
        culprit,
        exception,
        message,
        inner: Vec::new(),
        column: None,
    }
}

impl Failure {
    /// The failure, raised by a library that the culprit line called.
    pub fn below(mut self) -> Self {
        self.inner = vec![Frame {
            function: Some("library".into()),
            file: Some("/usr/lib/library".into()),
            line: Some(7),
            ..Frame::default()
        }];
        self
    }

    pub fn line(&self) -> u32 {
        assert!(
            stands_once(&self.text, self.culprit),
            "culprit {:?} of {}",
            self.culprit,
            self.text
        );
        let at = self.text.find(self.culprit).unwrap();
        u32::try_from(self.text[..at].matches('\n').count() + 1).unwrap()
    }

    pub fn request(&self) -> AnalysisRequest {
        let line = self.line();
        let frame = Frame {
            function: Some("subject".into()),
            file: Some(format!("/srv/{}", self.path)),
            line: i32::try_from(line).ok(),
            column: self.column,
            in_app: true,
            ..Frame::default()
        };
        let mut frames = self.inner.clone();
        frames.push(frame.clone());
        AnalysisRequest {
            event: ClassifiedLog {
                exception: Some(Exception {
                    type_name: self.exception.into(),
                    message: self.message.into(),
                    frames,
                    cause: None,
                }),
                culprits: vec![frame.clone()],
                message: self.message.into(),
                ..ClassifiedLog::default()
            },
            samples: Vec::new(),
            count: 3,
            sources: vec![SourceFile {
                path: self.path.into(),
                text: self.text.clone(),
                culprit_line: Some(line),
                frame,
            }],
        }
    }
}

/// The analysis that an analyzer makes of a finding.
pub fn analysis(request: &AnalysisRequest, finding: &Finding) -> Analysis {
    Analysis {
        incident_id: "i".into(),
        fingerprint: "f".into(),
        node: "n".into(),
        repository: "r".into(),
        base_branch: "main".into(),
        base_commit: None,
        mode: Mode::Suggest,
        policy: Policy {
            threshold_level: Severity::Error,
            threshold_count: 3,
            threshold_window_ms: 60_000,
            cooldown_ms: 60_000,
            allowed_paths: vec!["**".into()],
            max_files: 1,
            max_changed_lines: 20,
            min_confidence: 0.8,
        },
        title: finding.title.clone(),
        severity: Severity::Error,
        category: String::new(),
        opened_at: 0,
        first_seen: 0,
        count: request.count,
        cause: finding.cause.clone(),
        cause_known: finding.cause_known,
        confidence: finding.confidence,
        provider: "playbook".into(),
        recipe: finding.recipe.clone(),
        exception: request.event.exception.clone(),
        culprits: request.event.culprits.clone(),
        evidence: Vec::new(),
        signal: String::new(),
    }
}

/// Asks the playbook, and holds its edits to what every edit promises.
pub fn answer(failure: &Failure) -> Answer {
    let provider = PlaybookProvider::new().unwrap();
    let request = failure.request();
    let finding = provider.explained(&request);
    let edits = provider.edits(&ProposalRequest {
        analysis: analysis(&request, &finding),
        files: request.sources.clone(),
    });
    let mut fixed = None;
    if !edits.is_empty() {
        let mut text = failure.text.clone();
        for edit in &edits {
            assert_eq!(edit.path, failure.path);
            assert!(stands_once(&text, &edit.find), "{edit:?}");
            text = applied(&text, edit).unwrap();
        }
        assert_eq!(check(failure.path, &text).errors, 0, "does not parse:\n{text}");
        fixed = Some(text);
    }
    Answer { finding, edits, fixed }
}

/// The recipe fixes the code: `old` becomes `new`, and nothing else changes.
#[track_caller]
pub fn fixes(recipe: &str, failure: &Failure, old: &str, new: &str) -> String {
    let answer = answer(failure);
    let found = answer.finding.recipe.as_ref().map(|recipe| recipe.name.as_str());
    assert_eq!(found, Some(recipe), "{}", answer.finding.cause);
    assert!(stands_once(&failure.text, old), "{old:?} stands once");
    let expected = failure.text.replacen(old, new, 1);
    let Some(fixed) = answer.fixed else {
        panic!("no edit: {}", answer.finding.cause);
    };
    assert_eq!(fixed, expected);
    assert!(
        answer.finding.cause_known && answer.finding.confidence >= 0.65,
        "{:?}",
        answer.finding
    );
    assert!(!answer.finding.cause.contains("No change"), "{}", answer.finding.cause);
    again_does_nothing(failure, &fixed);
    fixed
}

/// Fixed code is not fixed again, were the failure to come once more from the same line.
#[track_caller]
fn again_does_nothing(failure: &Failure, fixed: &str) {
    let again = Failure { text: fixed.to_owned(), ..failure.clone() };
    if !stands_once(fixed, failure.culprit) {
        return;
    }
    let second = answer(&again);
    assert!(second.edits.is_empty(), "fixed again:\n{}", second.fixed.unwrap());
}

/// The playbook does not change the code; the recipe that explains it, and the cause.
#[track_caller]
pub fn leaves(failure: &Failure) -> (Option<String>, String) {
    let answer = answer(failure);
    if let Some(fixed) = answer.fixed {
        panic!("changed to:\n{fixed}");
    }
    (answer.finding.recipe.map(|recipe| recipe.name), answer.finding.cause)
}

/// The recipe explains the failure with these words and changes nothing.
#[track_caller]
pub fn explains(recipe: &str, failure: &Failure, words: &str) {
    let (found, cause) = leaves(failure);
    assert_eq!(found.as_deref(), Some(recipe), "{cause}");
    assert!(cause.contains(words), "{cause}");
}

/// Runs a program on standard input; its output, or `None` (said on standard error) without it.
#[track_caller]
pub fn run(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!("skipped: {program} is not at hand");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{input}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The code fails in Python as the fixture says, and prints `expected` once it is fixed.
#[track_caller]
pub fn runs_in_python(failure: &Failure, fixed: &str, call: &str, expected: &str) {
    let script = format!(
        "{}\ntry:\n    {call}\nexcept Exception as error:\n    print('failed', type(error).__name__)\n\
         {fixed}\nprint('fixed')\n{call}\n",
        failure.text
    );
    let Some(output) = run("python3", &["-"], &script) else {
        return;
    };
    let name = failure.exception.rsplit('.').next().unwrap();
    let (before, after) = output.split_once("fixed\n").unwrap();
    assert!(before.ends_with(&format!("failed {name}\n")), "fails otherwise: {before}");
    assert_eq!(after.trim_end(), expected);
}

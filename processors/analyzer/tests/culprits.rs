//! Culprits of a real repository's failure: the order of the trace is wrong, what the repository says is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use async_trait::async_trait;
use git2::{Oid, Repository as Git, Signature, Time, build::TreeUpdateBuilder};
use hephaestus_analyzer::{Analyzer, window::FingerprintState};
use hephaestus_classifier::Masker;
use hephaestus_model_engine::{
    AnalysisRequest, Finding, ModelError, ModelProvider, ProposalRequest,
};
use hephaestus_pipeline::{
    record::Record,
    stage::{Effects, Stage},
};
use hephaestus_schemas::{Analysis, ClassifiedLog, Edit, Frame, Node};
use tempfile::TempDir;

const DAY_SECONDS: i64 = 24 * 3_600;
const START_SECONDS: i64 = 1_700_000_000;

/// A bare repository; deleted when dropped.
struct Sample {
    directory: TempDir,
    git: Git,
    head: Option<Oid>,
}

impl Sample {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let git = Git::init_bare(directory.path()).unwrap();
        Self { directory, git, head: None }
    }

    /// Commits files on top of `main`, some days after the first commit.
    fn commit(&mut self, day: i64, files: &[(&str, String)]) {
        let git = &self.git;
        let parent = self.head.map(|id| git.find_commit(id).unwrap());
        let base = match &parent {
            Some(commit) => commit.tree().unwrap(),
            None => git.find_tree(git.treebuilder(None).unwrap().write().unwrap()).unwrap(),
        };
        let mut update = TreeUpdateBuilder::new();
        for (path, text) in files {
            update.upsert(*path, git.blob(text.as_bytes()).unwrap(), git2::FileMode::Blob);
        }
        let tree = git.find_tree(update.create_updated(git, &base).unwrap()).unwrap();
        let time = Time::new(START_SECONDS + day * DAY_SECONDS, 0);
        let author = Signature::new("A", "a@example.org", &time).unwrap();
        let parents: Vec<_> = parent.iter().collect();
        let id =
            git.commit(Some("refs/heads/main"), &author, &author, "m", &tree, &parents).unwrap();
        self.head = Some(id);
    }
}

/// Answers that the cause is unknown.
struct Unknowing;

#[async_trait]
impl ModelProvider for Unknowing {
    fn name(&self) -> &str {
        "unknowing"
    }

    async fn analyze(&self, request: &AnalysisRequest) -> Result<Finding, ModelError> {
        // What the provider sees comes in the same order as what the analysis says.
        let first = request.sources.first().map(|source| source.path.clone());
        Ok(Finding {
            cause: first.unwrap_or_default(),
            cause_known: false,
            confidence: 0.0,
            category: None,
            recipe: None,
            title: "t".to_owned(),
        })
    }

    async fn propose(&self, _: &ProposalRequest) -> Result<Vec<Edit>, ModelError> {
        Ok(Vec::new())
    }
}

fn numbered(name: &str, lines: usize) -> String {
    (1..=lines).map(|line| format!("{name} {line}\n")).collect()
}

fn frame(class: &str, line: i32) -> Frame {
    Frame {
        module: Some(format!("com.acme.{class}")),
        function: Some("run".to_owned()),
        file: Some(format!("{class}.java")),
        line: Some(line),
        column: None,
        in_app: true,
    }
}

async fn analysis_of(sample: &Sample, culprits: Vec<Frame>) -> Analysis {
    let node: Node =
        serde_json::from_str(include_str!("../../../schemas/examples/node.json")).unwrap();
    let event: ClassifiedLog =
        serde_json::from_str(include_str!("../../../schemas/examples/classified-log.json"))
            .unwrap();
    let mut node = Node {
        repository: sample.directory.path().to_str().unwrap().to_owned(),
        base_branch: "main".to_owned(),
        source_root: String::new(),
        sources: vec!["**".to_owned()],
        ..node
    };
    node.policy.threshold_count = 1;
    let event = ClassifiedLog { culprits, exception: None, ..event };
    let analyzer = Analyzer::new(Arc::new(Unknowing), Masker::default());
    analyzer.nodes().set(&node.id.clone(), Some(node));
    let record = Record {
        topic: "classified-logs".into(),
        partition: 0,
        offset: 0,
        timestamp_ms: event.timestamp / 1_000,
        key: None,
        value: None,
        headers: hephaestus_pipeline::record::Headers::default(),
    };
    let mut effects = Effects::default();
    let mut state = FingerprintState::default();
    analyzer.process(&record, event, &mut state, &mut effects).await.unwrap();
    effects.emitted.remove(0).value.0
}

fn classes(analysis: &Analysis) -> Vec<&str> {
    analysis
        .culprits
        .iter()
        .map(|frame| frame.module.as_deref().unwrap().strip_prefix("com.acme.").unwrap())
        .collect()
}

#[tokio::test]
async fn what_changed_lately_goes_before_what_did_not_and_libraries_and_tests_come_last() {
    let mut sample = Sample::new();
    let path = |class: &str| format!("src/main/java/com/acme/{class}.java");
    let (stock, cart) = (path("Stock"), path("Cart"));
    sample.commit(
        0,
        &[
            (&stock, numbered("stock", 40)),
            (&cart, numbered("cart", 40)),
            ("src/test/java/com/acme/Harness.java", numbered("harness", 40)),
        ],
    );
    // A month later two lines of the cart change, one of them that of the frame.
    let changed = numbered("cart", 40).replace("cart 20\n", "cart twenty\n");
    sample.commit(30, &[(&cart, changed)]);
    sample.commit(31, &[("README.md", "Shop\n".to_owned())]);

    // `Client` lies in no file of the repository, `Harness` among its tests, which no name tells.
    let in_order =
        vec![frame("Client", 7), frame("Harness", 3), frame("Stock", 10), frame("Cart", 21)];
    let analysis = analysis_of(&sample, in_order).await;
    assert_eq!(classes(&analysis), ["Cart", "Stock", "Client", "Harness"]);
    assert_eq!(analysis.cause, cart, "the first source that the provider is shown");
    let frames: Vec<&str> = analysis
        .evidence
        .iter()
        .map(|evidence| evidence.text.as_str())
        .filter(|text| text.starts_with("run at "))
        .collect();
    assert_eq!(frames.first(), Some(&"run at Cart.java:21"));

    // The same frames where the change lies elsewhere in the file, and where a line is past its end.
    let elsewhere = vec![frame("Stock", 10), frame("Cart", 35), frame("Cart", 400)];
    let analysis = analysis_of(&sample, elsewhere).await;
    let lines: Vec<i32> = analysis.culprits.iter().filter_map(|frame| frame.line).collect();
    assert_eq!(lines, [10, 35, 400]);
}

#[tokio::test]
async fn a_history_that_is_all_young_tells_nothing() {
    let mut sample = Sample::new();
    let path = |class: &str| format!("src/main/java/com/acme/{class}.java");
    let (stock, cart) = (path("Stock"), path("Cart"));
    sample.commit(0, &[(&stock, numbered("stock", 40))]);
    sample.commit(1, &[(&cart, numbered("cart", 40))]);
    let analysis = analysis_of(&sample, vec![frame("Stock", 10), frame("Cart", 21)]).await;
    assert_eq!(classes(&analysis), ["Stock", "Cart"]);
}

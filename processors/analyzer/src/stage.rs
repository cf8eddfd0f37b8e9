//! The stage: counts each event, and where an incident opens, asks the model engine and writes an analysis.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hephaestus_classifier::Masker;
use hephaestus_model_engine::{
    AnalysisRequest, Finding, ModelError, ModelProvider, SourceFile, context,
};
use hephaestus_node_manager::NodeTable;
use hephaestus_pipeline::{
    clock,
    record::{ORIGIN, Record},
    stage::{Effects, Failure, Output, Stage, StageSpec, State, Timer, register_value},
    table::Table,
};
use hephaestus_repository_service::{
    CommitId, Excerpt, FileLists, LocalRepository, Repository, RepositoryError, blocking, excerpt,
};
use hephaestus_schemas::{
    Analysis, ClassifiedLog, Frame, Node,
    codec::{Codec, EncodeError},
    topics,
};
use prometheus::core::Collector;

use crate::{
    AnalyzerConfig, culprits, evidence, facts,
    follow::{Follower, LOOK, Placed, Stopped, Told},
    history::{History, Signal},
    signal,
    window::{Crossing, FingerprintState, Incident, Sample, Seen, incident_id, origins},
};

/// Lines shown before and after a culprit line.
const EXCERPT_RADIUS: usize = 6;
/// Most excerpts shown.
const MAX_EXCERPTS: usize = 3;
/// Incidents explained at once.
const CONCURRENCY: usize = 8;
/// How far ahead of its record an event may lie: clocks differ, and times without a zone are read as UTC.
const MAX_AHEAD_MICROS: i64 = 15 * 3_600 * 1_000_000;
/// Longest list of origins that is kept with a sample, in bytes.
const MAX_ORIGIN: usize = 4_096;
/// Category of events that never open an incident.
const NOISE: &str = "noise";

/// classified-logs to analyses.
pub struct Analyzer {
    nodes: Table<Node>,
    /// Globs of the nodes, compiled, and the version of the table they were compiled from.
    owners: Mutex<(u64, Arc<NodeTable>)>,
    provider: Arc<dyn ModelProvider>,
    files: Arc<FileLists>,
    masker: Masker,
    follower: Follower,
}

impl Analyzer {
    /// An analyzer that asks `provider`.
    /// `masker` finds secrets in source too.
    pub fn new(provider: Arc<dyn ModelProvider>, masker: Masker) -> Self {
        Self::with(AnalyzerConfig::default(), provider, masker)
    }

    /// The same, with these bounds.
    pub fn with(config: AnalyzerConfig, provider: Arc<dyn ModelProvider>, masker: Masker) -> Self {
        Self {
            nodes: Table::new(topics::NODES),
            owners: Mutex::new((0, Arc::new(NodeTable::new()))),
            provider,
            files: Arc::new(FileLists::new()),
            masker,
            follower: Follower::new(config.max_followed),
        }
    }

    /// The metrics of this stage beside those that every stage has.
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        self.follower.metrics()
    }

    /// The table of nodes, to be filled by the runtime or a test.
    pub fn nodes(&self) -> &Table<Node> {
        &self.nodes
    }

    fn owner_of(&self, source: &str) -> Option<Node> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.nodes.version();
        if owners.0 != version {
            let mut table = NodeTable::new();
            for node in self.nodes.values() {
                for problem in table.apply(node.as_ref().clone()) {
                    tracing::warn!(node = node.id, problem, "glob of a node is passed over");
                }
            }
            *owners = (version, Arc::new(table));
        }
        owners.1.owner_of(source).cloned()
    }

    async fn analyze(
        &self,
        node: &Node,
        event: &ClassifiedLog,
        crossing: &Crossing,
        samples: &[Sample],
    ) -> Result<Analysis, Failure> {
        let source = self.read_source(node, event).await?;
        let request = AnalysisRequest {
            event: ClassifiedLog { culprits: source.culprits, ..event.clone() },
            samples: samples.iter().map(|sample| sample.text.clone()).collect(),
            count: i64::try_from(crossing.count).unwrap_or(i64::MAX),
            sources: source.files,
        };
        let event = &request.event;
        let mut finding = match self.provider.analyze(&request).await {
            Ok(finding) => finding,
            Err(ModelError::Retry { after, reason }) => {
                return Err(Failure::Retry { class: "model", message: reason, after });
            }
            Err(ModelError::Permanent(reason)) => no_finding(event, &reason),
        };
        if let Some(problem) = source.problem {
            finding.cause =
                format!("{}\n\nThe source could not be looked at: {problem}.", finding.cause);
        }
        Ok(Analysis {
            incident_id: incident_id(&node.id, &event.fingerprint, "", crossing.opened_at),
            fingerprint: event.fingerprint.clone(),
            node: node.id.clone(),
            repository: node.repository.clone(),
            base_branch: node.base_branch.clone(),
            base_commit: source.commit.map(|commit| commit.to_string()),
            mode: node.mode,
            policy: node.policy.clone(),
            title: finding.title,
            severity: crossing.severity,
            category: finding.category.unwrap_or_else(|| event.category.clone()),
            opened_at: crossing.opened_at,
            first_seen: crossing.first_seen,
            count: request.count,
            cause: finding.cause,
            cause_known: finding.cause_known,
            confidence: finding.confidence,
            provider: self.provider.name().to_owned(),
            recipe: finding.recipe,
            exception: event.exception.clone(),
            culprits: event.culprits.clone(),
            evidence: evidence::collect(event, samples, &source.excerpts, &self.masker),
            signal: String::new(),
        })
    }

    /// Follows the pattern of an event where its node asks for signals.
    fn follow(
        &self,
        record: &Record,
        node: &Node,
        placed: Placed<'_>,
        state: &mut FingerprintState,
        effects: &mut Effects<Written>,
    ) {
        let (told, look_ms) = self.follower.observe(node, placed, state, clock::now_ms());
        if let Some(look_ms) = look_ms {
            effects.set_timer(LOOK, look_ms);
        }
        let Some(history) = state.nodes.get(&node.id).and_then(|window| window.history.as_ref())
        else {
            return;
        };
        let place = (&*record.topic, record.partition);
        for (signal, offset) in told {
            let stopped = matches!(signal, Signal::Silence { .. });
            let event = (!stopped).then_some(placed.event);
            let fingerprint = &placed.event.fingerprint;
            emit_signal(node, fingerprint, history, ((signal, offset), event), place, effects);
        }
    }

    async fn read_source(&self, node: &Node, event: &ClassifiedLog) -> Result<Source, Failure> {
        let repository = match LocalRepository::new(&node.repository) {
            Ok(repository) => Arc::new(repository),
            Err(error) => return Ok(Source::unreadable(event, &error)),
        };
        let files = self.files.clone();
        let (branch, root) = (node.base_branch.clone(), node.source_root.clone());
        let (exception, culprits) = (event.exception.clone(), event.culprits.clone());
        let read = blocking(repository, move |repository| {
            let repository: &dyn Repository = repository.as_ref();
            let commit = repository.head(&branch)?;
            let facts = facts::gather(repository, &commit, &files, &root, &culprits)?;
            let culprits = culprits::rank(&culprits, &facts);
            let frames = context::frames(&culprits, exception.as_ref());
            let sources = context::gather(repository, &commit, &files, &root, &frames)?;
            let excerpts = excerpts(repository, &commit, &sources)?;
            Ok(Source { commit: Some(commit), culprits, files: sources, excerpts, problem: None })
        });
        match read.await {
            Ok(source) => Ok(source),
            Err(error) if error.is_retryable() => Err(Failure::retry("repository", error)),
            Err(error) => Ok(Source::unreadable(event, &error)),
        }
    }
}

/// Writes the analysis of a signal that is about one record of a topic's partition.
fn emit_signal(
    node: &Node,
    fingerprint: &str,
    history: &History,
    told: (Told, Option<&ClassifiedLog>),
    (topic, partition): (&str, u32),
    effects: &mut Effects<Written>,
) {
    let ((signal, offset), event) = told;
    let about = origins(topic, partition, &[offset]);
    let analysis = signal::analysis(node, fingerprint, history, &signal, (&about, event));
    tracing::info!(
        incident = analysis.incident_id,
        node = node.id,
        fingerprint,
        signal = signal.name(),
        "incident opened"
    );
    effects.emit_from(Written(analysis), about);
}

/// What was read of the repository.
struct Source {
    commit: Option<CommitId>,
    /// The event's culprits, in the order that the repository speaks for.
    culprits: Vec<Frame>,
    files: Vec<SourceFile>,
    excerpts: Vec<Excerpt>,
    problem: Option<String>,
}

impl Source {
    fn unreadable(event: &ClassifiedLog, error: &RepositoryError) -> Self {
        let problem = Some(error.to_string());
        let culprits = event.culprits.clone();
        Self { commit: None, culprits, files: Vec::new(), excerpts: Vec::new(), problem }
    }
}

fn excerpts(
    repository: &dyn Repository,
    commit: &CommitId,
    sources: &[SourceFile],
) -> Result<Vec<Excerpt>, RepositoryError> {
    let mut excerpts = Vec::new();
    for source in sources.iter().take(MAX_EXCERPTS) {
        let Some(line) = source.culprit_line else { continue };
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        excerpts.extend(excerpt(repository, commit, &source.path, line, EXCERPT_RADIUS)?);
    }
    Ok(excerpts)
}

/// The origins of a list that fit, the first ones first.
fn bounded_origins(list: &str) -> String {
    if list.len() <= MAX_ORIGIN {
        return list.to_owned();
    }
    let cut = list.get(..list.floor_char_boundary(MAX_ORIGIN)).unwrap_or_default();
    cut.rsplit_once(',').map_or(cut, |(whole, _)| whole).to_owned()
}

/// The time of an event, in microseconds since 1970 UTC; that of its record where the event claims to
/// lie in the future, since one such event would make all others look late.
fn believable(event_micros: i64, record_ms: i64) -> i64 {
    let record_micros = record_ms.saturating_mul(1_000);
    if event_micros > record_micros.saturating_add(MAX_AHEAD_MICROS) {
        return record_micros;
    }
    event_micros
}

fn no_finding(event: &ClassifiedLog, reason: &str) -> Finding {
    Finding {
        cause: format!("The cause is unknown: the model refused to look at it ({reason})."),
        cause_known: false,
        confidence: 0.0,
        category: None,
        recipe: None,
        title: event.template.clone(),
    }
}

impl State for FingerprintState {
    fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn weight(&self) -> usize {
        let samples = self.nodes.values().flat_map(|window| &window.samples);
        let texts: usize = samples.map(|sample| sample.text.len() + sample.origin.len()).sum();
        let seen: usize = self.nodes.values().map(|window| window.seen.len()).sum();
        let histories = self.nodes.values().filter_map(|window| window.history.as_ref());
        let followed: usize = histories.map(History::weight).sum();
        texts + seen * size_of::<Seen>() + followed + self.nodes.len() * 128
    }
}

/// What the analyzer writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Written(pub Analysis);

impl Output for Written {
    fn topic(&self) -> &'static str {
        topics::ANALYSES
    }

    fn key(&self) -> Bytes {
        Bytes::from(self.0.fingerprint.clone())
    }

    fn encode(&self, codec: &Codec) -> Result<Option<Bytes>, EncodeError> {
        codec.encode(self.topic(), &self.0).map(Some)
    }
}

impl Stage for Analyzer {
    type Input = ClassifiedLog;
    type Output = Written;
    type State = FingerprintState;

    fn spec(&self) -> StageSpec {
        StageSpec {
            name: "analyzer",
            version: env!("CARGO_PKG_VERSION"),
            reads: vec![topics::CLASSIFIED_LOGS],
            writes: vec![topics::ANALYSES],
            tables: vec![Arc::new(self.nodes.clone())],
            stateful: true,
            max_run: 1_024,
            concurrency: CONCURRENCY,
        }
    }

    async fn register(&self, codec: &Codec) -> Result<(), Failure> {
        register_value::<Analysis>(topics::ANALYSES, codec).await
    }

    async fn process(
        &self,
        record: &Record,
        event: ClassifiedLog,
        state: &mut FingerprintState,
        effects: &mut Effects<Written>,
    ) -> Result<(), Failure> {
        let at = believable(event.timestamp, record.timestamp_ms);
        self.follower.hear(at.min(record.timestamp_ms.saturating_mul(1_000)));
        if event.category == NOISE {
            return Ok(());
        }
        let Some(node) = self.owner_of(&event.source) else { return Ok(()) };
        let placed = Placed { event: &event, at, offset: record.offset };
        self.follow(record, &node, placed, state, effects);
        if event.severity < node.policy.threshold_level {
            return Ok(());
        }
        let raw_origin = record.headers.text(ORIGIN).map(bounded_origins);
        let sample = Sample {
            origin: raw_origin.unwrap_or_else(|| record.origin().to_string()),
            text: evidence::event_text(&event),
        };
        let seen = Seen { at, offset: record.offset, severity: event.severity };
        let window = state.nodes.entry(node.id.clone()).or_default();
        let Some(crossing) = window.observe(seen, sample, &node.policy) else { return Ok(()) };

        let analysis = self.analyze(&node, &event, &crossing, &window.samples).await?;
        tracing::info!(
            incident = analysis.incident_id,
            node = node.id,
            fingerprint = event.fingerprint,
            count = analysis.count,
            cause_known = analysis.cause_known,
            "incident opened"
        );
        window.open(Incident { id: analysis.incident_id.clone(), opened_at: crossing.opened_at });
        let made_from = origins(&record.topic, record.partition, &crossing.offsets);
        effects.emit_from(Written(analysis), made_from);
        Ok(())
    }

    async fn on_timer(
        &self,
        timer: &Timer,
        state: &mut FingerprintState,
        effects: &mut Effects<Written>,
    ) -> Result<(), Failure> {
        let node_of = |id: &str| self.nodes.get(id).map(|node| node.as_ref().clone());
        let now_ms = clock::now_ms();
        let (stopped, look_ms) = self.follower.look(&timer.key, state, node_of, now_ms);
        if let Some(look_ms) = look_ms {
            effects.set_timer(LOOK, look_ms);
        }
        let fingerprint = String::from_utf8_lossy(&timer.key);
        let place = (topics::CLASSIFIED_LOGS, timer.partition);
        for Stopped { node, history, told } in stopped {
            emit_signal(&node, &fingerprint, &history, (told, None), place, effects);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_far_ahead_is_not_believed() {
        let now_ms = 1_700_000_000_000;
        let now = now_ms * 1_000;
        assert_eq!(believable(now - 5, now_ms), now - 5);
        assert_eq!(believable(now + 60_000_000, now_ms), now + 60_000_000);
        assert_eq!(believable(4_070_908_800_000_000, now_ms), now, "the year 2099");
    }

    #[test]
    fn a_long_list_of_origins_is_cut_between_two() {
        let list = vec!["raw-logs/0/123456"; 1_000].join(",");
        let cut = bounded_origins(&list);
        assert!(cut.len() <= MAX_ORIGIN);
        assert!(cut.split(',').all(|origin| origin == "raw-logs/0/123456"));
    }
}

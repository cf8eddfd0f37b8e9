//! What the stages should have made of their input, recomputed from it without a pipeline around them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use hephaestus_analyzer::{Analyzer, window::FingerprintState};
use hephaestus_classifier::{Classifier, ClassifierConfig, Masker, RawLine, SourceState};
use hephaestus_model_engine::PlaybookProvider;
use hephaestus_pipeline::{
    record::{Origins, Record},
    stage::{Effects, Stage},
    table::TableSink,
};
use hephaestus_schemas::{Analysis, ClassifiedLog, Codec};

use crate::oracle::Place;

/// The classifier, recomputed.
pub(crate) struct ClassifierModel {
    classifier: Classifier,
    states: BTreeMap<String, SourceState>,
    /// Events that have not been found yet, by the record that they were read from.
    pub(crate) events: BTreeMap<Place, ClassifiedLog>,
}

impl ClassifierModel {
    /// Nothing was read yet.
    pub(crate) fn new() -> Self {
        let classifier = Classifier::new(ClassifierConfig::default());
        Self { classifier, states: BTreeMap::new(), events: BTreeMap::new() }
    }

    /// Takes in a record of `raw-logs`.
    pub(crate) fn line(&mut self, record: &Record) {
        let source = String::from_utf8(record.key.as_deref().unwrap().to_vec()).unwrap();
        let state = self.states.entry(source.clone()).or_default();
        let line = RawLine {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            bytes: record.value.as_deref().unwrap(),
            ..RawLine::default()
        };
        // Every record is an event of its own, so that it may be completed at once.
        let mut events = self.classifier.push(state, &source, line);
        events.extend(self.classifier.flush(state, &source));
        for event in events {
            let place = Place { partition: record.partition, offset: event.first_offset };
            self.events.insert(place, *event.log);
        }
    }

    /// The state of each source.
    pub(crate) fn states(&self) -> &BTreeMap<String, SourceState> {
        &self.states
    }
}

/// The analyzer, recomputed.
pub(crate) struct AnalyzerModel {
    analyzer: Analyzer,
    codec: Codec,
    states: BTreeMap<String, FingerprintState>,
    /// Partition of each fingerprint.
    partitions: BTreeMap<String, u32>,
    /// Analyses that have not been found yet, by fingerprint, with what they were made from.
    pub(crate) analyses: BTreeMap<String, VecDeque<(Analysis, Origins)>>,
}

impl AnalyzerModel {
    /// An analyzer that watches no node yet.
    pub(crate) fn new(codec: Codec) -> Self {
        let analyzer = Analyzer::new(Arc::new(PlaybookProvider::new().unwrap()), Masker::default());
        Self {
            analyzer,
            codec,
            states: BTreeMap::new(),
            partitions: BTreeMap::new(),
            analyses: BTreeMap::new(),
        }
    }

    /// Takes in a record of `nodes`.
    pub(crate) async fn node(&mut self, record: &Record) {
        self.analyzer.nodes().apply(record, &self.codec).await.unwrap();
    }

    /// Takes in a record of `classified-logs`; says whether it counts.
    pub(crate) async fn event(&mut self, record: &Record, event: ClassifiedLog) -> bool {
        let fingerprint = event.fingerprint.clone();
        self.partitions.insert(fingerprint.clone(), record.partition);
        let state = self.states.entry(fingerprint.clone()).or_default();
        let before = state.clone();
        let mut effects = Effects::default();
        self.analyzer.process(record, event, state, &mut effects).await.unwrap();
        let counts = *state != before;
        let waiting = self.analyses.entry(fingerprint).or_default();
        for emitted in effects.emitted {
            waiting.push_back((emitted.value.0, emitted.origins.unwrap()));
        }
        counts
    }

    /// The state of each fingerprint that has one.
    pub(crate) fn states(&self) -> BTreeMap<String, FingerprintState> {
        let held = self.states.iter().filter(|(_, state)| !state.nodes.is_empty());
        held.map(|(key, state)| (key.clone(), state.clone())).collect()
    }

    /// Records that the state holds until an incident opens.
    pub(crate) fn held(&self) -> std::collections::BTreeSet<Place> {
        let mut held = std::collections::BTreeSet::new();
        for (fingerprint, state) in &self.states {
            let partition = self.partitions[fingerprint];
            for seen in state.nodes.values().flat_map(|window| &window.seen) {
                held.insert(Place { partition, offset: seen.offset });
            }
        }
        held
    }
}

//! Reads what a pipeline left and holds it against what was promised.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use hephaestus_analyzer::window::FingerprintState;
use hephaestus_classifier::SourceState;
use hephaestus_pipeline::record::{ORIGIN, Origins, Record};
use hephaestus_schemas::{
    Analysis, ClassifiedLog, Codec, StateEntry,
    topics::{ANALYSES, CLASSIFIED_LOGS, NODES, PATTERNS, RAW_LOGS},
};
use rdkafka::error::KafkaResult;
use serde::de::DeserializeOwned;

use crate::{
    load::Load,
    model::{AnalyzerModel, ClassifierModel},
    observer::Observer,
    oracle::{Effects, Id, Place, Violation, compare, open_transactions, shown},
};

const CLASSIFIER: &str = "classifier";
const ANALYZER: &str = "analyzer";
const CLASSIFIER_STATE: &str = "classifier-state";
const ANALYZER_STATE: &str = "analyzer-state";
const CLASSIFIER_LETTERS: &str = "classifier-dead-letters";
const ANALYZER_LETTERS: &str = "analyzer-dead-letters";
/// Topics that stages write, in transactions.
const WRITTEN: [&str; 8] = [
    RAW_LOGS,
    CLASSIFIED_LOGS,
    PATTERNS,
    ANALYSES,
    CLASSIFIER_STATE,
    ANALYZER_STATE,
    CLASSIFIER_LETTERS,
    ANALYZER_LETTERS,
];

/// Everything that is known of a run so far.
pub(crate) struct Check {
    pub(crate) observer: Observer,
    codec: Codec,
    classifier: ClassifierModel,
    analyzer: AnalyzerModel,
    of_classifier: Effects,
    of_analyzer: Effects,
    /// The record that each dead letter is to hold.
    garbage: HashMap<Place, Record>,
    sources: BTreeMap<String, StateEntry>,
    fingerprints: BTreeMap<String, StateEntry>,
    /// What is wrong and cannot come right any more.
    wrong: Vec<Violation>,
    written_again: u64,
}

/// Totals of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) issued: u64,
    pub(crate) acknowledged: u64,
    pub(crate) lines: u64,
    pub(crate) classified: u64,
    pub(crate) analyzer_inputs: u64,
    pub(crate) analyzed: u64,
    pub(crate) held: u64,
    pub(crate) dead_letters: u64,
    /// Inputs that the load's own producer wrote again. Each is one for the pipeline.
    pub(crate) written_again: u64,
}

impl Check {
    /// Nothing was read yet.
    pub(crate) fn new(bootstrap_servers: &str, codec: Codec) -> Self {
        Self {
            observer: Observer::new(bootstrap_servers),
            classifier: ClassifierModel::new(),
            analyzer: AnalyzerModel::new(codec.clone()),
            codec,
            of_classifier: Effects::new(CLASSIFIER),
            of_analyzer: Effects::new(ANALYZER),
            garbage: HashMap::new(),
            sources: BTreeMap::new(),
            fingerprints: BTreeMap::new(),
            wrong: Vec::new(),
            written_again: 0,
        }
    }

    /// Reads what is new, and takes it in.
    pub(crate) async fn catch_up(&mut self, load: &Load) -> KafkaResult<()> {
        // What was made from something is read before it, so that what it was made from is there.
        let fingerprints = self.read(ANALYZER_STATE)?;
        let analyzer_letters = self.read(ANALYZER_LETTERS)?;
        let analyses = self.read(ANALYSES)?;
        let sources = self.read(CLASSIFIER_STATE)?;
        let classifier_letters = self.read(CLASSIFIER_LETTERS)?;
        let events = self.read(CLASSIFIED_LOGS)?;
        let lines = self.read(RAW_LOGS)?;
        for record in self.read(NODES)? {
            self.analyzer.node(&record).await;
        }
        for record in lines {
            self.of_load(found(load, &record));
            let id = id_in(&record);
            self.of_classifier.input(place(&record), id, u64::from(id.source));
            self.classifier.line(&record);
        }
        for record in events {
            self.classified(load, &record).await;
        }
        for record in classifier_letters {
            self.effect(CLASSIFIER, CLASSIFIER_LETTERS, &record);
        }
        for record in analyses {
            self.analysis(&record).await;
        }
        for record in analyzer_letters {
            self.dead_letter(&record);
        }
        for record in sources {
            let entry = self.entry(&record).await;
            replace(&mut self.sources, &record, entry);
        }
        for record in fingerprints {
            let entry = self.entry(&record).await;
            replace(&mut self.fingerprints, &record, entry);
        }
        Ok(())
    }

    fn read(&mut self, topic: &str) -> KafkaResult<Vec<Record>> {
        tokio::task::block_in_place(|| self.observer.read(topic))
    }

    /// Notes what is wrong with the input. What librdkafka writes again after a broker's end, with a producer that is
    /// idempotent and has no transactions, is two records for all that read it.
    fn of_load(&mut self, found: Result<(), Violation>) {
        match found {
            Err(Violation::Doubled { .. }) => self.written_again += 1,
            other => self.note(other),
        }
    }

    fn note(&mut self, outcome: Result<(), Violation>) {
        if let Err(violation) = outcome {
            self.wrong.push(violation);
        }
    }

    /// Notes an effect of each record that this one was made from.
    fn effect(&mut self, stage: &str, topic: &'static str, record: &Record) -> Vec<Place> {
        let origins: Origins = record.headers.text(ORIGIN).unwrap().parse().unwrap();
        let mut inputs = Vec::new();
        for origin in origins.0 {
            for offset in origin.first..=origin.last {
                let input = Place { partition: origin.partition, offset };
                let effects = if stage == CLASSIFIER {
                    &mut self.of_classifier
                } else {
                    &mut self.of_analyzer
                };
                let outcome = effects.effect(input, topic, place(record));
                self.note(outcome);
                inputs.push(input);
            }
        }
        inputs
    }

    async fn classified(&mut self, load: &Load, record: &Record) {
        if record.headers.get(ORIGIN).is_none() {
            self.of_load(found(load, record));
            // Records of one key are handled in order, those that cannot be read too.
            let id = id_in(record);
            self.of_analyzer.input(place(record), id, key_number(record));
            self.garbage.insert(place(record), record.clone());
            return;
        }
        let event: ClassifiedLog = self.codec.decode(record.value.as_ref().unwrap()).await.unwrap();
        let id = Id::find(&event.message).unwrap();
        for input in self.effect(CLASSIFIER, CLASSIFIED_LOGS, record) {
            let wanted = self.classifier.events.remove(&input);
            if wanted.as_ref() != Some(&event) {
                let what = format!("{CLASSIFIED_LOGS} {}, made from {input},", place(record));
                let (found, wanted) = (shown(&event), shown(&wanted));
                self.wrong.push(Violation::Differs { what, found, wanted });
            }
        }
        if self.analyzer.event(record, event).await {
            self.of_analyzer.input(place(record), id, key_number(record));
        }
    }

    async fn analysis(&mut self, record: &Record) {
        self.effect(ANALYZER, ANALYSES, record);
        let found: Analysis = self.codec.decode(record.value.as_ref().unwrap()).await.unwrap();
        let origins: Origins = record.headers.text(ORIGIN).unwrap().parse().unwrap();
        let waiting = self.analyzer.analyses.entry(found.fingerprint.clone()).or_default();
        let wanted = waiting.pop_front();
        let found = Some((found, origins));
        if found != wanted {
            let what = format!("{ANALYSES} {}", place(record));
            let (found, wanted) = (shown(&found), shown(&wanted));
            self.wrong.push(Violation::Differs { what, found, wanted });
        }
    }

    fn dead_letter(&mut self, record: &Record) {
        for input in self.effect(ANALYZER, ANALYZER_LETTERS, record) {
            let original = self.garbage.remove(&input);
            let wanted = original.map(|original| (original.key, original.value));
            let found = Some((record.key.clone(), record.value.clone()));
            let class = record.headers.text("hephaestus-error-class");
            if found != wanted || class != Some("decode") {
                let what = format!("dead letter {} of {input}, {class:?},", place(record));
                let (found, wanted) = (shown(&found), shown(&wanted));
                self.wrong.push(Violation::Differs { what, found, wanted });
            }
        }
    }

    async fn entry(&self, record: &Record) -> Option<StateEntry> {
        match &record.value {
            Some(value) => Some(self.codec.decode(value).await.unwrap()),
            None => None,
        }
    }

    /// What cannot come right any more.
    pub(crate) fn take_wrong(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.wrong)
    }

    /// What is not as it should be once everything has come to rest.
    pub(crate) fn unfinished(&mut self, load: &Load) -> KafkaResult<Vec<Violation>> {
        let mut unfinished = Vec::new();
        {
            let books = load.books();
            unfinished.extend(books.lines.lost());
            unfinished.extend(books.garbage.lost());
        }
        unfinished.extend(self.of_classifier.without(|_| false));
        let held = self.analyzer.held();
        unfinished.extend(self.of_analyzer.without(|input| held.contains(&input)));
        unfinished.extend(compare(
            CLASSIFIER_STATE,
            &restored::<SourceState>(&self.sources),
            &with_timers(self.classifier.states().clone()),
        ));
        unfinished.extend(compare(
            ANALYZER_STATE,
            &restored::<FingerprintState>(&self.fingerprints),
            &with_timers(self.analyzer.states()),
        ));
        let ends = tokio::task::block_in_place(|| self.observer.ends(&WRITTEN))?;
        unfinished.extend(open_transactions(&ends));
        Ok(unfinished)
    }

    /// Totals so far: dead letters and outputs equal inputs, to be seen by whoever reads them.
    pub(crate) fn totals(&self, load: &Load) -> Totals {
        let books = load.books();
        let (lines, garbage) = (books.lines.totals(), books.garbage.totals());
        Totals {
            issued: lines.0 + garbage.0,
            acknowledged: lines.1 + garbage.1,
            lines: self.of_classifier.inputs(),
            classified: self.of_classifier.outputs(CLASSIFIED_LOGS),
            analyzer_inputs: self.of_analyzer.inputs(),
            analyzed: self.of_analyzer.outputs(ANALYSES),
            held: self.analyzer.held().len() as u64,
            dead_letters: self.of_analyzer.outputs(ANALYZER_LETTERS),
            written_again: self.written_again,
        }
    }
}

fn place(record: &Record) -> Place {
    Place { partition: record.partition, offset: record.offset }
}

fn id_in(record: &Record) -> Id {
    let text = std::str::from_utf8(record.value.as_deref().unwrap()).unwrap();
    Id::find(text).unwrap()
}

/// A number that stands for a record's key.
fn key_number(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.key.hash(&mut hasher);
    hasher.finish()
}

/// Notes that a record of the load is there.
fn found(load: &Load, record: &Record) -> Result<(), Violation> {
    let id = id_in(record);
    load.books().of(id).found(id, place(record))
}

fn replace(entries: &mut BTreeMap<String, StateEntry>, record: &Record, entry: Option<StateEntry>) {
    let key = String::from_utf8(record.key.as_deref().unwrap().to_vec()).unwrap();
    match entry {
        Some(entry) => entries.insert(key, entry),
        None => entries.remove(&key),
    };
}

/// States as a changelog holds them, with the number of timers that are set.
fn restored<S: DeserializeOwned>(
    entries: &BTreeMap<String, StateEntry>,
) -> BTreeMap<String, (S, usize)> {
    let restore = |entry: &StateEntry| {
        let state = serde_json::from_str(entry.state.as_deref().unwrap()).unwrap();
        (state, entry.timers.len())
    };
    entries.iter().map(|(key, entry)| (key.clone(), restore(entry))).collect()
}

/// States once no timer is set any more.
fn with_timers<S>(states: BTreeMap<String, S>) -> BTreeMap<String, (S, usize)> {
    states.into_iter().map(|(key, state)| (key, (state, 0))).collect()
}

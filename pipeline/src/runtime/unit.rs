//! One unit of work: records and timers of one key, handled in order on one copy of its state.
//!
//! A unit ends at the first failure. What came before it is kept whole, what comes after is handed back.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::FutureExt;
use hephaestus_schemas::{StateEntry, TimerEntry, topics};
use tracing::Instrument;

use super::{cache::Keyed, dead_letter, output::OutputHeaders, window::Seq};
use crate::{
    engine::StateReader,
    record::{NewRecord, Record},
    stage::{Effects, Failure, Input, Output, Stage, State, Timer},
    telemetry::{carried, metrics::StageMetrics, span_for_record, traceparent::TraceContext},
};

/// A piece of work.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// A record to handle.
    Record(Record),
    /// A timer that fired.
    Timer(Timer),
}

impl Work {
    /// The record, where it is one.
    fn record(&self) -> Option<&Record> {
        match self {
            Self::Record(record) => Some(record),
            Self::Timer(_) => None,
        }
    }

    /// Bytes it takes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Record(record) => record.size(),
            Self::Timer(timer) => timer.key.len() + timer.name.len(),
        }
    }
}

/// A unit that is to run.
pub(crate) struct Unit<S> {
    pub(crate) partition: u32,
    /// Distinguishes assignments of the same partition.
    pub(crate) epoch: u64,
    pub(crate) key: Bytes,
    pub(crate) work: Vec<(Seq, Work)>,
    /// The key's state; none where it has to be read.
    pub(crate) keyed: Option<Keyed<S>>,
    /// How often its first piece of work was tried before.
    pub(crate) attempts: u32,
}

/// What a unit led to.
pub(crate) struct UnitDone<S> {
    pub(crate) partition: u32,
    pub(crate) epoch: u64,
    pub(crate) key: Bytes,
    /// The pieces of work that are done, rejected ones included.
    pub(crate) done: Vec<Seq>,
    /// Input bytes of what is done.
    pub(crate) done_bytes: usize,
    /// Records to write.
    pub(crate) records: Vec<NewRecord>,
    /// The changelog's entry, where the state changed.
    pub(crate) entry: Option<NewRecord>,
    /// State after what is done; none where nothing is.
    pub(crate) keyed: Option<Keyed<S>>,
    /// Work to do again, or still to do, in order.
    pub(crate) rest: Vec<(Seq, Work)>,
    /// How the unit ended.
    pub(crate) ending: Ending,
}

/// How a unit ended.
pub(crate) enum Ending {
    /// All is done, or handed back without a fault.
    Whole,
    /// The first piece of the rest has to wait.
    Retry { class: &'static str, message: String, after: Option<Duration> },
    /// The process has to stop.
    Fatal { message: String },
}

/// What all units of a stage share.
pub(crate) struct Workbench<S: Stage> {
    pub(crate) stage: Arc<S>,
    pub(crate) name: &'static str,
    pub(crate) stateful: bool,
    pub(crate) headers: OutputHeaders,
    pub(crate) codec: hephaestus_schemas::codec::Codec,
    pub(crate) states: Arc<dyn StateReader>,
    pub(crate) metrics: StageMetrics,
    pub(crate) state_topic: Arc<str>,
    pub(crate) dead_letter_topic: Arc<str>,
}

/// What one pass over a unit's work led to.
struct Pass<S> {
    keyed: Keyed<S>,
    records: Vec<NewRecord>,
    /// The piece of work that failed, if one did.
    failed: Option<(usize, Failure)>,
}

impl<S: Stage> Workbench<S> {
    /// Runs a unit. Never fails: a failure is part of what it leads to.
    pub(crate) async fn run(&self, mut unit: Unit<S::State>) -> UnitDone<S::State> {
        let started = Instant::now();
        let keyed = match unit.keyed.take() {
            Some(keyed) => {
                self.metrics.state_hit();
                keyed
            }
            None => match self.load(unit.partition, &unit.key).await {
                Ok(keyed) => keyed,
                Err(failure) => return unit.ended_before_work(failure),
            },
        };

        let mut limit = unit.work.len();
        let mut failure = None;
        let pass = loop {
            let work = unit.work.get(..limit).unwrap_or_default();
            let pass = self.pass(work, keyed.clone()).await;
            let Some((index, failed)) = pass.failed else { break pass };
            // What came before the failure is done again from the state as it was, without it.
            limit = index;
            failure = Some(failed);
        };

        let mut records = pass.records;
        let mut keyed = pass.keyed;
        let mut rest = unit.work.split_off(limit);
        let mut done = unit.work;
        let mut ending = Ending::Whole;
        match failure {
            None => {}
            Some(Failure::Reject { class, message }) => {
                let rejected = rest.remove(0);
                match &rejected.1 {
                    Work::Record(record) => {
                        let letter = dead_letter::letter(
                            &self.dead_letter_topic,
                            &self.headers,
                            record,
                            &dead_letter::Reason {
                                stage: self.name,
                                class,
                                message: &message,
                                attempts: unit.attempts + 1,
                            },
                        );
                        records.push(letter);
                        crate::telemetry::events::RecordRejected {
                            record,
                            class,
                            message: &message,
                        }
                        .emit(&self.metrics);
                    }
                    Work::Timer(timer) => {
                        keyed.timers.remove(&timer.name);
                        tracing::warn!(
                            stage = self.name,
                            timer = timer.name,
                            class,
                            message,
                            "timer rejected"
                        );
                    }
                }
                done.push(rejected);
            }
            Some(Failure::Retry { class, message, after }) => {
                ending = Ending::Retry { class, message, after };
            }
            Some(Failure::Fatal { message }) => ending = Ending::Fatal { message },
        }

        let mut entry = None;
        if self.stateful && !done.is_empty() {
            match self.changelog(unit.partition, &unit.key, &done, &mut keyed) {
                Ok(changed) => entry = changed,
                Err(message) => ending = Ending::Fatal { message },
            }
        }
        self.metrics.processed(started.elapsed());
        UnitDone {
            partition: unit.partition,
            epoch: unit.epoch,
            key: unit.key,
            done_bytes: done.iter().map(|(_, work)| work.size()).sum(),
            keyed: (!done.is_empty()).then_some(keyed),
            done: done.into_iter().map(|(seq, _)| seq).collect(),
            records,
            entry,
            rest,
            ending,
        }
    }

    async fn load(&self, partition: u32, key: &Bytes) -> Result<Keyed<S::State>, Failure> {
        if !self.stateful {
            return Ok(Keyed::default());
        }
        self.metrics.state_miss();
        let read = self.states.get(partition, key).await;
        let bytes = read.map_err(|error| Failure::retry("state", error))?;
        let Some(bytes) = bytes else { return Ok(Keyed::default()) };
        let entry = crate::stage::decode_value::<StateEntry>(&bytes, &self.codec).await?;
        Keyed::restore(entry).map_err(|error| Failure::Fatal {
            message: format!(
                "state of stage {} in {}/{partition} cannot be read: {error}; was it written by a newer version?",
                self.name, self.state_topic
            ),
        })
    }

    async fn pass(&self, work: &[(Seq, Work)], keyed: Keyed<S::State>) -> Pass<S::State> {
        let mut pass = Pass { keyed, records: Vec::new(), failed: None };
        for (index, (_, work)) in work.iter().enumerate() {
            let step = AssertUnwindSafe(self.step(work, &mut pass)).catch_unwind();
            let outcome = step.await.unwrap_or_else(|panic| {
                Err(Failure::reject("panic", panic_message(panic.as_ref())))
            });
            if let Err(failure) = outcome {
                pass.failed = Some((index, failure));
                break;
            }
        }
        pass
    }

    async fn step(&self, work: &Work, pass: &mut Pass<S::State>) -> Result<(), Failure> {
        let mut effects = Effects::default();
        let (record, context) = match work {
            Work::Record(record) => {
                let context = TraceContext::of(record);
                let span = span_for_record(self.name, record, &context);
                let handled = async {
                    let input = S::Input::decode(record, &self.codec).await?;
                    self.stage.process(record, input, &mut pass.keyed.state, &mut effects).await
                };
                handled.instrument(span.clone()).await?;
                (Some(record), carried(&span, &context))
            }
            Work::Timer(timer) => {
                if pass.keyed.timers.get(&timer.name) != Some(&timer.at_ms) {
                    return Ok(());
                }
                pass.keyed.timers.remove(&timer.name);
                self.stage.on_timer(timer, &mut pass.keyed.state, &mut effects).await?;
                (None, TraceContext::root())
            }
        };
        if !effects.timers.is_empty() && !self.stateful {
            return Err(Failure::Fatal {
                message: format!("stage {} sets timers and is not stateful", self.name),
            });
        }
        for (name, at_ms) in effects.timers {
            match at_ms {
                None => drop(pass.keyed.timers.remove(&*name)),
                Some(at_ms) => match pass.keyed.timers.get_mut(&*name) {
                    // A timer that is set with every record is moved.
                    Some(set) => *set = at_ms,
                    None => drop(pass.keyed.timers.insert(name.into_owned(), at_ms)),
                },
            }
        }
        for emitted in effects.emitted {
            pass.records.push(self.encode(emitted, record, &context)?);
        }
        Ok(())
    }

    fn encode(
        &self,
        emitted: crate::stage::Emitted<S::Output>,
        record: Option<&Record>,
        context: &TraceContext,
    ) -> Result<NewRecord, Failure> {
        let encoded = emitted.value.encode(&self.codec);
        let value = encoded.map_err(|error| Failure::reject("encode", error))?;
        Ok(NewRecord {
            topic: self.headers.topic(emitted.value.topic()),
            partition: None,
            timestamp_ms: crate::clock::now_ms(),
            key: Some(emitted.value.key()),
            value,
            headers: self.headers.output(
                record,
                emitted.origins.as_ref(),
                emitted.traceparent,
                context,
            ),
        })
    }

    /// The changelog's entry for a key, where it differs from what is written.
    fn changelog(
        &self,
        partition: u32,
        key: &Bytes,
        done: &[(Seq, Work)],
        keyed: &mut Keyed<S::State>,
    ) -> Result<Option<NewRecord>, String> {
        let json = if keyed.state.is_empty() {
            None
        } else {
            let json = serde_json::to_string(&keyed.state);
            Some(json.map_err(|error| format!("state of stage {} is no JSON: {error}", self.name))?)
        };
        let timers: Vec<TimerEntry> = keyed
            .timers
            .iter()
            .map(|(name, at_ms)| TimerEntry { name: name.clone(), at_ms: *at_ms })
            .collect();
        let entry = (json.is_some() || !timers.is_empty()).then(|| StateEntry {
            stage: self.name.to_owned(),
            state: json,
            timers,
        });
        if entry == keyed.written {
            return Ok(None);
        }
        let value = match &entry {
            Some(entry) => {
                let encoded = self.codec.encode(&self.state_topic, entry);
                Some(encoded.map_err(|error| {
                    format!("state of stage {} cannot be encoded: {error}", self.name)
                })?)
            }
            None => None,
        };
        keyed.written = entry;
        Ok(Some(NewRecord {
            topic: self.state_topic.clone(),
            partition: Some(partition),
            timestamp_ms: crate::clock::now_ms(),
            key: Some(key.clone()),
            value,
            headers: self.headers.changelog(done.iter().filter_map(|(_, work)| work.record())),
        }))
    }
}

impl<S: State> Unit<S> {
    fn ended_before_work(self, failure: Failure) -> UnitDone<S> {
        let ending = match failure {
            Failure::Retry { class, message, after } => Ending::Retry { class, message, after },
            Failure::Reject { message, .. } | Failure::Fatal { message } => {
                Ending::Fatal { message }
            }
        };
        UnitDone {
            partition: self.partition,
            epoch: self.epoch,
            key: self.key,
            done: Vec::new(),
            done_bytes: 0,
            records: Vec::new(),
            entry: None,
            keyed: None,
            rest: self.work,
            ending,
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the stage panicked: {}", text.unwrap_or("without a message"))
}

/// Name of the changelog topic of a stage.
pub(crate) fn state_topic(stage: &str) -> Arc<str> {
    topics::state_topic(stage).into()
}

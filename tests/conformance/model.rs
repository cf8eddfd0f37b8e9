//! Random work on the embedded engine, held against a model that is a few vectors.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hephaestus_pipeline::engine::{Commit, CommitError, Member, Polled};
use proptest::prelude::*;

use crate::fixture::{
    EmbeddedFixture, EngineFixture, append, at, compacted_topic, embedded, group, keyed, read_all,
    record, text, topic, values,
};

const PARTITIONS: u32 = 3;
const MEMBERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Append { partition: u32, count: usize },
    Join { slot: usize },
    Leave { slot: usize, politely: bool },
    Poll { slot: usize, max_bytes: usize },
    Commit { slot: usize, at_most: usize },
    Restart,
    Maintain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = || 0..MEMBERS;
    let step = prop_oneof![
        4 => (0..PARTITIONS, 1usize..6).prop_map(|(partition, count)| Step::Append { partition, count }),
        3 => slot().prop_map(|slot| Step::Join { slot }),
        2 => (slot(), any::<bool>()).prop_map(|(slot, politely)| Step::Leave { slot, politely }),
        8 => (slot(), 0usize..60).prop_map(|(slot, max_bytes)| Step::Poll { slot, max_bytes }),
        6 => (slot(), 1usize..9).prop_map(|(slot, at_most)| Step::Commit { slot, at_most }),
        1 => Just(Step::Restart),
        1 => Just(Step::Maintain),
    ];
    prop::collection::vec(step, 1..60)
}

/// What must be true of the engine.
#[derive(Default)]
struct Model {
    input: BTreeMap<u32, Vec<String>>,
    /// Records done, by partition: so many outputs, such an offset, such a state.
    done: BTreeMap<u32, usize>,
    appended: usize,
}

/// A member, and what it has read and not committed: partition to (offset, value).
struct Worker {
    member: Box<dyn Member>,
    pending: BTreeMap<u32, Vec<(u64, String)>>,
}

struct Run {
    fixture: EmbeddedFixture,
    input: Arc<str>,
    output: Arc<str>,
    state: Arc<str>,
    model: Model,
    workers: [Option<Worker>; MEMBERS],
}

impl Run {
    async fn start() -> Self {
        let fixture = embedded().await;
        Self {
            input: topic(&fixture, "input", PARTITIONS).await,
            output: topic(&fixture, "output", PARTITIONS).await,
            state: compacted_topic(&fixture, "state", PARTITIONS).await,
            fixture,
            model: Model::default(),
            workers: [None, None, None],
        }
    }

    async fn join(&self) -> Worker {
        let spec = group(&"g".into(), &[&self.input], Some(&self.state));
        let member = self.fixture.engine().join(spec).await.unwrap();
        Worker { member, pending: BTreeMap::new() }
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { partition, count } => self.append(partition, count).await,
            Step::Join { slot } => {
                if self.workers[slot].is_none() {
                    self.workers[slot] = Some(self.join().await);
                }
            }
            Step::Leave { slot, politely } => {
                if let Some(worker) = self.workers[slot].take()
                    && politely
                {
                    worker.member.leave().await.unwrap();
                }
            }
            Step::Poll { slot, max_bytes } => {
                if let Some(mut worker) = self.workers[slot].take() {
                    self.poll(&mut worker, max_bytes).await;
                    self.workers[slot] = Some(worker);
                }
            }
            Step::Commit { slot, at_most } => {
                if let Some(mut worker) = self.workers[slot].take() {
                    self.commit(&mut worker, at_most).await;
                    self.workers[slot] = Some(worker);
                }
            }
            Step::Restart => {
                self.workers = [None, None, None];
                self.fixture.restart().await;
                self.verify().await;
            }
            Step::Maintain => {
                self.fixture.maintain(i64::MAX).await;
            }
        }
    }

    async fn append(&mut self, partition: u32, count: usize) {
        let first = self.model.appended;
        self.model.appended += count;
        let new: Vec<String> = (first..first + count).map(|number| number.to_string()).collect();
        let records = new.iter().map(|value| record(&self.input, partition, value.clone()));
        append(&self.fixture, records.collect()).await;
        self.model.input.entry(partition).or_default().extend(new);
    }

    async fn poll(&self, worker: &mut Worker, max_bytes: usize) -> bool {
        match worker.member.poll(Duration::ZERO, max_bytes).await.unwrap() {
            Polled::Assigned(partitions) => {
                for partition in partitions {
                    assert!(worker.pending.insert(partition, Vec::new()).is_none());
                }
            }
            Polled::Revoked(partitions) => {
                for partition in partitions {
                    assert!(worker.pending.remove(&partition).is_some());
                }
            }
            Polled::Records(records) => {
                for record in records {
                    let model = &self.model.input[&record.partition];
                    assert_eq!(model[record.offset as usize], text(&record));
                    let pending = worker.pending.get_mut(&record.partition).unwrap();
                    if let Some((last, _)) = pending.last() {
                        assert_eq!(*last + 1, record.offset, "a record was passed over");
                    }
                    pending.push((record.offset, text(&record)));
                }
            }
            Polled::Nothing => return false,
        }
        true
    }

    /// Commits up to `at_most` records of each partition: a copy of each, the count, the offset.
    async fn commit(&mut self, worker: &mut Worker, at_most: usize) {
        let mut commit = Commit::default();
        let mut taken: BTreeMap<u32, Vec<(u64, String)>> = BTreeMap::new();
        for (partition, pending) in &worker.pending {
            let part = &pending[..at_most.min(pending.len())];
            let Some((last, _)) = part.last() else { continue };
            let count = (last + 1).to_string();
            let copies =
                part.iter().map(|(_, value)| record(&self.output, *partition, value.clone()));
            commit.records.extend(copies);
            commit.records.push(keyed(&self.state, *partition, "count", Some(&count)));
            commit.records.push(keyed(&self.state, *partition, &count, None));
            commit.offsets.push((at(&self.input, *partition), last + 1));
            taken.insert(*partition, part.to_vec());
        }
        match worker.member.commit(commit).await {
            Ok(()) => {
                for (partition, part) in taken {
                    let done = self.model.done.entry(partition).or_default();
                    assert_eq!(part[0].0, *done as u64, "records were done twice or passed over");
                    *done += part.len();
                    worker.pending.get_mut(&partition).unwrap().drain(..part.len());
                }
            }
            Err(CommitError::Fenced) => {
                // Then the next poll says what was lost.
                let before = worker.pending.len();
                assert!(self.poll(worker, 0).await);
                assert!(worker.pending.len() < before, "fenced without a reason");
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn verify(&self) {
        let offsets = self.fixture.engine().group_offsets("g").await.unwrap();
        let reader = self.join().await;
        for partition in 0..PARTITIONS {
            let done = self.model.done.get(&partition).copied().unwrap_or(0);
            let input = self.model.input.get(&partition).cloned().unwrap_or_default();
            assert_eq!(values(&self.fixture, &self.input, partition).await, input);
            assert_eq!(values(&self.fixture, &self.output, partition).await, input[..done]);
            let count = reader.member.state().get(partition, b"count").await.unwrap();
            let count = count.map(|count| String::from_utf8(count.to_vec()).unwrap());
            assert_eq!(count, (done > 0).then(|| done.to_string()));
            let place = at(&self.input, partition);
            let offset = offsets.iter().find(|offset| offset.partition == place);
            assert_eq!(offset.map_or(0, |offset| offset.next), done as u64);
            let keys = read_all(&self.fixture, &self.state, partition).await;
            let counts = keys.iter().filter(|record| record.key.as_deref() == Some(b"count"));
            assert!(counts.count() <= 1, "superseded records are left");
        }
    }

    /// Whoever is left does the rest.
    async fn finish(&mut self) {
        let [first, ..] = &mut self.workers;
        let mut worker = first.take();
        self.workers = [None, None, None];
        if worker.is_none() {
            worker = Some(self.join().await);
        }
        let mut worker = worker.unwrap();
        // What an earlier step had brought is still to be committed, whether or not more comes.
        loop {
            let is_more = self.poll(&mut worker, 200).await;
            self.commit(&mut worker, usize::MAX).await;
            if !is_more {
                break;
            }
        }
        let input: usize = self.model.input.values().map(Vec::len).sum();
        let done: usize = self.model.done.values().sum();
        assert_eq!(done, input, "something was never brought");
        drop(worker);
        self.verify().await;
        self.fixture.restart().await;
        self.verify().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_work_leaves_each_record_done_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut run = Run::start().await;
            for step in &steps {
                run.step(step).await;
            }
            run.finish().await;
        });
    }
}

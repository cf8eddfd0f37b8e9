//! Knows every record issued, acknowledged and delivered, and says what is wrong. Plain values, no I/O.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// One record that the load issued: its source, and its number within it. It is written into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) source: u32,
    pub(crate) number: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ref-{}-{}", self.source, self.number)
    }
}

impl Id {
    /// The id in a text.
    pub(crate) fn find(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("ref-")?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        let mut numbers = rest[..end].trim_end_matches('-').splitn(2, '-');
        let source = numbers.next()?.parse().ok()?;
        Some(Self { source, number: numbers.next()?.parse().ok()? })
    }
}

/// Where a record lies in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

/// Where a broker says that a record is. Where it took the record for a repetition, it does not say where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) partition: u32,
    pub(crate) offset: Option<u64>,
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{}/{offset}", self.partition),
            None => write!(f, "{}, at an offset not told", self.partition),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("{topic}: {id} was acknowledged at {acknowledged} and is not there")]
    Lost { topic: &'static str, id: Id, acknowledged: Acknowledged },
    #[error("{topic}: {id} is there again at {again}")]
    Doubled { topic: &'static str, id: Id, again: Place },
    #[error("{topic}: {id} at {at} was never issued")]
    Unknown { topic: &'static str, id: Id, at: Place },
    #[error("{topic}: {id} at {at} stands behind a later one of its key")]
    Reordered { topic: &'static str, id: Id, at: Place },
    #[error("{stage}: {id}, input {input}, is in no output and no dead letter")]
    NoEffect { stage: &'static str, id: Id, input: Place },
    #[error("{stage}: {id}, input {input}, has an effect again in {topic} at {at}")]
    EffectAgain { stage: &'static str, id: Id, input: Place, topic: &'static str, at: Place },
    #[error("{stage}: {topic} at {at} is made from {input}, which is no input")]
    EffectOfNothing { stage: &'static str, input: Place, topic: &'static str, at: Place },
    #[error(
        "{stage}: {topic} at {at} is made from {input}, behind an effect of a later input of its key"
    )]
    EffectReordered { stage: &'static str, input: Place, topic: &'static str, at: Place },
    #[error("{what} differs from its recomputation: found {found}, wanted {wanted}")]
    Differs { what: String, found: String, wanted: String },
    #[error("{topic}/{partition}: a transaction is open: last stable offset {stable}, end {end}")]
    OpenTransaction { topic: String, partition: u32, stable: u64, end: u64 },
    #[error("{fault} did not strike: {why}")]
    DidNotStrike { fault: String, why: String },
}

#[derive(Debug, Clone, Copy, Default)]
struct Delivery {
    acknowledged: Option<Acknowledged>,
    found: bool,
}

/// The records of a topic that the load writes.
#[derive(Debug)]
pub(crate) struct Deliveries {
    topic: &'static str,
    issued: BTreeMap<Id, Delivery>,
    /// The last record of each source that was found.
    last: HashMap<u32, Id>,
    acknowledged: u64,
    found: u64,
}

impl Deliveries {
    /// Nothing was issued yet.
    pub(crate) fn new(topic: &'static str) -> Self {
        let (issued, last) = (BTreeMap::new(), HashMap::new());
        Self { topic, issued, last, acknowledged: 0, found: 0 }
    }

    /// A record was handed to the producer.
    pub(crate) fn issue(&mut self, id: Id) {
        self.issued.entry(id).or_default();
    }

    /// The producer said where a record is.
    pub(crate) fn acknowledge(&mut self, id: Id, at: Acknowledged) {
        self.acknowledged += 1;
        self.issued.entry(id).or_default().acknowledged = Some(at);
    }

    /// A record was read, in the order of its partition.
    pub(crate) fn found(&mut self, id: Id, at: Place) -> Result<(), Violation> {
        let topic = self.topic;
        let Some(delivery) = self.issued.get_mut(&id) else {
            return Err(Violation::Unknown { topic, id, at });
        };
        if delivery.found {
            return Err(Violation::Doubled { topic, id, again: at });
        }
        delivery.found = true;
        self.found += 1;
        let last = self.last.insert(id.source, id);
        if last.is_some_and(|last| last.number > id.number) {
            return Err(Violation::Reordered { topic, id, at });
        }
        Ok(())
    }

    /// Records issued, acknowledged and found.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        (self.issued.len() as u64, self.acknowledged, self.found)
    }

    /// What was acknowledged and is not there, once everything was read.
    pub(crate) fn lost(&self) -> Vec<Violation> {
        let mut lost = Vec::new();
        for (id, delivery) in &self.issued {
            if let (false, Some(acknowledged)) = (delivery.found, delivery.acknowledged) {
                lost.push(Violation::Lost { topic: self.topic, id: *id, acknowledged });
            }
        }
        lost
    }
}

#[derive(Debug, Clone, Copy)]
struct Input {
    id: Id,
    key: u64,
    is_done: bool,
}

/// What became of the inputs of a stage.
#[derive(Debug)]
pub(crate) struct Effects {
    stage: &'static str,
    inputs: HashMap<Place, Input>,
    /// The last input of a key that had an effect in a partition of a topic.
    last: HashMap<(u64, &'static str, u32), u64>,
    outputs: HashMap<&'static str, u64>,
}

impl Effects {
    /// No input yet.
    pub(crate) fn new(stage: &'static str) -> Self {
        let (inputs, last, outputs) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { stage, inputs, last, outputs }
    }

    /// A record that the stage is to handle. Records of one `key` are handled in order.
    pub(crate) fn input(&mut self, at: Place, id: Id, key: u64) {
        self.inputs.insert(at, Input { id, key, is_done: false });
    }

    /// An effect of an input was read, in the order of the partition that it lies in.
    pub(crate) fn effect(
        &mut self,
        input: Place,
        topic: &'static str,
        at: Place,
    ) -> Result<(), Violation> {
        let stage = self.stage;
        *self.outputs.entry(topic).or_default() += 1;
        let Some(known) = self.inputs.get_mut(&input) else {
            return Err(Violation::EffectOfNothing { stage, input, topic, at });
        };
        if known.is_done {
            return Err(Violation::EffectAgain { stage, id: known.id, input, topic, at });
        }
        known.is_done = true;
        let order = (known.key, topic, at.partition);
        let last = self.last.insert(order, input.offset);
        if last.is_some_and(|last| last > input.offset) {
            return Err(Violation::EffectReordered { stage, input, topic, at });
        }
        Ok(())
    }

    /// Inputs so far.
    pub(crate) fn inputs(&self) -> u64 {
        self.inputs.len() as u64
    }

    /// Inputs that had an effect in a topic so far.
    pub(crate) fn outputs(&self, topic: &'static str) -> u64 {
        self.outputs.get(topic).copied().unwrap_or(0)
    }

    /// Inputs without an effect, once everything was read, other than those which state holds.
    pub(crate) fn without(&self, is_held: impl Fn(Place) -> bool) -> Vec<Violation> {
        let mut without = Vec::new();
        for (at, input) in &self.inputs {
            if !input.is_done && !is_held(*at) {
                let (stage, id) = (self.stage, input.id);
                without.push(Violation::NoEffect { stage, id, input: *at });
            }
        }
        without.sort_by_key(ToString::to_string);
        without
    }
}

/// Compares what was found with what was recomputed, key by key.
pub(crate) fn compare<V: PartialEq + fmt::Debug>(
    what: &str,
    found: &BTreeMap<String, V>,
    wanted: &BTreeMap<String, V>,
) -> Vec<Violation> {
    let mut keys: Vec<&String> = found.keys().chain(wanted.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut violations = Vec::new();
    for key in keys {
        let (found, wanted) = (found.get(key), wanted.get(key));
        if found != wanted {
            let (found, wanted) = (shown(&found), shown(&wanted));
            violations.push(Violation::Differs { what: format!("{what} {key}"), found, wanted });
        }
    }
    violations
}

/// A value, short enough for a message.
pub(crate) fn shown(value: &impl fmt::Debug) -> String {
    const MOST: usize = 2_000;
    let mut text = format!("{value:?}");
    text.truncate(text.floor_char_boundary(MOST));
    text
}

/// The ends of a partition: what read-committed consumers can see, and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) topic: String,
    pub(crate) partition: u32,
    pub(crate) stable: u64,
    pub(crate) end: u64,
}

/// Transactions that are open.
pub(crate) fn open_transactions(ends: &[Ends]) -> Vec<Violation> {
    let open = ends.iter().filter(|ends| ends.stable < ends.end);
    open.map(|ends| Violation::OpenTransaction {
        topic: ends.topic.clone(),
        partition: ends.partition,
        stable: ends.stable,
        end: ends.end,
    })
    .collect()
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;

//! What the classifier made of what was published, as `hephaestus tap` shows it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::Child,
    time::Duration,
};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{self, Receiver};

use crate::{cluster::Cluster, support::start};

/// Events read ahead.
const AHEAD: usize = 1024;
/// Longest time without a further event.
const PATIENCE: Duration = Duration::from_secs(60);

/// What tells the events of one shipper and format.
pub(crate) enum Told {
    /// The key of its records.
    Source(String),
    /// The service that it names: its records hold lines of many.
    Service(&'static str),
}

/// The events that have to come of one shipper and format, each with the fields that are looked at.
pub(crate) struct Expected {
    told: Told,
    events: Vec<Value>,
}

impl Expected {
    /// Of records with this key, if there are to be any.
    pub(crate) fn of_source(source: &str, events: Vec<Value>) -> Self {
        Self { told: Told::Source(source.to_owned()), events }
    }

    /// Of this service.
    pub(crate) fn of_service(service: &'static str, events: Vec<Value>) -> Self {
        Self { told: Told::Service(service), events }
    }

    /// With one more field in every event.
    pub(crate) fn with(mut self, field: &str, value: &str) -> Self {
        for event in &mut self.events {
            event[field] = json!(value);
        }
        self
    }

    fn name(&self) -> &str {
        match &self.told {
            Told::Source(source) => source,
            Told::Service(service) => service,
        }
    }

    fn is_mine(&self, event: &Value) -> bool {
        match &self.told {
            Told::Source(source) => event["value"]["source"] == **source,
            Told::Service(service) => event["value"]["service"] == *service,
        }
    }

    /// Asserts that these came, each once, and no others.
    pub(crate) fn check(&self, events: &[Value]) {
        let Some(Value::Object(fields)) = self.events.first() else { return };
        let mine = events.iter().filter(|event| self.is_mine(event));
        let mut came: Vec<Value> = mine.map(|event| seen(&event["value"], fields)).collect();
        let mut expected = self.events.clone();
        for events in [&mut came, &mut expected] {
            events.sort_by_key(Value::to_string);
        }
        if came == expected {
            return;
        }
        let beside = |these: &[Value], others: &[Value]| {
            let lacking = these.iter().filter(|event| !others.contains(event));
            lacking.map(|event| format!("\n    {event}")).collect::<String>()
        };
        panic!(
            "{}: {} events, not {}; lacking {}\n  instead {}",
            self.name(),
            came.len(),
            expected.len(),
            beside(&expected, &came),
            beside(&came, &expected)
        );
    }
}

/// The fields of an event that are looked at.
fn seen(event: &Value, fields: &Map<String, Value>) -> Value {
    let attributes = &event["attributes"];
    let field = |name: &str| match name {
        "time" => time(event["timestamp"].as_i64().unwrap()),
        "exception" => exception(&event["exception"]),
        "logger" | "process" | "host" | "trace_id" => attributes[name].clone(),
        name => event[name].clone(),
    };
    fields.keys().map(|name| (name.clone(), field(name))).collect::<Map<_, _>>().into()
}

/// A time as text, of microseconds.
fn time(micros: i64) -> Value {
    json!(jiff::Timestamp::from_microsecond(micros).unwrap().to_string())
}

/// Type and message of an exception, its frames, and the same of its causes.
fn exception(exception: &Value) -> Value {
    if exception.is_null() {
        return Value::Null;
    }
    let mut parts = Vec::new();
    let mut next = exception;
    while !next.is_null() {
        let text = |name: &str| next[name].as_str().unwrap().to_owned();
        parts.push(json!(format!("{}: {}", text("type"), text("message"))));
        for frame in next["frames"].as_array().unwrap() {
            let function = frame["function"].as_str().unwrap_or("?");
            parts.push(json!(format!("{function}:{}", frame["line"])));
        }
        next = &next["cause"];
    }
    parts.into()
}

/// What `inspect` printed, by the fields that every shipper has to keep.
pub(crate) fn inspected(events: &[Value]) -> Vec<Value> {
    let of = |event: &Value| {
        let lines =
            event["last_line"].as_u64().unwrap() - event["first_line"].as_u64().unwrap() + 1;
        let stamp: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        json!({"lines": lines, "time": time(stamp.as_microsecond()), "severity": event["severity"],
            "message": event["message"], "fingerprint": event["fingerprint"]})
    };
    events.iter().map(of).collect()
}

/// `tap --follow` of `classified-logs`.
pub(crate) struct Events {
    tap: Child,
    lines: Receiver<Value>,
}

impl Events {
    /// From the beginning.
    pub(crate) fn follow(cluster: &Cluster) -> Self {
        let tap = ["tap", "classified-logs", "--from", "beginning", "--follow"];
        let mut tap = start(&cluster.at(&tap));
        let output = BufReader::new(tap.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            for line in output.lines() {
                let event = serde_json::from_str(&line.unwrap()).unwrap();
                if sender.blocking_send(event).is_err() {
                    break;
                }
            }
        });
        Self { tap, lines }
    }

    /// Reads until as many lines are in events as are expected, whatever became of them.
    pub(crate) async fn read_until_there(&mut self, expected: &[Expected]) {
        let lines = |event: &Value| event["lines"].as_u64().unwrap();
        let mut missing: BTreeMap<&str, u64> =
            expected.iter().map(|one| (one.name(), one.events.iter().map(lines).sum())).collect();
        let mut read = Vec::new();
        while missing.values().any(|lines| *lines > 0) {
            let next = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
            let Ok(Some(event)) = next else {
                // What came tells more than what did not.
                expected.iter().for_each(|one| one.check(&read));
                panic!("lines that did not come: {missing:?}");
            };
            if let Some(one) = expected.iter().find(|one| one.is_mine(&event)) {
                let left = missing.get_mut(one.name()).unwrap();
                *left = left.saturating_sub(lines(&event["value"]));
            }
            read.push(event);
        }
    }

    /// Every event, when no more will come.
    pub(crate) fn read_to_end(mut self, cluster: &Cluster) -> Vec<Value> {
        self.tap.kill().unwrap();
        self.tap.wait().unwrap();
        cluster.run(&["tap", "classified-logs"]).good().json()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.tap.kill();
        let _ = self.tap.wait();
    }
}

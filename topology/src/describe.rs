//! The topology for people: as text, as Mermaid and as DOT, in the order of the flow.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    str::FromStr,
};

use crate::{
    Cleanup, StageDef, TopicDef, Topology,
    units::{bytes, counted, duration, roughly},
};

/// What a topic holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicFigures {
    /// Number of partitions.
    pub partitions: u32,
    /// Offsets from the oldest record to the end: records, and on Kafka the marks of transactions too.
    pub records: u64,
}

/// How far a stage is behind in a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Offsets from the first that is not done to the end.
    pub records: u64,
    /// Milliseconds for which the first undone record has been waiting; 0 where there is none.
    pub millis: u64,
}

/// What is known of topics and stages that exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Where they exist.
    pub place: String,
    /// By topic; one that is missing does not exist.
    pub topics: BTreeMap<String, TopicFigures>,
    /// By stage and topic; what is missing was never read.
    pub lags: BTreeMap<(String, String), Lag>,
}

impl Figures {
    fn lag(&self, stage: &str, topic: &str) -> Option<Lag> {
        self.lags.get(&(stage.to_owned(), topic.to_owned())).copied()
    }
}

/// How to write a topology down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Tables for a terminal.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// A Graphviz graph.
    Dot,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "mermaid" => Ok(Self::Mermaid),
            "dot" => Ok(Self::Dot),
            _ => Err("expected text, mermaid or dot".to_owned()),
        }
    }
}

/// Writes a topology down, with what is known of it where it exists. State and dead letters are in
/// the text alone: pictures of them say nothing.
pub fn describe(topology: &Topology, figures: Option<&Figures>, format: Format) -> String {
    let mut out = String::new();
    match format {
        Format::Text => text(topology, figures, &mut out),
        Format::Mermaid => picture(topology, figures, &Mermaid, &mut out),
        Format::Dot => picture(topology, figures, &Dot, &mut out),
    }
    out
}

/// Writing to a `String` cannot fail.
fn line(out: &mut String, content: impl Display) {
    let _ = writeln!(out, "{content}");
}

fn text(topology: &Topology, figures: Option<&Figures>, out: &mut String) {
    let replicas = counted(topology.replication_factor, "replica", "replicas");
    let in_sync = topology.min_insync_replicas;
    line(out, format!("TOPICS (on Kafka {replicas} each, {in_sync} in sync)"));
    let mut rows = vec![cells(["name", "partitions", "key", "value", "cleanup"])];
    for topic in &topology.topics {
        rows.push(vec![
            topic.name.clone(),
            topic.partitions.to_string(),
            topic.key.to_owned(),
            topic.value.name().to_owned(),
            cleanup(topic.cleanup),
        ]);
    }
    table(&rows, out);
    line(out, "\nSUBJECTS");
    let mut rows = vec![cells(["name", "record", "compatibility"])];
    for subject in &topology.subjects {
        let level = subject.compatibility.as_str();
        rows.push(cells([subject.subject.as_str(), subject.record, level]));
    }
    table(&rows, out);
    line(out, "\nSTAGES");
    stage_table(&topology.stages, out);
    line(out, "\nOUTSIDE");
    stage_table(&topology.outside, out);
    if let Some(figures) = figures {
        line(out, format!("\nNOW ({})", figures.place));
        table(&now_rows(topology, figures), out);
    }
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// One row for each topic, and one for each further stage that reads it.
fn now_rows(topology: &Topology, figures: &Figures) -> Vec<Vec<String>> {
    let mut rows = vec![cells(["topic", "partitions", "records", "read by", "lag", "waiting"])];
    for topic in &topology.topics {
        let name = topic.name.as_str();
        let now = figures.topics.get(name);
        let mut first = match now {
            Some(now) => {
                vec![name.to_owned(), now.partitions.to_string(), now.records.to_string()]
            }
            None => cells([name, "missing", "-"]),
        };
        let readers = topology.stages.iter().filter(|stage| stage.reads.contains(&name));
        for stage in readers {
            first.push(stage.name.to_owned());
            match figures.lag(stage.name, name) {
                Some(lag) => first.extend([lag.records.to_string(), waiting(lag)]),
                None => first.extend(cells(["not read yet", "-"])),
            }
            rows.push(first);
            first = cells(["", "", ""]);
        }
        if first.iter().any(|cell| !cell.is_empty()) {
            rows.push(first);
        }
    }
    rows
}

fn waiting(lag: Lag) -> String {
    if lag.millis == 0 { "-".to_owned() } else { roughly(lag.millis) }
}

fn stage_table(stages: &[StageDef], out: &mut String) {
    let names = |names: &[&str]| {
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    };
    let mut rows = vec![cells(["name", "reads", "tables", "writes", "state"])];
    for stage in stages {
        rows.push(vec![
            stage.name.to_owned(),
            names(&stage.reads),
            names(&stage.tables),
            names(&stage.writes),
            if stage.stateful { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table(&rows, out);
}

fn table(rows: &[Vec<String>], out: &mut String) {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    for row in rows {
        let mut text = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(text, "  {cell:width$}");
        }
        line(out, text.trim_end());
    }
}

fn cleanup(cleanup: Cleanup) -> String {
    match cleanup {
        Cleanup::Compact => "compact".to_owned(),
        Cleanup::Delete { retention, retention_bytes } => {
            let age = duration(retention);
            let size = retention_bytes.map_or_else(String::new, |n| format!(" or {}", bytes(n)));
            format!("delete after {age}{size}")
        }
    }
}

fn is_in_pictures(topic: &TopicDef) -> bool {
    let name = topic.name.as_str();
    !name.ends_with("-state") && !name.ends_with("-dead-letters")
}

/// Names as identifiers that both languages take.
fn id(kind: &str, name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{kind}_{name}")
}

/// A language of pictures.
trait Language {
    fn begin(&self, out: &mut String);
    fn topic(&self, id: &str, label: &[String], out: &mut String);
    fn stage(&self, id: &str, label: &str, out: &mut String);
    fn outsider(&self, id: &str, label: &str, out: &mut String);
    fn arrow(&self, from: &str, to: &str, label: Option<&str>, out: &mut String);
    /// A topic that a stage holds whole.
    fn table(&self, topic: &str, stage: &str, out: &mut String);
    fn end(&self, out: &mut String);
}

fn picture(
    topology: &Topology,
    figures: Option<&Figures>,
    language: &dyn Language,
    out: &mut String,
) {
    language.begin(out);
    for topic in topology.topics.iter().filter(|topic| is_in_pictures(topic)) {
        let mut label = vec![topic.name.clone()];
        if let Some(figures) = figures {
            label.push(topic_label(figures.topics.get(&topic.name)));
        }
        language.topic(&id("t", &topic.name), &label, out);
    }
    for stage in &topology.stages {
        language.stage(&id("s", stage.name), stage.name, out);
    }
    for outsider in &topology.outside {
        language.outsider(&id("s", outsider.name), outsider.name, out);
    }
    for stage in topology.stages.iter().chain(&topology.outside) {
        let node = id("s", stage.name);
        for topic in &stage.reads {
            let lag = figures.and_then(|figures| figures.lag(stage.name, topic));
            let label = lag.map(|lag| format!("lag {}", lag.records));
            language.arrow(&id("t", topic), &node, label.as_deref(), out);
        }
        for topic in &stage.tables {
            language.table(&id("t", topic), &node, out);
        }
        for topic in &stage.writes {
            language.arrow(&node, &id("t", topic), None, out);
        }
    }
    language.end(out);
}

fn topic_label(now: Option<&TopicFigures>) -> String {
    let Some(now) = now else {
        return "missing".to_owned();
    };
    let partitions = counted(now.partitions, "partition", "partitions");
    format!("{partitions}, {}", counted(now.records, "record", "records"))
}

struct Mermaid;

impl Language for Mermaid {
    fn begin(&self, out: &mut String) {
        line(out, "flowchart LR");
    }

    fn topic(&self, id: &str, label: &[String], out: &mut String) {
        line(out, format!("    {id}[(\"{}\")]", label.join("<br/>")));
    }

    fn stage(&self, id: &str, label: &str, out: &mut String) {
        line(out, format!("    {id}[\"{label}\"]"));
    }

    fn outsider(&self, id: &str, label: &str, out: &mut String) {
        line(out, format!("    {id}([\"{label}\"])"));
    }

    fn arrow(&self, from: &str, to: &str, label: Option<&str>, out: &mut String) {
        let label = label.map(|label| format!("|\"{label}\"|")).unwrap_or_default();
        line(out, format!("    {from} -->{label} {to}"));
    }

    fn table(&self, topic: &str, stage: &str, out: &mut String) {
        line(out, format!("    {topic} -.-> {stage}"));
    }

    fn end(&self, _: &mut String) {}
}

struct Dot;

impl Language for Dot {
    fn begin(&self, out: &mut String) {
        line(out, "digraph hephaestus {");
        line(out, "    rankdir=LR;");
    }

    fn topic(&self, id: &str, label: &[String], out: &mut String) {
        line(out, format!("    {id} [label=\"{}\", shape=cylinder];", label.join("\\n")));
    }

    fn stage(&self, id: &str, label: &str, out: &mut String) {
        line(out, format!("    {id} [label=\"{label}\", shape=box];"));
    }

    fn outsider(&self, id: &str, label: &str, out: &mut String) {
        line(out, format!("    {id} [label=\"{label}\", shape=oval];"));
    }

    fn arrow(&self, from: &str, to: &str, label: Option<&str>, out: &mut String) {
        let label = label.map(|label| format!(" [label=\"{label}\"]")).unwrap_or_default();
        line(out, format!("    {from} -> {to}{label};"));
    }

    fn table(&self, topic: &str, stage: &str, out: &mut String) {
        line(out, format!("    {topic} -> {stage} [style=dashed];"));
    }

    fn end(&self, out: &mut String) {
        line(out, "}");
    }
}

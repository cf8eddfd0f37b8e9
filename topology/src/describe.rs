//! The topology for people: as text, as Mermaid and as DOT, in the order of the flow.

use std::{
    fmt::{Display, Write},
    str::FromStr,
    time::Duration,
};

use crate::{Cleanup, StageDef, TopicDef, Topology};

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

/// Writes a topology down. State and dead letters are in the text alone: pictures of them say nothing.
pub fn describe(topology: &Topology, format: Format) -> String {
    let mut out = String::new();
    match format {
        Format::Text => text(topology, &mut out),
        Format::Mermaid => mermaid(topology, &mut out),
        Format::Dot => dot(topology, &mut out),
    }
    out
}

/// Writing to a `String` cannot fail.
fn line(out: &mut String, content: impl Display) {
    let _ = writeln!(out, "{content}");
}

fn text(topology: &Topology, out: &mut String) {
    line(out, "TOPICS");
    let header = ["name", "partitions", "key", "value", "cleanup"].map(str::to_owned);
    let mut rows = vec![header];
    for topic in &topology.topics {
        rows.push([
            topic.name.clone(),
            topic.partitions.to_string(),
            topic.key.to_owned(),
            topic.value.name().to_owned(),
            cleanup(topic.cleanup),
        ]);
    }
    table(&rows, out);
    line(out, "\nSTAGES");
    let header = ["name", "reads", "tables", "writes", "state"].map(str::to_owned);
    stage_rows(header, &topology.stages, out);
    line(out, "\nOUTSIDE");
    let header = ["name", "reads", "tables", "writes", "state"].map(str::to_owned);
    stage_rows(header, &topology.outside, out);
}

fn stage_rows(header: [String; 5], stages: &[StageDef], out: &mut String) {
    let names = |names: &[&str]| {
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    };
    let mut rows = vec![header];
    for stage in stages {
        rows.push([
            stage.name.to_owned(),
            names(&stage.reads),
            names(&stage.tables),
            names(&stage.writes),
            if stage.stateful { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table(&rows, out);
}

fn table<const N: usize>(rows: &[[String; N]], out: &mut String) {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
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

fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("min", 60)] {
        if seconds >= length && seconds.is_multiple_of(length) {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}

fn bytes(count: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if count >= 1 << shift && count.trailing_zeros() >= shift {
            return format!("{} {unit}", count >> shift);
        }
    }
    format!("{count} B")
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

fn mermaid(topology: &Topology, out: &mut String) {
    line(out, "flowchart LR");
    for topic in topology.topics.iter().filter(|topic| is_in_pictures(topic)) {
        let node = id("t", &topic.name);
        line(out, format!("    {node}[(\"{}\")]", topic.name));
    }
    for stage in &topology.stages {
        let node = id("s", stage.name);
        line(out, format!("    {node}[\"{}\"]", stage.name));
    }
    for outsider in &topology.outside {
        let node = id("s", outsider.name);
        line(out, format!("    {node}([\"{}\"])", outsider.name));
    }
    for stage in topology.stages.iter().chain(&topology.outside) {
        let node = id("s", stage.name);
        for topic in &stage.reads {
            line(out, format!("    {} --> {node}", id("t", topic)));
        }
        for topic in &stage.tables {
            line(out, format!("    {} -.-> {node}", id("t", topic)));
        }
        for topic in &stage.writes {
            line(out, format!("    {node} --> {}", id("t", topic)));
        }
    }
}

fn dot(topology: &Topology, out: &mut String) {
    line(out, "digraph hephaestus {");
    line(out, "    rankdir=LR;");
    for topic in topology.topics.iter().filter(|topic| is_in_pictures(topic)) {
        let node = id("t", &topic.name);
        line(out, format!("    {node} [label=\"{}\", shape=cylinder];", topic.name));
    }
    for stage in &topology.stages {
        let node = id("s", stage.name);
        line(out, format!("    {node} [label=\"{}\", shape=box];", stage.name));
    }
    for outsider in &topology.outside {
        let node = id("s", outsider.name);
        line(out, format!("    {node} [label=\"{}\", shape=oval];", outsider.name));
    }
    for stage in topology.stages.iter().chain(&topology.outside) {
        let node = id("s", stage.name);
        for topic in &stage.reads {
            line(out, format!("    {} -> {node};", id("t", topic)));
        }
        for topic in &stage.tables {
            line(out, format!("    {} -> {node} [style=dashed];", id("t", topic)));
        }
        for topic in &stage.writes {
            line(out, format!("    {node} -> {};", id("t", topic)));
        }
    }
    line(out, "}");
}

//! The settings from all places in one tree, each with where it stands.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, Place, Problem, secret::variable_of};

/// A setting, or a table of them.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a setting is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// In the order in which the keys came.
    Table(Vec<(String, Node)>),
    List(Vec<Node>),
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date, or a number too large to be one: nothing that a setting can be, kept for the message.
    Other(String),
    /// From a variable or a flag: becomes what is wanted, where it can.
    Raw(String),
}

impl Node {
    /// Adds the names of variables that hold secrets of these settings: `env:NAME`.
    pub(super) fn add_variables_of_secrets(&self, names: &mut Vec<String>) {
        match &self.value {
            Value::Table(entries) => {
                entries.iter().for_each(|(_, entry)| entry.add_variables_of_secrets(names));
            }
            Value::List(items) => {
                items.iter().for_each(|item| item.add_variables_of_secrets(names));
            }
            Value::String(text) | Value::Raw(text) => {
                names.extend(variable_of(text).map(str::to_owned));
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Other(_) => {}
        }
    }

    /// Sets a key, over whatever was there.
    pub(super) fn set(&mut self, path: &[&str], place: &Place, text: String) {
        let Some((key, below)) = path.split_first() else {
            *self = Self { place: place.clone(), value: Value::Raw(text) };
            return;
        };
        if !matches!(self.value, Value::Table(_)) {
            *self = Self { place: place.clone(), value: Value::Table(Vec::new()) };
        }
        let Value::Table(entries) = &mut self.value else { return };
        if let Some((_, entry)) = entries.iter_mut().find(|(name, _)| name == key) {
            return entry.set(below, place, text);
        }
        let mut entry = Self { place: place.clone(), value: Value::Table(Vec::new()) };
        entry.set(below, place, text);
        entries.push(((*key).to_owned(), entry));
    }
}

/// Reads TOML.
pub(super) fn parse(path: &Path, text: &str) -> Result<Node, ConfigError> {
    let lines = Lines::new(path, text);
    let table = DeTable::parse(text).map_err(|error| ConfigError {
        place: error.span().map_or(Place::File(path.to_owned()), |span| lines.place(span.start)),
        problem: Problem::Syntax { message: error.message().replace('\n', ", ") },
    })?;
    Ok(Node { place: Place::File(path.to_owned()), value: lines.table(table.into_inner()) })
}

/// Says in which line a byte stands.
struct Lines<'a> {
    path: &'a Path,
    /// Where each line begins, in order.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(path: &'a Path, text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(index, _)| index + 1);
        Self { path, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, byte: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= byte);
        Place::Line(self.path.to_owned(), line)
    }

    fn table(&self, table: DeTable<'_>) -> Value {
        let mut in_order: Vec<_> = table.into_iter().collect();
        in_order.sort_by_key(|(key, _)| key.span().start);
        let mut entries = Vec::new();
        for (key, value) in in_order {
            // A key says where it stands better than a value, which may be a table made of many parts.
            let place = self.place(key.span().start);
            let node = Node { place, ..self.node(value) };
            entries.push((key.into_inner().into_owned(), node));
        }
        Value::Table(entries)
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span().start);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(items) => {
                Value::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => self.table(table),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    // Beyond what TOML promises to hold: shown as it is, and never a number.
                    Err(_) => Value::Other(number.to_string()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Float(number),
                Err(_) => Value::Other(number.to_string()),
            },
        };
        Node { place, value }
    }
}

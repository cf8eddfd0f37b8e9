//! Whether data written with one Avro schema can be read with another, by the specification's
//! rules of schema resolution, as Confluent's registry checks them.
//!
//! `apache_avro::schema_compatibility` is weaker in what a registry needs: it refuses a type that
//! moved to where it is first named, knows no alias of a record, and stops at the first reason.

use std::collections::{HashMap, HashSet};

use apache_avro::{
    Schema,
    schema::{
        Aliases, EnumSchema, FixedSchema, InnerDecimalSchema, Name, NamesRef, RecordSchema,
        ResolvedSchema, UuidSchema,
    },
};

/// Most reasons that are given.
const MAX_REASONS: usize = 20;

/// Deepest nesting that is compared; it bounds the stack.
const MAX_DEPTH: usize = 200;

/// Most pairs of types that are compared: some thousand times what an ordinary schema needs.
const MAX_COMPARISONS: usize = 100_000;

/// Reasons why data written with `writer` cannot be read with `reader`; none if it can.
pub fn reasons(reader: &Schema, writer: &Schema) -> Vec<String> {
    let (reader_names, writer_names) =
        match (ResolvedSchema::new(reader), ResolvedSchema::new(writer)) {
            (Ok(reader), Ok(writer)) => (reader, writer),
            (Err(error), _) | (_, Err(error)) => return vec![error.to_string()],
        };
    let mut comparison = Comparison {
        reader_names: reader_names.get_names(),
        writer_names: writer_names.get_names(),
        compared: HashMap::new(),
        left: MAX_COMPARISONS,
    };
    let mut reasons = Vec::new();
    let root = match reader {
        Schema::Record(record) => record.name.name().to_owned(),
        _ => "value".to_owned(),
    };
    comparison.compare(reader, writer, &Place::root(root), &mut reasons);
    reasons
}

/// Where in the reader's schema: `Analysis.exception.frames[]`.
struct Place {
    path: String,
    depth: usize,
}

impl Place {
    fn root(path: String) -> Self {
        Self { path, depth: 0 }
    }

    fn inside(&self, suffix: &str) -> Self {
        Self { path: format!("{}{suffix}", self.path), depth: self.depth + 1 }
    }

    fn reason(&self, kind: &str, text: &str) -> String {
        format!("{kind} at {}: {text}", self.path)
    }
}

struct Comparison<'n, 's> {
    reader_names: &'n NamesRef<'s>,
    writer_names: &'n NamesRef<'s>,
    /// Named types that were compared, and those being compared, which are taken for compatible
    /// until they prove otherwise: that is what ends the recursion of a recursive type.
    compared: HashMap<(Name, Name), bool>,
    /// Comparisons that may still be made; hostile unions would ask for too many.
    left: usize,
}

impl Comparison<'_, '_> {
    /// Whether `reader` reads what `writer` wrote; if not, adds at least one reason.
    fn compare(
        &mut self,
        reader: &Schema,
        writer: &Schema,
        place: &Place,
        reasons: &mut Vec<String>,
    ) -> bool {
        if place.depth > MAX_DEPTH {
            let text = format!("nested deeper than {MAX_DEPTH} levels");
            return refuse(reasons, place.reason("TOO_COMPLEX", &text));
        }
        if self.left == 0 {
            let text = format!("more than {MAX_COMPARISONS} pairs of types to compare");
            return refuse(reasons, place.reason("TOO_COMPLEX", &text));
        }
        self.left -= 1;
        let reader = resolve(reader, self.reader_names);
        let writer = resolve(writer, self.writer_names);
        match (Form::of(reader), Form::of(writer)) {
            (Form::Unresolved(name), _) | (_, Form::Unresolved(name)) => {
                let text = format!("{name} is not defined");
                refuse(reasons, place.reason("TYPE_MISMATCH", &text))
            }
            (_, Form::Union(branches)) => {
                let mut all = true;
                for branch in branches {
                    all &= self.compare(reader, branch, place, reasons);
                }
                all
            }
            (Form::Union(branches), _) => self.compare_branches(branches, writer, place, reasons),
            (Form::Array(reader), Form::Array(writer)) => {
                self.compare(reader, writer, &place.inside("[]"), reasons)
            }
            (Form::Map(reader), Form::Map(writer)) => {
                self.compare(reader, writer, &place.inside("{}"), reasons)
            }
            (Form::Record(reader), Form::Record(writer)) => {
                self.compare_records(reader, writer, place, reasons)
            }
            (Form::Enum(reader), Form::Enum(writer)) => {
                compare_enums(reader, writer, place, reasons)
            }
            (Form::Fixed(reader), Form::Fixed(writer)) => {
                compare_fixed(reader, writer, place, reasons)
            }
            (Form::Plain(reader), Form::Plain(writer)) if reads(reader, writer) => true,
            (reader, writer) => {
                let text = format!("{} cannot be read as {}", writer.name(), reader.name());
                refuse(reasons, place.reason("TYPE_MISMATCH", &text))
            }
        }
    }

    /// Whether one branch of the reader's union reads what the writer wrote.
    fn compare_branches(
        &mut self,
        branches: &[Schema],
        writer: &Schema,
        place: &Place,
        reasons: &mut Vec<String>,
    ) -> bool {
        let written = Form::of(writer);
        let mut of_same_kind = Vec::new();
        for branch in branches {
            let mut of_branch = Vec::new();
            if self.compare(branch, writer, &place.inside(""), &mut of_branch) {
                return true;
            }
            let branch = Form::of(resolve(branch, self.reader_names));
            if std::mem::discriminant(&branch) == std::mem::discriminant(&written) {
                of_same_kind.append(&mut of_branch);
            }
        }
        let text = format!("no branch of the reader's union reads {}", written.name());
        refuse(reasons, place.reason("MISSING_UNION_BRANCH", &text));
        for reason in of_same_kind {
            refuse(reasons, reason);
        }
        false
    }

    fn compare_records(
        &mut self,
        reader: &RecordSchema,
        writer: &RecordSchema,
        place: &Place,
        reasons: &mut Vec<String>,
    ) -> bool {
        if !same_name(&reader.name, &reader.aliases, &writer.name) {
            return refuse(reasons, name_mismatch(&reader.name, &writer.name, place));
        }
        let pair = (reader.name.clone(), writer.name.clone());
        if let Some(&compatible) = self.compared.get(&pair) {
            if !compatible {
                let text = format!("{} differs as said before", reader.name);
                refuse(reasons, place.reason("TYPE_MISMATCH", &text));
            }
            return compatible;
        }
        self.compared.insert(pair.clone(), true);
        let written: HashMap<&str, &Schema> =
            writer.fields.iter().map(|field| (field.name.as_str(), &field.schema)).collect();
        let mut all = true;
        for field in &reader.fields {
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let of_writer = names.filter_map(|name| written.get(name.as_str())).next();
            let place = place.inside(&format!(".{}", field.name));
            match of_writer {
                Some(schema) => all &= self.compare(&field.schema, schema, &place, reasons),
                None if field.default.is_some() => {}
                None => {
                    let text = "the writer has no such field and the reader no default for it";
                    all = refuse(reasons, place.reason("READER_FIELD_MISSING_DEFAULT_VALUE", text));
                }
            }
        }
        self.compared.insert(pair, all);
        all
    }
}

fn compare_enums(
    reader: &EnumSchema,
    writer: &EnumSchema,
    place: &Place,
    reasons: &mut Vec<String>,
) -> bool {
    if !same_name(&reader.name, &reader.aliases, &writer.name) {
        return refuse(reasons, name_mismatch(&reader.name, &writer.name, place));
    }
    if reader.default.is_some() {
        return true;
    }
    let known: HashSet<&str> = reader.symbols.iter().map(String::as_str).collect();
    let missing: Vec<&str> = writer
        .symbols
        .iter()
        .map(String::as_str)
        .filter(|symbol| !known.contains(symbol))
        .collect();
    if missing.is_empty() {
        return true;
    }
    let text = format!("the reader does not know {} and has no default", missing.join(", "));
    refuse(reasons, place.reason("MISSING_ENUM_SYMBOLS", &text))
}

fn compare_fixed(
    reader: &FixedSchema,
    writer: &FixedSchema,
    place: &Place,
    reasons: &mut Vec<String>,
) -> bool {
    if !same_name(&reader.name, &reader.aliases, &writer.name) {
        return refuse(reasons, name_mismatch(&reader.name, &writer.name, place));
    }
    if reader.size == writer.size {
        return true;
    }
    let text = format!("{} bytes are written, {} read", writer.size, reader.size);
    refuse(reasons, place.reason("FIXED_SIZE_MISMATCH", &text))
}

/// Adds a reason, unless there are enough; always `false`.
fn refuse(reasons: &mut Vec<String>, reason: String) -> bool {
    if reasons.len() < MAX_REASONS {
        reasons.push(reason);
    }
    false
}

fn name_mismatch(reader: &Name, writer: &Name, place: &Place) -> String {
    let text = format!("{writer} is written, {reader} read");
    place.reason("NAME_MISMATCH", &text)
}

/// Names match without their namespaces, as in Avro's own Java implementation and in Confluent's
/// registry; an alias of the reader's matches with its namespace.
fn same_name(reader: &Name, aliases: &Aliases, writer: &Name) -> bool {
    if reader.name() == writer.name() {
        return true;
    }
    let writer = writer.fullname(None);
    aliases.iter().flatten().any(|alias| alias.fullname(reader.namespace()) == writer)
}

fn resolve<'s>(schema: &'s Schema, names: &NamesRef<'s>) -> &'s Schema {
    match schema {
        Schema::Ref { name } => names.get(name).copied().unwrap_or(schema),
        other => other,
    }
}

/// What a schema is on the wire, without logical types.
enum Form<'s> {
    Plain(Plain),
    Array(&'s Schema),
    Map(&'s Schema),
    Union(&'s [Schema]),
    Record(&'s RecordSchema),
    Enum(&'s EnumSchema),
    Fixed(&'s FixedSchema),
    Unresolved(&'s Name),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl<'s> Form<'s> {
    fn of(schema: &'s Schema) -> Self {
        match schema {
            Schema::Null => Self::Plain(Plain::Null),
            Schema::Boolean => Self::Plain(Plain::Boolean),
            Schema::Int | Schema::Date | Schema::TimeMillis => Self::Plain(Plain::Int),
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Self::Plain(Plain::Long),
            Schema::Float => Self::Plain(Plain::Float),
            Schema::Double => Self::Plain(Plain::Double),
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => {
                Self::Plain(Plain::Bytes)
            }
            Schema::String | Schema::Uuid(UuidSchema::String) => Self::Plain(Plain::String),
            Schema::Array(array) => Self::Array(&array.items),
            Schema::Map(map) => Self::Map(&map.types),
            Schema::Union(union) => Self::Union(union.variants()),
            Schema::Record(record) => Self::Record(record),
            Schema::Enum(symbols) => Self::Enum(symbols),
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => Self::Fixed(fixed),
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Self::Plain(Plain::Bytes),
                InnerDecimalSchema::Fixed(fixed) => Self::Fixed(fixed),
            },
            Schema::Ref { name } => Self::Unresolved(name),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Plain(plain) => plain.name().to_owned(),
            Self::Array(_) => "array".to_owned(),
            Self::Map(_) => "map".to_owned(),
            Self::Union(_) => "union".to_owned(),
            Self::Record(record) => format!("record {}", record.name),
            Self::Enum(symbols) => format!("enum {}", symbols.name),
            Self::Fixed(fixed) => format!("fixed {}", fixed.name),
            Self::Unresolved(name) => name.to_string(),
        }
    }
}

impl Plain {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
        }
    }
}

/// The promotions of the specification's "Schema Resolution".
fn reads(reader: Plain, writer: Plain) -> bool {
    use Plain::{Bytes, Double, Float, Int, Long, String};
    reader == writer
        || matches!(
            (writer, reader),
            (Int, Long | Float | Double)
                | (Long, Float | Double)
                | (Float, Double)
                | (String, Bytes)
                | (Bytes, String)
        )
}

//! What the registry takes for a schema, and when two texts are the same one.

use apache_avro::{
    Schema,
    schema::{InnerDecimalSchema, NamesRef, ResolvedSchema, UuidSchema},
};
use serde_json::Value;

/// Largest schema in bytes.
pub const MAX_SCHEMA_BYTES: usize = 1024 * 1024;

/// Most steps taken to check the defaults of one schema.
const MAX_DEFAULT_STEPS: usize = 1_000_000;

/// Parses a schema and checks the defaults of its fields, which `apache_avro` does not.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse(text: &str) -> Result<Schema, String> {
    if text.len() > MAX_SCHEMA_BYTES {
        return Err(format!(
            "{} bytes, more than the {MAX_SCHEMA_BYTES} a schema may have",
            text.len()
        ));
    }
    let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
    let resolved = ResolvedSchema::new(&schema).map_err(|error| error.to_string())?;
    let mut defaults = DefaultCheck { names: resolved.get_names(), steps: MAX_DEFAULT_STEPS };
    defaults.check(&schema)?;
    Ok(schema)
}

/// The text without what says nothing: white space and the order of keys. Other than Avro's
/// "parsing canonical form" it keeps documentation, defaults and aliases: schemas that differ in
/// those are different versions.
///
/// # Errors
/// Where it is no JSON.
pub fn canonical(text: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut out = String::with_capacity(text.len());
    write_sorted(&value, &mut out);
    Ok(out)
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_sorted(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// Checks the defaults of fields. A default of a union may fit any branch, so that a hostile
/// schema could ask for 2^n attempts: `steps` bounds them.
struct DefaultCheck<'n, 's> {
    names: &'n NamesRef<'s>,
    steps: usize,
}

impl DefaultCheck<'_, '_> {
    fn check(&mut self, schema: &Schema) -> Result<(), String> {
        match schema {
            Schema::Array(array) => self.check(&array.items),
            Schema::Map(map) => self.check(&map.types),
            Schema::Union(union) => {
                for branch in union.variants() {
                    self.check(branch)?;
                }
                Ok(())
            }
            Schema::Record(record) => {
                for field in &record.fields {
                    self.check(&field.schema)?;
                    let Some(default) = &field.default else {
                        continue;
                    };
                    if !self.fits(default, &field.schema) {
                        return Err(format!(
                            "default {default} of field {} of {} does not fit its type",
                            field.name, record.name
                        ));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a JSON value is a default of this type.
    fn fits(&mut self, value: &Value, schema: &Schema) -> bool {
        let Some(steps) = self.steps.checked_sub(1) else {
            return false;
        };
        self.steps = steps;
        match schema {
            Schema::Null => value.is_null(),
            Schema::Boolean => value.is_boolean(),
            Schema::Int | Schema::Date | Schema::TimeMillis => {
                value.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => value.is_i64(),
            Schema::Float | Schema::Double => value.is_number(),
            Schema::String | Schema::Uuid(UuidSchema::String) => value.is_string(),
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => {
                byte_length(value).is_some()
            }
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => byte_length(value) == Some(fixed.size),
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => byte_length(value).is_some(),
                InnerDecimalSchema::Fixed(fixed) => byte_length(value) == Some(fixed.size),
            },
            Schema::Enum(symbols) => {
                self.steps = self.steps.saturating_sub(symbols.symbols.len());
                value
                    .as_str()
                    .is_some_and(|symbol| symbols.symbols.iter().any(|known| known == symbol))
            }
            Schema::Array(array) => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| self.fits(item, &array.items))),
            Schema::Map(map) => value
                .as_object()
                .is_some_and(|entries| entries.values().all(|item| self.fits(item, &map.types))),
            Schema::Union(union) => union.variants().iter().any(|branch| self.fits(value, branch)),
            Schema::Record(record) => value.as_object().is_some_and(|given| {
                record.fields.iter().all(|field| match given.get(&field.name) {
                    Some(value) => self.fits(value, &field.schema),
                    None => field.default.is_some(),
                })
            }),
            Schema::Ref { name } => match self.names.get(name) {
                Some(schema) => self.fits(value, schema),
                None => false,
            },
        }
    }
}

/// Length of a default of bytes, which JSON writes as a string of the code points 0 to 255.
fn byte_length(value: &Value) -> Option<usize> {
    let text = value.as_str()?;
    text.chars().all(|letter| u32::from(letter) <= 0xff).then(|| text.chars().count())
}

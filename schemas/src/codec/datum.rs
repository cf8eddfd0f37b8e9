//! Values to Avro data and back, over plain bytes and a parsed schema; no registry, no I/O.
//!
//! Holds for data of strangers: time and memory are bounded by the length of the datum.

use std::io::BufRead;

use serde::{Serialize, de::Deserialize};
use serde_avro_fast::{
    Schema,
    de::{DeserializerConfig, DeserializerState, read::SliceRead},
    ser::SerializerConfig,
};

/// Deepest nesting of a datum: records, unions, arrays and maps. It bounds the stack.
pub const MAX_DEPTH: usize = 128;

/// Longest chain of [`crate::Exception::cause`] that is written. A link costs two levels of
/// [`MAX_DEPTH`], the rest leaves room for the frames of the last one.
pub const MAX_CAUSES: usize = 50;

/// Appends the datum of a value.
///
/// # Errors
/// Says what does not fit the schema; `out` then holds part of a datum.
pub fn write<T: Serialize>(value: &T, schema: &Schema, out: &mut Vec<u8>) -> Result<(), String> {
    let mut config = SerializerConfig::new(schema);
    match serde_avro_fast::to_datum(value, out, &mut config) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads one datum that was written with `schema` and fills the whole slice.
///
/// # Errors
/// Says what is wrong with the datum.
pub fn read<'de, T: Deserialize<'de>>(datum: &'de [u8], schema: &Schema) -> Result<T, String> {
    let mut config = DeserializerConfig::new(schema);
    // An item takes a byte at least, but for arrays of nulls or empty records, which nobody sends
    // but to make a reader spin: three bytes could announce 10^9 of them.
    config.max_seq_size = datum.len();
    config.allowed_depth = MAX_DEPTH;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let value = T::deserialize(state.deserializer()).map_err(|error| error.to_string())?;
    match state.into_reader().fill_buf() {
        Ok([]) => Ok(value),
        Ok(rest) => Err(format!("{} bytes left over after it", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}

//! The Confluent wire format: a zero byte, the schema's id in four bytes big-endian, the Avro datum.
//!
//! Source: Confluent Schema Registry, "Serializers and Deserializers: Wire format".

/// Length of the prefix in bytes.
pub const PREFIX: usize = 5;

/// Why bytes are no value in the Confluent wire format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than the prefix has.
    #[error("{0} bytes, fewer than the {PREFIX} of the Confluent prefix")]
    Short(usize),
    /// The first byte is not zero.
    #[error("first byte is {0:#04x}, not the 0x00 of the Confluent wire format")]
    Magic(u8),
}

/// Splits a value into the id of its schema and its datum.
///
/// # Errors
/// Says what is wrong with the prefix.
pub fn split(bytes: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let Some((prefix, datum)) = bytes.split_first_chunk::<PREFIX>() else {
        return Err(WireError::Short(bytes.len()));
    };
    let [magic, id @ ..] = *prefix;
    if magic != 0 {
        return Err(WireError::Magic(magic));
    }
    Ok((u32::from_be_bytes(id), datum))
}

/// Writes the prefix for a schema's id.
pub fn write_prefix(id: u32, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

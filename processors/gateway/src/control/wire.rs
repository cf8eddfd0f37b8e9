//! Batches of records as bytes: lengths before contents, numbers big-endian.
//!
//! Decoding copies nothing and never reads past the end, whatever the bytes are.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hephaestus_pipeline::record::{Headers, NewRecord, Record};

const HAS_PARTITION: u8 = 1;
const HAS_KEY: u8 = 2;
const HAS_VALUE: u8 = 4;

/// Why bytes are no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("batch of records breaks off or is malformed")]
pub(super) struct WireError;

/// Encodes records to be written.
pub(super) fn encode_new(records: &[NewRecord]) -> Bytes {
    let size: usize = records.iter().map(|record| record.size() + 64).sum();
    let mut out = BytesMut::with_capacity(size);
    for record in records {
        let part = Part {
            topic: &record.topic,
            partition: record.partition,
            offset: 0,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_ref(),
            value: record.value.as_ref(),
            headers: &record.headers,
        };
        part.encode(&mut out);
    }
    out.freeze()
}

/// Decodes records to be written.
pub(super) fn decode_new(mut bytes: Bytes) -> Result<Vec<NewRecord>, WireError> {
    let mut records = Vec::new();
    while bytes.has_remaining() {
        let whole = Whole::decode(&mut bytes)?;
        records.push(NewRecord {
            topic: whole.topic,
            partition: whole.partition,
            timestamp_ms: whole.timestamp_ms,
            key: whole.key,
            value: whole.value,
            headers: whole.headers,
        });
    }
    Ok(records)
}

/// Encodes records that were read.
pub(super) fn encode(records: &[Record]) -> Bytes {
    let size: usize = records.iter().map(|record| record.size() + 64).sum();
    let mut out = BytesMut::with_capacity(size);
    for record in records {
        let part = Part {
            topic: &record.topic,
            partition: Some(record.partition),
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.as_ref(),
            value: record.value.as_ref(),
            headers: &record.headers,
        };
        part.encode(&mut out);
    }
    out.freeze()
}

/// Decodes records that were read.
pub(super) fn decode(mut bytes: Bytes) -> Result<Vec<Record>, WireError> {
    let mut records = Vec::new();
    while bytes.has_remaining() {
        let whole = Whole::decode(&mut bytes)?;
        records.push(Record {
            topic: whole.topic,
            partition: whole.partition.ok_or(WireError)?,
            offset: whole.offset,
            timestamp_ms: whole.timestamp_ms,
            key: whole.key,
            value: whole.value,
            headers: whole.headers,
        });
    }
    Ok(records)
}

struct Part<'a> {
    topic: &'a str,
    partition: Option<u32>,
    offset: u64,
    timestamp_ms: i64,
    key: Option<&'a Bytes>,
    value: Option<&'a Bytes>,
    headers: &'a Headers,
}

impl Part<'_> {
    fn encode(&self, out: &mut BytesMut) {
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        let flags = flag(self.partition.is_some(), HAS_PARTITION)
            | flag(self.key.is_some(), HAS_KEY)
            | flag(self.value.is_some(), HAS_VALUE);
        out.put_u8(flags);
        put_bytes(self.topic.as_bytes(), out);
        out.put_u32(self.partition.unwrap_or_default());
        out.put_u64(self.offset);
        out.put_i64(self.timestamp_ms);
        for bytes in [self.key, self.value].into_iter().flatten() {
            put_bytes(bytes, out);
        }
        put_length(self.headers.0.len(), out);
        for (name, value) in &self.headers.0 {
            put_bytes(name.as_bytes(), out);
            put_bytes(value, out);
        }
    }
}

struct Whole {
    topic: Arc<str>,
    partition: Option<u32>,
    offset: u64,
    timestamp_ms: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Headers,
}

impl Whole {
    fn decode(bytes: &mut Bytes) -> Result<Self, WireError> {
        let flags = bytes.try_get_u8().map_err(|_| WireError)?;
        let has = |flag: u8| flags & flag != 0;
        let topic = take_text(bytes)?;
        let partition = bytes.try_get_u32().map_err(|_| WireError)?;
        let offset = bytes.try_get_u64().map_err(|_| WireError)?;
        let timestamp_ms = bytes.try_get_i64().map_err(|_| WireError)?;
        let key = has(HAS_KEY).then(|| take_bytes(bytes)).transpose()?;
        let value = has(HAS_VALUE).then(|| take_bytes(bytes)).transpose()?;
        let count = bytes.try_get_u32().map_err(|_| WireError)?;
        let mut headers = Headers::default();
        for _ in 0..count {
            let name = take_text(bytes)?;
            let value = take_bytes(bytes)?;
            headers.0.push((name, value));
        }
        Ok(Self {
            topic,
            partition: has(HAS_PARTITION).then_some(partition),
            offset,
            timestamp_ms,
            key,
            value,
            headers,
        })
    }
}

fn put_length(length: usize, out: &mut BytesMut) {
    // Bounds on a batch lie far below; see MAX_MESSAGE_BYTES.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    put_length(bytes.len(), out);
    out.put_slice(bytes);
}

fn take_bytes(bytes: &mut Bytes) -> Result<Bytes, WireError> {
    let length = bytes.try_get_u32().map_err(|_| WireError)? as usize;
    if length > bytes.remaining() {
        return Err(WireError);
    }
    Ok(bytes.split_to(length))
}

fn take_text(bytes: &mut Bytes) -> Result<Arc<str>, WireError> {
    let text = take_bytes(bytes)?;
    let text = std::str::from_utf8(&text).map_err(|_| WireError)?;
    Ok(text.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
    }

    fn headers() -> impl Strategy<Value = Headers> {
        let header = ("\\PC{0,8}", bytes()).prop_map(|(name, value)| (name.into(), value));
        proptest::collection::vec(header, 0..4).prop_map(Headers)
    }

    prop_compose! {
        fn record()(
            topic in "[a-z._-]{0,12}",
            partition: u32,
            offset: u64,
            timestamp_ms: i64,
            key in proptest::option::of(bytes()),
            value in proptest::option::of(bytes()),
            headers in headers(),
        ) -> Record {
            Record { topic: topic.into(), partition, offset, timestamp_ms, key, value, headers }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn records_come_back_as_they_went(records in proptest::collection::vec(record(), 0..8), with_partition: bool) {
            let new: Vec<NewRecord> = records
                .iter()
                .map(|record| NewRecord {
                    topic: record.topic.clone(),
                    partition: with_partition.then_some(record.partition),
                    timestamp_ms: record.timestamp_ms,
                    key: record.key.clone(),
                    value: record.value.clone(),
                    headers: record.headers.clone(),
                })
                .collect();
            prop_assert_eq!(decode_new(encode_new(&new)).unwrap(), new);
            prop_assert_eq!(decode(encode(&records)).unwrap(), records);
        }

        #[test]
        fn bytes_that_break_off_are_refused(record in record(), cut in 1_usize..200) {
            let whole = encode(&[record]);
            let cut = cut.min(whole.len() - 1);
            prop_assert_eq!(decode(whole.slice(..whole.len() - cut)), Err(WireError));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(bytes.clone().into());
            let _ = decode_new(bytes.into());
        }
    }
}

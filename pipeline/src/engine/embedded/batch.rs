//! How records lie in the store: batches with a header, a checksum, and LZ4 where it pays.
//!
//! Decoding trusts nothing it reads: what does not add up is an error, never a panic.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};

use crate::record::{Headers, NewRecord, Record};

/// Records are packed until their encoding would pass this many bytes; a larger record is a batch of its own.
/// It also bounds what one record that is kept for long keeps in memory with it.
pub(super) const BATCH_BYTES: usize = 128 * 1024;

/// Batches below this many bytes are stored as they are.
const COMPRESS_FROM: usize = 256;

const FORMAT: u8 = 1;
const LZ4: u8 = 1;
const HEADER_BYTES: usize = 30;
/// Where the checksum lies; it covers everything else.
const CHECKSUM: std::ops::Range<usize> = 2..6;

const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;
const HAS_HEADERS: u8 = 4;

/// Why stored bytes are no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchError {
    #[error("{0} bytes are too short for a batch")]
    Short(usize),
    #[error("format {0} of a batch is unknown, wanted {FORMAT}")]
    Format(u8),
    #[error("checksum is {found:08x}, wanted {wanted:08x}")]
    Checksum { found: u32, wanted: u32 },
    #[error("batch does not decompress: {0}")]
    Compression(String),
    #[error("record {0} of the batch ends early or has a wrong length")]
    Record(u32),
}

/// Records of one partition, encoded, not yet with offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Records in it.
    pub(super) count: u32,
    /// What the records' timestamps are stored relative to.
    pub(super) base_timestamp_ms: i64,
    /// Latest timestamp.
    pub(super) max_timestamp_ms: i64,
    /// The records, not compressed.
    pub(super) body: Bytes,
}

/// Packs records of one partition, in order, into as few batches as [`BATCH_BYTES`] allows.
#[derive(Default)]
pub(super) struct Packer {
    done: Vec<Batch>,
    open: Vec<u8>,
    count: u32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

impl Packer {
    /// Adds a record.
    pub(super) fn push(&mut self, record: &NewRecord) {
        if self.count > 0 && self.open.len() + record.size() > BATCH_BYTES {
            self.close();
        }
        if self.count == 0 {
            self.base_timestamp_ms = record.timestamp_ms;
            self.max_timestamp_ms = record.timestamp_ms;
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        encode_record(record, self.base_timestamp_ms, &mut self.open);
        self.count += 1;
    }

    fn close(&mut self) {
        if self.count == 0 {
            return;
        }
        self.done.push(Batch {
            count: self.count,
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
            // A copy of the exact size: the buffer has grown by doubling, and caches count lengths.
            body: Bytes::copy_from_slice(&self.open),
        });
        self.open.clear();
        self.count = 0;
    }

    /// The batches.
    pub(super) fn finish(mut self) -> Vec<Batch> {
        self.close();
        self.done
    }
}

/// Where a batch lies.
pub(super) struct Place<'a> {
    /// Topic.
    pub(super) topic: &'a Arc<str>,
    /// Partition.
    pub(super) partition: u32,
    /// Offset of the batch's first record.
    pub(super) base: u64,
}

/// Bytes of payload that may still be read. The first record is always admitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    left: usize,
    admitted: bool,
}

impl Budget {
    /// A budget of that many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        Self { left: bytes, admitted: false }
    }

    /// Whether a record of that size may still be read; if not, the budget is used up.
    fn admits(&mut self, size: usize) -> bool {
        if self.admitted && size > self.left {
            self.left = 0;
            return false;
        }
        self.admitted = true;
        self.left = self.left.saturating_sub(size);
        true
    }

    /// Whether nothing more is to be read.
    pub(super) fn is_used_up(&self) -> bool {
        self.admitted && self.left == 0
    }
}

impl Batch {
    /// The batch as it is stored.
    pub(super) fn to_stored(&self) -> Vec<u8> {
        let compressed = (self.body.len() >= COMPRESS_FROM)
            .then(|| lz4_flex::block::compress(&self.body))
            // Below an eighth saved, reading it back costs more than the bytes do.
            .filter(|compressed| compressed.len() < self.body.len() / 8 * 7);
        let payload: &[u8] = compressed.as_deref().unwrap_or(&self.body);

        let mut fields = Vec::with_capacity(HEADER_BYTES - CHECKSUM.end);
        fields.put_u32_le(self.count);
        fields.put_u32_le(self.body.len() as u32);
        fields.put_i64_le(self.base_timestamp_ms);
        fields.put_i64_le(self.max_timestamp_ms);
        let start = [FORMAT, if compressed.is_some() { LZ4 } else { 0 }];

        let mut stored = Vec::with_capacity(HEADER_BYTES + payload.len());
        stored.extend_from_slice(&start);
        stored.put_u32_le(checksum([&start, &fields, payload]));
        stored.extend_from_slice(&fields);
        stored.extend_from_slice(payload);
        stored
    }

    /// The batch of stored bytes, its checksum verified. `max_body` bounds what it may decompress to.
    pub(super) fn from_stored(stored: &[u8], max_body: usize) -> Result<Self, BatchError> {
        let short = || BatchError::Short(stored.len());
        let (mut header, payload) = stored.split_at_checked(HEADER_BYTES).ok_or_else(short)?;
        let start = stored.get(..CHECKSUM.start).ok_or_else(short)?;
        let covered = stored.get(CHECKSUM.end..).ok_or_else(short)?;

        let format = header.get_u8();
        if format != FORMAT {
            return Err(BatchError::Format(format));
        }
        let flags = header.get_u8();
        let wanted = header.get_u32_le();
        let found = checksum([start, covered, &[]]);
        if found != wanted {
            return Err(BatchError::Checksum { found, wanted });
        }
        let count = header.get_u32_le();
        let body_len = header.get_u32_le() as usize;
        let base_timestamp_ms = header.get_i64_le();
        let max_timestamp_ms = header.get_i64_le();
        if body_len > max_body {
            let message = format!("it would take {body_len} bytes, the bound is {max_body}");
            return Err(BatchError::Compression(message));
        }
        let body = if flags & LZ4 == 0 {
            Bytes::copy_from_slice(payload)
        } else {
            let body = lz4_flex::block::decompress(payload, body_len)
                .map_err(|error| BatchError::Compression(error.to_string()))?;
            Bytes::from(body)
        };
        Ok(Self { count, base_timestamp_ms, max_timestamp_ms, body })
    }

    /// Appends the records with offsets in `from..end` to `records`, as far as `budget` goes.
    pub(super) fn decode(
        &self,
        place: &Place<'_>,
        offsets: std::ops::Range<u64>,
        budget: &mut Budget,
        records: &mut Vec<Record>,
    ) -> Result<(), BatchError> {
        let mut reader = Reader { body: &self.body, at: 0 };
        let mut names: Vec<Arc<str>> = Vec::new();
        for index in 0..self.count {
            let offset = place.base + u64::from(index);
            if offset >= offsets.end || budget.is_used_up() {
                return Ok(());
            }
            let fields = reader.fields().ok_or(BatchError::Record(index))?;
            if offset < offsets.start {
                reader.skip_headers(&fields).ok_or(BatchError::Record(index))?;
                continue;
            }
            let headers = reader.headers(&fields, &mut names).ok_or(BatchError::Record(index))?;
            let record = Record {
                topic: place.topic.clone(),
                partition: place.partition,
                offset,
                timestamp_ms: self.base_timestamp_ms.wrapping_add(fields.timestamp_delta),
                key: fields.key,
                value: fields.value,
                headers,
            };
            if !budget.admits(record.size()) {
                return Ok(());
            }
            records.push(record);
        }
        Ok(())
    }
}

fn checksum(parts: [&[u8]; 3]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

fn encode_record(record: &NewRecord, base_timestamp_ms: i64, out: &mut Vec<u8>) {
    let mut flags = 0;
    if record.key.is_some() {
        flags |= HAS_KEY;
    }
    if record.value.is_some() {
        flags |= HAS_VALUE;
    }
    if !record.headers.0.is_empty() {
        flags |= HAS_HEADERS;
    }
    out.push(flags);
    put_varint(zigzag(record.timestamp_ms.wrapping_sub(base_timestamp_ms)), out);
    for field in [&record.key, &record.value].into_iter().flatten() {
        put_bytes(field, out);
    }
    if record.headers.0.is_empty() {
        return;
    }
    put_varint(record.headers.0.len() as u64, out);
    for (name, value) in &record.headers.0 {
        put_bytes(name.as_bytes(), out);
        put_bytes(value, out);
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A record without its headers.
struct Fields {
    timestamp_delta: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    has_headers: bool,
}

struct Reader<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn fields(&mut self) -> Option<Fields> {
        let flags = self.byte()?;
        let timestamp_delta = unzigzag(self.varint()?);
        let mut field = |flag: u8| -> Option<Option<Bytes>> {
            if flags & flag == 0 {
                return Some(None);
            }
            self.bytes().map(Some)
        };
        let key = field(HAS_KEY)?;
        let value = field(HAS_VALUE)?;
        Some(Fields { timestamp_delta, key, value, has_headers: flags & HAS_HEADERS != 0 })
    }

    fn skip_headers(&mut self, fields: &Fields) -> Option<()> {
        if !fields.has_headers {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.range()?;
            self.range()?;
        }
        Some(())
    }

    /// Headers of a record. `names` are those seen in the batch, so that each is allocated once.
    fn headers(&mut self, fields: &Fields, names: &mut Vec<Arc<str>>) -> Option<Headers> {
        /// Names remembered for one batch; hostile input may have any number of them.
        const MAX_NAMES: usize = 16;
        let mut headers = Headers::default();
        if !fields.has_headers {
            return Some(headers);
        }
        for _ in 0..self.varint()? {
            let range = self.range()?;
            let name = std::str::from_utf8(self.body.get(range)?).ok()?;
            let known = names.iter().find(|known| known.as_ref() == name).cloned();
            let name = known.unwrap_or_else(|| {
                let name: Arc<str> = name.into();
                if names.len() < MAX_NAMES {
                    names.push(name.clone());
                }
                name
            });
            headers.0.push((name, self.bytes()?));
        }
        Some(headers)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        self.range().map(|range| self.body.slice(range))
    }

    fn range(&mut self) -> Option<std::ops::Range<usize>> {
        let length = usize::try_from(self.varint()?).ok()?;
        let end = self.at.checked_add(length)?;
        if end > self.body.len() {
            return None;
        }
        let range = self.at..end;
        self.at = end;
        Some(range)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.body.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn record(key: Option<&[u8]>, value: Option<Vec<u8>>, timestamp_ms: i64) -> NewRecord {
        let mut headers = Headers::default();
        headers.push("traceparent", Bytes::from_static(b"00-a-b-01"));
        NewRecord {
            topic: "t".into(),
            partition: None,
            timestamp_ms,
            key: key.map(Bytes::copy_from_slice),
            value: value.map(Bytes::from),
            headers,
        }
    }

    fn pack(records: &[NewRecord]) -> Vec<Batch> {
        let mut packer = Packer::default();
        for record in records {
            packer.push(record);
        }
        packer.finish()
    }

    fn decode_all(batch: &Batch, base: u64) -> Vec<Record> {
        let mut records = Vec::new();
        let place = Place { topic: &"t".into(), partition: 3, base };
        let mut budget = Budget::of(usize::MAX);
        batch.decode(&place, 0..u64::MAX, &mut budget, &mut records).unwrap();
        records
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let records = [
            record(None, Some(vec![0; 1000]), i64::MAX),
            record(Some(b""), None, i64::MIN),
            record(Some(&[0xff, 0]), Some(vec![]), 5),
        ];
        let batches = pack(&records);
        assert_eq!(batches.len(), 1);
        let stored = batches[0].to_stored();
        assert!(stored.len() < 500, "zeros are compressed: {}", stored.len());
        let back = Batch::from_stored(&stored, BATCH_BYTES).unwrap();
        assert_eq!(back, batches[0]);
        let decoded = decode_all(&back, 7);
        assert_eq!(decoded.len(), 3);
        for (index, (new, old)) in records.iter().zip(&decoded).enumerate() {
            assert_eq!(old.offset, 7 + index as u64);
            assert_eq!(old.partition, 3);
            assert_eq!(old.timestamp_ms, new.timestamp_ms);
            assert_eq!(old.key, new.key);
            assert_eq!(old.value, new.value);
            assert_eq!(old.headers, new.headers);
        }
    }

    #[test]
    fn batches_are_split_by_size_and_a_large_record_stands_alone() {
        let small = record(None, Some(vec![1; 1000]), 0);
        let large = record(None, Some(vec![2; 3 * BATCH_BYTES]), 0);
        let mut records = vec![small.clone(); 200];
        records.push(large);
        records.push(small);
        let batches = pack(&records);
        let counts: Vec<u32> = batches.iter().map(|batch| batch.count).collect();
        assert_eq!(counts.iter().sum::<u32>(), 202);
        assert_eq!(counts.last(), Some(&1));
        assert_eq!(counts[counts.len() - 2], 1);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let batches = pack(&[record(Some(b"key"), Some(vec![7; 40]), 1)]);
        let stored = batches[0].to_stored();
        for bit in 0..stored.len() * 8 {
            let mut broken = stored.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            let result = Batch::from_stored(&broken, BATCH_BYTES);
            assert!(result.is_err(), "bit {bit}");
        }
        for length in 0..stored.len() {
            assert!(Batch::from_stored(&stored[..length], BATCH_BYTES).is_err());
        }
    }

    #[test]
    fn a_budget_admits_one_record_however_large() {
        let batches =
            pack(&[record(None, Some(vec![1; 100]), 0), record(None, Some(vec![2; 100]), 0)]);
        let topic: Arc<str> = "t".into();
        let place = Place { topic: &topic, partition: 0, base: 0 };
        for (bytes, wanted) in [(0, 1), (150, 1), (300, 2)] {
            let mut records = Vec::new();
            let mut budget = Budget::of(bytes);
            batches[0].decode(&place, 0..9, &mut budget, &mut records).unwrap();
            assert_eq!(records.len(), wanted, "{bytes}");
        }
    }
}

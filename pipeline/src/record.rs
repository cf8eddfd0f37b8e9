//! Records as both engines carry them, and the header that names what a record was made from.

use std::{fmt, str::FromStr, sync::Arc};

use bytes::Bytes;

/// Header that carries the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Header that names the records a record was made from; see [`Origins`].
pub const ORIGIN: &str = "hephaestus-origin";
/// Header that names the stage that made a record, as `name/version`.
pub const STAGE: &str = "hephaestus-stage";

/// Headers in order; a name may stand more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(Arc<str>, Bytes)>);

impl Headers {
    /// The last value of a header.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        let found = self.0.iter().rev().find(|(key, _)| key.as_ref() == name);
        found.map(|(_, value)| value)
    }

    /// The last value of a header, where it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Adds a header.
    pub fn push(&mut self, name: impl Into<Arc<str>>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// Bytes that names and values take.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition, from 0.
    pub partition: u32,
    /// Offset in the partition, from 0.
    pub offset: u64,
    /// When it was written, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// Key; orders and shards.
    pub key: Option<Bytes>,
    /// Value; none is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
}

impl Record {
    /// Bytes of key, value and headers: what budgets count.
    pub fn size(&self) -> usize {
        payload_size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }

    /// The record itself as an origin.
    pub fn origin(&self) -> Origin {
        Origin {
            topic: self.topic.clone(),
            partition: self.partition,
            first: self.offset,
            last: self.offset,
        }
    }
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition; without one the key decides, as in [`crate::partitioner`].
    pub partition: Option<u32>,
    /// When it was made, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; none is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Headers,
}

impl NewRecord {
    /// Bytes of key, value and headers: what budgets count.
    pub fn size(&self) -> usize {
        payload_size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

fn payload_size(key: Option<&Bytes>, value: Option<&Bytes>, headers: &Headers) -> usize {
    key.map_or(0, Bytes::len) + value.map_or(0, Bytes::len) + headers.size()
}

/// Room for the numbers of most origins.
const DIGITS: usize = 24;

/// One record, or a run of records of one partition, that another record was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: u32,
    /// First offset.
    pub first: u64,
    /// Last offset, inclusive.
    pub last: u64,
}

impl Origin {
    /// Adds the text of the origin, `topic/partition/first` or `topic/partition/first-last`.
    fn write_to(&self, text: &mut String) {
        let mut digits = itoa::Buffer::new();
        text.push_str(&self.topic);
        text.push('/');
        text.push_str(digits.format(self.partition));
        text.push('/');
        text.push_str(digits.format(self.first));
        if self.last > self.first {
            text.push('-');
            text.push_str(digits.format(self.last));
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.topic.len() + DIGITS);
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

impl From<&Origin> for Bytes {
    fn from(origin: &Origin) -> Self {
        let mut text = String::with_capacity(origin.topic.len() + DIGITS);
        origin.write_to(&mut text);
        text.into()
    }
}

/// Why text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin; it looks like topic/partition/offset or topic/partition/first-last")]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let error = || OriginError(text.chars().take(200).collect());
        let mut parts = text.rsplitn(3, '/');
        let (Some(offsets), Some(partition), Some(topic)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(error());
        };
        let (first, last) = offsets.split_once('-').unwrap_or((offsets, offsets));
        let origin = Self {
            topic: topic.into(),
            partition: partition.parse().map_err(|_| error())?,
            first: first.parse().map_err(|_| error())?,
            last: last.parse().map_err(|_| error())?,
        };
        if topic.is_empty() || origin.last < origin.first {
            return Err(error());
        }
        Ok(origin)
    }
}

/// The records that a record was made from, as the header [`ORIGIN`] holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(pub Vec<Origin>);

/// Most origins of an entry of a changelog; of more, the latest are named.
const MAX_LAST: usize = 16;

impl Origins {
    /// Adds an origin as [`Origins::push`] does, and lets go of the oldest where there are many.
    pub fn push_last(&mut self, origin: Origin) {
        self.push(origin);
        if self.0.len() > MAX_LAST {
            self.0.remove(0);
        }
    }

    /// Adds an origin; a run that goes on where the last one ends is joined to it.
    pub fn push(&mut self, origin: Origin) {
        if let Some(last) = self.0.last_mut()
            && last.topic == origin.topic
            && last.partition == origin.partition
            && last.last.checked_add(1) == Some(origin.first)
        {
            last.last = origin.last;
            return;
        }
        if !self.0.contains(&origin) {
            self.0.push(origin);
        }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (index, origin) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            origin.write_to(&mut text);
        }
        f.write_str(&text)
    }
}

impl FromStr for Origins {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let origins: Result<Vec<Origin>, OriginError> = text.split(',').map(str::parse).collect();
        origins.map(Self)
    }
}

//! `hephaestus tap`: shows the records of a topic, one JSON object each.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hephaestus_pipeline::{
    clock,
    config::HumanDuration,
    record::{Headers, ORIGIN, Origins, Record},
};
use hephaestus_schemas::codec::{Codec, DecodeError};
use hephaestus_topology::ValueType;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    access::{self, Access},
    cli::TapArgs,
    codec,
    config::Config,
    output::Output,
    scan::{Scan, Start, find_topic},
    signals,
    usage::WrongUsage,
};

/// Most origins shown of one record.
const MAX_ORIGINS: u64 = 100_000;

/// Runs `tap`.
pub(crate) async fn run(arguments: &TapArgs, config: &Config) -> Result<()> {
    let start = parse_start(&arguments.from, clock::now_ms()).map_err(WrongUsage)?;
    let access = access::open(config).await?;
    let mut out = Output::new();
    let result = tokio::select! {
        result = show(arguments, start, &access, config, &mut out) => result,
        asked = signals::stop_asked() => asked.map_err(Into::into),
    };
    let flushed = out.flush();
    access.close().await?;
    result.and(flushed)
}

async fn show(
    arguments: &TapArgs,
    start: Start,
    access: &Access,
    config: &Config,
    out: &mut Output,
) -> Result<()> {
    let topic = find_topic(&access.log, &arguments.topic).await?;
    let values = value_type(&arguments.topic, config)?;
    let codec = match values {
        ValueType::Avro(_) => Some(codec::open(access, config).await?),
        ValueType::Bytes | ValueType::Json => None,
    };
    let codec = codec.as_ref().map(|open| &open.codec);
    let mut scan = Scan::new(&access.log, &topic, start, arguments.follow).await?;
    loop {
        while let Some(record) = scan.next().await? {
            let key = record.key.as_deref();
            if arguments.key.as_ref().is_none_or(|wanted| key == Some(wanted.as_bytes())) {
                let value = decode(&record, values, codec).await?;
                out.json(&Shown::new(&record, value))?;
            }
        }
        out.flush()?;
        if !arguments.follow {
            return Ok(());
        }
        scan.wait().await?;
    }
}

/// What the values of a topic are; those of a topic that the topology does not know are bytes.
fn value_type(topic: &str, config: &Config) -> Result<ValueType> {
    let topology = hephaestus_topology::pipeline(&config.profile())?;
    Ok(topology.topic(topic).map_or(ValueType::Bytes, |topic| topic.value))
}

fn parse_start(text: &str, now_ms: i64) -> Result<Start, String> {
    if text == "beginning" {
        return Ok(Start::Beginning);
    }
    if text == "end" {
        return Ok(Start::End);
    }
    if let Ok(offset) = text.parse() {
        return Ok(Start::Offset(offset));
    }
    if let Some(ago) = text.strip_prefix('-')
        && let Ok(ago) = ago.parse::<HumanDuration>()
    {
        let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        return Ok(Start::Time(now_ms.saturating_sub(ago_ms)));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Start::Time(time.as_millisecond()));
    }
    let text: String = text.chars().take(100).collect();
    Err(format!(
        "--from {text:?} is neither beginning, end, an offset, a time such as 2025-03-01T12:00:00Z, nor how long ago, such as -10m"
    ))
}

/// The value of a record, as it is shown.
#[derive(Debug, PartialEq)]
enum Decoded {
    Value(Value),
    Base64(String),
    /// Why it could not be decoded, and its bytes.
    Broken(String, String),
}

async fn decode(record: &Record, values: ValueType, codec: Option<&Codec>) -> Result<Decoded> {
    let Some(bytes) = &record.value else {
        return Ok(Decoded::Value(Value::Null));
    };
    if values == ValueType::Json
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Ok(Decoded::Value(value));
    }
    let Some(codec) = codec else {
        return Ok(text_or_base64(bytes));
    };
    match codec.decode_json(bytes).await {
        Ok(value) => Ok(Decoded::Value(value)),
        Err(DecodeError::Registry(error)) => Err(error.into()),
        // One bad record hides no other.
        Err(error) => Ok(Decoded::Broken(error.to_string(), STANDARD.encode(bytes))),
    }
}

fn text_or_base64(bytes: &[u8]) -> Decoded {
    match std::str::from_utf8(bytes) {
        Ok(text) => Decoded::Value(Value::String(text.to_owned())),
        Err(_) => Decoded::Base64(STANDARD.encode(bytes)),
    }
}

/// A record as it is shown.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
    timestamp: String,
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    headers: BTreeMap<&'a str, Value>,
    origin: Vec<OriginShown>,
    #[serde(skip_serializing_if = "is_false")]
    origin_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_error: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct OriginShown {
    #[serde(serialize_with = "as_text")]
    topic: Arc<str>,
    partition: u32,
    offset: u64,
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

// serde asks by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

impl<'a> Shown<'a> {
    fn new(record: &'a Record, value: Decoded) -> Self {
        let key = record.key.as_deref();
        let text_key = key.and_then(|key| std::str::from_utf8(key).ok());
        let key_base64 = match (key, text_key) {
            (Some(key), None) => Some(STANDARD.encode(key)),
            _ => None,
        };
        let (origin, origin_truncated) = expand(record.headers.text(ORIGIN).unwrap_or_default());
        let (value, value_base64, value_error) = match value {
            Decoded::Value(value) => (Some(value), None, None),
            Decoded::Base64(bytes) => (None, Some(bytes), None),
            Decoded::Broken(error, bytes) => (None, Some(bytes), Some(error)),
        };
        Self {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp: rfc3339(record.timestamp_ms),
            key: text_key,
            key_base64,
            headers: headers(&record.headers),
            origin,
            origin_truncated,
            value,
            value_base64,
            value_error,
        }
    }
}

/// The last value of each header: text, or `{"base64": ...}` where it is none.
fn headers(headers: &Headers) -> BTreeMap<&str, Value> {
    let mut shown = BTreeMap::new();
    for (name, value) in &headers.0 {
        let value = match std::str::from_utf8(value) {
            Ok(text) => Value::String(text.to_owned()),
            Err(_) => json!({ "base64": STANDARD.encode(value) }),
        };
        shown.insert(name.as_ref(), value);
    }
    shown
}

/// One entry for each record of each run, up to a bound; and whether that cut it short.
fn expand(header: &str) -> (Vec<OriginShown>, bool) {
    // What is no list of origins is to be seen among the headers.
    let origins: Origins = header.parse().unwrap_or_default();
    let mut shown = Vec::new();
    let mut room = MAX_ORIGINS;
    for origin in origins.0 {
        let length = (origin.last - origin.first).saturating_add(1);
        for offset in (origin.first..=origin.last).take(usize::try_from(room).unwrap_or(0)) {
            let topic = origin.topic.clone();
            shown.push(OriginShown { topic, partition: origin.partition, offset });
        }
        if length > room {
            return (shown, true);
        }
        room -= length;
    }
    (shown, false)
}

/// A time as RFC 3339 in UTC, to the millisecond; as the bare number where it lies outside of all calendars.
pub(crate) fn rfc3339(timestamp_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(timestamp_ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => timestamp_ms.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(value: Option<&'static [u8]>, origin: &str) -> Record {
        let mut headers = Headers::default();
        headers.push(ORIGIN, origin.to_owned());
        headers.push("raw", &b"\xff"[..]);
        Record {
            topic: "raw-logs".into(),
            partition: 2,
            offset: 7,
            timestamp_ms: 1_700_000_000_123,
            key: Some("shop/web/err".into()),
            value: value.map(Into::into),
            headers,
        }
    }

    #[tokio::test]
    async fn a_record_is_shown_with_all_it_has() {
        let record = record(Some(b"text"), "raw-logs/0/1-3,raw-logs/1/9");
        let value = decode(&record, ValueType::Bytes, None).await.unwrap();
        let shown = serde_json::to_value(Shown::new(&record, value)).unwrap();
        let origin = |partition, offset| json!({"topic": "raw-logs", "partition": partition, "offset": offset});
        let expected = json!({
            "topic": "raw-logs", "partition": 2, "offset": 7,
            "timestamp": "2023-11-14T22:13:20.123Z",
            "key": "shop/web/err",
            "headers": {"hephaestus-origin": "raw-logs/0/1-3,raw-logs/1/9", "raw": {"base64": "/w=="}},
            "origin": [origin(0, 1), origin(0, 2), origin(0, 3), origin(1, 9)],
            "value": "text",
        });
        assert_eq!(shown, expected);
    }

    #[tokio::test]
    async fn values_that_are_no_text_and_tombstones_are_told_apart() {
        let binary = record(Some(b"\xff\0"), "");
        let value = decode(&binary, ValueType::Bytes, None).await.unwrap();
        let shown = serde_json::to_value(Shown::new(&binary, value)).unwrap();
        assert_eq!(shown["value_base64"], "/wA=");
        assert_eq!(shown.get("value"), None);
        assert_eq!(shown["origin"], json!([]));

        let tombstone = record(None, "");
        let value = decode(&tombstone, ValueType::Avro("x"), None).await.unwrap();
        let shown = serde_json::to_value(Shown::new(&tombstone, value)).unwrap();
        assert_eq!(shown.get("value"), Some(&Value::Null));
    }

    #[test]
    fn a_run_without_end_is_cut_short() {
        let (shown, truncated) = expand(&format!("t/0/0-{}", u64::MAX));
        assert_eq!((shown.len(), truncated), (100_000, true));
        let (shown, truncated) = expand("t/0/0-99998,t/1/0");
        assert_eq!((shown.len(), truncated), (100_000, false));
        assert_eq!(expand("no origin").0, []);
    }

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        let now_ms = 1_000_000_000;
        let cases = [
            ("beginning", Start::Beginning),
            ("end", Start::End),
            ("0", Start::Offset(0)),
            ("18446744073709551615", Start::Offset(u64::MAX)),
            ("-10m", Start::Time(now_ms - 600_000)),
            ("-1h30m", Start::Time(now_ms - 5_400_000)),
            ("1970-01-01T00:00:01.5Z", Start::Time(1500)),
            ("1970-01-01T01:00:00+01:00", Start::Time(0)),
        ];
        for (text, start) in cases {
            assert_eq!(parse_start(text, now_ms), Ok(start), "{text}");
        }
        for text in ["", "-5", "yesterday", "-10 parsecs", "2025-13-01"] {
            assert!(parse_start(text, now_ms).unwrap_err().contains("beginning, end"), "{text}");
        }
    }
}

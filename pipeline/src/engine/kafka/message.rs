//! Records as librdkafka has them, in both directions.
//!
//! Header names are data from strangers; one that is not UTF-8 is left out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};

use crate::record::{Headers, Record};

/// A partition's number: librdkafka's has a sign.
pub(super) fn signed(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Gives name and value of each header of a message, in order.
pub(super) fn each_header(message: &BorrowedMessage<'_>, mut take: impl FnMut(&str, &[u8])) {
    let Some(headers) = message.headers() else { return };
    for index in 0..headers.count() {
        // The binding panics where a name is not UTF-8.
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
        let Ok(Some(header)) = header else {
            tracing::warn!(
                topic = message.topic(),
                partition = message.partition(),
                offset = message.offset(),
                "a header without a readable name is left out"
            );
            continue;
        };
        take(header.key, header.value.unwrap_or_default());
    }
}

/// A record of what librdkafka brought.
pub(super) fn to_record(topic: Arc<str>, message: &BorrowedMessage<'_>) -> Record {
    let mut headers = Headers::default();
    each_header(message, |name, value| headers.push(name, Bytes::copy_from_slice(value)));
    Record {
        topic,
        partition: u32::try_from(message.partition()).unwrap_or_default(),
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers,
    }
}

/// Headers as librdkafka takes them.
pub(super) fn to_headers(headers: &Headers) -> OwnedHeaders {
    let mut made = OwnedHeaders::new_with_capacity(headers.0.len());
    for (name, value) in &headers.0 {
        made = made.insert(Header { key: name, value: Some(&value[..]) });
    }
    made
}

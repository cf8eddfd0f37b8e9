//! An event to Avro data without a look at its schema: there is one for every line that is read.
//!
//! Writes byte for byte what the reference implementation does: `tests/datum.rs` holds them together. The encoding is that
//! of the Avro specification 1.12, "Binary Encoding"; fields are in the order of `avro/classified-log.avsc`.

use crate::{ClassifiedLog, Exception, Frame, LogFields};

/// Index of the branch that is not null, in a union of null and something.
const SOMETHING: i64 = 1;

/// Appends the datum of an event.
pub(crate) fn write(log: &ClassifiedLog, out: &mut Vec<u8>) {
    write_fields(&log.fields(), out);
}

/// Appends the datum of an event by its fields.
pub(crate) fn write_fields(log: &LogFields<'_>, out: &mut Vec<u8>) {
    for value in [log.fingerprint, log.pattern_id, log.template, log.source, log.service] {
        text(value, out);
    }
    long(log.timestamp, out);
    boolean(log.timestamp_from_record, out);
    // The symbols stand in the order of the variants.
    long(log.severity as i64, out);
    for value in [log.category, log.category_reason, log.message] {
        text(value, out);
    }
    optional(log.exception, out, exception);
    array(log.culprits, out, frame);
    array(&log.context, out, |line, out| text(line, out));
    if !log.attributes.is_empty() {
        length(log.attributes.len(), out);
        for (name, value) in &log.attributes {
            text(name, out);
            text(value, out);
        }
    }
    length(0, out);
    long(log.lines.into(), out);
    long(log.masked.into(), out);
    boolean(log.truncated, out);
}

fn exception(exception: &Exception, out: &mut Vec<u8>) {
    text(&exception.type_name, out);
    text(&exception.message, out);
    array(&exception.frames, out, frame);
    optional(exception.cause.as_deref(), out, self::exception);
}

fn frame(frame: &Frame, out: &mut Vec<u8>) {
    for value in [&frame.function, &frame.module, &frame.file] {
        optional(value.as_ref(), out, |value, out| text(value, out));
    }
    for value in [frame.line, frame.column] {
        optional(value.as_ref(), out, |value, out| long(i64::from(*value), out));
    }
    boolean(frame.in_app, out);
}

fn optional<T>(value: Option<&T>, out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    match value {
        None => long(0, out),
        Some(value) => {
            long(SOMETHING, out);
            write(value, out);
        }
    }
}

/// One block with all items, and the empty one that ends an array.
fn array<T>(items: &[T], out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    if !items.is_empty() {
        length(items.len(), out);
        for item in items {
            write(item, out);
        }
    }
    length(0, out);
}

fn text(text: &str, out: &mut Vec<u8>) {
    length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn boolean(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

fn length(length: usize, out: &mut Vec<u8>) {
    long(i64::try_from(length).unwrap_or(i64::MAX), out);
}

/// Zigzag, then seven bits a byte, the lowest first.
fn long(value: i64, out: &mut Vec<u8>) {
    const MORE: u8 = 0x80;
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & !MORE);
            return;
        }
        out.push(low | MORE);
    }
}

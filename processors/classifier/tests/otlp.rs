//! OpenTelemetry logs in records of Kafka: many log records in one, of several streams, in both encodings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::CLASSIFIER;
use hephaestus_classifier::{Event, Format, RawLine, SourceState};
use hephaestus_schemas::{ClassifiedLog, Severity};
use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
    },
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs},
    resource::v1::Resource,
};
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

/// 2024-01-01T10:00:00Z, in microseconds.
const TEN: i64 = 1_704_103_200_000_000;
const TRACEBACK: [&str; 4] = [
    "Traceback (most recent call last):",
    "  File \"/srv/app/a.py\", line 3, in f",
    "    g()",
    "KeyError: 'x'",
];

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| pair(key, text(value))).collect()
}

/// What a program sends of itself, at ten.
fn sent(body: AnyValue) -> LogRecord {
    LogRecord { time_unix_nano: TEN as u64 * 1_000, body: Some(body), ..LogRecord::default() }
}

/// A line as the collector's filelog receiver reads it.
fn read_from(file: &str, line: &str) -> LogRecord {
    LogRecord {
        observed_time_unix_nano: TEN as u64 * 1_000,
        body: Some(text(line)),
        attributes: pairs(&[("log.file.path", file)]),
        ..LogRecord::default()
    }
}

fn of_resource(resource: &[(&str, &str)], log_records: Vec<LogRecord>) -> ResourceLogs {
    let resource = Resource { attributes: pairs(resource), ..Resource::default() };
    let scope = InstrumentationScope { name: "shop.pay".to_owned(), ..Default::default() };
    let scope_logs = ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() };
    ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], ..Default::default() }
}

fn request(resource_logs: Vec<ResourceLogs>) -> Vec<u8> {
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn push(state: &mut SourceState, source: &str, offset: u64, bytes: &[u8]) -> Vec<Event> {
    let record = RawLine { offset, bytes, ..RawLine::default() };
    let events = CLASSIFIER.push(state, source, record);
    // It is stored and read back between any two records.
    *state = serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
    events
}

/// The events of one record without a key.
fn events(bytes: &[u8]) -> Vec<ClassifiedLog> {
    let mut state = SourceState::default();
    let mut events = push(&mut state, "unknown/unknown/unknown", 0, bytes);
    events.extend(CLASSIFIER.flush(&mut state, "unknown/unknown/unknown"));
    assert!(state.is_idle());
    events.into_iter().map(|event| *event.log).collect()
}

fn event(record: LogRecord) -> ClassifiedLog {
    let mut events = events(&request(vec![of_resource(&[], vec![record])]));
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[test]
fn tracebacks_of_two_files_in_one_batch_are_joined_and_never_mix() {
    let mut records = Vec::new();
    for line in TRACEBACK {
        records.push(read_from("/var/log/a.log", line));
        records.push(read_from("/var/log/b.log", &line.replace('x', "other")));
    }
    let resource = [("service.name", "cart"), ("host.name", "web-1")];
    let other = [("service.name", "stock"), ("k8s.pod.name", "stock-7")];
    let lines = |range: std::ops::Range<usize>| {
        TRACEBACK[range].iter().map(|line| read_from("/var/log/a.log", line)).collect()
    };
    // The second service's traceback goes on in the next record.
    let first = request(vec![of_resource(&resource, records), of_resource(&other, lines(0..2))]);
    let second = request(vec![of_resource(&other, lines(2..4))]);
    let mut state = SourceState::default();
    let mut done = push(&mut state, "unknown/unknown/unknown", 10, &first);
    done.extend(push(&mut state, "unknown/unknown/unknown", 12, &second));
    assert_eq!(state.oldest_offset(), Some(10));
    done.extend(CLASSIFIER.flush(&mut state, "unknown/unknown/unknown"));
    let told: Vec<_> = done
        .iter()
        .map(|event| {
            let exception = event.log.exception.as_ref().expect("an exception");
            let name = (event.log.source.as_str(), event.log.service.as_str());
            (name, exception.message.as_str(), exception.frames.len(), event.runs())
        })
        .collect();
    let expected = [
        (("cart/web-1//var/log/a.log", "cart"), "'x'", 1, vec![(10, 10)]),
        (("cart/web-1//var/log/b.log", "cart"), "'other'", 1, vec![(10, 10)]),
        (("stock/stock-7//var/log/a.log", "stock"), "'x'", 1, vec![(10, 10), (12, 12)]),
    ];
    assert_eq!(told, expected);
    assert!(done.iter().all(|event| event.log.lines == 4));
}

#[test]
fn both_encodings_say_the_same() {
    let mut record = sent(text("charge failed"));
    record.severity_number = 17;
    record.trace_id = vec![0x5b, 0x8e];
    record.attributes = pairs(&[("exception.type", "IOError"), ("http.route", "/pay")]);
    record.attributes.push(pair("tries", AnyValue { value: Some(Value::IntValue(3)) }));
    let list =
        KeyValueList { values: pairs(&[("level", "warn"), ("msg", "low"), ("logger", "x")]) };
    let listed = sent(AnyValue { value: Some(Value::KvlistValue(list)) });
    let bytes = sent(AnyValue { value: Some(Value::BytesValue(b"raw words".to_vec())) });
    let line = read_from("/a.log", "2024-01-01 10:00:00 ERROR [main] a.B - no stock");
    let records = vec![record, listed, bytes, line];
    let proto = request(vec![of_resource(&[("service.name", "cart")], records)]);
    let time = (TEN * 1_000).to_string();
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let list = [attribute("level", "warn"), attribute("msg", "low"), attribute("logger", "x")];
    let json = json!({"resourceLogs": [{
    "resource": {"attributes": [attribute("service.name", "cart")]},
    "scopeLogs": [{"scope": {"name": "shop.pay"}, "logRecords": [
        {"timeUnixNano": time, "severityNumber": 17, "body": {"stringValue": "charge failed"},
         "attributes": [attribute("exception.type", "IOError"), attribute("http.route", "/pay"),
            {"key": "tries", "value": {"intValue": "3"}}], "traceId": "5b8e", "spanId": ""},
        {"timeUnixNano": time, "body": {"kvlistValue": {"values": list}}},
        {"timeUnixNano": time, "body": {"bytesValue": "cmF3IHdvcmRz"}},
        {"observedTimeUnixNano": time, "attributes": [attribute("log.file.path", "/a.log")],
         "body": {"stringValue": "2024-01-01 10:00:00 ERROR [main] a.B - no stock"}},
    ]}]}]});
    let told = events(&proto);
    assert_eq!(told, events(json.to_string().as_bytes()));
    assert_eq!(told, events(serde_json::to_string_pretty(&json).unwrap().as_bytes()));
    let messages: Vec<(&str, Severity)> =
        told.iter().map(|event| (event.message.as_str(), event.severity)).collect();
    // Each stream's last line waits; what is an event does not.
    let expected = [
        ("charge failed", Severity::Error),
        ("low", Severity::Warn),
        ("raw words", Severity::Info),
        ("no stock", Severity::Error),
    ];
    assert_eq!(messages, expected);
}

#[test]
fn what_a_program_says_of_its_event_is_kept() {
    let mut record = sent(text("charge failed"));
    record.severity_text = "Fatal".to_owned();
    record.trace_id = (0..16).collect();
    record.span_id = (0..8).collect();
    record.attributes = pairs(&[
        ("exception.type", "java.io.IOException"),
        ("exception.message", "disk full"),
        ("exception.stacktrace", "java.io.IOException: disk full\n\tat a.B.c(B.java:7)\n"),
        ("http.request.method", "POST"),
        ("http.route", "/pay"),
        ("thread.name", "main"),
    ]);
    let status = AnyValue { value: Some(Value::IntValue(502)) };
    record.attributes.push(pair("http.response.status_code", status));
    let event = event(record);
    assert_eq!((event.message.as_str(), event.severity), ("charge failed", Severity::Fatal));
    assert_eq!((event.timestamp, event.timestamp_from_record), (TEN, false));
    let exception = event.exception.unwrap();
    assert_eq!((&*exception.type_name, &*exception.message), ("java.io.IOException", "disk full"));
    assert_eq!(exception.frames[0].file.as_deref(), Some("B.java"));
    let expected = [
        ("http_method", "POST"),
        ("http_route", "/pay"),
        ("http_status", "502"),
        ("logger", "shop.pay"),
        ("span_id", "0001020304050607"),
        ("thread", "main"),
        ("trace_id", "000102030405060708090a0b0c0d0e0f"),
    ];
    let kept: Vec<(&str, &str)> =
        event.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(kept, expected);
}

#[test]
fn an_exception_without_a_stack_and_one_without_a_body_are_exceptions() {
    let named = [("exception.type", "ValueError"), ("exception.message", "bad id")];
    let bare = LogRecord { attributes: pairs(&named), ..sent(text("")) };
    let event_of = event(bare);
    let exception = event_of.exception.unwrap();
    assert_eq!((&*exception.type_name, &*exception.message), ("ValueError", "bad id"));
    assert_eq!(event_of.message, "ValueError: bad id");
    let stack = [("exception.stacktrace", TRACEBACK.join("\n"))];
    let stack: Vec<(&str, &str)> = stack.iter().map(|(key, value)| (*key, &**value)).collect();
    let event_of = event(LogRecord { attributes: pairs(&stack), ..sent(text("")) });
    assert_eq!(event_of.exception.unwrap().frames.len(), 1);
}

#[test]
fn bodies_of_any_kind_are_kept() {
    let array =
        ArrayValue { values: vec![text("a"), AnyValue { value: Some(Value::IntValue(7)) }] };
    assert_eq!(
        event(sent(AnyValue { value: Some(Value::ArrayValue(array)) })).message,
        "[\"a\",7]"
    );
    assert_eq!(event(sent(AnyValue { value: Some(Value::DoubleValue(1.5)) })).message, "1.5");
    let nameless = LogRecord { event_name: "user.left".to_owned(), ..sent(text("")) };
    assert_eq!(event(nameless).message, "user.left");
    let attributes = LogRecord { attributes: pairs(&[("user", "ada")]), ..LogRecord::default() };
    let attributes = LogRecord { observed_time_unix_nano: 1, ..attributes };
    assert_eq!(event(attributes).message, "{\"user\":\"ada\"}");
}

#[test]
fn two_events_of_one_program_stay_two_whatever_they_look_like() {
    let error = |body: &str| LogRecord { severity_number: 17, ..sent(text(body)) };
    let records = vec![error("a.b.CException: bad"), error("\tat a.b.C(C.java:1)"), error("x\ny")];
    let told = events(&request(vec![of_resource(&[], records)]));
    let lines: Vec<i32> = told.iter().map(|event| event.lines).collect();
    assert_eq!(lines, [1, 1, 2]);
}

#[test]
fn lines_of_container_files_are_taken_out_of_what_the_runtime_wrote() {
    let cri = |line: &str| format!("2024-01-01T09:00:00Z stderr F {line}");
    let records = TRACEBACK.map(|line| read_from("/var/log/pods/a/0.log", &cri(line)));
    let told = events(&request(vec![of_resource(&[("k8s.pod.name", "p1")], records.into())]));
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].attributes["stream"], &*told[0].attributes["pod"]), ("stderr", "p1"));
    assert_eq!(told[0].timestamp, TEN - 3_600_000_000, "the runtime saw it before the collector");
    assert_eq!(told[0].exception.as_ref().unwrap().type_name, "KeyError");
}

#[test]
fn the_key_stands_in_for_what_a_resource_leaves_open() {
    let named = |source: &str, resource: &[(&str, &str)]| {
        let mut state = SourceState::default();
        let bytes = request(vec![of_resource(resource, vec![sent(text("x"))])]);
        let mut events = push(&mut state, source, 0, &bytes);
        events.extend(CLASSIFIER.flush(&mut state, source));
        let log = events.remove(0).log;
        (log.source, log.service)
    };
    let expected = |source: &str, service: &str| (source.to_owned(), service.to_owned());
    assert_eq!(named("shop/a/out", &[]), expected("shop/a/shop.pay", "shop"));
    let resource = [("service.name", "cart/eu"), ("service.instance.id", "7")];
    assert_eq!(named("shop/a/out", &resource), expected("cart_eu/7/shop.pay", "cart/eu"));
    // The collector's key may be a hash, or the id of a trace.
    assert_eq!(named("5b8efff7", &[]), expected("unknown/unknown/shop.pay", "unknown"));
}

#[test]
fn a_hint_goes_first_and_what_is_not_what_it_is_said_to_be_is_text() {
    let proto = request(vec![of_resource(&[], vec![sent(text("x"))])]);
    let json = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"x\"}}]}]}]}";
    let read = |bytes: &[u8], format| {
        let mut state = SourceState::default();
        let record = RawLine { bytes, format, ..RawLine::default() };
        let mut events = CLASSIFIER.push(&mut state, "s/i/o", record);
        events.extend(CLASSIFIER.flush(&mut state, "s/i/o"));
        assert_eq!(events.len(), 1);
        events.remove(0).log.message
    };
    for format in [None, Some(Format::OtlpProto)] {
        assert_eq!(read(&proto, format), "x");
    }
    for format in [None, Some(Format::OtlpJson)] {
        assert_eq!(read(json.as_bytes(), format), "x");
    }
    for format in [Format::Plain, Format::OtlpProto] {
        assert_eq!(read(json.as_bytes(), Some(format)), json);
    }
    let headed = "2024-01-01 10:00:00 ERROR no stock";
    assert_eq!(read(headed.as_bytes(), Some(Format::OtlpJson)), headed);
    for broken in ["{\"resourceLogs\":7}", "{\"resourceLogs\":[]}"] {
        assert_eq!(read(broken.as_bytes(), None), broken);
    }
}

#[test]
fn a_request_that_is_cut_or_too_large_is_kept_as_text() {
    let whole = request(vec![of_resource(&[], vec![sent(text("some words"))])]);
    for end in 1..whole.len() {
        let told = events(&whole[..end]);
        assert!(!told.is_empty(), "{end}");
        let is_text = told.iter().all(|event| event.source == "unknown/unknown/unknown");
        assert!(is_text, "{end} bytes are no request");
    }
    let many = vec![sent(text("x")); 20_000];
    let told = events(&request(vec![of_resource(&[], many.clone())]));
    assert!(told.iter().all(|event| event.source == "unknown/unknown/unknown"), "text");
    assert_eq!(events(&request(vec![of_resource(&[], many[..9_000].to_vec())])).len(), 9_000);
}

#[test]
fn nothing_is_nested_so_deep_that_it_hurts() {
    // An array in an array, encoded by hand: what encodes it would overflow the stack.
    let wrap = |key: u8, inner: &[u8]| {
        let mut outer = vec![key];
        prost::encode_length_delimiter(inner.len(), &mut outer).unwrap();
        outer.extend_from_slice(inner);
        outer
    };
    let mut value = Vec::new();
    while value.len() < 50_000 {
        value = wrap(0x2a, &wrap(0x0a, &value));
    }
    let record = wrap(0x12, &wrap(0x2a, &value));
    let bytes = wrap(0x0a, &wrap(0x12, &record));
    assert!(!events(&bytes).is_empty());
    let json = format!("{{\"resourceLogs\":{}", "[".repeat(100_000));
    assert_eq!(events(json.as_bytes()).len(), 1);
}

#[test]
fn no_secret_is_in_the_state_or_the_event() {
    let resource = [("service.name", "password=hunter2"), ("host.name", "token=hunter2hunter2")];
    let mut record = read_from("/a.log", "a password=hunter2 here");
    record.attributes.push(pair("exception.message", text("password=hunter2")));
    record.attributes.push(pair("exception.type", text("AError")));
    let bytes = request(vec![of_resource(&resource, vec![record])]);
    let mut state = SourceState::default();
    let mut told = format!("{:?}", push(&mut state, "s/i/o", 0, &bytes));
    told.push_str(&serde_json::to_string(&state).unwrap());
    told.push_str(&format!("{:?}", CLASSIFIER.flush(&mut state, "s/i/o")));
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("a password=<secret:password> here"), "{told}");
}

#[test]
fn a_stream_that_fell_silent_is_complete_though_others_go_on() {
    let line = |file: &str| request(vec![of_resource(&[], vec![read_from(file, TRACEBACK[0])])]);
    let mut state = SourceState::default();
    let mut push = |timestamp_ms: i64, file: &str| {
        let bytes = line(file);
        let record = RawLine { timestamp_ms, bytes: &bytes, ..RawLine::default() };
        CLASSIFIER.push(&mut state, "s/i/o", record).len()
    };
    assert_eq!(push(1_000, "/a.log"), 0);
    assert_eq!(push(1_400, "/b.log"), 0);
    assert_eq!(push(1_800, "/b.log"), 2, "a fell silent; b began again");
}

#[test]
fn memory_is_bounded_however_many_streams_a_key_has() {
    let mut state = SourceState::default();
    let mut lines = 0;
    for offset in 0..60 {
        let records = (0..10)
            .map(|n| {
                let file = format!("/{}.log", (offset * 10 + n) % 200);
                read_from(&file, &format!("  {}", "\"".repeat(3_000)))
            })
            .collect();
        let bytes = request(vec![of_resource(&[], records)]);
        let events = push(&mut state, "s/i/o", offset, &bytes);
        lines += events.iter().map(|event| event.log.lines).sum::<i32>();
        let stored = serde_json::to_string(&state).unwrap().len();
        assert!(stored < 1_000_000, "{stored}");
        assert!(state.weight() <= CLASSIFIER.config().max_event_bytes, "{}", state.weight());
    }
    let events = CLASSIFIER.flush(&mut state, "s/i/o");
    assert_eq!(lines + events.iter().map(|event| event.log.lines).sum::<i32>(), 600);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_line_is_lost_and_no_two_streams_mix(
        batches in proptest::collection::vec(proptest::collection::vec((0usize..5, 0usize..7), 1..20), 1..6),
    ) {
        let lines = [TRACEBACK[0], TRACEBACK[1], TRACEBACK[3], "\tat a.B.c(B.java:1)", "plain", "", "{\"msg\":\"x\"}"];
        let mut state = SourceState::default();
        let mut done = Vec::new();
        let mut expected = vec![Vec::new(); 5];
        for (offset, batch) in (0..).zip(&batches) {
            let records = batch.iter().map(|(stream, line)| {
                expected[*stream].push(lines[*line]);
                read_from(&format!("/{stream}"), lines[*line])
            }).collect();
            done.extend(push(&mut state, "s/i/o", offset, &request(vec![of_resource(&[], records)])));
        }
        done.extend(CLASSIFIER.flush(&mut state, "s/i/o"));
        for (stream, lines) in expected.iter().enumerate() {
            // The stream's lines alone, as a source of their own.
            let mut alone = SourceState::default();
            let source = format!("s/i//{stream}");
            let mut events = Vec::new();
            for line in lines {
                let record = RawLine { bytes: line.as_bytes(), ..RawLine::default() };
                events.extend(CLASSIFIER.push(&mut alone, &source, record));
            }
            events.extend(CLASSIFIER.flush(&mut alone, &source));
            let told = |events: &[Event]| -> Vec<(String, i32)> {
                let mine = events.iter().filter(|event| event.log.source == source);
                mine.map(|event| (event.log.fingerprint.clone(), event.log.lines)).collect()
            };
            prop_assert_eq!(told(&done), told(&events));
        }
    }

    #[test]
    fn text_is_never_taken_for_protobuf(text in "[\n]?[ -~\n\t\r]{0,200}[\\PC\n]{0,60}") {
        let mut state = SourceState::default();
        let mut events = push(&mut state, "s/i/o", 0, text.as_bytes());
        events.extend(CLASSIFIER.flush(&mut state, "s/i/o"));
        let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').count() as i32;
        prop_assert_eq!(events.iter().map(|event| event.log.lines).sum::<i32>(), lines);
        prop_assert!(events.iter().all(|event| event.log.source == "s/i/o"));
    }

    #[test]
    fn any_bytes_are_kept(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        flips in proptest::collection::vec((0usize..400, any::<u8>()), 0..8),
        is_request in any::<bool>(),
        hint in proptest::option::of(prop_oneof![Just(Format::OtlpProto), Just(Format::OtlpJson)]),
    ) {
        if is_request {
            bytes = request(vec![of_resource(&[("service.name", "a")], vec![read_from("/a", "x"), sent(text("y"))])]);
        }
        for (at, byte) in flips {
            let at = at % bytes.len().max(1);
            if let Some(target) = bytes.get_mut(at) {
                *target = byte;
            }
        }
        let mut state = SourceState::default();
        let record = RawLine { bytes: &bytes, format: hint, ..RawLine::default() };
        let mut events = CLASSIFIER.push(&mut state, "s/i/o", record);
        events.extend(CLASSIFIER.flush(&mut state, "s/i/o"));
        prop_assert!(!events.is_empty());
    }
}

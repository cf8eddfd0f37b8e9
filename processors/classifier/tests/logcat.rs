//! Android's logcat: an exception each line of which has a header is one event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::inspect;
use hephaestus_schemas::{ClassifiedLog, Severity};

/// What `Log.e` and the runtime write in one entry.
const CRASH: [&str; 8] = [
    "FATAL EXCEPTION: main",
    "Process: com.acme.shop, PID: 1702",
    "java.lang.RuntimeException: no cart",
    "\tat com.acme.shop.Cart.open(Cart.java:42)",
    "\tat android.os.Handler.dispatchMessage(Handler.java:106)",
    "Caused by: java.lang.IllegalStateException: 0 left",
    "\tat com.acme.shop.Stock.take(Stock.java:7)",
    "\t... 2 more",
];

fn events(lines: &[String]) -> Vec<ClassifiedLog> {
    inspect(lines.join("\n").as_bytes()).into_iter().map(|event| event.log).collect()
}

/// Writes a line as one of logcat's forms has it: level, tag, thread.
type Form = fn(&str, &str, &str, &str) -> String;

const FORMS: [(&str, Form); 3] = [
    ("threadtime", |level, tag, thread, line| {
        format!("03-17 16:13:38.811  1702  {thread} {level} {tag}: {line}")
    }),
    ("time", |level, tag, _, line| format!("03-17 16:13:38.811 {level}/{tag}( 1702): {line}")),
    ("brief", |level, tag, _, line| format!("{level}/{tag}( 1702): {line}")),
];

#[test]
fn an_exception_with_a_header_on_each_line_is_one_event() {
    for (name, form) in FORMS {
        let mut lines = vec![form("I", "ActivityManager", "1800", "start of com.acme.shop")];
        lines.extend(CRASH.map(|line| form("E", "AndroidRuntime", "1702", line)));
        lines.push(form("E", "AndroidRuntime", "1702", "process ended"));
        let [before, crash, after] = <[ClassifiedLog; 3]>::try_from(events(&lines)).expect(name);
        assert_eq!(before.message, "start of com.acme.shop", "{name}");
        assert_eq!(after.message, "process ended", "{name}");
        assert_eq!((crash.lines, crash.severity), (8, Severity::Error), "{name}");
        assert_eq!(crash.attributes["logger"], "AndroidRuntime", "{name}");
        assert_eq!(crash.attributes["process"], "1702", "{name}");
        let exception = crash.exception.expect(name);
        assert_eq!(exception.type_name, "java.lang.RuntimeException", "{name}");
        assert_eq!(exception.frames.len(), 2, "{name}");
        assert_eq!(exception.frames[0].module.as_deref(), Some("com.acme.shop.Cart"), "{name}");
        let cause = exception.cause.expect(name);
        assert_eq!((&*cause.message, cause.frames.len()), ("0 left", 1), "{name}");
    }
}

#[test]
fn an_exception_behind_the_first_header_or_a_message_is_one_event() {
    for (name, form) in FORMS {
        let bare = ["java.io.IOException: x", "\tat com.acme.A.b(A.java:3)"];
        let told = ["sync failed", bare[0], bare[1]];
        for (lines, frames) in [(&bare[..], 1), (&told[..], 1)] {
            let lines: Vec<String> =
                lines.iter().map(|line| form("W", "Sync", "1702", line)).collect();
            let [event] = <[ClassifiedLog; 1]>::try_from(events(&lines)).expect(name);
            let exception = event.exception.expect(name);
            let found = (exception.type_name.as_str(), exception.frames.len());
            assert_eq!(found, ("java.io.IOException", frames), "{name}");
            assert_eq!(event.severity, Severity::Warn, "{name}");
        }
    }
}

#[test]
fn lines_of_other_threads_and_tags_and_plain_ones_stay_apart() {
    let (_, form) = FORMS[0];
    let lines = [
        form("E", "Sync", "1702", "java.io.IOException: x"),
        form("E", "Sync", "1999", "\tat com.acme.A.b(A.java:3)"),
        form("E", "Other", "1999", "\tat com.acme.A.b(A.java:3)"),
        form("I", "Sync", "1999", "  two spaces"),
        form("I", "Sync", "1999", "words"),
    ];
    assert_eq!(events(&lines).len(), 5);
}

#[test]
fn the_long_form_has_its_header_on_a_line_of_its_own() {
    let mut text = "[ 03-17 16:13:38.811  1702: 1702 E/AndroidRuntime ]\n".to_owned();
    text.push_str(&CRASH.join("\n"));
    text.push_str("\n\n[ 03-17 16:13:39.000  1702: 1800 I/ActivityManager ]\nended\n\n");
    let events: Vec<ClassifiedLog> =
        inspect(text.as_bytes()).into_iter().map(|event| event.log).collect();
    let [crash, ended] = <[ClassifiedLog; 2]>::try_from(events).unwrap();
    assert_eq!(
        (&*crash.message, &*ended.message),
        ("FATAL EXCEPTION: main\nProcess: com.acme.shop, PID: 1702", "ended")
    );
    assert_eq!((crash.severity, ended.severity), (Severity::Error, Severity::Info));
    assert_eq!(
        (&*crash.attributes["thread"], &*ended.attributes["logger"]),
        ("1702", "ActivityManager")
    );
    assert_eq!(crash.exception.unwrap().frames.len(), 2);
    // 2024-03-17T16:13:39Z: the year is the record's.
    assert_eq!(ended.timestamp, 1_710_692_019_000_000);
}

#[test]
fn what_only_begins_like_logcat_is_no_logcat() {
    for line in
        ["E/(", "I/O error (5): x", "03-17 16:13:38.811 ", "[ 03-17 16:13:38.811 x ]", "[ 1 ] step"]
    {
        let [event] = <[ClassifiedLog; 1]>::try_from(events(&[line.to_owned()])).unwrap();
        assert!(!event.attributes.contains_key("process"), "{line}");
    }
}

//! Forms of exceptions that tests of whole formats do not show: escaped ones, groups, notes, Kotlin, Android.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::inspect;
use hephaestus_schemas::{ClassifiedLog, Exception, Severity};

fn only(text: &str) -> ClassifiedLog {
    let mut events = inspect(text.as_bytes());
    assert_eq!(events.len(), 1, "events of {text}");
    events.remove(0).log
}

fn exception(text: &str) -> Exception {
    only(text).exception.expect("an exception")
}

/// `type: message [function@line, …]` of a chain, the outermost first.
fn chain(exception: &Exception) -> Vec<String> {
    std::iter::successors(Some(exception), |link| link.cause.as_deref())
        .map(|link| {
            let frames: Vec<String> = link
                .frames
                .iter()
                .map(|frame| {
                    let function = frame.function.as_deref().unwrap_or("?");
                    format!("{function}@{}", frame.line.unwrap_or(0))
                })
                .collect();
            format!("{}: {} [{}]", link.type_name, link.message, frames.join(", "))
        })
        .collect()
}

const JAVA: &str = "java.lang.IllegalStateException: closed\n\
    \tat com.acme.Pool.take(Pool.java:8)\n\
    \tat com.acme.Main.main(Main.java:5)\n\
    Caused by: java.io.IOException: gone\n\
    \tat com.acme.Wire.read(Wire.java:3)\n\
    \t... 1 more";

const JAVA_CHAIN: [&str; 2] = [
    "java.lang.IllegalStateException: closed [take@8, main@5]",
    "java.io.IOException: gone [read@3]",
];

const PYTHON: &str = "Traceback (most recent call last):\n  \
    File \"/srv/app/a.py\", line 3, in f\n    g()\nKeyError: 'x'";

#[test]
fn a_cause_all_of_whose_frames_are_left_out_keeps_its_message_clean() {
    let text = JAVA.replace("\tat com.acme.Wire.read(Wire.java:3)\n", "");
    let expected = [JAVA_CHAIN[0], "java.io.IOException: gone []"];
    assert_eq!(chain(&exception(&text)), expected);
    let again = format!("{text}\nCaused by: java.lang.Error: deep\ndown\n\tat a.B.c(B.java:1)");
    let deep = "java.lang.Error: deep\ndown [c@1]";
    assert_eq!(chain(&exception(&again)), [expected[0], expected[1], deep]);
}

#[test]
fn a_trace_in_a_field_is_read_however_often_it_was_escaped() {
    let once = serde_json::to_string(JAVA).unwrap();
    let twice = serde_json::to_string(once.trim_matches('"')).unwrap();
    let thrice = serde_json::to_string(twice.trim_matches('"')).unwrap();
    for escaped in [&once, &twice, &thrice] {
        for field in ["stack_trace", "message"] {
            let line = format!("{{\"level\":\"error\",\"{field}\":{escaped}}}");
            assert_eq!(chain(&exception(&line)), JAVA_CHAIN, "{line}");
        }
    }
    let once = serde_json::to_string(PYTHON).unwrap();
    let twice = serde_json::to_string(once.trim_matches('"')).unwrap();
    for escaped in [&once, &twice] {
        let line = format!("{{\"level\":\"error\",\"msg\":\"failed\",\"exc_info\":{escaped}}}");
        assert_eq!(chain(&exception(&line)), ["KeyError: 'x' [f@3]"], "{line}");
    }
}

#[test]
fn an_escaped_trace_in_a_line_of_text_is_read() {
    let escaped = JAVA.replace('\n', "\\n").replace('\t', "\\t");
    let line = format!("2024-01-01 10:00:00 ERROR [main] com.acme.Shop - order failed: {escaped}");
    assert_eq!(chain(&exception(&line)), JAVA_CHAIN);
    let log = only(&line);
    assert_eq!(log.message, "order failed:");
    let logfmt = format!("level=error msg=\"order failed\" stacktrace=\"{escaped}\"");
    assert_eq!(chain(&exception(&logfmt)), JAVA_CHAIN);
    // The same failure is one failure, however it was written.
    let fingerprint = only(JAVA).fingerprint;
    assert_eq!(only(&line).fingerprint, fingerprint);
    assert_eq!(only(&logfmt).fingerprint, fingerprint);
}

#[test]
fn a_path_of_windows_is_no_escape() {
    let line = "2024-01-01 10:00:00 ERROR cannot open C:\\new\\table\\notes.txt: it is locked";
    let log = only(line);
    assert!(log.exception.is_none());
    assert_eq!(log.message, "cannot open C:\\new\\table\\notes.txt: it is locked");
}

#[test]
fn groups_of_python_keep_the_group_and_its_frames() {
    let trace = "  + Exception Group Traceback (most recent call last):\n  \
        |   File \"/srv/app/main.py\", line 9, in run\n  \
        |     raise ExceptionGroup(\"two jobs failed\", errors)\n  \
        | ExceptionGroup: two jobs failed (2 sub-exceptions)\n  \
        +-+---------------- 1 ----------------\n    \
        | Traceback (most recent call last):\n    \
        |   File \"/srv/app/jobs.py\", line 3, in first\n    \
        |     raise ValueError(\"a\")\n    \
        | ValueError: a\n    \
        +---------------- 2 ----------------\n    \
        | Traceback (most recent call last):\n    \
        |   File \"/srv/app/jobs.py\", line 7, in second\n    \
        |     raise KeyError(\"b\")\n    \
        | KeyError: 'b'\n    \
        +------------------------------------";
    assert_eq!(
        chain(&exception(trace)),
        ["ExceptionGroup: two jobs failed (2 sub-exceptions) [run@9]", "ValueError: a [first@3]"]
    );
}

#[test]
fn notes_of_python_belong_to_the_message_and_not_to_the_fingerprint() {
    let with = |note: &str| format!("{PYTHON}\n{note}");
    let headed = |note: &str| format!("2024-01-01 10:00:00 ERROR app: failed\n{}", with(note));
    let first = only(&headed("while handling order 17"));
    assert_eq!(first.exception.unwrap().message, "'x'\nwhile handling order 17");
    let second = only(&headed("while handling order 99, in a hurry"));
    assert_eq!(first.fingerprint, second.fingerprint);
}

#[test]
fn chained_tracebacks_link_the_inner_one_as_the_cause() {
    let trace = format!(
        "{PYTHON}\n\nThe above exception was the direct cause of the following exception:\n\n\
         Traceback (most recent call last):\n  File \"/srv/app/b.py\", line 7, in h\n    f()\n\
         app.errors.ShopError: no order"
    );
    assert_eq!(
        chain(&exception(&trace)),
        ["app.errors.ShopError: no order [h@7]", "KeyError: 'x' [f@3]"]
    );
}

#[test]
fn kotlin_names_its_coroutines_and_file_classes() {
    let trace = "kotlin.UninitializedPropertyAccessException: lateinit property cart has not been initialized\n\
        \tat com.acme.CartKt.total(Cart.kt:12)\n\
        \tat com.acme.ShopKt$main$1.invokeSuspend(Shop.kt:7)\n\
        \tat kotlin.coroutines.jvm.internal.BaseContinuationImpl.resumeWith(ContinuationImpl.kt:33)\n\
        \tSuppressed: kotlinx.coroutines.internal.DiagnosticCoroutineContextException: [a]";
    let found = exception(trace);
    let in_app: Vec<bool> = found.frames.iter().map(|frame| frame.in_app).collect();
    assert_eq!(in_app, [true, true, false]);
    assert_eq!(found.type_name, "kotlin.UninitializedPropertyAccessException");
}

#[test]
fn frames_of_android_are_not_the_application_s() {
    let trace = "java.lang.RuntimeException: Unable to start activity\n\
        \tat android.app.ActivityThread.performLaunchActivity(ActivityThread.java:3449)\n\
        \tat com.android.internal.os.ZygoteInit.main(ZygoteInit.java:947)\n\
        Caused by: java.lang.NullPointerException: cart\n\
        \tat com.acme.shop.CartActivity.onCreate(CartActivity.kt:42)\n\
        \tat androidx.fragment.app.Fragment.performCreate(Fragment.java:9)\n\
        \t... 1 more";
    let log = only(trace);
    let found = log.exception.unwrap();
    assert_eq!(found.type_name, "java.lang.RuntimeException");
    assert!(found.frames.iter().all(|frame| !frame.in_app));
    assert_eq!(log.culprits[0].function.as_deref(), Some("onCreate"));
    assert_eq!(log.culprits.len(), 1);
}

#[test]
fn a_blank_line_above_a_trace_parts_nothing() {
    let line =
        "2024-05-01T10:00:00.123Z ERROR 1 --- [nio-8080-exec-1] o.a.c.Dispatcher : it threw\n";
    let log = only(&format!("{line}\n{JAVA}\n"));
    assert_eq!(log.message, "it threw");
    assert_eq!(chain(log.exception.as_ref().expect("an exception")), JAVA_CHAIN);
    let calm = line.replace("ERROR", "INFO");
    assert_eq!(inspect(format!("{calm}\n{JAVA}\n").as_bytes()).len(), 2);
}

#[test]
fn codes_and_bars_of_dotnet_are_no_part_of_a_type() {
    let frames = "   at Acme.Repo.Load() in /src/Repo.cs:line 12";
    let text =
        format!("Microsoft.Data.SqlClient.SqlException (0x80131904): Invalid object\n{frames}");
    let read = ["Microsoft.Data.SqlClient.SqlException: Invalid object [Load@12]"];
    assert_eq!(chain(&exception(&text)), read);
    let inner = format!(
        "System.IO.IOException: closed\n ---> System.Net.Sockets.SocketException (111): refused\n\
         {frames}\n   --- End of inner exception stack trace ---\n   at Acme.Main.Run() in /src/Main.cs:line 5"
    );
    let read = [
        "System.IO.IOException: closed [Run@5]",
        "System.Net.Sockets.SocketException: refused [Load@12]",
    ];
    assert_eq!(chain(&exception(&inner)), read);
    let barred = format!(
        "2024-05-01 10:00:00.1234|ERROR|Acme.Shop|it broke|System.InvalidOperationException: bad\n{frames}"
    );
    assert_eq!(chain(&exception(&barred)), ["System.InvalidOperationException: bad [Load@12]"]);
}

#[test]
fn an_exception_given_to_ruby_s_logger_is_read() {
    let log = only(
        "E, [2024-05-01T10:00:00.123456 #12] ERROR -- worker: undefined method `name' for nil (NoMethodError)\n\
         /app/lib/worker.rb:12:in `run'\n/app/bin/start:3:in `<main>'",
    );
    let expected = ["NoMethodError: undefined method `name' for nil [run@12, <main>@3]"];
    assert_eq!(chain(log.exception.as_ref().expect("an exception")), expected);
}

#[test]
fn a_panic_of_a_handler_of_go_is_an_error() {
    let log = only(
        "2024/05/01 10:00:00 http: panic serving 1.2.3.4:5: runtime error: index out of range [3] with length 2\n\
         goroutine 12 [running]:\n\
         net/http.(*conn).serve.func1()\n\t/usr/local/go/src/net/http/server.go:1868 +0xb9\n\
         panic({0x1?, 0x2?})\n\t/usr/local/go/src/runtime/panic.go:914 +0x21f\n\
         main.handle(...)\n\t/src/app/main.go:22",
    );
    let expected = ["runtime error: index out of range [3] with length 2 [main.handle@22]"];
    assert_eq!(chain(log.exception.as_ref().expect("an exception")), expected);
    assert_eq!(log.severity, Severity::Fatal);
}

#[test]
fn what_laravel_calls_the_previous_exception_is_the_cause() {
    let log = only(
        "[2024-05-01 10:00:00] production.ERROR: query failed {\"exception\":\"[object] (App\\\\QueryException(code: 0): query failed at /srv/app/Db.php:12)\n\
         [stacktrace]\n#0 /srv/app/Shop.php(7): App\\\\Db->query()\n#1 {main}\n\n\
         [previous exception] [object] (PDOException(code: 42): gone at /srv/vendor/x/Connection.php:400)\n\
         [stacktrace]\n#0 /srv/app/Db.php(11): PDO->run()\n#1 {main}\n\"}",
    );
    let chain = chain(log.exception.as_ref().expect("an exception"));
    let types: Vec<&str> = chain.iter().filter_map(|link| link.split(": ").next()).collect();
    assert_eq!(types, ["App\\QueryException", "PDOException"], "{chain:?}");
}

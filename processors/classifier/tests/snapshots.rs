//! What the classifier makes of representative events of each format, in full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::inspect;
use serde_json::Value;

/// The events of a text as JSON, without the fields that every event of a test shares.
fn classified(text: &str) -> Value {
    let mut values = Vec::new();
    for event in inspect(text.as_bytes()) {
        let mut value = serde_json::to_value(&event.log).unwrap();
        let object = value.as_object_mut().unwrap();
        object.remove("source");
        object.retain(|_, value| {
            !(value.is_null()
                || value == &Value::Bool(false)
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty))
        });
        object.insert(
            "at".to_owned(),
            Value::String(format!("{}-{}", event.first_line, event.last_line)),
        );
        values.push(value);
    }
    Value::Array(values)
}

#[test]
fn json_lines() {
    insta::assert_json_snapshot!(
        "json",
        classified(concat!(
            r#"{"time":"2024-01-01T10:00:00Z","level":"error","msg":"pay failed for user 17","service":"pay","trace_id":"abc","password":"hunter2"}"#,
            "\n",
            r#"{"level":50,"time":1704103200123,"pid":7,"hostname":"h1","name":"api","err":{"type":"TypeError","message":"x is undefined","stack":"TypeError: x is undefined\n    at show (/srv/app/server.js:12:7)\n    at node:internal/process:1:2"},"msg":"request failed"}"#,
            "\n",
            r#"{"@timestamp":"2024-01-01T10:00:00.000Z","log.level":"ERROR","message":"boom","service":{"name":"shop"},"error":{"stack_trace":"java.lang.IllegalStateException: boom\n\tat com.acme.A.b(A.java:3)\n"}}"#,
            "\n",
            r#"{"asctime":"2024-01-01 10:00:00,123","levelname":"ERROR","name":"app","message":"it failed","exc_info":"Traceback (most recent call last):\n  File \"/srv/app/a.py\", line 3, in f\n    g()\nKeyError: 'x'"}"#,
            "\n",
            "{not json}\n",
        ))
    );
}

#[test]
fn syslog_and_access_and_logfmt() {
    insta::assert_json_snapshot!(
        "lines",
        classified(concat!(
            "<34>1 2024-01-01T10:00:00.003Z h1 su 77 ID47 - 'su root' failed for lonvick on /dev/pts/8\n",
            "Jan  1 10:00:00 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 rhost=218.188.2.4\n",
            "10.0.0.1 - bob [01/Jan/2024:10:00:00 +0000] \"GET /users/17?x=1 HTTP/1.1\" 500 2326 \"-\" \"curl/8\"\n",
            "time=\"2024-01-01T10:00:00Z\" level=warning msg=\"retry in 5s\" component=queue\n",
            "[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6\n",
            "just a line\n",
        ))
    );
}

#[test]
fn python_tracebacks() {
    insta::assert_json_snapshot!(
        "python",
        classified(concat!(
            "2024-01-01 10:00:00,123 ERROR app.views: it failed\n",
            "Traceback (most recent call last):\n",
            "  File \"/srv/app/db.py\", line 9, in load\n    return ROWS[key]\n",
            "KeyError: 'bob'\n\n",
            "The above exception was the direct cause of the following exception:\n\n",
            "Traceback (most recent call last):\n",
            "  File \"/usr/lib/python3.11/site-packages/flask/app.py\", line 1, in dispatch\n    return f()\n",
            "  File \"/srv/app/views.py\", line 12, in show\n    row = load(name)\n",
            "app.errors.NotFound: no row for bob\n",
            "2024-01-01 10:00:01,000 INFO app.views: next\n",
        ))
    );
}

#[test]
fn java_traces() {
    insta::assert_json_snapshot!(
        "java",
        classified(concat!(
            "2024-01-01 10:00:03 ERROR [main] com.acme.Shop - order 17 failed\n",
            "com.acme.OrderException: no stock\nof item 5\n",
            "\tat com.acme.Shop.lambda$order$0(Shop.java:10)\n",
            "\tat java.base/java.util.Optional.orElseThrow(Optional.java:403)\n",
            "\tSuppressed: java.io.IOException: closed\n\t\tat com.acme.Pipe.close(Pipe.java:3)\n",
            "Caused by: java.lang.IllegalStateException: 0 left\n\tat com.acme.Stock.take(Stock.java:7)\n\t... 2 more\n",
            "2024-01-01 10:00:04 INFO [main] com.acme.Shop - next\n",
        ))
    );
}

#[test]
fn javascript_go_and_rust() {
    insta::assert_json_snapshot!(
        "others",
        classified(concat!(
            "TypeError: Cannot read properties of undefined (reading 'id')\n",
            "    at show (/srv/app/server.js:12:7)\n    at async /srv/app/node_modules/x/y.js:95:5 {\n",
            "  [cause]: Error: connect ECONNREFUSED 127.0.0.1:5432\n      at connect (node:net:1:2)\n}\n",
            "panic: runtime error: index out of range [5] with length 3\n\n",
            "goroutine 1 [running]:\nmain.(*T).pick(0x1, {0x2, 0x3})\n\t/srv/app/main.go:9 +0x1d\nmain.main()\n\t/srv/app/main.go:5 +0x1d\nexit status 2\n",
            "thread 'main' panicked at src/main.rs:4:5:\ncalled `Option::unwrap()` on a `None` value\n",
            "stack backtrace:\n   0: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:1:5\n",
            "   1: core::panicking::panic\n             at /rustc/abc/library/core/src/panicking.rs:1:5\n",
            "   2: app::run::h0123456789abcdef\n             at ./src/main.rs:4:5\n",
            "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n",
            "done\n",
        ))
    );
}

#[test]
fn dotnet_traces() {
    insta::assert_json_snapshot!(
        "dotnet",
        classified(concat!(
            "2024-01-01 10:00:00.123 [ERR] Shop.Api - order 17 failed\n",
            "System.InvalidOperationException: Order failed\n",
            " ---> System.IO.IOException: disk full\n",
            "   at Acme.Store.Write(String path, Int32 size) in /src/Acme/Store.cs:line 42\n",
            "   at Acme.Store.<>c__DisplayClass3_0.<Flush>b__1()\n",
            "   --- End of inner exception stack trace ---\n",
            "   at Acme.Orders.OrderService.<PlaceAsync>d__5.MoveNext() in C:\\src\\OrderService.cs:line 17\n",
            "--- End of stack trace from previous location ---\n",
            "   at System.Runtime.CompilerServices.TaskAwaiter.ThrowForNonSuccess(Task task)\n",
            "   at Program.<Main>$(String[] args) in /src/Program.cs:line 3\n",
            "2024-01-01 10:00:01.000 [INF] Shop.Api - next\n",
            "Unhandled exception. System.AggregateException: One or more errors occurred. (a) ---> System.ArgumentException: a\n",
            "   at Acme.Tasks.handler@12-3.Invoke(Unit unitVar0)\n",
            "   at Acme.Box`1.Get[TKey](TKey key)\n",
            "   --- End of inner exception stack trace ---\n",
            "   at Acme.Tasks.main(String[] argv) in /src/Tasks.fs:line 9\n",
            "---> (Inner Exception #0) System.ArgumentException: a\n",
            "   at Acme.Tasks.handler@12-3.Invoke(Unit unitVar0)<---\n",
            "done\n",
        ))
    );
}

#[test]
fn ruby_traces() {
    insta::assert_json_snapshot!(
        "ruby",
        classified(concat!(
            "app.rb:5:in `/': divided by 0 (ZeroDivisionError)\n",
            "\tfrom app.rb:5:in `divide'\n",
            "\tfrom /usr/lib/ruby/3.1.0/set.rb:501:in `each'\n",
            "\tfrom app.rb:10:in `<main>'\n",
            "app.rb:2:in 'Shop#open': closed (Shop::ClosedError)\n",
            "\tfrom app.rb:4:in 'block in Shop#each'\n",
            "2024-01-01 10:00:00 INFO next\n",
            "F, [2024-01-01T10:00:00.123456 #17] FATAL -- : [ab12] ActiveRecord::RecordNotFound (Couldn't find User with 'id'=5):\n",
            "F, [2024-01-01T10:00:00.123456 #17] FATAL -- : [ab12]   \n",
            "E, [2024-01-01T10:00:01.123456 #17] ERROR -- : NoMethodError: undefined method `total' for nil\n",
            "/srv/app/app/models/cart.rb:12:in `sum'\n",
            "/srv/app/vendor/bundle/gems/rack-2.2/lib/rack.rb:8:in `call'\n",
            "I, [2024-01-01T10:00:02.123456 #17]  INFO -- : next\n",
        ))
    );
}

#[test]
fn php_traces() {
    insta::assert_json_snapshot!(
        "php",
        classified(concat!(
            "[01-Jan-2024 10:00:00 UTC] PHP Fatal error:  Uncaught PDOException: no route\nto host in /var/www/app/Db.php:12\n",
            "Stack trace:\n",
            "#0 /var/www/app/Shop.php(34): App\\Db->connect('a', 3)\n",
            "#1 [internal function]: App\\Shop::open(Array)\n",
            "#2 /var/www/vendor/x/y.php(5): array_map()\n",
            "#3 {main}\n",
            "\n",
            "Next App\\ShopException: shop is closed in /var/www/app/Shop.php:36\n",
            "Stack trace:\n",
            "#0 /var/www/index.php(3): App\\Shop->open()\n",
            "#1 {main}\n",
            "  thrown in /var/www/app/Shop.php on line 36\n",
            "[01-Jan-2024 10:00:01 UTC] PHP Notice:  Undefined index: a in /var/www/index.php on line 9\n",
            "[2024-01-01 10:00:02] production.ERROR: no stock {\"exception\":\"[object] (App\\\\Exceptions\\\\StockException(code: 0): no stock at /var/www/app/Stock.php:7)\n",
            "[stacktrace]\n",
            "#0 /var/www/app/Cart.php(21): App\\\\Stock->take(5)\n",
            "#1 {main}\n",
            "\"} \n",
            "[2024-01-01 10:00:03] production.INFO: next\n",
        ))
    );
}

#[test]
fn reports_of_errors() {
    insta::assert_json_snapshot!(
        "reports",
        classified(concat!(
            "Error: could not load the configuration\n\nCaused by:\n    0: read /etc/shop.toml\n    1: No such file or directory (os error 2)\n\n",
            "Stack backtrace:\n   0: shop::config::load\n             at ./src/config.rs:12:9\n   1: shop::main\n             at ./src/main.rs:4:5\n",
            "2024-01-01T10:00:00Z ERROR shop: order failed: no stock\n\nCaused by:\n    the warehouse is closed\n\nLocation:\n    src/stock.rs:7:9\n",
            "2024-01-01T10:00:01Z INFO shop: next\n",
            "2024/01/01 10:00:00 open shop: no such file\nfailed to load\ngithub.com/acme/shop/store.Open\n\t/src/store/store.go:12\nmain.main\n\t/src/main.go:5\nruntime.main\n\t/usr/local/go/src/runtime/proc.go:250\n",
            "2024/01/01 10:00:01 next\n",
        ))
    );
}

#[test]
fn gecko_aggregates_and_swift() {
    insta::assert_json_snapshot!(
        "gecko_and_swift",
        classified(concat!(
            "TypeError: cart is undefined\n",
            "total@https://shop.example/static/cart.js:12:7\nrender/<@https://shop.example/static/view.js:3:11\n@https://shop.example/static/main.js:1:1\n",
            "AggregateError: All promises were rejected\n    at async pay (file:///srv/app/pay.mjs:9:3) {\n",
            "  [errors]: [\n    Error: card refused\n        at card (/srv/app/card.js:4:11),\n    Error: bank is closed\n        at bank (/srv/app/bank.js:8:2)\n  ]\n}\n",
            "Shop/Cart.swift:12: Fatal error: Unexpectedly found nil while unwrapping an Optional value\n",
        ))
    );
}

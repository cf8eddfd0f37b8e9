//! The lines that programs write, and what each file of them has to become.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::support::{run, text};

/// What a shop's programs print: plain lines, failures of Python and Java with what was logged before, JSON.
const PRINTED: &str = r#"2026-11-29 07:30:00,100 INFO shop.web: order 17 paid
2026-11-29 07:30:00,250 ERROR shop.pay: payment of order 18 failed
Traceback (most recent call last):
  File "/srv/shop/pay.py", line 12, in pay
    charge(order)
    ~~~~~~^^^^^^^
  File "/srv/shop/bank.py", line 40, in charge
    raise Declined("card declined")
shop.bank.Declined: card declined
2026-11-29 07:30:01,000 ERROR [worker-3] com.acme.Shop - no stock
java.lang.IllegalStateException: no stock of item 7
	at com.acme.Shop.take(Shop.java:42)
	at com.acme.Shop.sell(Shop.java:17)
Caused by: java.io.IOException: disk full
	at com.acme.Store.write(Store.java:9)
	... 2 more
{"time":"2026-11-29T07:30:02Z","level":"warn","logger":"shop.cart","msg":"cart is slow"}
2026-11-29 07:30:03,000 INFO shop.web: closed
"#;

/// A failure as one message of syslog(3), which may hold line feeds, between two others.
pub(crate) const SENT: [(&str, &str); 3] = [
    ("info", "order 17 paid"),
    (
        "err",
        "payment of order 18 failed\nTraceback (most recent call last):\n  File \"/srv/shop/pay.py\", \
         line 12, in pay\n    charge(order)\nshop.bank.Declined: card declined",
    ),
    ("info", "closed"),
];

/// Sets of real logs whose lines name day and time, and how many lines of each are taken.
const REAL: [&str; 5] = ["Apache", "HDFS", "Hadoop", "HealthApp", "Zookeeper"];
const REAL_LINES: usize = 60;

/// Files that programs wrote.
pub(crate) struct Written {
    /// [`PRINTED`].
    pub(crate) printed: PathBuf,
    /// Lines of real logs; empty where there are none at hand.
    pub(crate) real: PathBuf,
    /// What `inspect` reads in `real`: what a shipper adds must change nothing of it.
    pub(crate) real_events: Vec<Value>,
}

impl Written {
    /// Writes them into a directory.
    pub(crate) fn write(directory: &Path) -> Self {
        let (printed, real) = (directory.join("shop.log"), directory.join("real.log"));
        fs::write(&printed, PRINTED).unwrap();
        fs::write(&real, real_lines()).unwrap();
        let real_events = run(&["inspect", text(&real)]).good().json();
        Self { printed, real, real_events }
    }
}

fn real_lines() -> String {
    let named = std::env::var_os("HEPHAESTUS_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let loghub = named.unwrap_or(beside).join("loghub");
    if !loghub.is_dir() {
        eprintln!(
            "skipped: real logs, no sample data beside the repository or in HEPHAESTUS_TEST_DATA"
        );
        return String::new();
    }
    let mut lines = String::new();
    for name in REAL {
        let log = fs::read_to_string(loghub.join(name).join(format!("{name}_2k.log"))).unwrap();
        log.lines().take(REAL_LINES).for_each(|line| lines.push_str(&format!("{line}\n")));
    }
    lines
}

/// What a person reads in [`PRINTED`].
pub(crate) fn printed_events() -> Vec<Value> {
    vec![
        json!({"lines": 1, "severity": "INFO", "time": "2026-11-29T07:30:00.1Z", "logger": "shop.web",
            "message": "order 17 paid", "exception": null}),
        json!({"lines": 8, "severity": "ERROR", "time": "2026-11-29T07:30:00.25Z", "logger": "shop.pay",
            "message": "payment of order 18 failed",
            "exception": ["shop.bank.Declined: card declined", "charge:40", "pay:12"]}),
        json!({"lines": 7, "severity": "ERROR", "time": "2026-11-29T07:30:01Z", "logger": "com.acme.Shop",
            "message": "no stock",
            "exception": ["java.lang.IllegalStateException: no stock of item 7", "take:42", "sell:17",
                "java.io.IOException: disk full", "write:9"]}),
        json!({"lines": 1, "severity": "WARN", "time": "2026-11-29T07:30:02Z", "logger": "shop.cart",
            "message": "cart is slow", "exception": null}),
        json!({"lines": 1, "severity": "INFO", "time": "2026-11-29T07:30:03Z", "logger": "shop.web",
            "message": "closed", "exception": null}),
    ]
}

/// What a person reads in [`SENT`]; whether the shipper's format tells the severity.
pub(crate) fn sent_events() -> Vec<Value> {
    vec![
        json!({"lines": 1, "severity": "INFO", "message": "order 17 paid", "exception": null}),
        json!({"lines": 5, "severity": "ERROR", "message": "payment of order 18 failed",
            "exception": ["shop.bank.Declined: card declined", "pay:12"]}),
        json!({"lines": 1, "severity": "INFO", "message": "closed", "exception": null}),
    ]
}

//! What is unusual though it is no failure, through a running pipeline that is restarted on the way.

use std::fmt::Write as _;

use hephaestus_schemas::{Analysis, Node, ProposedChange, topics};
use jiff::{Span, Timestamp};

use crate::{
    support::text,
    up::{Up, all, classified, record, settled, values},
};

/// Hours that the service is quiet.
const HOURS: i64 = 9 * 24;

/// Lines of a service, in the order of their times.
struct Lines {
    began: Timestamp,
    text: String,
}

impl Lines {
    fn add(&mut self, after: Span, severity: &str, message: &str) {
        let time = self.began + after;
        writeln!(self.text, r#"{{"time":"{time}","level":"{severity}","msg":"{message}"}}"#)
            .unwrap();
    }

    async fn post(&mut self, up: &Up) {
        let body = std::mem::take(&mut self.text);
        assert_eq!(up.post("shop/a/out", body).await.status(), 200);
        let log = up.log().await;
        classified(&log).await;
        settled(&log).await;
    }
}

/// Makes the node one that has been watched for a month.
async fn registered_long_ago(up: &Up) {
    let (log, codec) = (up.log().await, up.codec());
    let [mut node] = <[Node; 1]>::try_from(values(&log, &codec, topics::NODES).await).unwrap();
    node.registered_at -= 30 * 24 * 3_600_000_000;
    node.updated_at = node.registered_at;
    codec.register::<Node>(topics::NODES).await.unwrap();
    let value = codec.encode(topics::NODES, &node).unwrap();
    log.append(vec![record(topics::NODES, None, &node.id, &value)]).await.unwrap();
}

fn hours(hours: i64) -> Span {
    Span::new().hours(hours)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pattern_a_burst_and_a_silence_are_told_once_though_the_program_is_restarted() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let config = directory.path().join("h.toml");
    let repository = directory.path().join("none");
    let node = format!(
        "[[node]]\nname = \"shop\"\nsources = [\"shop/**\"]\nrepository = {:?}\n\
         signals = [\"new-pattern\", \"rate\", \"silence\"]\nsignal_warm_up = \"24h\"\n",
        text(&repository)
    );
    std::fs::write(&config, node).unwrap();

    let up = Up::configured(&data, &config);
    registered_long_ago(&up).await;
    up.stop().good();

    let up = Up::configured(&data, &config);
    let mut lines = Lines { began: Timestamp::now() - hours(HOURS + 24), text: String::new() };
    for hour in 0..HOURS {
        lines.add(hours(hour), "info", &format!("backup took {} ms", 100 + hour));
        lines.add(hours(hour).minutes(1), "warn", &format!("retry of request {hour}"));
    }
    lines.post(&up).await;
    up.stop().good();

    let up = Up::configured(&data, &config);
    for second in 0..40 {
        lines.add(hours(HOURS).seconds(second), "warn", &format!("retry of request {second}"));
    }
    for percent in 91..94 {
        let message = format!("disk of the index is {percent} percent full");
        lines.add(hours(HOURS).minutes(percent), "warn", &message);
    }
    // The pause ends, so that nobody has to wait for it.
    lines.add(hours(HOURS + 12), "info", "backup took 99 ms");
    lines.post(&up).await;

    let log = up.log().await;
    let analyses: Vec<Analysis> = values(&log, &up.codec(), topics::ANALYSES).await;
    let mut told: Vec<(&str, &str)> =
        analyses.iter().map(|analysis| (&*analysis.signal, &*analysis.title)).collect();
    told.sort_unstable();
    let expected = [
        ("new-pattern", "new pattern: disk of the index is <num> percent full"),
        ("new-pattern", "new pattern: retry of request <num>"),
        ("rate", "far more often than usual: retry of request <num>"),
        ("silence", "stopped: backup took <duration>"),
    ];
    assert_eq!(told, expected);
    // Nothing is known to be wrong: nothing is proposed.
    let proposed: Vec<ProposedChange> = values(&log, &up.codec(), topics::PROPOSED_CHANGES).await;
    assert!(proposed.is_empty(), "{proposed:?}");
    assert!(all(&log, topics::CHANGE_REQUESTS).await.is_empty());
    up.stop().good();
}

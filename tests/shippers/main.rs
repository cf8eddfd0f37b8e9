//! Real shippers that publish real lines to a real broker: what comes out of the classifier is what a person who reads
//! the lines would expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "../e2e/cluster.rs"]
mod cluster;
mod collector;
mod daemon;
mod events;
mod kcat;
mod lines;
mod rsyslog;
#[allow(dead_code)]
#[path = "../e2e/support.rs"]
mod support;
mod syslog_ng;
mod tool;
#[allow(dead_code)]
#[path = "../e2e/up.rs"]
mod up;

use std::path::Path;

use cluster::Cluster;
use events::Events;
use lines::Written;

/// How long a shipper may take between two lines of an event, on a machine as busy as one that starts all of them.
const FLUSH_MS: u32 = 5_000;

/// Where a shipper runs, and where it publishes to.
struct Place<'a> {
    /// For its configuration, its sockets and what it keeps.
    directory: &'a Path,
    /// Bootstrap servers.
    brokers: &'a str,
    /// What programs wrote.
    written: &'a Written,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_real_shippers_publish_is_read_as_the_lines_that_programs_wrote() {
    if let Some(missing) = tool::missing() {
        let is_required = std::env::var("HEPHAESTUS_TEST_REQUIRE").is_ok_and(|set| set == "1");
        assert!(!is_required, "{missing}");
        eprintln!("skipped: {missing}");
        return;
    }
    let Some(mut cluster) = Cluster::start().await else { return };
    let registry = cluster.use_our_registry(&[]);
    cluster.run(&["topology", "apply"]).good();
    let directory = tempfile::tempdir().unwrap();
    let written = Written::write(directory.path());
    let within = |name: &str| {
        let directory = directory.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        directory
    };
    let directories = ["rsyslog", "syslog-ng", "kcat", "collector"].map(within);
    let [rsyslog, syslog_ng, kcat, collector] = directories.each_ref().map(|directory| Place {
        directory,
        brokers: &cluster.brokers,
        written: &written,
    });

    // All at once: what they publish is told apart by its source or its service.
    let mut rsyslogd = rsyslog::start(&rsyslog);
    let mut syslog_ngd = syslog_ng::start(&syslog_ng);
    let patient = directory.path().join("h.toml");
    std::fs::write(&patient, format!("[classifier]\nflush_timeout_ms = {FLUSH_MS}\n")).unwrap();
    let classifier = cluster.up(&["run", "classifier", "--config", support::text(&patient)]);
    let mut expected = daemon::publish(&rsyslog, &mut rsyslogd, "web-1", &rsyslog::FORMATS).await;
    expected
        .extend(daemon::publish(&syslog_ng, &mut syslog_ngd, "web-2", &syslog_ng::FORMATS).await);
    expected.extend(kcat::publish(&kcat));
    let (of_collector, sent) = collector::publish(&collector).await;
    expected.extend(sent);

    let mut events = Events::follow(&cluster);
    events.read_until_there(&expected).await;
    for tool in [rsyslogd, syslog_ngd, of_collector] {
        tool.stop();
    }
    classifier.stop().good();
    // What it held back when it was stopped would be there now.
    let events = events.read_to_end(&cluster);
    for one in &expected {
        one.check(&events);
    }
    registry.stop().good();
}

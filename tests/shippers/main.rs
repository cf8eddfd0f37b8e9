//! Real shippers that publish real lines to a real broker: what comes out of the classifier is what a person who reads
//! the lines would expect.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[allow(dead_code)]
#[path = "../e2e/cluster.rs"]
mod cluster;
mod collector;
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
    let classifier = cluster.up(&["run", "classifier"]);
    let mut expected = rsyslog::publish(&rsyslog, &mut rsyslogd).await;
    expected.extend(syslog_ng::publish(&syslog_ng, &mut syslog_ngd).await);
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

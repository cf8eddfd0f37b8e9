//! From a log line that crosses its threshold to the change request's event, all stages on Kafka.

use std::time::{Duration, Instant};

use hephaestus_schemas::{
    ChangeRequest, ChangeRequestEvent, Codec, CodecLimits, topics::CHANGE_REQUESTS,
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use serde_json::{Value, json};

use crate::{
    PARTITIONS,
    cluster::{Cluster, client},
    contender::Contender,
    program::Program,
    shop,
};

/// Failures that are sent, one after the other.
const TRIALS: usize = 60;
/// Those that come first and are not counted: connections are made, files are read.
const WARM_UP: usize = 5;
/// How long an event may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Measures it twice: with a further line behind the failure, and with nothing behind it.
pub(crate) async fn measure() -> Value {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("shop");
    shop::make_repository(&repository);
    let program = Program::set_up(&cluster, PARTITIONS, "limits.commit_interval = \"100ms\"");
    program.configure(&shop::node(&repository));
    let mut contender = Contender::start(&mut program.command(&["up"]));
    let started: Value = serde_json::from_str(&contender.first_line()).unwrap();
    let url =
        format!("http://{}/v1/logs?source=shop/web-1/app", started["listen"].as_str().unwrap());
    let limits = CodecLimits { max_value_bytes: 1 << 20 };
    let codec = Codec::connect(&program.registry, limits).unwrap();
    let consumer = follow(&cluster);
    let mut report = serde_json::Map::new();
    let mut trial = 0;
    for (name, followed) in [("line_follows", true), ("nothing_follows", false)] {
        let mut took = Vec::new();
        for _ in 0..TRIALS + WARM_UP {
            let mut body = shop::failure(trial);
            if followed {
                body.push_str(&format!(
                    "2026-03-01 23:{:02}:00,000 INFO [shop] next\n",
                    trial % 60
                ));
            }
            trial += 1;
            let sent = Instant::now();
            post(&url, body).await;
            opened(&consumer, &codec, sent).await;
            took.push(sent.elapsed().as_secs_f64() * 1e3);
        }
        took.drain(..WARM_UP);
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
        let percentiles = json!({"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0)});
        eprintln!("latency, {name}: {percentiles}");
        report.insert(name.to_owned(), percentiles);
    }
    contender.stop();
    Value::Object(report)
}

async fn post(url: &str, body: String) {
    let client = reqwest::Client::new();
    let by = Instant::now() + LONGEST;
    loop {
        let request = client.post(url).header("content-type", "text/plain").body(body.clone());
        let answer = request.send().await.unwrap();
        if answer.status().is_success() {
            return;
        }
        assert!(Instant::now() < by, "lines are taken: {}", answer.status());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A reader of the committed change requests from now on.
fn follow(cluster: &Cluster) -> BaseConsumer {
    let consumer: BaseConsumer = client(&cluster.servers)
        .set("group.id", "latency")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "5")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(CHANGE_REQUESTS, partition as i32, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    consumer
}

/// Waits for the next event that says that a change request was opened.
async fn opened(consumer: &BaseConsumer, codec: &Codec, sent: Instant) {
    loop {
        assert!(sent.elapsed() < LONGEST, "no change request was opened in {LONGEST:?}");
        let Some(record) = consumer.poll(Duration::from_millis(5)) else { continue };
        let record = record.unwrap();
        let event: ChangeRequest = codec.decode(record.payload().unwrap()).await.unwrap();
        assert_ne!(event.event, ChangeRequestEvent::Failed, "{event:?}");
        if event.event == ChangeRequestEvent::Opened {
            return;
        }
    }
}

/// The lines for people.
pub(crate) fn print(report: &Value) {
    for (name, what) in [
        ("line_follows", "a further line follows"),
        ("nothing_follows", "nothing follows, so that the failure waits 500 ms for a further line"),
    ] {
        let of = |field: &str| report[name][field].as_f64().unwrap();
        println!(
            "line to change request: p50 {:.0} ms, p99 {:.0} ms (wanted: p99 below 1000); {what}",
            of("p50_ms"),
            of("p99_ms")
        );
    }
}

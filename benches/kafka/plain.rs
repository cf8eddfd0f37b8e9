//! What librdkafka takes by itself: a loop without an engine that copies, exactly once. It fills a transaction for the
//! commit interval, commits it, waits, and begins again. Its partitions are given, so that it answers no rebalances.

use std::time::{Duration, Instant};

use hephaestus_schemas::topics::RAW_LOGS;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, DefaultConsumerContext},
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use crate::{PARTITIONS, cluster::client, copy::COPIES};

/// First argument with which this program runs the loop.
pub(crate) const ARGUMENT: &str = "plain-loop";
/// Loops side by side, each with a transaction and partitions of its own, as the engine has sessions.
const LOOPS: usize = 2;
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
const CALL: Duration = Duration::from_secs(10);
/// A header like one of the pipeline's own, in length and in how well it compresses.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

type PlainProducer = ThreadedProducer<DefaultProducerContext>;

/// Runs the loops until the process is killed; with the headers that every record of the pipeline carries, or none.
pub(crate) fn run(servers: &str, group: &str, has_headers: bool) {
    println!("ready");
    std::thread::scope(|scope| {
        for number in 0..LOOPS {
            scope.spawn(move || copy(servers, group, number, has_headers));
        }
    });
}

fn copy(servers: &str, group: &str, number: usize, has_headers: bool) {
    let consumer: BaseConsumer<DefaultConsumerContext> = client(servers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let producer: PlainProducer = client(servers)
        .set("transactional.id", format!("{group}-{number}"))
        .set("compression.type", "lz4")
        .set("batch.size", "900000")
        .set("batch.num.messages", "1000")
        .set("linger.ms", "10")
        .set("queue.buffering.max.messages", "1000000")
        .set("delivery.report.only.error", "true")
        .create()
        .unwrap();
    producer.init_transactions(CALL).unwrap();
    let mut own = TopicPartitionList::new();
    for partition in (0..PARTITIONS).filter(|partition| *partition as usize % LOOPS == number) {
        own.add_partition(RAW_LOGS, partition as i32);
    }
    consumer.assign(&own).unwrap();
    loop {
        let mut next = TopicPartitionList::new();
        let begun = Instant::now();
        producer.begin_transaction().unwrap();
        while begun.elapsed() < COMMIT_INTERVAL {
            // One look at the clock for many records.
            for _ in 0..100 {
                let Some(message) = consumer.poll(Duration::from_millis(1)) else { break };
                let message = message.unwrap();
                send(&producer, &message, has_headers);
                note(&mut next, message.partition(), message.offset() + 1);
            }
        }
        if next.count() > 0 {
            let member = consumer.group_metadata().unwrap();
            producer.send_offsets_to_transaction(&next, &member, CALL).unwrap();
        }
        producer.commit_transaction(CALL).unwrap();
    }
}

fn note(next: &mut TopicPartitionList, partition: i32, offset: i64) {
    let offset = Offset::Offset(offset);
    match next.find_partition(RAW_LOGS, partition) {
        Some(mut element) => element.set_offset(offset).unwrap(),
        None => next.add_partition_offset(RAW_LOGS, partition, offset).unwrap(),
    }
}

fn send(producer: &PlainProducer, message: &BorrowedMessage<'_>, has_headers: bool) {
    let mut record = BaseRecord::<[u8], [u8]>::to(COPIES).partition(message.partition());
    record.key = message.key();
    record.payload = message.payload();
    if has_headers {
        let origin = format!("{RAW_LOGS}/{}/{}", message.partition(), message.offset());
        let headers = OwnedHeaders::new_with_capacity(3)
            .insert(Header { key: "traceparent", value: Some(TRACE) })
            .insert(Header { key: "hephaestus-origin", value: Some(&origin) })
            .insert(Header { key: "hephaestus-stage", value: Some("copy/1") });
        record = record.headers(headers);
    }
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((error, refused)) => {
                assert_eq!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::QueueFull),
                    "{error}"
                );
                record = refused;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

//! Looks at a cluster from outside: reads topics as read-committed consumers do, and the ends of partitions.

use std::{collections::HashMap, time::Duration};

use hephaestus_pipeline::record::{Headers, Record};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    groups::GroupInfo,
    message::{BorrowedMessage, Headers as _},
};

use crate::oracle::Ends;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reader of topics, which goes on where it was.
pub(crate) struct Observer {
    bootstrap_servers: String,
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
    next: HashMap<(String, u32), u64>,
    partitions: HashMap<String, u32>,
}

impl Observer {
    /// Has read nothing yet.
    pub(crate) fn new(bootstrap_servers: &str) -> Self {
        let (committed, uncommitted) = consumers(bootstrap_servers);
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            committed,
            uncommitted,
            next: HashMap::new(),
            partitions: HashMap::new(),
        }
    }

    /// Number of partitions of a topic.
    fn partitions(&mut self, topic: &str) -> KafkaResult<u32> {
        if let Some(known) = self.partitions.get(topic) {
            return Ok(*known);
        }
        let metadata = self.committed.fetch_metadata(Some(topic), PATIENCE)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let count = found.map_or(0, |found| u32::try_from(found.partitions().len()).unwrap());
        assert!(count > 0, "there is no topic {topic}");
        self.partitions.insert(topic.to_owned(), count);
        Ok(count)
    }

    /// What is new in a topic since the last call: committed records, in the order of each partition.
    pub(crate) fn read(&mut self, topic: &str) -> KafkaResult<Vec<Record>> {
        let consumer = consumer(&self.bootstrap_servers, "read_committed");
        let partitions = self.partitions(topic)?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            let next = self.next.get(&(topic.to_owned(), partition)).copied().unwrap_or(0);
            let offset = Offset::Offset(i64::try_from(next).unwrap());
            assignment.add_partition_offset(topic, i32::try_from(partition).unwrap(), offset)?;
        }
        consumer.assign(&assignment)?;
        let mut records = Vec::new();
        let mut at_end = vec![false; partitions as usize];
        while at_end.contains(&false) {
            match consumer.poll(PATIENCE) {
                None => {
                    return Err(KafkaError::MessageConsumption(
                        rdkafka::types::RDKafkaErrorCode::OperationTimedOut,
                    ));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    at_end[usize::try_from(partition).unwrap()] = true;
                }
                // Connections that are lost come back.
                Some(Err(KafkaError::MessageConsumption(
                    rdkafka::types::RDKafkaErrorCode::BrokerTransportFailure
                    | rdkafka::types::RDKafkaErrorCode::AllBrokersDown,
                ))) => {}
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => records.push(to_record(&message)),
            }
        }
        for record in &records {
            self.next.insert((topic.to_owned(), record.partition), record.offset + 1);
        }
        Ok(records)
    }

    /// The ends of the partitions of some topics.
    pub(crate) fn ends(&mut self, topics: &[&str]) -> KafkaResult<Vec<Ends>> {
        let ends = self.ask_for_ends(topics);
        if ends.is_err() {
            // What a client has learnt of a topic while a broker was away can stay wrong for minutes.
            (self.committed, self.uncommitted) = consumers(&self.bootstrap_servers);
        }
        ends
    }

    fn ask_for_ends(&mut self, topics: &[&str]) -> KafkaResult<Vec<Ends>> {
        let mut ends = Vec::new();
        for topic in topics {
            for partition in 0..self.partitions(topic)? {
                let number = i32::try_from(partition).unwrap();
                // The end is asked for first: it may grow, and then no transaction is open that is not.
                let (_, end) = self.uncommitted.fetch_watermarks(topic, number, PATIENCE)?;
                let (_, stable) = self.committed.fetch_watermarks(topic, number, PATIENCE)?;
                let (stable, end) = (u64::try_from(stable).unwrap(), u64::try_from(end).unwrap());
                ends.push(Ends { topic: (*topic).to_owned(), partition, stable, end });
            }
        }
        Ok(ends)
    }

    /// Ids of the members of a group; those of static members begin with their instances' names.
    pub(crate) fn members(&self, group: &str) -> KafkaResult<Vec<String>> {
        let list = self.committed.fetch_group_list(Some(group), PATIENCE)?;
        let members = list.groups().iter().flat_map(GroupInfo::members);
        Ok(members.map(|member| member.id().to_owned()).collect())
    }
}

/// One that sees what is committed, and one that sees everything.
fn consumers(bootstrap_servers: &str) -> (BaseConsumer, BaseConsumer) {
    let of = |isolation| consumer(bootstrap_servers, isolation);
    (of("read_committed"), of("read_uncommitted"))
}

fn consumer(bootstrap_servers: &str, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("client.id", "observer")
        .set("group.id", "observer")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "50")
        .set("socket.timeout.ms", "6000")
        .create()
        .unwrap()
}

fn to_record(message: &BorrowedMessage<'_>) -> Record {
    let mut headers = Headers::default();
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        headers.push(header.key, header.value.unwrap_or_default().to_vec());
    }
    Record {
        topic: message.topic().into(),
        partition: u32::try_from(message.partition()).unwrap(),
        offset: u64::try_from(message.offset()).unwrap(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().map(|key| key.to_vec().into()),
        value: message.payload().map(|value| value.to_vec().into()),
        headers,
    }
}

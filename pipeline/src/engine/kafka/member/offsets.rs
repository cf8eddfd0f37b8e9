//! A thread for the one call of librdkafka that may never return.
//!
//! `rd_kafka_send_offsets_to_transaction` waits without a bound for an answer that librdkafka 2.12 may lose where the
//! group's coordinator moves to another broker. Who is not answered in time gives up the producer with this thread; what
//! they began is settled by the next producer of the same transactional id.

use std::{sync::Arc, thread, time::Duration};

use rdkafka::{
    consumer::ConsumerGroupMetadata, error::KafkaResult, producer::Producer,
    topic_partition_list::TopicPartitionList,
};

use super::{
    mailbox::{Mail, Mailbox},
    producer::SessionProducer,
};

/// How often the thread looks up while nothing is asked of it.
const IDLE: Duration = Duration::from_secs(60);

/// Offsets to be added to a transaction, as this member of its group.
struct Call {
    producer: Arc<SessionProducer>,
    offsets: TopicPartitionList,
    member: Arc<ConsumerGroupMetadata>,
    timeout: Duration,
}

/// Makes the call, one at a time.
pub(super) struct OffsetSender {
    calls: Arc<Mailbox<Call>>,
    answers: Arc<Mailbox<KafkaResult<()>>>,
}

/// How a call ended.
pub(super) enum Sent {
    /// It returned.
    Answered(KafkaResult<()>),
    /// It has not returned, and is not waited for any more.
    Lost,
}

impl OffsetSender {
    /// Starts the thread; it ends with this value, unless it never gets its answer.
    pub(super) fn start() -> std::io::Result<Self> {
        let (calls, answers) = (Arc::new(Mailbox::new(1)), Arc::new(Mailbox::new(1)));
        let sender = Self { calls: calls.clone(), answers: answers.clone() };
        thread::Builder::new().name("kafka-offsets".to_owned()).spawn(move || {
            loop {
                let Call { producer, offsets, member, timeout } = match calls.pop(IDLE) {
                    Mail::Item(call) => call,
                    Mail::Nothing => continue,
                    Mail::Closed => return,
                };
                let sent = producer.send_offsets_to_transaction(&offsets, &member, timeout);
                // The producer is gone from here before its owner hears of it.
                drop(producer);
                answers.push(sent);
            }
        })?;
        Ok(sender)
    }

    /// Adds offsets to a producer's transaction; waits so long for the answer.
    pub(super) fn send(
        &self,
        producer: Arc<SessionProducer>,
        offsets: TopicPartitionList,
        member: Arc<ConsumerGroupMetadata>,
        timeout: Duration,
        patience: Duration,
    ) -> Sent {
        self.calls.push(Call { producer, offsets, member, timeout });
        match self.answers.pop(patience) {
            Mail::Item(answer) => Sent::Answered(answer),
            Mail::Nothing | Mail::Closed => Sent::Lost,
        }
    }
}

impl Drop for OffsetSender {
    fn drop(&mut self) {
        self.calls.close();
    }
}

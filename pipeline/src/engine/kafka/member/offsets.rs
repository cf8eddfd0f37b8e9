//! A thread for the one call of librdkafka that may never return.
//!
//! `rd_kafka_send_offsets_to_transaction` waits without a bound for an answer that librdkafka 2.12 may lose where the
//! group's coordinator moves to another broker. Who is not answered in time gives up the producer with this thread; what
//! they began is settled by the next producer of the same transactional id.

use std::{sync::Arc, thread, time::Duration};

use rdkafka::{
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::Producer,
    topic_partition_list::TopicPartitionList,
};

use super::{
    mailbox::{Mail, Mailbox},
    producer::SessionProducer,
};
use crate::engine::kafka::error::Trouble;

/// How often the thread looks up while nothing is asked of it.
const IDLE: Duration = Duration::from_secs(60);

/// Adds offsets to transactions.
#[derive(Default)]
pub(super) struct OffsetCalls {
    sender: Option<OffsetSender>,
}

impl OffsetCalls {
    /// Makes a call. Its answer is known to be lost after `patience`: the producer is fenced then.
    pub(super) fn add(
        &mut self,
        call: Call,
        patience: Duration,
    ) -> Result<KafkaResult<()>, Trouble> {
        match self.make(call.clone(), patience)? {
            // A transaction that failed while its offsets were on their way says why to the next who asks.
            Err(KafkaError::Transaction(error)) if error.code() == RDKafkaErrorCode::State => {
                self.make(call, patience)
            }
            added => Ok(added),
        }
    }

    fn make(&mut self, call: Call, patience: Duration) -> Result<KafkaResult<()>, Trouble> {
        let cannot = |error| Trouble::Fatal(format!("cannot start a thread: {error}"));
        // One that loses an answer is not used again.
        let sender = match self.sender.take() {
            Some(sender) => sender,
            None => OffsetSender::start().map_err(cannot)?,
        };
        sender.calls.push(call);
        match sender.answers.pop(patience) {
            Mail::Item(answer) => {
                self.sender = Some(sender);
                Ok(answer)
            }
            Mail::Nothing | Mail::Closed => {
                let message = "librdkafka has lost the answer to a commit of offsets";
                Err(Trouble::Fenced(message.to_owned()))
            }
        }
    }
}

/// Offsets to be added to a transaction, as this member of its group.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) producer: Arc<SessionProducer>,
    pub(super) offsets: Arc<TopicPartitionList>,
    pub(super) member: Arc<ConsumerGroupMetadata>,
    /// What librdkafka is given.
    pub(super) timeout: Duration,
}

/// Makes the call, one at a time.
struct OffsetSender {
    calls: Arc<Mailbox<Call>>,
    answers: Arc<Mailbox<KafkaResult<()>>>,
}

impl OffsetSender {
    /// Starts the thread; it ends with this value, unless it never gets its answer.
    fn start() -> std::io::Result<Self> {
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
}

impl Drop for OffsetSender {
    fn drop(&mut self) {
        self.calls.close();
    }
}

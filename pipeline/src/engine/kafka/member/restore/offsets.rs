//! Where a partition's inputs begin, and its changelog ends: what the brokers are asked first.

use std::time::Duration;

use rdkafka::{
    consumer::Consumer,
    error::KafkaResult,
    topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem},
};

use super::{CALL, Changelog, RestoreThread, Restoring, Stage, unsigned};
use crate::engine::{
    EngineError,
    kafka::{member::inbox::Start, message::signed},
};

impl RestoreThread {
    /// Waits for the offsets that the last owner committed.
    pub(super) fn ask_for_offsets(&mut self) -> Result<(), EngineError> {
        let due = self.due(|stage| matches!(stage, Stage::Offsets));
        if due.is_empty() {
            return Ok(());
        }
        let mut inputs = TopicPartitionList::new();
        for topic in &self.topics {
            for partition in &due {
                inputs.add_partition(topic, signed(*partition));
            }
        }
        let asked = self.reader.committed_offsets(inputs, CALL).and_then(|committed| {
            committed.elements().iter().map(|element| self.start(element)).collect()
        });
        let starts: Vec<(u32, Start)> = match asked {
            Ok(starts) => starts,
            Err(error) => {
                return self.put_off(&due, "committed offsets are not known yet", &error);
            }
        };
        for (partition, start) in starts {
            if let Some(restoring) = self.partitions.get_mut(&partition) {
                restoring.starts.push(start);
            }
        }
        for partition in due {
            self.set(partition, Stage::Mark, Duration::ZERO);
        }
        Ok(())
    }

    /// Where an input begins. What lies beyond its end was committed before brokers lost it, and says nothing.
    fn start(&self, element: &TopicPartitionListElem<'_>) -> KafkaResult<(u32, Start)> {
        element.error()?;
        let mut next = match element.offset() {
            Offset::Offset(next) => unsigned(next),
            _ => 0,
        };
        if next > 0 {
            let ends = self.tail.fetch_watermarks(element.topic(), element.partition(), CALL);
            let (_, end) = ends?;
            if next > unsigned(end) {
                next = 0;
            }
        }
        let topic = self.topics.iter().find(|topic| &***topic == element.topic());
        let topic = topic.cloned().unwrap_or_else(|| element.topic().into());
        Ok((u32::try_from(element.partition()).unwrap_or_default(), Start { topic, next }))
    }

    /// Notes the changelogs' ends. What has none is ready.
    pub(super) fn note_marks(&mut self) -> Result<(), EngineError> {
        for partition in self.due(|stage| matches!(stage, Stage::Mark)) {
            let Some(Changelog { topic, .. }) = &self.changelog else {
                self.serve(partition);
                continue;
            };
            match self.tail.fetch_watermarks(topic, signed(partition), CALL) {
                Ok((low, high)) => {
                    let (low, mark) = (unsigned(low), unsigned(high));
                    self.set(partition, Stage::Open { mark, low }, Duration::ZERO);
                }
                Err(error) => {
                    self.put_off(&[partition], "end of the changelog is not known yet", &error)?;
                }
            }
        }
        Ok(())
    }

    /// Lets a partition be served.
    pub(super) fn serve(&mut self, partition: u32) {
        if let Some(Restoring { epoch, starts, .. }) = self.partitions.remove(&partition) {
            self.inbox.ready(partition, epoch, starts);
        }
    }
}

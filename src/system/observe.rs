//! Keeps the lag of groups up to date, also of one that is idle, and says whether lines can be taken in.

use std::{sync::Arc, time::Duration};

use hephaestus_pipeline::{
    engine::{EngineError, Log, TopicPartition},
    health::LoopHealth,
    telemetry::metrics::Metrics,
};
use hephaestus_schemas::topics::RAW_LOGS;
use tokio_util::sync::CancellationToken;

/// How often they are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long an engine may take to answer before it counts as one that is away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What is looked at.
pub(super) struct Watch {
    /// The topics.
    pub(super) log: Arc<dyn Log>,
    /// Where lag is shown.
    pub(super) metrics: Metrics,
    /// Groups to look at; without them all there are.
    pub(super) groups: Option<Vec<Arc<str>>>,
    /// The door's own health, where lines come in at it.
    pub(super) door: Option<LoopHealth>,
}

impl Watch {
    /// Looks until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            self.look_at_door().await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            if let Err(error) = self.look_at_groups().await {
                tracing::warn!(%error, "lag cannot be looked at");
            }
        }
        if let Some(door) = &self.door {
            door.finish();
        }
    }

    /// Lines can be taken in where the topic for them can be asked.
    async fn look_at_door(&self) {
        let Some(door) = &self.door else {
            return;
        };
        let partition = TopicPartition { topic: RAW_LOGS.into(), partition: 0 };
        let asked = self.log.wait(&partition, u64::MAX, Duration::ZERO);
        match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(_)) => door.ready(),
            Ok(Err(error)) => door.not_ready(error.to_string()),
            Err(_) => door.not_ready(format!("no answer within {ANSWER_TIMEOUT:?}")),
        }
        door.beat();
    }

    async fn look_at_groups(&self) -> Result<(), EngineError> {
        let groups = match &self.groups {
            Some(groups) => groups.clone(),
            None => self.log.groups().await?,
        };
        for group in groups {
            let offsets = self.log.group_offsets(&group).await?;
            self.metrics.group_lag(&group, &offsets);
        }
        Ok(())
    }
}

//! Keeps the lag of every group up to date, also of one that is idle.

use std::{sync::Arc, time::Duration};

use hephaestus_pipeline::{engine::Log, telemetry::metrics::Metrics};
use tokio_util::sync::CancellationToken;

/// How often they are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks at them until `stop`.
pub(crate) async fn watch(log: Arc<dyn Log>, metrics: Metrics, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let groups = match log.groups().await {
            Ok(groups) => groups,
            Err(error) => {
                tracing::warn!(%error, "lag cannot be looked at");
                continue;
            }
        };
        for group in groups {
            match log.group_offsets(&group).await {
                Ok(offsets) => metrics.group_lag(&group, &offsets),
                Err(error) => tracing::warn!(%group, %error, "lag cannot be looked at"),
            }
        }
    }
}

//! Where a member's partitions go to be restored.

use std::sync::Arc;

use super::{assignment::Epoch, mailbox::Mailbox};

/// Rebalances that may wait for the thread: far more than can happen while it asks one question.
const MAX_WAITING: usize = 10_000;

/// Where partitions go to be restored: a thread, which ends when this is stopped.
pub(super) struct Restorer(Arc<Mailbox<Job>>);

/// Partitions to be restored.
pub(super) struct Job {
    pub(super) partitions: Vec<u32>,
    pub(super) epoch: Epoch,
}

/// What a thread takes work from, and the handle that gives it.
pub(super) fn jobs() -> (Arc<Mailbox<Job>>, Restorer) {
    let jobs = Arc::new(Mailbox::new(MAX_WAITING));
    (jobs.clone(), Restorer(jobs))
}

impl Restorer {
    /// Begins to restore; the inbox is told of each partition that is ready.
    pub(super) fn restore(&self, partitions: Vec<u32>, epoch: Epoch) {
        if !self.0.push(Job { partitions, epoch }) {
            tracing::error!("partitions are not restored, the thread for it has ended");
        }
    }

    /// Ends the thread as soon as it looks up.
    pub(super) fn stop(&self) {
        self.0.close();
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        self.stop();
    }
}

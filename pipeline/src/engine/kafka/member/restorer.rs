//! Where a member's partitions go to be restored: at once, or by a thread.

use std::sync::Arc;

use super::{assignment::Epoch, inbox::Inbox, mailbox::Mailbox};

/// Rebalances that may wait for the thread: far more than can happen while it asks one question.
const MAX_WAITING: usize = 10_000;

/// Where partitions go to be restored.
pub(super) enum Restorer {
    /// There is no state: a partition is served at once.
    Stateless(Arc<Inbox>),
    /// The thread that restores; it ends when this is stopped.
    Thread(Arc<Mailbox<Job>>),
}

/// Partitions to be restored.
pub(super) struct Job {
    pub(super) partitions: Vec<u32>,
    pub(super) epoch: Epoch,
}

/// What a thread takes work from, and the handle that gives it.
pub(super) fn jobs() -> (Arc<Mailbox<Job>>, Restorer) {
    let jobs = Arc::new(Mailbox::new(MAX_WAITING));
    (jobs.clone(), Restorer::Thread(jobs))
}

impl Restorer {
    /// Begins to restore; the inbox is told of each partition that is ready.
    pub(super) fn restore(&self, partitions: Vec<u32>, epoch: Epoch) {
        match self {
            Self::Stateless(inbox) => {
                for partition in partitions {
                    inbox.ready(partition, epoch);
                }
            }
            Self::Thread(jobs) => {
                if !jobs.push(Job { partitions, epoch }) {
                    tracing::error!("partitions are not restored, the thread for it has ended");
                }
            }
        }
    }

    /// Ends the thread as soon as it looks up.
    pub(super) fn stop(&self) {
        if let Self::Thread(jobs) = self {
            jobs.close();
        }
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        self.stop();
    }
}

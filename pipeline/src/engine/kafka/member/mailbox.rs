//! A bounded queue to a thread that waits for a limited time; a bell for a thread that waits for several things.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A bounded queue to one thread.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
    condition: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Inner<T> {
    queue: VecDeque<T>,
    is_closed: bool,
}

/// What a look into a mailbox brought.
#[derive(Debug)]
pub(super) enum Mail<T> {
    Item(T),
    /// Nothing within the time given.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

impl<T> Mailbox<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let inner = Inner { queue: VecDeque::new(), is_closed: false };
        Self { inner: Mutex::new(inner), condition: Condvar::new(), capacity }
    }

    /// Adds an item. False where it is full or closed.
    pub(super) fn push(&self, item: T) -> bool {
        let mut inner = self.lock();
        if inner.is_closed || inner.queue.len() >= self.capacity {
            return false;
        }
        inner.queue.push_back(item);
        self.condition.notify_one();
        true
    }

    /// Lets nothing in any more; what is there is still taken out.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.condition.notify_one();
    }

    /// Waits so long for an item.
    pub(super) fn pop(&self, wait: Duration) -> Mail<T> {
        let deadline = Instant::now() + wait;
        let mut inner = self.lock();
        loop {
            if let Some(item) = inner.queue.pop_front() {
                return Mail::Item(item);
            }
            if inner.is_closed {
                return Mail::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Mail::Nothing;
            }
            let waited = self.condition.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a thread that waits for one of several things.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        *rung = true;
        self.condition.notify_one();
    }

    /// Waits until it rings, or has rung since the last wait, or for so long.
    pub(super) fn wait(&self, longest: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.condition.wait_timeout_while(rung, longest, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// Waits where librdkafka and the file system tell of nothing that could be waited for.
pub(super) fn nap(duration: Duration) {
    std::thread::park_timeout(duration);
}

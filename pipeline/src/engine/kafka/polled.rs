//! A consumer that belongs to no group, polled by a thread of its own: for reading, metadata and offsets.
//!
//! That thread is also the one that closes it, so that nobody else waits for librdkafka.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::consumer::BaseConsumer;
use tokio::sync::watch;

use super::{clients::Clients, context::EngineContext};
use crate::engine::EngineError;

/// One poll: log lines, errors and requests for tokens are served within it.
const POLL: Duration = Duration::from_millis(100);
/// How long the thread waits at the end for calls that still use the consumer.
const LAST_CALLS: Duration = Duration::from_secs(10);
/// librdkafka assigns partitions only to consumers that name a group; this one is never joined.
const NO_GROUP: &str = "hephaestus-reader";

pub(super) type Consumer = BaseConsumer<EngineContext>;

/// The consumer. Dropping it ends its thread, without waiting.
pub(super) struct Polled {
    consumer: Mutex<Option<Arc<Consumer>>>,
    stop: Arc<AtomicBool>,
    done: watch::Receiver<bool>,
}

impl Polled {
    /// Makes the consumer and its thread.
    pub(super) fn start(
        clients: &Clients,
        role: &str,
        own: &[(&str, String)],
    ) -> Result<Self, EngineError> {
        let mut settings = own.to_vec();
        settings.push(("group.id", NO_GROUP.to_owned()));
        let consumer: Consumer = clients.create(&settings, clients.context(role))?;
        let consumer = Arc::new(consumer);
        let stop = Arc::new(AtomicBool::new(false));
        let (say_done, done) = watch::channel(false);
        let (of_thread, stopped) = (consumer.clone(), stop.clone());
        thread::Builder::new()
            .name(format!("kafka-{role}"))
            .spawn(move || {
                serve(of_thread, &stopped);
                say_done.send_replace(true);
            })
            .map_err(|error| EngineError::Fatal(format!("cannot start a thread: {error}")))?;
        Ok(Self { consumer: Mutex::new(Some(consumer)), stop, done })
    }

    /// The consumer, to be held for one call.
    pub(super) fn consumer(&self) -> Result<Arc<Consumer>, EngineError> {
        let consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || EngineError::Unavailable("the engine is closed".to_owned());
        consumer.clone().ok_or_else(closed)
    }

    /// Ends the thread; what is returned becomes true once the consumer is closed.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        *self.consumer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.stop.store(true, Ordering::Relaxed);
        self.done.clone()
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn serve(consumer: Arc<Consumer>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        // Records come through the queues of their partitions; errors were told to the context.
        let _ = consumer.poll(POLL);
    }
    let deadline = Instant::now() + LAST_CALLS;
    while Arc::strong_count(&consumer) > 1 && Instant::now() < deadline {
        let _ = consumer.poll(POLL / 10);
    }
    drop(consumer);
}

//! What the brokers say of the records of a member's producer: only of those that they did not take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::{
    error::RDKafkaErrorCode,
    message::Message,
    producer::{DeliveryResult, ProducerContext},
};

use crate::engine::kafka::context::Callbacks;

/// What became of what was produced.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// The first record that was not taken: why, and its topic and partition.
    pub(super) failure: Option<(RDKafkaErrorCode, String, i32)>,
    /// A record was given up, whether a broker has it or not.
    pub(super) is_given_up: bool,
}

/// Takes delivery reports on the thread that polls.
pub(super) type ProducerCallbacks = Callbacks<Arc<Mutex<Delivered>>>;

impl ProducerContext for ProducerCallbacks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {}
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                // What was thrown away by an abort says nothing about why.
                let is_purged =
                    matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight);
                let mut delivered = lock(self);
                delivered.is_given_up = true;
                if !is_purged && delivered.failure.is_none() {
                    delivered.failure =
                        Some((code, message.topic().to_owned(), message.partition()));
                }
            }
        }
    }
}

pub(super) fn lock(delivered: &Mutex<Delivered>) -> MutexGuard<'_, Delivered> {
    delivered.lock().unwrap_or_else(PoisonError::into_inner)
}

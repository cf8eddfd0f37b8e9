//! The engine for production: Apache Kafka through librdkafka.
//!
//! A member of a group is a consumer and a transactional producer; a commit is one transaction.

mod member;
pub mod settings;

pub use settings::KafkaConfig;

//! Connecting to librdkafka's mock cluster.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer},
};

use super::{KafkaConfig, KafkaEngine};

/// What a command grants the brokers for their first answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_cluster_that_still_makes_its_topic_of_transactions_has_answered() {
    let cluster = MockCluster::new(1).unwrap();
    let not_yet = Answer::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
    cluster.request_errors(Api::InitProducerId, &[not_yet; 1_000]);
    let servers = cluster.bootstrap_servers();
    let connecting = KafkaEngine::connect(&servers, KafkaConfig::default(), 1 << 20);
    tokio::time::timeout(PATIENCE, connecting).await.unwrap().unwrap();
}

//! The kafka engine, on the cluster that HEPHAESTUS_TEST_KAFKA names.

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use hephaestus_pipeline::engine::{
    Engine,
    kafka::{KafkaConfig, KafkaEngine},
};

use crate::fixture::EngineFixture;

const SERVERS: &str = "HEPHAESTUS_TEST_KAFKA";
const REQUIRED: &str = "HEPHAESTUS_TEST_REQUIRE";
const MAX_RECORD_BYTES: usize = 16 << 20;

/// The kafka engine; the names of its topics and groups begin with one that no other run has.
pub(crate) struct KafkaFixture {
    servers: String,
    config: KafkaConfig,
    engine: Mutex<Option<Arc<KafkaEngine>>>,
    prefix: String,
}

/// A kafka engine; none where there is no cluster to test on.
pub(crate) async fn kafka() -> Option<KafkaFixture> {
    let Ok(servers) = std::env::var(SERVERS) else {
        assert!(std::env::var_os(REQUIRED).is_none(), "{SERVERS} is not set");
        eprintln!("skipped: {SERVERS} names no cluster");
        return None;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let prefix = format!("t{:x}-{:x}", now.as_nanos(), std::process::id());
    let config = KafkaConfig::default();
    let engine = KafkaEngine::connect(&servers, config.clone(), MAX_RECORD_BYTES).await.unwrap();
    Some(KafkaFixture { servers, config, engine: Mutex::new(Some(engine)), prefix })
}

#[async_trait]
impl EngineFixture for KafkaFixture {
    fn engine(&self) -> Arc<dyn Engine> {
        self.engine.lock().unwrap().clone().unwrap()
    }

    async fn restart(&self) {
        let engine = self.engine.lock().unwrap().take().unwrap();
        engine.close().await.unwrap();
        let config = self.config.clone();
        let engine = KafkaEngine::connect(&self.servers, config, MAX_RECORD_BYTES).await.unwrap();
        *self.engine.lock().unwrap() = Some(engine);
    }

    async fn maintain(&self, _: i64) -> bool {
        // Brokers remove and compact when they like, and never what is newest.
        false
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
    }

    fn name(&self, name: &str) -> Arc<str> {
        format!("{}-{name}", self.prefix).into()
    }
}

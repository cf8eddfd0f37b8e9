//! Publishes the nodes of the configuration to the topic `nodes`.

use std::sync::Arc;

use anyhow::{Context, Result};
use hephaestus_pipeline::{
    clock,
    engine::{Log, TopicPartition},
    record::{Headers, NewRecord, ORIGIN, STAGE, TRACEPARENT},
    telemetry::traceparent::TraceContext,
};
use hephaestus_schemas::{Node, codec::Codec, topics::NODES};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// Publishes the nodes of the configuration; those that are published already, and equal, are left alone.
pub(crate) async fn publish(log: &Arc<dyn Log>, codec: &Codec, nodes: &[Node]) -> Result<()> {
    codec.register::<Node>(NODES).await?;
    let published = published_nodes(log, codec).await.context("topic nodes cannot be read")?;
    let mut records = Vec::new();
    for node in nodes {
        let mut node = node.clone();
        if let Some(known) = published.iter().rev().find(|known| known.id == node.id) {
            node.registered_at = known.registered_at;
            let same = Node { updated_at: known.updated_at, status: known.status, ..node.clone() };
            if same == *known {
                continue;
            }
        }
        let mut headers = Headers::default();
        headers.push(TRACEPARENT, TraceContext::root().format());
        headers.push(ORIGIN, "");
        headers.push(STAGE, concat!("node-manager/", env!("CARGO_PKG_VERSION")));
        records.push(NewRecord {
            topic: NODES.into(),
            partition: None,
            timestamp_ms: clock::now_ms(),
            key: Some(node.id.clone().into()),
            value: Some(codec.encode(NODES, &node)?),
            headers,
        });
    }
    if !records.is_empty() {
        log.append(records).await?;
    }
    Ok(())
}

async fn published_nodes(log: &Arc<dyn Log>, codec: &Codec) -> Result<Vec<Node>> {
    let topics = log.topics().await?;
    let partitions = topics
        .iter()
        .find(|topic| topic.spec.name.as_ref() == NODES)
        .map_or(0, |topic| topic.spec.partitions);
    let mut nodes = Vec::new();
    for partition in 0..partitions {
        let partition = TopicPartition { topic: NODES.into(), partition };
        let mut next = 0;
        loop {
            let page = log.read(&partition, next, READ_BYTES).await?;
            let Some(last) = page.last() else { break };
            next = last.offset + 1;
            for value in page.iter().filter_map(|record| record.value.as_deref()) {
                nodes.push(codec.decode::<Node>(value).await?);
            }
        }
    }
    Ok(nodes)
}

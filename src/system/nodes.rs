//! Publishes the nodes of the configuration to the topic `nodes`.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use hephaestus_pipeline::{
    clock,
    engine::{Log, TopicPartition, pages::Pages},
    record::{Headers, NewRecord, ORIGIN, STAGE, TRACEPARENT},
    telemetry::traceparent::TraceContext,
};
use hephaestus_schemas::{Node, codec::Codec, topics::NODES};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// Makes the topic say what the configuration says: nodes that are new or differ are published, nodes that
/// are no longer in it are removed.
///
/// Several processes with the same nodes may do so at once: each writes the same or nothing.
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
        records.push(record(&node.id, Some(codec.encode(NODES, &node)?)));
    }
    for known in &published {
        if nodes.iter().all(|node| node.id != known.id) {
            tracing::info!(node = known.id, "node is no longer watched");
            records.push(record(&known.id, None));
        }
    }
    if !records.is_empty() {
        log.append(records).await?;
    }
    Ok(())
}

fn record(id: &str, value: Option<Bytes>) -> NewRecord {
    let mut headers = Headers::default();
    headers.push(TRACEPARENT, TraceContext::root().format());
    headers.push(ORIGIN, "");
    headers.push(STAGE, concat!("node-manager/", env!("CARGO_PKG_VERSION")));
    NewRecord {
        topic: NODES.into(),
        partition: None,
        timestamp_ms: clock::now_ms(),
        key: Some(Bytes::copy_from_slice(id.as_bytes())),
        value,
        headers,
    }
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
        let mut pages = Pages::new(partition, 0, READ_BYTES);
        loop {
            let page = pages.read(log.as_ref()).await?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                let Some(value) = record.value.as_deref() else { continue };
                match codec.decode::<Node>(value).await {
                    Ok(node) => nodes.push(node),
                    Err(error) if error.is_retryable() => return Err(error.into()),
                    // What a stranger wrote must not keep the nodes of the configuration out.
                    Err(error) => tracing::warn!(
                        partition = record.partition,
                        offset = record.offset,
                        %error,
                        "record of topic nodes cannot be read and is passed over"
                    ),
                }
            }
        }
    }
    Ok(nodes)
}

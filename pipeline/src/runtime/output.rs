//! The headers of what a stage writes.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use foldhash::fast::RandomState;

use crate::{
    record::{Headers, ORIGIN, Origins, Record, STAGE, TRACEPARENT},
    telemetry::traceparent::TraceContext,
};

/// Names and values that every output of a stage shares, made once.
pub(crate) struct OutputHeaders {
    stage: Bytes,
    traceparent_name: Arc<str>,
    origin_name: Arc<str>,
    stage_name: Arc<str>,
    topics: HashMap<&'static str, Arc<str>, RandomState>,
}

impl OutputHeaders {
    pub(crate) fn new(stage: &str, version: &str, writes: &[&'static str]) -> Self {
        Self {
            stage: format!("{stage}/{version}").into(),
            traceparent_name: TRACEPARENT.into(),
            origin_name: ORIGIN.into(),
            stage_name: STAGE.into(),
            topics: writes.iter().map(|topic| (*topic, Arc::from(*topic))).collect(),
        }
    }

    /// Name and version of the stage.
    pub(crate) fn stage(&self) -> Bytes {
        self.stage.clone()
    }

    /// A topic's name, shared.
    pub(crate) fn topic(&self, name: &'static str) -> Arc<str> {
        self.topics.get(name).cloned().unwrap_or_else(|| name.into())
    }

    /// Headers of a record that was made from `record`, or from `origins`.
    pub(crate) fn output(
        &self,
        record: Option<&Record>,
        origins: Option<&Origins>,
        traceparent: Option<Bytes>,
        context: &TraceContext,
    ) -> Headers {
        let carried = traceparent.as_deref().and_then(TraceContext::parse);
        let traceparent = carried.as_ref().unwrap_or(context).format();
        let mut headers = Headers(Vec::with_capacity(3));
        headers.push(self.traceparent_name.clone(), traceparent);
        let origin: Option<Bytes> = match (origins, record) {
            (Some(origins), _) => Some(origins.to_string().into()),
            (None, Some(record)) => Some((&record.origin()).into()),
            (None, None) => None,
        };
        if let Some(origin) = origin {
            headers.push(self.origin_name.clone(), origin);
        }
        headers.push(self.stage_name.clone(), self.stage.clone());
        headers
    }

    /// Headers of an entry of the changelog, which was made from `records`.
    pub(crate) fn changelog<'a>(&self, records: impl Iterator<Item = &'a Record>) -> Headers {
        let mut origins = Origins::default();
        let mut context = None;
        for record in records {
            origins.push_last(record.origin());
            context = Some(record);
        }
        let context = context.map_or_else(TraceContext::root, TraceContext::of);
        self.output(None, Some(&origins), None, &context)
    }
}

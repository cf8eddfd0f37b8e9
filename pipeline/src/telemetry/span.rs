//! The span in which a stage handles one record, and the context that goes on from it.

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::traceparent::TraceContext;
use crate::record::Record;

/// The span in which `stage` handles `record`: disabled unless the context is sampled, and
/// otherwise a child of the span that the context names, which may be of another process.
pub fn span_for_record(stage: &'static str, record: &Record, context: &TraceContext) -> Span {
    if !context.sampled {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: "hephaestus::record",
        "handle",
        otel.name = stage,
        otel.kind = "consumer",
        stage,
        messaging.destination.name = %record.topic,
        messaging.destination.partition.id = record.partition,
        // An unsigned number would be exported as text.
        messaging.offset = i64::try_from(record.offset).unwrap_or(i64::MAX),
    );
    // Without an exporter there is nothing to set; the span then serves the log lines alone.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote(context)));
    span
}

/// The context for what is written from within `span`: that span, where it is exported, and
/// otherwise what was there before.
pub fn carried(span: &Span, context: &TraceContext) -> TraceContext {
    if span.is_disabled() {
        return *context;
    }
    let exported = span.context();
    let exported = exported.span().span_context().clone();
    if !exported.is_valid() {
        return *context;
    }
    TraceContext {
        trace_id: u128::from_be_bytes(exported.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(exported.span_id().to_bytes()),
        sampled: exported.is_sampled(),
    }
}

fn remote(context: &TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from(context.trace_id),
        SpanId::from(context.span_id),
        TraceFlags::default().with_sampled(context.sampled),
        true,
        TraceState::NONE,
    )
}

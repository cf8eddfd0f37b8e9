//! Prints how many values the codec encodes and decodes in a second on one core, and how that
//! compares to `apache-avro`: `cargo run --release -p hephaestus-schemas --example codec_rate`.
#![allow(clippy::print_stdout)]

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use apache_avro::{Schema, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use hephaestus_schemas::{
    ClassifiedLog, Codec, CodecLimits, Value, registry::MemoryStore, registry::Registry,
    registry_http, wire,
};

/// How long each run takes.
const RUN: Duration = Duration::from_millis(100);

/// Runs of each measurement.
const RUNS: usize = 30;

/// Values between two looks at the clock.
const BATCH: u32 = 100;

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Failure> {
    let registry = Registry::open(MemoryStore::default()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, registry_http::router(registry)).await });
    let codec = Codec::connect(&url, CodecLimits::default())?;
    codec.register::<ClassifiedLog>("classified-logs").await?;

    let failure: ClassifiedLog = serde_json::from_str(include_str!("classified-log.json"))?;
    let mut line = failure.clone();
    line.exception = None;
    line.culprits.clear();
    line.context.clear();
    compare(&codec, "one line, no exception", &line).await?;
    compare(&codec, "exception with its context", &failure).await
}

async fn compare(codec: &Codec, title: &str, value: &ClassifiedLog) -> Result<(), Failure> {
    let writer = codec.writer::<ClassifiedLog>("classified-logs")?;
    let bytes = writer.encode(value)?;
    codec.decode::<ClassifiedLog>(&bytes).await?;
    let (_, datum) = wire::split(&bytes)?;
    println!("{title}: {} bytes", bytes.len());

    let mut out = Vec::new();
    let encode = rate(|| {
        out.clear();
        writer.encode_into(black_box(value), &mut out)?;
        Ok(())
    })?;
    let encode_bytes = rate(|| {
        black_box(writer.encode(black_box(value))?);
        Ok(())
    })?;
    let decode = rate(|| {
        black_box(codec.try_decode::<ClassifiedLog>(black_box(&bytes))?);
        Ok(())
    })?;

    let schema = Schema::parse_str(ClassifiedLog::SCHEMA)?;
    let reference = GenericDatumWriter::builder(&schema).build()?;
    let encode_reference = rate(|| {
        out.clear();
        reference.write_ser(&mut out, black_box(value))?;
        Ok(())
    })?;
    let reference = GenericDatumReader::builder(&schema).build()?;
    let decode_reference = rate(|| {
        black_box(reference.read_deser::<ClassifiedLog>(&mut black_box(datum))?);
        Ok(())
    })?;
    print("encode into a buffer", encode, encode_reference);
    print("encode to new bytes", encode_bytes, encode_reference);
    print("decode", decode, decode_reference);
    Ok(())
}

/// Calls in a second: the best of some short runs, which other programs disturb the least.
fn rate(mut act: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut best: f64 = 0.0;
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut calls = 0.0;
        while start.elapsed() < RUN {
            for _ in 0..BATCH {
                act()?;
            }
            calls += f64::from(BATCH);
        }
        best = best.max(calls / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn print(what: &str, ours: f64, reference: f64) {
    let ratio = ours / reference;
    println!("  {what:22} {ours:>10.0}/s   apache-avro {reference:>9.0}/s   ratio {ratio:.1}");
}

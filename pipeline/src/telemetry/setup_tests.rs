#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(config: &TelemetryConfig) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let writer = move || writer.clone();
    let (subscriber, provider) = assemble(config, |_| None, false, writer).unwrap();
    assert!(provider.is_none(), "nothing is exported unless an endpoint is set");
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(stage = "classifier", error = "line\nbreak \u{1b}[31m", "shown");
        tracing::debug!("hidden");
    });
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn json_is_one_object_a_line_whatever_is_logged() {
    let config = TelemetryConfig { format: LogFormat::Json, ..TelemetryConfig::default() };
    let text = logged(&config);
    assert_eq!(text.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"shown".into()));
    assert_eq!(line["error"], "line\nbreak \u{1b}[31m");
    assert!(!text.contains('\u{1b}'), "a terminal's escape got through");
}

#[test]
fn lines_for_people_cannot_be_forged_by_what_is_logged() {
    let text = logged(&TelemetryConfig::default());
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(text.contains("shown stage=\"classifier\""), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn the_filter_decides_what_is_written() {
    let config = TelemetryConfig { filter: "warn".into(), ..TelemetryConfig::default() };
    assert_eq!(logged(&config), "");
    let config = TelemetryConfig { filter: "debug".into(), ..TelemetryConfig::default() };
    assert!(logged(&config).contains("hidden"));
}

#[test]
fn names_the_setting_that_is_wrong() {
    let refused = |config: &TelemetryConfig| {
        assemble(config, |_| None, false, io::sink).map(|_| ()).unwrap_err().to_string()
    };
    let good = TelemetryConfig::default();
    let filter = refused(&TelemetryConfig { filter: "inof=loud".into(), ..good.clone() });
    assert!(filter.starts_with("telemetry.filter \"inof=loud\" is no filter"), "{filter}");
    let ratio = refused(&TelemetryConfig { sample_ratio: 1.5, ..good.clone() });
    assert_eq!(ratio, "telemetry.sample_ratio is 1.5, wanted from 0 to 1");
    let endpoint = refused(&TelemetryConfig { otlp_endpoint: Some("localhost".into()), ..good });
    assert!(endpoint.starts_with("OTLP endpoint \"localhost\""), "{endpoint}");
}

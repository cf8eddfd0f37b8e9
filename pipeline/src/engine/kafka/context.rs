//! What librdkafka says, on its way to the log: few lines, and no secret in them; and the tokens it asks for.

use std::{
    collections::BTreeSet,
    error::Error,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Statistics,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, Producer as _, ProducerContext},
};

use super::oauth::TokenSource;

/// Lines of one client that are logged within [`PERIOD`]; what else it says is counted.
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(10);
/// Longest line, in bytes: names of topics may stand in it.
const LONGEST_LINE: usize = 2_000;
/// Shorter values are too common in other text to be looked for.
const SHORTEST_SECRET: usize = 4;
const HIDDEN: &str = "(secret)";
/// What librdkafka 2.12 says wherever a connection ends (`rd_kafka_broker_set_error`) and a request is no longer waited for
/// (`rd_kafka_broker_bufq_timeout_scan`). It says the former to who asks for [`CONNECTION_LINES`] only: it leaves out errors
/// that repeat themselves within 30 s.
const ENDS: [&str; 2] = ["FAIL", "REQTMOUT"];
/// The value of librdkafka's `debug` with which a context is told of every connection that ends.
pub(crate) const CONNECTION_LINES: &str = "broker";
/// Ends that take nothing with them: no request was sent where a connection was not there yet, and to a bootstrap broker,
/// whose connection librdkafka ends once it knows the cluster's own, none goes that belongs to a transaction.
const HARMLESS: [&str; 3] = ["in state CONNECT", "in state TRY_CONNECT", "/bootstrap: "];

/// Values that must not be shown, as they are configured.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<BTreeSet<String>>);

impl Secrets {
    pub(crate) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let long = values.into_iter().filter(|value| value.len() >= SHORTEST_SECRET);
        Self(Arc::new(long.collect()))
    }

    /// The text without secrets, and not longer than a line may be.
    pub(crate) fn scrub(&self, text: &str) -> String {
        // A secret that is cut in half is no longer found: the cut comes last.
        let mut clean = text.to_owned();
        for secret in self.0.iter().rev() {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), HIDDEN);
            }
        }
        if clean.len() > LONGEST_LINE {
            let mut end = LONGEST_LINE;
            while !clean.is_char_boundary(end) {
                end -= 1;
            }
            clean.truncate(end);
        }
        clean
    }
}

/// The context of a client.
pub(crate) struct EngineContext {
    /// What the client is for, in the log.
    role: Arc<str>,
    secrets: Secrets,
    tokens: Option<Arc<TokenSource>>,
    /// The configuration asks for debug lines.
    wants_debug: bool,
    has_lost_connection: AtomicBool,
    /// Lines, errors and questions for a token that were taken from the client's queue.
    told: AtomicU64,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    since: Option<Instant>,
    lines: u32,
    suppressed: u32,
    last_error: Option<String>,
}

impl EngineContext {
    pub(crate) fn new(
        role: impl Into<Arc<str>>,
        secrets: Secrets,
        tokens: Option<Arc<TokenSource>>,
        wants_debug: bool,
    ) -> Self {
        Self {
            role: role.into(),
            secrets,
            tokens,
            wants_debug,
            has_lost_connection: AtomicBool::new(false),
            told: AtomicU64::new(0),
            said: Mutex::default(),
        }
    }

    /// What went wrong last on the way to the brokers.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.said().last_error.clone()
    }

    /// Whether one more line may be logged now.
    fn may_speak(&self) -> bool {
        let mut said = self.said();
        let now = Instant::now();
        if said.since.is_none_or(|since| now.duration_since(since) >= PERIOD) {
            if said.suppressed > 0 {
                tracing::debug!(client = %self.role, lines = said.suppressed, "lines of the client left out");
            }
            said.since = Some(now);
            said.lines = 0;
            said.suppressed = 0;
        }
        if said.lines >= LINES {
            said.suppressed += 1;
            return false;
        }
        said.lines += 1;
        true
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        // One value is written at a time: nothing is half done after a panic.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for EngineContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.told.fetch_add(1, Ordering::Relaxed);
        // Settings are given to every client; librdkafka tells each which are not for it.
        let is_noise = facility == "CONFWARN" && line.contains("will be ignored by this");
        // Debug lines come only where the setting `debug` asks for them, all of them.
        let is_debug = matches!(level, RDKafkaLogLevel::Debug);
        let is_end = ENDS.contains(&facility);
        if is_end && !HARMLESS.iter().any(|words| line.contains(words)) {
            self.has_lost_connection.store(true, Ordering::Release);
        }
        let is_wanted = if is_debug { self.wants_debug } else { self.may_speak() };
        if is_noise || !is_wanted {
            return;
        }
        let line = self.secrets.scrub(line);
        let client = &*self.role;
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", client, facility, "{line}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::debug!(target: "librdkafka", client, facility, "{line}");
            }
            RDKafkaLogLevel::Debug => {
                tracing::trace!(target: "librdkafka", client, facility, "{line}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.told.fetch_add(1, Ordering::Relaxed);
        let code = error.rdkafka_error_code();
        // The end of a partition is no error, though it is told as one.
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let reason = self.secrets.scrub(reason);
        // That all brokers are down says less than what was said of each before, and is said again and again.
        let is_summary = code == Some(RDKafkaErrorCode::AllBrokersDown);
        {
            let mut said = self.said();
            if !is_summary || said.last_error.is_none() {
                said.last_error = Some(reason.clone());
            }
        }
        if is_summary {
            tracing::debug!(target: "librdkafka", client = %self.role, "{reason}");
        } else if self.may_speak() {
            tracing::warn!(target: "librdkafka", client = %self.role, "{reason}");
        }
    }

    fn stats(&self, _: Statistics) {}

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.told.fetch_add(1, Ordering::Relaxed);
        let Some(tokens) = &self.tokens else {
            return Err("no endpoint for tokens is configured".into());
        };
        let token = tokens.token().inspect_err(|error| {
            self.said().last_error = Some(error.to_string());
            tracing::warn!(client = %self.role, %error, "no token for the brokers");
        })?;
        Ok(token)
    }
}

/// The context of a client with callbacks of its own; `T` is what they need.
pub(crate) struct Callbacks<T> {
    pub(crate) engine: EngineContext,
    pub(crate) own: T,
}

/// Whether a connection of a producer ended, so that a request may still lie in the network which was sent again since.
/// For producers that are made with [`CONNECTION_LINES`].
///
/// librdkafka says so before it sends on another connection what was sent on this one; what it says lies in the producer's
/// queue, of which a poll takes one piece. All that was said so far is taken.
pub(crate) fn has_lost_connection<T>(producer: &BaseProducer<Callbacks<T>>) -> bool
where
    Callbacks<T>: ProducerContext,
{
    let context = &producer.context().engine;
    loop {
        let told = context.told.load(Ordering::Relaxed);
        producer.poll(Duration::ZERO);
        if context.told.load(Ordering::Relaxed) == told {
            return context.has_lost_connection.load(Ordering::Acquire);
        }
    }
}

impl<T> Deref for Callbacks<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.own
    }
}

impl<T: Send + Sync> ClientContext for Callbacks<T> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = EngineContext::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.engine.log(level, facility, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.engine.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.engine.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.engine.generate_oauth_token(config)
    }
}

impl ConsumerContext for EngineContext {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_long_lines_are_cut() {
        let secrets = Secrets::new(["hunter2".to_owned(), "hunter22".to_owned(), "abc".to_owned()]);
        let clean = secrets.scrub("password=hunter2, again hunter22, and abc");
        assert_eq!(clean, "password=(secret), again (secret), and abc");
        // One that the cut would have halved.
        let long = format!("{}hunter2{}", "ä".repeat(998), "y".repeat(3000));
        let clean = secrets.scrub(&long);
        assert!(clean.len() <= LONGEST_LINE && !clean.contains("hunt"), "{clean}");
    }

    #[test]
    fn a_client_that_says_much_is_cut_short() {
        let context = EngineContext::new("test", Secrets::default(), None, false);
        let spoken = (0..LINES + 5).filter(|_| context.may_speak()).count();
        assert_eq!(spoken, LINES as usize);
        assert_eq!(context.said().suppressed, 5);
    }

    #[test]
    fn the_last_error_is_kept_for_the_message_of_who_waits() {
        let context = EngineContext::new("test", Secrets::new(["hunter2".to_owned()]), None, false);
        let error = |code| KafkaError::Global(code);
        context.error(error(RDKafkaErrorCode::Authentication), "login hunter2 failed");
        context.error(error(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(context.last_error().as_deref(), Some("login (secret) failed"));
    }

    #[test]
    fn a_connection_that_ends_is_noticed_and_one_that_never_was_is_not() {
        let context = EngineContext::new("test", Secrets::default(), None, false);
        let refused = "localhost:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT) (_TRANSPORT)";
        context.log(RDKafkaLogLevel::Debug, "FAIL", refused);
        let known = "localhost:9092/bootstrap: Decommissioning this broker (after 17ms in state UP) (_DESTROY_BROKER)";
        context.log(RDKafkaLogLevel::Debug, "FAIL", known);
        context.log(RDKafkaLogLevel::Debug, "STATE", "Broker changed state UP -> DOWN");
        assert!(!context.has_lost_connection.load(Ordering::Acquire));
        let lost = "localhost:9092/1: Disconnected (after 4711ms in state UP) (_TRANSPORT): identical to last error: error log suppressed";
        context.log(RDKafkaLogLevel::Debug, "FAIL", lost);
        assert!(context.has_lost_connection.load(Ordering::Acquire));
    }
}

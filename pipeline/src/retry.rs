//! How long to wait before trying again: exponential, jittered, bounded.
//!
//! The only module that uses the crate `backoff`, so that it can be replaced in one place.

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use backoff::{
    backoff::Backoff,
    exponential::{ExponentialBackoff, ExponentialBackoffBuilder},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{config::HumanDuration, stage::Failure};

/// Longest wait that another side can ask for, by `Retry-After` for instance.
pub const LONGEST_WISH: Duration = Duration::from_secs(3600);
/// Longest wait that a policy may have.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);
/// A steeper climb would reach the longest wait at once.
const STEEPEST_MULTIPLIER: f64 = 100.0;
/// Longest value of a `Retry-After` header that is looked at; a date has 29 bytes.
const LONGEST_RETRY_AFTER: usize = 64;

/// The fields of a [`RetryPolicy`], as a configuration has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySettings {
    /// First wait, before jitter.
    pub initial: HumanDuration,
    /// Longest wait, jitter included.
    pub max: HumanDuration,
    /// By what each wait is longer than the one before, 1 to 100.
    pub multiplier: f64,
    /// Share of each wait that is left to chance, up and down, 0 to 1.
    pub jitter: f64,
    /// When to give up, counted from the first failure; without it, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_elapsed: Option<HumanDuration>,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            initial: HumanDuration::from_millis(200),
            max: HumanDuration::from_secs(30),
            multiplier: 2.0,
            jitter: 0.3,
            max_elapsed: None,
        }
    }
}

/// Which field of a retry policy is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RetryPolicyError {
    /// The first wait.
    #[error("initial is {0}, wanted more than 0s")]
    Initial(HumanDuration),
    /// The longest wait.
    #[error("max is {max}, wanted from initial ({initial}) to {}", HumanDuration(LONGEST_DELAY))]
    Max {
        /// What it is.
        max: HumanDuration,
        /// The first wait.
        initial: HumanDuration,
    },
    /// The climb.
    #[error("multiplier is {0}, wanted from 1 to {STEEPEST_MULTIPLIER}")]
    Multiplier(f64),
    /// The chance.
    #[error("jitter is {0}, wanted from 0 to 1")]
    Jitter(f64),
    /// The end.
    #[error("max_elapsed is {0}, wanted more than 0s, or to be left out")]
    MaxElapsed(HumanDuration),
}

/// How long to wait between tries; checked when it is built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RetrySettings", into = "RetrySettings")]
pub struct RetryPolicy(RetrySettings);

impl Default for RetryPolicy {
    /// 200 ms, doubled up to 30 s, 30 % jitter, without end.
    fn default() -> Self {
        Self(RetrySettings::default())
    }
}

impl TryFrom<RetrySettings> for RetryPolicy {
    type Error = RetryPolicyError;

    fn try_from(settings: RetrySettings) -> Result<Self, RetryPolicyError> {
        Self::new(settings)
    }
}

impl From<RetryPolicy> for RetrySettings {
    fn from(policy: RetryPolicy) -> Self {
        policy.0
    }
}

impl RetryPolicy {
    /// Checks the settings.
    ///
    /// # Errors
    /// Names the first field that is out of its range.
    pub fn new(settings: RetrySettings) -> Result<Self, RetryPolicyError> {
        let RetrySettings { initial, max, multiplier, jitter, max_elapsed } = settings;
        if initial.is_zero() {
            return Err(RetryPolicyError::Initial(initial));
        }
        if max < initial || *max > LONGEST_DELAY {
            return Err(RetryPolicyError::Max { max, initial });
        }
        if !(1.0..=STEEPEST_MULTIPLIER).contains(&multiplier) {
            return Err(RetryPolicyError::Multiplier(multiplier));
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(RetryPolicyError::Jitter(jitter));
        }
        if let Some(end) = max_elapsed
            && end.is_zero()
        {
            return Err(RetryPolicyError::MaxElapsed(end));
        }
        Ok(Self(settings))
    }

    /// First wait, before jitter.
    pub fn initial(&self) -> Duration {
        *self.0.initial
    }

    /// Longest wait, jitter included.
    pub fn max(&self) -> Duration {
        *self.0.max
    }

    /// What it was built from.
    pub fn settings(&self) -> &RetrySettings {
        &self.0
    }

    /// The waits of one thing that failed; its time starts now.
    pub fn delays(&self) -> Delays {
        let settings = &self.0;
        // The jitter goes on top: at the bound it would be cut off, and with it what it is for.
        let max_before_jitter: Duration = settings.max.div_f64(1.0 + settings.jitter);
        let mut backoff = ExponentialBackoffBuilder::<TokioClock>::new()
            .with_initial_interval(max_before_jitter.min(*settings.initial))
            .with_max_interval(max_before_jitter)
            .with_multiplier(settings.multiplier)
            .with_randomization_factor(settings.jitter)
            .with_max_elapsed_time(None)
            .build();
        backoff.reset();
        Delays { settings: settings.clone(), backoff, tries: 0 }
    }
}

/// Tokio's clock, which stands still in tests that pause it.
#[derive(Debug, Clone, Default)]
struct TokioClock;

impl backoff::Clock for TokioClock {
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// The waits between the tries of one thing.
#[derive(Debug, Clone)]
pub struct Delays {
    settings: RetrySettings,
    backoff: ExponentialBackoff<TokioClock>,
    tries: u32,
}

impl Delays {
    /// How long to wait now; none when the policy gives up.
    ///
    /// `wish` is how long the other side asked to wait. The wait is never shorter (a wish above
    /// [`LONGEST_WISH`] counts as that), and jitter is added, so that not everyone comes back at once.
    pub fn next(&mut self, wish: Option<Duration>) -> Option<Duration> {
        let own = self.backoff.next_backoff()?.min(*self.settings.max);
        let delay = match wish.map(|wish| wish.min(LONGEST_WISH)) {
            Some(wish) if wish > own => {
                let spread = self.settings.initial.mul_f64(self.settings.jitter);
                wish + spread.mul_f64(fastrand::f64())
            }
            _ => own,
        };
        if let Some(end) = self.settings.max_elapsed
            && self.elapsed() + delay > *end
        {
            return None;
        }
        self.tries = self.tries.saturating_add(1);
        Some(delay)
    }

    /// How many waits were given since the start.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.backoff.get_elapsed_time()
    }

    /// Starts from the beginning: what failed has worked.
    pub fn reset(&mut self) {
        self.backoff.reset();
        self.tries = 0;
    }
}

/// Why [`retry`] ended without a value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RetryError {
    /// It was told to stop.
    #[error("cancelled while waiting for {what}")]
    Cancelled {
        /// What was tried.
        what: &'static str,
    },
    /// The policy gave up.
    #[error("gave up on {what} after {tries} tries in {}: {last}", HumanDuration(*.elapsed))]
    GaveUp {
        /// What was tried.
        what: &'static str,
        /// How often.
        tries: u32,
        /// For how long.
        elapsed: Duration,
        /// Why the last try failed.
        last: Failure,
    },
    /// It failed in a way that trying again does not help.
    #[error("{what}: {failure}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        failure: Failure,
    },
}

/// Tries until it works, for work at start-up: a [`Failure::Retry`] is tried again, others are not.
///
/// `what` names the work in log lines and errors. A try that is running is dropped on cancellation.
///
/// # Errors
/// See [`RetryError`].
pub async fn retry<T, Op, Try>(
    policy: &RetryPolicy,
    cancel: &CancellationToken,
    what: &'static str,
    mut op: Op,
) -> Result<T, RetryError>
where
    Op: FnMut() -> Try,
    Try: Future<Output = Result<T, Failure>>,
{
    let mut delays = policy.delays();
    loop {
        let outcome = cancel.run_until_cancelled(op()).await;
        let failure = match outcome {
            None => return Err(RetryError::Cancelled { what }),
            Some(Ok(value)) => return Ok(value),
            Some(Err(failure)) => failure,
        };
        let Failure::Retry { after, .. } = &failure else {
            return Err(RetryError::Failed { what, failure });
        };
        let Some(delay) = delays.next(*after) else {
            return Err(RetryError::GaveUp {
                what,
                tries: delays.tries() + 1,
                elapsed: delays.elapsed(),
                last: failure,
            });
        };
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        // As text it is escaped: what the other side said cannot forge a log line.
        tracing::warn!(what, delay_ms, error = failure.to_string(), "to be tried again");
        let slept = cancel.run_until_cancelled(tokio::time::sleep(delay)).await;
        if slept.is_none() {
            return Err(RetryError::Cancelled { what });
        }
    }
}

/// Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3).
///
/// None where it is neither. A date that has passed is no wait; nothing is longer than [`LONGEST_WISH`].
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if value.is_empty() || value.len() > LONGEST_RETRY_AFTER {
        return None;
    }
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_WISH));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let wait = date.duration_since(now).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST_WISH))
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

fn policy(initial_ms: u64, max_ms: u64, jitter: f64, max_elapsed_ms: Option<u64>) -> RetryPolicy {
    RetryPolicy::new(RetrySettings {
        initial: HumanDuration::from_millis(initial_ms),
        max: HumanDuration::from_millis(max_ms),
        multiplier: 2.0,
        jitter,
        max_elapsed: max_elapsed_ms.map(HumanDuration::from_millis),
    })
    .unwrap()
}

#[test]
fn names_the_field_that_is_wrong() {
    let good = RetrySettings::default();
    let zero = HumanDuration::default();
    let cases = [
        (RetrySettings { initial: zero, ..good.clone() }, "initial is 0s"),
        (
            RetrySettings { max: HumanDuration::from_millis(1), ..good.clone() },
            "max is 1ms, wanted from initial (200ms) to 1d",
        ),
        (RetrySettings { max: HumanDuration::from_secs(1 << 40), ..good.clone() }, "max is "),
        (
            RetrySettings { multiplier: 0.5, ..good.clone() },
            "multiplier is 0.5, wanted from 1 to 100",
        ),
        (RetrySettings { multiplier: f64::NAN, ..good.clone() }, "multiplier is NaN"),
        (RetrySettings { jitter: 1.5, ..good.clone() }, "jitter is 1.5, wanted from 0 to 1"),
        (RetrySettings { max_elapsed: Some(zero), ..good }, "max_elapsed is 0s"),
    ];
    for (settings, expected) in cases {
        let error = RetryPolicy::new(settings).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn is_checked_when_it_is_read() {
    let read: RetryPolicy = toml::from_str("initial = \"1s\"\nmax = \"1m30s\"").unwrap();
    assert_eq!(*read.settings().initial, Duration::from_secs(1));
    assert_eq!(*read.settings().max, Duration::from_secs(90));
    let error = toml::from_str::<RetryPolicy>("jitter = 2.0").unwrap_err();
    assert_eq!(error.message(), "jitter is 2, wanted from 0 to 1");
    let error = toml::from_str::<RetryPolicy>("inital = \"1s\"").unwrap_err();
    assert!(error.message().starts_with("unknown field `inital`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn doubles_up_to_the_bound_without_jitter() {
    let mut delays = policy(100, 1000, 0.0, None).delays();
    let waits: Vec<u128> = (0..6).map(|_| delays.next(None).unwrap().as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
    assert_eq!(delays.tries(), 6);
    delays.reset();
    assert_eq!(delays.next(None), Some(Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn gives_up_when_the_wait_would_pass_the_end() {
    let mut delays = policy(100, 1000, 0.0, Some(350)).delays();
    let first = delays.next(None).unwrap();
    tokio::time::advance(first).await;
    let second = delays.next(None).unwrap();
    tokio::time::advance(second).await;
    assert_eq!(delays.elapsed(), Duration::from_millis(300));
    assert_eq!(delays.next(None), None);
}

#[tokio::test(start_paused = true)]
async fn waits_at_least_as_long_as_it_was_asked_to() {
    let mut delays = policy(100, 1000, 0.5, None).delays();
    let wish = Duration::from_secs(60);
    let wait = delays.next(Some(wish)).unwrap();
    assert!(wait >= wish && wait <= wish + Duration::from_millis(50), "{wait:?}");
    let wait = delays.next(Some(Duration::MAX)).unwrap();
    assert!(wait >= LONGEST_WISH && wait <= LONGEST_WISH + Duration::from_millis(50), "{wait:?}");
    let mut ended = policy(100, 1000, 0.5, Some(5000)).delays();
    assert_eq!(ended.next(Some(wish)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn stays_within_its_bounds(initial in 1u64..5_000, factor in 1u64..100, jitter in 0.0f64..=1.0, wish in prop::option::of(0u64..10_000)) {
        let max = initial * factor;
        let mut delays = policy(initial, max, jitter, None).delays();
        let wish = wish.map(Duration::from_millis);
        for _ in 0..12 {
            let wait = delays.next(wish).unwrap();
            let bound = Duration::from_millis(max).max(wish.unwrap_or_default() + Duration::from_millis(initial));
            prop_assert!(wait <= bound, "{:?} passes {:?}", wait, bound);
            prop_assert!(wait >= wish.unwrap_or_default());
        }
    }

    #[test]
    fn no_retry_after_panics(value in "\\PC{0,70}") {
        let _ = parse_retry_after(&value, SystemTime::UNIX_EPOCH);
    }
}

#[tokio::test(start_paused = true)]
async fn tries_until_it_works() {
    let tries = AtomicU32::new(0);
    let started = tokio::time::Instant::now();
    let cancel = CancellationToken::new();
    let value = retry(&policy(100, 1000, 0.0, None), &cancel, "registry", async || {
        match tries.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err(Failure::retry("unavailable", "not yet")),
            _ => Ok(7),
        }
    })
    .await;
    assert_eq!(value.unwrap(), 7);
    assert_eq!(started.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn does_not_try_again_what_cannot_work() {
    let tries = AtomicU32::new(0);
    let cancel = CancellationToken::new();
    let outcome: Result<(), _> =
        retry(&policy(100, 1000, 0.0, None), &cancel, "registry", async || {
            tries.fetch_add(1, Ordering::Relaxed);
            Err(Failure::Fatal { message: "no such host".into() })
        })
        .await;
    assert_eq!(outcome.unwrap_err().to_string(), "registry: fatal: no such host");
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn says_why_it_gave_up() {
    let cancel = CancellationToken::new();
    let outcome: Result<(), _> =
        retry(&policy(100, 1000, 0.0, Some(250)), &cancel, "registry", async || {
            Err(Failure::retry("unavailable", "connection refused"))
        })
        .await;
    let error = outcome.unwrap_err().to_string();
    assert_eq!(
        error,
        "gave up on registry after 2 tries in 100ms: to be retried (unavailable): connection refused"
    );
}

#[tokio::test(start_paused = true)]
async fn stops_waiting_when_cancelled() {
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let started = tokio::time::Instant::now();
    let patient = policy(60_000, 60_000, 0.0, None);
    let trying = retry(&patient, &cancel, "registry", async || {
        Err::<(), _>(Failure::retry("unavailable", "not yet"))
    });
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(trying, stopping);
    assert!(matches!(outcome, Err(RetryError::Cancelled { what: "registry" })));
    assert_eq!(started.elapsed(), Duration::from_secs(1));
}

#[test]
fn reads_retry_after() {
    let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
    let cases = [
        ("120", Some(120)),
        (" 0 ", Some(0)),
        ("99999999999999999999999", Some(3600)),
        ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
        ("Wed, 21 Oct 2015 07:27:30 GMT", Some(0)),
        ("Wed, 21 Oct 2099 07:27:30 GMT", Some(3600)),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
    ];
    for (value, seconds) in cases {
        assert_eq!(parse_retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
    }
}

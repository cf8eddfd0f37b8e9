//! Signals on series of events as services write them: given where something is not usual, and not on ordinary noise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use fastrand::Rng;
use hephaestus_analyzer::history::{History, MIN_BURST, NEW_EVENTS, Signal, Watch};
use hephaestus_schemas::Severity;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// A Monday, at midnight UTC: 2024-01-01.
const MONDAY: i64 = 1_704_067_200 * SECOND;
const WATCH: Watch =
    Watch { new_pattern: false, rate: true, silence: true, warm_from: MONDAY, since: MONDAY };

fn calm() -> History {
    let mut history = History::new("job done".into(), "activity".into());
    history.severity = Severity::Info;
    history
}

/// Times of events whose number in each minute is Poisson's with this mean.
fn events(from: i64, until: i64, rng: &mut Rng, mean_a_minute: impl Fn(i64) -> f64) -> Vec<i64> {
    let mut times = Vec::new();
    let mut minute = from;
    while minute < until {
        let none = (-mean_a_minute(minute)).exp();
        let mut product = rng.f64();
        while product > none {
            times.push(minute + rng.i64(0..MINUTE));
            product *= rng.f64();
        }
        minute += MINUTE;
    }
    times.sort_unstable();
    times
}

fn observe(history: &mut History, times: &[i64], watch: &Watch) -> Vec<Signal> {
    times.iter().flat_map(|at| history.observe(*at, watch)).collect()
}

/// What a history says of a series.
fn signals(times: &[i64]) -> Vec<Signal> {
    observe(&mut calm(), times, &WATCH)
}

/// Busy by day, quiet at night.
fn by_day(at: i64) -> f64 {
    let hour = at.rem_euclid(DAY) as f64 / HOUR as f64;
    0.1 + 2.0 * ((hour - 14.0) / 24.0 * std::f64::consts::TAU).cos().max(0.0)
}

/// The same, and hardly anything at the weekend.
fn by_week(at: i64) -> f64 {
    let weekend = (at - MONDAY).rem_euclid(WEEK) >= 5 * DAY;
    if weekend { 0.05 } else { by_day(at) }
}

/// Series of each shape, of some eight weeks, with a rate and a beginning drawn by lot.
fn shapes(rng: &mut Rng) -> Vec<(&'static str, Vec<i64>)> {
    let end = MONDAY + 8 * WEEK;
    let scale = 10f64.powf(rng.f64() * 2.0 - 1.5);
    let start = MONDAY + rng.i64(0..7) * DAY + rng.i64(0..24) * HOUR;
    let mut bursts: Vec<i64> = Vec::new();
    let mut at = start;
    while at < end {
        at += (rng.f64() * 2.0 * DAY as f64) as i64;
        bursts.push(at);
    }
    let bursty = |at: i64| {
        let before = bursts.partition_point(|burst| *burst <= at);
        let in_burst = before > 0 && at - bursts[before - 1] < 20 * MINUTE;
        scale * if in_burst { 30.0 } else { 0.5 }
    };
    let mut jobs = Vec::new();
    let mut hour = start;
    while hour < end {
        jobs.extend((0..3).map(|line| hour + line * SECOND + rng.i64(0..2 * MINUTE)));
        hour += HOUR;
    }
    jobs.sort_unstable();
    vec![
        ("steady", events(start, end, rng, |_| scale)),
        ("by day", events(start, end, rng, |at| scale * by_day(at))),
        ("by week", events(start, end, rng, |at| scale * by_week(at))),
        ("bursty", events(start, end, rng, bursty)),
        ("job", jobs),
    ]
}

#[test]
fn ordinary_noise_is_quiet() {
    let (mut patterns, mut first_bursts) = (0, 0);
    for seed in 0..16 {
        let mut rng = Rng::with_seed(seed);
        for (shape, times) in shapes(&mut rng) {
            patterns += 1;
            let told = signals(&times);
            if shape != "bursty" {
                assert_eq!(told, [], "{shape}, seed {seed}");
                continue;
            }
            // Some thirty bursts, of sixty times the usual: the first is news, what comes after it is not.
            assert!(told.len() <= 1, "seed {seed}: {told:?}");
            first_bursts += told.len();
        }
    }
    assert_eq!(patterns, 80);
    assert!(first_bursts <= 8, "{first_bursts} in 640 weeks of a pattern");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_burst_is_told_once_and_at_once(seed in any::<u64>(), day in 8i64..50, factor in 8u32..100) {
        let mut rng = Rng::with_seed(seed);
        let mut times = events(MONDAY, MONDAY + 51 * DAY, &mut rng, |_| 1.0);
        let start = MONDAY + day * DAY + rng.i64(0..DAY);
        // Usual are up to some 15 in five minutes.
        let burst = i64::from(factor) * 20;
        times.extend((0..burst).map(|number| start + number * (4 * MINUTE / burst)));
        times.sort_unstable();
        let told = signals(&times);
        prop_assert_eq!(told.len(), 1, "{:?}", told);
        let Signal::Rate { at, count, usual, .. } = told[0] else {
            return Err(TestCaseError::fail(format!("{told:?}")));
        };
        prop_assert!(at >= start && at < start + 5 * MINUTE, "within the burst");
        prop_assert!(count > MIN_BURST && count > 3 * usual);
    }
}

#[test]
fn what_is_much_for_the_hour_is_told_where_the_hours_differ() {
    let mut rng = Rng::with_seed(7);
    let mean = |at: i64| 20.0 * by_week(at);
    let mut times = events(MONDAY, MONDAY + 6 * WEEK, &mut rng, mean);
    let night = MONDAY + 5 * WEEK + 2 * DAY + 2 * HOUR;
    // As much as on a busy afternoon.
    times.extend(events(night, night + 10 * MINUTE, &mut rng, |_| 40.0));
    times.sort_unstable();
    let told = signals(&times);
    assert!(
        matches!(told[..], [Signal::Rate { at, seasonal: true, .. }] if (night..night + 10 * MINUTE).contains(&at)),
        "{told:?}"
    );
    let afternoon = MONDAY + 5 * WEEK + 2 * DAY + 14 * HOUR;
    let mut times = events(MONDAY, MONDAY + 6 * WEEK, &mut rng, mean);
    times.extend(events(afternoon, afternoon + 10 * MINUTE, &mut rng, |_| 40.0));
    times.sort_unstable();
    assert_eq!(signals(&times), []);
}

#[test]
fn bursts_at_any_hour_are_no_season() {
    let mut told = 0;
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        let bursts: Vec<i64> = (0..56).map(|day| MONDAY + day * DAY + rng.i64(0..DAY)).collect();
        let mean = |at: i64| {
            let in_burst = bursts.iter().any(|burst| (0..15 * MINUTE).contains(&(at - burst)));
            if in_burst { 40.0 } else { 0.2 }
        };
        told += signals(&events(MONDAY, MONDAY + 8 * WEEK, &mut rng, mean)).len();
    }
    assert!(told <= 20, "{told} in 160 weeks of a pattern, with as many bursts as days");
}

#[test]
fn a_job_that_stops_is_told_in_time_and_once() {
    let jobs: Vec<i64> = (0..14 * 24).map(|hour| MONDAY + hour * HOUR).collect();
    let mut history = calm();
    assert_eq!(observe(&mut history, &jobs, &WATCH), []);
    let last = *jobs.last().unwrap();
    let look = history.look_again(&WATCH);
    assert!(look > last + 3 * HOUR && look < last + 4 * HOUR);
    assert_eq!(history.check_silence(look, &WATCH), None, "until then all has to be heard");
    let told = history.check_silence(look + 1, &WATCH).unwrap();
    assert!(matches!(told, Signal::Silence { last: was, at, .. } if was == last && at == look));
    assert_eq!(history.check_silence(look + DAY, &WATCH), None, "it is told once");
    // It comes back, and stops again.
    let back: Vec<i64> = (0..48).map(|hour| last + DAY + hour * HOUR).collect();
    assert_eq!(observe(&mut history, &back, &WATCH), []);
    assert!(history.check_silence(back[47] + DAY, &WATCH).is_some());
}

#[test]
fn what_stopped_is_the_same_signal_when_it_is_only_told_on_its_return() {
    let jobs: Vec<i64> = (0..14 * 24).map(|hour| MONDAY + hour * HOUR).collect();
    let (mut asked, mut unasked) = (calm(), calm());
    observe(&mut asked, &jobs, &WATCH);
    observe(&mut unasked, &jobs, &WATCH);
    let back = jobs.last().unwrap() + DAY;
    let told = asked.check_silence(back - 1, &WATCH);
    assert!(told.is_some() && asked.observe(back, &WATCH).is_empty());
    assert_eq!(unasked.observe(back, &WATCH), Vec::from_iter(told));
    assert_eq!(asked, unasked);
}

#[test]
fn a_failure_that_stopped_is_no_signal_and_neither_is_a_pause_while_the_node_changed() {
    let jobs: Vec<i64> = (0..14 * 24).map(|hour| MONDAY + hour * HOUR).collect();
    let later = jobs[335] + 5 * DAY;
    let mut failing = calm();
    failing.severity = Severity::Error;
    observe(&mut failing, &jobs, &WATCH);
    assert_eq!(failing.check_silence(later, &WATCH), None);
    let mut history = calm();
    observe(&mut history, &jobs, &WATCH);
    let changed = Watch { since: jobs[335] + 1, ..WATCH };
    assert_eq!(history.check_silence(later, &changed), None);
    assert_eq!(history.observe(later, &changed), []);
}

#[test]
fn a_new_pattern_is_told_when_it_is_one_and_only_after_the_warm_up() {
    let watch = Watch { new_pattern: true, warm_from: MONDAY + DAY, ..WATCH };
    let four = |from: i64| [from, from + MINUTE, from + HOUR, from + 2 * HOUR];
    assert_eq!(observe(&mut calm(), &four(MONDAY + HOUR), &watch), [], "in the warm-up");
    let first = MONDAY + 2 * DAY;
    let told = observe(&mut calm(), &four(first), &watch);
    assert_eq!(told, [Signal::New { first, at: first + HOUR }]);
    assert_eq!(NEW_EVENTS, 3);
    // A word of many values comes once with each, and what is as rare is no pattern.
    let rare: Vec<i64> = (0..30).map(|number| first + number * 13 * HOUR).collect();
    assert_eq!(observe(&mut calm(), &rare, &watch), []);
}

/// A series that is stored and read back before some of its events, as at a restart, and looked at before each.
fn stored_between(times: &[i64], stores: &[usize], looks: bool) -> (Vec<Signal>, History) {
    let mut history = calm();
    let mut told = Vec::new();
    for (index, at) in times.iter().enumerate() {
        if stores.contains(&index) {
            let stored = serde_json::to_string(&history).unwrap();
            assert!(stored.len() < 1_200, "{} bytes", stored.len());
            history = serde_json::from_str(&stored).unwrap();
        }
        if looks {
            told.extend(history.check_silence(at.saturating_sub(1), &WATCH));
        }
        told.extend(history.observe(*at, &WATCH));
    }
    (told, history)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_replay_gives_the_same_signals_however_it_is_cut_and_whenever_timers_fire(
        seed in any::<u64>(), stores in prop::collection::vec(0usize..3_000, 0..20),
    ) {
        let mut rng = Rng::with_seed(seed);
        let quiet = MONDAY + 3 * WEEK + rng.i64(0..WEEK);
        let loud = MONDAY + 2 * WEEK + rng.i64(0..WEEK);
        let times = events(MONDAY, MONDAY + 6 * WEEK, &mut rng, |at| match at {
            at if (0..2 * DAY).contains(&(at - quiet)) => 0.0,
            at if (0..10 * MINUTE).contains(&(at - loud)) => 30.0,
            _ => 0.05,
        });
        let once = stored_between(&times, &[], false);
        prop_assert!(once.0.len() >= 2, "{:?}", once.0);
        prop_assert_eq!(&stored_between(&times, &stores, false), &once);
        prop_assert_eq!(&stored_between(&times, &stores, true), &once);
    }

    #[test]
    fn any_times_are_taken_and_the_history_stays_small(times in prop::collection::vec(any::<i64>(), 0..300)) {
        let (_, history) = stored_between(&times, &[], true);
        prop_assert!(history.weight() < 1_500);
        let _ = history.look_again(&WATCH);
    }
}

//! What is usual for one pattern on one node, and the signals that what happens is not.
//!
//! Promises: a pure function of the events in order, in event time, whenever timers fire: the same events give the
//! same signals. Some 700 bytes a pattern. docs/anomalies.md says what each signal means.

use hephaestus_schemas::Severity;
use serde::{Deserialize, Serialize};

use crate::season::Season;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Events after which something is a pattern; what comes less often in a day is forgotten.
pub const NEW_EVENTS: u64 = 3;
/// Time in which they have to come, in microseconds.
pub const NEW_WITHIN: i64 = DAY;
/// Length of what is counted, in microseconds.
pub const BUCKET: i64 = 5 * MINUTE;
/// Fewest events in a bucket that are ever too many.
pub const MIN_BURST: u32 = 20;
/// Events that any bucket may hold beyond the multiple of what is usual.
const SLACK: u32 = 10;
/// Multiple of the most that is usual above which a rate is far above it.
pub const RATE_FACTOR: u32 = 3;
/// The same where less than a week is known.
pub const SHORT_RATE_FACTOR: u32 = 10;
/// Weeks that are remembered.
pub const WEEKS: usize = 8;
/// Time after a burst in which the same pattern gives no other.
const BURST_QUIET: i64 = DAY;
/// Age from which the hours of the week are compared, and time in which no burst may have left its hours.
const SEASON_LEARN: i64 = 2 * WEEK;
/// Events from which the hours of the week are noted.
const SEASON_EVENTS: u64 = 100;
/// Events from which a pattern can stop.
pub const MIN_REGULAR: u64 = 20;
/// Age from which a pattern can stop: a weekend has to be in it.
const REGULAR_AGE: i64 = WEEK;
/// Multiple of the longest pause after which a pattern has stopped, and what is added to it.
pub const PAUSE_FACTOR: i64 = 3;
const PAUSE_SLACK: i64 = 30 * MINUTE;
/// Longest pause that is watched for.
const MAX_PAUSE: i64 = 28 * DAY;
/// How long a pattern is remembered, and one that reports failures.
const RETENTION: i64 = 30 * DAY;
const FAILURE_RETENTION: i64 = 90 * DAY;

/// Something that is not usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A pattern that was never seen before.
    New {
        /// Its first event, in microseconds since 1970 UTC.
        first: i64,
        /// The event that made it a pattern.
        at: i64,
    },
    /// Far more events than ever, or than in this hour of the week.
    Rate {
        /// When there were too many, in microseconds since 1970 UTC.
        at: i64,
        /// Events in the bucket so far.
        count: u32,
        /// The most that is usual.
        usual: u32,
        /// Whether that is what is usual in this hour of the week.
        seasonal: bool,
    },
    /// A pattern that stopped.
    Silence {
        /// Its last event, in microseconds since 1970 UTC.
        last: i64,
        /// When it had to come at the latest.
        at: i64,
        /// The longest pause before, in microseconds.
        longest: i64,
    },
}

/// What is asked of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Whether what is new is told.
    pub new_pattern: bool,
    /// Whether a rate far above what is usual is told.
    pub rate: bool,
    /// Whether a pattern that stopped is told.
    pub silence: bool,
    /// What was first seen before counts as known, in microseconds since 1970 UTC.
    pub warm_from: i64,
    /// Since when the node is watched as it is: a pause that began before says nothing.
    pub since: i64,
}

/// The most in one week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Week {
    week: i64,
    /// Most events in a bucket.
    peak: u32,
    /// Longest pause that ended in it, in seconds.
    pause: i64,
}

/// A burst that was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Burst {
    /// Until then no other is.
    until: i64,
    /// What was allowed: more does not become usual.
    limit: u32,
}

/// What is known of one pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What it is called: its template, shortened.
    pub title: String,
    /// Its category.
    pub category: String,
    /// Its highest severity.
    pub severity: Severity,
    /// Offset of the record of its last event.
    pub offset: u64,
    first: i64,
    last: i64,
    events: u64,
    /// It is told whether it is new.
    settled: bool,
    /// It is told that it stopped.
    stopped: bool,
    bucket: i64,
    count: u32,
    hour_peak: u32,
    day_peak: u32,
    /// Seconds.
    day_pause: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    weeks: Vec<Week>,
    #[serde(default, skip_serializing_if = "is_default")]
    season: Season,
    /// When a burst last left its hours.
    #[serde(default, skip_serializing_if = "is_default")]
    strayed: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<Burst>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl History {
    /// A pattern of this title and category of which nothing is known yet.
    pub fn new(title: String, category: String) -> Self {
        Self { title, category, ..Self::default() }
    }

    /// Takes in an event at `at` (microseconds since 1970 UTC); gives what is not usual.
    pub fn observe(&mut self, at: i64, watch: &Watch) -> Vec<Signal> {
        let mut signals = Vec::new();
        let unconfirmed = self.events < NEW_EVENTS && at > self.first.saturating_add(NEW_WITHIN);
        if self.events == 0 || unconfirmed {
            self.begin(at);
        }
        if at > self.last {
            signals.extend(self.end_pause(at, watch));
            self.advance(at);
            self.last = at;
        }
        self.events = self.events.saturating_add(1);
        if self.events >= NEW_EVENTS && !self.settled {
            self.settled = true;
            if watch.new_pattern && self.first >= watch.warm_from {
                signals.push(Signal::New { first: self.first, at });
            }
        }
        // What comes later than its bucket says nothing of the rate.
        if at.div_euclid(BUCKET) == self.bucket {
            self.count = self.count.saturating_add(1);
            signals.extend(self.burst(at).filter(|_| watch.rate));
        }
        signals
    }

    /// Says whether it stopped, where everything until `heard` (microseconds since 1970 UTC) was heard.
    pub fn check_silence(&mut self, heard: i64, watch: &Watch) -> Option<Signal> {
        let silence = self.silence(watch)?;
        let Signal::Silence { at, .. } = silence else { return None };
        if heard <= at {
            return None;
        }
        self.stopped = true;
        Some(silence)
    }

    /// When to look at it again, in microseconds since 1970 UTC: it may have stopped, or be forgotten.
    pub fn look_again(&self, watch: &Watch) -> i64 {
        match self.silence(watch) {
            Some(Signal::Silence { at, .. }) => at.min(self.forget_at()),
            _ => self.forget_at(),
        }
    }

    /// When it is forgotten, in microseconds since 1970 UTC.
    pub fn forget_at(&self) -> i64 {
        let retention = match self.severity {
            _ if self.events < NEW_EVENTS => NEW_WITHIN,
            severity if severity >= Severity::Error => FAILURE_RETENTION,
            _ => RETENTION,
        };
        self.last.saturating_add(retention)
    }

    /// Its first event that counts, in microseconds since 1970 UTC.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// Bytes it takes, roughly.
    pub fn weight(&self) -> usize {
        let weeks = self.weeks.len() * size_of::<Week>();
        size_of::<Self>() + self.title.len() + self.category.len() + weeks + self.season.weight()
    }

    fn begin(&mut self, at: i64) {
        let Self { title, category, severity, offset, .. } = std::mem::take(self);
        *self = Self {
            title,
            category,
            severity,
            offset,
            first: at,
            last: at,
            bucket: at.div_euclid(BUCKET),
            ..Self::default()
        };
    }

    /// The signal that it stopped, if nothing comes; none where it comes too seldom or too irregularly, where it is
    /// told already, and of a failure: that one stopped is good.
    fn silence(&self, watch: &Watch) -> Option<Signal> {
        let told = self.stopped || !watch.silence || self.severity >= Severity::Warn;
        if told || self.last < watch.since {
            return None;
        }
        let longest = self.longest_pause()?;
        let at = self.last.saturating_add(allowed(longest));
        Some(Signal::Silence { last: self.last, at, longest })
    }

    /// The longest pause, where enough is known to tell by it.
    fn longest_pause(&self) -> Option<i64> {
        if self.events < MIN_REGULAR || self.last.saturating_sub(self.first) < REGULAR_AGE {
            return None;
        }
        let weeks = self.weeks.iter().map(|week| week.pause).max().unwrap_or(0);
        let longest = weeks.max(self.day_pause).saturating_mul(SECOND);
        (allowed(longest) <= MAX_PAUSE).then_some(longest)
    }

    /// Ends a pause: says that it stopped where that was not told in time, and notes how long it was.
    fn end_pause(&mut self, at: i64, watch: &Watch) -> Option<Signal> {
        let mut signal = self.silence(watch);
        let mut pause = at.saturating_sub(self.last);
        // What was too long becomes usual only bit by bit.
        if let Some(longest) = self.longest_pause() {
            pause = pause.min(allowed(longest));
        }
        if let Some(Signal::Silence { at: latest, .. }) = signal
            && at <= latest
        {
            signal = None;
        }
        if self.last >= watch.since {
            self.day_pause = self.day_pause.max(pause / SECOND + 1);
        }
        self.stopped = false;
        signal
    }

    /// Goes on to the bucket of `at`, and folds what is over into hours, days and weeks.
    fn advance(&mut self, at: i64) {
        let bucket = at.div_euclid(BUCKET);
        if bucket == self.bucket {
            return;
        }
        let start = self.bucket.saturating_mul(BUCKET);
        let usual = self.burst.filter(|burst| start < burst.until).map(|burst| burst.limit);
        self.hour_peak = self.hour_peak.max(self.count.min(usual.unwrap_or(u32::MAX)));
        if start.div_euclid(HOUR) != at.div_euclid(HOUR) {
            if self.events >= SEASON_EVENTS {
                self.season.fold(start.div_euclid(HOUR), self.hour_peak);
            }
            self.day_peak = self.day_peak.max(self.hour_peak);
            self.hour_peak = 0;
        }
        if start.div_euclid(DAY) != at.div_euclid(DAY) {
            self.fold_day(start.div_euclid(WEEK), at.div_euclid(WEEK));
        }
        self.bucket = bucket;
        self.count = 0;
    }

    fn fold_day(&mut self, of: i64, now: i64) {
        let (peak, pause) = (self.day_peak, self.day_pause);
        match self.weeks.last_mut().filter(|week| week.week == of) {
            Some(week) => {
                week.peak = week.peak.max(peak);
                week.pause = week.pause.max(pause);
            }
            None => self.weeks.push(Week { week: of, peak, pause }),
        }
        let oldest = now.saturating_sub(WEEKS as i64);
        self.weeks.retain(|week| week.week > oldest);
        (self.day_peak, self.day_pause) = (0, 0);
    }

    /// Whether the bucket at hand holds far more than is usual.
    fn burst(&mut self, at: i64) -> Option<Signal> {
        let age = at.saturating_sub(self.first);
        if age < DAY || self.count <= MIN_BURST || self.burst.is_some_and(|burst| at < burst.until)
        {
            return None;
        }
        let factor = if age < WEEK { SHORT_RATE_FACTOR } else { RATE_FACTOR };
        let usual = self.weeks.iter().map(|week| week.peak).max().unwrap_or(0);
        let limit = limit(usual, factor);
        if self.count > limit {
            return Some(self.tell(at, usual, limit, false));
        }
        if age < SEASON_LEARN {
            return None;
        }
        let usual = self.season.usual(at.div_euclid(HOUR))?;
        let limit = self::limit(usual, RATE_FACTOR);
        if self.count <= limit {
            return None;
        }
        let learnt = self.first.saturating_add(SEASON_LEARN).max(self.strayed);
        self.strayed = at;
        let trusted = at >= learnt.saturating_add(SEASON_LEARN);
        trusted.then(|| self.tell(at, usual, limit, true))
    }

    fn tell(&mut self, at: i64, usual: u32, limit: u32, seasonal: bool) -> Signal {
        self.burst = Some(Burst { until: at.saturating_add(BURST_QUIET), limit });
        Signal::Rate { at, count: self.count, usual, seasonal }
    }
}

/// Most events in a bucket that are no burst.
fn limit(usual: u32, factor: u32) -> u32 {
    usual.saturating_mul(factor).saturating_add(SLACK).max(MIN_BURST)
}

/// Longest pause that is none to tell of.
fn allowed(longest: i64) -> i64 {
    longest.saturating_mul(PAUSE_FACTOR).saturating_add(PAUSE_SLACK)
}

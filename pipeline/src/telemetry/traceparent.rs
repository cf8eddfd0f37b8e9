//! W3C trace context: the header that follows one record through every stage.
//!
//! Ids come from a fast generator of this thread: they need not be hard to guess, only unlikely to meet. Those of traces
//! that are not sampled follow each other, so that they compress: they stand in every record.

use std::{
    cell::RefCell,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

use crate::record::{Record, TRACEPARENT};

/// Length of `00-<32 hex>-<16 hex>-<2 hex>`.
const LENGTH: usize = 55;
const SAMPLED_FLAG: u8 = 1;
/// One more than the largest value of the bits that decide about sampling.
const SAMPLING_RANGE: u64 = 1 << 56;

/// Of [`SAMPLING_RANGE`], how much is sampled. One for the process, as are the subscribers of `tracing`.
static SAMPLED_BELOW: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IDS: RefCell<Ids> = RefCell::new(Ids::new());
}

/// The ids of one thread.
struct Ids {
    random: fastrand::Rng,
    /// The trace that is not sampled and was begun last. Its low half stays: it decides about sampling.
    unsampled: u128,
    /// Span of the same.
    span: u64,
}

impl Ids {
    /// Seeded by the system: the crate's own seed is the time since the machine's start.
    fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(RandomState::new().hash_one(0));
        Self { unsampled: random.u128(1..), span: random.u64(1..), random }
    }

    /// A new trace that is sampled where the low bits of its id are below a bound.
    fn root_below(&mut self, sampled_below: u64) -> TraceContext {
        let low_bits = self.random.u64(..SAMPLING_RANGE);
        if low_bits < sampled_below {
            let high_bits = self.random.u128(1..) & !u128::from(SAMPLING_RANGE - 1);
            let trace_id = high_bits | u128::from(low_bits);
            return TraceContext { trace_id, span_id: self.random.u64(1..), sampled: true };
        }
        if decisive_bits(self.unsampled) < sampled_below {
            let high_bits = self.unsampled & !u128::from(SAMPLING_RANGE - 1);
            self.unsampled = high_bits | u128::from(low_bits);
        }
        self.unsampled = self.unsampled.wrapping_add(1 << u64::BITS).max(1);
        self.span = self.span.wrapping_add(1).max(1);
        TraceContext { trace_id: self.unsampled, span_id: self.span, sampled: false }
    }
}

/// The low 56 bits decide, as in OpenTelemetry's consistent sampling, so that others decide alike.
fn decisive_bits(trace_id: u128) -> u64 {
    u64::try_from(trace_id % u128::from(SAMPLING_RANGE)).unwrap_or(u64::MAX)
}

/// Sets which share of new traces is sampled; until then none is.
pub(super) fn set_sample_ratio(ratio: f64) {
    SAMPLED_BELOW.store(sampled_below(ratio), Ordering::Relaxed);
}

// The cast saturates, and a number that is none becomes 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn sampled_below(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * SAMPLING_RANGE as f64) as u64
}

/// Where in which trace something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Trace; never 0.
    pub trace_id: u128,
    /// Span, the parent of what is made from here; never 0.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// A new trace, sampled with the ratio that [`super::init`] was given.
    pub fn root() -> Self {
        Self::root_below(SAMPLED_BELOW.load(Ordering::Relaxed))
    }

    /// A new trace, sampled with a ratio from 0 to 1.
    pub fn root_with_ratio(ratio: f64) -> Self {
        Self::root_below(sampled_below(ratio))
    }

    fn root_below(sampled_below: u64) -> Self {
        IDS.with_borrow_mut(|ids| ids.root_below(sampled_below))
    }

    /// The context a record carries; a new trace where it carries none, or none that is valid.
    pub fn of(record: &Record) -> Self {
        let carried = record.headers.get(TRACEPARENT);
        let parsed = carried.and_then(|value| Self::parse(value));
        parsed.unwrap_or_else(Self::root)
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: IDS.with_borrow_mut(|ids| ids.random.u64(1..)), ..*self }
    }

    /// Reads a `traceparent` header (W3C Trace Context, 3.2). Looks at its first 56 bytes alone.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (fixed, rest) = header.split_at_checked(LENGTH)?;
        let version = hex(fixed.get(0..2)?)?;
        let dashes = [fixed.get(2)?, fixed.get(35)?, fixed.get(52)?];
        if dashes != [&b'-'; 3] || version == 0xff {
            return None;
        }
        // Later versions may add fields at the end; version 0 has none.
        let ends_well = match rest.first() {
            None => true,
            Some(byte) => version > 0 && *byte == b'-',
        };
        if !ends_well {
            return None;
        }
        let trace_id = hex(fixed.get(3..35)?)?;
        let span_id = u64::try_from(hex(fixed.get(36..52)?)?).ok()?;
        let flags = u8::try_from(hex(fixed.get(53..55)?)?).ok()?;
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self { trace_id, span_id, sampled: flags & SAMPLED_FLAG != 0 })
    }

    /// The `traceparent` header.
    pub fn format(&self) -> Bytes {
        Bytes::copy_from_slice(&self.ascii())
    }

    fn ascii(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let [_, _, _, trace_span_flags @ ..] = &mut text;
        let (trace, span_flags) = trace_span_flags.split_at_mut(32);
        let (span, flags) = span_flags.split_at_mut(17);
        write_hex(trace, self.trace_id);
        if let [b'-', digits @ ..] = span {
            write_hex(digits, u128::from(self.span_id));
        }
        if let [_, .., last] = flags
            && self.sampled
        {
            *last = b'1';
        }
        text
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.ascii();
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Reads up to 32 lower-case digits; the standard allows no others.
fn hex(digits: &[u8]) -> Option<u128> {
    let mut value = 0;
    for digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(nibble);
    }
    Some(value)
}

fn write_hex(digits: &mut [u8], mut value: u128) {
    for digit in digits.iter_mut().rev() {
        let nibble = u8::try_from(value & 0xf).unwrap_or(0);
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        value >>= 4;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_and_writes_the_standards_example() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.span_id, 0x00f0_67aa_0ba9_02b7);
        assert!(context.sampled);
        assert_eq!(context.format(), EXAMPLE);
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let parent = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        let child = parent.child();
        assert_eq!((child.trace_id, child.sampled), (parent.trace_id, true));
        assert_ne!(child.span_id, parent.span_id);
    }

    #[test]
    fn takes_later_versions_and_refuses_what_is_invalid() {
        let good = [
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        ];
        for header in good {
            assert!(TraceContext::parse(header.as_bytes()).is_some(), "{header}");
        }
        let bad = [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for header in bad {
            assert_eq!(TraceContext::parse(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn a_record_without_a_valid_header_begins_a_trace() {
        let mut record = crate::record::Record {
            topic: "raw-logs".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: crate::record::Headers::default(),
        };
        assert_ne!(TraceContext::of(&record), TraceContext::of(&record));
        record.headers.push(TRACEPARENT, EXAMPLE.as_bytes());
        assert_eq!(TraceContext::of(&record).to_string(), EXAMPLE);
        record.headers.push(TRACEPARENT, b"\xff\x00".as_slice());
        assert_ne!(TraceContext::of(&record).to_string(), EXAMPLE);
    }

    #[test]
    fn samples_about_the_share_that_was_asked_for() {
        let sampled = |ratio| {
            let roots = (0..2000).map(|_| TraceContext::root_with_ratio(ratio));
            roots.filter(|context| context.sampled).count()
        };
        assert_eq!(sampled(0.0), 0);
        assert_eq!(sampled(1.0), 2000);
        assert_eq!(sampled(f64::NAN), 0);
        // Ten standard deviations around 500.
        let quarter = sampled(0.25);
        assert!((300..700).contains(&quarter), "{quarter}");
    }

    #[test]
    fn others_that_sample_by_the_id_decide_alike_and_no_two_traces_are_one() {
        let mut seen = std::collections::HashSet::new();
        for ratio in [0.0, 0.9, 0.1, 0.5, 1.0] {
            for _ in 0..500 {
                let context = TraceContext::root_with_ratio(ratio);
                let below = decisive_bits(context.trace_id) < sampled_below(ratio);
                assert_eq!(below, context.sampled, "{context} at {ratio}");
                assert!(context.trace_id != 0 && context.span_id != 0);
                assert!(seen.insert(context.trace_id), "{context} again");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_reads_back(trace_id in 1u128.., span_id in 1u64.., sampled: bool) {
            let context = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(TraceContext::parse(&context.format()), Some(context));
        }

        #[test]
        fn no_bytes_panic(header in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = TraceContext::parse(&header);
        }
    }
}

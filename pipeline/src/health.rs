//! Whether a process works and can take work, as its own loops say it.
//!
//! Ready: every registered loop has become ready. Alive: every loop has come round within its bound.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How long a loop may take to come round, where it does not say otherwise.
pub const DEFAULT_BEAT_BOUND: Duration = Duration::from_secs(60);

/// A loop that has not come round within its bound, or has ended without saying so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Name of the loop.
    pub name: Arc<str>,
    /// Time since it last came round.
    pub since: Duration,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.since.as_secs();
        write!(f, "{} has not come round for {seconds} s", self.name)
    }
}

/// A loop that cannot take work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// Name of the loop.
    pub name: Arc<str>,
    /// Why, in words for people.
    pub reason: Arc<str>,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// The health of a process. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Health {
    loops: Arc<Mutex<Loops>>,
}

#[derive(Debug, Default)]
struct Loops {
    /// A process that has registered nothing yet is not ready.
    registered_any: bool,
    running: Vec<Arc<LoopState>>,
}

#[derive(Debug)]
struct LoopState {
    name: Arc<str>,
    bound: Duration,
    /// Beats count milliseconds from here, so that one is a single atomic store.
    started: Instant,
    last_beat_ms: AtomicU64,
    /// Dropped without a word, by a panic for instance.
    lost: AtomicBool,
    /// Why it is not ready; none when it is.
    not_ready: Mutex<Option<Arc<str>>>,
}

impl Health {
    /// Health without loops: alive, and not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a loop that must come round every [`DEFAULT_BEAT_BOUND`]. It is not ready until it says so.
    pub fn register(&self, name: impl Into<Arc<str>>) -> LoopHealth {
        self.register_within(name, DEFAULT_BEAT_BOUND)
    }

    /// Registers a loop that must come round within `bound`. It is not ready until it says so.
    pub fn register_within(&self, name: impl Into<Arc<str>>, bound: Duration) -> LoopHealth {
        let state = Arc::new(LoopState {
            name: name.into(),
            bound,
            started: Instant::now(),
            last_beat_ms: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            not_ready: Mutex::new(Some("starting".into())),
        });
        let mut loops = lock(&self.loops);
        loops.registered_any = true;
        loops.running.push(state.clone());
        LoopHealth { state, loops: self.loops.clone() }
    }

    /// Whether every loop has come round within its bound.
    ///
    /// # Errors
    /// The loops that have not, or that ended without [`LoopHealth::finish`].
    pub fn liveness(&self) -> Result<(), Vec<Stuck>> {
        let now = Instant::now();
        let mut stuck = Vec::new();
        for state in &lock(&self.loops).running {
            let since = state.since_beat(now);
            if since > state.bound || state.lost.load(Ordering::Acquire) {
                let name = state.name.clone();
                stuck.push(Stuck { name, since });
            }
        }
        if stuck.is_empty() { Ok(()) } else { Err(stuck) }
    }

    /// Whether every registered loop has become ready, and one was registered at all.
    ///
    /// # Errors
    /// The loops that are not ready, and why.
    pub fn readiness(&self) -> Result<(), Vec<NotReady>> {
        let loops = lock(&self.loops);
        let mut not_ready = Vec::new();
        if !loops.registered_any {
            not_ready.push(NotReady { name: "process".into(), reason: "starting".into() });
        }
        for state in &loops.running {
            let reason = lock(&state.not_ready).clone();
            if let Some(reason) = reason {
                let name = state.name.clone();
                not_ready.push(NotReady { name, reason });
            }
        }
        if not_ready.is_empty() { Ok(()) } else { Err(not_ready) }
    }
}

impl LoopState {
    fn since_beat(&self, now: Instant) -> Duration {
        let last_beat = Duration::from_millis(self.last_beat_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(self.started).saturating_sub(last_beat)
    }
}

/// What one loop says about itself.
///
/// A loop that ends well calls [`LoopHealth::finish`]; one that is just dropped (a panic, a task that
/// was aborted) is reported by [`Health::liveness`] and [`Health::readiness`] from then on.
#[derive(Debug)]
pub struct LoopHealth {
    state: Arc<LoopState>,
    loops: Arc<Mutex<Loops>>,
}

impl LoopHealth {
    /// Says that the loop has come round. Costs a clock reading and an atomic store.
    /// Called by the loop itself, never by a timer beside it.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.state.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state.last_beat_ms.store(elapsed, Ordering::Relaxed);
    }

    /// Says that the loop can take work. It stays so until [`LoopHealth::not_ready`].
    pub fn ready(&self) {
        *lock(&self.state.not_ready) = None;
    }

    /// Says that the loop can take no work, and why, in words for people.
    pub fn not_ready(&self, reason: impl Into<Arc<str>>) {
        *lock(&self.state.not_ready) = Some(reason.into());
    }

    /// Says that the loop ends as it should; nothing is expected of it any more.
    pub fn finish(&self) {
        lock(&self.loops).running.retain(|state| !Arc::ptr_eq(state, &self.state));
    }
}

impl Drop for LoopHealth {
    fn drop(&mut self) {
        // After `finish` nobody looks at these any more.
        *lock(&self.state.not_ready) = Some("ended unexpectedly".into());
        self.state.lost.store(true, Ordering::Release);
    }
}

/// What is behind these locks is whole after any panic, so a poisoned one can be used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;

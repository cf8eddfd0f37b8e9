//! Begin, commit and abort in one place: what becomes of a commit, whatever goes wrong on the way.
//!
//! Any revocation since the begin means abort. A failure is told only where nothing of the commit can be visible; where
//! that is not known, it is found out first.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::engine::{EngineError, Records, TopicPartition, kafka::error::Trouble};

/// Attempts of a call that nothing depends on yet; then the transaction is aborted.
const MAX_ATTEMPTS: u32 = 10;
/// Times that a producer is made anew within [`RENEWAL_PERIOD`]; more is two processes that fence each other.
const MAX_RENEWALS: usize = 5;
const RENEWAL_PERIOD: Duration = Duration::from_secs(60);

/// One commit.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) records: Records,
    pub(super) offsets: Vec<(TopicPartition, u64)>,
    /// Goes with the offsets, and tells this commit from every other one.
    pub(super) note: String,
}

/// What became of a commit.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is visible, whole.
    Committed,
    /// Nothing of it is visible: partitions moved.
    Fenced,
    /// Nothing of it is visible; the same may succeed later.
    Unavailable(String),
    /// Nothing of it will ever be visible, or the process is to stop.
    Refused(EngineError),
    /// The member is being stopped and the brokers have not told.
    Unknown,
}

/// The calls of a producer, of which each either ends or says what its failure asks for.
pub(super) trait Broker {
    /// Makes the producer anew; what its predecessor left open is then settled.
    fn renew(&mut self) -> Result<(), Trouble>;
    /// Whether a connection of the producer ended: a request may come late that was sent again since.
    fn has_lost_connection(&self) -> bool;
    /// Notes as which member of which generation the group knows this member now.
    fn snapshot(&mut self) -> Result<(), Trouble>;
    /// Begins a transaction.
    fn begin(&mut self) -> Result<(), Trouble>;
    /// Produces records.
    fn produce(&mut self, records: &Records) -> Result<(), Failure>;
    /// Adds offsets, as the member of the snapshot.
    fn send_offsets(&mut self, work: &Work) -> Result<(), Trouble>;
    /// Waits until the brokers have everything that was produced. Ends, one way or the other.
    fn deliver(&mut self) -> Result<(), Trouble>;
    /// Commits, once everything is delivered.
    fn commit(&mut self) -> Result<(), Trouble>;
    /// Aborts.
    fn abort(&mut self) -> Result<(), Trouble>;
    /// Whether the group's offsets carry the note of a commit.
    fn was_committed(&mut self, work: &Work) -> Result<bool, Trouble>;
    /// Waits before the same call is made again.
    fn pause(&mut self, attempt: u32);
}

/// Why records cannot be produced.
#[derive(Debug)]
pub(super) enum Failure {
    Trouble(Trouble),
    /// A record that no repetition makes right.
    Refused(EngineError),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// What a commit is run under.
pub(super) struct Terms<'a> {
    /// Whether everything the commit claims is still this member's.
    pub(super) is_owned: &'a dyn Fn() -> bool,
    /// Whether the member is being stopped.
    pub(super) is_stopped: &'a dyn Fn() -> bool,
}

/// The one that commits.
#[derive(Debug)]
pub(super) struct Session<B> {
    pub(super) broker: B,
    /// The producer can begin a transaction.
    is_ready: bool,
    renewals: VecDeque<Instant>,
    /// Names the process, in the message for who runs two under one name.
    instance: Option<String>,
}

impl<B: Broker> Session<B> {
    pub(super) fn new(broker: B, instance: Option<String>) -> Self {
        Self { broker, is_ready: false, renewals: VecDeque::new(), instance }
    }

    /// Makes the producer ready, so that what a predecessor left open is settled early.
    ///
    /// The end of a transaction that comes late would end the next one, half made, since librdkafka 2.12 writes all of a
    /// producer's transactions in one epoch. (Transactions of version 2, KIP-890, have an epoch each.) A producer that is
    /// made anew has an epoch that nothing on its way knows.
    pub(super) fn prepare(&mut self, terms: &Terms<'_>) -> Result<(), Trouble> {
        if self.is_ready && self.broker.has_lost_connection() {
            tracing::debug!("a connection ended, the producer is made anew");
            self.is_ready = false;
        }
        if self.is_ready {
            return Ok(());
        }
        repeat(&mut self.broker, u32::MAX, terms, B::renew)?;
        self.is_ready = true;
        Ok(())
    }

    /// Makes all of a commit visible, or nothing.
    pub(super) fn run(&mut self, work: &Work, terms: &Terms<'_>) -> Outcome {
        if let Err(trouble) = self.prepare(terms) {
            return self.not_begun(trouble);
        }
        // The snapshot comes before the look: who lost the membership in between is fenced by the group.
        let begun = repeat(&mut self.broker, MAX_ATTEMPTS, terms, B::snapshot);
        if let Err(trouble) = begun {
            return self.not_begun(trouble);
        }
        if !(terms.is_owned)() {
            return Outcome::Fenced;
        }
        if let Err(trouble) = repeat(&mut self.broker, MAX_ATTEMPTS, terms, B::begin) {
            return self.not_begun(trouble);
        }
        match self.fill(work, terms) {
            Ok(()) => {}
            Err(Failure::Refused(error)) => {
                self.abort(terms);
                return Outcome::Refused(error);
            }
            Err(Failure::Trouble(trouble)) => {
                if !matches!(trouble, Trouble::Fenced(_)) {
                    self.abort(terms);
                }
                return self.not_begun(trouble);
            }
        }
        let committed = repeat(&mut self.broker, u32::MAX, terms, B::commit);
        match committed {
            Ok(()) => Outcome::Committed,
            Err(Trouble::Retriable(_)) => {
                self.is_ready = false;
                Outcome::Unknown
            }
            Err(Trouble::Abortable(message)) => {
                if self.abort(terms) {
                    return Outcome::Unavailable(message);
                }
                self.find_out(work, terms, &message)
            }
            Err(Trouble::Moved(message)) => {
                if self.abort(terms) {
                    return Outcome::Fenced;
                }
                self.find_out(work, terms, &message)
            }
            Err(Trouble::Fenced(message)) => self.find_out(work, terms, &message),
            Err(Trouble::Fatal(message)) => {
                self.is_ready = false;
                Outcome::Refused(EngineError::Fatal(message))
            }
        }
    }

    /// Everything between begin and commit.
    fn fill(&mut self, work: &Work, terms: &Terms<'_>) -> Result<(), Failure> {
        self.broker.produce(&work.records)?;
        let sent =
            repeat(&mut self.broker, MAX_ATTEMPTS, terms, |broker| broker.send_offsets(work));
        sent?;
        // Until the commit itself is asked for, an abort is safe.
        repeat(&mut self.broker, u32::MAX, terms, B::deliver)?;
        if !(terms.is_owned)() {
            return Err(Trouble::Moved("partitions were revoked since the begin".to_owned()).into());
        }
        Ok(())
    }

    /// The outcome where nothing was committed.
    fn not_begun(&mut self, trouble: Trouble) -> Outcome {
        match trouble {
            Trouble::Moved(_) => Outcome::Fenced,
            Trouble::Retriable(message) | Trouble::Abortable(message) => {
                Outcome::Unavailable(message)
            }
            Trouble::Fenced(message) => match self.note_fencing(&message) {
                Ok(()) => Outcome::Unavailable(message),
                Err(error) => Outcome::Refused(error),
            },
            Trouble::Fatal(message) => {
                self.is_ready = false;
                Outcome::Refused(EngineError::Fatal(message))
            }
        }
    }

    /// Aborts. False where the transaction's end is not known: the producer is to be made anew.
    fn abort(&mut self, terms: &Terms<'_>) -> bool {
        let aborted = repeat(&mut self.broker, MAX_ATTEMPTS, terms, B::abort);
        if let Err(trouble) = &aborted {
            tracing::warn!(error = trouble.message(), "transaction is left to a new producer");
            self.is_ready = false;
        }
        aborted.is_ok()
    }

    /// The producer was fenced when the commit may have gone through: a new one settles it, and the offsets tell.
    fn find_out(&mut self, work: &Work, terms: &Terms<'_>, message: &str) -> Outcome {
        let mut message = message.to_owned();
        loop {
            if let Err(error) = self.note_fencing(&message) {
                return Outcome::Refused(error);
            }
            let found = self.prepare(terms).and_then(|()| {
                repeat(&mut self.broker, u32::MAX, terms, |broker| broker.was_committed(work))
            });
            match found {
                Ok(true) => return Outcome::Committed,
                Ok(false) if (terms.is_owned)() => return Outcome::Unavailable(message),
                // A later owner may have written over the note, after it had read what this commit left.
                Ok(false) | Err(Trouble::Moved(_)) => return Outcome::Fenced,
                Err(Trouble::Fatal(message)) => {
                    return Outcome::Refused(EngineError::Fatal(message));
                }
                Err(Trouble::Fenced(again) | Trouble::Abortable(again)) => message = again,
                Err(Trouble::Retriable(_)) => return Outcome::Unknown,
            }
        }
    }

    fn note_fencing(&mut self, message: &str) -> Result<(), EngineError> {
        self.is_ready = false;
        let now = Instant::now();
        self.renewals.retain(|at| now.duration_since(*at) < RENEWAL_PERIOD);
        self.renewals.push_back(now);
        if self.renewals.len() <= MAX_RENEWALS {
            tracing::warn!(message, "producer was fenced, it is made anew");
            return Ok(());
        }
        Err(EngineError::Fatal(match &self.instance {
            Some(instance) => format!(
                "another process commits as instance {instance:?}: {message}; give each process its own kafka.instance"
            ),
            None => format!("the brokers fence this producer again and again: {message}"),
        }))
    }
}

/// Makes a call until it ends, so many times at most, and not again once the member is stopped.
fn repeat<B: Broker, T>(
    broker: &mut B,
    max_attempts: u32,
    terms: &Terms<'_>,
    call: impl Fn(&mut B) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let mut attempt = 1;
    loop {
        match call(broker) {
            Err(Trouble::Retriable(message)) => {
                if attempt >= max_attempts || (terms.is_stopped)() {
                    return Err(Trouble::Retriable(message));
                }
                tracing::debug!(message, attempt, "brokers have not done it yet, asking again");
                broker.pause(attempt);
                attempt = attempt.saturating_add(1);
            }
            ended => return ended,
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

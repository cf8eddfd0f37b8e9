//! Sessions against a script of outcomes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::{Cell, RefCell};

use super::*;

/// Answers calls from a script; what the script does not name succeeds.
#[derive(Debug, Default)]
struct Script {
    answers: RefCell<VecDeque<(&'static str, Trouble)>>,
    calls: Vec<&'static str>,
    was_committed: bool,
    refuses: bool,
    /// A connection ends in this call; a producer that is made anew has others.
    breaks_in: Option<&'static str>,
    is_broken: bool,
}

impl Script {
    fn answer(&mut self, call: &'static str) -> Result<(), Trouble> {
        self.calls.push(call);
        self.is_broken |= self.breaks_in == Some(call);
        let mut answers = self.answers.borrow_mut();
        match answers.front() {
            Some((name, _)) if *name == call => {
                answers.pop_front().map_or(Ok(()), |(_, trouble)| Err(trouble))
            }
            _ => Ok(()),
        }
    }
}

impl Broker for Script {
    fn renew(&mut self) -> Result<(), Trouble> {
        self.is_broken = false;
        self.answer("renew")
    }
    fn has_lost_connection(&self) -> bool {
        self.is_broken
    }
    fn snapshot(&mut self) -> Result<(), Trouble> {
        self.answer("snapshot")
    }
    fn begin(&mut self) -> Result<(), Trouble> {
        self.answer("begin")
    }
    fn produce(&mut self, _: &Records) -> Result<(), Failure> {
        if self.refuses {
            return Err(Failure::Refused(EngineError::Fatal("no such topic".to_owned())));
        }
        Ok(self.answer("produce")?)
    }
    fn send_offsets(&mut self, _: &Work) -> Result<(), Trouble> {
        self.answer("offsets")
    }
    fn deliver(&mut self) -> Result<(), Trouble> {
        self.answer("deliver")
    }
    fn commit(&mut self) -> Result<(), Trouble> {
        self.answer("commit")
    }
    fn abort(&mut self) -> Result<(), Trouble> {
        self.answer("abort")
    }
    fn was_committed(&mut self, _: &Work) -> Result<bool, Trouble> {
        self.answer("look")?;
        Ok(self.was_committed)
    }
    fn pause(&mut self, _: u32) {}
}

fn retriable() -> Trouble {
    Trouble::Retriable("later".to_owned())
}
fn abortable() -> Trouble {
    Trouble::Abortable("abort".to_owned())
}
fn moved() -> Trouble {
    Trouble::Moved("stale generation".to_owned())
}
fn fenced() -> Trouble {
    Trouble::Fenced("epoch".to_owned())
}
fn fatal() -> Trouble {
    Trouble::Fatal("not authorised".to_owned())
}

fn session(answers: Vec<(&'static str, Trouble)>) -> Session<Script> {
    let script = Script { answers: RefCell::new(answers.into()), ..Script::default() };
    let mut session = Session::new(script, Some("host-1".to_owned()));
    session.is_ready = true;
    session
}

/// Runs a commit of a member that keeps what it has.
fn run(session: &mut Session<Script>) -> Outcome {
    run_owning(session, usize::MAX)
}

/// Runs a commit of a member that has its partitions for so many looks.
fn run_owning(session: &mut Session<Script>, looks: usize) -> Outcome {
    let left = Cell::new(looks);
    let is_owned = || {
        left.set(left.get().saturating_sub(1));
        left.get() > 0
    };
    session.run(&Work::default(), &Terms { is_owned: &is_owned, is_stopped: &|| false })
}

const WHOLE: [&str; 6] = ["snapshot", "begin", "produce", "offsets", "deliver", "commit"];

#[test]
fn a_commit_is_one_transaction() {
    let mut session = session(vec![]);
    assert!(matches!(run(&mut session), Outcome::Committed));
    assert_eq!(session.broker.calls, WHOLE);
}

#[test]
fn no_transaction_begins_while_the_end_of_the_one_before_may_come_late() {
    for breaks_in in ["offsets", "commit"] {
        let mut session = session(vec![]);
        session.broker.breaks_in = Some(breaks_in);
        assert!(matches!(run(&mut session), Outcome::Committed));
        assert_eq!(session.broker.calls, WHOLE, "it is too late for this one");
        session.broker.calls.clear();
        session.broker.breaks_in = None;
        assert!(matches!(run(&mut session), Outcome::Committed));
        assert_eq!(session.broker.calls.remove(0), "renew");
        assert_eq!(session.broker.calls, WHOLE);
    }
}

#[test]
fn what_may_work_later_is_asked_again() {
    let mut session = session(vec![
        ("offsets", retriable()),
        ("offsets", retriable()),
        ("commit", retriable()),
        ("commit", retriable()),
    ]);
    assert!(matches!(run(&mut session), Outcome::Committed));
    let commits = session.broker.calls.iter().filter(|call| **call == "commit").count();
    assert_eq!(commits, 3);
    assert!(!session.broker.calls.contains(&"abort"));
}

#[test]
fn a_commit_whose_end_is_not_known_is_never_told_as_failed() {
    // Far more often than any other call is repeated.
    let answers = (0..MAX_ATTEMPTS * 20).map(|_| ("commit", retriable())).collect();
    assert!(matches!(run(&mut session(answers)), Outcome::Committed));
    let mut stopped = session(vec![("commit", retriable())]);
    let terms = Terms { is_owned: &|| true, is_stopped: &|| true };
    assert!(matches!(stopped.run(&Work::default(), &terms), Outcome::Unknown));
}

#[test]
fn what_is_to_be_aborted_is_aborted_and_may_be_sent_again() {
    for step in ["produce", "offsets", "deliver", "commit"] {
        let mut session = session(vec![(step, abortable())]);
        assert!(matches!(run(&mut session), Outcome::Unavailable(_)), "{step}");
        assert_eq!(session.broker.calls.last(), Some(&"abort"), "{step}");
        session.broker.calls.clear();
        assert!(matches!(run(&mut session), Outcome::Committed), "{step}");
        assert_eq!(session.broker.calls, WHOLE, "{step}");
    }
}

#[test]
fn offsets_that_are_not_taken_in_the_end_abort() {
    let answers = (0..MAX_ATTEMPTS).map(|_| ("offsets", retriable())).collect();
    let mut session = session(answers);
    assert!(matches!(run(&mut session), Outcome::Unavailable(_)));
    assert_eq!(session.broker.calls.last(), Some(&"abort"));
}

#[test]
fn a_stale_generation_aborts_and_fences() {
    let mut session = session(vec![("offsets", moved())]);
    assert!(matches!(run(&mut session), Outcome::Fenced));
    assert_eq!(session.broker.calls.last(), Some(&"abort"));
    assert!(!session.broker.calls.contains(&"commit"));
}

#[test]
fn a_revocation_before_the_begin_writes_nothing() {
    let mut session = session(vec![]);
    assert!(matches!(run_owning(&mut session, 1), Outcome::Fenced));
    assert_eq!(session.broker.calls, ["snapshot"]);
}

#[test]
fn a_revocation_since_the_begin_aborts() {
    let mut session = session(vec![]);
    assert!(matches!(run_owning(&mut session, 2), Outcome::Fenced));
    assert_eq!(
        session.broker.calls,
        ["snapshot", "begin", "produce", "offsets", "deliver", "abort"]
    );
}

#[test]
fn a_fenced_producer_is_made_anew() {
    for step in ["begin", "produce", "offsets", "deliver"] {
        let mut session = session(vec![(step, fenced())]);
        assert!(matches!(run(&mut session), Outcome::Unavailable(_)), "{step}");
        assert!(!session.broker.calls.contains(&"abort"), "{step}");
        session.broker.calls.clear();
        assert!(matches!(run(&mut session), Outcome::Committed));
        assert_eq!(session.broker.calls[0], "renew", "{step}");
    }
}

#[test]
fn a_producer_fenced_in_its_commit_finds_out_what_became_of_it() {
    for was_committed in [true, false] {
        let mut session = session(vec![("commit", retriable()), ("commit", fenced())]);
        session.broker.was_committed = was_committed;
        let outcome = run(&mut session);
        assert_eq!(matches!(outcome, Outcome::Committed), was_committed, "{outcome:?}");
        assert!(was_committed || matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
        assert_eq!(session.broker.calls[6..], ["commit", "renew", "look"]);
    }
}

#[test]
fn an_abort_that_comes_too_late_finds_out_too() {
    let mut session = session(vec![("commit", abortable()), ("abort", fenced())]);
    session.broker.was_committed = true;
    assert!(matches!(run(&mut session), Outcome::Committed));
}

#[test]
fn two_processes_of_one_name_do_not_fence_each_other_for_ever() {
    let mut session = session(vec![]);
    for round in 0..=MAX_RENEWALS {
        session.broker.answers.borrow_mut().push_back(("offsets", fenced()));
        let outcome = run(&mut session);
        if round < MAX_RENEWALS {
            assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
            continue;
        }
        let Outcome::Refused(EngineError::Fatal(message)) = outcome else { panic!("{outcome:?}") };
        assert!(message.contains("host-1") && message.contains("kafka.instance"), "{message}");
    }
}

#[test]
fn what_is_fatal_stops() {
    for step in ["snapshot", "begin", "produce", "offsets", "deliver", "commit"] {
        let mut session = session(vec![(step, fatal())]);
        let outcome = run(&mut session);
        assert!(matches!(outcome, Outcome::Refused(EngineError::Fatal(_))), "{step}: {outcome:?}");
    }
}

#[test]
fn a_record_that_cannot_be_produced_aborts_and_is_refused() {
    let mut session = session(vec![]);
    session.broker.refuses = true;
    assert!(matches!(run(&mut session), Outcome::Refused(_)));
    assert_eq!(session.broker.calls.last(), Some(&"abort"));
}

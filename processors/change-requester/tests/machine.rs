//! What proposals and decisions lead to, in every order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{decision, events, free, opened, opens, proposal, refused, shown};
use hephaestus_change_requester::{
    RepositoryState, approved_changes,
    machine::change_request_id,
    on_decision, on_failed, on_opened, on_proposal,
    state::{MAX_EARLY, MAX_FINISHED, MAX_PENDING, MAX_PENDING_BYTES, MAX_PROPOSAL_BYTES},
};
use hephaestus_schemas::{
    ChangeRequestEvent, ProposedChange,
    Verdict::{self, Approved, Rejected},
};
use proptest::prelude::*;

const NOW: i64 = 5;

#[test]
fn a_proposal_waits_is_approved_and_is_opened() {
    let mut state = RepositoryState::default();
    assert!(state.is_empty());
    let steps = on_proposal(&mut state, proposal("p", "i"), NOW);
    assert_eq!(shown(&steps), ["p awaiting by policy"]);
    let steps = on_decision(&mut state, &decision("p", Approved), NOW);
    assert_eq!(shown(&steps), ["p approved by ada", "p open"]);
    assert_eq!(events(&steps)[0].reason, "looked at it");
    assert_eq!(opens(&steps), approved_changes(&state));
    assert_eq!(opens(&steps)[0].origin, "classified-logs/3/1180-1184");

    let steps = on_opened(&mut state, "p", &opened(), 9);
    assert_eq!(shown(&steps), ["p opened by ada"]);
    let event = events(&steps)[0];
    assert_eq!(event.id, change_request_id("p"));
    assert_eq!(event.branch.as_deref(), Some("hephaestus/x-1"));
    assert_eq!(event.commit.as_deref(), Some("c".repeat(40).as_str()));
    assert_eq!(event.files, ["orders/discounts.py"]);
    assert!(event.diff.contains("loyalty"));
    assert_eq!(event.at, 9);
    assert!(approved_changes(&state).is_empty());
    assert_eq!(on_opened(&mut state, "p", &opened(), NOW), []);
}

#[test]
fn the_policy_approves_what_needs_no_person() {
    let mut state = RepositoryState::default();
    let steps = on_proposal(&mut state, free("p", "i"), NOW);
    assert_eq!(shown(&steps), ["p approved by policy", "p open"]);
    let steps = on_failed(&mut state, "p", "no repository", NOW);
    assert_eq!(shown(&steps), ["p failed by policy"]);
    assert_eq!(events(&steps)[0].reason, "no repository");
}

#[test]
fn a_rejected_proposal_stays_rejected() {
    let mut state = RepositoryState::default();
    on_proposal(&mut state, proposal("p", "i"), NOW);
    let steps = on_decision(&mut state, &decision("p", Rejected), NOW);
    assert_eq!(shown(&steps), ["p rejected by ada"]);
    assert_eq!(on_decision(&mut state, &decision("p", Approved), NOW), []);
    assert_eq!(on_proposal(&mut state, free("p", "i"), NOW), []);
    assert_eq!(on_opened(&mut state, "p", &opened(), NOW), []);
}

#[test]
fn a_decision_that_comes_first_is_not_lost() {
    for (verdicts, expected) in [
        (vec![Approved], vec!["p approved by ada", "p open"]),
        (vec![Rejected], vec!["p rejected by ada"]),
        (vec![Approved, Rejected], vec!["p rejected by ada"]),
        (vec![Rejected, Approved], vec!["p rejected by ada"]),
    ] {
        for arriving in [proposal("p", "i"), free("p", "i")] {
            let mut state = RepositoryState::default();
            for verdict in &verdicts {
                assert_eq!(on_decision(&mut state, &decision("p", *verdict), NOW), []);
            }
            assert!(!state.is_empty());
            assert_eq!(shown(&on_proposal(&mut state, arriving, NOW)), expected);
        }
    }
}

#[test]
fn a_refused_proposal_leads_to_nothing() {
    let mut state = RepositoryState::default();
    on_decision(&mut state, &decision("p", Approved), NOW);
    assert_eq!(on_proposal(&mut state, refused("p", "i"), NOW), []);
    assert!(approved_changes(&state).is_empty());
}

#[test]
fn an_incident_has_one_change_request() {
    let mut state = RepositoryState::default();
    on_proposal(&mut state, proposal("p", "i"), NOW);
    let steps = on_proposal(&mut state, free("q", "i"), NOW);
    assert_eq!(shown(&steps), ["q rejected by policy"]);
    assert_eq!(events(&steps)[0].reason, "the incident has proposal p already");
    on_decision(&mut state, &decision("p", Approved), NOW);
    on_opened(&mut state, "p", &opened(), NOW);
    let steps = on_proposal(&mut state, free("r", "i"), NOW);
    assert_eq!(shown(&steps), ["r rejected by policy"]);
    let steps = on_proposal(&mut state, free("s", "another incident"), NOW);
    assert_eq!(shown(&steps), ["s approved by policy", "s open"]);
}

#[test]
fn after_a_failure_another_proposal_may_follow_after_a_rejection_only_with_a_person() {
    let mut state = RepositoryState::default();
    on_proposal(&mut state, free("p", "i"), NOW);
    on_failed(&mut state, "p", "conflict", NOW);
    let steps = on_proposal(&mut state, free("q", "i"), NOW);
    assert_eq!(shown(&steps), ["q approved by policy", "q open"]);

    let mut state = RepositoryState::default();
    on_proposal(&mut state, proposal("p", "i"), NOW);
    on_decision(&mut state, &decision("p", Rejected), NOW);
    let steps = on_proposal(&mut state, free("q", "i"), NOW);
    assert_eq!(shown(&steps), ["q awaiting by policy"]);
    assert_eq!(events(&steps)[0].reason, "an earlier proposal for the incident was rejected");
}

#[test]
fn what_is_remembered_is_bounded_and_nothing_is_dropped_in_silence() {
    let mut state = RepositoryState::default();
    let mut failed = 0;
    for count in 0..3 * MAX_PENDING {
        let mut large = proposal(&format!("p{count}"), &format!("i{count}"));
        large.description = "x".repeat(if count % 10 == 0 { MAX_PROPOSAL_BYTES / 2 } else { 10 });
        for event in events(&on_proposal(&mut state, large, NOW)) {
            failed += usize::from(event.event == ChangeRequestEvent::Failed);
        }
        assert!(state.weight() <= MAX_PENDING_BYTES + 400 * MAX_FINISHED, "{}", state.weight());
    }
    assert!(failed > 0);
    let waiting = (0..3 * MAX_PENDING)
        .filter(|count| {
            let id = format!("p{count}");
            !on_decision(&mut state.clone(), &decision(&id, Approved), NOW).is_empty()
        })
        .count();
    assert_eq!(waiting + failed, 3 * MAX_PENDING);
    assert!(waiting <= MAX_PENDING);

    for count in 0..2 * MAX_EARLY {
        on_decision(&mut state, &decision(&format!("unknown{count}"), Approved), NOW);
    }
    let kept = |count: usize| {
        let id = format!("unknown{count}");
        opens(&on_proposal(&mut state.clone(), proposal(&id, &id), NOW)).len()
    };
    assert_eq!((kept(0), kept(2 * MAX_EARLY - 1)), (0, 1), "the oldest go first");
}

#[test]
fn the_memory_of_rejections_outlives_many_other_ends() {
    let mut state = RepositoryState::default();
    on_proposal(&mut state, proposal("first", "first"), NOW);
    on_decision(&mut state, &decision("first", Rejected), NOW);
    for count in 0..MAX_FINISHED - 1 {
        let id = count.to_string();
        on_proposal(&mut state, free(&id, &id), NOW);
        on_opened(&mut state, &id, &opened(), NOW);
    }
    assert_eq!(on_proposal(&mut state, free("first", "first"), NOW), []);
}

#[test]
fn proposals_beyond_the_bounds_fail_with_a_reason() {
    let mut state = RepositoryState::default();
    let mut large = free("p", "i");
    large.diff = "x".repeat(MAX_PROPOSAL_BYTES);
    let steps = on_proposal(&mut state, large, NOW);
    assert_eq!(shown(&steps), ["p failed by policy"]);
    assert!(events(&steps)[0].reason.contains("bytes"));
    let steps = on_proposal(&mut state, free(&"p".repeat(1000), "i"), NOW);
    assert_eq!(events(&steps)[0].event, ChangeRequestEvent::Failed);
    assert_eq!(on_decision(&mut state, &decision(&"p".repeat(1000), Approved), NOW), []);
}

/// One thing that arrives.
#[derive(Debug, Clone)]
enum Input {
    Proposal(usize),
    Decision(usize, Verdict),
    /// The host answers the oldest request that it has not answered: opened or failed.
    Answer(bool),
    /// The state goes through the changelog, as after a restart.
    Restart,
}

/// Six proposals for three incidents: some need a person, one was refused.
fn proposals() -> Vec<ProposedChange> {
    vec![
        proposal("p0", "i0"),
        free("p1", "i0"),
        free("p2", "i1"),
        proposal("p3", "i1"),
        proposal("p4", "i2"),
        refused("p5", "i2"),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let verdict = prop_oneof![Just(Approved), Just(Rejected)];
    prop_oneof![
        4 => (0usize..6).prop_map(Input::Proposal),
        4 => (0usize..6, verdict).prop_map(|(which, verdict)| Input::Decision(which, verdict)),
        2 => any::<bool>().prop_map(Input::Answer),
        1 => Just(Input::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_twice_and_never_after_a_rejection(inputs in prop::collection::vec(input(), 0..60)) {
        let proposals = proposals();
        let mut state = RepositoryState::default();
        let mut asked: BTreeSet<String> = BTreeSet::new();
        let mut answers_due: Vec<String> = Vec::new();
        let mut incident_open: BTreeMap<String, String> = BTreeMap::new();
        let mut arrived: BTreeSet<String> = BTreeSet::new();
        let mut approved: BTreeSet<String> = BTreeSet::new();
        let mut rejected: BTreeSet<String> = BTreeSet::new();
        let mut last_event: BTreeMap<String, ChangeRequestEvent> = BTreeMap::new();

        for input in inputs {
            let steps = match input {
                Input::Proposal(which) => {
                    let proposal = proposals[which].clone();
                    arrived.insert(proposal.proposal_id.clone());
                    on_proposal(&mut state, proposal, NOW)
                }
                Input::Decision(which, verdict) => {
                    let id = &proposals[which].proposal_id;
                    let decided = if verdict == Approved { &mut approved } else { &mut rejected };
                    decided.insert(id.clone());
                    on_decision(&mut state, &decision(id, verdict), NOW)
                }
                Input::Answer(succeeded) => {
                    if answers_due.is_empty() {
                        continue;
                    }
                    let id = answers_due.remove(0);
                    if succeeded {
                        on_opened(&mut state, &id, &opened(), NOW)
                    } else {
                        let incident = proposals.iter().find(|p| p.proposal_id == id).unwrap();
                        incident_open.remove(&incident.incident_id);
                        on_failed(&mut state, &id, "", NOW)
                    }
                }
                Input::Restart => {
                    let json = serde_json::to_string(&state).unwrap();
                    let restored: RepositoryState = serde_json::from_str(&json).unwrap();
                    prop_assert_eq!(&restored, &state);
                    state = restored;
                    Vec::new()
                }
            };

            for change in opens(&steps) {
                let id = &change.proposal_id;
                prop_assert!(asked.insert(id.clone()), "{} opened twice", id);
                prop_assert!(!rejected.contains(id), "{} opened after a rejection", id);
                prop_assert!(arrived.contains(id));
                let known = proposals.iter().find(|p| p.proposal_id == *id).unwrap();
                prop_assert!(!known.needs_decision || approved.contains(id), "{} unapproved", id);
                prop_assert!(id != "p5", "a refused proposal was opened");
                let other = incident_open.insert(change.incident_id.clone(), id.clone());
                prop_assert_eq!(other, None, "two changes for one incident");
                answers_due.push(id.clone());
            }
            for event in events(&steps) {
                use ChangeRequestEvent as E;
                let before = last_event.insert(event.proposal_id.clone(), event.event);
                let is_in_order = matches!(
                    (before, event.event),
                    (None, E::AwaitingDecision | E::Approved | E::Rejected)
                        | (Some(E::AwaitingDecision), E::Approved | E::Rejected)
                        | (Some(E::Approved), E::Opened | E::Failed)
                );
                prop_assert!(is_in_order, "{:?} then {:?}", before, event.event);
            }
            let waiting: BTreeSet<&str> =
                approved_changes(&state).iter().map(|change| change.proposal_id.as_str()).collect();
            prop_assert_eq!(waiting, answers_due.iter().map(String::as_str).collect::<BTreeSet<_>>());
        }

        // Nothing is lost either: the only proposal of an incident that may be opened is.
        let may_be = approved.contains("p4") && !rejected.contains("p4") && arrived.contains("p4");
        prop_assert!(!may_be || asked.contains("p4"));
    }
}

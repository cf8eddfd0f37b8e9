//! `hephaestus proposals`, `approve` and `reject`, beside a running pipeline.

use std::path::Path;

use hephaestus_schemas::{
    ActorKind, AuditEvent, ChangeRequest, ChangeRequestEvent, Decision, GateResult, Mode,
    ProposalStatus, ProposedChange, Verdict,
};
use serde_json::json;

use crate::support::{Ended, Running, text};

fn proposal(id: &str, status: ProposalStatus) -> ProposedChange {
    ProposedChange {
        proposal_id: id.to_owned(),
        incident_id: "incident-1".to_owned(),
        fingerprint: "f00d".to_owned(),
        node: "bookshop".to_owned(),
        repository: "/srv/git/bookshop".to_owned(),
        base_branch: "main".to_owned(),
        base_commit: "c0ffee".to_owned(),
        mode: Mode::Suggest,
        status,
        needs_decision: true,
        title: "Check the key \u{1b}[31mfirst".to_owned(),
        description: "why".to_owned(),
        confidence: 0.9,
        edits: Vec::new(),
        files: vec!["shop/orders.py".to_owned()],
        diff: "--- a\n+++ b\n".to_owned(),
        gates: vec![GateResult {
            gate: "size".to_owned(),
            passed: status == ProposalStatus::Proposed,
            reason: "90 lines changed, 60 are allowed".to_owned(),
        }],
        evidence: Vec::new(),
        proposed_at: 1_700_000_000_000_000,
    }
}

async fn with_proposals(dir: &Path) -> Running {
    let running = Running::start(dir).await;
    for (id, status) in [
        ("proposal-aaaa", ProposalStatus::Proposed),
        ("proposal-bbbb", ProposalStatus::Proposed),
        ("proposal-cccc", ProposalStatus::Refused),
    ] {
        running.write("proposed-changes", "/srv/git/bookshop", &proposal(id, status)).await;
    }
    // One record of strangers hides no proposal.
    running.write_bytes("proposed-changes", "x", b"no Avro").await;
    running
}

async fn statuses(running: &Running, dir: &Path) -> Vec<(String, String)> {
    let listed = running.run(&["proposals", "--json", "--dir", text(dir)]).await.good();
    let field =
        |proposal: &serde_json::Value, name: &str| proposal[name].as_str().unwrap().to_owned();
    let proposals = listed.json();
    proposals.iter().map(|p| (field(p, "proposal_id"), field(p, "status"))).collect()
}

async fn decide(running: &Running, dir: &Path, arguments: &[&str]) -> Ended {
    running.run(&[arguments, &["--dir", text(dir)]].concat()).await
}

#[tokio::test]
async fn proposals_are_listed_with_what_became_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let running = with_proposals(dir.path()).await;
    let opened = ChangeRequest {
        id: "change-1".to_owned(),
        proposal_id: "proposal-bbbb".to_owned(),
        incident_id: "incident-1".to_owned(),
        fingerprint: "f00d".to_owned(),
        node: "bookshop".to_owned(),
        repository: "/srv/git/bookshop".to_owned(),
        event: ChangeRequestEvent::Opened,
        title: "Check the key first".to_owned(),
        branch: Some("hephaestus/fix".to_owned()),
        commit: Some("beef".to_owned()),
        base_branch: "main".to_owned(),
        files: Vec::new(),
        diff: String::new(),
        url: None,
        actor: "policy".to_owned(),
        reason: String::new(),
        at: 0,
    };
    running.write("change-requests", "/srv/git/bookshop", &opened).await;
    let expected = [
        ("proposal-aaaa", "awaiting-decision"),
        ("proposal-bbbb", "opened"),
        ("proposal-cccc", "refused"),
    ];
    let expected = expected.map(|(id, status)| (id.to_owned(), status.to_owned()));
    assert_eq!(statuses(&running, dir.path()).await, expected);

    let json = ["proposals", "--json", "--status", "refused", "--dir", text(dir.path())];
    let refused = running.run(&json).await.good().json();
    assert_eq!(refused.len(), 1);
    let gates = json!([{"gate": "size", "reason": "90 lines changed, 60 are allowed"}]);
    assert_eq!(refused[0]["refused"], gates);
    assert_eq!(refused[0]["proposed_at"], "2023-11-14T22:13:20.000Z");

    let listed = running.run(&["proposals", "--dir", text(dir.path())]).await.good();
    assert!(listed.stdout.contains("refused by size"), "{}", listed.stdout);
    assert!(!listed.stdout.contains('\u{1b}'), "text of strangers steers no terminal");
    assert!(listed.stderr.contains("proposed-changes/"), "{}", listed.stderr);
    running.stop().await;
}

#[tokio::test]
async fn an_approval_is_a_decision_and_leaves_a_trail() {
    let dir = tempfile::tempdir().unwrap();
    let running = with_proposals(dir.path()).await;
    let approve = ["approve", "proposal-aaaa", "--reason", "looks right"];
    let approved = decide(&running, dir.path(), &approve).await.good();
    let expected = json!({"proposal_id": "proposal-aaaa", "verdict": "approved", "actor": "ada"});
    assert_eq!(approved.json(), [expected]);
    let tap = running.run(&["tap", "decisions", "--dir", text(dir.path())]).await.good().json();
    assert_eq!(tap.len(), 1);
    assert_eq!(tap[0]["key"], "/srv/git/bookshop");
    assert_eq!(tap[0]["origin"][0]["topic"], "proposed-changes");
    assert_eq!(tap[0]["origin"][0]["offset"], 0);
    let decision: Decision = serde_json::from_value(tap[0]["value"].clone()).unwrap();
    assert_eq!((decision.verdict, decision.actor_kind), (Verdict::Approved, ActorKind::Person));
    assert_eq!((decision.actor.as_str(), decision.reason.as_str()), ("ada", "looks right"));
    let audit = running.run(&["tap", "audit", "--dir", text(dir.path())]).await.good().json();
    let event: AuditEvent = serde_json::from_value(audit[0]["value"].clone()).unwrap();
    assert_eq!(
        (event.action.as_str(), event.target.as_str()),
        ("decision.approve", "proposal-aaaa")
    );
    assert_eq!(statuses(&running, dir.path()).await[0].1, "approved");

    // Once is enough, and the first decision stands.
    let again = decide(&running, dir.path(), &approve).await.good();
    assert!(again.stderr.contains("was approved already, by ada"), "{}", again.stderr);
    let reject = ["reject", "proposal-aaaa", "--actor", "grace"];
    decide(&running, dir.path(), &reject).await.bad(1, "was approved already, by ada");
    let tap = running.run(&["tap", "decisions", "--dir", text(dir.path())]).await.good();
    assert_eq!(tap.json().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_decided_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let running = with_proposals(dir.path()).await;
    let cases = [
        ("proposal-aaab", r#"no proposal "proposal-aaab"; did you mean "proposal-aaaa"?"#),
        ("zzz", "`hephaestus proposals` lists them"),
        ("proposal-cccc", "was refused by gate size"),
    ];
    for (id, message) in cases {
        decide(&running, dir.path(), &["approve", id]).await.bad(1, message);
    }
    running.stop().await;
}

//! Rules of the configuration: what they make one group, keep apart, make noise of, and put into categories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use hephaestus_classifier::{Classifier, ClassifierConfig, Inspected, Inspection, RuleConfig};
use hephaestus_schemas::ClassifiedLog;
use serde_json::{Value, json};

const PYTHON: &str = "Traceback (most recent call last):\n  File \"/srv/app/pay.py\", line 9, in charge\n    raise Declined(card)\npay.Declined: card of tenant=acme declined\n";
const OTHER: &str = "Traceback (most recent call last):\n  File \"/srv/app/refund.py\", line 3, in refund\n    raise Declined(card)\npay.Declined: card of tenant=other declined\n";
const LINE: &str = "2024-01-01 10:00:00 ERROR pay.gateway: acquirer declined 17 times\n";

fn classified(rules: Value, text: &str) -> Vec<ClassifiedLog> {
    let rules: Vec<RuleConfig> = serde_json::from_value(rules).unwrap();
    let config = ClassifierConfig { rules, ..ClassifierConfig::default() };
    config.check().unwrap();
    let classifier = Classifier::new(config);
    let mut inspection = Inspection::new(&classifier, "shop/a/out", common::REFERENCE_MS);
    let mut events = Vec::new();
    let mut keep = |event: Inspected<'_>| events.push(event.into_owned().log);
    inspection.bytes(text.as_bytes(), &mut keep);
    inspection.finish(&mut keep);
    events
}

fn one(rules: Value, text: &str) -> ClassifiedLog {
    let mut events = classified(rules, text);
    assert_eq!(events.len(), 1);
    events.remove(0)
}

#[test]
fn a_rule_merges_failures_of_different_kinds() {
    let rules =
        json!([{"name": "declined", "match": {"message": "*declined*"}, "merge": "declined"}]);
    let group = one(rules.clone(), PYTHON).fingerprint;
    assert_ne!(one(json!([]), PYTHON).fingerprint, one(json!([]), OTHER).fingerprint);
    assert_eq!(one(rules.clone(), OTHER).fingerprint, group);
    assert_eq!(one(rules.clone(), LINE).fingerprint, group);
    let stays = "2024-01-01 10:00:00 ERROR pay.gateway: acquirer away\n";
    assert_eq!(one(rules, stays).fingerprint, one(json!([]), stays).fingerprint);
}

#[test]
fn a_rule_splits_by_a_word_of_the_message() {
    let rules = |by: Value| json!([{"name": "tenants", "match": {"type": "pay.*"}, "split": by}]);
    let of = |by: Value, tenant: &str| one(rules(by), &PYTHON.replace("acme", tenant)).fingerprint;
    assert_eq!(of(json!(["service"]), "a"), of(json!(["service"]), "b"));
    assert_ne!(of(json!(["after tenant="]), "a"), of(json!(["after tenant="]), "b"));
    assert_eq!(of(json!(["after tenant="]), "a"), of(json!(["after tenant="]), "a"));
    assert_ne!(of(json!(["after tenant="]), "a"), one(json!([]), PYTHON).fingerprint);
}

#[test]
fn a_rule_splits_by_route_and_service_and_frame() {
    let access = |path: &str| {
        format!("10.0.0.1 - - [01/Jan/2024:10:00:00 +0000] \"GET {path} HTTP/1.1\" 500 12\n")
    };
    let merged = json!([{"name": "all", "match": {"template": "GET * 500"}, "merge": "all"}]);
    assert_eq!(
        one(merged.clone(), &access("/a")).fingerprint,
        one(merged, &access("/b")).fingerprint
    );
    let split = |by: &str| json!([{"name": "by", "match": {"category": "defect"}, "split": [by]}]);
    let users = one(split("route"), &access("/users/17")).fingerprint;
    assert_eq!(users, one(split("route"), &access("/users/18")).fingerprint);
    assert_ne!(users, one(split("route"), &access("/orders/18")).fingerprint);
    let log = |service: &str| {
        format!("{{\"level\":\"error\",\"msg\":\"boom\",\"service\":\"{service}\"}}\n")
    };
    assert_ne!(
        one(split("service"), &log("pay")).fingerprint,
        one(split("service"), &log("shop")).fingerprint
    );
    for by in ["module", "function", "type", "logger"] {
        let text = PYTHON.replace("charge", "refund");
        let moved = text.replace("line 9", "line 90");
        let split = json!([{"name": "by", "match": {"type": "*"}, "split": [by]}]);
        assert_eq!(one(split.clone(), &text).fingerprint, one(split, &moved).fingerprint, "{by}");
    }
}

#[test]
fn what_is_ignored_is_written_as_noise() {
    let rules = json!([{"name": "known", "match": {"function": "charge"}, "ignore": true, "reason": "the bank's affair"}]);
    let (event, without) = (one(rules, PYTHON), one(json!([]), PYTHON));
    assert_eq!(
        (event.category.as_str(), event.category_reason.as_str()),
        ("noise", "the bank's affair")
    );
    let restored = ClassifiedLog {
        category: without.category.clone(),
        category_reason: without.category_reason.clone(),
        ..event
    };
    assert_eq!(restored, without, "nothing else changes");
}

#[test]
fn a_rule_puts_events_into_a_category_of_its_own() {
    let rules = json!([{"name": "billing", "match": {"logger": "pay.*"}, "category": "billing"}]);
    let event = one(rules, LINE);
    assert_eq!(
        (event.category.as_str(), event.category_reason.as_str()),
        ("billing", "the rule billing says so")
    );
}

#[test]
fn the_first_rule_that_fits_counts_for_group_and_category_each() {
    let rules = json!([
        {"name": "category", "match": {"message": "*declined*"}, "category": "billing"},
        {"name": "group", "match": {"message": "*acquirer*"}, "merge": "acquirer", "category": "data"},
        {"name": "late", "match": {"message": "*"}, "merge": "late", "ignore": true},
    ]);
    let event = one(rules.clone(), LINE);
    assert_eq!(event.category, "billing");
    let group = json!([{"name": "group", "match": {"message": "*"}, "merge": "acquirer"}]);
    assert_eq!(event.fingerprint, one(group, LINE).fingerprint);
    let late = one(rules, "2024-01-01 10:00:00 INFO other\n");
    assert_eq!(late.category, "noise");
}

#[test]
fn every_field_that_is_given_has_to_fit() {
    let rules = |service: &str| json!([{"name": "r", "match": {"service": ["x", service], "type": "pay.Declined", "module": "*pay*", "message": "*tenant=*"}, "ignore": true}]);
    assert_ne!(one(rules("y"), PYTHON).category, "noise");
    assert_ne!(one(rules("shop"), OTHER).category, "noise");
    assert_eq!(one(json!([{"name": "r", "match": {"service": "sh*", "type": "pay.Declined"}, "ignore": true}]), PYTHON).category, "noise");
}

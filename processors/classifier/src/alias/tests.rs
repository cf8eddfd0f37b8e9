#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;
use crate::template::{pattern_id, template};

fn table_of(templates: &[&str]) -> PatternTable {
    let mut table = PatternTable::new(1_000);
    for template in templates {
        table.observe(&pattern_id(template), template, 1, false);
    }
    table
}

fn same(table: &PatternTable, a: &str, b: &str) -> bool {
    table.resolve(&pattern_id(a)) == table.resolve(&pattern_id(b))
}

/// A word without digits, another one for each number.
fn word(number: u32) -> String {
    number.to_string().bytes().map(|byte| char::from(byte - b'0' + b'g')).collect()
}

#[test]
fn a_word_that_takes_many_values_is_a_variable() {
    let users = ["root", "bob", "eve", "ann", "git"];
    let templates: Vec<String> =
        users.iter().map(|user| format!("session opened for user {user} now")).collect();
    let refs: Vec<&str> = templates.iter().map(String::as_str).collect();
    let four = table_of(&refs[..4]);
    assert!(!same(&four, refs[0], refs[3]));
    let five = table_of(&refs);
    assert!(same(&five, refs[0], refs[4]));
    assert_eq!(
        five.resolve(&pattern_id(refs[0])),
        pattern_id("session opened for user <*> now"),
        "the template of all of them"
    );
    let unseen = "session opened for user zoe now";
    assert_eq!(
        five.resolve_template(&pattern_id(unseen), unseen),
        five.resolve(&pattern_id(refs[0]))
    );
}

#[test]
fn masks_of_different_types_are_one_pattern() {
    let table = table_of(&["close <ip> by <num>", "close <host> by <id>", "open <ip> by <num>"]);
    assert!(same(&table, "close <ip> by <num>", "close <host> by <id>"));
    assert!(!same(&table, "close <ip> by <num>", "open <ip> by <num>"));
    assert_eq!(table.resolve(&pattern_id("open <ip> by <num>")), pattern_id("open <ip> by <num>"));
}

#[test]
fn what_is_published_lets_another_instance_agree() {
    let templates: Vec<String> =
        (b'a'..b'p').map(|byte| format!("login of user {} failed", char::from(byte))).collect();
    let mut here = PatternTable::new(100);
    let mut there = PatternTable::new(100);
    for template in &templates {
        for record in here.observe(&pattern_id(template), template, 5, false) {
            there.apply(&record);
        }
    }
    for template in &templates {
        let id = pattern_id(template);
        assert_eq!(here.resolve(&id), there.resolve(&id));
    }
    assert_eq!(here.canonical_count(), 1);
}

#[test]
fn memory_is_bounded() {
    let mut table = PatternTable::new(10);
    for number in 0..1_000 {
        let template = format!("{} thing {} that", word(number), word(number + 7));
        table.observe(&pattern_id(&template), &template, 1, false);
    }
    assert_eq!(table.len(), 10);
    assert!(table.buckets.len() <= 10 * 8);
    assert!(table.links.ids().count() <= 10 * LINKS_PER_PATTERN);
}

#[test]
fn a_word_that_takes_a_million_values_makes_one_pattern() {
    for (text, values) in [
        ("user {} logged in from the office", 1_000_000),
        ("hello {}", 20_000),
        ("{}", 20_000),
        ("{} joined the room", 20_000),
        ("request done user={} path=fast", 20_000),
        ("calling com.shop.{} from main.{} is not allowed", 20_000),
    ] {
        let mut table = PatternTable::new(10_000);
        let mut published = 0;
        for number in 0..values {
            let line = text.replace("{}", &word(number));
            let template = template(&line);
            published += table.observe(&pattern_id(&template), &template, 1, false).len();
        }
        assert_eq!(table.canonical_count(), 1, "{text}");
        assert!(table.len() <= 200, "{text}: {} patterns are held", table.len());
        assert!(published <= 500, "{text}: {published} records are published");
        let first = text.replace("{}", &word(0));
        let general = table.resolve_template(&pattern_id(&first), &first);
        for number in [0, 1, values / 2, values - 1] {
            let line = text.replace("{}", &word(number));
            assert_eq!(table.resolve_template(&pattern_id(&line), &line), general, "{line}");
        }
    }
}

#[test]
fn failures_are_forgotten_last() {
    let mut table = PatternTable::new(100);
    let failure = |number: u32| format!("{} broke down while {}", word(number), word(number * 7));
    let other = |number: u32| format!("{} went well after {}", word(number), word(number * 7));
    for number in 0..50 {
        let text = failure(number);
        table.observe(&pattern_id(&text), &text, 1, true);
    }
    for number in 0..10_000 {
        let text = other(number);
        table.observe(&pattern_id(&text), &text, 1, false);
    }
    assert_eq!(table.len(), 100);
    let held = |table: &PatternTable, text: &str| {
        table.shapes.values().any(|shape| shape.text.as_ref() == text)
    };
    assert!((0..50).all(|number| held(&table, &failure(number))), "a failure was forgotten");
    // Failures alone do not fill the table for good: what is new finds room.
    for number in 50..10_000 {
        let text = failure(number);
        table.observe(&pattern_id(&text), &text, 1, true);
    }
    assert_eq!(table.len(), 100);
    let text = other(0);
    table.observe(&pattern_id(&text), &text, 1, false);
    assert!(held(&table, &text));
}

#[test]
fn what_comes_again_is_forgotten_later() {
    let mut table = PatternTable::new(100);
    let often = "the queue is drained";
    for number in 0..5_000 {
        let text = format!("{} went well after {}", word(number), word(number * 7));
        table.observe(&pattern_id(&text), &text, 1, false);
        table.observe(&pattern_id(often), often, 1, false);
    }
    assert!(table.shapes.values().any(|shape| shape.text.as_ref() == often));
}

/// Templates of a small vocabulary, with several places that vary.
fn any_templates() -> impl Strategy<Value = Vec<String>> {
    let object = prop_oneof![Just("<num>".to_owned()), Just("eth<num>".to_owned()), "[a-h]{2}"];
    let words =
        ("[a-c]{2}", "[a-h]{2}", object, prop_oneof![Just(""), Just(" user=x"), Just(" user=y")]);
    proptest::collection::vec(words, 1..80).prop_map(|words| {
        let text = |(a, b, c, d): &(String, String, String, &str)| {
            format!("verb {a} object {b} at {c}{d}")
        };
        words.iter().map(text).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_order_does_not_matter(templates in any_templates(), seed in 0usize..1000) {
        let forward: Vec<&str> = templates.iter().map(String::as_str).collect();
        let mut shuffled = forward.clone();
        let length = shuffled.len();
        shuffled.rotate_left(seed % length);
        shuffled.reverse();
        let (a, b) = (table_of(&forward), table_of(&shuffled));
        for template in &forward {
            let id = pattern_id(template);
            prop_assert_eq!(a.resolve(&id), b.resolve(&id));
        }
        prop_assert_eq!(a.canonical_count(), b.canonical_count());
    }

    /// Instances see parts of the input, in another order, and share what they publish, late.
    #[test]
    fn the_spread_over_instances_does_not_matter(
        templates in any_templates(),
        spread in proptest::collection::vec(0usize..4, 1..30),
        delay in 1usize..20,
    ) {
        let forward: Vec<&str> = templates.iter().map(String::as_str).collect();
        let alone = table_of(&forward);
        let mut instances = vec![PatternTable::new(1_000); 4];
        let mut log: Vec<Pattern> = Vec::new();
        let mut read = [0usize; 4];
        for (step, template) in forward.iter().rev().enumerate() {
            let at = spread[step % spread.len()];
            log.extend(instances[at].observe(&pattern_id(template), template, 1, false));
            if step % delay == 0 {
                let reader = spread[(step + 1) % spread.len()];
                while read[reader] < log.len() {
                    let record = log[read[reader]].clone();
                    read[reader] += 1;
                    log.extend(instances[reader].apply(&record));
                }
            }
        }
        // Everybody reads to the end; what that shows is read too.
        for round in 0.. {
            prop_assert!(round < 50, "they never agree");
            let before = log.len();
            for (instance, read) in instances.iter_mut().zip(&mut read) {
                while *read < log.len() {
                    let record = log[*read].clone();
                    *read += 1;
                    log.extend(instance.apply(&record));
                }
            }
            if log.len() == before {
                break;
            }
        }
        // A table that is rebuilt from what a compacted topic keeps, in the order of the keys.
        let compacted: BTreeMap<String, Pattern> =
            log.iter().map(|record| (record.id.clone(), record.clone())).collect();
        let mut rebuilt = PatternTable::new(1_000);
        for record in compacted.values() {
            rebuilt.apply(record);
        }
        instances.push(rebuilt);
        for template in &forward {
            let id = pattern_id(template);
            for instance in &instances {
                prop_assert_eq!(instance.resolve_template(&id, template), alone.resolve(&id));
            }
            // Whoever reads the topic alone follows the links.
            let mut link = id.clone();
            while let Some(next) = compacted.get(&link).and_then(|record| record.alias_of.clone()) {
                link = next;
            }
            prop_assert_eq!(link, alone.resolve(&id));
        }
    }
}

//! The oracle detects each thing that can be wrong, and nothing where nothing is.

use super::*;

const TOPIC: &str = "in";

fn id(source: u32, number: u32) -> Id {
    Id { source, number }
}

fn acknowledged(offset: u64) -> Acknowledged {
    Acknowledged { partition: 0, offset: Some(offset) }
}

fn at(partition: u32, offset: u64) -> Place {
    Place { partition, offset }
}

/// Three records of one source, two of them acknowledged.
fn issued() -> Deliveries {
    let mut deliveries = Deliveries::new(TOPIC);
    for number in 0..3 {
        deliveries.issue(id(1, number));
    }
    deliveries.acknowledge(id(1, 0), acknowledged(0));
    deliveries.acknowledge(id(1, 1), acknowledged(1));
    deliveries
}

/// Two inputs of one key and one of another.
fn inputs() -> Effects {
    let mut effects = Effects::new("stage");
    effects.input(at(0, 0), id(1, 0), 1);
    effects.input(at(0, 1), id(1, 1), 1);
    effects.input(at(0, 2), id(2, 0), 2);
    effects
}

#[test]
fn an_id_is_found_in_what_it_was_written_into() {
    for one in [id(0, 0), id(17, 123_456)] {
        assert_eq!(Id::find(&format!("order {one} failed")), Some(one));
        assert_eq!(Id::find(&one.to_string()), Some(one));
    }
    for text in ["", "ref-", "ref-1", "ref-1-", "ref-a-1", "order 1-2"] {
        assert_eq!(Id::find(text), None, "{text}");
    }
}

#[test]
fn what_was_not_acknowledged_may_be_there_or_not() {
    let mut deliveries = issued();
    deliveries.found(id(1, 0), at(0, 0)).unwrap();
    deliveries.found(id(1, 1), at(0, 1)).unwrap();
    assert_eq!(deliveries.lost(), []);
    deliveries.found(id(1, 2), at(0, 2)).unwrap();
    assert_eq!(deliveries.lost(), []);
    assert_eq!(deliveries.totals(), (3, 2, 3));
}

#[test]
fn a_lost_record_is_seen() {
    let mut deliveries = issued();
    deliveries.found(id(1, 0), at(0, 0)).unwrap();
    let lost = Violation::Lost { topic: TOPIC, id: id(1, 1), acknowledged: acknowledged(1) };
    assert_eq!(deliveries.lost(), [lost]);
}

#[test]
fn a_doubled_record_is_seen() {
    let mut deliveries = issued();
    deliveries.found(id(1, 0), at(0, 0)).unwrap();
    let doubled = Violation::Doubled { topic: TOPIC, id: id(1, 0), again: at(0, 1) };
    assert_eq!(deliveries.found(id(1, 0), at(0, 1)), Err(doubled));
}

#[test]
fn a_record_out_of_order_is_seen() {
    let mut deliveries = issued();
    deliveries.found(id(1, 1), at(0, 0)).unwrap();
    let reordered = Violation::Reordered { topic: TOPIC, id: id(1, 0), at: at(0, 1) };
    assert_eq!(deliveries.found(id(1, 0), at(0, 1)), Err(reordered));
}

#[test]
fn a_record_that_nobody_issued_is_seen() {
    let unknown = Violation::Unknown { topic: TOPIC, id: id(1, 9), at: at(0, 0) };
    assert_eq!(issued().found(id(1, 9), at(0, 0)), Err(unknown));
}

#[test]
fn inputs_are_in_the_outputs_the_dead_letters_or_held_by_state() {
    let mut effects = inputs();
    effects.effect(at(0, 0), "out", at(3, 0)).unwrap();
    effects.effect(at(0, 2), "dead", at(0, 0)).unwrap();
    assert_eq!(effects.without(|place| place == at(0, 1)), []);
    effects.effect(at(0, 1), "out", at(3, 1)).unwrap();
    assert_eq!(effects.without(|_| false), []);
    assert_eq!((effects.inputs(), effects.outputs("out"), effects.outputs("dead")), (3, 2, 1));
}

#[test]
fn an_input_without_an_effect_is_seen() {
    let mut effects = inputs();
    effects.effect(at(0, 0), "out", at(3, 0)).unwrap();
    effects.effect(at(0, 2), "dead", at(0, 0)).unwrap();
    let missing = Violation::NoEffect { stage: "stage", id: id(1, 1), input: at(0, 1) };
    assert_eq!(effects.without(|_| false), [missing]);
}

#[test]
fn an_effect_that_happened_twice_is_seen_also_where_one_of_them_is_a_dead_letter() {
    for topic in ["out", "dead"] {
        let mut effects = inputs();
        effects.effect(at(0, 0), "out", at(3, 0)).unwrap();
        let again = Violation::EffectAgain {
            stage: "stage",
            id: id(1, 0),
            input: at(0, 0),
            topic,
            at: at(4, 7),
        };
        assert_eq!(effects.effect(at(0, 0), topic, at(4, 7)), Err(again));
    }
}

#[test]
fn effects_of_one_key_out_of_order_are_seen() {
    let mut effects = inputs();
    effects.effect(at(0, 1), "out", at(3, 0)).unwrap();
    let reordered =
        Violation::EffectReordered { stage: "stage", input: at(0, 0), topic: "out", at: at(3, 1) };
    assert_eq!(effects.effect(at(0, 0), "out", at(3, 1)), Err(reordered));
}

#[test]
fn effects_of_different_keys_may_come_in_any_order() {
    let mut effects = inputs();
    for offset in [2, 0, 1] {
        effects.effect(at(0, offset), "out", at(3, offset)).unwrap();
    }
}

#[test]
fn an_effect_of_nothing_is_seen() {
    let nothing =
        Violation::EffectOfNothing { stage: "stage", input: at(9, 9), topic: "out", at: at(3, 0) };
    assert_eq!(inputs().effect(at(9, 9), "out", at(3, 0)), Err(nothing));
}

#[test]
fn state_that_differs_is_seen_and_so_is_a_key_too_many_or_too_few() {
    let map = |pairs: &[(&str, u32)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect::<BTreeMap<_, _>>()
    };
    let wanted = map(&[("a", 1), ("b", 2)]);
    assert_eq!(compare("state", &wanted, &wanted), []);
    for found in
        [map(&[("a", 1), ("b", 3)]), map(&[("a", 1)]), map(&[("a", 1), ("b", 2), ("c", 3)])]
    {
        assert_eq!(compare("state", &found, &wanted).len(), 1, "{found:?}");
    }
}

#[test]
fn an_open_transaction_is_seen() {
    let ends = |stable, end| Ends { topic: "out".into(), partition: 1, stable, end };
    assert_eq!(open_transactions(&[ends(5, 5)]), []);
    let open = Violation::OpenTransaction { topic: "out".into(), partition: 1, stable: 5, end: 7 };
    assert_eq!(open_transactions(&[ends(5, 5), ends(5, 7)]), [open]);
}

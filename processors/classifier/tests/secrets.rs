//! How many secrets are masked, and how much that is none: `cargo test -p hephaestus-classifier
//! --test secrets -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;
#[path = "common/corpus.rs"]
mod corpus;

use hephaestus_classifier::{Classifier, ClassifierConfig, Inspected, Inspection};
use proptest::prelude::*;
use serde_json::Value;

use corpus::{CLASSES, INNOCENT, Random, SHAPES};

const SEED: u64 = 7;
/// Samples of each class in each shape.
const SAMPLES: usize = 25;

/// Every text in the events of a log, and how many secrets were masked.
fn texts(log: &str) -> (Vec<String>, usize) {
    let events = common::inspect(log.as_bytes());
    let mut texts = Vec::new();
    let mut masked = 0;
    for event in events {
        masked += usize::try_from(event.log.masked).unwrap();
        collect(&serde_json::to_value(&event.log).unwrap(), &mut texts);
    }
    (texts, masked)
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            texts.push(name.clone());
            collect(value, texts);
        }),
        _ => {}
    }
}

#[test]
fn recall_and_precision_on_synthetic_secrets() {
    let mut random = Random::new(SEED);
    let (mut found, mut all) = (0, 0);
    println!("{:20} {:>8} {:>8}", "class", "secrets", "recall");
    for (class, name) in CLASSES.iter().enumerate() {
        let (mut found_here, mut here) = (0, 0);
        for (shape, shape_name) in SHAPES.iter().enumerate() {
            for _ in 0..SAMPLES {
                let sample = corpus::secret(class, &mut random);
                let log = corpus::log(shape, &sample.text);
                let (texts, _) = texts(&log);
                here += 1;
                if texts.iter().any(|text| text.contains(&sample.secret)) {
                    println!("missed ({shape_name}): {}", sample.text);
                } else {
                    found_here += 1;
                }
            }
        }
        println!("{name:20} {here:8} {:8.4}", f64::from(found_here) / f64::from(here));
        found += found_here;
        all += here;
    }
    let (mut wrong, mut innocent) = (0, 0);
    for kind in 0..INNOCENT {
        for (shape, shape_name) in SHAPES.iter().enumerate() {
            for _ in 0..SAMPLES {
                let text = corpus::innocent(kind, &mut random);
                innocent += 1;
                if texts(&corpus::log(shape, &text)).1 > 0 {
                    wrong += 1;
                    println!("wrong ({shape_name}): {text}");
                }
            }
        }
    }
    let recall = f64::from(found) / f64::from(all);
    let precision = f64::from(found) / f64::from(found + wrong);
    println!(
        "recall {recall:.4} of {all} secrets, precision {precision:.4} with {innocent} look-alikes"
    );
    assert!(recall >= 0.99 && precision >= 0.99, "recall {recall}, precision {precision}");
}

#[test]
fn which_secret_it_was_does_not_matter_to_the_ids() {
    let with = |key: Option<&str>| {
        let config = ClassifierConfig {
            mask_key: key.map(hephaestus_pipeline::config::Secret::new),
            ..ClassifierConfig::default()
        };
        Classifier::new(config)
    };
    let ids = |classifier: &Classifier, source: &str, log: &str| {
        let mut inspection = Inspection::new(classifier, source, common::REFERENCE_MS);
        let mut events = Vec::new();
        let mut keep = |event: Inspected<'_>| events.push(event.into_owned().log);
        inspection.bytes(log.as_bytes(), &mut keep);
        inspection.finish(&mut keep);
        let of = |event: &hephaestus_schemas::ClassifiedLog| {
            (event.template.clone(), event.pattern_id.clone(), event.fingerprint.clone())
        };
        (events.iter().map(of).collect::<Vec<_>>(), events[0].message.clone())
    };
    let (plain, keyed) = (with(None), with(Some("a key of one's own")));
    for (shape, shape_name) in SHAPES.iter().enumerate() {
        for class in 0..CLASSES.len() {
            // The same sort of secret twice.
            let (mut one, mut two) = (Random::new(class as u64), Random::new(class as u64));
            let one = corpus::secret(class, &mut one);
            let mut other = corpus::secret(class, &mut two);
            other.text = other.text.replace(&one.secret, &another(class, &one));
            let of =
                |classifier, source, text: &str| ids(classifier, source, &corpus::log(shape, text));
            let first = of(&plain, "shop/a/out", &one.text);
            for (classifier, source) in
                [(&plain, "shop/b/out"), (&keyed, "shop/a/out"), (&keyed, "shop/b/out")]
            {
                assert_eq!(first.0, of(classifier, source, &one.text).0, "{shape_name}");
                assert_eq!(
                    first.0,
                    of(classifier, source, &other.text).0,
                    "{shape_name} {}",
                    one.text
                );
            }
            assert_eq!(
                first.1,
                of(&with(None), "shop/a/out", &one.text).1,
                "every instance tags alike"
            );
        }
    }
}

#[test]
fn what_json_escapes_without_need_hides_no_secret() {
    for line in [
        r#"{"level":"error","message":"failed {\u0022password\u0022:\u0022hunter2Xy9\u0022}"}"#,
        r#"{"level":"error","msg":"cannot connect mysql:\/\/root:hunter2Xy9@db\/shop"}"#,
        r#"{"level":"error","msg":"\u001b[36mtoken\u001b[0m=hunter2Xy9"}"#,
        r#"{"msg":"\u003Cpassword\u003Ehunter2Xy9\u003C/password\u003E"}"#,
        r#"{"log":"{\"msg\":\"{\\u0022password\\u0022:\\u0022hunter2Xy9\\u0022}\"}\n","stream":"stdout","time":"2024-01-01T10:00:00Z"}"#,
        r#"2024-01-01 10:00:00 ERROR app - {"msg":"{\u0022password\u0022:\u0022hunter2Xy9\u0022}"}"#,
    ] {
        let log = common::inspect(line.as_bytes()).remove(0).log;
        let shown = format!("{log:?}");
        assert!(shown.contains("<secret:") && !shown.contains("hunter2Xy9"), "{shown}");
    }
}

/// Another secret of the same sort: the next one that differs from it in its random part only.
fn another(class: usize, one: &corpus::Sample) -> String {
    let mut random = Random::new(1_000 + class as u64);
    let before =
        |sample: &corpus::Sample| sample.text.split(&sample.secret).next().unwrap_or("").to_owned();
    for _ in 0..10_000 {
        let sample = corpus::secret(class, &mut random);
        if before(&sample) == before(one) && sample.secret != one.secret {
            return sample.secret;
        }
    }
    panic!("no other secret like {}", one.text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// Whatever stands around a secret in its line, it is in no field of the event.
    #[test]
    fn no_secret_survives_in_any_field(
        class in 0..CLASSES.len(),
        shape in 0..SHAPES.len(),
        seed in any::<u64>(),
        before in "([a-z0-9 .,:;=/@<>{}()\\[\\]+-]|\\PC){0,30}",
        behind in "([a-z0-9 .,:;=/@<>{}()\\[\\]\"'\\\\+-]|\\PC){0,30}",
    ) {
        let sample = corpus::secret(class, &mut Random::new(seed));
        let log = corpus::log(shape, &format!("{before} {} {behind}", sample.text));
        let (texts, _) = texts(&log);
        for text in texts {
            prop_assert!(!text.contains(&sample.secret), "{log}");
        }
    }
}

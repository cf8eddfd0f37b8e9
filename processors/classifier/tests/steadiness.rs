//! The fingerprint of an exception stays the same under what changes from run to run and from build to build, and
//! tells apart what is not the same failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::inspect;
use proptest::prelude::*;

/// The fingerprint of the one event of a text.
fn fingerprint(text: &str) -> String {
    let events = inspect(text.as_bytes());
    assert_eq!(events.len(), 1, "{text}");
    assert!(events[0].log.exception.is_some(), "{text}");
    events[0].log.fingerprint.clone()
}

/// What changes between two occurrences of one failure.
#[derive(Debug, Clone)]
struct Occurrence {
    lines: [u32; 4],
    depth: usize,
    number: u32,
    address: u64,
    id: u64,
    word: String,
}

fn occurrence() -> impl Strategy<Value = Occurrence> {
    (any::<[u16; 4]>(), 0usize..30, 1u32..500, any::<u32>(), any::<u64>(), "[0-9a-f]{12}").prop_map(
        |(lines, depth, number, address, id, word)| Occurrence {
            lines: lines.map(|line| u32::from(line) + 1),
            depth,
            number,
            address: u64::from(address) | 0x7f00_0000_0000,
            id,
            word,
        },
    )
}

fn java(of: &Occurrence, failing: &str) -> String {
    let Occurrence { lines, number, address, id, word, .. } = of;
    let mut text = format!(
        "2024-01-01 10:00:00 ERROR [exec-{number}] com.acme.Shop - order {id} failed\n\
         com.acme.OrderException: no stock for order {id} ({word}) com.acme.Order@{address:x}\n\
         \tat com.acme.Stock.{failing}(Stock.java:{})\n",
        lines[0]
    );
    for _ in 0..=of.depth {
        text.push_str(&format!("\tat com.acme.Tree.walk(Tree.java:{})\n", lines[1]));
        text.push_str(&format!("\tat com.acme.Tree.visit(Tree.java:{})\n", lines[2]));
    }
    text.push_str(&format!(
        "\tat com.acme.Shop$$Lambda${number}/0x{address:016x}.run(Unknown Source)\n\
         \tat com.acme.Shop$$EnhancerBySpringCGLIB$${address:x}.order(<generated>)\n\
         \tat jdk.proxy2.$Proxy{number}.order(Unknown Source)\n\
         \tat com.acme.Main.lambda$main${number}(Main.java:{})\n",
        lines[3]
    ));
    text
}

fn python(of: &Occurrence, failing: &str) -> String {
    let Occurrence { lines, address, id, word, .. } = of;
    let mut text = "Traceback (most recent call last):\n".to_owned();
    for _ in 0..=of.depth {
        text.push_str(&format!(
            "  File \"/srv/app/tree.py\", line {}, in walk\n    walk(child)\n",
            lines[0]
        ));
    }
    text.push_str(&format!(
        "  File \"/srv/app/stock.py\", line {}, in {failing}\n    raise Missing(order)\n\
         stock.Missing: order {id} of <stock.Order object at 0x{address:x}>, session {word}\n",
        lines[1]
    ));
    text
}

fn go(of: &Occurrence, failing: &str) -> String {
    let Occurrence { lines, number, address, .. } = of;
    format!(
        "panic: runtime error: index out of range [{number}] with length {}\n\n\
         goroutine {number} [running]:\n\
         main.{failing}(0x{address:x}, 0x{number:x})\n\t/srv/app/stock.go:{} +0x{number:x}\n\
         main.serve.func{number}()\n\t/srv/app/serve.go:{} +0x1d\n\
         created by main.serve in goroutine {number}\n\t/srv/app/serve.go:{} +0x2f\n",
        lines[3], lines[0], lines[1], lines[2]
    )
}

fn javascript(of: &Occurrence, failing: &str) -> String {
    let Occurrence { lines, number, word, .. } = of;
    let hash: String = word.chars().take(7).chain(['0']).collect();
    format!(
        "TypeError: Cannot read properties of undefined (reading 'id')\n    \
         at {failing} (/srv/app/dist/main.{hash}.js:1:{})\n    \
         at async Promise.all (index {number})\n    \
         at async serve (/srv/app/dist/index-{hash}.js:{}:7)\n",
        lines[0], lines[1]
    )
}

fn bare(of: &Occurrence, type_name: &str) -> String {
    let Occurrence { number, address, id, word, .. } = of;
    format!(
        "{type_name}: order {id} of 10.0.{}.{} failed at 0x{address:x}, request {}-{}-4a1b-8c2d-{word}",
        number % 256,
        number % 200,
        &word[..8],
        &word[8..12]
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn two_occurrences_of_one_failure_are_one(a in occurrence(), b in occurrence()) {
        for write in [java, python, go, javascript] {
            let (first, second) = (write(&a, "take"), write(&b, "take"));
            prop_assert_eq!(fingerprint(&first), fingerprint(&second), "{}\n{}", first, second);
            prop_assert_ne!(fingerprint(&first), fingerprint(&write(&b, "put")));
        }
    }

    #[test]
    fn ids_and_addresses_in_the_message_of_an_exception_without_frames_do_not_matter(a in occurrence(), b in occurrence()) {
        let first = bare(&a, "acme.OrderError");
        prop_assert_eq!(fingerprint(&first), fingerprint(&bare(&b, "acme.OrderError")));
        prop_assert_ne!(fingerprint(&first), fingerprint(&bare(&b, "acme.StockError")));
    }

    #[test]
    fn where_the_stack_ran_out_does_not_matter(helper in any::<bool>(), shift in 0usize..2, depth in 40usize..400) {
        let trace = |helper: bool, shift: usize, depth: usize| {
            let mut text = "java.lang.StackOverflowError\n".to_owned();
            if helper {
                text.push_str("\tat com.acme.Text.trim(Text.java:4)\n");
            }
            for step in 0..depth {
                let function = ["walk", "visit"][(step + shift) % 2];
                text.push_str(&format!("\tat com.acme.Tree.{function}(Tree.java:1{step})\n"));
            }
            text
        };
        prop_assert_eq!(fingerprint(&trace(helper, shift, depth)), fingerprint(&trace(false, 0, 100)));
    }
}

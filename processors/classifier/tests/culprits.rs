//! Which frames are named first as culprits, on traces in which the innermost frame is the wrong one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::inspect;
use hephaestus_schemas::{ClassifiedLog, Frame};

fn log_of(trace: &str) -> ClassifiedLog {
    let mut events = inspect(trace.as_bytes());
    assert_eq!(events.len(), 1, "{trace}");
    events.remove(0).log
}

/// `Class.function` or `file function` of each culprit.
fn culprits(trace: &str) -> Vec<String> {
    let name = |frame: &Frame| {
        let place = match frame.module.as_deref() {
            Some(module) => module.rsplit('.').next().unwrap_or(module),
            None => frame.file.as_deref().unwrap_or(""),
        };
        format!("{place} {}", frame.function.as_deref().unwrap_or(""))
    };
    log_of(trace).culprits.iter().map(name).collect()
}

#[test]
fn factories_and_classes_of_exceptions_come_last() {
    let trace = "com.acme.ShopException: no such item\n\
        \tat com.acme.ShopException.<init>(ShopException.java:9)\n\
        \tat com.acme.exceptions.Failures.missing(Failures.java:20)\n\
        \tat com.acme.Cart.add(Cart.java:44)\n\
        \tat com.acme.Checkout.run(Checkout.java:12)";
    let expected =
        ["Cart add", "Checkout run", "ShopException <init>", "Failures missing"].map(String::from);
    assert_eq!(culprits(trace), expected);
}

#[test]
fn a_guard_is_not_to_blame_for_what_it_refuses() {
    let own = "java.lang.IllegalStateException: closed\n\
        \tat com.acme.Pool.ensureOpen(Pool.java:80)\n\
        \tat com.acme.Worker.take(Worker.java:31)\n\
        \tat com.acme.Main.main(Main.java:5)";
    assert_eq!(culprits(own), ["Worker take", "Pool ensureOpen", "Main main"]);
    let python = "Traceback (most recent call last):\n  \
        File \"/srv/app/orders.py\", line 9, in place\n    check_total(total)\n  \
        File \"/srv/app/rules.py\", line 4, in check_total\n    raise ValueError(\"negative\")\n\
        ValueError: negative";
    assert_eq!(culprits(python), ["/srv/app/orders.py place", "/srv/app/rules.py check_total"]);
    let constructor = "java.lang.IllegalArgumentException: lower (0.0) <= upper (-2.3)\n\
        \tat com.acme.Range.<init>(Range.java:87)\n\
        \tat com.acme.Layout.arrange(Layout.java:454)\n\
        \tat com.acme.Main.main(Main.java:5)";
    assert_eq!(culprits(constructor), ["Layout arrange", "Range <init>", "Main main"]);
    // A verb alone is what the class is for.
    let verb = "com.acme.OrderException: missing address\n\
        \tat com.acme.Order.validate(Order.java:80)\n\
        \tat com.acme.Main.main(Main.java:5)";
    assert_eq!(culprits(verb), ["Order validate", "Main main"]);
}

#[test]
fn what_a_runtime_raises_is_blamed_on_the_frame_that_did_it() {
    let trace = "java.lang.NullPointerException\n\
        \tat com.acme.Cart.checkTotal(Cart.java:44)\n\
        \tat com.acme.Order.place(Order.java:12)\n\
        \tat com.acme.OrderTest.places(OrderTest.java:8)";
    assert_eq!(culprits(trace), ["Cart checkTotal", "Order place", "OrderTest places"]);
}

#[test]
fn a_test_is_named_for_what_it_tests() {
    let next = "com.acme.UnknownKeyException: C2\n\
        \tat com.acme.Keys.remove(Keys.java:268)\n\
        \tat com.acme.Table.removeColumn(Table.java:378)\n\
        \tat com.acme.TableTests.removes(TableTests.java:391)";
    assert_eq!(culprits(next), ["Table removeColumn", "Keys remove", "TableTests removes"]);
    let further = "com.acme.DivergedException: no\n\
        \tat com.acme.Series.sum(Series.java:1)\n\
        \tat com.acme.Gamma.value(Gamma.java:2)\n\
        \tat com.acme.NormalImpl.density(NormalImpl.java:3)\n\
        \tat com.acme.TestNormal_Density.extremes(TestNormal_Density.java:4)";
    assert_eq!(
        culprits(further),
        ["Series sum", "NormalImpl density", "Gamma value", "TestNormal_Density extremes"]
    );
    let python = "Traceback (most recent call last):\n  \
        File \"/srv/app/tests/test_table.py\", line 9, in test_remove\n    table.remove(\"a\")\n  \
        File \"/srv/app/table.py\", line 30, in remove\n    self.keys.drop(name)\n  \
        File \"/srv/app/keys.py\", line 4, in drop\n    raise Missing(name)\n\
        app.keys.MissingError: a";
    assert_eq!(
        culprits(python),
        [
            "/srv/app/table.py remove",
            "/srv/app/keys.py drop",
            "/srv/app/tests/test_table.py test_remove"
        ]
    );
}

#[test]
fn of_a_recursion_its_frames_come_first() {
    let mut trace = "java.lang.StackOverflowError\n\
        \tat com.acme.Names.hash(Names.java:3)\n"
        .to_owned();
    for _ in 0..40 {
        trace.push_str(
            "\tat com.acme.Node.depth(Node.java:9)\n\tat com.acme.Tree.depth(Tree.java:7)\n",
        );
    }
    trace.push_str("\tat com.acme.Main.main(Main.java:5)");
    assert_eq!(culprits(&trace), ["Node depth", "Tree depth", "Names hash", "Main main"]);
}

#[test]
fn a_library_is_the_application_where_its_own_test_fails() {
    let trace = |test: &str| {
        format!(
            "java.lang.IllegalStateException: x\n\
             \tat org.apache.commons.pool.Pool.borrow(Pool.java:3)\n\
             \tat {test}.run(File.java:2)\n\
             \tat com.acme.Main.main(Main.java:5)"
        )
    };
    let in_app = |test: &str| log_of(&trace(test)).exception.unwrap().frames[0].in_app;
    assert!(in_app("org.apache.commons.pool.PoolTest"));
    assert!(!in_app("com.acme.PoolTest"));
    assert!(!in_app("com.acme.Worker"));
}

#[test]
fn what_frameworks_generate_belongs_to_no_application() {
    let trace = "java.lang.IllegalStateException: x\n\
        \tat com.acme.Shop$$EnhancerBySpringCGLIB$$1a2b3c4d.order(<generated>)\n\
        \tat com.acme.Shop$$FastClassBySpringCGLIB$$1a2b3c4d.invoke(<generated>)\n\
        \tat com.acme.$Proxy12.order(Unknown Source)\n\
        \tat com.acme.Main.main(Main.java:5)";
    assert_eq!(culprits(trace), ["Main main"]);
}

#[test]
fn a_very_deep_trace_names_few_frames_and_none_twice() {
    let mut trace = "java.lang.IllegalStateException: x\n".to_owned();
    for depth in 0..900 {
        trace.push_str(&format!("\tat com.acme.C{depth}.run(C{depth}.java:1)\n"));
        trace.push_str("\tat com.acme.Again.run(Again.java:1)\n");
    }
    let mut names = culprits(&trace);
    assert_eq!(names.len(), hephaestus_classifier::MAX_CULPRITS);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), hephaestus_classifier::MAX_CULPRITS);
}

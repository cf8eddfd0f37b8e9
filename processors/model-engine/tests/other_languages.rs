//! Recipes for JavaScript, Go and Rust.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

mod common;

use common::{Failure, explains, failure, fixes, leaves, run};

const TYPE: &str = "TypeError";
const GO: &str = "runtime error";
const PANIC: &str = "panic";

/// Runs a program in JavaScript where Node.js is at hand.
fn runs_in_node(fixed: &str, call: &str, expected: &str) {
    if let Some(output) = run("node", &["-"], &format!("{fixed}\n{call}\n")) {
        assert_eq!(output.trim_end(), expected);
    }
}

fn with_column(mut failure: Failure, column: i32) -> Failure {
    failure.column = Some(column);
    failure
}

#[test]
fn a_javascript_chain_ends_where_something_is_missing() {
    let tested = failure(
        "src/app.js",
        "
export function isAdmin(user) {
  if (user.profile.admin) {
    return true;
  }
  return false;
}
",
        "user.profile.admin",
        TYPE,
        "Cannot read properties of undefined (reading 'admin')",
    );
    let fixed = fixes(
        "javascript-undefined-property",
        &tested,
        "user.profile.admin",
        "user.profile?.admin",
    );
    runs_in_node(&fixed.replace("export ", ""), "console.log(isAdmin({}))", "false");
    let defaulted = failure(
        "src/app.js",
        "const name = (o) => {\n  const name = o.customer.name.trim() || 'nobody';\n  return name;\n};\n",
        "customer.name",
        TYPE,
        "Cannot read properties of null (reading 'name')",
    );
    let fixed =
        fixes("javascript-undefined-property", &defaulted, "o.customer.name", "o.customer?.name");
    runs_in_node(&fixed, "console.log(name({customer: null}))", "nobody");
    let named = failure(
        "src/app.js",
        "function f(o) {\n  const city = o.address.city;\n  return { city, known: !!city };\n}\n",
        "o.address.city",
        TYPE,
        "Cannot read properties of undefined (reading 'city')",
    );
    let fixed = fixes("javascript-undefined-property", &named, "o.address.city", "o.address?.city");
    runs_in_node(&fixed, "console.log(JSON.stringify(f({})))", "{\"known\":false}");
}

#[test]
fn a_missing_javascript_array_has_no_elements() {
    let mapped = failure(
        "src/app.js",
        "function f(o) {\n  return o.items.map((x) => x.id).join(',');\n}\n",
        "o.items.map",
        TYPE,
        "Cannot read properties of undefined (reading 'map')",
    );
    let fixed =
        fixes("javascript-undefined-property", &mapped, "o.items.map", "(o.items ?? []).map");
    runs_in_node(&fixed, "console.log(JSON.stringify(f({})))", "\"\"");
    let filtered = failure(
        "src/app.js",
        "const open = (list) => list.filter((x) => x.open).length;\n",
        "list.filter",
        TYPE,
        "Cannot read properties of null (reading 'filter')",
    );
    let fixed =
        fixes("javascript-undefined-property", &filtered, "list.filter", "(list ?? []).filter");
    runs_in_node(&fixed, "console.log(open(null))", "0");
}

#[test]
fn a_javascript_value_that_is_needed_is_explained_only() {
    let message = "Cannot read properties of undefined (reading 'b')";
    for body in [
        "return a.x.b * 2;",
        "return a.x.b;",
        "return [...a.x.b];",
        "a.x.b.c = 1;",
        "const v = a.x.b; return v.length;",
        "const { c } = a.x.b;",
        "new a.x.b.C();",
        "return !a.x.b && !c.y.b;",
        "return !a.x?.b;",
        "return f(a.x.b);",
    ] {
        let source = format!("function f(a, c) {{\n  {body}\n}}\n");
        let (_, cause) = leaves(&failure(
            "a.js",
            &source,
            if body.contains("?.") { "a.x?.b" } else { "a.x.b" },
            TYPE,
            message,
        ));
        assert!(cause.contains("`b`"), "{cause}");
    }
}

#[test]
fn a_column_tells_two_places_of_a_line_apart() {
    let two = failure(
        "a.js",
        "function f(a, c) {\n  return !a.x.b && !c.y.b;\n}\n",
        "c.y.b",
        TYPE,
        "Cannot read properties of undefined (reading 'b')",
    );
    let fixed = fixes("javascript-undefined-property", &with_column(two, 25), "c.y.b", "c.y?.b");
    runs_in_node(&fixed, "console.log(f({x: {}}, {}))", "true");
}

#[test]
fn what_only_a_person_can_settle_in_javascript_is_explained() {
    let call = "function f(x) {\n  return g(x);\n}\n";
    for (recipe, exception, message, words) in [
        (
            "javascript-json",
            "SyntaxError",
            "Unexpected token '<', \"<html>\" is not valid JSON",
            "not JSON",
        ),
        ("javascript-not-iterable", TYPE, "opts.list is not iterable", "`opts.list`"),
        ("javascript-not-a-function", TYPE, "cb is not a function", "`cb`"),
        ("connection-refused", "Error", "connect ECONNREFUSED 127.0.0.1:5432", "did not accept"),
    ] {
        explains(recipe, &failure("a.js", call, "return g", exception, message), words);
    }
}

#[test]
fn a_go_map_is_made_before_it_is_written_to() {
    let message = "assignment to entry in nil map";
    let local = failure(
        "count.go",
        "package a\n\nfunc count(words []string) map[string]int {\n\tvar seen map[string]int\n\tfor _, word := range words {\n\t\tseen[word]++\n\t}\n\treturn seen\n}\n",
        "seen[word]++",
        PANIC,
        message,
    );
    fixes("go-nil-map", &local, "var seen map[string]int", "seen := make(map[string]int)");
    let field = failure(
        "store.go",
        "package a\n\ntype Store struct {\n\tname string\n\trows map[string][]int\n}\n\nfunc (s *Store) Put(key string, row []int) {\n\ts.rows[key] = row\n}\n",
        "s.rows[key] = row",
        PANIC,
        message,
    );
    fixes(
        "go-nil-map",
        &field,
        "\ts.rows[key] = row",
        "\tif s.rows == nil {\n\t\ts.rows = make(map[string][]int)\n\t}\n\ts.rows[key] = row",
    );
    for source in [
        // Two of one name;
        "package a\n\nfunc f(x bool) {\n\tif x {\n\t\tvar m map[string]int\n\t\tg(m)\n\t}\n\tvar m map[string]int\n\tm[\"a\"] = 1\n}\n",
        // a parameter; made on some paths; a field that is made elsewhere; a value receiver.
        "package a\n\nfunc f(m map[string]int) {\n\tm[\"a\"] = 1\n}\n",
        "package a\n\nfunc f(x bool) {\n\tvar m map[string]int\n\tif x {\n\t\tm = g()\n\t}\n\tm[\"a\"] = 1\n}\n",
        "package a\n\ntype S struct{ m map[string]int }\n\nfunc (s S) f() {\n\ts.m[\"a\"] = 1\n}\n",
        "package a\n\ntype S struct{ m map[string]int }\n\nfunc New() *S { return &S{m: map[string]int{}} }\n\nfunc (s *S) f() {\n\ts.m[\"a\"] = 1\n}\n",
    ] {
        explains(
            "go-nil-map",
            &failure("a.go", source, "m[\"a\"] = 1", PANIC, message),
            "never made",
        );
    }
}

#[test]
fn a_go_loop_ends_at_the_last_index() {
    let message = "index out of range [3] with length 3";
    let clause = failure(
        "a.go",
        "package a\n\nfunc sum(xs []int) int {\n\tn := 0\n\tfor i := 0; i <= len(xs); i++ {\n\t\tn += xs[i]\n\t}\n\treturn n\n}\n",
        "n += xs[i]",
        GO,
        message,
    );
    fixes("go-loop-past-end", &clause, "i <= len(xs)", "i < len(xs)");
    let condition = failure(
        "a.go",
        "package a\n\nfunc sum(s *S) (n int) {\n\ti := 0\n\tfor i <= len(s.rows) {\n\t\tn += s.rows[i]\n\t\ti++\n\t}\n\treturn n\n}\n",
        "n += s.rows[i]",
        GO,
        message,
    );
    fixes("go-loop-past-end", &condition, "i <= len(s.rows)", "i < len(s.rows)");
    for body in [
        "for i := 0; i <= len(ys); i++ {\n\t\tn += xs[i]\n\t}",
        "for i := 0; i <= len(xs); i++ {\n\t\tfunc() { n += xs[i] }()\n\t}",
        "n += xs[3]",
    ] {
        let source = format!(
            "package a\n\nfunc f(xs, ys []int) int {{\n\tn := 0\n\t{body}\n\treturn n\n}}\n"
        );
        explains(
            "go-loop-past-end",
            &failure("a.go", &source, "n += xs[", GO, message),
            "Element 3",
        );
    }
}

#[test]
fn a_go_mean_of_nothing_is_zero() {
    let message = "integer divide by zero";
    let mean = failure(
        "a.go",
        "package a\n\nfunc mean(xs []int) int {\n\tsum := 0\n\tfor _, x := range xs {\n\t\tsum += x\n\t}\n\treturn sum / len(xs)\n}\n",
        "sum / len",
        GO,
        message,
    );
    fixes(
        "go-divide-by-zero",
        &mean,
        "\treturn sum",
        "\tif len(xs) == 0 {\n\t\treturn 0\n\t}\n\treturn sum",
    );
    let method = failure(
        "a.go",
        "package a\n\nfunc (s *S) Mean() int64 {\n\treturn s.sum / int64(len(s.xs))\n}\n",
        "s.sum /",
        GO,
        message,
    );
    fixes(
        "go-divide-by-zero",
        &method,
        "\treturn s.sum",
        "\tif len(s.xs) == 0 {\n\t\treturn 0\n\t}\n\treturn s.sum",
    );
    for source in [
        "package a\n\nfunc f(a, b int) int {\n\treturn a / b\n}\n",
        "package a\n\nfunc f(a int, xs []int) (int, error) {\n\treturn a / len(xs), nil\n}\n",
        "package a\n\nfunc f(a int, xs []int) int {\n\treturn a/len(xs) + 1\n}\n",
    ] {
        explains(
            "go-divide-by-zero",
            &failure("a.go", source, "return a", GO, message),
            "divided by zero",
        );
    }
}

#[test]
fn what_only_a_person_can_settle_in_go_is_explained() {
    let call = "package a\n\nfunc f() {\n\tg()\n}\n";
    for (recipe, message, words) in [
        ("go-nil-pointer", "invalid memory address or nil pointer dereference", "nil pointer"),
        (
            "go-interface-conversion",
            "interface conversion: interface {} is string, not int",
            "`string`",
        ),
        ("go-closed-channel", "send on closed channel", "closed"),
        ("go-concurrent-map", "concurrent map writes", "Mutex"),
    ] {
        explains(recipe, &failure("a.go", call, "g()", GO, message), words);
    }
}

#[test]
fn a_rust_loop_ends_at_the_last_index() {
    let message = "index out of bounds: the len is 3 but the index is 3";
    let range = failure(
        "src/a.rs",
        "fn sum(v: &[u32]) -> u32 {\n    let mut n = 0;\n    for i in 0..=v.len() {\n        n += v[i];\n    }\n    n\n}\n",
        "n += v[i]",
        PANIC,
        message,
    );
    fixes("rust-loop-past-end", &range, "0..=v.len()", "0..v.len()");
    let counted = failure(
        "src/a.rs",
        "fn f(s: &S) {\n    let mut at = 0;\n    while at <= s.rows.len() {\n        show(&s.rows[at]);\n        at += 1;\n    }\n}\n",
        "s.rows[at]",
        PANIC,
        message,
    );
    fixes("rust-loop-past-end", &counted, "at <= s.rows.len()", "at < s.rows.len()");
    let ahead = failure(
        "src/a.rs",
        "fn f(v: &[u32]) -> bool {\n    for i in 0..v.len() {\n        if v[i + 1] == 0 {\n            return false;\n        }\n    }\n    true\n}\n",
        "v[i + 1]",
        PANIC,
        message,
    );
    fixes("rust-loop-past-end", &ahead, "v.len()", "v.len().saturating_sub(1)");
    for body in [
        "for i in 0..=w.len() {\n        n += v[i];\n    }",
        "for i in 0..=v.len() {\n        n += v[i] + w[i];\n    }",
        "n += v[3];",
    ] {
        let source = format!(
            "fn f(v: &[u32], w: &[u32]) -> u32 {{\n    let mut n = 0;\n    {body}\n    n\n}}\n"
        );
        explains(
            "rust-loop-past-end",
            &failure("a.rs", &source, "n += v[", PANIC, message),
            "Element 3",
        );
    }
}

#[test]
fn a_rust_length_does_not_go_below_zero() {
    let message = "attempt to subtract with overflow";
    let range = failure(
        "src/a.rs",
        "fn f(v: &[u32]) {\n    for i in 0..v.len() - 1 {\n        show(i);\n    }\n}\n",
        "v.len() - 1",
        PANIC,
        message,
    );
    fixes("rust-length-underflow", &range, "v.len() - 1", "v.len().saturating_sub(1)");
    let compared = failure(
        "src/a.rs",
        "fn f(s: &S, i: usize) -> bool {\n    i < s.rows.len() - 2\n}\n",
        "s.rows.len() - 2",
        PANIC,
        message,
    );
    fixes("rust-length-underflow", &compared, "s.rows.len() - 2", "s.rows.len().saturating_sub(2)");
    for body in ["v[v.len() - 1]", "a - b", "let last = v.len() - 1;\n    v[last]", "v.len() - 1"] {
        let source = format!("fn f(v: &[usize], a: usize, b: usize) -> usize {{\n    {body}\n}}\n");
        let culprit: &'static str = if body == "a - b" { "a - b" } else { "v.len() - 1" };
        explains(
            "rust-length-underflow",
            &failure("a.rs", &source, culprit, PANIC, message),
            "below zero",
        );
    }
}

#[test]
fn a_rust_mean_of_nothing_is_zero() {
    let message = "attempt to divide by zero";
    let mean = failure(
        "src/a.rs",
        "fn mean(v: &[usize]) -> usize {\n    let sum: usize = v.iter().sum();\n    sum / v.len()\n}\n",
        "sum / v",
        PANIC,
        message,
    );
    fixes(
        "rust-divide-by-zero",
        &mean,
        "sum / v.len()",
        "if v.is_empty() { 0 } else { sum / v.len() }",
    );
    let cast = failure(
        "src/a.rs",
        "fn mean(s: &S) -> u64 {\n    s.total() / s.rows.len() as u64\n}\n",
        "s.total() /",
        PANIC,
        message,
    );
    fixes(
        "rust-divide-by-zero",
        &cast,
        "s.total() / s.rows.len() as u64",
        "if s.rows.is_empty() { 0 } else { s.total() / s.rows.len() as u64 }",
    );
    for body in [
        "a / b",
        "a / v.len() + a / b",
        "2 * (10 / v.len())",
        "if a > 1 { 10 / v.len() } else { 0 }",
    ] {
        let source = format!("fn f(v: &[usize], a: usize, b: usize) -> usize {{\n    {body}\n}}\n");
        let culprit: &'static str = if body.starts_with('a') { "    a / " } else { "10 / v" };
        explains(
            "rust-divide-by-zero",
            &failure("a.rs", &source, culprit, PANIC, message),
            "divided by zero",
        );
    }
}

#[test]
fn what_only_a_person_can_settle_in_rust_is_explained() {
    let call = "fn f() {\n    g()\n}\n";
    for (recipe, message, words) in [
        ("rust-unwrap-none", "called `Option::unwrap()` on a `None` value", "absent"),
        (
            "rust-unwrap-error",
            "called `Result::unwrap()` on an `Err` value: ParseIntError",
            "ParseIntError",
        ),
        ("rust-already-borrowed", "already borrowed: BorrowMutError", "RefCell"),
        ("rust-char-boundary", "byte index 3 is not a char boundary; it is inside 'ß'", "byte 3"),
    ] {
        explains(recipe, &failure("a.rs", call, "g()", PANIC, message), words);
    }
}

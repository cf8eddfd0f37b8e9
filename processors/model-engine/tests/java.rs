//! Recipes for Java.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

mod common;

use common::{explains, failure, fixes};

const ARRAY: &str = "java.lang.ArrayIndexOutOfBoundsException";
const NULL: &str = "java.lang.NullPointerException";

#[test]
fn a_java_loop_ends_at_the_last_index() {
    let array = failure(
        "src/Sum.java",
        "
class Sum {
    int of(int[] values) {
        int sum = 0;
        for (int i = 0; i <= values.length; i++) {
            sum += values[i];
        }
        return sum;
    }
}
",
        "values[i]",
        ARRAY,
        "Index 3 out of bounds for length 3",
    );
    fixes("java-loop-past-end", &array, "i <= values.length", "i < values.length");
    let text = failure(
        "src/Sum.java",
        "class A { int f(String s) {\n  int n = 0, at = 0;\n  while (at <= s.length()) {\n    if (s.charAt(at) == 'x') n++;\n    at++;\n  }\n  return n;\n} }\n",
        "s.charAt(at)",
        "java.lang.StringIndexOutOfBoundsException",
        "String index out of range: 5",
    )
    .below();
    fixes("java-loop-past-end", &text, "at <= s.length()", "at < s.length()");
    let list = failure(
        "src/Sum.java",
        "class A { void f(java.util.List<String> names) {\n  for (int i = 0; i <= names.size(); ++i) {\n    System.out.println(names.get(i));\n  }\n} }\n",
        "names.get(i)",
        "java.lang.IndexOutOfBoundsException",
        "Index: 2, Size: 2",
    )
    .below();
    fixes("java-loop-past-end", &list, "i <= names.size()", "i < names.size()");
    // Another array; another counter; two accesses on the line.
    for body in [
        "for (int i = 0; i <= b.length; i++) { n +=\n a[i]; }",
        "int j = 4; for (int i = 0; i <= a.length; i++) { n +=\n a[j]; }",
        "for (int i = 0; i <= a.length; i++) { n +=\n a[i] + b[i]; }",
        "n +=\n a[7];",
    ] {
        let source = format!(
            "class A {{ int f(int[] a, int[] b) {{ int n = 0;\n {body}\n return n; }} }}\n"
        );
        let culprit: &'static str = if body.contains("a[j]") {
            "a[j]"
        } else if body.contains("a[7]") {
            "a[7]"
        } else {
            "a[i]"
        };
        explains(
            "java-loop-past-end",
            &failure("A.java", &source, culprit, ARRAY, "Index 3 out of bounds for length 3"),
            "Element 3",
        );
    }
}

#[test]
fn a_java_literal_is_asked_whether_it_equals() {
    let message = "Cannot invoke \"String.equals(Object)\" because \"<local1>\" is null";
    let local = failure(
        "A.java",
        "class A { boolean f(String mode) {\n  return mode.equals(\"fast\");\n} }\n",
        "mode.equals",
        NULL,
        message,
    );
    fixes("java-null-equals", &local, "mode.equals(\"fast\")", "\"fast\".equals(mode)");
    let field = failure(
        "A.java",
        "class A { void f(Request r) {\n  if (!r.header(\"x\").equalsIgnoreCase(\"on\")) { stop(); }\n} }\n",
        "r.header",
        NULL,
        "Cannot invoke \"java.lang.String.equalsIgnoreCase(String)\" because the return value of \"Request.header(String)\" is null",
    );
    fixes(
        "java-null-equals",
        &field,
        "r.header(\"x\").equalsIgnoreCase(\"on\")",
        "\"on\".equalsIgnoreCase(r.header(\"x\"))",
    );
    // Two variables: the other may be null too. Two comparisons: which one is open.
    for body in ["return a.equals(b);", "return a.equals(\"x\") || b.equals(\"y\");"] {
        let source = format!("class A {{ boolean f(String a, String b) {{\n  {body}\n}} }}\n");
        explains(
            "java-null-equals",
            &failure("A.java", &source, "return a", NULL, message),
            "is null",
        );
    }
    explains(
        "java-null-pointer",
        &failure(
            "A.java",
            "class A { int f(String s) {\n  return s.length();\n} }\n",
            "s.length",
            NULL,
            "Cannot invoke \"String.length()\" because \"s\" is null",
        ),
        "Cannot invoke",
    );
}

#[test]
fn a_java_map_counts_from_zero() {
    let message = "Cannot invoke \"java.lang.Integer.intValue()\" because the return value of \"java.util.Map.get(Object)\" is null";
    let counted = failure(
        "A.java",
        "import java.util.*;\nclass A { void f(Map<String, Integer> seen, String word) {\n  seen.put(word, seen.get(word) + 1);\n} }\n",
        "seen.put",
        NULL,
        message,
    );
    fixes("java-null-unboxed", &counted, "seen.get(word)", "seen.getOrDefault(word, 0)");
    let field = failure(
        "A.java",
        "import java.util.*;\nclass A {\n  private final Map<String, Integer> stock = new HashMap<>();\n  int left(String item) {\n    return stock.get(item);\n  }\n}\n",
        "stock.get",
        NULL,
        message,
    );
    fixes("java-null-unboxed", &field, "stock.get(item)", "stock.getOrDefault(item, 0)");
    for source in [
        "class A { int f(Map<String, Integer> a, Map<String, Integer> b) {\n  return a.get(1) + b.get(2);\n} }\n",
        "class A { int f(Config a) {\n  return a.get(1);\n} }\n",
    ] {
        explains(
            "java-null-unboxed",
            &failure("A.java", source, "a.get", NULL, message),
            "no entry",
        );
    }
}

#[test]
fn a_java_mean_of_nothing_is_zero() {
    let list = failure(
        "A.java",
        "class A { int f(int sum, java.util.List<Integer> xs) {\n  return sum / xs.size();\n} }\n",
        "sum / xs",
        "java.lang.ArithmeticException",
        "/ by zero",
    );
    fixes("java-divide-by-zero", &list, "sum / xs.size()", "xs.isEmpty() ? 0 : sum / xs.size()");
    let array = failure(
        "A.java",
        "class A { int[] xs; long f(long sum) {\n  long mean = 10 * (sum / this.xs.length) + 1;\n  return mean;\n} }\n",
        "sum / this",
        "java.lang.ArithmeticException",
        "/ by zero",
    );
    fixes(
        "java-divide-by-zero",
        &array,
        "sum / this.xs.length",
        "this.xs.length == 0 ? 0 : sum / this.xs.length",
    );
    for body in ["return a / b;", "return a / xs.size() + a / b;", "return a % xs.size();"] {
        let source = format!(
            "class A {{ int f(int a, int b, java.util.List<Integer> xs) {{\n  {body}\n}} }}\n"
        );
        explains(
            "java-divide-by-zero",
            &failure("A.java", &source, "return a", "java.lang.ArithmeticException", "/ by zero"),
            "divided by zero",
        );
    }
}

#[test]
fn what_only_a_person_can_settle_in_java_is_explained() {
    let call = "class A { void f() {\n  g.call();\n} }\n";
    for (recipe, exception, message, words) in [
        (
            "java-concurrent-modification",
            "java.util.ConcurrentModificationException",
            "",
            "removeIf",
        ),
        (
            "java-class-cast",
            "java.lang.ClassCastException",
            "class java.lang.String cannot be cast to class java.lang.Integer (java.lang.String and java.lang.Integer are in module java.base)",
            "`java.lang.Integer`",
        ),
        (
            "java-number-format",
            "java.lang.NumberFormatException",
            "For input string: \"x1\"",
            "`x1`",
        ),
        ("java-no-value", "java.util.NoSuchElementException", "No value present", "orElse"),
        ("connection-refused", "java.net.ConnectException", "Connection refused", "did not accept"),
    ] {
        explains(recipe, &failure("A.java", call, "g.call", exception, message).below(), words);
    }
}

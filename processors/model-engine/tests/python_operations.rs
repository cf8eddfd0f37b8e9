//! Python recipes for operations that cannot be done: divisions, joins, indices, decoding.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

mod common;

use common::{explains, failure, fixes, leaves, run, runs_in_python};

const DIVISION: &str = "ZeroDivisionError";
const BY_ZERO: &str = "division by zero";

#[test]
fn the_mean_of_nothing_is_zero() {
    let returned = failure(
        "stats.py",
        "def mean(values):\n    total = sum(values)\n    return total / len(values)\n",
        "/ len(values)",
        DIVISION,
        BY_ZERO,
    );
    let fixed = fixes(
        "python-divide-by-zero",
        &returned,
        "total / len(values)",
        "total / len(values) if values else 0.0",
    );
    runs_in_python(&returned, &fixed, "print(mean([]), mean([1, 2]))", "0.0 1.5");

    // Part of a larger expression, of an attribute, rounded down.
    let part = failure(
        "stats.py",
        "class A:\n    rows = ()\n    def mean(self):\n        return 100 * (sum(self.rows) // len(self.rows)) + 1\n",
        "len(self.rows)",
        DIVISION,
        "integer division or modulo by zero",
    );
    let fixed = fixes(
        "python-divide-by-zero",
        &part,
        "(sum(self.rows) // len(self.rows))",
        "(sum(self.rows) // len(self.rows) if self.rows else 0)",
    );
    runs_in_python(&part, &fixed, "print(A().mean())", "1");

    let unparenthesised = failure(
        "stats.py",
        "def mean(xs):\n    return 100 + sum(xs) / len(xs)\n",
        "len(xs)",
        DIVISION,
        BY_ZERO,
    );
    let fixed = fixes(
        "python-divide-by-zero",
        &unparenthesised,
        "sum(xs) / len(xs)",
        "(sum(xs) / len(xs) if xs else 0.0)",
    );
    runs_in_python(&unparenthesised, &fixed, "print(mean([]))", "100.0");
}

#[test]
fn the_mean_of_nothing_is_none_where_the_signature_says_so() {
    let optional = failure(
        "stats.py",
        "from typing import Optional\ndef mean(xs) -> Optional[float]:\n    return sum(xs) / len(xs)\n",
        "/ len(xs)",
        DIVISION,
        BY_ZERO,
    );
    let fixed = fixes(
        "python-divide-by-zero",
        &optional,
        "sum(xs) / len(xs)",
        "sum(xs) / len(xs) if xs else None",
    );
    runs_in_python(&optional, &fixed, "print(mean([]))", "None");
}

#[test]
fn arrays_are_asked_for_their_length() {
    let array = failure(
        "stats.py",
        "import numpy as np\ndef mean(xs):\n    return round(xs.sum() / len(xs), 2)\n",
        "/ len(xs)",
        DIVISION,
        BY_ZERO,
    );
    fixes(
        "python-divide-by-zero",
        &array,
        "xs.sum() / len(xs)",
        "xs.sum() / len(xs) if len(xs) else 0.0",
    );
}

#[test]
fn a_share_of_a_count_that_is_zero_is_zero() {
    let share = failure(
        "stats.py",
        "def hit_rate(hits, total):\n    rate = hits / total\n    return f'{rate:.1f}'\n",
        "hits / total",
        DIVISION,
        BY_ZERO,
    );
    let fixed =
        fixes("python-divide-by-zero", &share, "hits / total", "hits / total if total else 0.0");
    runs_in_python(&share, &fixed, "print(hit_rate(0, 0))", "0.0");
    fixes(
        "python-divide-by-zero",
        &failure(
            "stats.py",
            "class A:\n    def rate(self):\n        return (self.errors / self.request_count) * 100\n",
            "self.request_count",
            DIVISION,
            BY_ZERO,
        ),
        "self.errors / self.request_count",
        "self.errors / self.request_count if self.request_count else 0.0",
    );
}

#[test]
fn a_division_that_may_be_wrong_for_another_reason_is_explained_only() {
    for text in [
        // The divisor says nothing of why it is zero.
        "def f(a, b):\n    return a / b\n",
        "def f(a, speed):\n    return a / speed\n",
        // Two divisions; a length that is computed anew; a remainder; a handler.
        "def f(a, b):\n    return a / len(a) + b / len(b)\n",
        "def f(a, load):\n    return a / len(load())\n",
        "def f(a, xs):\n    return a % len(xs)\n",
        "def f(a, xs):\n    return a / len(xs) / len(a)\n",
    ] {
        explains(
            "python-divide-by-zero",
            &failure("a.py", text, "return a", DIVISION, BY_ZERO),
            "divided by zero",
        );
    }
    let handled = failure(
        "a.py",
        "def f(xs):\n    try:\n        return sum(xs) / len(xs)\n    except ZeroDivisionError:\n        return None\n",
        "/ len(xs)",
        DIVISION,
        BY_ZERO,
    );
    explains("python-divide-by-zero", &handled, "handler");
    // The line is another one than when it failed: nothing is divided there.
    let moved = failure(
        "a.py",
        "def f(xs):\n    x = 1\n    return 1 / len(xs)\n",
        "x = 1",
        DIVISION,
        BY_ZERO,
    );
    leaves(&moved);
    // Raised below: the line only calls what divides.
    let below =
        failure("a.py", "def f(xs):\n    return g(1 / len(xs))\n", "g(", DIVISION, BY_ZERO).below();
    leaves(&below);
}

#[test]
fn a_constant_divisor_is_no_suspect() {
    let two = failure(
        "a.py",
        "def f(xs):\n    return sum(xs) / len(xs) / 2\n",
        "len(xs)",
        DIVISION,
        BY_ZERO,
    );
    let fixed = fixes(
        "python-divide-by-zero",
        &two,
        "sum(xs) / len(xs)",
        "(sum(xs) / len(xs) if xs else 0.0)",
    );
    runs_in_python(&two, &fixed, "print(f([]))", "0.0");
}

#[test]
fn formats_and_paths_are_no_divisions() {
    let formatted = failure(
        "a.py",
        "def f(xs):\n    return \"%.1f %%\" % (sum(xs) / len(xs))\n",
        "/ len(xs)",
        DIVISION,
        BY_ZERO,
    );
    let fixed = fixes(
        "python-divide-by-zero",
        &formatted,
        "sum(xs) / len(xs)",
        "sum(xs) / len(xs) if xs else 0.0",
    );
    runs_in_python(&formatted, &fixed, "print(f([]))", "0.0 %");
    let path = failure(
        "a.py",
        "def f(base, xs):\n    return write(base / 'mean', sum(xs) / len(xs))\n",
        "/ len(xs)",
        DIVISION,
        BY_ZERO,
    );
    fixes("python-divide-by-zero", &path, "sum(xs) / len(xs)", "sum(xs) / len(xs) if xs else 0.0");
}

#[test]
fn a_number_that_is_joined_to_text_becomes_text() {
    let int = "can only concatenate str (not \"int\") to str";
    let joined = failure(
        "a.py",
        "def line(name, count):\n    return \"items: \" + str(name) + \" \" + count\n",
        "+ count",
        "TypeError",
        int,
    );
    let fixed = fixes("python-concatenate-number", &joined, "+ count", "+ str(count)");
    runs_in_python(&joined, &fixed, "print(line('a', 3))", "items: a 3");
    let computed = failure(
        "a.py",
        "def line(rows):\n    text = 'n'\n    text += len(rows)\n    return text\n",
        "text += len",
        "TypeError",
        int,
    );
    let fixed = fixes("python-concatenate-number", &computed, "len(rows)", "str(len(rows))");
    runs_in_python(&computed, &fixed, "print(line([1]))", "n1");
    let summed = failure(
        "a.py",
        "def line(a):\n    print('next: ' + (a + 1))\n",
        "(a + 1)",
        "TypeError",
        int,
    );
    leaves(&summed);
    // Two that may be the number; a missing value is no number.
    leaves(&failure("a.py", "def f(a, b):\n    return 'x' + a + b\n", "+ a", "TypeError", int));
    leaves(&failure(
        "a.py",
        "def f(a):\n    return 'x' + a\n",
        "+ a",
        "TypeError",
        "can only concatenate str (not \"NoneType\") to str",
    ));
}

#[test]
fn a_collection_that_its_loop_changes_is_copied() {
    let keys = failure(
        "a.py",
        "def prune(cache, limit):\n    for key in cache:\n        if cache[key] < limit:\n            del cache[key]\n    return cache\n",
        "in cache:",
        "RuntimeError",
        "dictionary changed size during iteration",
    );
    let fixed = fixes("python-changed-during-iteration", &keys, "in cache:", "in list(cache):");
    runs_in_python(&keys, &fixed, "print(prune({1: 1, 2: 9}, 5))", "{2: 9}");
    let items = failure(
        "a.py",
        "class A:\n    def __init__(self):\n        self.jobs = {1: 1, 2: 2}\n    def reap(self):\n        for name, job in self.jobs.items():\n            self.jobs.pop(name)\n        return self.jobs\n",
        "self.jobs.items()",
        "RuntimeError",
        "dictionary changed size during iteration",
    );
    let fixed = fixes(
        "python-changed-during-iteration",
        &items,
        "self.jobs.items()",
        "list(self.jobs.items())",
    );
    runs_in_python(&items, &fixed, "print(A().reap())", "{}");
    // Changed elsewhere, perhaps by another thread: a copy would only make it rarer.
    let elsewhere = failure(
        "a.py",
        "def show(cache, other):\n    for key in cache:\n        other.pop(key)\n",
        "in cache:",
        "RuntimeError",
        "dictionary changed size during iteration",
    );
    explains("python-changed-during-iteration", &elsewhere, "`cache`");
}

#[test]
fn a_loop_that_goes_past_the_end_ends_before() {
    let out = "list index out of range";
    let ahead = failure(
        "a.py",
        "def rises(xs):\n    n = 0\n    for i in range(len(xs)):\n        if xs[i + 1] > 0:\n            n += 1\n    return n\n",
        "xs[i + 1]",
        "IndexError",
        out,
    );
    let fixed = fixes("python-index-past-end", &ahead, "len(xs)", "len(xs) - 1");
    runs_in_python(&ahead, &fixed, "print(rises([1, 2, 3]))", "2");
    let counted = failure(
        "a.py",
        "def f(xs):\n    i = 0\n    out = []\n    while i <= len(xs):\n        out.append(xs[i])\n        i += 1\n    return out\n",
        "xs[i]",
        "IndexError",
        out,
    );
    let fixed = fixes("python-index-past-end", &counted, "i <= len(xs)", "i < len(xs)");
    runs_in_python(&counted, &fixed, "print(f([1, 2]))", "[1, 2]");
    let one_more = failure(
        "a.py",
        "def f(xs):\n    return_value = []\n    for i in range(0, len(xs) + 1):\n        return_value.append(xs[i])\n    return return_value\n",
        "xs[i]",
        "IndexError",
        out,
    );
    let fixed = fixes("python-index-past-end", &one_more, "len(xs) + 1", "len(xs)");
    runs_in_python(&one_more, &fixed, "print(f([1]))", "[1]");
    // The loop is over another sequence, or the index has nothing to do with it.
    for text in [
        "def f(xs, ys):\n    for i in range(len(ys)):\n        print(xs[i + 1])\n",
        "def f(xs):\n    for i in range(len(xs)):\n        print(xs[i + 2])\n",
        "def f(xs):\n    print(xs[0])\n",
        "def f(xs):\n    while 0 <= len(xs):\n        print(xs[3])\n",
    ] {
        explains(
            "python-index-past-end",
            &failure("a.py", text, "xs[", "IndexError", out),
            "beyond its end",
        );
    }
}

#[test]
fn a_file_of_text_is_opened_as_utf_eight() {
    let ascii = "'ascii' codec can't decode byte 0xc3 in position 1: ordinal not in range(128)";
    let read = failure(
        "a.py",
        "def load(path):\n    with open(path) as handle:\n        return handle.read()\n",
        "handle.read",
        "UnicodeDecodeError",
        ascii,
    )
    .below();
    fixes("python-default-encoding", &read, "open(path)", "open(path, encoding=\"utf-8\")");
    let looped = failure(
        "a.py",
        "def load(path):\n    with open(path, \"r\") as lines:\n        for line in lines:\n            print(line)\n",
        "in lines",
        "UnicodeDecodeError",
        "'charmap' codec can't decode byte 0x8d in position 2: character maps to <undefined>",
    )
    .below();
    let fixed = fixes(
        "python-default-encoding",
        &looped,
        "open(path, \"r\")",
        "open(path, \"r\", encoding=\"utf-8\")",
    );
    run("python3", &["-"], &fixed);
    // Already named; bytes; and bytes that are no UTF-8, which naming it does not change.
    for open in ["open(path, encoding=\"ascii\")", "open(path, \"rb\")"] {
        let text =
            format!("def load(path):\n    with {open} as handle:\n        return handle.read()\n");
        leaves(&failure("a.py", &text, "handle.read", "UnicodeDecodeError", ascii).below());
    }
    let not_utf = failure(
        "a.py",
        "def load(path):\n    with open(path) as handle:\n        return handle.read()\n",
        "handle.read",
        "UnicodeDecodeError",
        "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    )
    .below();
    explains("python-not-utf-eight", &not_utf, "another encoding");
}

#[test]
fn the_greatest_of_nothing_is_none_where_that_can_be_used() {
    let empty = "max() arg is an empty sequence";
    let tested = failure(
        "a.py",
        "def latest(times):\n    last = max(times)\n    if last is None:\n        return 'never'\n    return str(last)\n",
        "max(times)",
        "ValueError",
        empty,
    );
    let fixed =
        fixes("python-maximum-of-nothing", &tested, "max(times)", "max(times, default=None)");
    runs_in_python(&tested, &fixed, "print(latest([]), latest([3]))", "never 3");
    let keyed = failure(
        "a.py",
        "def best(rows):\n    return {'best': min([r for r in rows], key=len)}\n",
        "min(",
        "ValueError",
        "min() arg is an empty sequence",
    );
    let fixed = fixes("python-maximum-of-nothing", &keyed, "key=len", "key=len, default=None");
    runs_in_python(&keyed, &fixed, "print(best([]))", "{'best': None}");
    for text in [
        "def f(xs):\n    return max(xs) + 1\n",
        "def f(xs):\n    return max(xs)\n",
        "def f(xs):\n    return not max(x for x in xs)\n",
    ] {
        explains(
            "python-maximum-of-nothing",
            &failure("a.py", text, "max(", "ValueError", empty),
            "nothing to choose from",
        );
    }
}

#[test]
fn what_only_a_person_can_settle_is_explained() {
    let call = "import m\ndef f(x):\n    return m.g(x)\n";
    for (recipe, exception, message, words) in [
        (
            "python-json",
            "json.decoder.JSONDecodeError",
            "Expecting value: line 1 column 1 (char 0)",
            "not JSON",
        ),
        (
            "python-int-of-text",
            "ValueError",
            "invalid literal for int() with base 10: ''",
            "no change is proposed",
        ),
        (
            "python-file-missing",
            "FileNotFoundError",
            "[Errno 2] No such file or directory: '/etc/x'",
            "/etc/x",
        ),
        ("python-recursion", "RecursionError", "maximum recursion depth exceeded", "calls itself"),
        (
            "python-naive-datetime",
            "TypeError",
            "can't compare offset-naive and offset-aware datetimes",
            "time zone",
        ),
        (
            "connection-refused",
            "ConnectionRefusedError",
            "[Errno 111] Connection refused",
            "did not accept",
        ),
    ] {
        explains(recipe, &failure("a.py", call, "m.g(x)", exception, message), words);
    }
}

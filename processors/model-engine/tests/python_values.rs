//! Python recipes for values that are missing: keys, `None`, variables.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

mod common;

use common::{explains, failure, fixes, leaves, runs_in_python};

const KEY: &str = "KeyError";
const NO_ATTRIBUTE: &str = "AttributeError";
const TYPE: &str = "TypeError";
const NOT_ITERABLE: &str = "'NoneType' object is not iterable";

#[test]
fn a_key_that_is_only_tested_for_is_read_with_get() {
    let tested = failure(
        "jobs/run.py",
        "
def priority(job):
    if job[\"urgent\"]:
        return 9
    return 1
",
        "job[\"urgent\"]",
        KEY,
        "'urgent'",
    );
    let fixed = fixes("python-missing-key", &tested, "job[\"urgent\"]", "job.get(\"urgent\")");
    runs_in_python(&tested, &fixed, "print(priority({}), priority({'urgent': 1}))", "1 9");

    let defaulted = failure(
        "jobs/run.py",
        "
class Mailer:
    def send(self, event):
        subject = event.data['subject'] or 'no subject'
        return subject.strip()
",
        "event.data['subject']",
        KEY,
        "'subject'",
    );
    fixes("python-missing-key", &defaulted, "event.data['subject']", "event.data.get('subject')");

    let compared = failure(
        "a.py",
        "def wants(order):\n    return [x for x in order if x['kind'] == 'gift']\n",
        "x['kind']",
        KEY,
        "'kind'",
    );
    let fixed = fixes("python-missing-key", &compared, "x['kind']", "x.get('kind')");
    runs_in_python(&compared, &fixed, "print(wants([{}]))", "[]");
}

#[test]
fn a_key_whose_value_has_a_name_is_followed_to_its_uses() {
    let guarded = failure(
        "shop/order.py",
        "
def label(order):
    note = order[\"note\"]
    lines = [order[\"name\"]]
    if note is not None and lines:
        lines.append(note.upper())
    return {\"lines\": lines, \"note\": note}
",
        "order[\"note\"]",
        KEY,
        "'note'",
    );
    let fixed = fixes("python-missing-key", &guarded, "order[\"note\"]", "order.get(\"note\")");
    runs_in_python(
        &guarded,
        &fixed,
        "print(label({'name': 'a'}))",
        "{'lines': ['a'], 'note': None}",
    );

    let left_early = failure(
        "shop/order.py",
        "
def label(order):
    note = order[\"note\"]
    if not note:
        return \"\"
    return note.upper()
",
        "order[\"note\"]",
        KEY,
        "'note'",
    );
    let fixed = fixes("python-missing-key", &left_early, "order[\"note\"]", "order.get(\"note\")");
    runs_in_python(&left_early, &fixed, "print(repr(label({})))", "''");
}

#[test]
fn a_key_whose_value_is_needed_is_explained_only() {
    for used in [
        "return order[\"price\"] * 2",
        "return order[\"price\"].upper()",
        "return float(order[\"price\"])",
        "price = order[\"price\"]\n    return price * 2",
        "price = order[\"price\"]\n    if True:\n        return price.x\n    return {\"price\": price}",
        "order[\"price\"] += 1",
        "del order[\"price\"]",
        "return order[\"price\"]",
        "return order[\"price\"] < 3",
        "total[\"x\"] = order[\"price\"]",
    ] {
        let text = format!("def f(order, total):\n    {used}\n");
        let needed = failure("a.py", &text, "order[\"price\"]", KEY, "'price'");
        explains("python-missing-key", &needed, "`price`");
    }
}

#[test]
fn another_key_a_handled_one_and_the_environment_are_left_alone() {
    let other = failure("a.py", "def f(d):\n    return not d['a']\n", "d['a']", KEY, "'b'");
    leaves(&other);
    let handled = failure(
        "a.py",
        "
def f(d):
    try:
        return not d['a']
    except (LookupError, ValueError):
        log.exception('no a')
",
        "d['a']",
        KEY,
        "'a'",
    );
    explains("python-missing-key", &handled, "handler");
    let environment = failure(
        "a.py",
        "import os\ndef f():\n    return bool(os.environ['HOME_PAGE'])\n",
        "os.environ['HOME_PAGE']",
        KEY,
        "'HOME_PAGE'",
    );
    explains("python-missing-key", &environment, "HOME_PAGE");
    let twice = failure(
        "a.py",
        "def f(a, b):\n    return not a['k'] and not b['k']\n",
        "a['k']",
        KEY,
        "'k'",
    );
    explains("python-missing-key", &twice, "2 places");
    let computed = failure("a.py", "def f(d, k):\n    return not d[k]\n", "d[k]", KEY, "'x'");
    explains("python-missing-computed-key", &computed, "the value of `k`");
}

#[test]
fn a_default_that_the_file_already_has_is_used_again() {
    let sibling = failure(
        "cart.py",
        "
def total(item):
    return item['price'] * (100 - item['discount'])

def shown(item):
    return f\"{item.get('discount', 0)} %\"
",
        "100 - item['discount']",
        KEY,
        "'discount'",
    );
    let fixed =
        fixes("python-missing-key", &sibling, "item['discount']", "item.get('discount', 0)");
    runs_in_python(&sibling, &fixed, "print(total({'price': 2}))", "200");
}

#[test]
fn two_defaults_of_one_key_decide_nothing() {
    let contradicted = failure(
        "cart.py",
        "
def total(item):
    return 100 - item['discount']

def shown(item):
    return item.get('discount', 0), item.get('discount', 5)
",
        "100 - item['discount']",
        KEY,
        "'discount'",
    );
    explains("python-missing-key", &contradicted, "more than one way");
}

#[test]
fn a_function_that_may_return_none_does_so_for_a_missing_object() {
    let annotated = failure(
        "text.py",
        "
import re

def year(text) -> 'int | None':
    found = re.search(r\"[0-9]{4}\", text)
    return int(found.group(0))
",
        "found.group(0)",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'group'",
    );
    let fixed = fixes(
        "python-none-attribute",
        &annotated,
        "    return int(found.group(0))",
        "    if found is None:\n        return None\n    return int(found.group(0))",
    );
    runs_in_python(&annotated, &fixed, "print(year('x'), year('in 1999'))", "None 1999");

    // Two blanks of indentation, Windows line breaks, and a `return None` instead of a signature.
    let returning = failure(
        "text.py",
        "class A:\r\n  def host(self, url):\r\n    if not url:\r\n      return None\r\n    parts = parse(url)\r\n    host = parts.hostname\r\n    return host\r\n",
        "parts.hostname",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'hostname'",
    );
    fixes(
        "python-none-attribute",
        &returning,
        "    host = parts",
        "    if parts is None:\r\n      return None\r\n    host = parts",
    );
}

#[test]
fn a_guard_is_only_put_where_it_stands_before_the_use() {
    let message = "'NoneType' object has no attribute 'name'";
    for body in [
        // In a loop it would end the function at the first that is missing.
        "for user in users:\n        print(user.name)\n    return None",
        "while users.pop().name:\n        pass\n    return None",
        // A generator, a short circuit, a comprehension, a branch on one line.
        "yield user.name\n    return None",
        "x = ready and user.name\n    return None",
        "x = [user.name for _ in users]\n    return None",
        "if ready: print(user.name)\n    return None",
        // It says that it returns nothing useful, ever.
        "print(user.name)",
    ] {
        let text = format!("def f(user, users, ready):\n    {body}\n");
        let at = if body.contains("pop") { ".name" } else { "user.name" };
        let culprit: &'static str = at;
        leaves(&failure("a.py", &text, culprit, NO_ATTRIBUTE, message));
    }
    let constructor = failure(
        "a.py",
        "class A:\n    def __init__(self, user):\n        if not user.ok:\n            return None\n        self.n = user.name\n",
        "user.name",
        NO_ATTRIBUTE,
        message,
    );
    explains("python-none-attribute", &constructor, "`user` is `None`");
}

#[test]
fn a_missing_text_is_an_empty_one_for_methods_of_texts() {
    let parameter = failure(
        "a.py",
        "def clean(form):\n    return form.get(\"name\").strip().title()\n",
        "form.get(\"name\")",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'strip'",
    );
    let fixed = fixes(
        "python-none-attribute",
        &parameter,
        "form.get(\"name\").strip",
        "(form.get(\"name\") or \"\").strip",
    );
    runs_in_python(&parameter, &fixed, "print(repr(clean({})))", "''");

    let attribute = failure(
        "a.py",
        "def same(a, b):\n    return a.email.lower() == b.mail\n",
        "a.email",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'lower'",
    );
    fixes("python-none-attribute", &attribute, "a.email", "(a.email or \"\")");

    let mapping = failure(
        "a.py",
        "def pairs(config):\n    for key, value in config.headers.items():\n        print(key, value)\n",
        "config.headers",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'items'",
    );
    fixes("python-none-attribute", &mapping, "config.headers", "(config.headers or {})");

    let looked_up = failure(
        "a.py",
        "def mode(config):\n    return config.get(\"ui\").get(\"mode\") or \"plain\"\n",
        "config.get(\"ui\")",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'get'",
    );
    // Either `get` of the line may be the one, as far as the message says.
    leaves(&looked_up);
    let looked_up = failure(
        "a.py",
        "def mode(config):\n    return config.ui.get(\"mode\") or \"plain\"\n",
        "config.ui",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'get'",
    );
    fixes("python-none-attribute", &looked_up, "config.ui", "(config.ui or {})");

    // An object of the program may have any method; two receivers leave open which it is.
    for text in [
        "def f(a):\n    return a.x.close()\n",
        "def f(a, b):\n    return a.x.close() + b.y.close()\n",
    ] {
        leaves(&failure(
            "a.py",
            text,
            "a.x",
            NO_ATTRIBUTE,
            "'NoneType' object has no attribute 'close'",
        ));
    }
    leaves(&failure(
        "a.py",
        "def f(a, b):\n    return a.lower() == b.lower()\n",
        "a.lower",
        NO_ATTRIBUTE,
        "'NoneType' object has no attribute 'lower'",
    ));
}

#[test]
fn a_missing_row_is_answered_like_the_other_missing_things() {
    let row = failure(
        "db.py",
        "
def owner(db, key):
    if not key:
        return None
    row = db.fetchone(key)
    return row[\"owner\"]
",
        "row[\"owner\"]",
        TYPE,
        "'NoneType' object is not subscriptable",
    );
    fixes(
        "python-none-subscript",
        &row,
        "    return row[",
        "    if row is None:\n        return None\n    return row[",
    );
    let annotated = failure(
        "db.py",
        "
from typing import Optional

def first(cells) -> Optional[int]:
    return int(
        cells[0]
    )
",
        "cells[0]",
        TYPE,
        "'NoneType' object is not subscriptable",
    );
    let fixed = fixes(
        "python-none-subscript",
        &annotated,
        "    return int(",
        "    if cells is None:\n        return None\n    return int(",
    );
    runs_in_python(&annotated, &fixed, "print(first(None))", "None");
    let surely = failure(
        "db.py",
        "def first(cells) -> int:\n    return cells[0]\n",
        "cells[0]",
        TYPE,
        "'NoneType' object is not subscriptable",
    );
    explains("python-none-subscript", &surely, "`cells` is `None`");
}

#[test]
fn a_missing_collection_has_no_elements() {
    let looped = failure(
        "a.py",
        "def names(team):\n    out = []\n    for member in team.get(\"members\"):\n        out.append(member)\n    return out\n",
        "team.get(\"members\")",
        TYPE,
        NOT_ITERABLE,
    );
    let fixed = fixes(
        "python-none-iteration",
        &looped,
        "team.get(\"members\")",
        "team.get(\"members\") or []",
    );
    runs_in_python(&looped, &fixed, "print(names({}))", "[]");
    let comprehended = failure(
        "a.py",
        "def names(team):\n    return [m.upper() for m in team if m]\n",
        "m in team",
        TYPE,
        NOT_ITERABLE,
    );
    let fixed = fixes("python-none-iteration", &comprehended, "in team if", "in team or [] if");
    runs_in_python(&comprehended, &fixed, "print(names(None))", "[]");
    // Arrays have no truth value; two collections leave open which it is.
    for text in [
        "import numpy as np\ndef f(a):\n    for x in a:\n        print(x)\n",
        "def f(a, b):\n    return [x for x in a for y in b]\n",
        "def f(a):\n    return sum(x for x in a) + sum(a)\n",
    ] {
        leaves(&failure("a.py", text, "in a", TYPE, NOT_ITERABLE));
    }
}

#[test]
fn a_missing_summand_adds_nothing() {
    let added = failure(
        "a.py",
        "def total(base, item):\n    return base + item.get(\"extra\")\n",
        "base + item",
        TYPE,
        "unsupported operand type(s) for +: 'int' and 'NoneType'",
    );
    let fixed =
        fixes("python-none-operand", &added, "item.get(\"extra\")", "(item.get(\"extra\") or 0)");
    runs_in_python(&added, &fixed, "print(total(2, {}))", "2");
    let counted = failure(
        "a.py",
        "def total(items):\n    n = 0.5\n    for item in items:\n        n += item.get('n')\n    return n\n",
        "n += item",
        TYPE,
        "unsupported operand type(s) for +=: 'float' and 'NoneType'",
    );
    let fixed = fixes("python-none-operand", &counted, "item.get('n')", "item.get('n') or 0");
    runs_in_python(&counted, &fixed, "print(total([{}, {'n': 1}]))", "1.5");
    // A variable may be missing by mistake; a product has no neutral zero; a default is no cause.
    for (text, operator) in [
        ("def f(a, b):\n    return a + b\n", "+"),
        ("def f(a, b):\n    return a * b.get('x')\n", "*"),
        ("def f(a, b):\n    return a + b.get('x', 1)\n", "+"),
    ] {
        let message: &'static str = match operator {
            "*" => "unsupported operand type(s) for *: 'int' and 'NoneType'",
            _ => "unsupported operand type(s) for +: 'int' and 'NoneType'",
        };
        leaves(&failure("a.py", text, "return a", TYPE, message));
    }
}

#[test]
fn a_counter_of_the_module_is_declared_global() {
    let message = "cannot access local variable 'seen' where it is not associated with a value";
    let plain = failure(
        "a.py",
        "seen = 0\n\ndef count():\n    print('counting')\n    seen += 1\n    return seen\n",
        "seen += 1",
        "UnboundLocalError",
        message,
    );
    let fixed = fixes(
        "python-unbound-global",
        &plain,
        "    print('counting')",
        "    global seen\n    print('counting')",
    );
    runs_in_python(&plain, &fixed, "print(count())", "counting\n1");
    let documented = failure(
        "a.py",
        "seen = 0\n\ndef count():\n    \"\"\"Counts.\"\"\"\n    seen += 1\n    return seen\n",
        "seen += 1",
        "UnboundLocalError",
        "local variable 'seen' referenced before assignment",
    );
    let fixed = fixes(
        "python-unbound-global",
        &documented,
        "    seen += 1",
        "    global seen\n    seen += 1",
    );
    runs_in_python(&documented, &fixed, "print(count())", "1");
    // A local that is set on some paths only, and a name that the module does not set.
    for text in [
        "seen = 0\ndef f(x):\n    if x:\n        seen = 1\n    seen += 1\n",
        "def f(x):\n    seen += 1\n",
    ] {
        leaves(&failure("a.py", text, "seen += 1", "UnboundLocalError", message));
    }
}

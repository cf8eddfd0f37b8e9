//! Names without what compilers, bundlers and runtimes number or draw by lot.
//! Promises: what a person wrote stays; time grows with the name.

use std::borrow::Cow;

use crate::scan::{at, run_end, slice, tail};

/// What digits follow (dots and underscores between them too) that say nothing.
const NUMBERED: [&str; 17] = [
    "$Proxy",
    "$lambda-",
    ".func",
    ".gowrap",
    ".deferwrap",
    "GeneratedMethodAccessor",
    "GeneratedConstructorAccessor",
    "GeneratedSerializationConstructorAccessor",
    "DisplayClass",
    ">b__",
    ">d__",
    "_closure",
    "closure#",
    "impl#",
    "lambda_method",
    "(index ",
    "ipykernel_",
];
/// What a name drawn by lot follows, up to the next `.` or space.
const DRAWN: [&str; 6] = [
    "$$Lambda",
    "$HibernateProxy$",
    "$MockitoMock$",
    "$ByteBuddy$",
    "$auxiliary$",
    "<ipython-input-",
];
/// Fewest hexadecimal digits that are a hash in the name of a file.
const MIN_HASH: usize = 6;
/// Digits of the hashes, of any letters, that bundlers put into names of files.
const BUNDLED_HASH: usize = 8;

/// A name of a type, a module or a function without what is numbered in it: `$$Lambda$12/0x…`, `Outer$1`, `func1.2`,
/// `::h0123456789abcdef`, `GeneratedMethodAccessor4`, `{closure#3}`.
pub(crate) fn steady(name: &str) -> Cow<'_, str> {
    let name = without_hash(name);
    if !name.bytes().any(|byte| byte == b'$' || byte.is_ascii_digit()) {
        return Cow::Borrowed(name);
    }
    let bytes = name.as_bytes();
    let mut text = String::with_capacity(name.len());
    let mut pos = 0;
    while pos < bytes.len() {
        if let Some((kept, end)) = generated(name, pos) {
            text.push_str(kept);
            pos = end;
            continue;
        }
        let mut end = pos + 1;
        while end < bytes.len() && !(may_begin(at(bytes, end)) && name.is_char_boundary(end)) {
            end += 1;
        }
        text.push_str(slice(name, pos, end));
        pos = end;
    }
    Cow::Owned(text)
}

/// Whether something that is generated may begin with this byte.
fn may_begin(byte: u8) -> bool {
    matches!(
        byte,
        b'$' | b'.' | b'G' | b'D' | b'>' | b'<' | b'_' | b'c' | b'i' | b'l' | b'(' | b'0' | b':'
    )
}

/// What is generated at this place: what is kept of it, and its end.
fn generated(name: &str, pos: usize) -> Option<(&str, usize)> {
    let bytes = name.as_bytes();
    let rest = tail(name, pos);
    if !may_begin(at(bytes, pos)) {
        return None;
    }
    if let Some(start) = DRAWN.iter().find(|start| rest.starts_with(**start)) {
        return Some((start, run_end(bytes, pos, |byte| byte != b'.' && byte != b' ')));
    }
    if let Some(start) = NUMBERED.iter().find(|start| rest.starts_with(**start)) {
        let digits = pos + start.len();
        if !at(bytes, digits).is_ascii_digit() {
            return None;
        }
        let in_number = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        let mut end = run_end(bytes, digits, in_number);
        while at(bytes, end) == b'.' && at(bytes, end + 1).is_ascii_digit() {
            end = run_end(bytes, end + 1, in_number);
        }
        return Some((start, end));
    }
    match at(bytes, pos) {
        b'$' if is_hexadecimal_part(rest) => {
            Some(("", run_end(bytes, pos + 2, |byte| byte.is_ascii_hexdigit())))
        }
        b'$' if at(bytes, pos + 1).is_ascii_digit() => {
            Some(("$", run_end(bytes, pos + 1, |byte| byte.is_ascii_digit())))
        }
        b'0' if at(bytes, pos + 1) == b'x' && at(bytes, pos + 2).is_ascii_hexdigit() => {
            Some(("0x", run_end(bytes, pos + 2, |byte| byte.is_ascii_hexdigit())))
        }
        // PHP names a closure after the line it stands in: `{closure:app.php:12}`.
        b':' => {
            let end = run_end(bytes, pos + 1, |byte| byte.is_ascii_digit());
            (end > pos + 1 && at(bytes, end) == b'}').then_some(("", end))
        }
        _ => None,
    }
}

/// `$$` and nothing but hexadecimal digits up to the next `$`, `.` or the end.
fn is_hexadecimal_part(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let end = run_end(bytes, 2, |byte| byte.is_ascii_hexdigit());
    rest.starts_with("$$") && end > 5 && matches!(at(bytes, end), 0 | b'$' | b'.')
}

/// Without the hash that the Rust compiler appends to symbols.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((rest, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            rest
        }
        _ => name,
    }
}

/// The base name of a file without the hash of its content, as bundlers put it there, and without a query.
pub(crate) fn steady_file(name: &str) -> Cow<'_, str> {
    let name = name.split('?').next().unwrap_or(name);
    let Some((stem, ending)) = name.rsplit_once('.') else { return steady(name) };
    let is_number = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return Cow::Owned(format!("#.{ending}"));
    }
    if !matches!(ending, "js" | "mjs" | "cjs" | "jsx" | "ts" | "tsx") {
        return steady(name);
    }
    let parts: Vec<&str> = stem.split(['.', '-', '~']).collect();
    if !parts.iter().skip(1).any(|part| is_hash(part)) {
        return Cow::Borrowed(name);
    }
    let kept: Vec<&str> = parts.into_iter().filter(|part| !is_hash(part)).collect();
    Cow::Owned(format!("{}.#.{ending}", kept.join(".")))
}

/// Whether a part of a file's name is a hash and no word.
fn is_hash(part: &str) -> bool {
    let count = |is: fn(&u8) -> bool| part.as_bytes().iter().filter(|byte| is(byte)).count();
    let digits = count(u8::is_ascii_digit);
    let hexadecimal = part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if part.len() >= MIN_HASH && hexadecimal && digits > 0 {
        return true;
    }
    let letters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let capitals = count(u8::is_ascii_uppercase);
    let mixed = (digits > 0 && digits < part.len()) || (capitals > 2 && capitals < part.len());
    part.len() == BUNDLED_HASH && letters && mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_steady() {
        for (a, b) in [
            ("com.x.A$$Lambda$14/0x0000000800c3a840", "com.x.A$$Lambda$99/0x1"),
            ("com.x.A$$Lambda/0x00007f2a1c0.run", "com.x.A$$Lambda$3.run"),
            (
                "java.lang.invoke.LambdaForm$MH/0x00000008012.invoke",
                "java.lang.invoke.LambdaForm$MH/0x7.invoke",
            ),
            ("main.serve.func1.2", "main.serve.func3"),
            ("main.serve.gowrap1", "main.serve.gowrap2"),
            ("com.sun.proxy.$Proxy12", "com.sun.proxy.$Proxy7"),
            ("app::run::h0123456789abcdef", "app::run::hfedcba9876543210"),
            ("app::run::{closure#0}", "app::run::{closure#12}"),
            ("a.B$$EnhancerBySpringCGLIB$$1a2b3c4d", "a.B$$EnhancerBySpringCGLIB$$99aabbcc"),
            ("a.B$$SpringCGLIB$$0", "a.B$$SpringCGLIB$$3"),
            ("a.B$HibernateProxy$aBcDeFgH.get", "a.B$HibernateProxy$x1Yz2QwE.get"),
            ("a.B$MockitoMock$1711003372", "a.B$MockitoMock$88"),
            ("sun.reflect.GeneratedMethodAccessor4", "sun.reflect.GeneratedMethodAccessor51"),
            ("Shop.<>c__DisplayClass12_0.<Pay>b__3", "Shop.<>c__DisplayClass7_1.<Pay>b__0_2"),
            ("Foo$_run_closure1", "Foo$_run_closure22"),
            ("App\\{closure:app/routes.php:12}", "App\\{closure:app/routes.php:340}"),
            ("async Promise.all (index 0)", "async Promise.all (index 14)"),
            ("<ipython-input-3-0a1b2c3d4e5f>", "<ipython-input-41-99>"),
        ] {
            assert_eq!(steady(a), steady(b));
        }
        for (a, b) in [
            ("a.Step1", "a.Step2"),
            ("main.handler2", "main.handler3"),
            ("A$Inner", "A$Other"),
            ("utf8.decode", "utf16.decode"),
            ("$closure", "$open"),
        ] {
            assert_ne!(steady(a), steady(b));
        }
    }

    #[test]
    fn files_are_steady_from_build_to_build() {
        for (a, b) in [
            ("main.3f2a1b9c.js", "main.00ab12cd34.js"),
            ("index-BX3fK2a9.js", "index-DiwRgTda.js"),
            ("vendors~main.8c9a01.chunk.js", "vendors~main.1c2d3e4f.chunk.js"),
            ("app.js?v=17", "app.js?v=18"),
            ("1942.py", "27.py"),
        ] {
            assert_eq!(steady_file(a), steady_file(b));
        }
        for name in ["server.js", "user-settings.js", "base64.ts", "index-overview.js", "views.py"]
        {
            assert_eq!(steady_file(name), name);
        }
    }
}

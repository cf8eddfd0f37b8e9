//! What requests of one kind share: the method, the path without its variables, the status.

use crate::mask::without_tags;
use crate::parse::Request;
use crate::scan::{at, cut, run_end, slice};

/// Segments of a path that its route keeps.
const MAX_SEGMENTS: usize = 6;
/// Bytes of a method that its template keeps.
const MAX_METHOD: usize = 16;
/// Longest segment of a path that is taken for a word.
const MAX_SEGMENT: usize = 24;

/// Writes `GET /users/<id> 500`: what requests of one kind share.
pub(crate) fn write_template(request: &Request<'_>, out: &mut String) {
    out.push_str(cut(request.method, MAX_METHOD));
    out.push(' ');
    write(request, out);
    out.push(' ');
    let mut status = request.status;
    let mut digits = [b'0'; 3];
    for digit in digits.iter_mut().rev() {
        *digit += (status % 10) as u8;
        status /= 10;
    }
    out.extend(digits.map(char::from));
}

/// The path in a template that `write_template` wrote for a request.
pub(crate) fn of_template<'a>(request: &Request<'_>, template: &'a str) -> &'a str {
    const STATUS: usize = 3;
    let start = cut(request.method, MAX_METHOD).len() + 1;
    slice(template, start, template.len().saturating_sub(STATUS + 1))
}

/// Writes a path with its variable segments masked. What was not found names no route.
pub(crate) fn write(request: &Request<'_>, out: &mut String) {
    if request.status == 404 || request.status == 400 {
        out.push_str("<path>");
        return;
    }
    let path = without_tags(request.path);
    let bytes = path.as_bytes();
    let mut start = 0;
    for index in 0.. {
        if index > MAX_SEGMENTS {
            out.push_str("/<path>");
            break;
        }
        if index > 0 {
            out.push('/');
        }
        let mut digits = 0;
        let end = run_end(bytes, start, |byte| {
            digits += usize::from(byte.is_ascii_digit());
            byte != b'/'
        });
        let versioned = at(bytes, start) == b'v' && end - start <= 3 && digits == end - start - 1;
        let variable = end - start > MAX_SEGMENT || digits > 0;
        out.push_str(if variable && !versioned { "<id>" } else { slice(&path, start, end) });
        if end == bytes.len() {
            break;
        }
        start = end + 1;
    }
}

//! What requests of one kind share: the method, the path without its variables, the status.

use crate::mask::without_tags;
use crate::parse::Request;
use crate::scan::{at, cut, run_end};

/// Segments of a path that its route keeps.
const MAX_SEGMENTS: usize = 6;
/// Longest segment of a path that is taken for a word.
const MAX_SEGMENT: usize = 24;

/// Writes `GET /users/<id> 500`: what requests of one kind share.
pub(crate) fn write_template(request: &Request<'_>, out: &mut String) {
    out.push_str(cut(request.method, 16));
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

/// Writes a path with its variable segments masked. What was not found names no route.
pub(crate) fn write(request: &Request<'_>, out: &mut String) {
    if request.status == 404 || request.status == 400 {
        out.push_str("<path>");
        return;
    }
    let path = without_tags(request.path);
    for (index, segment) in path.split('/').enumerate() {
        if index > MAX_SEGMENTS {
            out.push_str("/<path>");
            break;
        }
        if index > 0 {
            out.push('/');
        }
        let bytes = segment.as_bytes();
        let versioned = at(bytes, 0) == b'v'
            && bytes.len() <= 3
            && run_end(bytes, 1, |byte| byte.is_ascii_digit()) == bytes.len();
        let variable = segment.len() > MAX_SEGMENT || bytes.iter().any(u8::is_ascii_digit);
        out.push_str(if variable && !versioned { "<id>" } else { segment });
    }
}

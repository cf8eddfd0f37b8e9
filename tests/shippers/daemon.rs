//! What a syslog daemon is sent, and what has to come of it and of the files that it tails.

use std::{os::unix::net::UnixDatagram, path::Path};

use crate::{
    Place,
    events::{Expected, inspected},
    lines::{SENT, printed_events, sent_events},
    tool::Tool,
};

/// Sends what syslog(3) would, and says what has to come of it and of the files, in each of the daemon's formats.
pub(crate) async fn publish(
    place: &Place<'_>,
    tool: &mut Tool,
    host: &str,
    formats: &[&str],
) -> Vec<Expected> {
    send(tool, &place.directory.join("log")).await;
    let mut expected = Vec::new();
    for format in formats {
        let source = |program: &str| format!("{program}/{host}/{format}");
        let files = [("shop", printed_events()), ("real", inspected(&place.written.real_events))];
        for (program, events) in files {
            let expectation = Expected::of_source(&source(program), events);
            expected.push(expectation.with("service", program).with("host", host));
        }
        let sent = Expected::of_source(&source("cart"), sent_events());
        expected.push(sent.with("service", "cart").with("process", "4711"));
    }
    expected
}

/// Sends [`SENT`] to a socket as the C library does.
async fn send(tool: &mut Tool, socket: &Path) {
    let program = UnixDatagram::unbound().unwrap();
    tool.wait_for(|_| program.connect(socket).ok()).await;
    for (severity, message) in SENT {
        // Facility `user`.
        let priority = 8 + if severity == "err" { 3 } else { 6 };
        let datagram = format!("<{priority}>Nov 29 07:30:00 cart[4711]: {message}");
        program.send(datagram.as_bytes()).unwrap();
    }
}

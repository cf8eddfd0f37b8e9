//! rsyslog with omkafka: a file that it tails and a socket for syslog(3), in each of three formats.

use std::{fs, os::unix::net::UnixDatagram, path::Path};

use crate::{
    Place,
    events::{Expected, inspected},
    lines::{SENT, printed_events, sent_events},
    support::text,
    tool::Tool,
};

/// The formats, by the stream that the key of their records names.
const FORMATS: [&str; 3] = ["file-format", "rfc5424", "json"];

/// Starts it.
pub(crate) fn start(place: &Place<'_>) -> Tool {
    let config = place.directory.join("rsyslog.conf");
    fs::write(&config, configuration(place)).unwrap();
    let id = place.directory.join("pid");
    Tool::start("rsyslogd", place.directory, &["-f", text(&config), "-i", text(&id)])
}

fn configuration(place: &Place<'_>) -> String {
    let Place { directory, brokers, written } = place;
    let (directory, printed, real) = (text(directory), text(&written.printed), text(&written.real));
    format!(
        r#"global(workDirectory="{directory}" localHostname="web-1" maxMessageSize="64k")
module(load="imfile")
module(load="imuxsock" SysSock.Use="off")
module(load="omkafka")

template(name="file-key" type="string" string="%programname%/%hostname%/file-format")
template(name="rfc5424-key" type="string" string="%programname%/%hostname%/rfc5424")
template(name="json-key" type="string" string="%programname%/%hostname%/json")
template(name="json" type="list" option.jsonf="on") {{
    property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="hostname" name="hostname" format="jsonf")
    property(outname="severity" name="syslogseverity-text" format="jsonf")
    property(outname="programname" name="programname" format="jsonf")
    property(outname="procid" name="procid" format="jsonf")
    property(outname="message" name="msg" format="jsonf")
}}

input(type="imfile" File="{printed}" Tag="shop:" Severity="info" ruleset="publish")
input(type="imfile" File="{real}" Tag="real:" Severity="info" ruleset="publish")
input(type="imuxsock" Socket="{directory}/log" ruleset="publish")

ruleset(name="publish") {{
    action(type="omkafka" broker="{brokers}" topic="raw-logs" dynaKey="on" key="file-key"
           template="RSYSLOG_FileFormat")
    action(type="omkafka" broker="{brokers}" topic="raw-logs" dynaKey="on" key="rfc5424-key"
           template="RSYSLOG_SyslogProtocol23Format")
    action(type="omkafka" broker="{brokers}" topic="raw-logs" dynaKey="on" key="json-key" template="json")
}}
"#
    )
}

/// Sends what syslog(3) would, and says what has to come of it and of the files.
pub(crate) async fn publish(place: &Place<'_>, tool: &mut Tool) -> Vec<Expected> {
    send(tool, &place.directory.join("log")).await;
    let mut expected = Vec::new();
    for format in FORMATS {
        let source = |program: &str| format!("{program}/web-1/{format}");
        let files = [("shop", printed_events()), ("real", inspected(&place.written.real_events))];
        for (program, events) in files {
            let expectation = Expected::of_source(&source(program), events);
            expected.push(expectation.with("service", program).with("host", "web-1"));
        }
        let sent = Expected::of_source(&source("cart"), sent_events());
        expected.push(sent.with("service", "cart").with("process", "4711"));
    }
    expected
}

/// Sends [`SENT`] to a socket as the C library does.
pub(crate) async fn send(tool: &mut Tool, socket: &Path) {
    let program = UnixDatagram::unbound().unwrap();
    tool.wait_for(|_| program.connect(socket).ok()).await;
    for (severity, message) in SENT {
        // Facility `user`.
        let priority = 8 + if severity == "err" { 3 } else { 6 };
        let datagram = format!("<{priority}>Nov 29 07:30:00 cart[4711]: {message}");
        program.send(datagram.as_bytes()).unwrap();
    }
}

//! rsyslog with omkafka: a file that it tails and a socket for syslog(3), in each of three formats.

use std::{fmt::Write as _, fs};

use crate::{Place, support::text, tool::Tool};

/// The formats, by the stream that the key of their records names.
pub(crate) const FORMATS: [&str; 3] = ["file-format", "rfc5424", "json"];
/// The templates that make them; the last one is our own.
const TEMPLATES: [&str; 3] = ["RSYSLOG_FileFormat", "RSYSLOG_SyslogProtocol23Format", "json"];

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
    let (mut keys, mut actions) = (String::new(), String::new());
    for (format, template) in FORMATS.into_iter().zip(TEMPLATES) {
        writeln!(
            keys,
            r#"template(name="{format}-key" type="string" string="%programname%/%hostname%/{format}")"#
        )
        .unwrap();
        writeln!(
            actions,
            r#"    action(type="omkafka" broker="{brokers}" topic="raw-logs" dynaKey="on" key="{format}-key" template="{template}"
           action.resumeRetryCount="-1" action.resumeInterval="1")"#
        )
        .unwrap();
    }
    format!(
        r#"global(workDirectory="{directory}" localHostname="web-1" maxMessageSize="64k")
module(load="imfile")
module(load="imuxsock" SysSock.Use="off")
module(load="omkafka")

{keys}template(name="json" type="list" option.jsonf="on") {{
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

# An action that fails drops what it has, unless it is told to try again for ever.
ruleset(name="publish") {{
{actions}}}
"#
    )
}

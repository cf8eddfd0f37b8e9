//! rsyslog with omkafka: a file that it tails and a socket for syslog(3), in each of three formats.

use std::fs;

use crate::{Place, support::text, tool::Tool};

/// The formats, by the stream that the key of their records names.
pub(crate) const FORMATS: [&str; 3] = ["file-format", "rfc5424", "json"];

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
    let templates = ["RSYSLOG_FileFormat", "RSYSLOG_SyslogProtocol23Format", "json"];
    let keys = ["file-key", "rfc5424-key", "json-key"];
    let action = |(key, template): (&str, &str)| {
        format!(
            r#"    action(type="omkafka" broker="{brokers}" topic="raw-logs" dynaKey="on" key="{key}" template="{template}"
           action.resumeRetryCount="-1" action.resumeInterval="1")
"#
        )
    };
    let actions: String = keys.into_iter().zip(templates).map(action).collect();
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

# An action that fails drops what it has, unless it is told to try again for ever.
ruleset(name="publish") {{
{actions}}}
"#
    )
}

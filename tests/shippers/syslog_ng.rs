//! syslog-ng with kafka-c(): files that it tails and a socket for syslog(3), in its default format and as JSON.

use std::fs;

use crate::{
    Place,
    events::{Expected, inspected},
    lines::{printed_events, sent_events},
    rsyslog::send,
    support::text,
    tool::Tool,
};

/// The formats, by the stream that the key of their records names.
const FORMATS: [&str; 2] = ["default", "format-json"];

/// Starts it.
pub(crate) fn start(place: &Place<'_>) -> Tool {
    let config = place.directory.join("syslog-ng.conf");
    fs::write(&config, configuration(place)).unwrap();
    let within = |name: &str| place.directory.join(name);
    let (persisted, id, control) = (within("persist"), within("pid"), within("ctl"));
    let arguments = [
        ["-f", text(&config)],
        ["-R", text(&persisted)],
        ["-p", text(&id)],
        ["-c", text(&control)],
    ];
    Tool::start("syslog-ng", place.directory, &arguments.concat())
}

fn configuration(place: &Place<'_>) -> String {
    let Place { directory, brokers, written } = place;
    let (directory, printed, real) = (text(directory), text(&written.printed), text(&written.real));
    format!(
        r#"@version: 3.38
source s_files {{
    file("{printed}" flags(no-parse) program-override("shop") host-override("web-2") default-priority(info));
    file("{real}" flags(no-parse) program-override("real") host-override("web-2") default-priority(info));
}};
source s_programs {{ unix-dgram("{directory}/log" host-override("web-2")); }};
destination d_default {{
    kafka-c(bootstrap-servers("{brokers}") topic("raw-logs") key("${{PROGRAM}}/${{HOST}}/default")
            persist-name("default"));
}};
destination d_json {{
    kafka-c(bootstrap-servers("{brokers}") topic("raw-logs") key("${{PROGRAM}}/${{HOST}}/format-json")
            message("$(format-json --scope rfc5424 --exclude DATE --key ISODATE)") persist-name("format-json"));
}};
log {{ source(s_files); source(s_programs); destination(d_default); destination(d_json); }};
"#
    )
}

/// Sends what syslog(3) would, and says what has to come of it and of the files.
pub(crate) async fn publish(place: &Place<'_>, tool: &mut Tool) -> Vec<Expected> {
    send(tool, &place.directory.join("log")).await;
    let mut expected = Vec::new();
    for format in FORMATS {
        let source = |program: &str| format!("{program}/web-2/{format}");
        let files = [("shop", printed_events()), ("real", inspected(&place.written.real_events))];
        for (program, events) in files {
            let expectation = Expected::of_source(&source(program), events);
            expected.push(expectation.with("service", program).with("host", "web-2"));
        }
        let sent = Expected::of_source(&source("cart"), sent_events());
        expected.push(sent.with("service", "cart").with("process", "4711"));
    }
    expected
}

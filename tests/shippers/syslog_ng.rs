//! syslog-ng with kafka-c(): files that it tails and a socket for syslog(3), in its default format and as JSON.

use std::fs;

use crate::{Place, support::text, tool::Tool};

/// The formats, by the stream that the key of their records names.
pub(crate) const FORMATS: [&str; 2] = ["default", "format-json"];

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
options {{ time-reopen(1); }};
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

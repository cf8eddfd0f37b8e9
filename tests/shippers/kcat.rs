//! kcat: a file, one record a line, with the source as the key.

use crate::{
    Place,
    events::{Expected, inspected},
    lines::printed_events,
    tool::run,
};

/// Publishes the files, and says what has to come of them.
pub(crate) fn publish(place: &Place<'_>) -> Vec<Expected> {
    let files = [
        ("shop", &place.written.printed, printed_events()),
        ("real", &place.written.real, inspected(&place.written.real_events)),
    ];
    let mut expected = Vec::new();
    for (service, file, events) in files {
        let source = format!("{service}/web-3/log");
        run("kcat", &["-P", "-b", place.brokers, "-t", "raw-logs", "-k", &source], file);
        expected.push(Expected::of_source(&source, events).with("service", service));
    }
    expected
}

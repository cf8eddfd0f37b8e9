//! The logs of a real run of the sample service, and the sources they come from.

/// One log of the run.
pub(crate) struct SampleLog {
    /// The source: service/instance/stream.
    pub(crate) source: &'static str,
    /// Its lines.
    pub(crate) text: &'static str,
}

/// What the run wrote, as three shippers would send it.
pub(crate) const LOGS: [SampleLog; 3] = [
    SampleLog { source: "bookshop/web-1/access", text: include_str!("sample/logs/access.log") },
    SampleLog { source: "bookshop/web-1/app", text: include_str!("sample/logs/app.log") },
    SampleLog { source: "bookshop/worker-1/app", text: include_str!("sample/logs/worker.log") },
];

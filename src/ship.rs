//! `hephaestus ship`: writes the lines of files into `raw-logs`, and says how many are durable.

use std::{
    io::{IsTerminal, Read},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use hephaestus_gateway::{
    lines::{LineSplitter, StreamLine},
    raw::RawLines,
    source,
};
use hephaestus_pipeline::{
    clock,
    engine::{EngineError, Log},
    record::NewRecord,
    retry::{Delays, RetryPolicy},
};
use hephaestus_schemas::topics::RAW_LOGS;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    access,
    cli::ShipArgs,
    config::Config,
    output::{Output, tell},
    scan::find_topic,
    signals,
    tail::{Step, Tail},
    usage::WrongUsage,
};

/// What `ship` writes into the header `hephaestus-stage`.
const MADE_BY: &str = concat!("ship/", env!("CARGO_PKG_VERSION"));
/// Longest line in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;
/// A line from here on is told of: it is seldom what was meant.
const LONG_LINE_BYTES: usize = 1 << 20;
/// Most lines written at once.
const BATCH_LINES: usize = 10_000;
/// Bytes after which a batch is written, each line with [`LINE_OVERHEAD`].
const BATCH_BYTES: usize = 4 << 20;
/// Rough bytes that a line takes in memory besides its own.
const LINE_OVERHEAD: usize = 256;
/// Bytes read from standard input at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces of standard input read ahead.
const PIECES_AHEAD: usize = 4;
/// Time between two looks at files that are followed.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);

/// Runs `ship`.
pub(crate) async fn run(arguments: &ShipArgs, config: &Config) -> Result<()> {
    if let Some(source) = &arguments.source {
        source::check(source).map_err(|error| WrongUsage(error.to_string()))?;
    }
    let reads_stdin = arguments.files.iter().any(|path| is_stdin(path));
    if reads_stdin && arguments.follow {
        return Err(WrongUsage(
            "--follow does not go with standard input, which is followed anyway".to_owned(),
        )
        .into());
    }
    let access = access::open(config).await?;
    let mut shipper = Shipper::new(access.log.clone());
    if arguments.follow {
        shipper.patience = Some(RetryPolicy::new(config.retry.clone())?.delays());
    }
    let stop = shipper.stop.clone();
    let asked = tokio::spawn(async move {
        if signals::stop_asked().await.is_ok() {
            stop.cancel();
        }
    });
    let result = ship_all(arguments, &mut shipper).await;
    asked.abort();
    access.close().await?;
    result
}

async fn ship_all(arguments: &ShipArgs, shipper: &mut Shipper) -> Result<()> {
    find_topic(&shipper.log, RAW_LOGS).await?;
    let result = ship_files(arguments, shipper).await;
    // What was read before an error or a signal is shipped all the same.
    let flushed = shipper.flush().await;
    shipper.progress.finish_and_clear();
    let mut out = Output::new();
    out.json(&shipper.totals)?;
    out.flush()?;
    result.and(flushed)?;
    if shipper.refused > 0 {
        bail!("{} lines were not shipped", shipper.refused);
    }
    Ok(())
}

async fn ship_files(arguments: &ShipArgs, shipper: &mut Shipper) -> Result<()> {
    let mut tails = Vec::new();
    for path in &arguments.files {
        if shipper.stop.is_cancelled() {
            return Ok(());
        }
        let source = arguments.source.clone().unwrap_or_else(|| default_source(path, &host()));
        let mut input = Input::new(path, &source);
        if is_stdin(path) {
            ship_stdin(&mut input, shipper).await?;
            continue;
        }
        let tail = Tail::open(path, MAX_LINE_BYTES);
        let mut tail = tail.with_context(|| path.display().to_string())?;
        while !shipper.stop.is_cancelled()
            && step(&mut tail, &mut input, shipper).await? == Step::Read
        {}
        if arguments.follow {
            tails.push((tail, input));
        } else if let Some(line) = tail.finish() {
            shipper.take(line, &mut input).await?;
        }
    }
    if arguments.follow {
        shipper.flush().await?;
        follow(&mut tails, shipper).await?;
    }
    Ok(())
}

async fn step(tail: &mut Tail, input: &mut Input, shipper: &mut Shipper) -> Result<Step> {
    let mut lines = Vec::new();
    let step = tail.step(&mut lines).with_context(|| input.name.clone())?;
    shipper.take_all(lines, input).await?;
    Ok(step)
}

async fn follow(tails: &mut [(Tail, Input)], shipper: &mut Shipper) -> Result<()> {
    while !shipper.stop.is_cancelled() {
        let mut is_quiet = true;
        for (tail, input) in tails.iter_mut() {
            while step(tail, input, shipper).await? == Step::Read {
                is_quiet = false;
            }
            let mut lines = Vec::new();
            let moved = tail.follow(&mut lines).with_context(|| input.name.clone())?;
            shipper.take_all(lines, input).await?;
            if moved {
                is_quiet = false;
                input.line = 0;
            }
        }
        shipper.flush().await?;
        if is_quiet {
            shipper.pause(FOLLOW_PAUSE).await;
        }
    }
    Ok(())
}

/// Ships standard input as it comes: what is there is not held back to fill a batch.
async fn ship_stdin(input: &mut Input, shipper: &mut Shipper) -> Result<()> {
    let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
    // Detached: a read of a terminal ends only when somebody types.
    std::thread::spawn(move || read_stdin(&sender));
    let mut splitter = LineSplitter::new(MAX_LINE_BYTES);
    loop {
        let piece = match pieces.try_recv() {
            Ok(piece) => piece,
            Err(mpsc::error::TryRecvError::Disconnected) => break,
            Err(mpsc::error::TryRecvError::Empty) => {
                shipper.flush().await?;
                let piece = tokio::select! {
                    piece = pieces.recv() => piece,
                    () = shipper.stop.cancelled() => None,
                };
                let Some(piece) = piece else {
                    break;
                };
                piece
            }
        };
        let mut lines = Vec::new();
        splitter.push(&piece.context("standard input")?, &mut lines);
        shipper.take_all(lines, input).await?;
    }
    match splitter.finish() {
        Some(line) => shipper.take(line, input).await,
        None => Ok(()),
    }
}

fn read_stdin(pieces: &mpsc::Sender<std::io::Result<Vec<u8>>>) {
    let mut stdin = std::io::stdin().lock();
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let piece = match stdin.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(buffer.get(..read).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = piece.is_err();
        if pieces.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

/// Where lines come from.
struct Input {
    /// Name for people.
    name: String,
    /// Number of the last line.
    line: u64,
    records: RawLines,
}

impl Input {
    fn new(path: &Path, source: &str) -> Self {
        let name =
            if is_stdin(path) { "standard input".into() } else { path.display().to_string() };
        Self { name, line: 0, records: RawLines::new(source, MADE_BY, None) }
    }
}

/// What was shipped.
#[derive(Debug, Default, Serialize)]
struct Totals {
    /// Lines that were read.
    lines: u64,
    /// Records that are durable.
    records: u64,
    /// Bytes of their values.
    bytes: u64,
}

struct Shipper {
    log: Arc<dyn Log>,
    batch: Vec<NewRecord>,
    batch_bytes: usize,
    totals: Totals,
    refused: u64,
    progress: ProgressBar,
    /// Waits between tries of a log that is not there; none where it is an error at once.
    patience: Option<Delays>,
    /// Cancelled when the program is asked to stop. What is being written is never dropped.
    stop: CancellationToken,
}

impl Shipper {
    fn new(log: Arc<dyn Log>) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let progress = ProgressBar::with_draw_target(None, target);
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {human_pos} lines {per_sec} {elapsed}")
        {
            progress.set_style(style);
        }
        Self {
            log,
            batch: Vec::new(),
            batch_bytes: 0,
            totals: Totals::default(),
            refused: 0,
            progress,
            patience: None,
            stop: CancellationToken::new(),
        }
    }

    async fn take_all(&mut self, lines: Vec<StreamLine>, input: &mut Input) -> Result<()> {
        for line in lines {
            self.take(line, input).await?;
        }
        Ok(())
    }

    async fn take(&mut self, line: StreamLine, input: &mut Input) -> Result<()> {
        self.totals.lines += 1;
        input.line += 1;
        let line = match line {
            StreamLine::Line(line) => line,
            StreamLine::TooLong => {
                self.refuse(input, &format!("longer than {MAX_LINE_BYTES} bytes"));
                return Ok(());
            }
        };
        let length = line.len();
        if length >= LONG_LINE_BYTES {
            let (name, number) = (&input.name, input.line);
            self.progress.suspend(|| tell(format_args!("{name} line {number} has {length} bytes")));
            // Alone in its batch, so that an engine that refuses it refuses no other.
            self.flush().await?;
            return self.take_long(line, input).await;
        }
        self.batch.push(input.records.record(line, clock::now_ms()));
        self.batch_bytes += length + LINE_OVERHEAD;
        if self.batch.len() >= BATCH_LINES || self.batch_bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn take_long(&mut self, line: Bytes, input: &Input) -> Result<()> {
        self.batch.push(input.records.record(line, clock::now_ms()));
        match self.append().await {
            Err(EngineError::RecordTooLarge { size, limit, .. }) => {
                self.refuse(input, &format!("record of {size} bytes, the engine takes {limit}"));
                Ok(())
            }
            result => self.explain(result),
        }
    }

    async fn flush(&mut self) -> Result<()> {
        let result = self.append().await;
        self.explain(result)
    }

    async fn append(&mut self) -> Result<(), EngineError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let bytes: usize =
            batch.iter().filter_map(|record| record.value.as_ref()).map(Bytes::len).sum();
        let records = self.write(batch).await?;
        self.totals.records += records;
        self.totals.bytes += bytes as u64;
        self.progress.inc(records);
        Ok(())
    }

    /// Writes a batch; while following, a pipeline that is away is waited for. Where it went away
    /// before it answered, lines may be there twice.
    async fn write(&mut self, batch: Vec<NewRecord>) -> Result<u64, EngineError> {
        loop {
            let error = match self.log.append(batch.clone()).await {
                Ok(written) => {
                    if let Some(patience) = &mut self.patience {
                        patience.reset();
                    }
                    return Ok(written.len() as u64);
                }
                Err(error) => error,
            };
            let is_away = matches!(error, EngineError::Unavailable(_));
            let wait =
                self.patience.as_mut().filter(|_| is_away).and_then(|delays| delays.next(None));
            let Some(wait) = wait.filter(|_| !self.stop.is_cancelled()) else {
                return Err(error);
            };
            self.progress.suspend(|| tell(format_args!("{error}; trying again")));
            self.pause(wait).await;
        }
    }

    /// Waits, unless the program is asked to stop.
    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn explain(&self, result: Result<(), EngineError>) -> Result<()> {
        result.map_err(|error| {
            let records = self.totals.records;
            anyhow!(error).context(format!("shipping stopped after {records} records"))
        })
    }

    fn refuse(&mut self, input: &Input, reason: &str) {
        self.refused += 1;
        let (name, number) = (&input.name, input.line);
        self.progress
            .suspend(|| tell(format_args!("{name} line {number} is not shipped: {reason}")));
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// `<file stem>/<host>/<file name>`, each made to fit.
fn default_source(path: &Path, host: &str) -> String {
    let (stem, name) = if is_stdin(path) {
        ("stdin".into(), "stdin".into())
    } else {
        let part = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        (part(path.file_stem()), part(path.file_name()))
    };
    format!("{}/{}/{}", source::part(&stem), source::part(host), source::part(&name))
}

/// Name of this machine, or `local` where it has none to be found.
fn host() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    if name.trim().is_empty() { "local".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_source_names_the_file_and_the_machine() {
        let cases = [
            ("/var/log/shop.log", "shop/web-1/shop.log"),
            ("app.2024.log", "app.2024/web-1/app.2024.log"),
            ("-", "stdin/web-1/stdin"),
            ("/", "unknown/web-1/unknown"),
        ];
        for (path, expected) in cases {
            let found = default_source(Path::new(path), "web-1");
            assert_eq!(found, expected);
            assert_eq!(source::check(&found), Ok(()));
        }
    }
}

//! A TCP proxy between clients and a broker that slows, freezes, half-opens or resets connections.
//!
//! It counts what it did, so that a test knows that a fault struck.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Bytes moved at once.
const CHUNK: usize = 16 << 10;

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToBroker,
    ToClient,
}

/// What is done to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bytes pass.
    Pass,
    /// Bytes pass late: each chunk after a latency, and no more than so many a second.
    Slow { latency_ms: u64, bytes_per_second: u64 },
    /// Connections are accepted and stay open; nothing passes, the end of a stream neither.
    Frozen,
    /// What is sent in one direction is lost. A connection that lost something is reset when this ends.
    HalfOpen(Direction),
    /// Requests of one kind (its key in the Kafka protocol) pass, and their answers are lost with all that comes after.
    /// A connection that lost something is reset when this ends.
    LoseAnswers(u16),
    /// Requests of one kind come late: each is kept and its client reset, and reaches the broker at the next release.
    Late(u16),
    /// Requests of one kind wait until this ends, and what follows them on their connections.
    Hold(u16),
    /// Connections are reset at once (RST), new ones too.
    Reset,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => write!(f, "pass"),
            Self::Slow { latency_ms, bytes_per_second } => {
                write!(f, "slow ({latency_ms} ms a chunk, {bytes_per_second} bytes a second)")
            }
            Self::Frozen => write!(f, "frozen"),
            Self::HalfOpen(Direction::ToBroker) => write!(f, "half-open (nothing to the broker)"),
            Self::HalfOpen(Direction::ToClient) => write!(f, "half-open (nothing to clients)"),
            Self::LoseAnswers(key) => write!(f, "deaf to answers to requests of key {key}"),
            Self::Late(key) => write!(f, "late requests of key {key}"),
            Self::Hold(key) => write!(f, "held requests of key {key}"),
            Self::Reset => write!(f, "reset"),
        }
    }
}

/// A mode, and what it is for: every connection whose number is a multiple of `every`, and of requests that come late
/// every so many, since a kind of request may have few connections, which stay.
#[derive(Debug, Clone, Copy)]
struct Setting {
    mode: Mode,
    every: u64,
    /// How often what was kept was let go.
    releases: u64,
}

impl Setting {
    fn of(self, number: u64) -> Mode {
        if matches!(self.mode, Mode::Late(_)) || number.is_multiple_of(self.every.max(1)) {
            self.mode
        } else {
            Mode::Pass
        }
    }
}

/// What the proxy did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections accepted.
    pub(crate) accepted: u64,
    /// Bytes that passed.
    pub(crate) passed: u64,
    /// Chunks that passed late.
    pub(crate) slowed: u64,
    /// Chunks that had to wait for a thaw.
    pub(crate) held: u64,
    /// Bytes that were lost.
    pub(crate) lost: u64,
    /// Connections that were reset.
    pub(crate) reset: u64,
    /// Requests that were kept.
    pub(crate) kept: u64,
    /// Kept requests that the broker has answered since.
    pub(crate) late: u64,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    passed: AtomicU64,
    slowed: AtomicU64,
    held: AtomicU64,
    lost: AtomicU64,
    reset: AtomicU64,
    /// Requests of the kind that comes late, those that passed too.
    met: AtomicU64,
    kept: AtomicU64,
    late: AtomicU64,
}

fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

/// A running proxy; it ends with its value.
pub(crate) struct Proxy {
    address: SocketAddr,
    setting: watch::Sender<Setting>,
    counters: Arc<Counters>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Takes connections on a free port of the loopback and passes them on to `upstream`.
    pub(crate) async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (setting, _) = watch::channel(Setting { mode: Mode::Pass, every: 1, releases: 0 });
        let counters = Arc::new(Counters::default());
        let accepting =
            tokio::spawn(accept(listener, upstream, setting.subscribe(), counters.clone()));
        Ok(Self { address, setting, counters, accepting })
    }

    /// Where it takes connections.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does something to every `every`th connection, those that are open and those to come, or to every so many requests.
    pub(crate) fn set(&self, mode: Mode, every: u64) {
        self.setting.send_modify(|setting| (setting.mode, setting.every) = (mode, every));
    }

    /// Lets requests that were kept reach the broker.
    pub(crate) fn release(&self) {
        self.setting.send_modify(|setting| setting.releases += 1);
    }

    /// Lets everything pass.
    pub(crate) fn heal(&self) {
        self.set(Mode::Pass, 1);
        self.release();
    }

    /// What it did so far.
    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            accepted: read(&self.counters.accepted),
            passed: read(&self.counters.passed),
            slowed: read(&self.counters.slowed),
            held: read(&self.counters.held),
            lost: read(&self.counters.lost),
            reset: read(&self.counters.reset),
            kept: read(&self.counters.kept),
            late: read(&self.counters.late),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    setting: watch::Receiver<Setting>,
    counters: Arc<Counters>,
) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => client,
                Err(_) => continue,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        add(&counters.accepted, 1);
        let connection = Connection {
            number,
            setting: setting.clone(),
            counters: counters.clone(),
            is_deaf: AtomicBool::new(false),
        };
        number += 1;
        connections.spawn(connection.serve(client, upstream));
    }
}

/// How a connection ends.
enum End {
    Closed,
    Reset,
    /// The client is reset; the broker gets this later.
    Late(Vec<u8>),
}

struct Connection {
    number: u64,
    setting: watch::Receiver<Setting>,
    counters: Arc<Counters>,
    /// A request passed whose answer is to be lost.
    is_deaf: AtomicBool,
}

impl Connection {
    async fn serve(self, client: TcpStream, upstream: SocketAddr) {
        let Ok(broker) = TcpStream::connect(upstream).await else {
            // Nobody listens: what a client would have seen itself.
            let _ = client.set_zero_linger();
            return;
        };
        let _ = (client.set_nodelay(true), broker.set_nodelay(true));
        let end = tokio::select! {
            end = self.pump(&client, &broker, Direction::ToBroker) => end,
            end = self.pump(&broker, &client, Direction::ToClient) => end,
            () = self.until_reset() => End::Reset,
        };
        match end {
            End::Closed => {}
            End::Reset => {
                add(&self.counters.reset, 1);
                let _ = (client.set_zero_linger(), broker.set_zero_linger());
            }
            End::Late(request) => {
                let _ = client.set_zero_linger();
                drop(client);
                self.pass_late(&broker, &request).await;
            }
        }
    }

    /// Keeps a request until the next release, and waits for its answer, which nobody else hears.
    async fn pass_late(&self, broker: &TcpStream, request: &[u8]) {
        let mut setting = self.setting.clone();
        let releases = setting.borrow_and_update().releases;
        add(&self.counters.kept, 1);
        while setting.borrow_and_update().releases == releases {
            changed(&mut setting).await;
        }
        // Answers to what came before it.
        let mut buffer = vec![0; CHUNK];
        while matches!(broker.try_read(&mut buffer), Ok(1..)) {}
        let is_answered = async {
            write(broker, request).await.is_ok()
                && matches!(read(broker, &mut buffer).await, Ok(1..))
        };
        if is_answered.await {
            add(&self.counters.late, 1);
        }
    }

    async fn until_reset(&self) {
        let mut setting = self.setting.clone();
        loop {
            if setting.borrow_and_update().of(self.number) == Mode::Reset {
                return;
            }
            changed(&mut setting).await;
        }
    }

    /// Whether this is one of the requests that come late.
    fn is_turn(&self) -> bool {
        let every = self.setting.borrow().every.max(1);
        self.counters.met.fetch_add(1, Ordering::Relaxed).is_multiple_of(every)
    }

    /// Whether what comes in a direction is lost now.
    fn is_lossy(&self, mode: Mode, direction: Direction) -> bool {
        match mode {
            Mode::HalfOpen(lossy) => lossy == direction,
            Mode::LoseAnswers(_) => {
                direction == Direction::ToClient && self.is_deaf.load(Ordering::Relaxed)
            }
            _ => false,
        }
    }

    /// Looks whether a chunk begins with a request whose answer is to be lost.
    fn look(&self, direction: Direction, chunk: &[u8]) {
        let Mode::LoseAnswers(key) = self.setting.borrow().of(self.number) else { return };
        if is_request(direction, chunk, key) {
            self.is_deaf.store(true, Ordering::Relaxed);
        }
    }

    async fn pump(&self, from: &TcpStream, to: &TcpStream, direction: Direction) -> End {
        let mut setting = self.setting.clone();
        let mut buffer = vec![0; CHUNK];
        let mut has_lost = false;
        loop {
            let read = tokio::select! {
                read = read(from, &mut buffer) => read,
                () = changed(&mut setting) => {
                    let mode = setting.borrow_and_update().of(self.number);
                    if has_lost && !self.is_lossy(mode, direction) {
                        return End::Reset;
                    }
                    continue;
                }
            };
            let Ok(read) = read else { return End::Reset };
            let is_lost = loop {
                let mode = setting.borrow_and_update().of(self.number);
                match mode {
                    Mode::Frozen => {
                        add(&self.counters.held, 1);
                        changed(&mut setting).await;
                    }
                    _ if self.is_lossy(mode, direction) => {
                        has_lost = true;
                        add(&self.counters.lost, read);
                        if read > 0 {
                            break true;
                        }
                        // The end of the stream is lost too.
                        changed(&mut setting).await;
                    }
                    Mode::Late(key)
                        if is_request(direction, &buffer[..read], key) && self.is_turn() =>
                    {
                        return End::Late(buffer[..read].to_vec());
                    }
                    Mode::Hold(key) if is_request(direction, &buffer[..read], key) => {
                        add(&self.counters.held, 1);
                        changed(&mut setting).await;
                    }
                    _ if has_lost => return End::Reset,
                    Mode::Slow { latency_ms, bytes_per_second } => {
                        add(&self.counters.slowed, 1);
                        let passing_ms =
                            (read as u64).saturating_mul(1_000) / bytes_per_second.max(1);
                        tokio::time::sleep(Duration::from_millis(latency_ms + passing_ms)).await;
                        break false;
                    }
                    _ => break false,
                }
            };
            if is_lost {
                continue;
            }
            self.look(direction, &buffer[..read]);
            if read == 0 {
                return End::Closed;
            }
            if write(to, &buffer[..read]).await.is_err() {
                return End::Reset;
            }
            add(&self.counters.passed, read);
        }
    }
}

/// Whether a chunk begins with a request of a kind.
fn is_request(direction: Direction, chunk: &[u8], key: u16) -> bool {
    // Its length comes first.
    let found = chunk.get(4..6).map(|key| u16::from_be_bytes([key[0], key[1]]));
    direction == Direction::ToBroker && found == Some(key)
}

async fn changed(setting: &mut watch::Receiver<Setting>) {
    if setting.changed().await.is_err() {
        // The proxy ends, and its connections with it.
        std::future::pending::<()>().await;
    }
}

async fn read(from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;

//! A real broker with a proxy before it, or several without, by the script that people use too.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{proxy::Proxy, schedule::Chance};

/// Ports below those that systems take for outgoing connections: a broker that was killed finds its own free.
const PORTS: (u64, u64) = (20_000, 31_999);

/// Why a test with brokers cannot run here, where it cannot.
pub(crate) fn missing() -> Option<String> {
    let home = std::env::var_os("HEPHAESTUS_TEST_KAFKA_HOME").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        Some(cache?.join("hephaestus/kafka"))
    });
    let jars = home.unwrap_or_default().join("libs");
    let is_there = jars.join(".fetched").exists();
    (!is_there).then(|| format!("no Kafka in {}; tests/kafka/broker fetch gets it", jars.display()))
}

/// On a busy machine it must not be put out of the cluster for being late: while its partitions have no leader, Kafka 4.3
/// loses the ends of transactions (see `put_out` in the script), so that nothing may end one then, neither the broker
/// itself nor, see [`crate::strike`], a client.
const PATIENT: [&str; 2] = [
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=15000",
    "broker.session.timeout.ms=6000",
];

fn script(arguments: &[&str]) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/broker");
    let output = Command::new(path).args(arguments).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("broker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn free_port(chance: &mut Chance) -> u16 {
    loop {
        let port = u16::try_from(chance.between(PORTS)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// One broker, and the proxy that its clients reach it through.
pub(crate) struct Broker {
    directory: String,
    /// Where it listens itself.
    pub(crate) address: SocketAddr,
    /// Where clients find it.
    pub(crate) proxy: Proxy,
}

impl Broker {
    /// A new broker in a directory.
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        // Brokers of several tests look for ports at the same time.
        let mut chance = Chance(fastrand::u64(..));
        let address = SocketAddr::from(([127, 0, 0, 1], free_port(&mut chance)));
        let proxy = Proxy::start(address).await?;
        let directory = directory.to_str().context("directory")?.to_owned();
        let broker = Self { directory, address, proxy };
        broker.up()?;
        Ok(broker)
    }

    /// Starts it, where it does not run.
    pub(crate) fn up(&self) -> Result<()> {
        let (port, advertised) =
            (self.address.port().to_string(), self.proxy.address().port().to_string());
        let mut arguments =
            vec!["up", "--dir", &self.directory, "--port", &port, "--advertised-port", &advertised];
        for property in PATIENT {
            arguments.extend(["--property", property]);
        }
        tokio::task::block_in_place(|| script(&arguments)).map(|_| ())
    }

    /// kill -9.
    pub(crate) fn kill(&self) -> Result<()> {
        let arguments = ["kill", "--dir", &self.directory];
        tokio::task::block_in_place(|| script(&arguments)).map(|_| ())
    }

    /// Whether it takes connections.
    pub(crate) fn listens(&self) -> bool {
        TcpStream::connect(self.address).is_ok()
    }

    /// Where clients find it.
    pub(crate) fn bootstrap_servers(&self) -> String {
        self.proxy.address().to_string()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = script(&["kill", "--dir", &self.directory]);
    }
}

/// Several brokers, each of which can be killed.
pub(crate) struct Cluster {
    directory: String,
    pub(crate) bootstrap_servers: String,
}

impl Cluster {
    /// So many new brokers in a directory.
    pub(crate) fn start(directory: &Path, brokers: usize) -> Result<Self> {
        let directory = directory.to_str().context("directory")?.to_owned();
        // Whatever was begun ends with this value.
        let mut cluster = Self { directory, bootstrap_servers: String::new() };
        let count = brokers.to_string();
        let printed = script(&["up", "--dir", &cluster.directory, "--brokers", &count])?;
        printed.lines().next().unwrap_or_default().clone_into(&mut cluster.bootstrap_servers);
        Ok(cluster)
    }

    /// kill -9 of one of them, from 1.
    pub(crate) fn kill(&self, broker: usize) -> Result<()> {
        let broker = broker.to_string();
        let arguments = ["kill", "--dir", &self.directory, "--broker", &broker];
        tokio::task::block_in_place(|| script(&arguments)).map(|_| ())
    }

    /// Starts those that do not run.
    pub(crate) fn up(&self) -> Result<()> {
        let arguments = ["up", "--dir", &self.directory];
        tokio::task::block_in_place(|| script(&arguments)).map(|_| ())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script(&["kill", "--dir", &self.directory]);
    }
}

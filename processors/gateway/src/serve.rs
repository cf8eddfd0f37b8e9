//! Serves a router on a listener, with bounds on connections, on the time for a request's head and
//! on the time that open requests get when it is to stop.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Extension, Router, serve::Listener};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Address of the sender of a request; absent on a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub Option<SocketAddr>);

/// Bounds of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeLimits {
    /// Connections at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Time for the head of a request to arrive.
    pub head_timeout: Duration,
    /// Time that requests get to end once the server is to stop.
    pub drain_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            head_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// What a listener knows of the other side.
pub trait PeerAddress: Send {
    /// Its address, where it has one.
    fn peer(&self) -> Peer;
}

impl PeerAddress for SocketAddr {
    fn peer(&self) -> Peer {
        Peer(Some(*self))
    }
}

impl PeerAddress for tokio::net::unix::SocketAddr {
    fn peer(&self) -> Peer {
        Peer(None)
    }
}

/// Serves until `stop` is cancelled and the open requests are answered or out of time.
pub async fn serve<L>(mut listener: L, router: Router, limits: ServeLimits, stop: CancellationToken)
where
    L: Listener,
    L::Addr: PeerAddress,
{
    let connections = Arc::new(Semaphore::new(limits.max_connections));
    let open = TaskTracker::new();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = connections.clone().acquire_owned() => permit,
        };
        let (stream, address) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let service = router.clone().layer(Extension(address.peer()));
        let stop = stop.clone();
        open.spawn(async move {
            let _permit = permit;
            serve_connection(stream, service, limits, stop).await;
        });
    }
    drop(listener);
    open.close();
    let drained = tokio::time::timeout(limits.drain_timeout, open.wait()).await;
    if drained.is_err() {
        tracing::warn!(open = open.len(), "requests did not end in time");
    }
}

async fn serve_connection<S>(
    stream: S,
    service: Router,
    limits: ServeLimits,
    stop: CancellationToken,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout);
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // A connection that does not end keeps its task; `serve` stops waiting for it.
            let ended = tokio::time::timeout(limits.drain_timeout, connection).await;
            ended.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended early");
    }
}

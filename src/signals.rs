//! The signals that end a command well.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the program is asked to stop: SIGINT or SIGTERM.
pub(crate) async fn stop_asked() -> io::Result<()> {
    listen()?.await;
    Ok(())
}

/// Hears from now on that the program is asked to stop; the future waits for it.
pub(crate) fn listen() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

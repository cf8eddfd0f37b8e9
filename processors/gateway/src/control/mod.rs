//! The control socket: a running pipeline's log, for commands in other processes.
//!
//! HTTP on a Unix socket in the engine's directory, for the same user alone; what [`RemoteLog`]
//! answers is what the log itself would.

mod client;
mod protocol;
mod server;
mod socket;
mod wire;

pub use client::RemoteLog;
pub use server::{ControlSocket, listen, serve};
pub use socket::{SOCKET_FILE, SocketError};

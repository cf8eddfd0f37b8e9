//! Sets how many bytes a second clients may produce: the one request of the Kafka protocol that `rdkafka` lacks.
//!
//! AlterClientQuotas (key 49), version 0: <https://kafka.apache.org/protocol.html#The_Messages_AlterClientQuotas>.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const ALTER_CLIENT_QUOTAS: i16 = 49;
const VERSION: i16 = 0;
const CORRELATION: i32 = 1;
/// How long the broker may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// The request that gives every client id this quota, or takes it away.
fn request(bytes_per_second: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(ALTER_CLIENT_QUOTAS.to_be_bytes());
    out.extend(VERSION.to_be_bytes());
    out.extend(CORRELATION.to_be_bytes());
    text(&mut out, "quota");
    // One entry, of one entity: the default of all client ids, whose name is null.
    out.extend(1i32.to_be_bytes());
    out.extend(1i32.to_be_bytes());
    text(&mut out, "client-id");
    out.extend((-1i16).to_be_bytes());
    // One operation on it.
    out.extend(1i32.to_be_bytes());
    text(&mut out, "producer_byte_rate");
    out.extend((bytes_per_second.unwrap_or(0) as f64).to_be_bytes());
    out.push(u8::from(bytes_per_second.is_none()));
    // Not merely to be checked.
    out.push(0);
    let mut framed = (out.len() as i32).to_be_bytes().to_vec();
    framed.extend(out);
    framed
}

/// The error code of the answer's first entry.
fn error_of(answer: &[u8]) -> Option<i16> {
    // Correlation, throttle time and number of entries come first.
    let code = answer.get(12..14)?;
    Some(i16::from_be_bytes(code.try_into().ok()?))
}

/// Gives every client id this quota, or takes it away.
pub(crate) fn set(broker: SocketAddr, bytes_per_second: Option<u64>) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&broker, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&request(bytes_per_second))?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0).min(MAX_ANSWER);
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    match error_of(&answer) {
        Some(0) => Ok(()),
        code => Err(io::Error::other(format!("the quota was not set: error code {code:?}"))),
    }
}

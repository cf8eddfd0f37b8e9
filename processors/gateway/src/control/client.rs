//! A log that is another process's, over its control socket.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hephaestus_pipeline::{
    engine::{EngineError, GroupOffset, Log, TopicInfo, TopicPartition},
    record::{NewRecord, Record},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{
    protocol::{
        APPEND, Failure, GROUP_OFFSETS, GROUPS, GroupOffsetsRequest, MAX_MESSAGE_BYTES, MAX_WAIT,
        OFFSET_AT, Offset, OffsetAtRequest, READ, ReadRequest, TOPICS, Topic, WAIT, WaitRequest,
    },
    socket, wire,
};

/// Time for one answer, besides what the request itself waits for.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections kept for further requests.
const MAX_IDLE: usize = 8;

type Connection = http1::SendRequest<Full<Bytes>>;

/// A log that is another process's.
#[derive(Debug)]
pub struct RemoteLog {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl RemoteLog {
    /// Connects to whoever serves the control socket of a directory; `None` where nobody does.
    ///
    /// # Errors
    /// Where somebody may, and cannot be asked: the socket is another user's, for instance.
    pub async fn connect(dir: &Path) -> Result<Option<Self>, EngineError> {
        let Some(path) = socket::locate(dir) else {
            return Ok(None);
        };
        let remote = Self { path, idle: Mutex::new(Vec::new()) };
        let Some(connection) = remote.open().await? else {
            return Ok(None);
        };
        remote.keep(connection);
        Ok(Some(remote))
    }

    async fn open(&self) -> Result<Option<Connection>, EngineError> {
        let stream = socket::connect(&self.path).await.map_err(|error| {
            let path = self.path.display();
            EngineError::Unavailable(format!("control socket {path}: {error}"))
        })?;
        let Some(stream) = stream else {
            return Ok(None);
        };
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.gone(&error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "control connection ended");
            }
        });
        Ok(Some(sender))
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE && !connection.is_closed() {
            idle.push(connection);
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn gone(&self, error: &dyn std::error::Error) -> EngineError {
        let path = self.path.display();
        EngineError::Unavailable(format!("control socket {path}: {error}"))
    }

    async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        route: &'static str,
        question: &Q,
        wait: Duration,
    ) -> Result<A, EngineError> {
        let body = serde_json::to_vec(question)
            .map_err(|error| EngineError::Fatal(format!("control request: {error}")))?;
        let answer = self.call(route, body.into(), wait).await?;
        parse(&answer)
    }

    /// Sends one request. Only a request that was surely not sent is sent again.
    async fn call(
        &self,
        route: &'static str,
        body: Bytes,
        wait: Duration,
    ) -> Result<Bytes, EngineError> {
        if body.len() > MAX_MESSAGE_BYTES {
            let size = body.len();
            return Err(EngineError::Fatal(format!(
                "request of {size} bytes passes the control socket's bound of {MAX_MESSAGE_BYTES}"
            )));
        }
        let answer = tokio::time::timeout(wait + CALL_TIMEOUT, self.exchange(route, body)).await;
        answer.unwrap_or_else(|_| {
            let path = self.path.display();
            Err(EngineError::Unavailable(format!("control socket {path} does not answer")))
        })
    }

    async fn exchange(&self, route: &'static str, body: Bytes) -> Result<Bytes, EngineError> {
        let mut request = Request::post(route)
            .header(header::HOST, "hephaestus")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| EngineError::Fatal(format!("control request: {error}")))?;
        while let Some(mut connection) = self.take_idle() {
            match connection.try_send_request(request).await {
                Ok(response) => return self.receive(connection, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.gone(error.error())),
                },
            }
        }
        let Some(mut connection) = self.open().await? else {
            let path = self.path.display();
            return Err(EngineError::Unavailable(format!("nobody serves {path} any more")));
        };
        let sent = connection.send_request(request).await;
        let response = sent.map_err(|error| self.gone(&error))?;
        self.receive(connection, response).await
    }

    async fn receive(
        &self,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<Bytes, EngineError> {
        let status = response.status();
        let limited = Limited::new(response.into_body(), MAX_MESSAGE_BYTES);
        let body = limited.collect().await.map_err(|error| self.gone(error.as_ref()))?;
        let body = body.to_bytes();
        self.keep(connection);
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => Err(failure.into()),
            Err(_) => {
                let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                let message = format!("control socket answered {status}: {said}");
                Err(EngineError::Fatal(message))
            }
        }
    }
}

fn parse<A: DeserializeOwned>(body: &[u8]) -> Result<A, EngineError> {
    serde_json::from_slice(body)
        .map_err(|error| EngineError::Fatal(format!("answer of the control socket: {error}")))
}

#[async_trait]
impl Log for RemoteLog {
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError> {
        let topics: Vec<Topic> = self.ask(TOPICS, &(), Duration::ZERO).await?;
        Ok(topics.into_iter().map(TopicInfo::from).collect())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError> {
        let body = wire::encode_new(&records);
        drop(records);
        let answer = self.call(APPEND, body, Duration::ZERO).await?;
        parse(&answer)
    }

    async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError> {
        let request = ReadRequest {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            from,
            max_bytes,
        };
        let body = serde_json::to_vec(&request)
            .map_err(|error| EngineError::Fatal(format!("control request: {error}")))?;
        let answer = self.call(READ, body.into(), Duration::ZERO).await?;
        wire::decode(answer)
            .map_err(|error| EngineError::Fatal(format!("answer of the control socket: {error}")))
    }

    async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).min(MAX_WAIT);
            let request = WaitRequest {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset,
                wait_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            };
            let passed: bool = self.ask(WAIT, &request, left).await?;
            // Below a millisecond the server would not wait at all.
            if passed || deadline <= Instant::now() + Duration::from_millis(1) {
                return Ok(passed);
            }
        }
    }

    async fn offset_at(
        &self,
        partition: &TopicPartition,
        timestamp_ms: i64,
    ) -> Result<u64, EngineError> {
        let request = OffsetAtRequest {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            timestamp_ms,
        };
        self.ask(OFFSET_AT, &request, Duration::ZERO).await
    }

    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError> {
        let groups: Vec<String> = self.ask(GROUPS, &(), Duration::ZERO).await?;
        Ok(groups.into_iter().map(Arc::from).collect())
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, EngineError> {
        let request = GroupOffsetsRequest { group: group.into() };
        let offsets: Vec<Offset> = self.ask(GROUP_OFFSETS, &request, Duration::ZERO).await?;
        Ok(offsets.into_iter().map(GroupOffset::from).collect())
    }
}

//! Tokens for OAUTHBEARER, by the client credentials grant (RFC 6749, section 4.4): fetched when needed, shared by all
//! clients of the process, never shown.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rdkafka::client::OAuthToken;
use serde::Deserialize;

use crate::config::Secret;

/// How long the endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
const LARGEST_ANSWER: u64 = 256 * 1024;
/// Lifetime of a token that tells none.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// A token is used again while more than this part of its life is left.
const FRESH_PART: u32 = 2;

/// Why there is no token; never with a part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// The endpoint was not reached.
    #[error("token endpoint {endpoint}: {message}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What happened.
        message: String,
    },
    /// The endpoint refused.
    #[error("token endpoint {endpoint} answered {status}: {reason}")]
    Refused {
        /// Where.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// `error` of the answer (RFC 6749, section 5.2).
        reason: String,
    },
    /// The answer is no token.
    #[error("token endpoint {endpoint} gave no bearer token: {reason}")]
    NoToken {
        /// Where.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Where tokens come from.
pub(crate) struct TokenSource {
    endpoint: String,
    client_id: String,
    client_secret: Secret,
    scope: Option<String>,
    /// Certificates to trust beside those of the system, PEM.
    ca: Option<Vec<u8>>,
    held: Mutex<Option<Held>>,
}

struct Held {
    token: String,
    expires: SystemTime,
    fresh_until: SystemTime,
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<u64>,
    error: Option<String>,
}

impl TokenSource {
    pub(crate) fn new(
        endpoint: &str,
        client_id: &str,
        client_secret: Secret,
        scope: Option<String>,
        ca: Option<Vec<u8>>,
    ) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            client_id: client_id.to_owned(),
            client_secret,
            scope,
            ca,
            held: Mutex::new(None),
        }
    }

    /// A token that is valid for a while. Blocks its thread while it is fetched, [`TIMEOUT`] at most.
    pub(crate) fn token(&self) -> Result<OAuthToken, TokenError> {
        // Held while a token is fetched: the others want the same one.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        if held.as_ref().is_none_or(|held| held.fresh_until <= now) {
            *held = Some(self.fetch(now)?);
        }
        let Some(held) = &*held else {
            return Err(self.no_token("none was kept"));
        };
        let lifetime = held.expires.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(OAuthToken {
            token: held.token.clone(),
            principal_name: self.client_id.clone(),
            lifetime_ms: i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX),
        })
    }

    fn fetch(&self, now: SystemTime) -> Result<Held, TokenError> {
        // A blocking client must not be used on an asynchronous thread; here it never is, whoever asks.
        let answered = thread::scope(|scope| scope.spawn(|| self.ask()).join());
        let (status, body) = answered.unwrap_or_else(|_| Err(self.unreachable("it panicked")))?;
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        if !(200..300).contains(&status) {
            let reason = answer.and_then(|answer| answer.error);
            // A code of RFC 6749 is short and plain; anything else may hold anything.
            let is_code = |reason: &String| {
                reason.len() < 64 && reason.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            };
            let reason = reason.filter(is_code).unwrap_or_else(|| "no reason given".to_owned());
            return Err(TokenError::Refused { endpoint: self.endpoint.clone(), status, reason });
        }
        let Some(answer) = answer else {
            return Err(self.no_token("the answer is no JSON object"));
        };
        let is_bearer = answer.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !is_bearer {
            return Err(self.no_token("its type is not bearer"));
        }
        let token = answer.access_token.unwrap_or_default();
        // RFC 6750, section 2.1: b64token. Nothing else may get into the exchange with the broker.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(allowed) {
            return Err(
                self.no_token("access_token is missing, or has characters that no token has")
            );
        }
        let lifetime = answer.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        let forever = Duration::from_secs(365 * 24 * 3600);
        let lifetime = lifetime.clamp(Duration::from_secs(1), forever);
        Ok(Held { token, expires: now + lifetime, fresh_until: now + lifetime / FRESH_PART })
    }

    fn ask(&self) -> Result<(u16, Vec<u8>), TokenError> {
        use std::io::Read;

        // Its text names the address, in which a secret might stand.
        let failed = |error: reqwest::Error| self.unreachable(&error.without_url().to_string());
        let mut builder = reqwest::blocking::Client::builder()
            .timeout(TIMEOUT)
            // The secret goes where it was configured to go.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = &self.ca {
            for certificate in reqwest::Certificate::from_pem_bundle(ca).map_err(failed)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(failed)?;
        let mut form = vec![("grant_type", "client_credentials")];
        if let Some(scope) = &self.scope {
            form.push(("scope", scope));
        }
        let request = client
            .post(&self.endpoint)
            .basic_auth(encoded(&self.client_id), Some(encoded(self.client_secret.expose())))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(urlencoded(&form));
        let answer = request.send().map_err(failed)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        let read = answer.take(LARGEST_ANSWER).read_to_end(&mut body);
        read.map_err(|error| self.unreachable(&error.to_string()))?;
        Ok((status, body))
    }

    fn unreachable(&self, message: &str) -> TokenError {
        TokenError::Unreachable { endpoint: self.endpoint.clone(), message: message.to_owned() }
    }

    fn no_token(&self, reason: &'static str) -> TokenError {
        TokenError::NoToken { endpoint: self.endpoint.clone(), reason }
    }
}

fn urlencoded(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={}", encoded(v))).collect();
    pairs.join("&")
}

/// `application/x-www-form-urlencoded`, as RFC 6749 wants it for the credentials too (section 2.3.1).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
#[path = "oauth_tests.rs"]
mod tests;

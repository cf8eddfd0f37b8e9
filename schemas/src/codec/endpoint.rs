//! Where a schema registry is, as whom to speak to it, and whom to trust. Never shows a password.

use std::{fmt, time::Duration};

use reqwest::{Certificate, Client, ClientBuilder};

use super::error::RegistryError;

/// Longest wait for one answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A schema registry, and how it is reached.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RegistryEndpoint {
    /// Address, such as `https://registry:8081`. Without user and password, which would be shown with it.
    pub url: String,
    /// Name to log in with (HTTP basic authentication, RFC 7617).
    pub username: Option<String>,
    /// Password to log in with.
    pub password: Option<String>,
    /// Certificates to trust beside those of the system, PEM.
    pub ca: Option<Vec<u8>>,
}

impl fmt::Debug for RegistryEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RegistryEndpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl RegistryEndpoint {
    /// A registry that asks for no login.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Checks what can be checked without asking it; yields the address without a slash at its end.
    ///
    /// # Errors
    /// [`RegistryError::Address`].
    pub fn check(&self) -> Result<&str, RegistryError> {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return Err(self.wrong("should be http://host:port"));
        };
        if !matches!(scheme, "http" | "https") || rest.is_empty() {
            return Err(self.wrong("should be http://host:port"));
        }
        if authority(rest).contains('@') {
            // Not `wrong`, which would show it.
            return Err(RegistryError::Address {
                url: format!("{scheme}://…"),
                reason: "user and password stand in it, where anybody sees them; give them as \
                         username and password"
                    .to_owned(),
            });
        }
        if self.password.is_some() && self.username.is_none() {
            return Err(self.wrong("a password is given, and no username"));
        }
        Ok(self.url.trim_end_matches('/'))
    }

    /// A client that trusts whom it should and gives up in time; the login is for whoever uses it to add.
    ///
    /// # Errors
    /// [`RegistryError::Address`] where the certificates are none.
    pub fn http(&self) -> Result<ClientBuilder, RegistryError> {
        let url = self.check()?;
        let mut builder = Client::builder().timeout(TIMEOUT);
        if let Some(pem) = &self.ca {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|error| {
                self.wrong(&format!("its certificates cannot be read: {error}"))
            })?;
            if certificates.is_empty() {
                return Err(self.wrong("no certificate in the file that it should be trusted by"));
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if is_loopback(url) {
            // A proxy from the environment cannot reach the registry of this very process.
            builder = builder.no_proxy();
        }
        Ok(builder)
    }

    pub(super) fn wrong(&self, reason: &str) -> RegistryError {
        RegistryError::Address { url: self.url.clone(), reason: reason.to_owned() }
    }
}

/// The part of `user@host:port/path?query` before the path.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether the host of an address is this machine.
fn is_loopback(url: &str) -> bool {
    let authority = authority(url.split_once("://").map_or(url, |(_, rest)| rest));
    if authority.starts_with("[::1]") {
        return true;
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost" || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_this_machine_is_asked_past_the_proxy() {
        for host in ["127.0.0.1:8081", "localhost", "localhost:1/x", "[::1]:8081"] {
            assert!(is_loopback(&format!("http://{host}")), "{host}");
        }
        for host in ["localhost.example.com", "registry:8081", "[::2]:1"] {
            assert!(!is_loopback(&format!("https://{host}")), "{host}");
        }
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_and_no_password_is_shown() {
        let refusal = |endpoint: &RegistryEndpoint| endpoint.check().unwrap_err().to_string();
        for url in ["registry:8081", "ftp://registry", "http://", ""] {
            let text = refusal(&RegistryEndpoint::new(url));
            assert!(text.contains("should be http://host:port"), "{text}");
        }
        for url in ["https://ada:hunter2@registry:8081", "http://hunter2@registry/path?x=@"] {
            let text = refusal(&RegistryEndpoint::new(url));
            assert!(text.contains("give them as username and password"), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("registry:8081"), "{text}");
        }
        let full = RegistryEndpoint {
            username: Some("ada".to_owned()),
            password: Some("hunter2".to_owned()),
            ..RegistryEndpoint::new("https://registry:8081/path/@/")
        };
        assert_eq!(full.check().unwrap(), "https://registry:8081/path/@");
        assert!(!format!("{full:?}").contains("hunter2"));
        let nameless = RegistryEndpoint { username: None, ..full.clone() };
        assert!(refusal(&nameless).contains("no username"));
        for ca in
            [&b"no PEM"[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            let odd = RegistryEndpoint { ca: Some(ca.to_vec()), ..full.clone() };
            let built = odd.http().map(|builder| builder.build().is_ok());
            assert_ne!(built, Ok(true));
        }
    }
}

//! Tokens and passwords: never shown, and better kept outside the file.
//!
//! Written as the value itself, `env:NAME` or `file:PATH`.

use std::{fmt, fs::File, io::Read};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Largest file that holds a secret, in bytes.
const LARGEST_SECRET: u64 = 64 << 10;
/// By this name the deserializer knows that a value must not be shown in a message.
pub(super) const SECRET: &str = "$hephaestus::Secret";
const HIDDEN: &str = "(secret)";

/// A token or a password. Shows itself only to [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No such variable, or none that is UTF-8.
    #[error("variable {0:?} is not set, or is no UTF-8")]
    Variable(String),
    /// The file cannot be read.
    #[error("file {path:?} cannot be read: {message}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        message: String,
    },
    /// Nothing is there.
    #[error("secret is empty")]
    Empty,
}

impl Secret {
    /// A secret by its value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Takes a secret from where `text` says: `env:NAME`, `file:PATH`, or the value itself.
    /// A line break at the end of a file is no part of it.
    ///
    /// # Errors
    /// Where there is nothing; never with a part of a secret.
    pub fn resolve(text: &str) -> Result<Self, SecretError> {
        let value = if let Some(name) = variable_of(text) {
            std::env::var(name).map_err(|_| SecretError::Variable(name.to_owned()))?
        } else if let Some(path) = text.strip_prefix("file:") {
            read(path)?
        } else {
            text.to_owned()
        };
        if value.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Self(value))
    }

    /// The secret. To be handed to what needs it, and to nothing that writes it anywhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The variable whose value is the secret that `text` stands for: `env:NAME`.
pub(super) fn variable_of(text: &str) -> Option<&str> {
    text.strip_prefix("env:")
}

fn read(path: &str) -> Result<String, SecretError> {
    let error = |message: String| SecretError::File { path: path.to_owned(), message };
    let file = File::open(path).map_err(|failed| error(failed.to_string()))?;
    let mut text = String::new();
    let read = file.take(LARGEST_SECRET + 1).read_to_string(&mut text);
    let read = read.map_err(|failed| error(failed.to_string()))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LARGEST_SECRET {
        return Err(error(format!("larger than {LARGEST_SECRET} bytes")));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret as text, or \"env:NAME\", or \"file:PATH\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Secret::resolve(text).map_err(E::custom)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Secret, D::Error> {
                deserializer.deserialize_str(self)
            }
        }
        deserializer.deserialize_newtype_struct(SECRET, Visitor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        let secret = Secret::new("hunter2");
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert_eq!(shown, "(secret) (secret) \"(secret)\"");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn comes_from_a_variable_or_a_file_or_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "from file\r\n").unwrap();
        let of = |text: &str| Secret::resolve(text).map(|secret| secret.expose().to_owned());
        assert_eq!(of("plain").unwrap(), "plain");
        assert_eq!(of(&format!("file:{}", path.display())).unwrap(), "from file");
        // Cargo sets this one for every test.
        assert_eq!(of("env:CARGO_PKG_NAME").unwrap(), env!("CARGO_PKG_NAME"));

        assert_eq!(of(""), Err(SecretError::Empty));
        assert_eq!(
            of("env:HEPHAESTUS_NO_SUCH").unwrap_err().to_string(),
            "variable \"HEPHAESTUS_NO_SUCH\" is not set, or is no UTF-8"
        );
        std::fs::write(&path, vec![b'x'; 65 << 10]).unwrap();
        let error = of(&format!("file:{}", path.display())).unwrap_err().to_string();
        assert!(error.ends_with("cannot be read: larger than 65536 bytes"), "{error}");
    }
}

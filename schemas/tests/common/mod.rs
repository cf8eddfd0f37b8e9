//! What the tests share: the examples, generated values, and a registry that is served.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

pub mod generated;

use std::path::PathBuf;

use hephaestus_schemas::{
    Codec, CodecLimits,
    registry::{MemoryStore, Registry},
    registry_http,
};

/// Calls a generic function for the type of every value.
#[macro_export]
macro_rules! for_each_value {
    ($check:ident) => {
        $check::<hephaestus_schemas::ClassifiedLog>();
        $check::<hephaestus_schemas::Analysis>();
        $check::<hephaestus_schemas::ProposedChange>();
        $check::<hephaestus_schemas::ChangeRequest>();
        $check::<hephaestus_schemas::Decision>();
        $check::<hephaestus_schemas::Node>();
        $check::<hephaestus_schemas::Pattern>();
        $check::<hephaestus_schemas::AuditEvent>();
        $check::<hephaestus_schemas::StateEntry>();
        assert_eq!(hephaestus_schemas::value::ALL.len(), 9);
    };
}

/// Name of the files of a value: `hephaestus.v1.ClassifiedLog` has `classified-log`.
pub fn file_name(full_name: &str) -> String {
    let name = full_name.rsplit('.').next().unwrap();
    let mut file = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !file.is_empty() {
            file.push('-');
        }
        file.push(letter.to_ascii_lowercase());
    }
    file
}

/// A path below the crate.
pub fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The example of a value.
pub fn example<V: hephaestus_schemas::Value>() -> V {
    let path = path(&format!("examples/{}.json", file_name(V::NAME)));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{path:?} is missing"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// A registry served over HTTP on a free port of this machine, until the end of the test.
pub struct Served {
    pub url: String,
    pub registry: Registry,
}

pub async fn serve() -> Served {
    let registry = Registry::open(MemoryStore::default()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = registry_http::router(registry.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Served { url, registry }
}

pub fn codec(url: &str) -> Codec {
    Codec::connect(url, CodecLimits::default()).unwrap()
}

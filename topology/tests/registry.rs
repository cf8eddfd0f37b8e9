//! Subjects are made what they should be in our own registry, which has Confluent's routes, and in
//! one that nobody here wrote, where HEPHAESTUS_TEST_REGISTRY names it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::BTreeMap;

use hephaestus_schemas::{
    RegistryEndpoint, RegistryError,
    registry::{Level, MemoryStore, Registry},
    registry_http,
};
use hephaestus_topology::{
    Live, Options, Profile, Step, SubjectDef, Target, Topology, pipeline, plan,
    registry::RegistryClient,
};

const OPTIONS: Options = Options { target: Target::Cluster, grow: false };

/// A registry of its own; it ends with the test's runtime.
async fn serve() -> RegistryClient {
    let registry = Registry::open(MemoryStore::default()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = registry_http::router(registry);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    RegistryClient::new(&RegistryEndpoint::new(url)).unwrap()
}

/// The registry of HEPHAESTUS_TEST_REGISTRY, shared with other tests.
fn foreign() -> Option<RegistryClient> {
    let url = std::env::var("HEPHAESTUS_TEST_REGISTRY").unwrap_or_default();
    if url.is_empty() {
        let is_required = std::env::var("HEPHAESTUS_TEST_REQUIRE").is_ok_and(|set| set == "1");
        assert!(!is_required, "HEPHAESTUS_TEST_REGISTRY names no registry");
        eprintln!("skipped: HEPHAESTUS_TEST_REGISTRY names no registry");
        return None;
    }
    Some(RegistryClient::new(&RegistryEndpoint::new(url)).unwrap())
}

fn topology() -> Topology {
    let mut profile = Profile::development();
    profile.subject_compatibility.insert("nodes-value".to_owned(), Level::Backward);
    pipeline(&profile).unwrap()
}

/// The same with subjects that no other test has, nor an earlier run.
fn unique_topology(test: &str) -> Topology {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut topology = topology();
    for subject in &mut topology.subjects {
        subject.subject = format!("{test}-{}-{}", now.as_nanos(), subject.subject);
    }
    topology
}

fn subject<'a>(topology: &'a Topology, name: &str) -> &'a SubjectDef {
    topology.subjects.iter().find(|subject| subject.subject.ends_with(name)).unwrap()
}

/// The steps for subjects alone.
async fn steps(client: &RegistryClient, topology: &Topology) -> Vec<Step> {
    let subjects = client.live(&topology.subjects).await.unwrap();
    let live = Live { topics: Vec::new(), subjects: Some(subjects) };
    let steps = plan(topology, &live, OPTIONS);
    steps.into_iter().filter(|step| !matches!(step, Step::Create(_))).collect()
}

async fn applying_leaves_nothing_to_do(client: RegistryClient, topology: Topology) {
    assert_eq!(client.live(&topology.subjects).await.unwrap(), BTreeMap::new());
    for step in steps(&client, &topology).await {
        match step {
            Step::Register { subject: name, .. } => {
                client.register(subject(&topology, &name)).await.unwrap();
            }
            Step::SetLevel { subject, to, .. } => client.set_level(&subject, to).await.unwrap(),
            step => panic!("{step}"),
        }
    }
    let again = steps(&client, &topology).await;
    assert_eq!(again.len(), topology.subjects.len());
    assert!(again.iter().all(|step| matches!(step, Step::Keep(_))), "{again:?}");
    let live = client.live(&topology.subjects).await.unwrap();
    let level = |name: &str| live[&subject(&topology, name).subject].level;
    assert_eq!(level("nodes-value"), Some(Level::Backward));
    assert_eq!(level("patterns-value"), Some(Level::FullTransitive));
}

#[tokio::test]
async fn applying_to_ours_leaves_nothing_to_do() {
    applying_leaves_nothing_to_do(serve().await, topology()).await;
}

#[tokio::test]
async fn applying_to_a_foreign_one_leaves_nothing_to_do() {
    if let Some(client) = foreign() {
        applying_leaves_nothing_to_do(client, unique_topology("apply")).await;
    }
}

/// `words` are some that the registry uses.
async fn an_incompatible_schema_is_told(client: RegistryClient, topology: Topology, words: &str) {
    let wanted = subject(&topology, "nodes-value");
    let other = SubjectDef {
        schema: r#"{"type": "record", "name": "Node", "namespace": "hephaestus.v1", "fields": [{"name": "size", "type": "long"}]}"#,
        ..wanted.clone()
    };
    client.register(&other).await.unwrap();
    client.set_level(&wanted.subject, Level::Backward).await.unwrap();

    let planned = steps(&client, &topology).await;
    let refusal = planned.iter().find(|step| step.is_refusal()).unwrap().to_string();
    let name = &wanted.subject;
    let begin = format!("! subject {name}: the registry refuses hephaestus.v1.Node: ");
    assert!(refusal.starts_with(&begin), "{refusal}");
    assert!(refusal.contains(words), "{refusal}");

    match client.register(wanted).await.unwrap_err() {
        RegistryError::Incompatible { subject, reason } => {
            assert_eq!(subject, *name);
            assert!(reason.contains(words), "{reason}");
        }
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_incompatible_schema_is_told_in_our_registrys_words() {
    an_incompatible_schema_is_told(serve().await, topology(), "cannot read version 1").await;
}

#[tokio::test]
async fn an_incompatible_schema_is_told_in_a_foreign_ones_words() {
    if let Some(client) = foreign() {
        let topology = unique_topology("incompatible");
        an_incompatible_schema_is_told(client, topology, "Incompatible artifact").await;
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_told_apart_from_one_that_refuses() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = RegistryClient::new(&RegistryEndpoint::new(url)).unwrap();
    let error = client.live(&topology().subjects).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    let error = client.set_level("nodes-value", Level::None).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");

    let client = serve().await;
    let error = client.set_level("", Level::None).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    RegistryClient::new(&RegistryEndpoint::new("registry:8081")).unwrap_err();
}

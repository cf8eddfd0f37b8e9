//! What a configuration becomes, who owns a source, and when a node is silent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hephaestus_node_manager::{ConfigError, NodeConfig, NodeTable, next_status, nodes};
use hephaestus_schemas::{Mode, Node, NodeStatus, Severity};
use proptest::prelude::*;

fn config(text: &str) -> NodeConfig {
    toml::from_str(text).unwrap()
}

fn bookshop() -> NodeConfig {
    config("name = 'bookshop'\nsources = ['bookshop/**']\nrepository = '/srv/bookshop.git'")
}

fn node(name: &str, sources: &[&str]) -> Node {
    let mut entry = bookshop();
    entry.name = name.to_owned();
    entry.sources = sources.iter().map(|source| (*source).to_owned()).collect();
    nodes(&[entry], 1).unwrap().remove(0)
}

fn only_error(entry: NodeConfig) -> ConfigError {
    let mut errors = nodes(&[entry], 1).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn the_shortest_entry_gets_the_documented_defaults() {
    let node = nodes(&[bookshop()], 7).unwrap().remove(0);
    assert_eq!(node.id, "bookshop");
    assert_eq!(node.base_branch, "main");
    assert_eq!(node.source_root, "");
    assert_eq!(node.mode, Mode::Suggest);
    assert_eq!(node.status, NodeStatus::Registered);
    assert_eq!((node.registered_at, node.updated_at), (7, 7));
    let policy = node.policy;
    assert_eq!(policy.threshold_level, Severity::Error);
    assert_eq!(policy.threshold_count, 3);
    assert_eq!(policy.threshold_window_ms, 5 * 60 * 1000);
    assert_eq!(policy.cooldown_ms, 60 * 60 * 1000);
    assert_eq!(policy.allowed_paths, ["**"]);
    assert_eq!((policy.max_files, policy.max_changed_lines), (5, 60));
    assert!((policy.min_confidence - 0.8).abs() < f64::EPSILON);
    assert!(node.signals.is_empty(), "no signal opens an incident unless it is asked for");
    assert_eq!((node.signal_level, node.signal_warm_up_ms), (Severity::Warn, 86_400_000));
}

#[test]
fn every_field_is_taken() {
    let text = "name = 'a'\nsources = ['a/*/out', 'b/**']\nrepository = 'r'\nbase_branch = 'release/1'\n\
        source_root = '/srv/a'\nmode = 'deploy'\nthreshold_level = 'warn'\nthreshold_count = 1\n\
        threshold_window = '1h 30m'\ncooldown = '0s'\nallowed_paths = ['src/**/*.py']\nmax_files = 2\n\
        max_changed_lines = 9\nmin_confidence = 1.0\nsignals = ['rate', 'silence']\nsignal_level = 'info'\n\
        signal_warm_up = '2h'";
    let node = nodes(&[config(text)], 1).unwrap().remove(0);
    assert_eq!(node.signals, ["rate", "silence"]);
    assert_eq!((node.signal_level, node.signal_warm_up_ms), (Severity::Info, 7_200_000));
    assert_eq!(node.mode, Mode::Deploy);
    assert_eq!(node.base_branch, "release/1");
    assert_eq!(node.source_root, "/srv/a");
    assert_eq!(node.policy.threshold_level, Severity::Warn);
    assert_eq!(node.policy.threshold_window_ms, 90 * 60 * 1000);
    assert_eq!(node.policy.cooldown_ms, 0);
    assert_eq!(node.policy.allowed_paths, ["src/**/*.py"]);
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    let error = toml::from_str::<NodeConfig>(
        "name = 'a'\nsources = []\nrepository = 'r'\ntreshold_count = 1",
    )
    .unwrap_err();
    assert!(error.to_string().contains("treshold_count"), "{error}");
}

#[test]
fn a_mistake_names_node_field_value_and_what_would_be_right() {
    let mut entry = bookshop();
    entry.threshold_window = "5 minuts".to_owned();
    let error = only_error(entry);
    assert_eq!(
        error.to_string(),
        "node `bookshop`: threshold_window = \"5 minuts\": write a duration such as \"90s\", \"5m\" or \"1h 30m\""
    );
}

#[test]
fn each_kind_of_mistake_is_found_in_its_field() {
    type Breakage = fn(&mut NodeConfig);
    let breakages: Vec<(&str, Breakage)> = vec![
        ("name", |entry| {
            entry.name = "two words".to_owned();
        }),
        ("name", |entry| {
            entry.name = String::new();
        }),
        ("sources", |entry| {
            entry.sources.clear();
        }),
        ("sources", |entry| {
            entry.sources = vec!["a/[".to_owned()];
        }),
        ("sources", |entry| {
            entry.sources = vec!["a".repeat(600)];
        }),
        ("signals", |entry| {
            entry.signals = vec!["novelty".to_owned()];
        }),
        ("signals", |entry| {
            entry.signals = vec!["rate".to_owned(), "rate".to_owned()];
        }),
        ("signal_level", |entry| {
            entry.signal_level = "loud".to_owned();
        }),
        ("signal_warm_up", |entry| {
            entry.signal_warm_up = "1y".to_owned();
        }),
        ("repository", |entry| {
            entry.repository = " ".to_owned();
        }),
        ("base_branch", |entry| {
            entry.base_branch = "a..b".to_owned();
        }),
        ("base_branch", |entry| {
            entry.base_branch = "refs/heads/main".to_owned();
        }),
        ("source_root", |entry| {
            entry.source_root = "/srv/../etc".to_owned();
        }),
        ("mode", |entry| {
            entry.mode = "auto".to_owned();
        }),
        ("threshold_level", |entry| {
            entry.threshold_level = "SEVERE".to_owned();
        }),
        ("threshold_count", |entry| {
            entry.threshold_count = 0;
        }),
        ("threshold_window", |entry| {
            entry.threshold_window = "0s".to_owned();
        }),
        ("threshold_window", |entry| {
            entry.threshold_window = "-5m".to_owned();
        }),
        ("threshold_window", |entry| {
            entry.threshold_window = "9000h".to_owned();
        }),
        ("cooldown", |entry| {
            entry.cooldown = "1".to_owned();
        }),
        ("allowed_paths", |entry| {
            entry.allowed_paths = vec!["{a".to_owned()];
        }),
        ("allowed_paths", |entry| {
            entry.allowed_paths = vec!["/src/**".to_owned()];
        }),
        ("allowed_paths", |entry| {
            entry.allowed_paths.clear();
        }),
        ("max_files", |entry| {
            entry.max_files = -1;
        }),
        ("max_changed_lines", |entry| {
            entry.max_changed_lines = 0;
        }),
        ("min_confidence", |entry| {
            entry.min_confidence = 1.5;
        }),
        ("min_confidence", |entry| {
            entry.min_confidence = f64::NAN;
        }),
    ];
    for (field, break_it) in breakages {
        let mut entry = bookshop();
        break_it(&mut entry);
        assert_eq!(only_error(entry).field, field);
    }
}

#[test]
fn all_mistakes_are_reported_together_and_duplicate_names_too() {
    let mut wrong = bookshop();
    wrong.max_files = 0;
    wrong.mode = "x".to_owned();
    let errors = nodes(&[bookshop(), wrong], 1).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.field).collect();
    assert_eq!(fields, ["name", "mode", "max_files"]);
}

#[test]
fn a_source_belongs_to_the_closest_glob_then_to_the_first_name() {
    let mut table = NodeTable::new();
    table.apply(node("zeta", &["shop/**"]));
    table.apply(node("beta", &["shop/eu-1/**"]));
    table.apply(node("alpha", &["shop/*/app"]));
    table.apply(node("exact", &["shop/eu-1/app"]));
    let owner = |source: &str| table.owner_of(source).map(|node| node.id.as_str());
    assert_eq!(owner("shop/eu-1/app"), Some("exact"));
    assert_eq!(owner("shop/eu-1/access"), Some("beta"));
    assert_eq!(owner("shop/us-1/app"), Some("alpha"));
    assert_eq!(owner("shop/us-1/access"), Some("zeta"));
    assert_eq!(owner("bank/us-1/app"), None);
}

#[test]
fn the_latest_state_of_a_node_counts() {
    let mut table = NodeTable::new();
    table.apply(node("a", &["x/**"]));
    let mut retired = node("a", &["x/**"]);
    retired.status = NodeStatus::Retired;
    table.apply(retired);
    assert!(table.owner_of("x/1/app").is_none());
    table.apply(node("a", &["y/**"]));
    assert!(table.owner_of("x/1/app").is_none());
    assert_eq!(table.owner_of("y/1/app").unwrap().id, "a");
    table.remove("a");
    assert!(table.is_empty());
}

#[test]
fn a_glob_that_cannot_be_read_owns_nothing_and_is_named() {
    let mut table = NodeTable::new();
    let mut broken = node("a", &["x/**"]);
    broken.sources.push("[".to_owned());
    assert_eq!(table.apply(broken), ["["]);
    assert_eq!(table.owner_of("x/1/app").unwrap().id, "a");
}

#[test]
fn silence_and_heartbeats_change_the_status() {
    use NodeStatus::{Healthy, Registered, Retired, Silent};
    assert_eq!(next_status(Registered, None, 100, 10), Registered);
    assert_eq!(next_status(Registered, Some(95), 100, 10), Healthy);
    assert_eq!(next_status(Healthy, Some(90), 100, 10), Healthy);
    assert_eq!(next_status(Healthy, Some(89), 100, 10), Silent);
    assert_eq!(next_status(Silent, Some(99), 100, 10), Healthy);
    assert_eq!(next_status(Silent, None, 100, 10), Silent);
    assert_eq!(next_status(Healthy, Some(500), 100, 10), Healthy, "a clock that runs ahead");
    assert_eq!(next_status(Retired, Some(100), 100, 10), Retired);
    assert_eq!(next_status(Healthy, Some(i64::MIN), i64::MAX, 10), Silent, "no overflow");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ownership_does_not_depend_on_the_order_of_registration(
        globs in prop::collection::vec("(a|b|\\*|\\*\\*)/(a|b|\\*|\\*\\*)/(a|b|\\*)", 1..6),
        seed in any::<u64>(),
        source in "(a|b)/(a|b)/(a|b)",
    ) {
        let registered: Vec<Node> = globs
            .iter()
            .enumerate()
            .map(|(i, glob)| node(&format!("n{i}"), &[glob.as_str()]))
            .collect();
        let mut shuffled = registered.clone();
        let turn = usize::try_from(seed % 7).unwrap() % shuffled.len();
        shuffled.rotate_left(turn);
        if seed % 2 == 0 {
            shuffled.reverse();
        }
        let mut first = NodeTable::new();
        registered.into_iter().for_each(|node| { first.apply(node); });
        let mut second = NodeTable::new();
        shuffled.into_iter().for_each(|node| { second.apply(node); });
        prop_assert_eq!(
            first.owner_of(&source).map(|node| &node.id),
            second.owner_of(&source).map(|node| &node.id)
        );
    }
}

//! What is broken, hostile or in the way: a clear error or a dead letter, and nothing else is lost.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use hephaestus_pipeline::{engine::Log, record::Record};
use hephaestus_schemas::{
    Analysis, ChangeRequest, ChangeRequestEvent, ClassifiedLog, ProposedChange, Severity,
    topics::{
        ANALYSES, CHANGE_REQUESTS, CLASSIFIED_LOGS, DECISIONS, NODES, PATTERNS, PROPOSED_CHANGES,
        RAW_LOGS, dead_letter_topic,
    },
};
use serde_json::Value;

use crate::{
    support::{run, text},
    up::{Up, all, classified, record, sample, sample_node, sample_repository, settled, values},
};

/// Longest wait for what is to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Length of a line that nobody should have written.
const LONG: usize = 10 << 20;
/// How long the last event of a source waits for more lines where it is to be left half done by a stop.
const HALF_DONE: Duration = Duration::from_secs(4);
/// More than any disk has.
const MORE_THAN_ANY_DISK: &str = "1000000TiB";
/// No Avro, and a value whose schema nobody registered.
const BROKEN: [&[u8]; 2] = [b"no Avro", b"\0\0\0\x7f\xff\x02"];

fn app_log() -> String {
    fs::read_to_string(sample().join("logs/app.log")).unwrap()
}

/// Events of a source in the order of their lines.
async fn events_of(up: &Up, log: &Arc<dyn Log>, source: &str) -> Vec<ClassifiedLog> {
    let codec = up.codec();
    let mut events = Vec::new();
    for record in classified(log).await.1 {
        let event: ClassifiedLog = codec.decode(record.value.as_ref().unwrap()).await.unwrap();
        let origin = record.headers.text("hephaestus-origin").unwrap();
        let first = origin.split(['-', ',']).find_map(|part| part.rsplit('/').next()?.parse().ok());
        let first: u64 = first.unwrap();
        if event.source == source {
            events.push((first, event));
        }
    }
    events.sort_by_key(|(first, _)| *first);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Lines that no shipper should send, between lines that are good.
fn broken_lines() -> Vec<u8> {
    let mut lines = b"2026-11-22 14:00:00,000 INFO before\n2026-11-22 14:00:01,000 ERROR ".to_vec();
    lines.resize(lines.len() + LONG, b'x');
    lines.extend_from_slice(
        b"\n2026-11-22 14:00:02,000 WARN not \xff\xfe text\n2026-11-22 14:00:03,000 WARN a \0 here\n\
        2026-11-22 14:00:04,000 ERROR half of it\nTraceback (most recent call last):\n  \
        File \"/srv/shop/a.py\", line 3, in f\n2026-11-22 14:00:05,000 INFO after\n\
        Traceback (most recent call last):\n  File \"/srv/shop/b.py\", line 4, in g",
    );
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_too_long_or_no_text_are_classified_and_harm_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let up = Up::start(&data);
    let log = up.log().await;
    let answer = up.post("shop/posted/log", broken_lines()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap()["accepted"], 10);
    let file = directory.path().join("shipped.log");
    fs::write(&file, broken_lines()).unwrap();
    let ship = |file: &Path, source: &str| {
        run(&["ship", text(file), "--source", source, "--dir", text(&data)]).good().json()
    };
    assert_eq!(ship(&file, "shop/shipped/log")[0]["lines"], 10);

    let mut hostile = Vec::new();
    for unit in [&b"\0x"[..], b"\xff", b"{\"a\":", b"[", b"\x1b[31mx", b"Caused by: "] {
        hostile.extend_from_slice(&unit.repeat(LONG / 3 / unit.len()));
        hostile.extend_from_slice(b"\n2026-11-22 14:00:05,000 INFO after\n");
    }
    fs::write(&file, hostile).unwrap();
    assert_eq!(ship(&file, "shop/hostile/log")[0]["lines"], 12);

    for source in ["shop/posted/log", "shop/shipped/log"] {
        let events = events_of(&up, &log, source).await;
        let shown: Vec<(Severity, i32, bool)> =
            events.iter().map(|event| (event.severity, event.lines, event.truncated)).collect();
        let expected = [
            (Severity::Info, 1, false),
            (Severity::Error, 1, true),
            (Severity::Warn, 1, false),
            (Severity::Warn, 1, false),
            (Severity::Error, 3, false),
            (Severity::Info, 1, false),
            (Severity::Error, 2, false),
        ];
        assert_eq!(shown, expected, "{source}");
        assert_eq!((events[0].message.as_str(), events[5].message.as_str()), ("before", "after"));
        assert!(events[1].message.len() < LONG / 10);
        assert_eq!(events[2].message, "not \u{fffd}\u{fffd} text");
        assert!(events[3].message.starts_with("a ") && events[3].message.ends_with(" here"));
        let frames = |event: &ClassifiedLog| event.exception.as_ref().map(|e| e.frames.len());
        assert_eq!(frames(&events[6]).unwrap_or(1), 1);
    }
    let events = events_of(&up, &log, "shop/hostile/log").await;
    let after: Vec<&ClassifiedLog> =
        events.iter().filter(|event| event.message == "after").collect();
    assert_eq!(after.len(), 6);
    assert!(after.iter().all(|event| !event.truncated && event.severity == Severity::Info));
    let cut = events.iter().filter(|event| event.truncated).count();
    assert_eq!(cut, 6, "each of the long lines was cut");
    up.stop().good();
}

/// A record in each partition of a topic, so that whatever is good comes behind one.
async fn break_partitions(log: &Arc<dyn Log>, topic: &str) -> usize {
    let topics = log.topics().await.unwrap();
    let info = topics.iter().find(|info| info.spec.name.as_ref() == topic).unwrap();
    let partitions = 0..info.spec.partitions;
    let records: Vec<_> = partitions
        .flat_map(|partition| BROKEN.map(|value| record(topic, Some(partition), "strange", value)))
        .collect();
    let count = records.len();
    log.append(records).await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_avro_becomes_a_dead_letter_and_the_good_behind_it_is_handled() {
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("bookshop");
    sample_repository(&repository);
    let config = directory.path().join("h.toml");
    fs::write(&config, sample_node(&repository, "suggest")).unwrap();
    let data = directory.path().join("data");
    let up = Up::configured(&data, &config);
    let log = up.log().await;

    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    let read_by = [
        (CLASSIFIED_LOGS, "analyzer"),
        (ANALYSES, "proposer"),
        (PROPOSED_CHANGES, "change-requester"),
        (DECISIONS, "change-requester"),
    ];
    for (topic, stage) in read_by {
        *expected.entry(stage.to_owned()).or_default() += break_partitions(&log, topic).await;
    }
    for table in [NODES, PATTERNS] {
        break_partitions(&log, table).await;
    }
    settled(&log).await;
    for (stage, count) in expected {
        let letters = all(&log, &dead_letter_topic(&stage)).await;
        assert_eq!(letters.len(), count, "{stage}");
        for letter in letters {
            let value = letter.value.as_deref().unwrap();
            let header = |name: &str| {
                letter.headers.text(&format!("hephaestus-error-{name}")).unwrap_or_default()
            };
            assert!(BROKEN.contains(&value), "{value:?}");
            assert_eq!(letter.key.as_deref(), Some(&b"strange"[..]));
            assert_eq!(header("stage"), stage);
            assert!(read_by.contains(&(header("topic"), header("stage"))), "{}", header("topic"));
            let place = [header("topic"), header("partition"), header("offset")].join("/");
            assert_eq!(letter.headers.text("hephaestus-origin"), Some(place.as_str()));
            assert_eq!(header("partition"), letter.partition.to_string());
            for name in ["class", "message", "timestamp", "attempts"] {
                assert!(!header(name).is_empty(), "{name} of {place}");
            }
            let schema = if value == BROKEN[1] { "32767" } else { "" };
            assert_eq!(header("schema-id"), schema, "{place}");
        }
    }

    // Tables hold such records too, and are read anew at every start.
    up.stop().good();
    let up = Up::configured(&data, &config);
    let log = up.log().await;
    assert_eq!(up.post("bookshop/web-1/app", app_log()).await.status(), 200);
    let good = |records: Vec<Record>| {
        let is_good = |record: &Record| !BROKEN.contains(&record.value.as_deref().unwrap());
        records.into_iter().filter(is_good).collect::<Vec<_>>()
    };
    let started = Instant::now();
    while good(all(&log, PROPOSED_CHANGES).await).len() < 3 {
        assert!(started.elapsed() < PATIENCE, "proposals behind what is broken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    settled(&log).await;
    let listed =
        run(&["proposals", "--json", "--status", "awaiting-decision", "--dir", text(&data)]);
    let proposals = listed.good().json();
    assert_eq!(proposals.len(), 3);
    let id = proposals[0]["proposal_id"].as_str().unwrap();
    run(&["approve", id, "--dir", text(&data)]).good();
    settled(&log).await;
    let requests: Vec<ChangeRequest> = values(&log, &up.codec(), CHANGE_REQUESTS).await;
    let opened: Vec<&str> = requests
        .iter()
        .filter(|request| request.event == ChangeRequestEvent::Opened)
        .map(|request| request.proposal_id.as_str())
        .collect();
    assert_eq!(opened, [id]);
    up.stop().good();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_repository_is_named_and_a_dirty_one_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bookshop");
    let repository = sample_repository(&path);
    let base = repository.head().unwrap().peel_to_commit().unwrap();
    let dirty = "this is work of somebody, and no Python\n";
    for name in ["bookshop/ratings.py", "bookshop/orders.py", "bookshop/untracked.py"] {
        fs::write(path.join(name), dirty).unwrap();
    }
    let mut index = repository.index().unwrap();
    index.add_path(Path::new("bookshop/orders.py")).unwrap();
    index.write().unwrap();
    fs::remove_file(path.join("bookshop/pages.py")).unwrap();
    let before =
        (fs::read(path.join(".git/index")).unwrap(), fs::read(path.join(".git/HEAD")).unwrap());

    let missing = directory.path().join("nowhere");
    let ghost = sample_node(&missing, "deploy").replace("\"bookshop\"\n", "\"ghost\"\n");
    let ghost = ghost.replace("bookshop/**\"]\nrepository", "ghost/**\"]\nrepository");
    let config = directory.path().join("h.toml");
    fs::write(&config, sample_node(&path, "deploy") + &ghost).unwrap();
    let up = Up::configured(&directory.path().join("data"), &config);
    let log = up.log().await;
    for source in ["bookshop/web-1/app", "ghost/web-1/app"] {
        assert_eq!(up.post(source, app_log()).await.status(), 200);
    }
    classified(&log).await;
    settled(&log).await;

    let codec = up.codec();
    let analyses: Vec<Analysis> = values(&log, &codec, ANALYSES).await;
    let (ghosts, seen): (Vec<_>, Vec<_>) = analyses.iter().partition(|one| one.node == "ghost");
    assert!(ghosts.len() >= 5, "{}", ghosts.len());
    assert_eq!(ghosts.len(), seen.len(), "the same incidents with and without a repository");
    for analysis in ghosts {
        assert_eq!(analysis.base_commit, None);
        let wrong = "The source could not be looked at: ";
        assert!(analysis.cause.contains(wrong), "{}", analysis.cause);
        assert!(analysis.cause.contains(text(&missing)), "{}", analysis.cause);
    }
    assert!(seen.iter().all(|one| one.base_commit == Some(base.id().to_string())));

    let proposals: Vec<ProposedChange> = values(&log, &codec, PROPOSED_CHANGES).await;
    assert!(proposals.iter().all(|proposal| proposal.node == "bookshop"));
    let requests: Vec<ChangeRequest> = values(&log, &codec, CHANGE_REQUESTS).await;
    let opened: Vec<_> =
        requests.iter().filter(|one| one.event == ChangeRequestEvent::Opened).collect();
    assert_eq!(opened.len(), 3, "{requests:?}");
    for request in opened {
        let branch = request.branch.as_deref().unwrap();
        let branch = repository.find_branch(branch, git2::BranchType::Local).unwrap();
        let commit = branch.get().peel_to_commit().unwrap();
        let parents: Vec<git2::Oid> = commit.parent_ids().collect();
        assert_eq!(parents, [base.id()], "made from the commit");
        let (from, to) = (base.tree().unwrap(), commit.tree().unwrap());
        let diff = repository.diff_tree_to_tree(Some(&from), Some(&to), None).unwrap();
        let changed: Vec<&str> =
            diff.deltas().map(|delta| text(delta.new_file().path().unwrap())).collect();
        assert_eq!(changed, request.files);
        let blob =
            to.get_path(Path::new(&request.files[0])).unwrap().to_object(&repository).unwrap();
        let content = String::from_utf8(blob.as_blob().unwrap().content().to_vec()).unwrap();
        assert!(!content.contains(dirty), "{content}");
    }
    for name in ["bookshop/ratings.py", "bookshop/orders.py", "bookshop/untracked.py"] {
        assert_eq!(fs::read_to_string(path.join(name)).unwrap(), dirty);
    }
    assert!(!path.join("bookshop/pages.py").exists());
    let after =
        (fs::read(path.join(".git/index")).unwrap(), fs::read(path.join(".git/HEAD")).unwrap());
    assert_eq!(after, before);
    for stage in ["analyzer", "proposer", "change-requester"] {
        assert!(all(&log, &dead_letter_topic(stage)).await.is_empty(), "{stage}");
    }
    up.stop().good();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pipeline_on_a_directory_is_refused_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let up = Up::start(directory.path());
    let log = up.log().await;
    assert_eq!(up.post("a/b/c", "one").await.status(), 200);
    for command in [&["up"][..], &["run", "classifier"]] {
        let at = ["--listen", "127.0.0.1:0", "--dir", text(directory.path())];
        let second = run(&[command, &at[..]].concat());
        second.bad(1, &format!("{} is in use by process ", directory.path().display()));
    }
    assert_eq!(up.post("a/b/c", "two").await.status(), 200);
    let (raw, _) = classified(&log).await;
    assert_eq!(raw.len(), 2);
    let started = Instant::now();
    while reqwest::get(up.url("/readyz")).await.unwrap().status() != 200 {
        assert!(started.elapsed() < PATIENCE, "it does not become ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Its socket and the address of its registry are still where commands look for them.
    let tapped = run(&["tap", "classified-logs", "--dir", text(directory.path())]).good().json();
    assert!(tapped.iter().all(|record| record["value"]["message"].is_string()), "{tapped:?}");
    assert_eq!(tapped.len(), 2);
    up.stop().good();
}

#[test]
fn a_typo_stops_a_pipeline_before_it_touches_anything() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("h.toml");
    let cases = [
        ("lisen = \"127.0.0.1:0\"\n", "listen"),
        ("[classifier]\nmax_line_byte = 1\n", "max_line_bytes"),
        ("[[node]]\nname = \"a\"\nsources = [\"a/**\"]\nrepositry = \"/r\"\n", "repository"),
        ("[limits]\ndisk_free = \"64 megabytes\"\n", "disk_free"),
    ];
    for (content, nearest) in cases {
        fs::write(&file, content).unwrap();
        for command in [&["up"][..], &["run", "classifier"]] {
            let at = ["--dir", text(&data), "--config", text(&file)];
            let refused = run(&[command, &at[..]].concat()).bad(1, nearest);
            assert!(refused.stderr.contains("h.toml:"), "{}", refused.stderr);
        }
    }
    let unknown = ["run", "clasifier", "--dir", text(&data)];
    run(&unknown).bad(2, r#"no stage "clasifier"; did you mean "classifier"?"#);
    assert!(!data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_to_senders_and_passes_without_a_loss() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("h.toml");
    let patient = directory.path().join("patient.toml");
    let classifier = format!("[classifier]\nflush_timeout_ms = {}\n", HALF_DONE.as_millis());
    fs::write(&patient, &classifier).unwrap();
    let limits = format!("[limits]\ndisk_free = {MORE_THAN_ANY_DISK:?}\ndrain = \"100ms\"\n");
    fs::write(&file, limits + &classifier).unwrap();
    // Where nothing can be written at all, it does not start.
    let listen = ["--listen", "127.0.0.1:0", "--dir", text(&data)];
    run(&[&["up", "--config", text(&file)], &listen[..]].concat()).bad(1, "is full: ");

    let up = Up::configured(&data, &patient);
    assert_eq!(
        up.post("a/b/c", "2026-11-22 14:00:00 ERROR one\n  and more\nlast").await.status(),
        200
    );
    up.stop().good();

    let up = Up::configured(&data, &file);
    let answer = up.post("a/b/c", "refused").await;
    assert_eq!(answer.status(), 503);
    let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(after >= 1);
    let body: Value = answer.json().await.unwrap();
    let error = body["error"].as_str().unwrap();
    assert!(error.contains(&format!("disk of {} is full: ", data.display())), "{error}");
    assert_eq!(body.get("accepted"), None);
    let log_file = directory.path().join("x.log");
    fs::write(&log_file, "refused\n").unwrap();
    let ship = run(&["ship", text(&log_file), "--dir", text(&data)]);
    assert_eq!(ship.code, Some(1));
    assert!(ship.stderr.contains("is full: "), "{}", ship.stderr);
    assert_eq!(ship.json()[0]["records"], 0);
    assert_eq!(reqwest::get(up.url("/livez")).await.unwrap().status(), 200, "it waits for room");
    assert_eq!(all(&up.log().await, RAW_LOGS).await.len(), 3, "what is there can be read");
    // What is half done cannot be finished, and is not given up in silence.
    let failed = "hephaestus_commits_total{result=\"failed\",stage=\"classifier\"} 0";
    let started = Instant::now();
    while reqwest::get(up.url("/metrics")).await.unwrap().text().await.unwrap().contains(failed) {
        assert!(started.elapsed() < PATIENCE, "nothing was tried");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = up.stop();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    let says_why = ["did not drain within", "the last commit did not come through"];
    assert!(says_why.iter().any(|why| last.contains(why)), "{}", ended.stderr);

    let up = Up::start(&data);
    assert_eq!(up.post("a/b/c", "accepted").await.status(), 200);
    let log = up.log().await;
    let (raw, _) = classified(&log).await;
    assert_eq!(raw.len(), 4);
    up.stop().good();
}

/// Runs `up` with its files held to a size, as a quota or a full disk does in the middle of a write.
fn up_with_files_up_to(kib: u64, data: &Path) -> Up {
    let script = format!("trap '' XFSZ; ulimit -f $(({kib} * 1024 / 512)); exec \"$0\" \"$@\"");
    let child = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_hephaestus"), "up"])
        .args(["--listen", "127.0.0.1:0", "--dir", text(data)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Up::of(child.unwrap(), "up with small files")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_half_way_loses_nothing_that_was_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    Up::start(&data).stop().good();
    let size = fs::metadata(data.join("store.redb")).unwrap().len();
    let up = up_with_files_up_to(size / 1024 + 4096, &data);
    // What does not compress.
    let mut chance = crate::up::Seeded(5);
    let mut line = || -> String {
        (0..4096).map(|_| char::from(b'!' + u8::try_from(chance.below(90)).unwrap())).collect()
    };
    let mut accepted = 0;
    loop {
        let lines: Vec<String> = (0..64).map(|_| line()).collect();
        // A stage may meet it first, and ends the whole process.
        let Ok(answer) = up.try_post("a/b/c", lines.join("\n")).await else { break };
        let status = answer.status();
        let Ok(body) = answer.json::<Value>().await else { break };
        accepted += body["accepted"].as_u64().unwrap_or_default();
        if status != 200 {
            assert_eq!(status, 503, "{body}");
            let error = body["error"].as_str().unwrap();
            assert!(error.contains("failed, restart to go on from the last commit"), "{error}");
            break;
        }
        assert!(accepted < 100_000, "the size of its files was not bounded");
    }
    assert!(accepted > 0);
    let ended = up.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told =
        format!("writing to {} failed, restart to go on from the last commit", data.display());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);

    let up = Up::start(&data);
    let log = up.log().await;
    assert_eq!(up.post("a/b/c", "after").await.status(), 200);
    let (raw, _) = classified(&log).await;
    assert!(raw.len() as u64 > accepted, "{} of {accepted}", raw.len());
    up.stop().good();
}

//! Where settings come from, what is wrong with them, and how wrong usage ends.

use std::fs;

use crate::support::{program, run, text};

#[test]
fn the_example_is_good_as_it_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hephaestus.toml");
    fs::write(&file, run(&["config", "example"]).good().stdout).unwrap();
    let checked = run(&["config", "check", "--config", text(&file)]).good();
    assert!(checked.stderr.contains("configuration is good"), "{}", checked.stderr);
    assert_eq!(checked.stdout, "");
}

#[test]
fn a_typo_is_refused_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hephaestus.toml");
    fs::write(&file, "[limits]\nlin = \"1MiB\"\n").unwrap();
    let refused = run(&["config", "check", "--config", text(&file)]).bad(1, "line");
    assert!(refused.stderr.contains("hephaestus.toml:2"), "{}", refused.stderr);
    // Every command reads the configuration.
    run(&["tap", "raw-logs", "--config", text(&file)]).bad(1, "hephaestus.toml:2");

    let output = program(&["config", "check"]).env("HEPHAESTUS_LISEN", "127.0.0.1:1").output();
    let ended = crate::support::Ended::from(output.unwrap()).bad(1, "HEPHAESTUS_LISEN");
    assert!(ended.stderr.contains("listen"), "{}", ended.stderr);
}

#[test]
fn what_telemetry_cannot_use_is_refused_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hephaestus.toml");
    fs::write(&file, "[telemetry]\nsample_ratio = 2.0\n").unwrap();
    run(&["config", "check", "--config", text(&file)]).bad(1, "wanted from 0 to 1");
}

#[test]
fn a_missing_file_is_named() {
    run(&["config", "check", "--config", "/nowhere/h.toml"]).bad(1, "/nowhere/h.toml");
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let [file, of_file, of_variable, of_flag] =
        ["h.toml", "file", "variable", "flag"].map(|name| dir.path().join(name));
    fs::write(&file, format!("dir = {:?}\n", text(&of_file))).unwrap();
    let apply = ["topology", "apply"];
    let go = |arguments: &[&str], variable: bool| {
        let mut command = program(arguments);
        command.env("HEPHAESTUS_CONFIG", &file);
        if variable {
            command.env("HEPHAESTUS_DIR", &of_variable);
        }
        assert!(command.output().unwrap().status.success());
    };
    go(&[&apply[..], &["--dir", text(&of_flag)]].concat(), true);
    assert_eq!([of_flag.exists(), of_variable.exists(), of_file.exists()], [true, false, false]);
    go(&apply, true);
    assert_eq!([of_variable.exists(), of_file.exists()], [true, false]);
    go(&apply, false);
    assert!(of_file.exists());
}

#[test]
fn wrong_usage_has_its_own_code() {
    let dir = tempfile::tempdir().unwrap();
    let at = ["--dir", text(dir.path())];
    let cases: [(&[&str], &str); 12] = [
        (&[], "Usage"),
        (&["tapp", "raw-logs"], "tap"),
        (&["tap"], "TOPIC"),
        (&["tap", "raw-logs", "--from", "yesterday"], "-10m"),
        (&["ship", "x.log", "--source", "shop"], "service/instance/stream"),
        (&["ship", "-", "--follow"], "--follow"),
        (&["tap", "raw-logs", "--engine", "kafka"], "--bootstrap-servers broker-1:9092"),
        (&["up", "--engine", "kafka"], "`hephaestus registry --engine kafka"),
        (&["config", "check", "--engine", "kafka"], "HEPHAESTUS_BOOTSTRAP_SERVERS"),
        (&["demo", "--engine", "kafka"], "demo runs on the embedded engine alone"),
        (&["run", "gatway"], "did you mean \"gateway\"?"),
        (&["run"], "STAGE"),
    ];
    for (arguments, message) in cases {
        let arguments = if arguments.is_empty() { vec![] } else { [arguments, &at].concat() };
        run(&arguments).bad(2, message);
    }
}

#[test]
fn help() {
    let mut all = run(&["--help"]).good().stdout;
    let commands: [&[&str]; 17] = [
        &["demo"],
        &["up"],
        &["run"],
        &["registry"],
        &["ship"],
        &["tap"],
        &["inspect"],
        &["proposals"],
        &["approve"],
        &["reject"],
        &["config"],
        &["config", "check"],
        &["config", "example"],
        &["topology"],
        &["topology", "plan"],
        &["topology", "apply"],
        &["topology", "describe"],
    ];
    for command in commands {
        let help = run(&[command, &["-h"]].concat()).good().stdout;
        // What every subcommand takes is shown once.
        let own = help.split("Options of every subcommand:").next().unwrap();
        all += &format!("\n===== {}\n{}\n", command.join(" "), own.trim_end());
    }
    insta::assert_snapshot!(all);
}

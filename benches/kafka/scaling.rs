//! Three classifier processes on three partitions against one, on the processors that there are.

use hephaestus_schemas::topics::RAW_LOGS;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    compare::{CLASSIFIER, renew_classifier},
    contender::Contender,
    lines,
    program::Program,
    throughput::watch,
};

/// Partitions, and processes at most.
const PARTITIONS: u32 = 3;

/// Measures one process and three, in turn.
pub(crate) async fn measure(records: u64, rounds: usize) -> Value {
    let cluster = Cluster::start();
    let program = Program::set_up(&cluster, PARTITIONS, "");
    let filled = lines::fill(&cluster.servers, RAW_LOGS, PARTITIONS, records);
    let mut rows = Vec::new();
    for _ in 0..rounds {
        for processes in [1, PARTITIONS] {
            renew_classifier(&cluster, &program).await;
            let mut contenders: Vec<Contender> = (0..processes)
                .map(|_| {
                    let mut command = program.command(&["run", CLASSIFIER]);
                    // One session for each partition either way.
                    let sessions = PARTITIONS / processes;
                    command.env("HEPHAESTUS_KAFKA__SESSIONS", sessions.to_string());
                    Contender::start(&mut command)
                })
                .collect();
            let progress = cluster.progress(CLASSIFIER, RAW_LOGS, PARTITIONS);
            let measured = watch(&cluster, &progress, &mut contenders, filled.records);
            eprintln!("{processes} processes: {measured:?}");
            rows.push(json!({"processes": processes, "measured": measured}));
            for contender in contenders {
                contender.stop();
            }
        }
    }
    json!({"records": filled.records, "partitions": PARTITIONS, "rows": rows})
}

/// The lines for people.
pub(crate) fn print(report: &Value) {
    let of = |processes: u32, field: &str| {
        let rows = report["rows"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["processes"] == processes);
        crate::throughput::median(rows.map(|row| row["measured"][field].as_f64().unwrap()))
    };
    for processes in [1, PARTITIONS] {
        println!(
            "{processes} classifier process(es) on {PARTITIONS} partitions: {:.0} lines/s, {:.2} us a record, broker {:.2} us",
            of(processes, "rate"),
            of(processes, "own_us"),
            of(processes, "broker_us"),
        );
    }
    println!("scaling: {:.2}", of(PARTITIONS, "rate") / of(1, "rate"));
}

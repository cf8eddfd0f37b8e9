//! Strategies for values of every type.

use hephaestus_schemas::*;
use proptest::{
    collection::{btree_map, vec},
    option::of,
    prelude::*,
    sample::select,
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z/.:-]{0,12}",
        1 => any::<String>(),
        1 => Just("日本語 \u{1f525}\0\n".to_owned()),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0, any::<f64>().prop_filter("NaN is not equal to itself", |n| !n.is_nan())]
}

fn severity() -> impl Strategy<Value = Severity> {
    use Severity::*;
    select(vec![Trace, Debug, Info, Warn, Error, Fatal])
}

fn mode() -> impl Strategy<Value = Mode> {
    select(vec![Mode::Suggest, Mode::Deploy])
}

fn frame() -> impl Strategy<Value = Frame> {
    let names = (of(text()), of(text()), of(text()));
    let place = (of(any::<i32>()), of(any::<i32>()), any::<bool>());
    (names, place).prop_map(|((function, module, file), (line, column, in_app))| Frame {
        function,
        module,
        file,
        line,
        column,
        in_app,
    })
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    vec(frame(), 0..4)
}

/// An exception with up to six causes below it.
pub fn exception() -> impl Strategy<Value = Exception> {
    let one = (text(), text(), frames());
    vec(one, 1..8).prop_map(|chain| {
        let mut cause = None;
        for (type_name, message, frames) in chain {
            let exception = Exception { type_name, message, frames, cause };
            cause = Some(Box::new(exception));
        }
        *cause.unwrap()
    })
}

pub fn classified_log() -> impl Strategy<Value = ClassifiedLog> {
    let names = (text(), text(), text(), text(), text(), text(), text(), text());
    let plain = (any::<i64>(), any::<bool>(), severity());
    let parts = (of(exception()), frames(), vec(text(), 0..5), btree_map(text(), text(), 0..5));
    let counts = (any::<i32>(), any::<i32>(), any::<bool>());
    (names, plain, parts, counts).prop_map(|(names, plain, parts, counts)| ClassifiedLog {
        fingerprint: names.0,
        pattern_id: names.1,
        template: names.2,
        source: names.3,
        service: names.4,
        timestamp: plain.0,
        timestamp_from_record: plain.1,
        severity: plain.2,
        category: names.5,
        category_reason: names.6,
        message: names.7,
        exception: parts.0,
        culprits: parts.1,
        context: parts.2,
        attributes: parts.3,
        lines: counts.0,
        masked: counts.1,
        truncated: counts.2,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let limits = (any::<i32>(), any::<i64>(), any::<i64>(), any::<i32>(), any::<i32>());
    (severity(), limits, vec(text(), 0..3), number()).prop_map(
        |(threshold_level, limits, allowed_paths, min_confidence)| Policy {
            threshold_level,
            threshold_count: limits.0,
            threshold_window_ms: limits.1,
            cooldown_ms: limits.2,
            allowed_paths,
            max_files: limits.3,
            max_changed_lines: limits.4,
            min_confidence,
        },
    )
}

fn evidence() -> impl Strategy<Value = Vec<Evidence>> {
    let kind = select(vec![EvidenceKind::Log, EvidenceKind::Frame, EvidenceKind::Source]);
    let one = (kind, text(), text());
    vec(one.prop_map(|(kind, origin, text)| Evidence { kind, origin, text }), 0..4)
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (text(), text(), any::<i32>(), btree_map(text(), text(), 0..3))
        .prop_map(|(name, path, line, parameters)| Recipe { name, path, line, parameters })
}

pub fn analysis() -> impl Strategy<Value = Analysis> {
    let ids = (text(), text(), text(), text(), text(), of(text()));
    let node = (mode(), policy(), severity());
    let times = (any::<i64>(), any::<i64>(), any::<i64>());
    let cause = (text(), text(), text(), any::<bool>(), number(), text(), of(recipe()));
    let parts = (of(exception()), frames(), evidence(), text());
    (ids, node, times, cause, parts).prop_map(|(ids, node, times, cause, parts)| Analysis {
        incident_id: ids.0,
        fingerprint: ids.1,
        node: ids.2,
        repository: ids.3,
        base_branch: ids.4,
        base_commit: ids.5,
        mode: node.0,
        policy: node.1,
        title: cause.0,
        severity: node.2,
        category: cause.1,
        opened_at: times.0,
        first_seen: times.1,
        count: times.2,
        cause: cause.2,
        cause_known: cause.3,
        confidence: cause.4,
        provider: cause.5,
        recipe: cause.6,
        exception: parts.0,
        culprits: parts.1,
        evidence: parts.2,
        signal: parts.3,
    })
}

pub fn proposed_change() -> impl Strategy<Value = ProposedChange> {
    let edit = (text(), text(), text());
    let edit = edit.prop_map(|(path, find, replace)| Edit { path, find, replace });
    let gate = (text(), any::<bool>(), text());
    let gate = gate.prop_map(|(gate, passed, reason)| GateResult { gate, passed, reason });
    let ids = (text(), text(), text(), text(), text(), text(), text());
    let status = select(vec![ProposalStatus::Proposed, ProposalStatus::Refused]);
    let state = (mode(), status, any::<bool>(), number(), any::<i64>());
    let texts = (text(), text(), text());
    let lists = (vec(edit, 0..4), vec(text(), 0..4), vec(gate, 0..4), evidence());
    (ids, state, texts, lists).prop_map(|(ids, state, texts, lists)| ProposedChange {
        proposal_id: ids.0,
        incident_id: ids.1,
        fingerprint: ids.2,
        node: ids.3,
        repository: ids.4,
        base_branch: ids.5,
        base_commit: ids.6,
        mode: state.0,
        status: state.1,
        needs_decision: state.2,
        title: texts.0,
        description: texts.1,
        confidence: state.3,
        edits: lists.0,
        files: lists.1,
        diff: texts.2,
        gates: lists.2,
        evidence: lists.3,
        proposed_at: state.4,
    })
}

pub fn change_request() -> impl Strategy<Value = ChangeRequest> {
    use ChangeRequestEvent::*;
    let event = vec![AwaitingDecision, Approved, Rejected, Opened, Updated, Merged, Closed, Failed];
    let ids = (text(), text(), text(), text(), text(), text(), text());
    let maybe = (of(text()), of(text()), of(text()));
    let rest = (text(), vec(text(), 0..3), text(), text(), text(), any::<i64>());
    (ids, select(event), maybe, rest).prop_map(|(ids, event, maybe, rest)| ChangeRequest {
        id: ids.0,
        proposal_id: ids.1,
        incident_id: ids.2,
        fingerprint: ids.3,
        node: ids.4,
        repository: ids.5,
        event,
        title: ids.6,
        branch: maybe.0,
        commit: maybe.1,
        base_branch: rest.0,
        files: rest.1,
        diff: rest.2,
        url: maybe.2,
        actor: rest.3,
        reason: rest.4,
        at: rest.5,
    })
}

pub fn decision() -> impl Strategy<Value = Decision> {
    let verdict = select(vec![Verdict::Approved, Verdict::Rejected]);
    let kind = select(vec![ActorKind::Person, ActorKind::Policy, ActorKind::Node]);
    (text(), text(), text(), verdict, text(), kind, text(), any::<i64>()).prop_map(|parts| {
        Decision {
            decision_id: parts.0,
            proposal_id: parts.1,
            repository: parts.2,
            verdict: parts.3,
            actor: parts.4,
            actor_kind: parts.5,
            reason: parts.6,
            at: parts.7,
        }
    })
}

pub fn node() -> impl Strategy<Value = Node> {
    use NodeStatus::*;
    let status = select(vec![Registered, Healthy, Silent, Retired]);
    let names = (text(), vec(text(), 0..3), text(), text(), text());
    let times = (any::<i64>(), any::<i64>());
    let signals = (vec(text(), 0..3), severity(), any::<i64>());
    let parts = (names, mode(), policy(), status, times, signals);
    parts.prop_map(|(names, mode, policy, status, times, signals)| Node {
        id: names.0,
        sources: names.1,
        repository: names.2,
        base_branch: names.3,
        source_root: names.4,
        mode,
        policy,
        status,
        registered_at: times.0,
        updated_at: times.1,
        signals: signals.0,
        signal_level: signals.1,
        signal_warm_up_ms: signals.2,
    })
}

pub fn pattern() -> impl Strategy<Value = Pattern> {
    (text(), text(), of(text()), any::<i64>()).prop_map(|(id, template, alias_of, first_seen)| {
        Pattern { id, template, alias_of, first_seen }
    })
}

pub fn audit_event() -> impl Strategy<Value = AuditEvent> {
    let outcome = select(vec![Outcome::Done, Outcome::Denied, Outcome::Failed]);
    let names = (text(), text(), text(), text(), text());
    (names, outcome, any::<i64>()).prop_map(|(names, outcome, at)| AuditEvent {
        id: names.0,
        actor: names.1,
        action: names.2,
        target: names.3,
        outcome,
        detail: names.4,
        at,
    })
}

pub fn state_entry() -> impl Strategy<Value = StateEntry> {
    let timer = (text(), any::<i64>()).prop_map(|(name, at_ms)| TimerEntry { name, at_ms });
    (text(), of(text()), vec(timer, 0..4)).prop_map(|(stage, state, timers)| StateEntry {
        stage,
        state,
        timers,
    })
}

//! What the API answers, as values that are printed: every enum by the name that policies and records use, every time in
//! RFC 3339, nothing left out.

pub(in crate::cli) mod amendment;
pub(in crate::cli) mod explained;
pub(in crate::cli) mod record;

use crate::cli::given::rfc3339;
use crate::cli::output::value::Value;
use crate::model::time::Timestamp;
pub(in crate::cli) use crate::pb::names::{band, outcome, task_state};
use crate::pb::v1;

/// A point in time.
pub(in crate::cli) fn time(at: Option<prost_types::Timestamp>) -> Value {
    let Some(at) = at else { return Value::Nothing };
    let millis = u64::try_from(at.seconds).unwrap_or(0) * 1000 + u64::try_from(at.nanos / 1_000_000).unwrap_or(0);
    Value::Text(rfc3339(Timestamp::from_millis(millis)))
}

/// The number of an outcome that was named.
pub(in crate::cli) fn outcome_named(name: &str) -> Result<v1::Outcome, String> {
    let all = [v1::Outcome::Granted, v1::Outcome::Narrowed, v1::Outcome::StepUp, v1::Outcome::Review];
    let mut all = all.into_iter().chain([v1::Outcome::Denied]);
    let known = "granted, narrowed, step_up, review, denied";
    all.find(|each| outcome(*each as i32) == name).ok_or_else(|| format!("`{name}` is none of {known}"))
}

/// The name of a provenance.
pub(in crate::cli) fn provenance(number: i32) -> &'static str {
    match v1::Provenance::try_from(number) {
        Ok(v1::Provenance::Intent) => "intent",
        Ok(v1::Provenance::Ceiling) => "ceiling",
        Ok(v1::Provenance::Field) => "field",
        Ok(v1::Provenance::Argument) => "argument",
        Ok(v1::Provenance::Text) => "text",
        Ok(v1::Provenance::None) => "none",
        Ok(v1::Provenance::Unspecified) | Err(_) => "",
    }
}

/// The name of a grant's state.
pub(in crate::cli) fn grant_state(number: i32) -> &'static str {
    match v1::GrantState::try_from(number) {
        Ok(v1::GrantState::Live) => "live",
        Ok(v1::GrantState::Suspended) => "suspended",
        Ok(v1::GrantState::Revoked) => "revoked",
        Ok(v1::GrantState::Released) => "released",
        Ok(v1::GrantState::Expired) => "expired",
        Ok(v1::GrantState::Unspecified) | Err(_) => "",
    }
}

fn cause(number: i32) -> &'static str {
    match v1::SuspensionCause::try_from(number) {
        Ok(v1::SuspensionCause::Paused) => "paused",
        Ok(v1::SuspensionCause::Drift) => "drift",
        Ok(v1::SuspensionCause::TrustWithdrawn) => "trust_withdrawn",
        Ok(v1::SuspensionCause::Unspecified) | Err(_) => "",
    }
}

/// A task.
pub(in crate::cli) fn task(task: &v1::Task) -> Value {
    Value::Fields(vec![
        ("task_id", task.task_id.as_str().into()),
        ("state", task_state(task.state).into()),
        ("intent", task.intent.as_str().into()),
        ("agent", task.agent.as_str().into()),
        ("orchestrator", task.orchestrator.as_str().into()),
        ("initiator", task.initiator.as_str().into()),
        ("initiator_verified", task.initiator_verified.into()),
        ("parent_task_id", Value::text_if_any(&task.parent_task_id)),
        ("depth", task.depth.into()),
        ("created", time(task.created)),
        ("deadline", time(task.deadline)),
        ("open_grants", task.open_grants.into()),
        ("unattended", task.unattended.into()),
        ("ceiling", task.ceiling.as_ref().map(ceiling).into()),
    ])
}

fn ceiling(ceiling: &v1::Ceiling) -> Value {
    let sink = |sink: &v1::SinkCeiling| {
        Value::Fields(vec![
            ("sink", sink.sink.as_str().into()),
            ("values", sink.values.iter().map(String::as_str).collect()),
            ("patterns", sink.patterns.iter().map(pattern).collect()),
            ("per_call_max", Value::text_if_any(&sink.per_call_max)),
            ("total_max", Value::text_if_any(&sink.total_max)),
        ])
    };
    let tool = |tool: &v1::ToolCeiling| {
        Value::Fields(vec![
            ("tool", tool.tool.as_str().into()),
            ("actions", tool.actions.iter().map(String::as_str).collect()),
            ("resources", tool.resources.iter().map(String::as_str).collect()),
            ("resource_patterns", tool.resource_patterns.iter().map(String::as_str).collect()),
            ("calls_max", tool.calls_max.into()),
            ("sinks", tool.sinks.iter().map(sink).collect()),
        ])
    };
    Value::Fields(vec![
        ("ttl_max_s", ceiling.ttl_max.map(|span| u64::try_from(span.seconds).unwrap_or(0)).into()),
        ("data_classes", ceiling.data_classes.iter().map(String::as_str).collect()),
        ("tools", ceiling.tools.iter().map(tool).collect()),
    ])
}

/// A pattern of a ceiling, in the form in which `--ceiling` takes it.
fn pattern(pattern: &v1::SinkPattern) -> Value {
    let (kind, text) = pattern_in_words(pattern);
    Value::Fields(vec![(kind, text.into())])
}

/// What kind of pattern it is, and its text.
pub(in crate::cli) fn pattern_in_words(pattern: &v1::SinkPattern) -> (&'static str, &str) {
    use v1::sink_pattern::Pattern;
    match &pattern.pattern {
        Some(Pattern::Domain(text)) => ("domain", text),
        Some(Pattern::Host(text)) => ("host", text),
        Some(Pattern::PathPrefix(text)) => ("path_prefix", text),
        Some(Pattern::AccountSet(text)) => ("account_set", text),
        None => ("nothing", ""),
    }
}

/// A grant.
pub(in crate::cli) fn grant(grant: &v1::Grant) -> Value {
    Value::Fields(vec![
        ("grant_id", grant.grant_id.as_str().into()),
        ("state", grant_state(grant.state).into()),
        ("causes", grant.causes.iter().map(|number| cause(*number)).collect()),
        ("task_id", grant.task_id.as_str().into()),
        ("audience", grant.audience.as_str().into()),
        ("agent", grant.agent.as_str().into()),
        ("jti", grant.jti.as_str().into()),
        ("issued", time(grant.issued)),
        ("expires", time(grant.expires)),
        ("decision_id", grant.decision_id.as_str().into()),
        ("access", grant.access.iter().map(access).collect()),
    ])
}

/// What was asked for, or granted.
pub(in crate::cli) fn access(access: &v1::Access) -> Value {
    Value::Fields(vec![
        ("tool", access.tool.as_str().into()),
        ("actions", access.actions.iter().map(String::as_str).collect()),
        ("resources", access.resources.iter().map(String::as_str).collect()),
        ("arguments", Value::json(&access.arguments_json)),
        ("data_classes", access.data_classes.iter().map(String::as_str).collect()),
    ])
}

/// A decision, as its caller may see it.
pub(in crate::cli) fn decision(decision: &v1::Decision) -> Value {
    let reason = |reason: &v1::Reason| {
        Value::Fields(vec![
            ("code", reason.code.as_str().into()),
            ("access", reason.access.into()),
            ("message", reason.message.as_str().into()),
        ])
    };
    let difference = |difference: &v1::Difference| {
        Value::Fields(vec![
            ("what", difference.what.as_str().into()),
            ("access", difference.access.into()),
            ("asked", difference.asked.as_str().into()),
            ("granted", difference.granted.as_str().into()),
        ])
    };
    Value::Fields(vec![
        ("outcome", outcome(decision.outcome).into()),
        ("observed_only", decision.observed_only.into()),
        ("would_be", Value::text_if_any(outcome(decision.would_be))),
        ("decision_id", decision.decision_id.as_str().into()),
        ("band", band(decision.band).into()),
        ("approvals_needed", decision.approvals_needed.into()),
        ("approval_id", Value::text_if_any(&decision.approval_id)),
        ("break_glass_id", Value::text_if_any(&decision.break_glass_id)),
        ("reasons", decision.reasons.iter().map(reason).collect()),
        ("differences", decision.differences.iter().map(difference).collect()),
    ])
}

/// For whom a bundle only observes, and until when; nothing when it is enforced.
pub(in crate::cli) fn observing(observing: Option<&v1::Observing>) -> Value {
    observing.map_or(Value::Nothing, |observing| {
        Value::Fields(vec![
            ("until", time(observing.until)),
            ("classes", observing.classes.iter().map(String::as_str).collect()),
            ("over", observing.over.into()),
        ])
    })
}

/// The same as a sentence for who has to hear it; `None` when everything is enforced.
pub(in crate::cli) fn observing_in_words(observing: Option<&v1::Observing>) -> Option<String> {
    let observing = observing?;
    let (until, classes) = (time(observing.until).inline(), observing.classes.join(", "));
    Some(if observing.over {
        format!("OBSERVING IS OVER: it ended {until}, and everything is enforced")
    } else {
        format!("OBSERVES ONLY: until {until}, what policy would withhold from {classes} is granted")
    })
}

/// What a revocation or a block is about: its kind, and what it names.
pub(in crate::cli) fn target(target: Option<&v1::Target>) -> (&'static str, String) {
    use crate::pb::v1::target::Target;
    match target.and_then(|target| target.target.as_ref()) {
        Some(Target::GrantId(id)) => ("grant", id.clone()),
        Some(Target::TaskId(id)) => ("task", id.clone()),
        Some(Target::Agent(id)) => ("agent", id.clone()),
        Some(Target::Initiator(name)) => ("initiator", name.clone()),
        Some(Target::Audience(name)) => ("audience", name.clone()),
        Some(Target::Everything(v1::Everything {})) => ("everything", String::new()),
        None => ("", String::new()),
    }
}

/// A block.
pub(in crate::cli) fn block(block: &v1::Block) -> Value {
    let (kind, name) = target(block.target.as_ref());
    Value::Fields(vec![
        ("kind", kind.into()),
        ("target", name.into()),
        ("since", time(block.since)),
        ("position", block.position.into()),
        ("reason", block.reason.as_str().into()),
    ])
}

/// An event of the record, in short.
pub(in crate::cli) fn event(event: &v1::EventSummary) -> Value {
    Value::Fields(vec![
        ("position", event.position.into()),
        ("time", time(event.time)),
        ("kind", event.kind.as_str().into()),
        ("outcome", Value::text_if_any(outcome(event.outcome))),
        ("observed_only", event.observed_only.into()),
        ("tools", event.tools.iter().map(String::as_str).collect()),
        ("reasons", event.reasons.iter().map(String::as_str).collect()),
        ("actor", event.actor.as_str().into()),
        ("task_id", Value::text_if_any(&event.task_id)),
        ("decision_id", Value::text_if_any(&event.decision_id)),
        ("grant_id", Value::text_if_any(&event.grant_id)),
        ("summary", event.summary.as_str().into()),
    ])
}

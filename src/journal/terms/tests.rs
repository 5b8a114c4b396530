//! What events are found by.

use super::*;
use crate::pb::journal::{
    Actor, Conclusion, CredentialDecided, Grant, Reason, Refused, Revoked, TaskPaused, ToolCallReported,
};
use crate::pb::v1::Outcome;

fn told(event: &Event) -> Vec<(TermKind, String)> {
    let mut all = Vec::new();
    visit(event, &mut |kind, text| all.push((kind, text.to_owned())));
    all
}

fn credential() -> Event {
    let reason = Reason { code: "NO_PERMIT".into(), ..Reason::default() };
    let conclusion = Conclusion { tool: "pay".into(), ..Conclusion::default() };
    let decision = Decision {
        decision_id: "decision_1".into(),
        outcome: Outcome::Narrowed.into(),
        reasons: vec![reason],
        conclusions: vec![conclusion],
        ..Decision::default()
    };
    let grant = Grant { grant_id: "grant_1".into(), tools: vec!["pay".into(), "read".into()], ..Grant::default() };
    let actor = Actor {
        kind: Kind::Workload.into(),
        id: "spiffe://td/a".into(),
        class: "ai_agent".into(),
        ..Default::default()
    };
    let payload = Payload::CredentialDecided(CredentialDecided {
        task_id: "task_1".into(),
        agent: "spiffe://td/a".into(),
        initiator: "ann".into(),
        decision: Some(decision),
        grant: Some(grant),
        ..CredentialDecided::default()
    });
    Event {
        stream: "task/task_1".into(),
        actor: Some(actor),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        payload: Some(payload),
        ..Event::default()
    }
}

#[test]
fn a_decision_is_found_by_all_that_a_reviewer_knows_of_it() {
    let told = told(&credential());
    for (kind, text) in [
        (TermKind::Decision, "decision_1"),
        (TermKind::Grant, "grant_1"),
        (TermKind::Trace, "0af7651916cd43dd8448eb211c80319c"),
        (TermKind::Task, "task_1"),
        (TermKind::Stream, "task/task_1"),
        (TermKind::Agent, "spiffe://td/a"),
        (TermKind::Actor, "spiffe://td/a"),
        (TermKind::Initiator, "ann"),
        (TermKind::Tool, "pay"),
        (TermKind::Tool, "read"),
        (TermKind::Reason, "NO_PERMIT"),
        (TermKind::Kind, "credential_decided"),
        (TermKind::Outcome, "narrowed"),
    ] {
        assert!(told.contains(&(kind, text.into())), "{kind:?} {text}");
    }
}

#[test]
fn an_event_has_all_of_some_terms_or_not() {
    let event = credential();
    let with = |terms: &[(TermKind, &str)]| {
        has_all(&event, &terms.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect::<Vec<_>>())
    };
    assert!(with(&[]));
    assert!(with(&[(TermKind::Tool, "read"), (TermKind::Outcome, "narrowed")]));
    assert!(!with(&[(TermKind::Tool, "read"), (TermKind::Outcome, "denied")]));
    assert!(!with(&[(TermKind::Initiator, "spiffe://td/a")]));
    assert!(!with(&[(TermKind::Tool, "")]));
}

#[test]
fn other_events_are_found_too() {
    let event = |payload| Event { payload: Some(payload), ..Event::default() };
    let revoked = Revoked { target_kind: "agent".into(), target: "spiffe://td/a".into(), ..Revoked::default() };
    assert!(told(&event(Payload::Revoked(revoked))).contains(&(TermKind::Agent, "spiffe://td/a".into())));
    let refused = Refused { subject: "spiffe://td/b".into(), code: "NOT_FOUND".into(), ..Refused::default() };
    let refused = told(&event(Payload::Refused(refused)));
    assert!(refused.contains(&(TermKind::Agent, "spiffe://td/b".into())));
    assert!(refused.contains(&(TermKind::Reason, "NOT_FOUND".into())));
    let call = ToolCallReported { tool: "pay".into(), grant_id: "grant_1".into(), ..ToolCallReported::default() };
    assert!(told(&event(Payload::ToolCallReported(call))).contains(&(TermKind::Grant, "grant_1".into())));
    let orchestrator = Actor {
        kind: Kind::Workload.into(),
        id: "spiffe://td/o".into(),
        class: "orchestrator".into(),
        ..Default::default()
    };
    let paused = Event { actor: Some(orchestrator), ..event(Payload::TaskPaused(TaskPaused::default())) };
    assert!(!told(&paused).iter().any(|(kind, _)| *kind == TermKind::Agent), "an orchestrator is no agent");
    assert_eq!(terms(&Event::default()).len(), 0);
}

#[test]
fn a_trace_id_is_cut_out_of_a_traceparent() {
    assert_eq!(trace_id("00-aa-bb-01"), "aa");
    assert_eq!(trace_id(""), "");
    assert_eq!(trace_id("nonsense"), "");
}

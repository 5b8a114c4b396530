//! A reviewer reads who asked, what was known, and why; and nothing that an agent wrote commands the terminal.

use super::*;

fn sample() -> v1::DecisionRecord {
    v1::DecisionRecord {
        decision_id: "decision_1".to_owned(),
        position: 9,
        outcome: v1::Outcome::Review.into(),
        question: "request".to_owned(),
        agent: "spiffe://dev.carnet.test/agent/triage".to_owned(),
        agent_class: "ai_agent".to_owned(),
        initiator: "ada@example.com".to_owned(),
        intent: "Answer the ticket".to_owned(),
        purpose: "the ticket says so\u{1b}[2J".to_owned(),
        access: vec![v1::RecordedAccess {
            access: Some(v1::Access { tool: "mail.send".to_owned(), ..v1::Access::default() }),
            effect: "send".to_owned(),
            ceiling: "within".to_owned(),
            intent_fit: "not_implied".to_owned(),
            sinks: vec![v1::RecordedSink {
                name: "to".to_owned(),
                value: "eve@example.net".to_owned(),
                provenance: v1::Provenance::Text.into(),
                evidence: "in the body of a ticket".to_owned(),
                evidence_position: 7,
            }],
        }],
        risk: 40,
        band: v1::Band::Elevated.into(),
        contributions: vec![v1::Contribution {
            signal: "sink_in_text".to_owned(),
            source: "carnet".to_owned(),
            points: 50,
            counted: 40,
            explanation: "a value stands only in text".to_owned(),
        }],
        reasons: vec![v1::RecordedReason {
            code: "SINK_IN_TEXT".to_owned(),
            message: "The value stands only in free text.".to_owned(),
            policy: "sink-in-text".to_owned(),
            controls: vec!["ASI01".to_owned()],
            ..v1::RecordedReason::default()
        }],
        ..v1::DecisionRecord::default()
    }
}

#[test]
fn a_decision_is_told_as_a_reviewer_reads_it() {
    let text = story(&sample(), Paint::NONE);
    for part in [
        "review on a request for a credential",
        "(ai_agent, answered for by nobody)",
        "ada@example.com (as the orchestrator says)",
        "mail.send (send); ceiling: within; intent: not implied",
        "to = eve@example.net from text, in the body of a ticket (position 7)",
        "40 of 100, elevated",
        "+40 of 50  sink_in_text (carnet)  a value stands only in text",
        "SINK_IN_TEXT by policy `sink-in-text`: The value stands only in free text.",
        "controls: ASI01",
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    // Nothing was granted, so nothing became of it.
    assert!(!text.contains("What became of it"), "{text}");
}

#[test]
fn for_whom_the_question_was_is_told_where_people_were_asked() {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let asked = v1::DecisionRecord {
        approval_id: "approval_1".to_owned(),
        unattended: true,
        owners: vec!["group:finance".to_owned(), "group:legal".to_owned()],
        owners_absent: vec!["group:legal".to_owned()],
        answer_by: at(60),
        escalated_at: at(30),
        escalated_to: vec!["group:duty".to_owned()],
        task_id: "task_1".to_owned(),
        ..sample()
    };
    let text = story(&asked, Paint::NONE);
    for part in [
        "task_1 (nobody attends it)",
        "people       people were asked (approval_1)",
        "for          owners: group:finance, group:legal; nobody could answer for group:legal",
        "until        1970-01-01T00:01:00Z",
        "escalated    1970-01-01T00:00:30Z, told to group:duty",
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    let value = serde_json::to_value(value(&asked)).unwrap();
    assert_eq!((&value["owners"][0], &value["unattended"]), (&"group:finance".into(), &true.into()));
    let anybody = v1::DecisionRecord { owners: Vec::new(), owners_absent: Vec::new(), ..asked };
    assert!(story(&anybody, Paint::NONE).contains("for          whoever reviews"));
    assert!(!story(&sample(), Paint::NONE).contains("\nfor "), "nobody was asked");
}

#[test]
fn what_an_agent_wrote_cannot_command_the_terminal() {
    assert!(!story(&sample(), Paint::NONE).contains('\u{1b}'));
}

#[test]
fn machines_get_everything() {
    let value = serde_json::to_value(value(&sample())).unwrap();
    assert_eq!(value["outcome"], "review");
    assert_eq!(value["access"][0]["sinks"][0]["provenance"], "text");
    assert_eq!(value["contributions"][0]["counted"], 40);
    assert_eq!(value["purpose"], "the ticket says so\u{1b}[2J");
}

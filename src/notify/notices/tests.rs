//! What is told of events, and what is not.

use bytes::Bytes;

use super::*;
use crate::pb::v1;

const LINKS: &str = "https://carnet.example.org/approvals/";

fn recorded(payload: Payload) -> Recorded {
    let event = pb::Event { payload: Some(payload), ..pb::Event::default() };
    let time = Timestamp::from_millis(1_795_000_000_250);
    Recorded { position: 7, stream_version: 1, time, event, stored: Bytes::from_static(b"stored") }
}

fn decision(code: &str) -> pb::Decision {
    let reason = |code: &str| pb::Reason { code: code.to_owned(), access: Some(0), policy: "secret-policy".to_owned() };
    pb::Decision {
        decision_id: "the-decision".to_owned(),
        question: "request".to_owned(),
        outcome: v1::Outcome::Review.into(),
        reasons: vec![reason(code), reason(code), reason("free text")],
        band: v1::Band::High.into(),
        approvals_needed: 2,
        sealed: Bytes::from_static(b"secret"),
        ..pb::Decision::default()
    }
}

fn asked() -> pb::CredentialDecided {
    pb::CredentialDecided {
        task_id: "the-task".to_owned(),
        request_id: "secret-request".to_owned(),
        audience: "secret-audience".to_owned(),
        decision: Some(decision("SINK_UNSEEN")),
        agent: "spiffe://example.org/agent/a".to_owned(),
        initiator: "secret-initiator".to_owned(),
        approval_id: "the-approval".to_owned(),
        asked_people: Some(pb::AskedPeople {
            covers: Bytes::from_static(b"secret"),
            answer_by_ms: 1_795_000_060_000,
            replaces: String::new(),
            sealed_doubts: Bytes::from_static(b"secret"),
            scores: Vec::new(),
            owners: Vec::new(),
            owners_absent: Vec::new(),
        }),
        ..pb::CredentialDecided::default()
    }
}

fn told(payload: Payload, links: Option<&str>) -> Value {
    let notice = notice(&"pager".parse().unwrap(), &recorded(payload), links).unwrap();
    assert!(!notice.body.contains("secret") && !notice.body.contains("free text"), "{}", notice.body);
    serde_json::from_str(&notice.body).unwrap()
}

#[test]
fn of_what_waits_for_people_ids_times_and_codes_are_told() {
    let expected = json!({
        "type": "approval.pending",
        "timestamp": "2026-11-18T11:06:40.25Z",
        "data": {
            "position": 7, "approval_id": "the-approval", "task_id": "the-task", "decision_id": "the-decision",
            "agent": "spiffe://example.org/agent/a", "outcome": "review", "band": "high",
            "reasons": ["SINK_UNSEEN"], "approvals_needed": 2, "answer_by": "2026-11-18T11:07:40Z",
            "link": "https://carnet.example.org/approvals/the-approval", "route": "reviewers",
        },
    });
    assert_eq!(told(Payload::CredentialDecided(asked()), Some(LINKS)), expected);
    let about = pb::TaskAmended {
        task_id: "the-task".to_owned(),
        request_id: "secret-request".to_owned(),
        decision: Some(decision("WIDENING_NEEDS_APPROVAL")),
        sealed: Bytes::from_static(b"secret"),
        agent: "spiffe://example.org/agent/a".to_owned(),
        initiator: "secret-initiator".to_owned(),
        approval_id: "the-approval".to_owned(),
        asked_people: asked().asked_people,
        ..pb::TaskAmended::default()
    };
    let mut of_an_amendment = expected.clone();
    of_an_amendment["data"]["about"] = json!("amendment");
    of_an_amendment["data"]["reasons"] = json!(["WIDENING_NEEDS_APPROVAL"]);
    assert_eq!(told(Payload::TaskAmended(about.clone()), Some(LINKS)), of_an_amendment);
    let in_force = recorded(Payload::TaskAmended(pb::TaskAmended { asked_people: None, applied: true, ..about }));
    assert_eq!(kind_of(&in_force.event), None);
    let without = told(Payload::CredentialDecided(asked()), None);
    assert!(without["data"].get("link").is_none());
}

#[test]
fn whom_it_is_for_is_told_and_whom_to_tell_when_nobody_answered() {
    let route = |outcome: v1::Outcome, owners: &[&str], absent: &[&str]| {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let mut asked = asked();
        asked.decision.as_mut().unwrap().outcome = outcome.into();
        let people = asked.asked_people.as_mut().unwrap();
        (people.owners, people.owners_absent) = (list(owners), list(absent));
        let data = told(Payload::CredentialDecided(asked), None)["data"].clone();
        (data["route"].clone(), data["owners"].clone(), data["owners_absent"].clone())
    };
    let (review, none) = (v1::Outcome::Review, Value::Null);
    assert_eq!(route(v1::Outcome::StepUp, &[], &[]), (json!("initiator"), none.clone(), none.clone()));
    assert_eq!(route(review, &["a"], &[]), (json!("owner"), json!(["a"]), none.clone()));
    assert_eq!(route(review, &["a", "b"], &["a"]), (json!("owner"), json!(["a", "b"]), json!(["a"])));
    assert_eq!(route(review, &["a"], &["a"]), (json!("reviewers"), json!(["a"]), json!(["a"])));
    let escalated = pb::ApprovalEscalated {
        approval_id: "the-approval".to_owned(),
        task_id: "the-task".to_owned(),
        decision_id: "the-decision".to_owned(),
        widened: true,
        as_review: false,
        tell: vec!["group:on-call".to_owned()],
        answer_by_ms: 1_795_000_060_000,
    };
    let data = json!({
        "position": 7, "approval_id": "the-approval", "task_id": "the-task", "decision_id": "the-decision",
        "answer_by": "2026-11-18T11:07:40Z", "widened": true, "as_review": false, "tell": ["group:on-call"],
        "link": "https://carnet.example.org/approvals/the-approval",
    });
    assert_eq!(told(Payload::ApprovalEscalated(escalated), Some(LINKS))["data"], data);
}

#[test]
fn only_what_people_wait_for_is_told() {
    let answered = |verdict: Verdict, settles| {
        let answered = pb::ApprovalAnswered {
            approval_id: "the-approval".to_owned(),
            verdict: verdict.into(),
            settles,
            sealed: Bytes::from_static(b"secret"),
            ..pb::ApprovalAnswered::default()
        };
        Payload::ApprovalAnswered(answered)
    };
    let reconsidered = |effect: Effect| {
        let decision = Some(decision("RISK_HIGH"));
        let trigger = "signal".to_owned();
        let reconsidered =
            pb::GrantReconsidered { effect: effect.into(), decision, trigger, ..pb::GrantReconsidered::default() };
        Payload::GrantReconsidered(reconsidered)
    };
    let granted = pb::CredentialDecided { asked_people: None, ..asked() };
    let bundle = pb::PolicyActivated {
        digest: "d".to_owned(),
        revision: 3,
        files: vec![pb::BundleFile::default()],
        ..pb::PolicyActivated::default()
    };
    let proposed = pb::PolicyProposed { proposal_id: "p".to_owned(), ..pb::PolicyProposed::default() };
    let ended = pb::TaskEnded { sealed: Bytes::from_static(b"secret"), ..pb::TaskEnded::default() };
    let revoked = |kind: &str| {
        let target = if kind == "task" { "the-task" } else { "secret" };
        let (target_kind, sealed) = (kind.to_owned(), Bytes::from_static(b"secret"));
        Payload::Revoked(pb::Revoked { target_kind, target: target.to_owned(), sealed, ..pb::Revoked::default() })
    };
    let untrusted = pb::TrustWithdrawn { code: "secret".to_owned(), ..pb::TrustWithdrawn::default() };
    for (name, payload, expected) in [
        ("asked", Payload::CredentialDecided(asked()), Some(NoticeType::ApprovalPending)),
        ("not asked", Payload::CredentialDecided(granted), None),
        ("approved", answered(Verdict::Approved, true), Some(NoticeType::ApprovalDecided)),
        ("denied", answered(Verdict::Denied, true), Some(NoticeType::ApprovalDecided)),
        ("one of two", answered(Verdict::Approved, false), None),
        ("nobody", answered(Verdict::Unanswered, true), Some(NoticeType::ApprovalExpired)),
        (
            "escalated",
            Payload::ApprovalEscalated(pb::ApprovalEscalated::default()),
            Some(NoticeType::ApprovalEscalated),
        ),
        (
            "withdrawn",
            Payload::ApprovalWithdrawn(pb::ApprovalWithdrawn::default()),
            Some(NoticeType::ApprovalWithdrawn),
        ),
        ("suspended", reconsidered(Effect::Suspended), Some(NoticeType::GrantSuspended)),
        ("restored", reconsidered(Effect::Restored), Some(NoticeType::GrantRestored)),
        ("revoked", reconsidered(Effect::Revoked), Some(NoticeType::GrantRevoked)),
        ("kept", reconsidered(Effect::Kept), None),
        ("activated", Payload::PolicyActivated(bundle), Some(NoticeType::PolicyActivated)),
        ("proposed", Payload::PolicyProposed(proposed), Some(NoticeType::PolicyProposed)),
        ("taken back", Payload::PolicyProposalWithdrawn(pb::PolicyProposalWithdrawn::default()), None),
        ("ended", Payload::TaskEnded(ended), Some(NoticeType::TaskEnded)),
        ("revoked task", revoked("task"), Some(NoticeType::AccessRevoked)),
        ("revoked person", revoked("initiator"), Some(NoticeType::AccessRevoked)),
        ("revoked grant", revoked("grant"), None),
        ("not trusted", Payload::TrustWithdrawn(untrusted), Some(NoticeType::TrustWithdrawn)),
        ("trusted", Payload::TrustRestored(pb::TrustRestored::default()), Some(NoticeType::TrustRestored)),
        ("drift", Payload::DriftDetected(pb::DriftDetected::default()), Some(NoticeType::DriftDetected)),
        ("no drift", Payload::DriftEnded(pb::DriftEnded::default()), Some(NoticeType::DriftEnded)),
        ("started", Payload::BrokerStarted(pb::BrokerStarted::default()), None),
        ("refused", Payload::Refused(pb::Refused::default()), None),
    ] {
        let recorded = recorded(payload);
        assert_eq!(kind_of(&recorded.event), expected, "{name}");
        let notice = notice(&"pager".parse().unwrap(), &recorded, Some(LINKS));
        assert_eq!(notice.as_ref().map(|notice| notice.kind), expected, "{name}");
        assert!(notice.is_none_or(|notice| !notice.body.contains("secret")), "{name}");
    }
}

#[test]
fn what_ends_that_people_wait_for_is_told_by_the_task_and_what_is_suspended_by_the_trust_domain() {
    let ended = pb::TaskEnded {
        task_id: "the-task".to_owned(),
        state: v1::TaskState::Cancelled.into(),
        sealed: Bytes::from_static(b"secret"),
    };
    let data = json!({ "position": 7, "task_id": "the-task", "state": "cancelled" });
    assert_eq!(told(Payload::TaskEnded(ended), Some(LINKS))["data"], data);
    for (kind, target, expected) in [
        ("task", "the-task", json!({ "position": 7, "target": "task", "task_id": "the-task" })),
        ("agent", "spiffe://a/b", json!({ "position": 7, "target": "agent", "agent": "spiffe://a/b" })),
        ("initiator", "secret@example.org", json!({ "position": 7, "target": "initiator" })),
        ("everything", "", json!({ "position": 7, "target": "everything" })),
    ] {
        let (target_kind, target) = (kind.to_owned(), target.to_owned());
        let revoked = pb::Revoked { target_kind, target, ..pb::Revoked::default() };
        assert_eq!(told(Payload::Revoked(revoked), None)["data"], expected, "{kind}");
    }
    let blocked = pb::Revoked {
        target_kind: "initiator".to_owned(),
        target: "secret@example.org".to_owned(),
        unsaid: vec!["the-approval".to_owned()],
        unsaid_count: 65,
        ..pb::Revoked::default()
    };
    let expected = json!({
        "position": 7, "target": "initiator", "approvals_unsaid": ["the-approval"], "approvals_unsaid_count": 65,
    });
    assert_eq!(told(Payload::Revoked(blocked), None)["data"], expected, "what a block takes out is told with it");
    let mut withdrawn = pb::ApprovalWithdrawn {
        approval_id: "the-approval".to_owned(),
        task_id: "the-task".to_owned(),
        extended_at: 3,
        grants_revoked: 2,
        ..pb::ApprovalWithdrawn::default()
    };
    let expected = json!({
        "position": 7, "approval_id": "the-approval", "task_id": "the-task", "extension": true, "grants_revoked": 2,
    });
    assert_eq!(told(Payload::ApprovalWithdrawn(withdrawn.clone()), None)["data"], expected);
    withdrawn.extended_at = 0;
    let expected = json!({ "position": 7, "approval_id": "the-approval", "task_id": "the-task" });
    assert_eq!(told(Payload::ApprovalWithdrawn(withdrawn), None)["data"], expected, "where nothing was extended");
    let code = ReasonCode::TrustWithdrawn.as_str().to_owned();
    let untrusted = pb::TrustWithdrawn { trust_domain: "example.org".to_owned(), code, authorities: Vec::new() };
    let data = json!({ "position": 7, "trust_domain": "example.org", "reason": "TRUST_WITHDRAWN" });
    assert_eq!(told(Payload::TrustWithdrawn(untrusted), None)["data"], data);
}

#[test]
fn an_id_is_that_of_one_event_and_one_receiver() {
    let (pager, chat) = ("pager".parse().unwrap(), "chat".parse().unwrap());
    let one = recorded(Payload::CredentialDecided(asked()));
    let id = id_of(&pager, &one);
    assert_eq!(id, id_of(&pager, &one.clone()));
    assert_eq!((id.len(), id.starts_with("msg_"), id.contains('.')), (4 + 2 * ID_BYTES, true, false));
    let others = [
        id_of(&chat, &one),
        id_of(&pager, &Recorded { position: 8, ..one.clone() }),
        id_of(&pager, &Recorded { stored: Bytes::from_static(b"other"), ..one.clone() }),
    ];
    assert!(!others.contains(&id));
}

#[test]
fn of_policy_it_is_told_who_answers_for_it_and_that_it_goes_back() {
    let returns_to = Some(pb::PolicyReturn { revision: 2, position: 20 });
    let activated = pb::PolicyActivated {
        digest: "d".to_owned(),
        revision: 9,
        owner: "group:security".to_owned(),
        returns_to,
        manifest: Bytes::from_static(b"secret"),
        ..pb::PolicyActivated::default()
    };
    let data = json!({
        "position": 7, "policy_digest": "d", "policy_revision": 9, "owner": "group:security", "returns_to": 2
    });
    assert_eq!(told(Payload::PolicyActivated(activated), None)["data"], data);
    let proposed = pb::PolicyProposed {
        proposal_id: "proposal_1".to_owned(),
        digest: "d".to_owned(),
        revision: 9,
        until_ms: 0,
        ..pb::PolicyProposed::default()
    };
    let data = json!({
        "position": 7, "proposal_id": "proposal_1", "policy_digest": "d", "policy_revision": 9,
        "until": "1970-01-01T00:00:00Z"
    });
    assert_eq!(told(Payload::PolicyProposed(proposed), None)["data"], data);
}

#[test]
fn break_glass_is_told_when_it_is_opened_and_used_and_not_reviewed_in_time() {
    let opened = pb::BreakGlassOpened {
        glass_id: "the-glass".to_owned(),
        task_id: "the-task".to_owned(),
        decision: Some(pb::Decision { outcome: v1::Outcome::Granted.into(), reasons: Vec::new(), ..decision("") }),
        audience: "secret-audience".to_owned(),
        agent: "spiffe://example.org/agent/a".to_owned(),
        initiator: "secret-initiator".to_owned(),
        covers: Bytes::from_static(b"secret"),
        until_ms: 1_795_000_060_000,
        uses_max: 2,
        review_by_ms: 1_795_000_060_000,
        owners: vec!["secret-owner".to_owned()],
        denied_before: true,
    };
    let expected = json!({
        "position": 7, "break_glass_id": "the-glass", "task_id": "the-task", "decision_id": "the-decision",
        "agent": "spiffe://example.org/agent/a", "outcome": "granted", "band": "high", "reasons": [],
        "until": "2026-11-18T11:07:40Z", "uses_max": 2, "review_by": "2026-11-18T11:07:40Z", "denied_before": true,
    });
    let told_of = told(Payload::BreakGlassOpened(opened.clone()), Some(LINKS));
    assert_eq!((&told_of["type"], &told_of["data"]), (&json!("break_glass.opened"), &expected));
    let refused = pb::BreakGlassOpened { glass_id: String::new(), ..opened };
    assert!(notice(&"pager".parse().unwrap(), &recorded(Payload::BreakGlassOpened(refused)), None).is_none());

    let (glass_id, task_id) = ("the-glass".to_owned(), "the-task".to_owned());
    let (grant_id, decision_id) = ("the-grant".to_owned(), "the-decision".to_owned());
    let used = pb::BreakGlassUsed { glass_id: glass_id.clone(), task_id: task_id.clone(), grant_id, decision_id };
    let expected = json!({
        "position": 7, "break_glass_id": "the-glass", "task_id": "the-task", "grant_id": "the-grant",
        "decision_id": "the-decision",
    });
    let told_of = told(Payload::BreakGlassUsed(used), None);
    assert_eq!((&told_of["type"], &told_of["data"]), (&json!("break_glass.used"), &expected));
    let overdue = pb::BreakGlassReviewOverdue { glass_id, task_id, review_by_ms: 1_795_000_060_000 };
    let expected = json!({
        "position": 7, "break_glass_id": "the-glass", "task_id": "the-task", "review_by": "2026-11-18T11:07:40Z",
    });
    let told_of = told(Payload::BreakGlassReviewOverdue(overdue), None);
    assert_eq!((&told_of["type"], &told_of["data"]), (&json!("break_glass.review_overdue"), &expected));
}

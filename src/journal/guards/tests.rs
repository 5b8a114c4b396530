//! Which event touches what.

use super::*;
use crate::pb::journal::*;

const TASK: &str = "task_00000000000070008000000000000001";
const ROOT: &str = "task_00000000000070008000000000000002";
const GRANT: &str = "grant_00000000000070008000000000000003";
const DECISION: &str = "decision_00000000000070008000000000000005";
const GLASS_ID: &str = "glass_00000000000070008000000000000004";

fn event(payload: Payload) -> Event {
    let actor = Some(Actor { id: "spiffe://td/orchestrator".into(), ..Actor::default() });
    Event { stream: format!("task/{ROOT}"), actor, payload: Some(payload), ..Event::default() }
}

fn decision(outcome: Outcome) -> Option<Decision> {
    Some(Decision { outcome: outcome.into(), ..Decision::default() })
}

fn keys(payload: Payload) -> Vec<GuardKey> {
    let bumped = |touch| if let Touch::Bump { key, .. } = touch { Some(key) } else { None };
    touches(&event(payload)).into_iter().filter_map(bumped).collect()
}

fn task() -> GuardKey {
    GuardKey::task(&TASK.parse().unwrap())
}

fn usage() -> GuardKey {
    GuardKey::usage(&ROOT.parse().unwrap())
}

fn grant() -> GuardKey {
    GuardKey::grant(&GRANT.parse().unwrap())
}

fn request(scope: &str) -> GuardKey {
    GuardKey::request(scope, &"r1".parse().unwrap())
}

fn report() -> GuardKey {
    GuardKey::report(&TASK.parse().unwrap(), "spiffe://td/orchestrator", &"r1".parse().unwrap())
}

fn answered(verdict: Verdict) -> Payload {
    Payload::ApprovalAnswered(ApprovalAnswered { verdict: verdict.into(), ..ApprovalAnswered::default() })
}

fn credential(outcome: Outcome, granted: bool) -> Payload {
    let grant = Grant { grant_id: GRANT.into(), tools: vec!["pay".into()], ..Grant::default() };
    Payload::CredentialDecided(CredentialDecided {
        task_id: TASK.into(),
        request_id: "r1".into(),
        decision: decision(outcome),
        grant: granted.then_some(grant),
        agent: "spiffe://td/agent".into(),
        initiator: "ann".into(),
        ..CredentialDecided::default()
    })
}

fn registration(outcome: Outcome, parent: &str) -> Payload {
    let task = RegisteredTask { task_id: TASK.into(), parent_task_id: parent.into(), ..RegisteredTask::default() };
    let task = (outcome == Outcome::Granted).then_some(task);
    let decision = decision(outcome);
    Payload::TaskDecided(TaskDecided { request_id: "r1".into(), decision, task, ..TaskDecided::default() })
}

fn amended(outcome: Outcome, applied: bool) -> Payload {
    let (task_id, request_id) = (TASK.into(), "r1".into());
    Payload::TaskAmended(TaskAmended {
        task_id,
        request_id,
        decision: decision(outcome),
        applied,
        ..Default::default()
    })
}

fn asked_about_an_amendment() -> Payload {
    Payload::TaskAmended(TaskAmended {
        task_id: TASK.into(),
        request_id: "r1".into(),
        decision: decision(Outcome::Review),
        agent: "spiffe://td/agent".into(),
        initiator: "ann".into(),
        asked_people: Some(AskedPeople::default()),
        ..Default::default()
    })
}

fn reconsidered(effect: Effect) -> Payload {
    let (task_id, grant_id) = (TASK.into(), GRANT.into());
    Payload::GrantReconsidered(GrantReconsidered { task_id, grant_id, effect: effect.into(), ..Default::default() })
}

fn glass() -> GuardKey {
    GuardKey::glass(&GLASS_ID.parse().unwrap())
}

fn opened_glass(id: &str) -> Payload {
    let (glass_id, task_id) = (id.to_owned(), TASK.to_owned());
    Payload::BreakGlassOpened(BreakGlassOpened { glass_id, task_id, ..Default::default() })
}

fn revoked(kind: &str, target: &str) -> Payload {
    Payload::Revoked(Revoked { target_kind: kind.into(), target: target.into(), ..Default::default() })
}

fn lifted(kind: &str, target: &str) -> Payload {
    Payload::BlockLifted(BlockLifted { target_kind: kind.into(), target: target.into(), ..Default::default() })
}

#[test]
fn each_event_touches_what_decisions_rely_on() {
    let agent = GuardKey::agent(&"spiffe://td/agent".parse().unwrap());
    let (initiator, audience) =
        (GuardKey::initiator(&"ann".parse().unwrap()), GuardKey::audience(&"api".parse().unwrap()));
    let tool = "pay".parse().unwrap();
    let duties = [
        GuardKey::agent_duty(&"spiffe://td/agent".parse().unwrap(), &tool),
        GuardKey::initiator_duty(&"ann".parse().unwrap(), &tool),
    ];
    let call = ToolCallReported { task_id: TASK.into(), request_id: "r1".into(), ..Default::default() };
    let signal = SignalReported { task_id: TASK.into(), request_id: "r1".into(), ..Default::default() };
    let ended = TaskEnded { task_id: TASK.into(), ..Default::default() };
    let paused = TaskPaused { task_id: TASK.into(), ..Default::default() };
    let released = GrantReleased { task_id: TASK.into(), grant_id: GRANT.into(), ..Default::default() };
    let (glass_id, task_id) = (GLASS_ID.to_owned(), TASK.to_owned());
    let used = BreakGlassUsed { glass_id: glass_id.clone(), task_id: task_id.clone(), ..Default::default() };
    let grant_ids = vec![GRANT.to_owned()];
    let closed =
        BreakGlassClosed { glass_id: glass_id.clone(), task_id: task_id.clone(), grant_ids, ..Default::default() };
    let overdue = BreakGlassReviewOverdue { glass_id: glass_id.clone(), task_id: task_id.clone(), review_by_ms: 1 };
    let reviewed = BreakGlassReviewed { glass_id, task_id, ..Default::default() };
    let taken_back = ExtensionTakenBack { task_id: TASK.into(), ..Default::default() };
    let pending = [
        GuardKey::pending_of(&"spiffe://td/agent".parse().unwrap()),
        GuardKey::initiator_pending(&"ann".parse().unwrap()),
    ];
    let asked_amendment = vec![usage(), GuardKey::pending_of(&"spiffe://td/orchestrator".parse().unwrap()), pending[1]];
    let (drift, class) = (GuardKey::drift_reference("ai_agent"), || "ai_agent".to_owned());
    let set = DriftReferenceSet { class: class(), ..Default::default() };
    let found = DriftDetected { class: class(), ..Default::default() };
    let over = DriftEnded { class: class(), ..Default::default() };
    let labelled = DecisionLabelled { decision_id: DECISION.into(), ..Default::default() };
    let orchestrator = "spiffe://td/orchestrator";
    let cases = [
        ("a registration", registration(Outcome::Granted, ""), vec![request(orchestrator), task()]),
        ("a sub-task", registration(Outcome::Granted, ROOT), vec![request(orchestrator), task(), usage()]),
        ("a refused registration", registration(Outcome::Denied, ""), vec![request(orchestrator)]),
        ("a registration under review", registration(Outcome::Review, ""), vec![]),
        ("an amendment", amended(Outcome::Granted, true), vec![request(TASK), task(), usage()]),
        ("a refused amendment", amended(Outcome::Denied, false), vec![request(TASK)]),
        ("an amendment under review", amended(Outcome::Review, false), vec![]),
        ("an amendment that people are asked about", asked_about_an_amendment(), asked_amendment),
        ("an answer of people", answered(Verdict::Approved), vec![usage()]),
        ("a denial by people", answered(Verdict::Denied), vec![usage(), GuardKey::denials()]),
        ("an extension taken back", Payload::ExtensionTakenBack(taken_back), vec![task(), usage()]),
        ("a pause", Payload::TaskPaused(paused), vec![task()]),
        ("a resumption", Payload::TaskResumed(TaskResumed { task_id: TASK.into() }), vec![task()]),
        ("an end", Payload::TaskEnded(ended), vec![task()]),
        ("a grant", credential(Outcome::Granted, true), vec![request(TASK), grant(), usage(), duties[0], duties[1]]),
        ("a denial", credential(Outcome::Denied, false), vec![request(TASK)]),
        ("a step-up", credential(Outcome::StepUp, false), vec![]),
        ("a grant that stays", reconsidered(Effect::Kept), vec![]),
        ("a suspension", reconsidered(Effect::Suspended), vec![grant(), usage()]),
        ("a restoration", reconsidered(Effect::Restored), vec![grant(), usage()]),
        ("a revocation by drift", reconsidered(Effect::Revoked), vec![grant(), usage()]),
        ("a release", Payload::GrantReleased(released), vec![grant()]),
        ("a revoked grant", revoked("grant", GRANT), vec![grant()]),
        ("a revoked task", revoked("task", TASK), vec![task()]),
        ("a revoked agent", revoked("agent", "spiffe://td/agent"), vec![agent]),
        ("a revoked initiator", revoked("initiator", "ann"), vec![initiator]),
        ("a revoked audience", revoked("audience", "api"), vec![audience]),
        ("everything revoked", revoked("everything", ""), vec![GuardKey::everything()]),
        ("an unknown target", revoked("galaxy", "x"), vec![GuardKey::everything()]),
        ("a lifted block", lifted("agent", "spiffe://td/agent"), vec![agent]),
        ("a signal", Payload::SignalReported(signal), vec![report(), usage()]),
        ("a report", Payload::ToolCallReported(call), vec![report(), usage()]),
        ("the end of a reconsideration", Payload::FamilyReconsidered(FamilyReconsidered::default()), vec![]),
        ("the end of observing", Payload::ObservingEnded(ObservingEnded::default()), vec![GuardKey::policy()]),
        (
            "a policy",
            Payload::PolicyActivated(PolicyActivated::default()),
            vec![GuardKey::policy(), GuardKey::policy_proposals()],
        ),
        ("a proposed policy", Payload::PolicyProposed(PolicyProposed::default()), vec![GuardKey::policy_proposals()]),
        (
            "a proposal that was taken back",
            Payload::PolicyProposalWithdrawn(PolicyProposalWithdrawn::default()),
            vec![GuardKey::policy_proposals()],
        ),
        ("trust withdrawn", Payload::TrustWithdrawn(TrustWithdrawn::default()), vec![GuardKey::everything()]),
        ("trust restored", Payload::TrustRestored(TrustRestored::default()), vec![GuardKey::everything()]),
        ("a glass", opened_glass(GLASS_ID), vec![usage(), glass()]),
        ("a glass that policy refused", opened_glass(""), vec![usage()]),
        ("the use of a glass", Payload::BreakGlassUsed(used), vec![glass()]),
        ("the closing of a glass", Payload::BreakGlassClosed(closed), vec![usage(), glass(), grant()]),
        ("the review of a glass", Payload::BreakGlassReviewed(reviewed), vec![glass()]),
        ("that nobody reviewed it", Payload::BreakGlassReviewOverdue(overdue), vec![glass()]),
        ("a reference of drift", Payload::DriftReferenceSet(set), vec![drift]),
        ("drift", Payload::DriftDetected(found), vec![drift]),
        ("the end of drift", Payload::DriftEnded(over), vec![drift]),
        ("a label", Payload::DecisionLabelled(labelled), vec![GuardKey::labels(&DECISION.parse().unwrap())]),
        ("a key for reports", Payload::ReportKeyGiven(ReportKeyGiven::default()), vec![]),
        ("a refusal", Payload::Refused(Refused::default()), vec![]),
        ("a start", Payload::BrokerStarted(BrokerStarted::default()), vec![]),
    ];
    for (name, payload, expected) in cases {
        assert_eq!(keys(payload), expected, "{name}");
    }
}

#[test]
fn what_was_only_observed_is_an_answer_for_good() {
    let Payload::CredentialDecided(mut granted) = credential(Outcome::Review, true) else { panic!("a decision") };
    assert!(!keys(Payload::CredentialDecided(granted.clone())).contains(&request(TASK)));
    granted.decision.as_mut().unwrap().instead = Outcome::Granted.into();
    assert!(keys(Payload::CredentialDecided(granted)).contains(&request(TASK)));
}

#[test]
fn names_of_different_shape_make_different_keys() {
    let id = |s: &str| s.parse::<RequestId>().unwrap();
    assert_ne!(GuardKey::request("ab", &id("c")), GuardKey::request("a", &id("bc")));
    assert_ne!(GuardKey::agent(&"spiffe://a".parse().unwrap()), GuardKey::audience(&"spiffe://a".parse().unwrap()));
    assert_ne!(task(), GuardKey::usage(&TASK.parse().unwrap()));
}

#[test]
fn a_registration_and_an_end_are_told_to_the_table() {
    let parent = GuardKey::task(&ROOT.parse().unwrap());
    let told = touches(&event(registration(Outcome::Granted, ROOT)));
    assert!(told.contains(&Touch::Register { task: task(), parent: Some(parent) }));
    let ended = TaskEnded { task_id: TASK.into(), ..Default::default() };
    assert!(touches(&event(Payload::TaskEnded(ended))).contains(&Touch::End { task: task() }));
}

#[test]
fn a_task_that_is_revoked_is_at_its_end() {
    let event = Event { stream: format!("task/{ROOT}"), payload: Some(revoked("task", TASK)), ..Event::default() };
    assert!(touches(&event).contains(&Touch::End { task: task() }), "what it kept may be forgotten");
}

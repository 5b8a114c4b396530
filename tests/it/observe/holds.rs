//! What a bundle that only observes does not lift: all that is no answer of policy.

use carnet::pb::v1;
use carnet::pb::v1::target::Target;
use carnet::pb::v1::{GrantState, Outcome, Verdict};
use serde_json::json;
use tonic::Code;

use super::{LASTS, RULES, broker_observing, enforcing, observed, observing, task_for, with_file};
use crate::people::World;
use crate::support::ask::{AGENT, INTENT, RESOURCE_SERVER, access, ceiling, lifting, revocation};
use crate::support::broker::{Setup, policy_with};
use crate::support::issuer::{ACTING, INITIATING};
use crate::support::pki::id;

#[tokio::test]
async fn tools_tasks_blocks_handles_and_ceilings_hold() {
    let broker = broker_observing("").await;
    let (agent, task) = task_for(&broker, AGENT).await;
    let orchestrator = broker.orchestrator().await;
    let mut unknown = task.step("tickets.read", &json!({}));
    unknown.access = vec![access("no.such", &json!({}))];
    assert_eq!(agent.withheld(unknown).await.1, ["TOOL_UNKNOWN"]);
    // An agent's attempt to break glass is one, and a signal.
    let glass = task.step("break_glass", &json!({}));
    let glass = v1::RequestCredentialRequest { audience: "https://mail.dev.carnet.test".to_owned(), ..glass };
    assert_eq!(agent.withheld(glass).await.1, ["BREAK_GLASS_NOT_FOR_AGENTS"]);
    let mut forged = task.writing();
    forged.task_handle = "carnet-handle-of-nobody".to_owned();
    assert_eq!(agent.request_credential(forged).await.unwrap_err().code, Code::NotFound);

    orchestrator.pause_task(task.pause()).await.unwrap();
    let (outcome, codes) = agent.withheld(task.writing()).await;
    assert_eq!((outcome, codes.contains(&"TASK_PAUSED".to_owned())), (Outcome::Denied, true));
    orchestrator.resume_task(task.resume()).await.unwrap();
    let (granted, _) = observed(&agent, task.writing()).await;

    let operator = broker.operator().await;
    let target = || Target::Agent(id(AGENT).to_string());
    operator.revoke(revocation(target())).await.unwrap();
    let server = broker.caller(RESOURCE_SERVER).await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Revoked, "people revoke as always");
    let (outcome, codes) = agent.withheld(task.writing()).await;
    assert_eq!((outcome, codes.contains(&"BLOCKED".to_owned())), (Outcome::Denied, true), "{codes:?}");
    operator.lift_block(lifting(target())).await.unwrap();

    let bounded = v1::RegisterTaskRequest { ceiling: Some(ceiling(&["tickets.read"])), ..broker.task(INTENT) };
    let bounded = orchestrator.open(bounded).await;
    let (outcome, codes) = agent.withheld(bounded.writing()).await;
    assert_eq!((outcome, codes.contains(&"CEILING_EXCEEDED".to_owned())), (Outcome::Denied, true), "{codes:?}");
    let once = v1::Ceiling {
        tools: vec![v1::ToolCeiling { tool: "files.write".to_owned(), calls_max: Some(1), ..Default::default() }],
        ..v1::Ceiling::default()
    };
    let once = orchestrator.open(v1::RegisterTaskRequest { ceiling: Some(once), ..broker.task(INTENT) }).await;
    observed(&agent, once.writing()).await;
    let (outcome, codes) = agent.withheld(once.writing()).await;
    assert_eq!((outcome, codes.contains(&"CEILING_EXCEEDED".to_owned())), (Outcome::Denied, true), "{codes:?}");
    orchestrator.complete_task(task.complete()).await.unwrap();
    let (outcome, codes) = agent.withheld(task.writing()).await;
    assert_eq!((outcome, codes.contains(&"TASK_ENDED".to_owned())), (Outcome::Denied, true), "{codes:?}");
}

#[tokio::test]
async fn who_proved_no_key_gets_no_token() {
    let clock = carnet::clock::Clock::manual(carnet::clock::Clock::system().now());
    let policy = observing(clock.now().after(LASTS), "");
    let broker = crate::support::broker::TestBroker::with(Setup {
        policy,
        clock: Some(clock),
        bearers: true,
        ..Setup::default()
    });
    let broker = broker.await;
    let task = broker.orchestrator().await.open(broker.task(INTENT)).await;
    let agent = broker.bearer(AGENT).await;
    let (outcome, codes) = agent.withheld(task.reading()).await;
    assert_eq!((outcome, codes), (Outcome::Denied, vec!["KEY_NOT_PROVEN".to_owned()]));
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_withholds() {
    let bad = "@id(\"bad\") @reason(\"FORBIDDEN\") forbid (principal, action in Carnet::Action::\"use\", resource) when { \
               (context.task.age_s + 1) * 9223372036854775807 > 0 && context.caller.svid_age_s * 9223372036854775807 > \
               0 };";
    let clock = carnet::clock::Clock::manual(carnet::clock::Clock::system().now());
    let policy = with_file(&observing(clock.now().after(LASTS), ""), "90-bad.cedar", bad);
    let setup = Setup { policy, clock: Some(clock), ..Setup::default() };
    let broker = crate::support::broker::TestBroker::with(setup).await;
    let (agent, task) = task_for(&broker, AGENT).await;
    broker.advance(std::time::Duration::from_secs(60));
    let (outcome, codes) = agent.withheld(task.reading()).await;
    assert_eq!((outcome, codes), (Outcome::Denied, vec!["POLICY_ERROR".to_owned()]));
}

#[tokio::test]
async fn nobody_is_asked_and_what_a_person_refused_stays_refused() {
    let world = World::set_up(|_| {}, Setup { policy: enforcing(), ..Setup::default() }).await;
    let broker = &world.broker;
    let ann = broker.person(&world.corp.token("1001", ACTING)).await;
    let token = world.corp.token("1001", INITIATING);
    let task = broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = broker.agent().await;
    let asked = agent.request_credential(task.step("calendar.list", &json!({}))).await.unwrap().decision.unwrap();
    assert_eq!(asked.outcome(), Outcome::StepUp);
    let answer = v1::AnswerApprovalRequest {
        approval_id: asked.approval_id.clone(),
        decision_id: asked.decision_id.clone(),
        verdict: Verdict::Deny.into(),
        reason: "no".to_owned(),
    };
    ann.answer_approval(answer).await.unwrap();

    broker.activate(&observing(broker.pki.now().after(LASTS), "")).await;
    let refused = agent.withheld(task.step("calendar.list", &json!({}))).await;
    assert_eq!((refused.0, refused.1.contains(&"APPROVAL_DENIED".to_owned())), (Outcome::Denied, true), "{refused:?}");
    // What nobody refused is granted, with nobody asked.
    let (granted, would_be) = observed(&agent, task.step("mail.search", &json!({}))).await;
    assert_eq!((would_be, granted.decision.approval_id.as_str()), (Outcome::Review, ""));
    let waiting = v1::ListApprovalsRequest { state: v1::ApprovalState::Pending.into(), ..Default::default() };
    assert!(ann.approvals().list_approvals(waiting).await.unwrap().into_inner().approvals.is_empty());
    let other = task.step("calendar.list", &json!({ "day": "2027-01-01" }));
    let (outcome, _) = agent.withheld(other).await;
    assert_eq!(outcome, Outcome::Denied, "the same refusal stands for the same tool and place");
}

#[tokio::test]
async fn a_step_that_the_initiator_would_confirm_is_granted_unasked() {
    let clock = carnet::clock::Clock::system().now();
    let policy = observing(clock.after(LASTS), "");
    let world = World::set_up(|_| {}, Setup { policy, ..Setup::default() }).await;
    let token = world.corp.token("1001", INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let (granted, would_be) = observed(&agent, task.step("calendar.list", &json!({}))).await;
    assert_eq!((granted.decision.outcome(), would_be), (Outcome::Granted, Outcome::StepUp));
}

#[tokio::test]
async fn policy_that_permits_nothing_is_observed_too() {
    let clock = carnet::clock::Clock::manual(carnet::clock::Clock::system().now());
    let only_tasks = policy_with(|path, text| match path {
        "10-permits.cedar" => "// Nothing is permitted.\n".to_owned(),
        "50-risk.cedar" => text + RULES,
        _ => text,
    });
    let until = super::written(clock.now().after(LASTS));
    let policy = with_file(&only_tasks, "observe.toml", &format!("until = {until}\n"));
    let broker =
        crate::support::broker::TestBroker::with(Setup { policy, clock: Some(clock), ..Setup::default() }).await;
    let (agent, task) = task_for(&broker, AGENT).await;
    let (granted, would_be) = observed(&agent, task.reading()).await;
    assert_eq!(
        (would_be, crate::support::ask::codes(&granted.decision)),
        (Outcome::Denied, vec!["NO_PERMIT".to_owned()])
    );
    let lives = granted.grant.expires.unwrap().seconds - granted.grant.issued.unwrap().seconds;
    assert!(lives <= 300, "{lives}");
}

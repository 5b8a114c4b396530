//! People answer what policy does not decide alone: who may, what their answer is good for, and that nobody is worn down.

mod amendments;
mod escalation;
mod good_for;
mod routing;
mod shown;
mod standing;

use std::time::Duration;

use carnet::broker::approvals::ApprovalSettings;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1;
use carnet::pb::v1::watch_approvals_response::Event;
use carnet::pb::v1::{ApprovalState, GrantState, Outcome, Verdict};
use serde_json::json;
use tonic::Code;

use super::people::World;
use super::support::ask::{Granted, INTENT, OpenTask, codes};
use super::support::broker::{Setup, policy_with, shipped_policy};
use super::support::caller::{Caller, Refused};
use super::support::issuer::{ACTING, INITIATING};
use super::support::pki::soon;

/// What the shipped bundle asks a reviewer about: a mail to somebody whom nothing and nobody has named.
fn to_eve(task: &OpenTask) -> v1::RequestCredentialRequest {
    let mail = json!({ "to": ["eve@evil.test"], "subject": "T-1000", "body": "It is solved." });
    task.step("mail.send", &mail)
}

impl World {
    /// One whose people are asked otherwise.
    async fn asking(approvals: ApprovalSettings) -> Self {
        Self::set_up(|_| {}, Setup { approvals, ..Setup::default() }).await
    }

    async fn corp(&self, subject: &str) -> Caller {
        self.broker.person(&self.corp.token(subject, ACTING)).await
    }

    async fn rae(&self) -> Caller {
        self.corp("1005").await
    }

    /// A task that Ann verifiedly initiated, and its agent.
    async fn anns(&self) -> (Caller, OpenTask) {
        let token = self.corp.token("1001", INITIATING);
        let task = self.broker.orchestrator().await.open(self.initiated_by(token)).await;
        (self.broker.agent().await, task)
    }

    /// A request of that task that waits for Ann: private data was read, and this is a way out.
    async fn to_confirm(&self, agent: &Caller, task: &OpenTask) -> v1::Decision {
        agent.granted(task.reading()).await;
        let decision = pending(agent, task.sending()).await;
        assert_eq!(decision.outcome(), Outcome::StepUp, "{decision:?}");
        decision
    }
}

/// Asks for what waits for a person.
async fn pending(agent: &Caller, request: v1::RequestCredentialRequest) -> v1::Decision {
    let answer = agent.request_credential(request).await.unwrap();
    assert!(answer.token.is_empty() && answer.grant.is_none(), "granted: {:?}", answer.decision);
    let decision = answer.decision.unwrap();
    assert!(matches!(decision.outcome(), Outcome::StepUp | Outcome::Review), "{decision:?}");
    assert!(!decision.approval_id.is_empty());
    decision
}

/// Answers what is shown of it now; who is shown nothing, what the agent was told.
async fn answer(person: &Caller, decision: &v1::Decision, verdict: Verdict) -> Result<v1::Approval, Refused> {
    let shown = get(person, &decision.approval_id).await.ok().and_then(|shown| shown.approval);
    let request = v1::AnswerApprovalRequest {
        approval_id: decision.approval_id.clone(),
        decision_id: shown.map_or_else(|| decision.decision_id.clone(), |shown| shown.decision_id),
        verdict: verdict.into(),
        reason: "because".to_owned(),
    };
    Ok(person.answer_approval(request).await?.approval.unwrap())
}

async fn approve(person: &Caller, decision: &v1::Decision) -> v1::Approval {
    answer(person, decision, Verdict::Approve).await.unwrap()
}

async fn refused(person: &Caller, decision: &v1::Decision) -> (Code, String) {
    let refused = answer(person, decision, Verdict::Approve).await.unwrap_err();
    (refused.code, refused.reason)
}

async fn get(person: &Caller, approval_id: &str) -> Result<v1::GetApprovalResponse, Refused> {
    let request = v1::GetApprovalRequest { approval_id: approval_id.to_owned() };
    Ok(person.approvals().get_approval(request).await?.into_inner())
}

async fn listed(person: &Caller, state: ApprovalState) -> Vec<v1::Approval> {
    let request = v1::ListApprovalsRequest { state: state.into(), ..v1::ListApprovalsRequest::default() };
    person.approvals().list_approvals(request).await.unwrap().into_inner().approvals
}

async fn state(person: &Caller, approval_id: &str) -> ApprovalState {
    get(person, approval_id).await.unwrap().approval.unwrap().state()
}

fn not_permitted(code: &str) -> (Code, String) {
    (Code::PermissionDenied, code.to_owned())
}

#[tokio::test]
async fn the_initiator_who_authenticates_afresh_confirms_and_the_agents_next_try_is_granted() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let before = world.ann().await;
    let request = task.sending();
    agent.granted(task.reading()).await;
    let decision = pending(&agent, request.clone()).await;
    assert_eq!((decision.outcome(), codes(&decision)), (Outcome::StepUp, vec!["TAINTED_EXIT".to_owned()]));

    world.broker.advance(Duration::from_secs(2));
    let stale = (Code::Unauthenticated, "AUTHENTICATION_STALE".to_owned());
    assert_eq!(refused(&before, &decision).await, stale, "who authenticated before it was asked");
    assert_eq!(refused(&world.rae().await, &decision).await, not_permitted("NOT_INITIATOR"));
    let again = pending(&agent.again(), request.clone()).await;
    assert_eq!(again.approval_id, decision.approval_id, "a retry is the same question");

    let approval = approve(&world.ann().await, &decision).await;
    assert_eq!((approval.state(), approval.votes[0].person.as_str()), (ApprovalState::Approved, "ann@example.org"));
    let granted = agent.granted(request).await;
    assert_eq!(granted.decision.approval_id, decision.approval_id);
    let ann = world.ann().await;
    let used = get(&ann, &decision.approval_id).await.unwrap().approval.unwrap();
    assert_eq!((used.state(), used.grant_id.as_str()), (ApprovalState::Used, granted.id()));
    // It is used once.
    let next = pending(&agent, task.sending()).await;
    assert_ne!(next.approval_id, decision.approval_id);
}

#[tokio::test]
async fn a_reviewer_who_is_independent_approves_and_nobody_else() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(decision.outcome(), Outcome::Review);
    let may_not = |code| not_permitted(code);
    assert_eq!(refused(&world.ann().await, &decision).await, may_not("NOT_INDEPENDENT"), "who initiated it");
    assert_eq!(refused(&world.corp("1002").await, &decision).await, may_not("RIGHT_MISSING"), "who may only read");
    assert_eq!(refused(&world.corp("1003").await, &decision).await.0, Code::NotFound, "who may not even see it");
    assert_eq!(refused(&agent, &decision).await, may_not("METHOD_NOT_ALLOWED"));
    let operator = world.broker.operator().await;
    assert_eq!(refused(&operator, &decision).await, may_not("METHOD_NOT_ALLOWED"));
    let long_ago = world.corp.stale_token("1005", ACTING, Duration::from_secs(3600));
    let long_ago = world.broker.person(&long_ago).await;
    assert_eq!(refused(&long_ago, &decision).await.0, Code::Unauthenticated);

    let rae = world.rae().await;
    approve(&rae, &decision).await;
    let granted = agent.granted(to_eve(&task)).await;
    assert_eq!(granted.decision.approval_id, decision.approval_id, "another request id finds it too");
    let closed = answer(&rae, &decision, Verdict::Deny).await.unwrap_err();
    assert_eq!((closed.code, closed.reason.as_str()), (Code::FailedPrecondition, "APPROVAL_CLOSED"));

    let events = world.broker.record.of_kind("approval_answered").await;
    assert_eq!(events[0].actor.id, "rae@example.org");
    assert_eq!(events[0].actor.person.as_ref().unwrap().acr, "urn:mfa");
    let record = operator.decision(&granted.decision.decision_id).await.unwrap();
    assert!(
        record.facts_json.contains("rae@example.org"),
        "who approved it stands in the facts: {}",
        record.facts_json
    );
}

#[tokio::test]
async fn a_named_initiator_confirms_nothing_and_reviews_nothing() {
    let world = World::new().await;
    let named = v1::RegisterTaskRequest { initiator: "ann@example.org".to_owned(), ..world.broker.task(INTENT) };
    let task = world.broker.orchestrator().await.open(named).await;
    let agent = world.broker.agent().await;
    agent.granted(task.reading()).await;
    let decision = pending(&agent, task.sending()).await;
    assert_eq!(decision.outcome(), Outcome::Review, "nobody was verified who could confirm it");
    world.broker.advance(Duration::from_secs(2));
    assert_eq!(refused(&world.ann().await, &decision).await, not_permitted("NOT_INDEPENDENT"));
    approve(&world.rae().await, &decision).await;
    agent.granted(task.sending()).await;
}

#[tokio::test]
async fn two_reviews_take_two_people_and_those_who_answer_for_the_agent_are_not_enough() {
    let policy = policy_with(|path, text| match path {
        "20-provenance.cedar" => text.replace("@id(\"sink-unseen\")", "@id(\"sink-unseen\")\n@approvals(\"2\")"),
        "identities.toml" => text.replace("owner = \"group:agents\"", "owner = \"rae@example.org\""),
        _ => text,
    });
    assert_ne!(policy, shipped_policy());
    let world = World::set_up(|_| {}, Setup { policy, ..Setup::default() }).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(decision.approvals_needed, 2);
    let approval = approve(&world.rae().await, &decision).await;
    assert_eq!(approval.state(), ApprovalState::Pending);
    let elsewhere = world.broker.person(&world.partner.token("rae", ACTING)).await;
    assert_eq!(refused(&elsewhere, &decision).await, not_permitted("NOT_INDEPENDENT"), "the same person");
    assert_eq!(pending(&agent, to_eve(&task)).await.approval_id, decision.approval_id);
    assert_eq!(approve(&world.corp("1006").await, &decision).await.state(), ApprovalState::Approved);
    agent.granted(to_eve(&task)).await;
}

#[tokio::test]
async fn the_owner_of_the_agent_alone_approves_nothing() {
    let policy = policy_with(|path, text| match path {
        "identities.toml" => text.replace("owner = \"group:agents\"", "owner = \"rae@example.org\""),
        _ => text,
    });
    let world = World::set_up(|_| {}, Setup { policy, ..Setup::default() }).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(decision.approvals_needed, 1);
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Pending);
    assert_eq!(approve(&world.corp("1006").await, &decision).await.state(), ApprovalState::Approved);
}

#[tokio::test]
async fn what_waits_and_what_was_said_outlives_a_restart() {
    let mut world = World::new().await;
    let (agent, task) = world.anns().await;
    let first = pending(&agent, to_eve(&task)).await;
    let mail = json!({ "to": ["mallory@evil.test"], "subject": "s", "body": "b" });
    let second = pending(&agent, task.step("mail.send", &mail)).await;
    approve(&world.rae().await, &first).await;
    world.broker.restart().await;
    let (agent, rae) = (world.broker.agent().await, world.rae().await);
    let granted: Granted = agent.granted(to_eve(&task)).await;
    assert_eq!(granted.decision.approval_id, first.approval_id);
    assert_eq!(listed(&rae, ApprovalState::Pending).await[0].approval_id, second.approval_id);
    answer(&rae, &second, Verdict::Deny).await.unwrap();
    world.broker.restart().await;
    let agent = world.broker.agent().await;
    let (outcome, reasons) = agent.withheld(task.step("mail.send", &mail)).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "APPROVAL_DENIED"));
}

#[tokio::test]
async fn who_is_asked_sees_what_would_be_granted_and_where_each_value_comes_from() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let shown = get(&world.rae().await, &decision.approval_id).await.unwrap();
    let approval = shown.approval.unwrap();
    assert_eq!((approval.tools, approval.may_approve, approval.may_deny), (vec!["mail.send".to_owned()], true, true));
    assert!(approval.doubts[0].contains("`to`"), "{:?}", approval.doubts);
    let record = shown.record.unwrap();
    assert_eq!((record.intent.as_str(), record.purpose.as_str()), (INTENT, "the next step"));
    let sink = &record.access[0].sinks[0];
    assert_eq!((sink.name.as_str(), sink.value.as_str()), ("to", "eve@evil.test"));
    assert_eq!(sink.provenance(), v1::Provenance::None);
    assert_eq!(shown.would_cover[0].tool, "mail.send");
    assert!(shown.would_cover[0].arguments_json.contains("eve@evil.test"));
    assert!(shown.ttl_max_s > 0);

    // The initiator sees it, and may deny, not approve; who reads the record sees it; nobody else does.
    let own = get(&world.ann().await, &decision.approval_id).await.unwrap().approval.unwrap();
    assert_eq!((own.may_approve, own.may_deny), (false, true));
    assert!(!get(&world.corp("1002").await, &decision.approval_id).await.unwrap().approval.unwrap().may_deny);
    let rita = world.corp("1003").await;
    assert_eq!(get(&rita, &decision.approval_id).await.unwrap_err().code, Code::NotFound);
    assert!(listed(&rita, ApprovalState::Pending).await.is_empty());
    assert_eq!(listed(&world.ann().await, ApprovalState::Pending).await.len(), 1);
    assert_eq!(listed(&world.broker.operator().await, ApprovalState::Pending).await.len(), 1);
}

#[tokio::test]
async fn a_live_grant_keeps_its_approval_until_something_new_is_in_doubt() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = world.to_confirm(&agent, &task).await;
    world.broker.advance(Duration::from_secs(2));
    approve(&world.ann().await, &decision).await;
    let granted = agent.granted(task.sending()).await;
    let server = world.broker.resource_server().await;
    // Another grant has the family decided again: the approval still cures what was shown.
    agent.granted(task.reading()).await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live);
    let renewed = agent.renew_credential(task.renewal(granted.id())).await.unwrap();
    assert_eq!(renewed.decision.unwrap().approval_id, decision.approval_id, "and its renewal");
    // Other data than was shown is another doubt.
    world.broker.scorer().await.report_signal(task.signal("injection_suspected", 45)).await.unwrap();
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended, "in a higher band");
}

#[tokio::test]
async fn what_happens_to_approvals_is_followed_by_those_who_may_see_it() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let rae = world.rae().await;
    let watch = |caller: Caller, after| async move {
        caller.approvals().watch_approvals(v1::WatchApprovalsRequest { after }).await.unwrap().into_inner()
    };
    let mut stream = watch(rae.clone(), 0).await;
    let mut blind = watch(world.corp("1003").await, 0).await;
    let first = told(&mut stream).await;
    assert_eq!((first.approval_id.as_str(), first.state()), (decision.approval_id.as_str(), ApprovalState::Pending));
    approve(&rae, &decision).await;
    let second = told(&mut stream).await;
    assert_eq!(second.state(), ApprovalState::Approved);
    drop(stream);
    agent.granted(to_eve(&task)).await;
    let mut resumed = watch(rae.clone(), second.position).await;
    assert_eq!(told(&mut resumed).await.state(), ApprovalState::Used, "nothing is missed in between");
    let message = soon(blind.message()).await.unwrap().unwrap();
    assert!(matches!(message.event, Some(Event::Heartbeat(_))), "{message:?}");
}

async fn told(stream: &mut tonic::Streaming<v1::WatchApprovalsResponse>) -> v1::Approval {
    soon(async {
        loop {
            if let Some(Event::Approval(approval)) = stream.message().await.unwrap().unwrap().event {
                break approval;
            }
        }
    })
    .await
}

#[tokio::test]
async fn the_end_of_a_task_closes_what_waits_for_it() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    world.broker.orchestrator().await.complete_task(task.complete()).await.unwrap();
    let rae = world.rae().await;
    assert_eq!(refused(&rae, &decision).await.1, "APPROVAL_CLOSED");
    assert_eq!(state(&rae, &decision.approval_id).await, ApprovalState::Closed);
}

#[tokio::test]
async fn a_malformed_answer_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let good = v1::AnswerApprovalRequest {
        approval_id: decision.approval_id.clone(),
        decision_id: decision.decision_id.clone(),
        verdict: Verdict::Approve.into(),
        reason: String::new(),
    };
    let rae = world.rae().await;
    for (name, request, code, reason) in [
        (
            "no approval",
            v1::AnswerApprovalRequest { approval_id: String::new(), ..good.clone() },
            Code::InvalidArgument,
            "INVALID_ARGUMENT",
        ),
        (
            "no decision",
            v1::AnswerApprovalRequest { decision_id: "x".to_owned(), ..good.clone() },
            Code::InvalidArgument,
            "INVALID_ARGUMENT",
        ),
        (
            "no verdict",
            v1::AnswerApprovalRequest { verdict: 0, ..good.clone() },
            Code::InvalidArgument,
            "INVALID_ARGUMENT",
        ),
        (
            "an unknown verdict",
            v1::AnswerApprovalRequest { verdict: 9, ..good.clone() },
            Code::InvalidArgument,
            "INVALID_ARGUMENT",
        ),
        (
            "a long reason",
            v1::AnswerApprovalRequest { reason: "x".repeat(3000), ..good.clone() },
            Code::InvalidArgument,
            "LIMIT_EXCEEDED",
        ),
        (
            "another decision",
            v1::AnswerApprovalRequest { decision_id: format!("decision_{}", "0".repeat(32)), ..good.clone() },
            Code::FailedPrecondition,
            "APPROVAL_CHANGED",
        ),
        (
            "another approval",
            v1::AnswerApprovalRequest { approval_id: format!("approval_{}", "0".repeat(32)), ..good.clone() },
            Code::NotFound,
            "NOT_FOUND",
        ),
    ] {
        let refused = rae.answer_approval(request).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (code, reason), "{name}");
    }
    assert_eq!(state(&rae, &decision.approval_id).await, ApprovalState::Pending);
    let events = world.broker.record.since(0).await;
    assert!(!events.iter().any(|event| matches!(event.payload, Payload::ApprovalAnswered(_))));
}

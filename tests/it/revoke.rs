//! Ends: complete, cancel and revoke. When they return, everything below is revoked, durable, and stays so.

use carnet::pb::journal::event::Payload;
use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{Everything, GrantState, ListBlocksRequest, Outcome, TaskState};
use tonic::Code;

use super::support::ask::{
    AGENT, INITIATOR, INTENT, ORCHESTRATOR, OTHER_ORCHESTRATOR, OpenTask, RESOURCE_SERVER, SECOND_AGENT,
    TICKETS_SERVER, ceiling, codes, lifting, revocation,
};
use super::support::broker::{TestBroker, policy_with};
use super::support::caller::unique;
use super::support::pki::id;

#[tokio::test]
async fn invariant_5_the_end_is_the_end() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let server = broker.resource_server().await;
    for end in ["complete", "cancel", "revoke"] {
        let task = orchestrator.open(broker.task(INTENT)).await;
        let (written, read) = (agent.granted(task.writing()).await, agent.granted(task.reading()).await);
        let revoked = match end {
            "complete" => orchestrator.complete_task(task.complete()).await.unwrap().grants_revoked,
            "cancel" => orchestrator.cancel_task(task.cancel()).await.unwrap().grants_revoked,
            _ => orchestrator.revoke(revocation(Named::TaskId(task.id.clone()))).await.unwrap().grants_revoked,
        };
        assert_eq!(revoked, 2, "{end}");
        for granted in [&read, &written] {
            assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Revoked, "{end}");
        }
        let refused = agent.renew_credential(task.renewal(read.id())).await.unwrap_err();
        assert_eq!(refused.code, Code::FailedPrecondition, "{end}");
        let (outcome, reasons) = agent.withheld(task.reading()).await;
        assert_eq!((outcome, reasons), (Outcome::Denied, vec!["TASK_ENDED".to_owned()]), "{end}");
    }
}

#[tokio::test]
async fn a_retry_does_not_bring_back_a_token_that_was_revoked() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let request = task.reading();
    agent.granted(request.clone()).await;
    orchestrator.complete_task(task.complete()).await.unwrap();
    let refused = agent.request_credential(request).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "GRANT_REVOKED"));
}

#[tokio::test]
async fn an_end_that_is_repeated_changes_nothing_and_another_end_is_not_pretended() {
    let broker = TestBroker::start().await;
    let (orchestrator, _, task) = broker.at_work().await;
    orchestrator.complete_task(task.complete()).await.unwrap();
    let again = orchestrator.again().complete_task(task.complete()).await.unwrap();
    assert_eq!(again.task.unwrap().state(), TaskState::Completed);
    let refused = orchestrator.cancel_task(task.cancel()).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "TASK_ENDED"));
    for refused in [
        orchestrator.pause_task(task.pause()).await.unwrap_err(),
        orchestrator.resume_task(task.resume()).await.unwrap_err(),
    ] {
        assert_eq!(refused.reason, "TASK_ENDED");
    }
}

#[tokio::test]
async fn a_deadline_ends_a_task_by_itself() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let mut registration = broker.task("Read ticket T-1000.");
    registration.deadline = Some(broker.at(std::time::Duration::from_secs(60)));
    let task = orchestrator.open(registration).await;
    let granted = agent.granted(task.reading()).await;
    broker.advance(std::time::Duration::from_secs(61));
    let (outcome, _) = agent.withheld(task.reading()).await;
    assert_eq!(outcome, Outcome::Denied, "even before anybody has written that it is over");
    broker.sweep().await;
    assert_eq!(orchestrator.task(&task.id, "").await.unwrap().state(), TaskState::Expired);
    assert_ne!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Live);
}

#[tokio::test]
async fn only_its_orchestrator_ends_a_task() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let other = broker.caller(OTHER_ORCHESTRATOR).await;
    for refused in [
        other.complete_task(task.complete()).await.unwrap_err(),
        other.cancel_task(task.cancel()).await.unwrap_err(),
        other.pause_task(task.pause()).await.unwrap_err(),
        other.resume_task(task.resume()).await.unwrap_err(),
        other.revoke(revocation(Named::TaskId(task.id.clone()))).await.unwrap_err(),
        other.revoke(revocation(Named::GrantId(granted.id().to_owned()))).await.unwrap_err(),
        agent.complete_task(task.complete()).await.unwrap_err(),
        other.task(&task.id, "").await.unwrap_err(),
    ] {
        assert_eq!(refused.code, Code::NotFound, "{refused:?}");
    }
    assert_eq!(agent.grant(granted.id(), &task.handle).await.unwrap().state(), GrantState::Live);
    orchestrator.complete_task(task.complete()).await.unwrap();
}

#[tokio::test]
async fn one_grant_is_revoked_and_its_neighbour_lives() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let (first, second) = (agent.granted(task.reading()).await, agent.granted(task.reading()).await);
    let named = Named::GrantId(first.id().to_owned());
    let answer = orchestrator.revoke(revocation(named.clone())).await.unwrap();
    assert_eq!((answer.grants_revoked, answer.blocked), (1, false));
    assert_eq!(orchestrator.again().revoke(revocation(named)).await.unwrap().grants_revoked, 0);
    let server = broker.resource_server().await;
    assert_eq!(server.standing(first.id()).await.unwrap(), GrantState::Revoked);
    assert_eq!(server.standing(second.id()).await.unwrap(), GrantState::Live);
}

#[tokio::test]
async fn revoking_somebody_leaves_a_block_until_it_is_lifted() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, operator) = (broker.orchestrator().await, broker.agent().await, broker.operator().await);
    let server = broker.resource_server().await;
    let tickets = "https://tickets.dev.carnet.test".to_owned();
    let rows = [
        Named::Agent(id(AGENT).to_string()),
        Named::Initiator(INITIATOR.to_owned()),
        Named::Audience(tickets),
        Named::Everything(Everything {}),
    ];
    for named in rows {
        let task = orchestrator.open(broker.task("Read ticket T-1000.")).await;
        let granted = agent.granted(task.reading()).await;
        let answer = operator.revoke(revocation(named.clone())).await.unwrap();
        assert!(answer.blocked && answer.grants_revoked >= 1, "{named:?}: {answer:?}");
        assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Revoked, "{named:?}");
        let (outcome, reasons) = agent.withheld(task.reading()).await;
        assert_eq!((outcome, reasons), (Outcome::Denied, vec!["BLOCKED".to_owned()]), "{named:?}");
        let blocks = operator.revocations().list_blocks(ListBlocksRequest {}).await.unwrap().into_inner().blocks;
        assert_eq!(blocks.len(), 1, "{named:?}");
        assert_eq!(blocks[0].target.as_ref().unwrap().target.as_ref(), Some(&named));

        operator.lift_block(lifting(named.clone())).await.unwrap();

        assert_eq!(
            server.standing(granted.id()).await.unwrap(),
            GrantState::Revoked,
            "{named:?}: what died stays dead"
        );
        agent.granted(task.reading()).await;
        let refused = operator.lift_block(lifting(named.clone())).await.unwrap_err();
        assert_eq!(refused.code, Code::NotFound, "{named:?}");
    }
}

#[tokio::test]
async fn what_is_revoked_is_not_recorded_again() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, operator) = (broker.orchestrator().await, broker.agent().await, broker.operator().await);
    for nth in ["revoked", "revoked after its block was lifted"] {
        let task = orchestrator.open(broker.task("Read ticket T-1000.")).await;
        let granted = agent.granted(task.reading()).await;
        let rows = [
            (&orchestrator, Named::GrantId(granted.id().to_owned())),
            (&orchestrator, Named::TaskId(task.id.clone())),
            (&operator, Named::Agent(id(AGENT).to_string())),
            (&operator, Named::Initiator(INITIATOR.to_owned())),
            (&operator, Named::Audience("https://tickets.dev.carnet.test".to_owned())),
            (&operator, Named::Everything(Everything {})),
        ];
        for (caller, named) in &rows {
            let first = caller.revoke(revocation(named.clone())).await.unwrap();
            for _ in 0..3 {
                let again = caller.again().revoke(revocation(named.clone())).await.unwrap();
                let stands = if first.blocked { first.position } else { 0 };
                let told = (again.grants_revoked, again.position, again.blocked);
                assert_eq!(told, (0, stands, first.blocked), "{named:?}, {nth}");
            }
        }
        for (_, named) in rows.into_iter().skip(2) {
            operator.lift_block(lifting(named)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_task_that_ended_otherwise_is_not_revoked_on_record() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    agent.granted(task.reading()).await;
    orchestrator.complete_task(task.complete()).await.unwrap();
    let answer = orchestrator.again().revoke(revocation(Named::TaskId(task.id.clone()))).await.unwrap();
    assert_eq!((answer.grants_revoked, answer.blocked), (0, false));
}

#[tokio::test]
async fn a_blocked_agent_gets_no_new_tasks() {
    let broker = TestBroker::start().await;
    let (orchestrator, operator) = (broker.orchestrator().await, broker.operator().await);
    operator.revoke(revocation(Named::Agent(id(AGENT).to_string()))).await.unwrap();
    let answer = orchestrator.register_task(broker.task("Read ticket T-1000.")).await.unwrap();
    let decision = answer.decision.unwrap();
    assert_eq!(decision.outcome(), Outcome::Denied);
    assert_eq!(codes(&decision), ["BLOCKED"]);
    assert!(answer.task.is_none() && answer.task_handle.is_empty());
}

#[tokio::test]
async fn what_runs_below_the_task_of_a_blocked_agent_gets_nothing_more() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, operator) = (broker.orchestrator().await, broker.agent().await, broker.operator().await);
    let helper = broker.caller(SECOND_AGENT).await;
    let parent = orchestrator.open(broker.task(INTENT)).await;
    let below = |parent: &OpenTask| carnet::pb::v1::RegisterTaskRequest {
        parent_task_id: parent.id.clone(),
        parent_task_handle: parent.handle.clone(),
        agent: id(SECOND_AGENT).to_string(),
        ..broker.task("Help with it.")
    };
    let child = agent.open(below(&parent)).await;
    let granted = helper.granted(child.reading()).await;
    let blocked = Named::Agent(id(AGENT).to_string());
    operator.revoke(revocation(blocked.clone())).await.unwrap();

    assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Revoked);
    let denied = (Outcome::Denied, vec!["BLOCKED".to_owned()]);
    assert_eq!(
        helper.withheld(child.reading()).await,
        denied,
        "the sub-task's agent is not blocked, but what it works for"
    );
    for (who, caller, parent) in [
        ("the blocked agent delegates", &agent, &parent),
        ("the agent below it delegates", &helper, &child),
        ("the orchestrator delegates below it", &orchestrator, &parent),
    ] {
        let decision = caller.register_task(below(parent)).await.unwrap().decision.unwrap();
        assert_eq!((decision.outcome(), codes(&decision)), denied, "{who}");
    }

    operator.lift_block(lifting(blocked)).await.unwrap();
    helper.granted(child.reading()).await;
    agent.open(below(&parent)).await;
}

#[tokio::test]
async fn a_blocked_orchestrator_registers_and_amends_nothing_and_still_ends() {
    let broker = TestBroker::start().await;
    let (orchestrator, _, task) = broker.at_work().await;
    let blocked = Named::Agent(id(ORCHESTRATOR).to_string());
    broker.operator().await.revoke(revocation(blocked)).await.unwrap();
    let decision = orchestrator.register_task(broker.task(INTENT)).await.unwrap().decision.unwrap();
    assert_eq!((decision.outcome(), codes(&decision)), (Outcome::Denied, vec!["BLOCKED".to_owned()]));
    let amendment = carnet::pb::v1::AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(ceiling(&["tickets.read"])),
        ..Default::default()
    };
    let decision = orchestrator.amend_task(amendment).await.unwrap().decision.unwrap();
    assert_eq!((decision.outcome(), codes(&decision)), (Outcome::Denied, vec!["BLOCKED".to_owned()]));
    orchestrator.complete_task(task.complete()).await.unwrap();
}

#[tokio::test]
async fn what_the_policy_knows_of_an_agent_no_more_or_as_another_class_it_keeps_no_grant_for() {
    let drop = |text: String| text.replace("/agent/*\"", &format!("{SECOND_AGENT}\""));
    let lower = |text: String| {
        let pattern = id(AGENT);
        format!("{text}\n[[identity]]\npattern = \"{pattern}\"\nclass = \"scorer\"\nowner = \"group:agents\"\n")
    };
    type Change = Box<dyn Fn(String) -> String>;
    let changes: [(&str, Change, &str); 2] =
        [("dropped", Box::new(drop), "IDENTITY_UNKNOWN"), ("another class", Box::new(lower), "NO_PERMIT")];
    for (name, change, code) in changes {
        let broker = TestBroker::start().await;
        let (_, agent, task) = broker.at_work().await;
        let granted = agent.granted(task.reading()).await;
        let bundle = policy_with(|path, text| if path == "identities.toml" { change(text) } else { text });
        let answer = broker.activate(&bundle).await;
        assert_eq!(answer.grants_revoked, 1, "{name}");
        assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Revoked, "{name}");
        let reconsidered = broker.record.of_kind("grant_reconsidered").await;
        let Payload::GrantReconsidered(event) = &reconsidered[0].payload else { unreachable!() };
        let reasons = &event.decision.as_ref().unwrap().reasons;
        assert!(reasons.iter().any(|reason| reason.code == code), "{name}: {reasons:?}");
    }
}

#[tokio::test]
async fn only_the_operator_revokes_more_than_a_task() {
    let broker = TestBroker::start().await;
    let orchestrator = broker.orchestrator().await;
    let rows = [
        Named::Agent(id(AGENT).to_string()),
        Named::Initiator(INITIATOR.to_owned()),
        Named::Audience("https://tickets.dev.carnet.test".to_owned()),
        Named::Everything(Everything {}),
    ];
    for named in rows {
        let refused = orchestrator.revoke(revocation(named.clone())).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::PermissionDenied, "METHOD_NOT_ALLOWED"),
            "{named:?}"
        );
    }
    for path in [AGENT, RESOURCE_SERVER] {
        let caller = broker.caller(path).await;
        let refused = caller.revoke(revocation(Named::Everything(Everything {}))).await.unwrap_err();
        assert_eq!(refused.reason, "METHOD_NOT_ALLOWED", "{path}");
    }
}

#[tokio::test]
async fn a_grant_is_shown_to_those_whom_it_concerns() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let (written, read) = (agent.granted(task.writing()).await, agent.granted(task.reading()).await);
    let tickets = broker.caller(TICKETS_SERVER).await;
    assert_eq!(tickets.grant(written.id(), "").await.unwrap_err().code, Code::NotFound, "a grant for another audience");
    assert_eq!(agent.grant(written.id(), "").await.unwrap_err().code, Code::NotFound, "without the handle");
    let other = broker.caller(OTHER_ORCHESTRATOR).await;
    assert_eq!(other.grant(written.id(), "").await.unwrap_err().code, Code::NotFound, "another orchestrator");
    tickets.grant(read.id(), "").await.unwrap();
    agent.grant(written.id(), &task.handle).await.unwrap();
    orchestrator.grant(written.id(), "").await.unwrap();
}

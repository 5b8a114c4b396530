//! What is not the caller's looks as if it did not exist, and that it was asked for is on record, whichever RPC names it.

use carnet::pb::v1;
use carnet::pb::v1::target::Target as Named;
use serde_json::json;
use tonic::Code;

use crate::support::ask::{AGENT, OTHER_ORCHESTRATOR, SECOND_AGENT, TICKETS_SERVER, revocation};
use crate::support::broker::{Setup, TestBroker, policy_with};
use crate::support::caller::{Refused, unique};
use crate::support::pki::id;

/// What an RPC answered, by its name.
type Tried = (&'static str, Result<(), Refused>);

/// Holds that each was answered as if there were nothing, and that the record names who asked, how, for which task, and why not.
async fn noted(broker: &TestBroker, tried: Vec<Tried>, subject: &str, task: &str, code: &str) {
    broker.sweep().await;
    let refusals = broker.record.refusals().await;
    for (rpc, answer) in tried {
        let refused = answer.expect_err(rpc);
        assert_eq!((refused.code, refused.reason.as_str()), (Code::NotFound, "NOT_FOUND"), "{rpc}: {refused:?}");
        let noted = refusals.iter().any(|r| {
            (r.subject.as_str(), r.rpc.as_str(), r.task_id.as_str(), r.code.as_str()) == (subject, rpc, task, code)
        });
        assert!(noted, "{rpc} left nothing: {refusals:?}");
    }
}

fn done<T>(answer: Result<T, Refused>) -> Result<(), Refused> {
    answer.map(|_| ())
}

#[tokio::test]
async fn another_orchestrators_task_is_hidden_and_the_attempt_is_on_record() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let grant = agent.granted(task.reading()).await.id().to_owned();
    let other = broker.caller(OTHER_ORCHESTRATOR).await;
    let below =
        v1::RegisterTaskRequest { parent_task_id: task.id.clone(), initiator: String::new(), ..broker.task("Read.") };
    let amendment = v1::AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        deadline: Some(broker.at(std::time::Duration::from_secs(60))),
        ..v1::AmendTaskRequest::default()
    };
    let tried = vec![
        ("GetTask", done(other.task(&task.id, "").await)),
        ("GetGrant", done(other.grant(&grant, "").await)),
        ("RegisterTask", done(other.register_task(below).await)),
        ("AmendTask", done(other.amend_task(amendment).await)),
        ("PauseTask", done(other.pause_task(task.pause()).await)),
        ("ResumeTask", done(other.resume_task(task.resume()).await)),
        ("CompleteTask", done(other.complete_task(task.complete()).await)),
        ("CancelTask", done(other.cancel_task(task.cancel()).await)),
        ("Revoke", done(other.revoke(revocation(Named::GrantId(grant.clone()))).await)),
        ("Revoke", done(other.revoke(revocation(Named::TaskId(task.id.clone()))).await)),
    ];
    noted(&broker, tried, id(OTHER_ORCHESTRATOR).as_str(), &task.id, "NOT_FOUND").await;
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn a_wrong_handle_is_on_record_whichever_rpc_it_is_shown_to() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let grant = agent.granted(task.reading()).await.id().to_owned();
    let mut guess = task.clone();
    guess.handle = "A".repeat(43);
    let below = v1::RegisterTaskRequest {
        parent_task_id: task.id.clone(),
        parent_task_handle: guess.handle.clone(),
        initiator: String::new(),
        agent: id(SECOND_AGENT).to_string(),
        ..broker.task("Read.")
    };
    let call = v1::ReportToolCallRequest {
        task_handle: guess.handle.clone(),
        ..task.report(&grant, "tickets.read", &json!({ "ticket_id": "T-1000" }), &json!({}))
    };
    let tried = vec![
        ("GetTask", done(agent.task(&task.id, &guess.handle).await)),
        ("GetTask", done(agent.task(&task.id, "").await)),
        ("GetGrant", done(agent.grant(&grant, &guess.handle).await)),
        ("RegisterTask", done(agent.register_task(below).await)),
        ("RequestCredential", done(agent.request_credential(guess.reading()).await)),
        ("RenewCredential", done(agent.renew_credential(guess.renewal(&grant)).await)),
        ("ReleaseCredential", done(agent.release_credential(guess.release(&grant)).await)),
        ("ReportToolCall", done(agent.report_tool_call(call).await)),
    ];
    noted(&broker, tried, id("/agent/triage").as_str(), &task.id, "HANDLE_WRONG").await;
}

#[tokio::test]
async fn a_resource_server_that_reaches_for_anothers_grant_is_on_record() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let grant = agent.granted(task.sending()).await.id().to_owned();
    let tickets = broker.caller(TICKETS_SERVER).await;
    let call = task.report(&grant, "mail.send", &json!({ "to": ["bob@example.org"] }), &json!({}));
    let tried = vec![
        ("GetGrant", done(tickets.grant(&grant, "").await)),
        ("ReportToolCall", done(tickets.report_tool_call(call).await)),
    ];
    noted(&broker, tried, id(TICKETS_SERVER).as_str(), &task.id, "NOT_FOUND").await;
}

/// Neither of an agent with one SPIFFE ID and two tasks, nor of another agent.
#[tokio::test]
async fn another_tasks_grant_beside_the_right_handle_is_on_record_and_no_guess_at_a_handle() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let grant = agent.granted(task.reading()).await.id().to_owned();
    for path in [AGENT, SECOND_AGENT] {
        let caller = broker.caller(path).await;
        let own = v1::RegisterTaskRequest { agent: id(path).to_string(), ..broker.task("Read ticket T-1000.") };
        let own = orchestrator.open(own).await;
        let call = v1::ReportToolCallRequest {
            task_handle: own.handle.clone(),
            ..own.report(&grant, "tickets.read", &json!({ "ticket_id": "T-1000" }), &json!({}))
        };
        let tried = vec![
            ("RenewCredential", done(caller.renew_credential(own.renewal(&grant)).await)),
            ("ReleaseCredential", done(caller.release_credential(own.release(&grant)).await)),
            ("ReportToolCall", done(caller.report_tool_call(call).await)),
        ];
        noted(&broker, tried, id(path).as_str(), &task.id, "NOT_FOUND").await;
    }
    let refusals = broker.record.refusals().await;
    assert!(refusals.iter().all(|refused| refused.code == "NOT_FOUND"), "{refusals:?}");
    let standing = broker.resource_server().await.standing(&grant).await.unwrap();
    assert_eq!(standing, v1::GrantState::Live, "and nothing came of it");
}

#[tokio::test]
async fn audiences_that_are_not_the_callers_are_not_watched_and_the_attempt_is_on_record() {
    const IDLE: &str = "/resource-of/nothing";
    let idle = |path: &str, text: String| match path {
        "identities.toml" => format!(
            "{text}\n[[identity]]\npattern = \"{}\"\nclass = \"resource_server\"\nowner = \"group:support\"\n",
            id(IDLE)
        ),
        _ => text,
    };
    let broker = TestBroker::with(Setup { policy: policy_with(idle), ..Setup::default() }).await;
    let tickets = broker.caller(TICKETS_SERVER).await;
    let tried = vec![("Watch", done(tickets.watch(0, &["https://mail.dev.carnet.test"]).await))];
    noted(&broker, tried, id(TICKETS_SERVER).as_str(), "", "NOT_FOUND").await;
    let refused = broker.caller(IDLE).await.watch(0, &[]).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "METHOD_NOT_ALLOWED"));
    broker.sweep().await;
    let refusals = broker.record.refusals().await;
    let told = |r: &&carnet::pb::journal::Refused| (r.subject.as_str(), r.rpc.as_str()) == (id(IDLE).as_str(), "Watch");
    assert_eq!(refusals.iter().find(told).unwrap().code, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn what_does_not_exist_says_nothing_about_anybody() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let nothing = "task_00000000000070008000000000000000";
    assert_eq!(orchestrator.task(nothing, "").await.unwrap_err().reason, "NOT_FOUND");
    // So it is with a grant that was forgotten after its end: an agent that is late has done nothing wrong.
    let grant = "grant_00000000000070008000000000000000";
    let mut call = task.report(grant, "tickets.read", &json!({ "ticket_id": "T-1000" }), &json!({}));
    call.task_handle.clone_from(&task.handle);
    for refused in [
        done(agent.report_tool_call(call).await),
        done(agent.renew_credential(task.renewal(grant)).await),
        done(agent.release_credential(task.release(grant)).await),
    ] {
        assert_eq!(refused.unwrap_err().reason, "NOT_FOUND");
    }
    broker.sweep().await;
    assert!(broker.record.refusals().await.is_empty());
}

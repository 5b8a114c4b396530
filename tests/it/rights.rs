//! What people are refused: it goes on record, blocks hold for people too, and one right is enough where one of several is asked for.

use std::time::Duration;

use carnet::pb::v1;
use carnet::pb::v1::target::Target;
use tonic::Code;

use super::people::World;
use super::support::ask::{AGENT, OTHER_ORCHESTRATOR, SECOND_AGENT, lifting, revocation};
use super::support::broker::{activate, shipped_policy};
use super::support::caller::Refused;
use super::support::issuer::{ACTING, CLIENT, INITIATING};
use super::support::pki::id;

const ANN: &str = "1001";
const BOB: &str = "1002";
const RITA: &str = "1003";
const PAUL: &str = "1004";

/// Who was refused what, and why.
async fn refused(world: &World) -> Vec<(String, String, String)> {
    world.broker.sweep().await;
    world.broker.record.refusals().await.into_iter().map(|r| (r.subject, r.rpc, r.code)).collect()
}

fn noted(subject: &str, rpc: &str, code: &str) -> (String, String, String) {
    (subject.to_owned(), rpc.to_owned(), code.to_owned())
}

#[tokio::test]
async fn whom_a_verb_refuses_stands_in_the_record() {
    let world = World::with(|_| {}).await;
    let (_, _, task) = world.broker.at_work().await;
    let eve = world.broker.person(&world.corp.token("eve", ACTING)).await;
    let bob = world.broker.person(&world.corp.token(BOB, ACTING)).await;
    let ends = || revocation(Target::TaskId(task.id.clone()));
    eve.revoke(revocation(Target::Everything(v1::Everything {}))).await.unwrap_err();
    eve.revoke(ends()).await.unwrap_err();
    eve.task(&task.id, "").await.unwrap_err();
    bob.revoke(ends()).await.unwrap_err();
    let old = world.corp.stale_token(ANN, ACTING, Duration::from_secs(3600));
    let old = world.broker.person(&old).await;
    old.lift_block(lifting(Target::Everything(v1::Everything {}))).await.unwrap_err();
    world.broker.orchestrator().await.register_task(world.initiated_by("eyJ.e30.".to_owned())).await.unwrap_err();

    let on_record = refused(&world).await;
    let orchestrator = id(super::support::ask::ORCHESTRATOR).to_string();
    for expected in [
        noted("person:corp:eve", "Revoke", "RIGHT_MISSING"),
        noted("person:corp:eve", "Revoke", "NOT_FOUND"),
        noted("person:corp:eve", "GetTask", "NOT_FOUND"),
        noted("person:bob@example.org", "Revoke", "RIGHT_MISSING"),
        noted("person:ann@example.org", "LiftBlock", "AUTHENTICATION_STALE"),
        noted(&orchestrator, "RegisterTask", "TOKEN_INVALID"),
    ] {
        assert!(on_record.contains(&expected), "{expected:?} in {on_record:?}");
    }
}

#[tokio::test]
async fn a_blocked_person_reads_and_changes_nothing_least_of_all_the_block() {
    let world = World::with(|_| {}).await;
    let task = world.broker.orchestrator().await.open(world.initiated_by(world.corp.token(ANN, INITIATING))).await;
    let itself = || Target::Initiator("ann@example.org".to_owned());
    world.broker.operator().await.revoke(revocation(itself())).await.unwrap();
    let ann = world.ann().await;
    let blocked = (Code::PermissionDenied, "BLOCKED".to_owned());
    let told = |refused: Refused| (refused.code, refused.reason);
    assert_eq!(told(ann.lift_block(lifting(itself())).await.unwrap_err()), blocked);
    assert_eq!(told(ann.revoke(revocation(Target::TaskId(task.id.clone()))).await.unwrap_err()), blocked);
    assert_eq!(told(ann.revoke(revocation(Target::Agent(id(AGENT).to_string()))).await.unwrap_err()), blocked);
    let activation =
        v1::ActivatePolicyRequest { bundle: Some(v1::PolicyBundle::default()), ..v1::ActivatePolicyRequest::default() };
    assert_eq!(told(ann.activate_policy(activation).await.unwrap_err()), blocked);
    ann.task(&task.id, "").await.unwrap();
    world.broker.operator().await.lift_block(lifting(itself())).await.unwrap();
    ann.revoke(revocation(Target::Agent(id("/agent/other").to_string()))).await.unwrap();
}

#[tokio::test]
async fn who_may_change_something_may_look_at_what_it_is_now() {
    let world = World::with(|_| {}).await;
    let rita = world.broker.person(&world.corp.token(RITA, ACTING)).await;
    rita.revoke(revocation(Target::Agent(id(SECOND_AGENT).to_string()))).await.unwrap();
    let listed = rita.revocations().list_blocks(v1::ListBlocksRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.blocks.len(), 1);
    let paul = world.broker.person(&world.corp.token(PAUL, ACTING)).await;
    activate(&paul, &shipped_policy()).await;
    let looked = rita.policy().get_active_policy(v1::GetActivePolicyRequest::default()).await;
    assert_eq!(Refused::from(looked.unwrap_err()).reason, "RIGHT_MISSING");
}

#[tokio::test]
async fn a_person_without_rights_lists_its_own_tasks_page_by_page() {
    let world = World::with(|_| {}).await;
    let orchestrator = world.broker.orchestrator().await;
    let mut own = Vec::new();
    for n in 0..5 {
        // Ids are in the order of time.
        world.broker.advance(Duration::from_secs(1));
        own.push(orchestrator.open(world.initiated_by(world.corp.token("eve", INITIATING))).await.id);
        if n % 2 == 0 {
            // By name alone: anybody can say that.
            let named =
                v1::RegisterTaskRequest { initiator: "corp:eve".to_owned(), ..world.broker.task("Read T-1000.") };
            orchestrator.open(named).await;
        }
        orchestrator.open(world.broker.task("Read T-1000.")).await;
    }
    let eve = world.broker.person(&world.corp.token("eve", ACTING)).await;
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListTasksRequest { page_size: 2, page_token, ..v1::ListTasksRequest::default() };
        let page = eve.tasks().list_tasks(request).await.unwrap().into_inner();
        assert!(page.tasks.len() <= 2);
        listed.extend(page.tasks.into_iter().map(|task| task.task_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    own.reverse();
    assert_eq!(listed, own);
}

#[tokio::test]
async fn an_answered_registration_is_answered_again_when_its_token_is_over_and_its_issuer_away() {
    let world = World::with(|_| {}).await;
    let orchestrator = world.broker.orchestrator().await;
    let asked = world.initiated_by(world.corp.token(ANN, INITIATING));
    let first = orchestrator.register_task(asked.clone()).await.unwrap();
    world.broker.advance(Duration::from_secs(700));
    world.corp.answer("/keys", 503, "");
    let again = orchestrator.again().register_task(asked.clone()).await.unwrap();
    assert_eq!((again.task_handle, again.task.unwrap().task_id), (first.task_handle, first.task.unwrap().task_id));
    // A token that only looks alike says nothing.
    let (input, _) = asked.initiator_token.rsplit_once('.').unwrap();
    let other = v1::RegisterTaskRequest { initiator_token: format!("{input}x.AAAA"), ..asked.clone() };
    orchestrator.register_task(other).await.unwrap_err();
    let none =
        v1::RegisterTaskRequest { initiator_token: String::new(), initiator: "ann@example.org".to_owned(), ..asked };
    assert_eq!(orchestrator.register_task(none).await.unwrap_err().reason, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_token_is_handed_over_by_the_orchestrators_that_its_client_names() {
    let desk = id(super::support::ask::ORCHESTRATOR).to_string();
    let world = World::with(|issuer| {
        issuer.initiator_clients = Some([(CLIENT.to_owned(), vec![desk.parse().unwrap()])].into());
    })
    .await;
    let token = world.corp.token(ANN, INITIATING);
    world.broker.orchestrator().await.open(world.initiated_by(token.clone())).await;
    let other = world.broker.caller(OTHER_ORCHESTRATOR).await;
    let refusal = other.register_task(world.initiated_by(token)).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "TOKEN_INVALID"));
    let on_record = refused(&world).await;
    assert!(
        on_record.contains(&noted(id(OTHER_ORCHESTRATOR).as_str(), "RegisterTask", "TOKEN_INVALID")),
        "{on_record:?}"
    );

    let events = world.broker.record.since(0).await;
    let said = events.iter().find_map(|event| match &event.payload {
        carnet::pb::journal::event::Payload::TaskDecided(decided) => decided.initiator_evidence.clone(),
        _ => None,
    });
    let said = said.unwrap();
    assert_eq!((said.client.as_str(), said.token_digest.len()), (CLIENT, 32));
}

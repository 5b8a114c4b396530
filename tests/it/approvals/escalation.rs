//! What nobody answers: escalated once, shown first, answered by more people then, and denied in the end.

use std::sync::Arc;

use carnet::pb::v1::ApprovalRoute;

use super::*;
use crate::support::ask::MANY_WAIT;
use crate::support::gate::Gate;
use crate::support::record::kind as kind_of;
use crate::webhooks::receiver::{Got, Receiver};

const AFTER: Duration = Duration::from_secs(30);
const SECRET: &[u8] = &[7; 32];
const SECOND: Duration = Duration::from_secs(1);
const SETTINGS: ApprovalSettings =
    ApprovalSettings { answer_within: Duration::from_secs(60), escalate_after: Some(AFTER), ..MANY_WAIT };

fn to(task: &OpenTask, whom: &str) -> v1::RequestCredentialRequest {
    task.step("mail.send", &json!({ "to": [whom], "subject": "s", "body": "b" }))
}

/// Lets time pass, and has what is due done.
async fn later(world: &World, by: Duration) {
    world.broker.advance(by);
    world.broker.sweep().await;
}

async fn page(person: &Caller, token: &str) -> (Vec<String>, String) {
    let request =
        v1::ListApprovalsRequest { page_size: 1, page_token: token.to_owned(), ..v1::ListApprovalsRequest::default() };
    let page = person.approvals().list_approvals(request).await.unwrap().into_inner();
    (page.approvals.into_iter().map(|approval| approval.approval_id).collect(), page.next_page_token)
}

async fn waiting(person: &Caller) -> Vec<String> {
    listed(person, ApprovalState::Pending).await.into_iter().map(|approval| approval.approval_id).collect()
}

#[tokio::test]
async fn what_nobody_answers_is_escalated_once_and_denied_in_the_end() {
    let mut world = World::asking(SETTINGS).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let escalations = async |world: &World| world.broker.record.of_kind("approval_escalated").await;
    later(&world, AFTER - SECOND).await;
    assert!(escalations(&world).await.is_empty(), "not yet");
    let rae = world.rae().await;
    let mut stream =
        rae.approvals().watch_approvals(v1::WatchApprovalsRequest { after: 0 }).await.unwrap().into_inner();
    assert!(told(&mut stream).await.escalated_at.is_none());
    later(&world, SECOND).await;
    later(&world, SECOND).await;
    assert!(told(&mut stream).await.escalated_at.is_some(), "who watches is told");
    drop(stream);
    assert_eq!(escalations(&world).await.len(), 1);
    assert_eq!(escalations(&world).await[0].actor.id, "carnet");
    world.broker.restart().await;
    later(&world, SECOND).await;
    assert_eq!(escalations(&world).await.len(), 1, "nor after a restart");
    let approval = get(&world.rae().await, &decision.approval_id).await.unwrap().approval.unwrap();
    assert_eq!((approval.state(), approval.route()), (ApprovalState::Pending, ApprovalRoute::Reviewers));
    assert!(approval.escalated_at.is_some() && approval.may_approve);
    let agent = world.broker.agent().await;
    assert_eq!(pending(&agent, to_eve(&task)).await.approval_id, decision.approval_id, "the same question");

    later(&world, AFTER).await;
    let (outcome, reasons) = agent.withheld(to_eve(&task)).await;
    assert_eq!((outcome, reasons[0].as_str()), (Outcome::Denied, "APPROVAL_UNANSWERED"));
    assert_eq!(state(&world.rae().await, &decision.approval_id).await, ApprovalState::Unanswered);
    assert_eq!(escalations(&world).await.len(), 1);
}

#[tokio::test]
async fn what_was_answered_or_is_over_is_not_escalated_nor_is_anything_where_nobody_wants_it() {
    let world = World::asking(SETTINGS).await;
    let (agent, task) = world.anns().await;
    let approved = pending(&agent, to_eve(&task)).await;
    let denied = pending(&agent, to(&task, "mallory@evil.test")).await;
    pending(&agent, to(&task, "trudy@evil.test")).await;
    let rae = world.rae().await;
    approve(&rae, &approved).await;
    answer(&rae, &denied, Verdict::Deny).await.unwrap();
    // Nobody swept in between: it is denied at once.
    later(&world, SETTINGS.answer_within).await;
    later(&world, SECOND).await;
    assert!(world.broker.record.of_kind("approval_escalated").await.is_empty());

    let never = World::asking(ApprovalSettings { escalate_after: None, ..SETTINGS }).await;
    let (agent, task) = never.anns().await;
    pending(&agent, to_eve(&task)).await;
    later(&never, SETTINGS.answer_within - SECOND).await;
    assert!(never.broker.record.of_kind("approval_escalated").await.is_empty());
}

#[tokio::test]
async fn what_was_for_owners_is_for_whoever_reviews_from_then_on() {
    let policy = policy_with(|path, text| match path {
        "20-provenance.cedar" => text.replace("@id(\"sink-unseen\")", "@id(\"sink-unseen\")\n@route(\"owner\")"),
        _ => text,
    });
    let groups = vec![("group:workplace", vec!["rae@example.org"])];
    let world = World::set_up(|_| {}, Setup { policy, groups, approvals: SETTINGS, ..Setup::default() }).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let sam = world.corp("1006").await;
    assert_eq!(refused(&sam, &decision).await, not_permitted("NOT_OWNER"));
    later(&world, AFTER).await;
    let shown = get(&sam, &decision.approval_id).await.unwrap().approval.unwrap();
    assert_eq!((shown.route(), shown.may_approve), (ApprovalRoute::Reviewers, true));
    assert_eq!(shown.route_note, "Not answered for `group:workplace` in time: whoever reviews may answer.");
    let event = world.broker.record.of_kind("approval_escalated").await.remove(0);
    let Payload::ApprovalEscalated(escalated) = event.payload else { panic!("{event:?}") };
    assert_eq!((escalated.widened, escalated.as_review), (true, false));
    let record = world.broker.operator().await.decision(&decision.decision_id).await.unwrap();
    assert_eq!((record.escalated_at, record.owners), (shown.escalated_at, vec!["group:workplace".to_owned()]));
    assert_eq!(approve(&sam, &decision).await.state(), ApprovalState::Approved);
    agent.granted(to_eve(&task)).await;
}

#[tokio::test]
async fn reviewers_answer_for_an_initiator_who_does_not_only_where_that_is_configured() {
    for answers in [false, true] {
        let settings = ApprovalSettings { escalate_step_up: answers, ..SETTINGS };
        let world = World::asking(settings).await;
        let (agent, task) = world.anns().await;
        let decision = world.to_confirm(&agent, &task).await;
        let rae = world.rae().await;
        assert_eq!(refused(&rae, &decision).await, not_permitted("NOT_INITIATOR"));
        later(&world, AFTER).await;
        let shown = get(&rae, &decision.approval_id).await.unwrap().approval.unwrap();
        assert!(shown.escalated_at.is_some());
        let (who, outcome) = match answers {
            true => (ApprovalRoute::Reviewers, Outcome::Review),
            false => (ApprovalRoute::Initiator, Outcome::StepUp),
        };
        assert_eq!((shown.route(), shown.outcome(), shown.may_approve), (who, outcome, answers));
        assert_eq!(pending(&agent, task.sending()).await.approval_id, decision.approval_id, "the same question");
        if answers {
            assert_eq!(refused(&world.ann().await, &decision).await, not_permitted("NOT_INDEPENDENT"), "a review");
            approve(&rae, &decision).await;
        } else {
            assert_eq!(refused(&rae, &decision).await, not_permitted("NOT_INITIATOR"));
            approve(&world.ann().await, &decision).await;
        }
        let granted = agent.granted(task.sending()).await;
        assert_eq!(granted.decision.approval_id, decision.approval_id);
    }
}

#[tokio::test]
async fn what_was_escalated_stands_first_and_nothing_is_lost_between_pages() {
    let world = World::asking(SETTINGS).await;
    let (agent, task) = world.anns().await;
    let first = pending(&agent, to(&task, "a@evil.test")).await.approval_id;
    later(&world, SECOND * 10).await;
    let second = pending(&agent, to(&task, "b@evil.test")).await.approval_id;
    later(&world, SECOND * 10).await;
    let third = pending(&agent, to(&task, "c@evil.test")).await.approval_id;
    let (rae, ann) = (world.rae().await, world.ann().await);
    assert_eq!(waiting(&rae).await, [third.clone(), second.clone(), first.clone()], "newest first");
    later(&world, SECOND * 10).await;
    let order = [first.clone(), third.clone(), second.clone()];
    assert_eq!(waiting(&rae).await, order);
    assert_eq!(waiting(&ann).await, order, "also of what one initiated oneself");
    let (got, token) = page(&rae, "").await;
    assert_eq!(got, std::slice::from_ref(&first));
    let (got, token) = page(&rae, &token).await;
    assert_eq!(got, std::slice::from_ref(&third));
    later(&world, SECOND * 10).await;
    assert_eq!(waiting(&rae).await, [second.clone(), first.clone(), third.clone()], "another was escalated");
    let (got, token) = page(&rae, &token).await;
    assert_eq!((got, token.as_str()), (vec![second], ""), "who turns pages is told of it where it stood");

    for wrong in ["x", "1.escalated.x", "x.escalated.y", &format!("1.middle.{first}"), &first] {
        let request = v1::ListApprovalsRequest { page_token: wrong.to_owned(), ..v1::ListApprovalsRequest::default() };
        let status = rae.approvals().list_approvals(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{wrong}");
    }
}

#[tokio::test]
async fn receivers_are_told_of_it_and_whom_to_tell_and_figures_count_it() {
    let receiver = Receiver::start().await;
    let setup = Setup {
        webhooks: vec![receiver.options("pager", &[SECRET])],
        escalate_to: vec!["group:on-call", "sam@example.org"],
        groups: vec![("group:on-call", vec!["rae@example.org"])],
        approvals: SETTINGS,
        ..Setup::default()
    };
    let world = World::set_up(|_| {}, setup).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let figures = || {
        let figures = world.broker.running().broker().figures();
        (figures.approvals_waiting, figures.approvals_escalated)
    };
    assert_eq!(figures(), (1, 0));
    later(&world, AFTER).await;
    let got = receiver.got(2).await;
    assert_eq!(got.iter().map(Got::kind).collect::<Vec<_>>(), ["approval.pending", "approval.escalated"]);
    assert_eq!(got[0].json()["data"]["route"], "reviewers");
    let data = &got[1].json()["data"];
    assert_eq!(
        (got[1].approval(), &data["tell"]),
        (decision.approval_id, &json!(["group:on-call", "sam@example.org"]))
    );
    assert_eq!((&data["widened"], &data["as_review"]), (&json!(false), &json!(false)));
    assert_eq!(figures(), (1, 1));
    let counted = world.broker.metrics().render().unwrap();
    assert!(counted.contains("carnet_events_total{kind=\"approval_escalated\"} 1"), "{counted}");
    later(&world, AFTER).await;
    assert_eq!(figures(), (0, 0));
}

#[tokio::test]
async fn a_task_that_nobody_attends_gets_a_plain_answer_in_time_by_the_same_id_and_by_another() {
    let world = World::asking(SETTINGS).await;
    let named = v1::RegisterTaskRequest { initiator: "nightly".to_owned(), ..world.broker.task(INTENT) };
    let task = world.broker.orchestrator().await.open(named).await;
    let agent = world.broker.agent().await;
    let request = to_eve(&task);
    let decision = pending(&agent, request.clone()).await;
    later(&world, AFTER).await;
    assert_eq!(pending(&agent, request.clone()).await.approval_id, decision.approval_id);
    later(&world, AFTER).await;
    for request in [request.clone(), to_eve(&task), request] {
        let answer = agent.unchecked().request_credential(request).await.unwrap();
        let decided = answer.decision.unwrap();
        assert_eq!((decided.outcome(), codes(&decided)[0].as_str()), (Outcome::Denied, "APPROVAL_UNANSWERED"));
        assert!(answer.token.is_empty() && answer.grant.is_none());
        let told = &decided.reasons[0].message;
        assert_eq!(told, "Nobody approved this in time.");
    }
}

#[tokio::test]
async fn what_an_unattended_task_and_those_below_it_ask_waits_no_longer_than_is_configured_for_that() {
    let within = Duration::from_secs(10);
    let mut world = World::asking(ApprovalSettings { unattended_answer_within: within, ..SETTINGS }).await;
    let unattended = v1::RegisterTaskRequest { unattended: true, ..world.broker.task(INTENT) };
    let orchestrator = world.broker.orchestrator().await;
    let task = orchestrator.open(unattended.clone()).await;
    let otherwise = v1::RegisterTaskRequest { unattended: false, ..unattended.clone() };
    assert_eq!(orchestrator.register_task(otherwise).await.unwrap_err().reason, "REQUEST_ID_REUSED");
    assert_eq!(orchestrator.again().open(unattended).await.id, task.id);
    let below = v1::RegisterTaskRequest { parent_task_id: task.id.clone(), ..world.broker.task(INTENT) };
    let below = orchestrator.open(below).await;
    let (_, attended) = world.anns().await;
    world.broker.restart().await;
    let agent = world.broker.agent().await;
    let (rae, operator) = (world.rae().await, world.broker.operator().await);
    let mut left = Vec::new();
    for task in [&task, &below, &attended] {
        let decision = pending(&agent, to_eve(task)).await;
        let nobody_attends = task.id != attended.id;
        assert_eq!(operator.task(&task.id, "").await.unwrap().unattended, nobody_attends);
        assert_eq!(operator.decision(&decision.decision_id).await.unwrap().unattended, nobody_attends);
        let shown = get(&rae, &decision.approval_id).await.unwrap().approval.unwrap();
        left.push(shown.until.unwrap().seconds - shown.asked.unwrap().seconds);
    }
    assert_eq!(left, [10, 10, 60]);
    later(&world, within).await;
    for task in [&task, &below] {
        assert_eq!(agent.withheld(to_eve(task)).await.1[0], "APPROVAL_UNANSWERED");
    }
    let request = to_eve(&attended);
    assert!(!agent.again().request_credential(request).await.unwrap().decision.unwrap().approval_id.is_empty());
}

/// What is due comes to be written behind something else that the family is told, and is not put off by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_that_is_told_something_all_the_time_is_escalated_and_denied_all_the_same() {
    let gate = Arc::new(Gate::default());
    let setup = Setup { journal: Gate::journal(&gate), approvals: SETTINGS, ..Setup::default() };
    let world = World::set_up(|_| {}, setup).await;
    let (agent, task) = world.anns().await;
    let orchestrator = world.broker.orchestrator().await.unchecked();
    let signals = world.broker.scorer().await.unchecked();
    pending(&agent, to_eve(&task)).await;
    for (kind, after) in [("approval_escalated", AFTER), ("approval_answered", SETTINGS.answer_within - AFTER)] {
        world.broker.advance(after);
        let (holds, task_of_its_own) = (orchestrator.clone(), world.broker.task("hold the writer"));
        let filler = async move { holds.register_task(task_of_its_own).await };
        let (teller, signal) = (signals.clone(), task.signal("anomaly", 1));
        let told = async move { teller.report_signal(signal).await.unwrap() };
        let broker = world.broker.running().broker().clone();
        let swept = async move { broker.sweep().await };
        gate.in_order_unswept(&world.broker, filler, (told, swept)).await.1.unwrap();
        let events = world.broker.record.all().await;
        let at = |wanted: &str| events.iter().rposition(|event| kind_of(&event.payload) == wanted);
        assert!(at(kind).is_some() && at(kind) > at("signal_reported"), "{kind} waits for another sweep");
    }
}

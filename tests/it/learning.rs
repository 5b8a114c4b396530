//! What people say of decisions afterwards, and what follows from it: labels stand in the record, thresholds are held against them,
//! drift is told once; and nothing of it changes what is decided.

mod calibration;
mod commands;
mod drift;
mod questions;
mod span;

use std::sync::Arc;
use std::time::Duration;

use carnet::disk::RealDisk;
use carnet::entropy::Entropy;
use carnet::model::limits::LABELS_PER_PERSON_MAX;
use carnet::pb::v1;
use carnet::pb::v1::target::Target;
use carnet::pb::v1::{Label, Verdict};
use carnet::seal::sealer::{KeyFiles, Sealer};
use serde_json::json;
use tonic::Code;

use super::people::World;
use super::support::ask::{OpenTask, access, audience_of, revocation};
use super::support::broker::{FRESH_WITHIN, TestBroker};
use super::support::caller::{Caller, Refused};
use super::support::issuer::ACTING;

async fn corp(world: &World, subject: &str) -> Caller {
    world.broker.person(&world.corp.token(subject, ACTING)).await
}

fn saying(decision_id: &str, label: Label, note: &str) -> v1::LabelDecisionRequest {
    v1::LabelDecisionRequest { decision_id: decision_id.to_owned(), label: label.into(), note: note.to_owned() }
}

async fn say(person: &Caller, decision_id: &str, label: Label) -> v1::DecisionLabel {
    person.label_decision(saying(decision_id, label, "")).await.unwrap().label.unwrap()
}

async fn labels(reader: &Caller, decision_id: &str) -> Vec<v1::DecisionLabel> {
    let request = v1::ListLabelsRequest { decision_id: decision_id.to_owned(), ..v1::ListLabelsRequest::default() };
    reader.risk().list_labels(request).await.unwrap().into_inner().labels
}

/// The bundle in force, and how often one was put in force.
async fn in_force(broker: &TestBroker) -> (String, u64, usize) {
    let request = v1::GetActivePolicyRequest { include_files: false };
    let active = broker.operator().await.policy().get_active_policy(request).await.unwrap().into_inner();
    (active.digest, active.revision, broker.record.of_kind("policy_activated").await.len())
}

fn reason(refused: Refused) -> (Code, String) {
    (refused.code, refused.reason)
}

#[tokio::test]
async fn people_with_the_right_label_decisions_on_credentials_and_nobody_else() {
    let world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let decision = agent.granted(task.reading()).await.decision.decision_id;
    let request = || saying(&decision, Label::Harmful, "it read what it should not");
    let lacks = |code: &str| (Code::PermissionDenied, code.to_owned());
    for (who, expected) in [("1002", "RIGHT_MISSING"), ("1003", "RIGHT_MISSING"), ("1004", "RIGHT_MISSING")] {
        assert_eq!(reason(corp(&world, who).await.label_decision(request()).await.unwrap_err()), lacks(expected));
    }
    let operator = world.broker.operator().await;
    for caller in [&agent, &operator] {
        assert_eq!(reason(caller.label_decision(request()).await.unwrap_err()), lacks("METHOD_NOT_ALLOWED"));
    }
    let stale = world.corp.stale_token("1008", ACTING, FRESH_WITHIN + Duration::from_secs(1));
    let stale = world.broker.person(&stale).await;
    assert_eq!(reason(stale.label_decision(request()).await.unwrap_err()).1, "AUTHENTICATION_STALE");

    for who in ["1001", "1005", "1008"] {
        let label = corp(&world, who).await.label_decision(request()).await.unwrap().label.unwrap();
        assert_eq!(
            (label.label(), label.note.as_str(), label.answered_it),
            (Label::Harmful, request().note.as_str(), false)
        );
    }
    let lea = corp(&world, "1008").await;
    let none = "decision_00000000000000000000000000000000";
    assert_eq!(lea.label_decision(saying(none, Label::Benign, "")).await.unwrap_err().code, Code::NotFound);
    let events = world.broker.record.all().await;
    let registration = events.iter().find_map(|event| match &event.payload {
        carnet::pb::journal::event::Payload::TaskDecided(decided) => Some(decided.decision.clone()?.decision_id),
        _ => None,
    });
    let refused = lea.label_decision(saying(&registration.unwrap(), Label::Benign, "")).await.unwrap_err();
    assert_eq!(reason(refused), (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()));
    let refused = lea.label_decision(saying(&decision, Label::Unspecified, "")).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);

    // Who may read the record reads them; who may only label does not.
    assert_eq!(labels(&corp(&world, "1002").await, &decision).await.len(), 3);
    let refused = lea.risk().list_labels(v1::ListLabelsRequest::default()).await.unwrap_err();
    assert_eq!(reason(refused.into()), lacks("RIGHT_MISSING"));
    // The note is nowhere in the clear.
    let whole = world.broker.record.export(0).await.events;
    assert!(whole.iter().all(|event| !event.stored.windows(9).any(|part| part == b"should no")));
}

#[tokio::test]
async fn a_later_label_replaces_the_same_persons_and_stands_beside_those_of_others() {
    let mut world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let (first, second) = (agent.granted(task.reading()).await, agent.granted(task.writing()).await);
    let (first, second) = (first.decision.decision_id, second.decision.decision_id);
    let (rae, sam) = (corp(&world, "1005").await, corp(&world, "1006").await);
    say(&rae, &first, Label::Harmful).await;
    say(&sam, &first, Label::Harmful).await;
    say(&rae, &second, Label::Unsure).await;
    say(&rae, &first, Label::Benign).await;
    world.broker.restart().await;
    let operator = world.broker.operator().await;
    let told = |label: &v1::DecisionLabel| (label.person.clone(), label.label(), label.replaced);
    let (rae, sam) = ("rae@example.org".to_owned(), "sam@example.org".to_owned());
    let of_first = labels(&operator, &first).await;
    assert_eq!(
        of_first.iter().map(told).collect::<Vec<_>>(),
        [(rae.clone(), Label::Harmful, true), (sam, Label::Harmful, false), (rae.clone(), Label::Benign, false),]
    );
    let all = labels(&operator, "").await;
    assert_eq!(
        (all.len(), told(&all[2]), all[2].decision_id.as_str()),
        (4, (rae, Label::Unsure, false), second.as_str())
    );
    // What is told of the decision itself is as it was.
    assert_eq!(operator.decision(&first).await.unwrap().decision_id, first);
}

#[tokio::test]
async fn who_answered_the_approval_may_label_and_is_marked() {
    let world = World::new().await;
    let token = world.corp.token("1001", super::support::issuer::INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let mail = json!({ "to": ["eve@evil.test"], "subject": "T-1000", "body": "It is solved." });
    let asked = agent.request_credential(task.step("mail.send", &mail)).await.unwrap().decision.unwrap();
    let (rae, sam) = (corp(&world, "1005").await, corp(&world, "1006").await);
    let answer = v1::AnswerApprovalRequest {
        approval_id: asked.approval_id.clone(),
        decision_id: asked.decision_id.clone(),
        verdict: Verdict::Approve.into(),
        reason: String::new(),
    };
    rae.answer_approval(answer).await.unwrap();
    let granted = agent.granted(task.step("mail.send", &mail)).await.decision.decision_id;
    for decision in [&asked.decision_id, &granted] {
        assert!(say(&rae, decision, Label::Harmful).await.answered_it, "{decision}");
        assert!(!say(&sam, decision, Label::Harmful).await.answered_it, "{decision}");
    }
}

/// Who labelled that decision and is told to have answered it.
async fn marked(world: &World, decision: &str) -> Vec<String> {
    let told = labels(&world.broker.operator().await, decision).await;
    told.into_iter().filter(|label| label.answered_it).map(|label| label.person).collect()
}

#[tokio::test]
async fn who_answers_after_labelling_is_marked_and_so_is_who_denied() {
    let world = World::new().await;
    let token = world.corp.token("1001", super::support::issuer::INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let mail = |body: &str| json!({ "to": ["eve@evil.test"], "subject": "T-1000", "body": body });
    let asked = agent.request_credential(task.step("mail.send", &mail("a"))).await.unwrap().decision.unwrap();
    let (rae, sam) = (corp(&world, "1005").await, corp(&world, "1006").await);
    assert!(!say(&rae, &asked.decision_id, Label::Harmful).await.answered_it, "not yet");
    let answer = v1::AnswerApprovalRequest {
        approval_id: asked.approval_id.clone(),
        decision_id: asked.decision_id.clone(),
        verdict: Verdict::Deny.into(),
        reason: String::new(),
    };
    rae.answer_approval(answer).await.unwrap();
    assert_eq!(marked(&world, &asked.decision_id).await, ["rae@example.org"]);
    // The agent's next try is denied by what Rae said.
    let denied = agent.request_credential(task.step("mail.send", &mail("a"))).await.unwrap().decision.unwrap();
    assert_eq!(denied.outcome(), v1::Outcome::Denied);
    for person in [&rae, &sam] {
        say(person, &denied.decision_id, Label::Harmful).await;
    }
    assert_eq!(marked(&world, &denied.decision_id).await, ["rae@example.org"]);
}

#[tokio::test]
async fn who_opened_break_glass_is_marked_and_what_went_through_was_not_let_through() {
    let world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let request = || task.step("mail.send", &json!({ "to": ["eve@evil.test"], "subject": "s", "body": "b" }));
    let asked = agent.request_credential(request()).await.unwrap().decision.unwrap();
    assert_eq!(asked.outcome(), v1::Outcome::Review);
    let opening = v1::OpenBreakGlassRequest {
        task_id: task.id.clone(),
        audience: audience_of("mail.send"),
        access: Some(access("mail.send", &json!({ "to": ["eve@evil.test"] }))),
        justification: "the pager is down, and Eve is on call".to_owned(),
        ..v1::OpenBreakGlassRequest::default()
    };
    let (ann, sam) = (world.ann().await, corp(&world, "1006").await);
    let answer = ann.open_break_glass(opening).await.unwrap();
    assert!(answer.break_glass.is_some(), "not opened: {:?}", answer.decision);
    let granted = agent.granted(request()).await.decision;
    assert!(!granted.break_glass_id.is_empty());
    for person in [&ann, &sam] {
        say(person, &granted.decision_id, Label::Harmful).await;
    }
    assert_eq!(marked(&world, &granted.decision_id).await, ["ann@example.org"]);
    // Waiting and the grant are one question, and nobody let it through.
    let request = v1::CalibrateRequest { class: "ai_agent".to_owned(), ..v1::CalibrateRequest::default() };
    let found = ann.risk().calibrate(request).await.unwrap().into_inner();
    let counted = found.labels.unwrap();
    assert_eq!((found.decisions, counted.harmful, counted.let_through, counted.escalated), (1, 1, 0, 1));
    assert_eq!(counted.answered_by_labeller, 0, "Sam answered nothing");
}

#[tokio::test]
async fn what_was_erased_stays_unreadable_and_nothing_breaks() {
    let mut world = World::new().await;
    let (_, agent, task) = world.broker.at_work().await;
    let decision = agent.granted(task.reading()).await.decision.decision_id;
    corp(&world, "1005").await.label_decision(saying(&decision, Label::Harmful, "a secret word")).await.unwrap();
    let root = task.id.parse().unwrap();
    world
        .broker
        .restart_after(|folder| {
            let data = folder.join("data");
            let files = KeyFiles { master_key: data.join("master.key"), task_keys: data.join("task-keys") };
            Sealer::load(&files, Arc::new(RealDisk), Entropy::system()).unwrap().erase(root).unwrap();
        })
        .await;
    let (operator, sam) = (world.broker.operator().await, corp(&world, "1006").await);
    let refused = sam.label_decision(saying(&decision, Label::Benign, "kept by nobody")).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument, "{refused:?}");
    say(&sam, &decision, Label::Benign).await;
    let told: Vec<_> =
        labels(&operator, &decision).await.into_iter().map(|l| (l.label(), l.note, l.note_erased)).collect();
    assert_eq!(told, [(Label::Harmful, String::new(), true), (Label::Benign, String::new(), false)]);
    let request = v1::SearchEventsRequest { kind: "decision_labelled".to_owned(), ..Default::default() };
    let found = operator.audit().search_events(request).await.unwrap().into_inner().events;
    assert_eq!(found[0].summary, "labelled benign");
}

#[tokio::test]
async fn one_person_labels_a_decision_so_often_and_shuts_nobody_out() {
    let world = World::new().await;
    let (_, agent, task): (_, _, OpenTask) = world.broker.at_work().await;
    let decision = agent.granted(task.reading()).await.decision.decision_id;
    let (lea, sam) = (corp(&world, "1008").await, corp(&world, "1006").await);
    for n in 0..LABELS_PER_PERSON_MAX {
        let label = if n % 2 == 0 { Label::Benign } else { Label::Unsure };
        let said = say(&lea, &decision, label).await;
        // A script that did not get the answer tries again.
        let again = lea.again().label_decision(saying(&decision, label, "")).await.unwrap().label.unwrap();
        assert_eq!(again.label_id, said.label_id);
    }
    let refused = lea.label_decision(saying(&decision, Label::Harmful, "")).await.unwrap_err();
    assert_eq!(refused.reason, "LIMIT_EXCEEDED", "{refused:?}");
    // Another contradicts all the same.
    let first = sam.label_decision(saying(&decision, Label::Harmful, "it was")).await.unwrap().label.unwrap();
    let again = sam.again().label_decision(saying(&decision, Label::Harmful, "it was")).await.unwrap().label.unwrap();
    assert_eq!((&again.label_id, again.note.as_str()), (&first.label_id, "it was"));
    let other = sam.label_decision(saying(&decision, Label::Harmful, "it was, see T-7")).await.unwrap().label.unwrap();
    assert_ne!(other.label_id, first.label_id, "another note is news");
    let standing = labels(&world.broker.operator().await, &decision).await;
    let standing: Vec<_> = standing.iter().filter(|l| !l.replaced).map(|l| (l.person.as_str(), l.label())).collect();
    assert_eq!(standing, [("lea@example.org", Label::Unsure), ("sam@example.org", Label::Harmful)]);
}

#[tokio::test]
async fn labels_that_come_at_once_are_no_more_than_there_may_be() {
    let world = World::new().await;
    let (_, agent, task): (_, _, OpenTask) = world.broker.at_work().await;
    let decision = agent.granted(task.reading()).await.decision.decision_id;
    let lea = corp(&world, "1008").await.unchecked();
    let mut at_once = tokio::task::JoinSet::new();
    for n in 0..3 * LABELS_PER_PERSON_MAX {
        let (lea, request) = (lea.clone(), saying(&decision, Label::Benign, &format!("note {n}")));
        at_once.spawn(async move { lea.label_decision(request).await });
    }
    let mut said = 0;
    while let Some(done) = at_once.join_next().await {
        match done.unwrap() {
            Ok(_) => said += 1,
            Err(refused) => assert_eq!(refused.reason, "LIMIT_EXCEEDED", "{refused:?}"),
        }
    }
    assert_eq!(said, LABELS_PER_PERSON_MAX);
    assert_eq!(labels(&world.broker.operator().await, &decision).await.len(), LABELS_PER_PERSON_MAX);
}

#[tokio::test]
async fn who_is_blocked_labels_nothing() {
    let world = World::new().await;
    let (_, agent, task): (_, _, OpenTask) = world.broker.at_work().await;
    let decision = agent.granted(task.reading()).await.decision.decision_id;
    let lea = corp(&world, "1008").await;
    let block = revocation(Target::Initiator("lea@example.org".to_owned()));
    world.broker.operator().await.revoke(block).await.unwrap();
    let refused = lea.label_decision(saying(&decision, Label::Benign, "")).await.unwrap_err();
    assert_eq!(refused.reason, "BLOCKED", "{refused:?}");
}

#[tokio::test]
async fn a_page_knows_of_labels_that_come_after_it() {
    let world = World::new().await;
    let (_, agent, task): (_, _, OpenTask) = world.broker.at_work().await;
    let (rae, operator) = (corp(&world, "1005").await, world.broker.operator().await);
    let mut decisions = Vec::new();
    for _ in 0..3 {
        decisions.push(agent.granted(task.reading()).await.decision.decision_id);
        say(&rae, decisions.last().unwrap(), Label::Benign).await;
    }
    say(&rae, &decisions[1], Label::Harmful).await;
    let (mut told, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListLabelsRequest { page_size: 1, page_token, ..v1::ListLabelsRequest::default() };
        let page = operator.risk().list_labels(request).await.unwrap().into_inner();
        told.extend(page.labels.iter().map(|label| (label.decision_id.clone(), label.replaced)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let [first, second, third] = decisions.try_into().unwrap();
    assert_eq!(told, [(first, false), (second.clone(), true), (third, false), (second, false)]);
}

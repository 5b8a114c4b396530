//! Live grants are decided again however many there are, each as the task that it is of stands, and to the end: also when the
//! broker died in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carnet::journal::options::Stage;
use carnet::pb::journal::GrantReconsidered;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::{AmendTaskRequest, GrantState, Outcome};
use tonic::Code;

use super::support::ask::{Granted, INTENT, OpenTask, RESOURCE_SERVER, ceiling};
use super::support::broker::{Setup, TestBroker};
use super::support::caller::{Caller, unique};
use super::support::pki::eventually;

/// More than one append takes.
const LARGE: usize = 300;

/// As many grants of a task.
async fn grants(agent: &Caller, task: &OpenTask, count: usize) -> Vec<Granted> {
    let agent = agent.unchecked();
    let mut granted = Vec::new();
    for _ in 0..count {
        granted.push(agent.granted(task.reading()).await);
    }
    granted
}

async fn reconsidered(broker: &TestBroker) -> Vec<GrantReconsidered> {
    let events = broker.record.of_kind("grant_reconsidered").await.into_iter();
    let inner = |event: super::support::record::Entry| match event.payload {
        Payload::GrantReconsidered(event) => Some(event),
        _ => None,
    };
    events.filter_map(inner).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_signal_ends_a_family_of_any_size() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let scorer = broker.scorer().await.unchecked();
    let granted = grants(&agent, &task, LARGE).await;
    for n in 0..42 {
        let mut signal = task.signal(&format!("doubt_{n}"), 0);
        signal.explanation = "x".repeat(2000);
        scorer.report_signal(signal).await.unwrap();
    }
    let answer = scorer.report_signal(task.signal("compromise_reported", 60)).await.unwrap();
    assert_eq!(answer.grants_revoked as usize, LARGE);
    let server = broker.resource_server().await;
    for grant in &granted {
        assert_eq!(server.standing(grant.id()).await.unwrap(), GrantState::Revoked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grants_share_is_recorded_once_and_told_with_each() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let scorer = broker.scorer().await.unchecked();
    grants(&agent, &task, 20).await;
    for n in 0..3 {
        let mut signal = task.signal(&format!("doubt_{n}"), 1);
        signal.explanation = format!("doubt number {n}");
        scorer.report_signal(signal).await.unwrap();
    }
    scorer.report_signal(task.signal("compromise_reported", 60)).await.unwrap();

    let events = reconsidered(&broker).await;
    let back: Vec<u32> = events.iter().map(|event| event.signals_back).collect();
    assert_eq!(back, (0..20).collect::<Vec<u32>>());
    let sealed = |n: usize| events[n].decision.as_ref().unwrap().sealed.len();
    assert!(sealed(19) < sealed(0), "{} bytes with signals, {} without", sealed(0), sealed(19));
    for event in &events {
        let id = &event.decision.as_ref().unwrap().decision_id;
        let record = broker.operator().await.decision(id).await.unwrap();
        let facts: serde_json::Value = serde_json::from_str(&record.facts_json).unwrap();
        assert_eq!(facts["signals"].as_array().unwrap().len(), 4);
        let told = |words: &str| record.contributions.iter().any(|c| c.explanation == words);
        assert!(told("doubt number 2") && told("seen by a test"), "{:?}", record.contributions);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_half_decided_is_decided_at_the_next_start() {
    // How many more groups the journal writes before it dies.
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let armed = Arc::clone(&left);
    let journal = move |options: &mut carnet::journal::options::Options| {
        let left = Arc::clone(&armed);
        options.on_fatal = Arc::new(|_| {});
        options.probe = Some(Arc::new(move |stage| {
            if stage == Stage::Placed {
                let had = left.load(Ordering::SeqCst);
                assert_ne!(had, 0, "dies on purpose");
                left.store(had.saturating_sub(usize::from(had != usize::MAX)), Ordering::SeqCst);
            }
        }));
    };
    // With the cause, and with the first of three parts.
    for written in [1, 2] {
        let journal = Arc::new(journal.clone());
        let mut broker = TestBroker::with(Setup { journal, ..Setup::default() }).await;
        let (_, agent, task) = broker.at_work().await;
        let granted = grants(&agent, &task, LARGE).await;
        let alarm = task.signal("compromise_reported", 60);
        let scorer = broker.scorer().await.unchecked();
        left.store(written, Ordering::SeqCst);
        let failed = scorer.report_signal(alarm.clone()).await.unwrap_err();
        assert_eq!(failed.code, Code::Unavailable);
        left.store(usize::MAX, Ordering::SeqCst);

        broker.restart().await;

        let server = broker.resource_server().await;
        for grant in &granted {
            assert_eq!(server.standing(grant.id()).await.unwrap(), GrantState::Revoked, "after {written}");
        }
        let again = broker.scorer().await.again().report_signal(alarm).await.unwrap();
        assert_eq!(broker.record.of_kind("signal_reported").await[0].position, again.position);
    }
}

#[tokio::test]
async fn a_signal_on_a_sub_task_judges_each_grant_by_its_own_task() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, parent) = broker.at_work().await;
    let (server, scorer) = (broker.resource_server().await, broker.scorer().await);
    let granted = agent.granted(parent.reading()).await;
    let below = || {
        let mut below = broker.task(INTENT);
        below.parent_task_id.clone_from(&parent.id);
        below
    };
    let done = orchestrator.open(below()).await;
    orchestrator.complete_task(done.complete()).await.unwrap();
    let mut mail_only = below();
    mail_only.audiences = vec![super::support::ask::audience_of("mail.send")];
    let mail_only = orchestrator.open(mail_only).await;
    for (what, child) in [("a finished sub-task", &done), ("a sub-task of another audience", &mail_only)] {
        let answer = scorer.report_signal(child.signal(&unique("anomaly"), 0)).await.unwrap();
        assert_eq!((answer.grants_suspended, answer.grants_revoked), (0, 0), "{what}");
        assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live, "{what}");
    }
    let mut call = done.report("", "tickets.read", &serde_json::json!({}), &serde_json::json!({ "body": "hello" }));
    call.request_id = unique("late");
    let answer = broker.caller(RESOURCE_SERVER).await.report_tool_call(call).await.unwrap();
    assert_eq!(answer.grants_revoked, 0, "a late report");
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live, "a late report");
}

#[tokio::test]
async fn amending_a_task_leaves_the_ceilings_of_its_sub_tasks() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let amend = |task: &OpenTask, tools: &[&str]| {
        let (request_id, task_id) = (unique("amend"), task.id.clone());
        orchestrator.amend_task(AmendTaskRequest {
            request_id,
            task_id,
            ceiling: Some(ceiling(tools)),
            ..AmendTaskRequest::default()
        })
    };
    let wide = ["tickets.read", "tickets.search", "calendar.list"];
    let registration = |parent: &str| {
        let mut registration = broker.task(INTENT);
        registration.ceiling = Some(ceiling(&wide));
        registration.parent_task_id = parent.to_owned();
        registration
    };
    let parent = orchestrator.open(registration("")).await;
    let child = orchestrator.open(registration(&parent.id)).await;
    let (own, below) = (agent.granted(parent.reading()).await, agent.granted(child.reading()).await);

    amend(&child, &wide[1..]).await.unwrap();

    let server = broker.resource_server().await;
    assert_eq!(server.standing(below.id()).await.unwrap(), GrantState::Suspended);
    assert_eq!(server.standing(own.id()).await.unwrap(), GrantState::Live);
    amend(&parent, &wide[..2]).await.unwrap();
    assert_eq!(server.standing(below.id()).await.unwrap(), GrantState::Suspended, "its own ceiling still bounds it");
    assert_eq!(agent.withheld(child.reading()).await.0, Outcome::StepUp);
    assert_eq!(server.standing(own.id()).await.unwrap(), GrantState::Live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_that_is_asked_for_at_the_same_time_slips_past_a_signal() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await.unchecked(), broker.agent().await.unchecked());
    let (server, scorer) = (broker.resource_server().await, broker.scorer().await.unchecked());
    for _ in 0..4 {
        let task = orchestrator.open(broker.task(INTENT)).await;
        let mut asking = tokio::task::JoinSet::new();
        let grants = Arc::new(AtomicUsize::new(0));
        for _ in 0..6 {
            let (agent, task, grants) = (agent.clone(), task.clone(), Arc::clone(&grants));
            asking.spawn(async move {
                let mut granted: Vec<String> = Vec::new();
                loop {
                    let renewed = match granted.last() {
                        Some(last) => agent.renew_credential(task.renewal(last)).await.is_ok(),
                        None => false,
                    };
                    match agent.request_credential(task.reading()).await {
                        Ok(answer) => match answer.grant {
                            Some(grant) => {
                                granted.push(grant.grant_id);
                                grants.fetch_add(1, Ordering::Relaxed);
                            }
                            None => return granted,
                        },
                        Err(refused) => {
                            let lost = ["GRANT_REVOKED", "CONFLICT"].contains(&refused.reason.as_str());
                            assert!(lost, "{refused:?} after {renewed}");
                        }
                    }
                }
            });
        }
        // In full swing: some have been renewed.
        eventually(|| grants.load(Ordering::Relaxed) > 12).await;
        scorer.report_signal(task.signal("compromise_reported", 60)).await.unwrap();
        let granted: Vec<String> = asking.join_all().await.concat();
        assert!(granted.len() > 12, "{} grants", granted.len());
        for id in &granted {
            assert_eq!(server.standing(id).await.unwrap(), GrantState::Revoked);
        }
    }
}

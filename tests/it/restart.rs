//! What a broker knows, it knows again after a restart: from snapshot and log, with or without the search index.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use carnet::journal::projection::NoProjection;
use carnet::pb::journal::Event;
use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::watch_response::Body;
use carnet::pb::v1::{
    AmendTaskRequest, GrantState, ListBlocksRequest, Outcome, RegisterTaskRequest, TaskState, WatchResponse,
};
use serde_json::json;
use tonic::Streaming;

use super::pause::drift;
use super::support::ask::{AGENT, INTENT, ceiling, revocation};
use super::support::broker::{Setup, TestBroker};
use super::support::caller::Caller;
use super::support::journal;
use super::support::pki::{id, soon};
use super::support::record::kind;

/// Everything that a restart must not change, as callers see it.
async fn standing(broker: &TestBroker, tasks: &[String], grants: &[String]) -> Vec<String> {
    let (operator, server) = (broker.operator().await, broker.resource_server().await);
    let mut seen = Vec::new();
    for task in tasks {
        let shown = operator.task(task, "").await.unwrap();
        seen.push(format!("{task} {:?} {} {:?}", shown.state(), shown.open_grants, shown.ceiling));
    }
    for grant in grants {
        let shown = server.grant(grant, "").await.unwrap();
        seen.push(format!("{grant} {} {:?} {:?}", shown.jti, shown.state(), shown.causes().collect::<Vec<_>>()));
    }
    let blocks = operator.revocations().list_blocks(ListBlocksRequest {}).await.unwrap().into_inner().blocks;
    seen.extend(blocks.iter().map(|block| format!("{:?} {}", block.target, block.reason)));
    let standing = server.watch(0, &[]).await.unwrap();
    seen.extend(told_at_first(standing).await);
    seen
}

/// The tokens that a receiver is told of at first as not to be accepted: among them those that a renewal replaced.
async fn told_at_first(mut watch: Streaming<WatchResponse>) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    loop {
        match soon(watch.message()).await.unwrap().unwrap().body {
            Some(Body::Change(change)) => drop(told.insert(format!("{} {:?}", change.jti, change.state()))),
            Some(Body::Heartbeat(_)) => return told,
            Some(Body::Reset(_)) | None => {}
        }
    }
}

/// A broker with tasks and grants in every state.
async fn lived_in(broker: &TestBroker) -> (Vec<String>, Vec<String>) {
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let (mut tasks, mut grants) = (Vec::new(), Vec::new());
    for end in ["none", "paused", "drifted", "completed", "revoked", "released", "renewed", "doubted", "below"] {
        let task = orchestrator.open(broker.task(INTENT)).await;
        let granted = agent.granted(task.sending()).await;
        match end {
            "paused" => drop(orchestrator.pause_task(task.pause()).await.unwrap()),
            "drifted" => drift(&broker.scorer().await, &task).await,
            "completed" => drop(orchestrator.complete_task(task.complete()).await.unwrap()),
            "revoked" => {
                let named = Named::GrantId(granted.id().to_owned());
                orchestrator.revoke(revocation(named)).await.unwrap();
            }
            "renewed" => drop(agent.renew_credential(task.renewal(granted.id())).await.unwrap()),
            "doubted" => drop(broker.scorer().await.report_signal(task.signal("anomaly", 1)).await.unwrap()),
            "below" => {
                let registration = RegisterTaskRequest { parent_task_id: task.id.clone(), ..broker.task(INTENT) };
                let below = orchestrator.open(registration).await;
                grants.push(agent.granted(below.reading()).await.id().to_owned());
                orchestrator.pause_task(below.pause()).await.unwrap();
                tasks.push(below.id);
            }
            "released" => drop(agent.release_credential(task.release(granted.id())).await.unwrap()),
            _ => {}
        }
        tasks.push(task.id);
        grants.push(granted.id().to_owned());
    }
    for blocked in [
        Named::Initiator("user:mallory@example.org".to_owned()),
        Named::Agent(id("/agent/elsewhere").to_string()),
        Named::Audience("https://files.dev.carnet.test".to_owned()),
    ] {
        broker.operator().await.revoke(revocation(blocked)).await.unwrap();
    }
    (tasks, grants)
}

#[tokio::test]
async fn everything_stands_as_before() {
    for snapshot_every in [3, 1_000_000] {
        let setup = Setup {
            journal: std::sync::Arc::new(move |options| options.snapshot_every = snapshot_every),
            ..Setup::default()
        };
        let mut broker = TestBroker::with(setup).await;
        let (tasks, grants) = lived_in(&broker).await;
        let before = standing(&broker, &tasks, &grants).await;
        broker.restart().await;
        assert_eq!(standing(&broker, &tasks, &grants).await, before, "a snapshot every {snapshot_every} events");
        // And once more, over what the first restart wrote.
        broker.restart().await;
        assert_eq!(standing(&broker, &tasks, &grants).await, before, "a snapshot every {snapshot_every} events");
    }
}

#[tokio::test]
async fn handles_keys_retries_and_histories_outlive_a_restart() {
    let mut broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let registration = broker.task("Look at my calendar and write to whoever organizes.");
    let second = orchestrator.open(registration.clone()).await;
    let request = task.reading();
    let first = agent.granted(request.clone()).await;
    let listed = agent.granted(second.step("calendar.list", &json!({}))).await;
    let result = json!({ "entries": [{ "room_mailbox": "carol@example.org" }] });
    let call = second.report(listed.id(), "calendar.list", &json!({}), &result);
    broker.resource_server().await.report_tool_call(call).await.unwrap();

    broker.restart().await;

    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let again = agent.again().granted(request).await;
    assert_eq!(again.claims(), first.claims());
    let same = orchestrator.again().open(registration).await;
    assert_eq!((same.id, &same.handle), (second.id.clone(), &second.handle));
    let mail = json!({ "to": ["carol@example.org"], "subject": "s", "body": "b" });
    let answer = agent.request_credential(second.step("mail.send", &mail)).await.unwrap();
    let decision = answer.decision.unwrap();
    let record = broker.operator().await.decision(&decision.decision_id).await.unwrap();
    assert_eq!(record.access[0].sinks[0].provenance(), carnet::pb::v1::Provenance::Field, "what was reported is known");
}

#[tokio::test]
async fn tokens_name_the_ceiling_that_is_in_force_also_after_a_restart() {
    let setup = Setup { journal: std::sync::Arc::new(|options| options.snapshot_every = 1), ..Setup::default() };
    let mut broker = TestBroker::with(setup).await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let mut registration = broker.task(INTENT);
    registration.ceiling = Some(ceiling(&["tickets.read", "mail.send"]));
    let task = orchestrator.open(registration).await;
    let named = async |agent: &Caller| {
        let claims = agent.granted(task.reading()).await.claims();
        claims["https://carnet.dev/claims/task"]["authority_hash"].as_str().unwrap().to_owned()
    };
    let wide = named(&agent).await;
    let less = AmendTaskRequest {
        request_id: super::support::caller::unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(ceiling(&["tickets.read"])),
        ..Default::default()
    };
    orchestrator.amend_task(less).await.unwrap();
    let narrow = named(&agent).await;
    assert_ne!(narrow, wide, "an amendment changes what tokens name");
    broker.restart().await;
    assert_eq!(named(&broker.agent().await).await, narrow, "as the snapshot has it");
}

#[tokio::test]
async fn a_snapshot_that_is_gone_or_damaged_is_no_loss() {
    let setup = Setup { journal: std::sync::Arc::new(|options| options.snapshot_every = 3), ..Setup::default() };
    let mut broker = TestBroker::with(setup).await;
    let (tasks, grants) = lived_in(&broker).await;
    let before = standing(&broker, &tasks, &grants).await;
    let journal = broker.journal_folder();
    broker
        .restart_after(|_| {
            let mut spoiled = 0;
            for path in files_below(&journal) {
                if path.to_string_lossy().contains("snapshot") {
                    fs::write(&path, b"nonsense").unwrap();
                    spoiled += 1;
                }
            }
            assert!(spoiled > 0, "no snapshot was made");
        })
        .await;
    assert_eq!(standing(&broker, &tasks, &grants).await, before);
}

#[tokio::test]
async fn a_log_that_was_damaged_is_not_opened() {
    let mut broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    for _ in 0..20 {
        agent.granted(task.reading()).await;
    }
    broker.stop().await;
    let segment = files_below(&broker.journal_folder().join("segments")).into_iter().min().unwrap();
    let sound = fs::read(&segment).unwrap();
    let mut damaged = sound.clone();
    let middle = sound.iter().rposition(|byte| *byte != 0).unwrap() / 2;
    damaged[middle] ^= 0x40;
    fs::write(&segment, &damaged).unwrap();
    let refused = broker.try_start().await.unwrap_err();
    assert!(refused.contains("position"), "{refused}");
    fs::write(&segment, &sound).unwrap();
    broker.try_start().await.unwrap();
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_reported() {
    let mut broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let segments = broker.journal_folder().join("segments");
    broker
        .restart_after(|_| {
            let last = files_below(&segments).into_iter().max().unwrap();
            let mut bytes = fs::read(&last).unwrap();
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            // A group whose write was cut short: some bytes that no checksum vouches for.
            bytes.truncate(end);
            bytes.extend_from_slice(&[0x17; 40]);
            fs::write(&last, &bytes).unwrap();
        })
        .await;
    assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Live);
    let started = broker.record.of_kind("broker_started").await;
    let carnet::pb::journal::event::Payload::BrokerStarted(last) = &started.last().unwrap().payload else {
        unreachable!("{}", kind(&started[0].payload))
    };
    assert!(last.torn_bytes > 0, "{last:?}");
}

#[tokio::test]
async fn a_task_whose_deadline_passed_meanwhile_is_over() {
    let mut broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let mut registration = broker.task("Read ticket T-1000.");
    registration.deadline = Some(broker.at(Duration::from_secs(60)));
    let task = orchestrator.open(registration).await;
    agent.granted(task.reading()).await;
    broker.stop().await;
    broker.advance(Duration::from_secs(61));
    broker.try_start().await.unwrap();
    broker.restart().await;
    let (outcome, _) = broker.agent().await.withheld(task.reading()).await;
    assert_eq!(outcome, Outcome::Denied);
    broker.sweep().await;
    let shown = broker.orchestrator().await.task(&task.id, "").await.unwrap();
    assert_eq!(shown.state(), TaskState::Expired);
    assert_eq!(shown.agent, id(AGENT).to_string());
}

#[tokio::test]
async fn a_key_that_is_gone_is_not_made_again_beside_its_journal() {
    let mut broker = TestBroker::start().await;
    broker.at_work().await;
    broker.stop().await;
    let data = broker.journal_folder().parent().unwrap().to_owned();
    for name in ["handle.key", "checkpoint.key", "keys/keyring.json", "task-keys"] {
        let (key, aside) = (data.join(name), data.join("aside"));
        fs::rename(&key, &aside).unwrap();
        let refused = broker.try_start().await.unwrap_err();
        assert!(refused.contains(name) && refused.contains("is gone"), "{refused}");
        assert!(!key.exists(), "`{name}` was made again");
        fs::rename(&aside, &key).unwrap();
    }
    broker.try_start().await.unwrap();
}

#[tokio::test]
async fn an_event_that_is_not_understood_is_not_started_over() {
    let mut broker = TestBroker::start().await;
    broker.at_work().await;
    let position = broker.record.size().await;
    broker.stop().await;
    // What a later version may write, and this one does not know: the end of something, for all that can be told.
    let event = Event { stream: "system".to_owned(), ..Event::default() };
    let options = journal::options(&broker.journal_folder());
    let (log, _) = carnet::journal::Journal::open(options, std::sync::Arc::new(NoProjection)).unwrap();
    let written = log.append(journal::entry(vec![event], Vec::new())).await.unwrap();
    log.close().await;
    let refused = broker.try_start().await.unwrap_err();
    assert!(written.first() >= position);
    assert!(refused.contains(&format!("the event at position {} is not understood", written.first())), "{refused}");
}

#[tokio::test]
async fn two_brokers_do_not_share_a_folder() {
    let broker = TestBroker::start().await;
    let taken = broker.journal_folder();
    let data = taken.parent().unwrap().to_owned();
    let clock = broker.pki.clock.clone();
    let options = carnet::server::folder::FolderOptions {
        issuer: super::support::broker::ISSUER.to_owned(),
        keys: carnet::mint::ring::KeySettings::default(),
        segment_bytes: 1 << 20,
        snapshot_every: 1000,
        disk_reserve_bytes: 1 << 16,
        checkpoint_interval: Duration::from_secs(60),
    };
    let folder = carnet::server::folder::DataFolder::new(&data);
    let refused = match folder.open(options, &clock, &carnet::entropy::Entropy::system()) {
        Err(_) => true,
        Ok(contents) => {
            let known = std::sync::Arc::new(NoProjection);
            carnet::journal::Journal::open(contents.journal, known).is_err()
        }
    };
    assert!(refused);
}

pub fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

//! Everything has a limit: rates before the journal, counted refusals, and a disk that is full and still lets one revoke.

use std::sync::Arc;
use std::time::Duration;

use carnet::broker::caller::Caller::Operator;
use carnet::broker::limit::CallerLimits;
use carnet::journal::options::Options;
use carnet::model::limits::{
    ACCESS_ENTRIES_MAX, ARGUMENTS_BYTES_MAX, CEILING_TOOLS_MAX, INTENT_BYTES_MAX, MESSAGE_BYTES_MAX,
    OPEN_GRANTS_PER_FAMILY_MAX, PURPOSE_BYTES_MAX, REQUEST_ID_BYTES_MAX,
};
use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{GrantState, ListTasksRequest, Outcome, RegisterTaskRequest, RequestCredentialRequest};
use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::support::ask::{AGENT, Granted, INTENT, OpenTask, SECOND_AGENT, access, audience_of, ceiling, revocation};
use super::support::broker::{Setup, TestBroker, policy_with};
use super::support::caller::Refused;
use super::support::gate::Gate;
use super::support::pki::{eventually, id, soon};

#[tokio::test]
async fn invariant_10_everything_has_a_limit() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let mut refusals: Vec<(&str, Refused)> = Vec::new();
    let change = |change: &dyn Fn(&mut RequestCredentialRequest)| {
        let mut request = task.reading();
        change(&mut request);
        agent.request_credential(request)
    };
    let long = |length: usize| "x".repeat(length);
    refusals.push(("purpose", change(&|r| r.purpose = long(PURPOSE_BYTES_MAX + 1)).await.unwrap_err()));
    refusals.push(("request id", change(&|r| r.request_id = long(REQUEST_ID_BYTES_MAX + 1)).await.unwrap_err()));
    let many = vec![access("tickets.search", &json!({})); ACCESS_ENTRIES_MAX + 1];
    refusals.push(("entries", change(&|r| r.access.clone_from(&many)).await.unwrap_err()));
    let arguments = json!({ "ticket_id": long(ARGUMENTS_BYTES_MAX) }).to_string();
    refusals.push(("arguments", change(&|r| r.access[0].arguments_json.clone_from(&arguments)).await.unwrap_err()));
    let deep = format!("{}{}", r#"{"a":"#.repeat(40), "}".repeat(40)).replace("\"a\":}", "\"a\":1}");
    refusals.push(("nesting", change(&|r| r.access[0].arguments_json.clone_from(&deep)).await.unwrap_err()));
    let mut registration = broker.task(&long(INTENT_BYTES_MAX + 1));
    refusals.push(("intent", orchestrator.register_task(registration.clone()).await.unwrap_err()));
    registration.intent = "Read.".to_owned();
    let names: Vec<String> = (0..=CEILING_TOOLS_MAX).map(|n| format!("tool-{n}")).collect();
    registration.ceiling = Some(ceiling(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    refusals.push(("tools of a ceiling", orchestrator.register_task(registration).await.unwrap_err()));
    let page = orchestrator.tasks().list_tasks(ListTasksRequest { page_size: 100_000, ..Default::default() }).await;
    refusals.push(("page", page.unwrap_err().into()));
    for (name, refused) in &refusals {
        assert_eq!(refused.code, Code::InvalidArgument, "{name}: {refused:?}");
        assert_eq!(refused.reason, "LIMIT_EXCEEDED", "{name}: {refused:?}");
        assert!(refused.message.len() < 500, "{name}: what was sent is not sent back");
    }
    let mut message = task.reading();
    message.purpose = long(MESSAGE_BYTES_MAX + 1);
    let refused = agent.request_credential(message).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "LIMIT_EXCEEDED"), "{refused:?}");
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn a_caller_above_its_rate_costs_no_disk() {
    let limits = CallerLimits { per_second: 10, burst: 5, in_flight: 100 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    for _ in 0..5 {
        agent.unchecked().granted(task.reading()).await;
    }
    let before = broker.record.size().await;
    for _ in 0..50 {
        let refused = agent.unchecked().request_credential(task.reading()).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    }
    broker.sweep().await;
    let left = broker.record.since(before).await;
    assert!(left.len() <= 2, "repeated refusals are counted, not written one by one: {} events", left.len());
    // One caller's rate is not another's, and time gives it back.
    let second = broker.caller(SECOND_AGENT).await;
    assert_ne!(second.request_credential(task.reading()).await.unwrap_err().reason, "RATE_LIMITED");
    broker.advance(Duration::from_secs(1));
    agent.unchecked().granted(task.reading()).await;
}

#[tokio::test]
async fn a_caller_above_its_rate_can_still_end_what_it_began() {
    let limits = CallerLimits { per_second: 10, burst: 5, in_flight: 100 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let (orchestrator, operator) = (broker.orchestrator().await.unchecked(), broker.operator().await.unchecked());
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(orchestrator.open(broker.task("Read ticket T-1000.")).await);
    }
    let agent = broker.agent().await.unchecked();
    let granted = agent.granted(open[0].reading()).await;
    for _ in 0..5 {
        orchestrator.register_task(broker.task("Read ticket T-1000.")).await.ok();
        operator.task(&open[0].id, "").await.ok();
        agent.request_credential(open[0].reading()).await.ok();
    }
    let refused = orchestrator.register_task(broker.task("Read ticket T-1000.")).await.unwrap_err();
    assert_eq!(refused.reason, "RATE_LIMITED");
    assert_eq!(operator.task(&open[0].id, "").await.unwrap_err().reason, "RATE_LIMITED");
    agent.release_credential(open[0].release(granted.id())).await.unwrap();
    orchestrator.pause_task(open[0].pause()).await.unwrap();
    orchestrator.complete_task(open[1].complete()).await.unwrap();
    orchestrator.cancel_task(open[2].cancel()).await.unwrap();
    orchestrator.revoke(revocation(Named::TaskId(open[3].id.clone()))).await.unwrap();
    operator.revoke(revocation(Named::Everything(carnet::pb::v1::Everything {}))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_bounded_for_each_caller() {
    let limits = CallerLimits { per_second: 1_000_000, burst: 1_000_000, in_flight: 2 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let agent = agent.unchecked();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (agent, request) = (agent.clone(), task.reading());
        asking.spawn(async move { agent.request_credential(request).await });
    }
    let answers = asking.join_all().await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(refused.iter().all(|refused| refused.reason == "RATE_LIMITED"), "{refused:?}");
    assert!(!refused.is_empty(), "64 at once, and at most 2 in flight");
    assert!(answers.iter().any(Result::is_ok));
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn calls_that_reach_no_verb_are_held_against_the_rate() {
    let limits = CallerLimits { per_second: 1, burst: 3, in_flight: 100 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let server = broker.resource_server().await;
    let everything = || revocation(Named::Everything(carnet::pb::v1::Everything {}));
    for n in 0..10 {
        let refused = server.unchecked().revoke(everything()).await.unwrap_err();
        assert_eq!(refused.reason, if n < 3 { "METHOD_NOT_ALLOWED" } else { "RATE_LIMITED" }, "{n}");
    }
    let orchestrator = broker.orchestrator().await.channel();
    for n in 0..10 {
        let mut client = tonic::client::Grpc::new(orchestrator.clone());
        client.ready().await.unwrap();
        let path = "/carnet.v1.TaskService/DeleteTask".parse().unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let refused: Refused = client.unary(tonic::Request::new(()), path, codec).await.unwrap_err().into();
        assert_eq!(refused.reason, if n < 3 { "METHOD_NOT_ALLOWED" } else { "RATE_LIMITED" }, "{n}");
    }
    let mut health = HealthClient::new(broker.caller(AGENT).await.channel());
    for n in 0..10 {
        let answer = health.check(HealthCheckRequest { service: String::new() }).await;
        assert_eq!(answer.is_ok(), n < 3, "{n}: {answer:?}");
    }
}

/// Makes a request whose message never comes to its end; returns when it is refused.
async fn never_finished(channel: Channel) {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = "/carnet.v1.CredentialService/RequestCredential".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    drop(client.client_streaming(tonic::Request::new(tokio_stream::pending()), path, codec).await);
}

/// Messages that never come to their end are held, too.
#[tokio::test]
async fn calls_that_are_never_finished_have_a_greatest_number() {
    let limits = CallerLimits { per_second: 1_000_000, burst: 1_000_000, in_flight: 2 };
    let broker = TestBroker::with(Setup { limits, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let mut held: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let channel = agent.channel();
        // Refused while another call has its place, it comes again.
        held.spawn(async move {
            loop {
                never_finished(channel.clone()).await;
            }
        });
    }
    soon(async {
        while agent.unchecked().request_credential(task.reading()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let refused = agent.unchecked().request_credential(task.reading()).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    agent
        .unchecked()
        .release_credential(task.release(&granted.grant.grant_id))
        .await
        .expect("ends have places of their own");
    held.shutdown().await;
    soon(async {
        while agent.unchecked().request_credential(task.reading()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_for_a_message_that_does_not_come() {
    // Whoever is on the way is waited for, so long that it would show.
    let journal = Arc::new(|options: &mut Options| options.linger = Duration::from_secs(3600));
    let broker = TestBroker::with(Setup { journal, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let held = tokio::spawn(never_finished(agent.channel()));
    eventually(|| !broker.metrics().render().unwrap().contains("carnet_rpcs_in_flight 0")).await;
    soon(agent.granted(task.reading())).await;
    held.abort();
}

#[tokio::test]
async fn repeated_refusals_are_counted() {
    let broker = TestBroker::start().await;
    let (_, _, task) = broker.at_work().await;
    let stranger = broker.caller(SECOND_AGENT).await;
    for _ in 0..40 {
        stranger.request_credential(task.reading()).await.unwrap_err();
    }
    broker.sweep().await;
    broker.advance(Duration::from_secs(61));
    broker.sweep().await;
    let refusals = broker.record.refusals().await;
    let of_stranger: Vec<_> = refusals.iter().filter(|r| r.subject == id(SECOND_AGENT).to_string()).collect();
    assert!(!of_stranger.is_empty() && of_stranger.len() <= 3, "{} events", of_stranger.len());
    assert_eq!(of_stranger.iter().map(|r| r.count).sum::<u64>(), 40, "{of_stranger:?}");
}

#[tokio::test]
async fn what_was_counted_is_recorded_before_the_end() {
    let mut broker = TestBroker::start().await;
    let (_, _, task) = broker.at_work().await;
    let stranger = broker.caller(SECOND_AGENT).await;
    for _ in 0..40 {
        stranger.request_credential(task.reading()).await.unwrap_err();
    }
    broker.restart().await;
    let refusals = broker.record.refusals().await;
    let of_stranger = refusals.iter().filter(|r| r.subject == id(SECOND_AGENT).to_string());
    assert_eq!(of_stranger.map(|r| r.count).sum::<u64>(), 40, "{refusals:?}");
}

#[tokio::test]
async fn what_was_counted_while_some_was_written_is_recorded_before_the_end() {
    let gate = Arc::new(Gate::default());
    let mut broker = TestBroker::with(Setup { journal: Gate::journal(&gate), ..Setup::default() }).await;
    let (_, _, task) = broker.at_work().await;
    let stranger = broker.caller(SECOND_AGENT).await.unchecked();
    gate.close();
    stranger.request_credential(task.reading()).await.unwrap_err();
    eventually(|| gate.holds()).await;
    stranger.request_credential(task.reading()).await.unwrap_err();
    // The end comes while the first is being written: time enough for it to look for more.
    let written = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.open();
    };
    let _ended = tokio::join!(broker.stop(), written);
    broker.try_start().await.unwrap();
    let refusals = broker.record.refusals().await;
    let of_stranger = refusals.iter().filter(|r| r.subject == id(SECOND_AGENT).to_string());
    assert_eq!(of_stranger.map(|r| r.count).sum::<u64>(), 2, "{refusals:?}");
}

#[tokio::test]
async fn a_full_disk_still_lets_one_revoke() {
    let mut broker = TestBroker::with(small_disk()).await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let refused = fill(&broker, &task).await;
    assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "STORAGE_FULL"));
    let refused = orchestrator.register_task(broker.task("Read ticket T-1000.")).await.unwrap_err();
    assert_eq!(refused.reason, "STORAGE_FULL", "nothing new is begun");

    let named = Named::GrantId(granted.id().to_owned());
    assert_eq!(orchestrator.revoke(revocation(named)).await.unwrap().grants_revoked, 1);
    assert!(orchestrator.complete_task(task.complete()).await.unwrap().grants_revoked > 0);
    let everything = Named::Everything(carnet::pb::v1::Everything {});
    assert!(broker.operator().await.revoke(revocation(everything)).await.unwrap().blocked);
    assert_eq!(broker.resource_server().await.standing(granted.id()).await.unwrap(), GrantState::Revoked);
    broker.restart().await;
    assert_eq!(
        broker.resource_server().await.standing(granted.id()).await.unwrap(),
        GrantState::Revoked,
        "and it lasts"
    );
}

#[tokio::test]
async fn a_full_disk_keeps_no_broker_from_starting_under_the_policy_before() {
    let mut broker = TestBroker::with(small_disk()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let active = broker.running().broker().active_policy(&Operator { uid: 0 }).unwrap();
    fill(&broker, &task).await;
    broker.configure(policy_with(|path, text| if path == "risk.toml" { format!("{text}\n# newer\n") } else { text }));
    broker.restart().await;
    let still = broker.running().broker().active_policy(&Operator { uid: 0 }).unwrap();
    assert_eq!((still.digest, still.revision), (active.digest, active.revision));
    let named = Named::GrantId(granted.id().to_owned());
    assert_eq!(broker.orchestrator().await.revoke(revocation(named)).await.unwrap().grants_revoked, 1);
}

#[tokio::test]
async fn who_cannot_decide_is_not_ready_and_says_why() {
    let broker = TestBroker::with(small_disk()).await;
    let (_, _, task) = broker.at_work().await;
    let problems = || broker.running().broker().problems();
    assert!(problems().is_empty(), "{:?}", problems());
    let before = broker.running().broker().figures().bytes;
    fill(&broker, &task).await;
    assert!(problems()[0].contains("the disk is full"), "{:?}", problems());
    let after = broker.running().broker().figures().bytes;
    assert!(after > before + 100_000 && after <= FULL_AFTER + HELD_BACK, "{before} {after}");
    broker.running().broker().close().await;
    assert!(problems()[0].contains("the journal is closed"), "{:?}", problems());
}

#[tokio::test]
async fn invariant_1_no_token_leaves_before_its_evidence_is_durable() {
    let broker = TestBroker::with(small_disk()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    // What left is on record, with the digest of exactly what was signed.
    let recorded = broker.record.since(granted.position).await;
    let carnet::pb::journal::event::Payload::CredentialDecided(event) = &recorded[0].payload else { unreachable!() };
    let grant = event.grant.as_ref().unwrap();
    let signed = granted.token.rsplit_once('.').unwrap().0;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed.as_bytes());
    assert_eq!(
        (grant.jti.as_str(), grant.signing_input_sha256.as_ref()),
        (granted.grant.jti.as_str(), digest.as_ref())
    );
    // And when no evidence can be written, nothing leaves.
    let size = {
        fill(&broker, &task).await;
        broker.record.size().await
    };
    let refused = agent.request_credential(task.reading()).await.unwrap_err();
    assert_eq!(refused.reason, "STORAGE_FULL");
    assert_eq!(broker.record.size().await, size);
}

#[tokio::test]
async fn on_a_full_disk_signals_are_taken_that_suspend_or_end_something() {
    let journal = |options: &mut Options| {
        options.total_bytes_max = Some(FULL_AFTER + 8 * HELD_BACK);
        options.space_floor_bytes = 8 * HELD_BACK;
    };
    let broker = TestBroker::with(Setup { journal: Arc::new(journal), ..Setup::default() }).await;
    let (_, _, task) = broker.at_work().await;
    fill(&broker, &task).await;
    let scorer = broker.scorer().await.unchecked();
    let size = broker.record.size().await;
    for n in 0..20 {
        let refused = scorer.report_signal(task.signal(&format!("doubt_{n}"), 1)).await.unwrap_err();
        assert_eq!(refused.reason, "STORAGE_FULL", "it changes nothing");
    }
    assert_eq!(broker.record.size().await, size);
    let answer = scorer.report_signal(task.signal("compromise_reported", 60)).await.unwrap();
    assert!(answer.grants_revoked > 0, "{answer:?}");
    let refused = scorer.report_signal(task.signal("compromise_reported", 90)).await.unwrap_err();
    assert_eq!(refused.reason, "STORAGE_FULL", "there is nothing left to end");
}

#[tokio::test]
async fn on_a_full_disk_reports_are_taken_that_suspend_something() {
    let journal = |options: &mut Options| {
        options.total_bytes_max = Some(FULL_AFTER + 8 * HELD_BACK);
        options.space_floor_bytes = 8 * HELD_BACK;
    };
    let broker = TestBroker::with(Setup { journal: Arc::new(journal), ..Setup::default() }).await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let sent = agent.granted(task.sending()).await;
    let other = orchestrator.open(broker.task(INTENT)).await;
    fill(&broker, &other).await;
    let server = broker.resource_server().await.unchecked();
    let size = broker.record.size().await;
    let harmless = task.report("", "files.write", &json!({}), &json!({}));
    assert_eq!(server.report_tool_call(harmless).await.unwrap_err().reason, "STORAGE_FULL", "it changes nothing");
    assert_eq!(broker.record.size().await, size);
    // Others can write what it read, and it carries what is private.
    let read = || task.report("", "tickets.read", &json!({ "ticket_id": "T-1000" }), &json!({ "body": "hello" }));
    assert_eq!(server.report_tool_call(read()).await.unwrap().grants_suspended, 1);
    assert_eq!(server.standing(sent.id()).await.unwrap(), GrantState::Suspended);
    assert_eq!(server.report_tool_call(read()).await.unwrap_err().reason, "STORAGE_FULL", "it says nothing new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_that_have_ended_leave_room_for_others() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let agent = agent.unchecked();
    let below = RegisterTaskRequest { parent_task_id: task.id.clone(), ..broker.task(INTENT) };
    let below = orchestrator.open(below).await;
    let mut open = Vec::new();
    for _ in 0..OPEN_GRANTS_PER_FAMILY_MAX {
        open.push(agent.granted(task.reading()).await);
    }
    let refused = agent.request_credential(task.reading()).await.unwrap_err();
    assert_eq!(refused.reason, "LIMIT_EXCEEDED");
    let refused = agent.request_credential(below.reading()).await.unwrap_err();
    assert_eq!(refused.reason, "LIMIT_EXCEEDED", "nor for a sub-task");
    Granted::renewed(agent.renew_credential(task.renewal(open[0].id())).await.unwrap());
    agent.release_credential(task.release(open[1].id())).await.unwrap();
    agent.granted(task.reading()).await;
    agent.request_credential(task.reading()).await.unwrap_err();
    broker.advance(Duration::from_secs(301));
    agent.granted(task.reading()).await;
}

/// Requests to write a report, each of as many different words as a report can have.
fn wordy(task: &OpenTask) -> impl FnMut(usize) -> RequestCredentialRequest {
    let mut written = 0;
    let word = |n: usize| [17_576, 676, 26, 1].map(|by| char::from(b'a' + u8::try_from(n / by % 26).unwrap()));
    let task = task.clone();
    move |entries| {
        let mut entry = || {
            let words = (written..written + WORDS).map(|n| String::from_iter(word(n))).collect::<Vec<_>>();
            written += WORDS;
            access("files.write", &json!({ "path": "/reports/t-1000.md", "content": words.join(" ") }))
        };
        let entries = (0..entries).map(|_| entry()).collect();
        task.steps(&audience_of("files.write"), entries)
    }
}

#[tokio::test]
async fn a_grant_that_says_more_than_is_kept_is_refused() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let mut wordy = wordy(&task);
    let refused = agent.request_credential(wordy(6)).await.unwrap_err();
    assert_eq!(refused.reason, "LIMIT_EXCEEDED");
    agent.granted(wordy(4)).await;
}

#[tokio::test]
async fn grants_that_say_more_together_than_is_kept_make_the_task_ask_a_person() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let mut wordy = wordy(&task);
    agent.granted(wordy(3)).await;
    agent.granted(wordy(3)).await;
    let (outcome, reasons) = agent.withheld(task.writing()).await;
    assert_eq!((outcome, reasons), (Outcome::Review, vec!["SESSION_OVERFLOW".to_owned()]));
}

/// Asks until the journal takes no more; the refusal.
async fn fill(broker: &TestBroker, task: &OpenTask) -> Refused {
    let agent = broker.caller(AGENT).await.unchecked();
    for _ in 0..2000 {
        let mut request =
            task.steps(&audience_of("tickets.read"), vec![access("tickets.read", &json!({ "ticket_id": "T-1000" }))]);
        request.purpose = "p".repeat(PURPOSE_BYTES_MAX);
        if let Err(refused) = agent.request_credential(request).await {
            return refused;
        }
    }
    panic!("the journal took everything");
}

/// A journal that is soon full, but for what is held back.
fn small_disk() -> Setup {
    let journal = |options: &mut Options| {
        options.total_bytes_max = Some(FULL_AFTER + HELD_BACK);
        options.space_floor_bytes = HELD_BACK;
    };
    Setup { journal: Arc::new(journal), ..Setup::default() }
}

/// Words of four letters that fit into the longest arguments.
const WORDS: usize = 13_000;
/// Room for the policy bundle and some dozens of grants.
const FULL_AFTER: u64 = 512 << 10;
/// Room for ends and revocations.
const HELD_BACK: u64 = 128 << 10;

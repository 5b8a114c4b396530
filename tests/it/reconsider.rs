//! Live grants are decided again however many there are, each as the task that it is of stands, and to the end: also when the
//! broker died in between.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use carnet::journal::options::{Options, Stage};
use carnet::pb::journal::GrantReconsidered;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::{AmendTaskRequest, GrantState, Outcome, RegisterTaskRequest, RequestCredentialRequest};
use tonic::Code;

use super::support::ask::{Granted, INTENT, OpenTask, RESOURCE_SERVER, SECOND_AGENT, ceiling};
use super::support::broker::{Setup, TestBroker, activate, policy_with, shipped_policy};
use super::support::caller::{Caller, unique};
use super::support::pki::{eventually, soon};

/// More than one append takes.
const LARGE: usize = 300;
/// More than one.
const FAMILIES: usize = 3;

/// As many grants of a task.
async fn grants(agent: &Caller, task: &OpenTask, count: usize) -> Vec<Granted> {
    let agent = agent.unchecked();
    let mut granted = Vec::new();
    for _ in 0..count {
        granted.push(agent.granted(task.reading()).await);
    }
    granted
}

/// What becomes of groups that the journal is about to write.
#[derive(Debug, Default, Clone, Copy)]
enum Fate {
    #[default]
    Written,
    /// The journal dies after so many more.
    DiesAfter(usize),
    /// They wait after so many more, until there is another fate.
    WaitsAfter(usize),
}

#[derive(Default)]
struct Groups(Mutex<Fate>, Condvar, AtomicBool);

impl Groups {
    fn meet(&self, fate: Fate) {
        *self.0.lock().unwrap() = fate;
        self.1.notify_all();
    }

    fn placed(&self) {
        let mut fate = self.0.lock().unwrap();
        loop {
            match &mut *fate {
                Fate::Written => return,
                Fate::DiesAfter(0) => break,
                Fate::WaitsAfter(0) => {
                    self.2.store(true, Ordering::Relaxed);
                    fate = self.1.wait(fate).unwrap();
                }
                Fate::DiesAfter(left) | Fate::WaitsAfter(left) => {
                    *left -= 1;
                    return;
                }
            }
        }
        drop(fate);
        panic!("dies on purpose");
    }

    /// Has one of them wait until it was waited for and whoever asked for it is gone.
    async fn abandoned<T: Send + 'static>(&self, broker: &TestBroker, asks: impl Future<Output = T> + Send + 'static) {
        self.meet(Fate::WaitsAfter(0));
        let asking = tokio::spawn(asks);
        eventually(|| self.2.load(Ordering::Relaxed)).await;
        asking.abort();
        eventually(|| broker.metrics().render().unwrap().contains("carnet_rpcs_in_flight 0")).await;
        self.meet(Fate::Written);
    }

    /// A broker whose journal's groups meet that fate.
    fn setup(self: &Arc<Self>) -> Setup {
        let groups = Arc::clone(self);
        let journal = move |options: &mut Options| {
            let groups = Arc::clone(&groups);
            options.on_fatal = Arc::new(|_| {});
            options.probe = Some(Arc::new(move |stage| {
                if stage == Stage::Placed {
                    groups.placed()
                }
            }));
        };
        Setup { journal: Arc::new(journal), ..Setup::default() }
    }
}

/// Waits until the grant is revoked, which nobody else waits for.
async fn revoked(server: &Caller, grant: &Granted) {
    comes_to(server, grant, GrantState::Revoked).await;
}

async fn comes_to(server: &Caller, grant: &Granted, state: GrantState) {
    soon(async { while server.standing(grant.id()).await.unwrap() != state {} }).await;
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
    // With the cause, and with the first of three parts.
    for written in [1, 2] {
        let groups = Arc::new(Groups::default());
        let mut broker = TestBroker::with(groups.setup()).await;
        let (_, agent, task) = broker.at_work().await;
        let granted = grants(&agent, &task, LARGE).await;
        let alarm = task.signal("compromise_reported", 60);
        let scorer = broker.scorer().await.unchecked();
        groups.meet(Fate::DiesAfter(written));
        let failed = scorer.report_signal(alarm.clone()).await.unwrap_err();
        assert_eq!(failed.code, Code::Unavailable);

        broker.restart_after(|_| groups.meet(Fate::Written)).await;

        let server = broker.resource_server().await;
        for grant in &granted {
            revoked(&server, grant).await;
        }
        let again = broker.scorer().await.again().report_signal(alarm).await.unwrap();
        assert_eq!(broker.record.of_kind("signal_reported").await[0].position, again.position);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_activation_left_undecided_is_told_and_decided_at_the_next_start_behind_open_doors() {
    let without_agent = policy_with(|path, text| match path {
        "identities.toml" => text.replace("/agent/*\"", &format!("{SECOND_AGENT}\"")),
        _ => text,
    });
    // With the activation, and with the first of the families.
    for written in [1, 2] {
        let groups = Arc::new(Groups::default());
        let mut broker = TestBroker::with(Setup { activate: false, ..groups.setup() }).await;
        let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
        let mut granted = Vec::new();
        for _ in 0..FAMILIES {
            let task = orchestrator.open(broker.task(INTENT)).await;
            granted.push(agent.granted(task.reading()).await);
        }
        groups.meet(Fate::DiesAfter(written));
        let answer = broker.activate(&without_agent).await;
        let decided = written - 1;
        assert_eq!((answer.grants_revoked as usize, answer.families_owed as usize), (decided, FAMILIES - decided));

        // Of the next broker, the journal takes in that it started, and no more for now.
        broker.restart_after(|_| groups.meet(Fate::WaitsAfter(1))).await;

        let server = broker.resource_server().await;
        let mut live = 0;
        for grant in &granted {
            live += usize::from(server.standing(grant.id()).await.unwrap() == GrantState::Live);
        }
        assert_eq!(live, FAMILIES - decided, "the doors did not wait");
        groups.meet(Fate::Written);
        for grant in &granted {
            revoked(&server, grant).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_from_a_grant_is_done_though_its_caller_went_away() {
    let groups = Arc::new(Groups::default());
    let broker = TestBroker::with(groups.setup()).await;
    let (_, agent, task) = broker.at_work().await;
    let sent = agent.granted(task.sending()).await;
    let (asks, reading) = (agent.unchecked(), task.reading());
    groups.abandoned(&broker, async move { asks.request_credential(reading).await }).await;
    comes_to(&broker.resource_server().await, &sent, GrantState::Suspended).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_from_an_activation_is_done_though_its_caller_went_away() {
    let groups = Arc::new(Groups::default());
    let broker = TestBroker::with(groups.setup()).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let without_agent = policy_with(|path, text| match path {
        "identities.toml" => text.replace("/agent/*\"", &format!("{SECOND_AGENT}\"")),
        _ => text,
    });
    let operator = broker.operator().await.unchecked();
    groups.abandoned(&broker, async move { activate(&operator, &without_agent).await }).await;
    revoked(&broker.resource_server().await, &granted).await;
}

#[tokio::test]
async fn what_live_grants_let_in_counts_as_the_policy_has_it_that_was_activated() {
    let lax = policy_with(|path, text| match path {
        "catalogue.toml" => text
            .replace(r#"["title", "body", "comments", "requester"]"#, "[]")
            .replace(r#"["internal", "pii"]"#, r#"["internal"]"#),
        _ => text,
    });
    let broker = TestBroker::with(Setup { policy: lax, ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let (read, sent) = (agent.granted(task.reading()).await, agent.granted(task.sending()).await);

    broker.activate(&shipped_policy()).await;

    let server = broker.resource_server().await;
    assert_eq!(server.standing(sent.id()).await.unwrap(), GrantState::Suspended);
    Granted::renewed(agent.renew_credential(task.renewal(read.id())).await.unwrap());
    let (outcome, reasons) = agent.withheld(task.sending()).await;
    assert_eq!((outcome, reasons), (Outcome::Review, vec!["TAINTED_EXIT".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_policy_bundle_that_is_loaded_and_tested() {
    // Whoever is waited for in vain would be waited for until the test is given up.
    let linger = |options: &mut Options| options.linger = Duration::from_secs(3600);
    let broker = TestBroker::with(Setup { journal: Arc::new(linger), ..Setup::default() }).await;
    let (_, agent, task) = broker.at_work().await;
    let before = broker.record.of_kind("policy_activated").await.len();
    let large = policy_with(|path, text| match path {
        "60-tasks.cedar" => (0..400).fold(text, |text, n| format!("{text}\n{}", never(n))),
        _ => text,
    });
    let operator = broker.operator().await;
    let activation = tokio::spawn(async move { activate(&operator.unchecked(), &large).await });
    eventually(|| broker.metrics().render().unwrap().contains("carnet_rpcs_in_flight 1")).await;
    agent.unchecked().granted(task.reading()).await;
    assert_eq!(broker.record.of_kind("policy_activated").await.len(), before, "it was waited for");
    activation.await.unwrap();
}

/// A policy that applies to nothing.
fn never(n: usize) -> String {
    format!(
        "@id(\"never-{n}\") @description(\"Never.\") @reason(\"FORBIDDEN\") @outcome(\"denied\")\n\
         forbid (principal, action == Carnet::Action::\"amend_task\", resource) when {{ context.depth > {} }};",
        1000 + n
    )
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
    assert_eq!(agent.withheld(child.reading()).await.0, Outcome::Review);
    assert_eq!(server.standing(own.id()).await.unwrap(), GrantState::Live);
}

#[tokio::test]
async fn an_earlier_deadline_suspends_what_would_outlive_it() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let below = RegisterTaskRequest { parent_task_id: task.id.clone(), ..broker.task(INTENT) };
    let below = orchestrator.open(below).await;
    let of_life = |seconds| {
        let ttl = Some(prost_types::Duration { seconds, nanos: 0 });
        RequestCredentialRequest { ttl, ..task.reading() }
    };
    let long = agent.granted(task.reading()).await;
    let narrowed = agent.granted(of_life(900)).await;
    assert_eq!(narrowed.decision.outcome(), Outcome::Narrowed);
    let under = agent.granted(below.reading()).await;
    let short = agent.granted(of_life(20)).await;
    let ends = |from_now| AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        deadline: Some(broker.at(Duration::from_secs(from_now))),
        ..AmendTaskRequest::default()
    };

    orchestrator.amend_task(ends(30)).await.unwrap();

    let server = broker.resource_server().await;
    for (what, granted) in [("of the usual life", &long), ("narrowed before", &narrowed), ("of a sub-task", &under)] {
        assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended, "{what}");
    }
    assert_eq!(server.standing(short.id()).await.unwrap(), GrantState::Live, "it ends before the task does");
    let event = &reconsidered(&broker).await[0];
    let reasons = &event.decision.as_ref().unwrap().reasons;
    assert!(reasons.iter().any(|reason| reason.code == "OUTLIVES_TASK"), "{reasons:?}");
    let renewed = Granted::renewed(agent.renew_credential(task.renewal(long.id())).await.unwrap());
    assert!(renewed.grant.expires.unwrap().seconds <= broker.at(Duration::from_secs(30)).seconds);
    assert_eq!(server.standing(long.id()).await.unwrap(), GrantState::Live);
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

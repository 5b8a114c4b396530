//! What an open task costs a whole broker in memory: registered, after fifty reported calls with results of one KiB, and after a
//! request with five sinks. A real broker is asked over mutual TLS, and what is counted are the bytes of its heap that live, whatever
//! holds them: with the journal's index, which is bounded for all tasks together, and without what allocators round up or have not given
//! back. As many calls with nothing in them tell what is left of an event as such. `cargo bench --bench memory -- [TASKS]`.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]
#![expect(clippy::print_stdout, reason = "its figures are its answer")]

use std::alloc::System;
use std::time::Duration;

use carnet::broker::summary::timestamp;
use carnet::clock::Clock;
use carnet::dev::broker::{DevBroker, DevOptions};
use carnet::dev::identities::{AGENT, Member, ORCHESTRATOR};
use carnet::identity::client::{ServerIdentity, connect};
use carnet::identity::workload::Workload;
use carnet::pb::v1;
use carnet::pb::v1::credential_service_client::CredentialServiceClient;
use carnet::pb::v1::signal_service_client::SignalServiceClient;
use carnet::pb::v1::task_service_client::TaskServiceClient;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tonic::transport::Channel;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Tasks that are measured.
const TASKS: usize = 250;
/// Tasks before: connections, queues and tables have their size then.
const BEFORE: usize = 20;
/// Reported calls of each.
const CALLS: usize = 50;
/// Most memory of an open task, in bytes.
const BOUND: usize = 64 << 10;
/// Tasks at a time.
const AT_A_TIME: usize = 16;
/// Who is invited: five sinks, each of them in the intent.
const INVITED: [&str; 5] = ["ada@a.test", "ben@b.test", "cleo@c.test", "dan@d.test", "eve@e.test"];

struct Clients {
    tasks: TaskServiceClient<Channel>,
    signals: SignalServiceClient<Channel>,
    credentials: CredentialServiceClient<Channel>,
}

#[derive(Clone)]
struct Open {
    number: usize,
    id: String,
    handle: String,
}

/// What grows with each step, in bytes.
#[derive(Debug, Default)]
struct Grown {
    registered: usize,
    reported: usize,
    asked: usize,
}

fn main() {
    let tasks = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(TASKS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let broker = DevBroker::start(DevOptions::default()).await.unwrap();
        let clients = Clients::connect(&broker).await;
        clients.grow(0..BEFORE, result).await;
        let events = clients.grow(BEFORE..BEFORE + tasks, |_, _| "{}".to_owned()).await;
        let grown = clients.grow(BEFORE + tasks..BEFORE + 2 * tasks, result).await;
        let of_one = |bytes: usize| bytes / tasks;
        let remembered = grown.reported.saturating_sub(events.reported);
        let all = of_one(grown.registered + grown.reported + grown.asked);
        println!("an open task, of {tasks}:");
        println!("  registered                        {:>7} bytes", of_one(grown.registered));
        println!("  {CALLS} calls with empty results       {:>7} bytes", of_one(events.reported));
        println!("  the same with results of 1 KiB    {:>7} bytes more", of_one(remembered));
        println!("  a request with {} sinks            {:>7} bytes", INVITED.len(), of_one(grown.asked));
        println!("  the same after empty results      {:>7} bytes (not counted)", of_one(events.asked));
        let judged = if all <= BOUND { "within" } else { "BEYOND" };
        println!("  altogether                        {all:>7} bytes, {judged} {BOUND}");
        broker.shutdown().await;
    });
}

impl Clients {
    async fn connect(broker: &DevBroker) -> Self {
        let channel = async |member: &Member| {
            let workload = Workload::from_socket(&broker.world().socket(member)).await.unwrap();
            connect(&broker.address(), &workload, ServerIdentity::Exact(broker.spiffe_id().clone())).await.unwrap()
        };
        let (orchestrator, agent) = (channel(&ORCHESTRATOR).await, channel(&AGENT).await);
        Self {
            tasks: TaskServiceClient::new(orchestrator),
            signals: SignalServiceClient::new(agent.clone()),
            credentials: CredentialServiceClient::new(agent),
        }
    }

    /// Opens that many tasks, step by step for all of them, and says by how much the process grew with each step.
    async fn grow(&self, numbers: std::ops::Range<usize>, result: fn(usize, usize) -> String) -> Grown {
        let mut grown = Grown::default();
        let before = living().await;
        let open = each(numbers, |number| self.register(number)).await;
        let after = living().await;
        grown.registered = after.saturating_sub(before);
        let before = after;
        drop(each(open.iter(), |task| self.report(task, result)).await);
        let after = living().await;
        grown.reported = after.saturating_sub(before);
        let before = after;
        drop(each(open.iter(), |task| self.ask(task)).await);
        grown.asked = living().await.saturating_sub(before);
        grown
    }

    fn register(&self, number: usize) -> impl Future<Output = Open> + Send + 'static {
        let mut client = self.tasks.clone();
        let request = v1::RegisterTaskRequest {
            request_id: format!("memory-{number}"),
            intent: format!("Find the tickets about topic {number}, and invite {} to a meeting.", INVITED.join(", ")),
            initiator: "user:ada@example.org".to_owned(),
            agent: AGENT.spiffe_id().unwrap().to_string(),
            deadline: Some(timestamp(Clock::system().now().after(Duration::from_secs(3600)))),
            ..v1::RegisterTaskRequest::default()
        };
        async move {
            let answer = client.register_task(request).await.unwrap().into_inner();
            Open { number, id: answer.task.unwrap().task_id, handle: answer.task_handle }
        }
    }

    fn report(&self, task: &Open, result: fn(usize, usize) -> String) -> impl Future<Output = ()> + Send + 'static {
        let (mut client, task) = (self.signals.clone(), task.clone());
        async move {
            for call in 0..CALLS {
                let report = v1::ReportToolCallRequest {
                    request_id: format!("memory-{}-{call}", task.number),
                    task_id: task.id.clone(),
                    task_handle: task.handle.clone(),
                    tool: "tickets.search".to_owned(),
                    arguments_json: json!({ "page": call, "query": format!("tickets about topic {call}") }).to_string(),
                    result_json: result(task.number, call),
                    ..v1::ReportToolCallRequest::default()
                };
                client.report_tool_call(report).await.unwrap();
            }
        }
    }

    fn ask(&self, task: &Open) -> impl Future<Output = ()> + Send + 'static {
        let mut client = self.credentials.clone();
        let arguments = json!({ "title": "A meeting", "participants": INVITED }).to_string();
        let access =
            v1::Access { tool: "calendar.create".to_owned(), arguments_json: arguments, ..v1::Access::default() };
        let request = v1::RequestCredentialRequest {
            request_id: format!("memory-{}", task.number),
            task_id: task.id.clone(),
            task_handle: task.handle.clone(),
            audience: "https://mail.dev.carnet.test".to_owned(),
            access: vec![access],
            purpose: "to invite everybody".to_owned(),
            ..v1::RequestCredentialRequest::default()
        };
        async move {
            let decision = client.request_credential(request).await.unwrap().into_inner().decision.unwrap();
            assert_eq!(decision.outcome(), v1::Outcome::Granted, "{:?}", decision.reasons);
        }
    }
}

/// A result of one KiB: six tickets, as a search lists them.
fn result(task: usize, call: usize) -> String {
    let ticket = |n: usize| {
        json!({
            "id": format!("T-{task}-{call}-{n}"), "title": format!("Something about {call} does not work since {n}"),
            "requester": format!("customer-{task}-{call}-{n}@example.org"), "status": "open",
            "url": format!("https://tickets.dev.carnet.test/{task}/{call}/{n}"),
        })
    };
    json!({ "tickets": (0..6).map(ticket).collect::<Vec<_>>() }).to_string()
}

/// Does something for each, so many at a time.
async fn each<T, R, F>(all: impl Iterator<Item = T>, mut act: impl FnMut(T) -> F) -> Vec<R>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let (mut done, mut at_work) = (Vec::new(), tokio::task::JoinSet::new());
    for one in all {
        if at_work.len() >= AT_A_TIME {
            done.extend(at_work.join_next().await.map(Result::unwrap));
        }
        at_work.spawn(act(one));
    }
    while let Some(one) = at_work.join_next().await {
        done.push(one.unwrap());
    }
    done
}

/// Bytes of the heap that live, once what is only in passing is gone.
async fn living() -> usize {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
